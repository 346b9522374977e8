"""Pictures: one video over time (attention, activation, detections against the truth), and a run's curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np

from core.annotations import Instance
from core.workspace import atomic_path

matplotlib.use("Agg")
from matplotlib import pyplot as plt

COLOURS = ("#3366cc", "#e0792b", "#2a9d5c", "#c23b5a", "#7b5ea7", "#8a6d3b", "#4aa3b8", "#777777")
TRUTH = "#333333"
NARROW = 0.04  # of the axis: a bar that cannot hold its score, which then stands to its right
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def plot_video(
    path: Path,
    title: str,
    seconds: np.ndarray,
    panels: Mapping[str, Mapping[str, np.ndarray]],
    detections: Sequence[Instance],
    truth: Sequence[Instance] = (),
    shown: int = 10,
) -> None:
    """Write a PNG of one video over seconds.

    seconds: (T, 2) of the snippets. panels: {axis label: {curve name: (T,)}}, one axis each, curves drawn as steps.
    detections: bars below, by class, the darker the better; the best `shown` of them. truth: bars above theirs.
    """
    best = sorted(detections, key=lambda instance: -instance.score)[:shown]
    colours = _colours(panels, best, truth)
    rows = _bar_rows(best, truth, colours)
    heights = [1.5] * len(panels) + [0.24 * len(rows) + 0.3]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(heights), 1, sharex=True, figsize=(10, sum(heights) + 1), height_ratios=heights, layout="constrained"
        )
        for axis, (name, curves) in zip(axes, panels.items(), strict=False):
            _draw_curves(axis, name, curves, seconds, truth, colours)
        end = axis_end(seconds, best, truth)
        _draw_bars(axes[-1], rows, best[-1].score if best else 0, best[0].score if best else 0, end)
        axes[0].set_title(title, loc="left", fontsize=11, fontweight="bold")
        axes[-1].set_xlabel("seconds")
        axes[-1].set_xlim(0, end)
        _save(figure, path)


def axis_end(seconds: np.ndarray, detections: Sequence[Instance], truth: Sequence[Instance]) -> float:
    """Where the time axis ends: after what was seen and found, and after the truth as far as the video can reach.

    The last snippet may be followed by a part of one; annotations that end far after their video must not squeeze it.
    """
    seen = max(float(seconds[-1, 1]), *(instance.end for instance in detections), 0.1)
    reach = seen + float(np.ptp(seconds[0]))
    return max(seen, min(reach, max((instance.end for instance in truth), default=0.0)))


def plot_curves(path: Path, title: str, rows: Sequence[Mapping]) -> None:
    """Write a PNG of a run's curves (rows of wsal.curves): the loss's terms, and the attention's mean and spread."""
    streams = list(dict.fromkeys(row["stream"] for row in rows))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            2,
            len(streams),
            squeeze=False,
            sharex=True,
            sharey="row",
            figsize=(5 * len(streams) + 1, 5),
            layout="constrained",
        )
        for column, stream in enumerate(streams):
            found = [row for row in rows if row["stream"] == stream]
            steps = [row["step"] for row in found]
            terms = [term for term in ("loss", "fg", "bg", "guide", "cluster", "sparsity") if term in found[0]]
            for term, colour in zip(terms, (TRUTH, *COLOURS), strict=False):
                axes[0, column].plot(steps, [row[term] for row in found], label=term, color=colour, linewidth=1.5)
            quantiles = {q: [row[f"attention_{q}"] for row in found] for q in ("q10", "q50", "q90", "mean")}
            axes[1, column].fill_between(
                steps, quantiles["q10"], quantiles["q90"], color=COLOURS[0], alpha=0.18, linewidth=0, label="10 to 90 %"
            )
            axes[1, column].plot(steps, quantiles["q50"], color=COLOURS[0], linewidth=1.5, label="median")
            axes[1, column].plot(steps, quantiles["mean"], color=TRUTH, linewidth=1, linestyle="--", label="mean")
            axes[0, column].set_title(f"{title}: {stream}", loc="left", fontsize=11, fontweight="bold")
            axes[1, column].set(xlabel="step", ylim=(0, 1))
        axes[0, 0].set_ylabel("weighted loss terms")
        axes[0, 0].set_ylim(bottom=0)
        axes[1, 0].set_ylabel("attention λ over snippets")
        axes[0, -1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
        axes[1, -1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
        _save(figure, path)


def _draw_curves(axis, name: str, curves: Mapping[str, np.ndarray], seconds: np.ndarray, truth, colours) -> None:
    centres = seconds.mean(axis=1)
    edges = np.concatenate([seconds[:1, 0], (centres[1:] + centres[:-1]) / 2, seconds[-1:, 1]])  # windows may overlap
    for label, curve in curves.items():
        axis.stairs(curve, edges, baseline=None, color=colours[label], linewidth=1.6, label=label)
    for instance in truth:
        axis.axvspan(instance.start, instance.end, color=TRUTH, alpha=0.07, linewidth=0)
    axis.set_ylabel(name)
    axis.margins(y=0.08)
    if len(curves) > 1 or name not in curves:
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def _colours(panels: Mapping[str, Mapping], *instances: Sequence[Instance]) -> dict[str, str]:
    """One colour a name, the same in every panel and in the bars; each panel starts with the first."""
    colours = {"mean": TRUTH}
    for names in [*panels.values(), [i.label for several in instances for i in several]]:
        used = {colours[name] for name in names if name in colours}
        free = [colour for colour in COLOURS if colour not in used] or COLOURS
        new = [name for name in dict.fromkeys(names) if name not in colours]
        colours |= {name: free[index % len(free)] for index, name in enumerate(new)}
    return colours


def _draw_bars(axis, rows: Sequence[tuple[str, str, list[Instance]]], low: float, high: float, end: float) -> None:
    """A row of bars each: (tick label, colour, instances that do not overlap). Detections are darker the better."""
    for height, (_, colour, instances) in enumerate(rows):
        for instance in instances:
            strength = 1.0 if instance.score is None or high <= low else (instance.score - low) / (high - low)
            span = (instance.start, instance.end - instance.start)
            axis.broken_barh([span], (height - 0.36, 0.72), facecolor=colour, alpha=0.25 + 0.7 * strength)
            if instance.score is not None and instance.score == high:
                wide = span[1] > NARROW * end
                at = instance.start + span[1] / 2 if wide else instance.end + end / 200
                side, ink = ("center", "white") if wide else ("left", TRUTH)
                axis.text(at, height, f"{high:.2f}", ha=side, va="center", fontsize=8, color=ink)
    axis.set(yticks=range(len(rows)), yticklabels=[name for name, _, _ in rows], ylim=(len(rows) - 0.4, -0.6))
    axis.grid(axis="y", visible=False)


def _bar_rows(
    detections: Sequence[Instance], truth: Sequence[Instance], colours: Mapping[str, str]
) -> list[tuple[str, str, list[Instance]]]:
    """Truth and detections of each label, those that overlap in rows of their own, the best in the first."""
    labels = list(dict.fromkeys(instance.label for instance in (*truth, *detections)))
    rows: list[tuple[str, str, list[Instance]]] = []
    for label in labels:
        for name, colour, chosen in (
            (f"{label}, truth", TRUTH, truth),
            (label, colours[label], detections),
        ):
            lanes: list[list[Instance]] = []
            for instance in (instance for instance in chosen if instance.label == label):
                free = (lane for lane in lanes if all(i.end <= instance.start or instance.end <= i.start for i in lane))
                lane = next(free, None)
                if lane is None:
                    lanes.append(lane := [])
                lane.append(instance)
            rows += [(name if lane is lanes[0] else "", colour, lane) for lane in lanes]
    return rows or [("nothing found", TRUTH, [])]


def _save(figure, path: Path) -> None:
    with atomic_path(path) as part:
        figure.savefig(part, dpi=130)
    plt.close(figure)
