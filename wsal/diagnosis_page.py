"""The diagnosis as a picture and as one self-contained HTML page, from the template diagnosis.html."""

import base64
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, StrictUndefined
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from plusmv.core.workspace import write_bytes
from plusmv.wsal.diagnose import ERRORS, VERDICTS, Diagnosis, Property
from plusmv.wsal.evaluate import EvaluateResult
from plusmv.wsal.plots import COLOURS, STYLE, save_figure

NAMES: dict[Property, str] = {
    "length": "length, s",
    "coverage": "share of the video",
    "instances": "instances in the video",
}
VERDICT_COLOURS = dict(zip(VERDICTS, ("#2a9d5c", "#a8d5b5", "#3366cc", "#e0792b", "#c23b5a", "#bbbbbb"), strict=True))
TEMPLATE = Path(__file__).with_name("diagnosis.html")


def plot_diagnosis(path: Path, result: Diagnosis) -> None:
    """Write a PNG: the profile of the detections, what each type of error costs, and what is missed."""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(12, 7), layout="constrained")
        top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.1, 1))[:, 0]
        left, right = top.subplots(1, 2, width_ratios=(1.7, 1))
        _draw_profile(left, result)
        _draw_impact(right, result)
        axes = bottom.subplots(1, 3, sharey=True)
        for axis, (kind, groups), colour in zip(axes, result["false_negatives"].items(), COLOURS, strict=False):
            rates = [100 * group["rate"] for group in groups]
            bars = axis.bar(range(len(groups)), rates, color=colour, width=0.7)
            axis.bar_label(
                bars,
                [f"{rate:.0f}" if g["true"] else "none" for rate, g in zip(rates, groups, strict=True)],
                fontsize=8,
            )
            ticks = [
                f"{group['group'].replace('up to', '≤').replace(' to ', '–')}\n({group['true']})" for group in groups
            ]
            axis.set_xticks(range(len(groups)), ticks, fontsize=8)
            axis.set(xlabel=NAMES[kind], ylim=(0, 108))
            axis.grid(axis="x", visible=False)
        axes[0].set_ylabel("missed true instances, %")
        bottom.suptitle(f"missed: {100 * result['missed']:.1f} % of {result['true_instances']} true instances",
                        x=0.01, ha="left", fontsize=11, fontweight="bold")  # fmt: skip
        save_figure(figure, path)


def _draw_profile(axis: Axes, result: Diagnosis) -> None:
    rows = result["profile"]
    floor = np.zeros(len(rows))
    for kind, colour in VERDICT_COLOURS.items():
        shares = np.array([100 * row[kind] for row in rows])
        axis.bar(range(len(rows)), shares, bottom=floor, color=colour, width=0.85, label=kind)
        floor += shares
    axis.set_xticks(range(len(rows)), [f"{row['top']}G\n({row['detections']})" for row in rows], fontsize=8)
    axis.set(ylabel="detections, %", ylim=(0, 100))
    axis.grid(axis="x", visible=False)
    at = ", ".join(f"{level:g}" for level in result["tiou"])
    axis.set_title(f"what the detections are, best first, tIoU {at}", loc="left", fontsize=11, fontweight="bold")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncol=6, fontsize=7.5, columnspacing=0.8, handlelength=1)


def _draw_impact(axis: Axes, result: Diagnosis) -> None:
    gains = [100 * result["impact"][kind] for kind in ERRORS]
    bars = axis.bar(range(len(ERRORS)), gains, color=[VERDICT_COLOURS[kind] for kind in ERRORS], width=0.7)
    axis.bar_label(bars, [f"{gain:+.1f}" for gain in gains], fontsize=8)
    axis.set_xticks(range(len(ERRORS)), [kind.replace(" ", "\n") for kind in ERRORS], fontsize=8)
    axis.set(ylabel="gain in mAP, points", ylim=(0, max(1, 1.15 * max(gains))))
    axis.grid(axis="x", visible=False)
    axis.set_title(f"mAP {100 * result['mAP']:.1f} %; without such errors", loc="left", fontsize=11, fontweight="bold")


class _Table(NamedTuple):
    """A table of the page; the template escapes its cells."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


def diagnosis_page(
    path: Path, name: str, result: Diagnosis, scores: EvaluateResult, pictures: Sequence[Path] = ()
) -> None:
    """Write one HTML file: AP by class, the diagnosis as picture and tables, and pictures of videos.

    scores: wsal.evaluate.evaluate of the same detections.
    """
    with tempfile.TemporaryDirectory() as folder:
        plot_diagnosis(Path(folder) / "diagnosis.png", result)
        picture = _data_uri(Path(folder) / "diagnosis.png")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        name=name,
        scores=scores,
        result=result,
        picture=picture,
        average_precision=_precision_table(scores),
        profile=_profile_table(result),
        impact=_impact_table(result),
        missed=_missed_tables(result),
        videos=[_data_uri(video) for video in pictures],
    )
    write_bytes(path, (page + "\n").encode())


def _precision_table(scores: EvaluateResult) -> _Table:
    rows = [("mAP", scores["mAP"]), *scores["per_class"].items()]
    return _Table(
        ["tIoU", *(f"{level:g}" for level in scores["tiou"])], [(label, *_percents(values)) for label, values in rows]
    )


def _profile_table(result: Diagnosis) -> _Table:
    return _Table(
        ["", "detections", *VERDICTS],
        [
            (f"{row['top']} G", row["detections"], *_percents(row[verdict] for verdict in VERDICTS))
            for row in result["profile"]
        ],
    )


def _impact_table(result: Diagnosis) -> _Table:
    return _Table(
        ["without", "gain in mAP, points"], [(error, f"{100 * gain:+.1f}") for error, gain in result["impact"].items()]
    )


def _missed_tables(result: Diagnosis) -> list[_Table]:
    return [
        _Table(
            [NAMES[kind], "true", "missed, %"],
            [(group["group"], group["true"], *_percents([group["rate"]])) for group in groups],
        )
        for kind, groups in result["false_negatives"].items()
    ]


def _percents(values: Iterable[float]) -> list[str]:
    return [f"{100 * value:.1f}" for value in values]


def _data_uri(picture: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"
