"""The diagnosis as a picture and as one HTML file that needs nothing else: no script, no style sheet, no LaTeX."""

import base64
import html
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
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
CSS = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem } img { max-width: 100%; height: auto }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid #e6e6e6 }
th:first-child, td:first-child { text-align: left }
.note { color: #555 }
"""


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


def diagnosis_page(
    path: Path, name: str, result: Diagnosis, scores: EvaluateResult, pictures: Sequence[Path] = ()
) -> None:
    """Write one HTML file: AP by class, the diagnosis as picture and tables, and pictures of videos.

    scores: what wsal.evaluate.evaluate says of the same detections.
    """
    with tempfile.TemporaryDirectory() as folder:
        plot_diagnosis(Path(folder) / "diagnosis.png", result)
        picture = _image(Path(folder) / "diagnosis.png", "error profile, impact of error types, missed instances")
    kinds = VERDICTS
    tious = [f"{level:g}" for level in scores["tiou"]]
    body = [
        f"<h1>Detections of {html.escape(name)}</h1>",
        f"<p>{scores['videos']} videos, {scores['ground_truth']} true instances, {scores['detections']} detections;"
        f" {scores['protocol']} protocol.</p>",
        *(f'<p class="note">{html.escape(note)}</p>' for note in [*scores["notes"], *result["notes"]]),
        "<h2>Average precision, %</h2>",
        _table(["tIoU", *tious], [("mAP", *_percents(scores["mAP"])),
               *((label, *_percents(values)) for label, values in scores["per_class"].items())]),
        "<h2>Where the errors come from</h2>",
        picture,
        _table(["", "detections", *kinds], [(f"{row['top']} G", row["detections"], *_percents(row[k] for k in kinds))
                                            for row in result["profile"]]),
        "<p>Of each class the best detections, G at a time (G: its true instances), in %. After Alwassel et al., 2018."
        "</p>",
        _table(["without", "gain in mAP, points"], [(k, f"{100 * v:+.1f}") for k, v in result["impact"].items()]),
        "<h2>What is missed</h2>",
        *(_table([NAMES[kind], "true", "missed, %"], [(g["group"], g["true"], *_percents([g["rate"]])) for g in groups])
          for kind, groups in result["false_negatives"].items()),
    ]  # fmt: skip
    if pictures:
        body += ["<h2>Videos</h2>", *(_image(path, "one video over time") for path in pictures)]
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(name)}</title><style>{CSS}</style>'
    )
    write_bytes(path, (page + "\n".join(body) + "</html>\n").encode())


def _percents(values: Iterable[float]) -> list[str]:
    return [f"{100 * value:.1f}" for value in values]


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    lines = ("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def _image(path: Path, alt: str) -> str:
    return f'<img alt="{alt}" src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}">'
