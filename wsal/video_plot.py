"""A picture of one video over time: frames, attention, T-CAM, proposals, detections, ground truth.

With two sections it is the paper's Figure 4: two checkpoints on the same video.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from plusmv.core.annotations import Instance, by_decreasing_score, score_of
from plusmv.wsal.plots import COLOURS, INK, STYLE, save_figure

NARROW = 0.04  # of the axis: a bar too narrow for its score, which is drawn to its right
CURVES, BARS, FRAMES, PROPOSALS = 1.5, 0.24, 0.9, 0.8  # inches: a panel, a row of bars, the strip, a panel of proposals


@dataclass(frozen=True)
class Section:
    """The outputs of one run, or one classifier, for the video."""

    panels: Mapping[str, Mapping[str, np.ndarray]]  # axis label -> curve name -> (T,), drawn as steps
    detections: Sequence[Instance]
    proposals: Sequence[tuple[float, float, float]] = field(default=())  # start, end in seconds, threshold
    name: str = ""


def plot_video(
    path: Path,
    title: str,
    seconds: np.ndarray,
    sections: Sequence[Section],
    truth: Sequence[Instance] = (),
    frames: Sequence[np.ndarray] = (),
    shown: int = 10,
) -> None:
    """Write a PNG of one video over seconds.

    seconds: (T, 2) of the snippets. truth: bars above the detections, which are by class and darker for higher
    scores; the best `shown` of each section. frames: (H, W, 3), evenly spaced over the whole video.
    """
    best = [by_decreasing_score(section.detections)[:shown] for section in sections]
    colours = _colours(sections, best, truth)
    rows = [_bar_rows(detections, truth, colours) for detections in best]
    heights = [FRAMES] if len(frames) else []
    for section, bars in zip(sections, rows, strict=True):
        heights += [CURVES] * len(section.panels) + [PROPOSALS] * bool(section.proposals) + [BARS * len(bars) + 0.3]
    end = axis_end(seconds, [instance for detections in best for instance in detections], truth)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(heights), 1, sharex=True, squeeze=False, figsize=(10, sum(heights) + 1), height_ratios=heights,
            layout="constrained",
        )  # fmt: skip
        free = iter(axes[:, 0])
        if len(frames):
            _draw_frames(next(free), frames, float(seconds[-1, 1]))
        for section, detections, bars in zip(sections, best, rows, strict=True):
            first = axis = None
            for name, curves in section.panels.items():
                axis = next(free)
                first = first or axis
                _draw_curves(axis, name, curves, seconds, truth, colours)
            if section.proposals:
                _draw_proposals(next(free), section.proposals)
            axis = next(free)
            scores = [score_of(detection) for detection in detections] or [0.0]  # by decreasing score
            _draw_bars(axis, bars, scores[-1], scores[0], end)
            (first or axis).set_title(section.name, loc="left", fontsize=10)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        axes[-1, 0].set_xlabel("seconds")
        axes[-1, 0].set_xlim(0, end)
        save_figure(figure, path)


def axis_end(seconds: np.ndarray, detections: Sequence[Instance], truth: Sequence[Instance]) -> float:
    """Where the time axis ends: after all snippets and detections, and after the truth up to one snippet later.

    The video may end with a partial snippet; annotations that end far after it must not compress the axis.
    """
    covered = max(float(seconds[-1, 1]), *(instance.end for instance in detections), 0.1)
    reach = covered + float(np.ptp(seconds[0]))
    return max(covered, min(reach, max((instance.end for instance in truth), default=0.0)))


def _draw_frames(axis, frames: Sequence[np.ndarray], end: float) -> None:
    """Each frame over its share of the time."""
    share = end / len(frames)
    for index, frame in enumerate(frames):
        axis.imshow(
            frame, extent=(index * share, (index + 0.98) * share, 0, 1), aspect="auto", interpolation="bilinear"
        )
    axis.set(ylim=(0, 1), yticks=[])
    axis.grid(visible=False)
    for side in axis.spines.values():
        side.set_visible(False)


def _draw_proposals(axis, proposals: Sequence[tuple[float, float, float]]) -> None:
    """Every proposal once, at the lowest threshold that gives it."""
    starts, ends, thresholds = zip(*proposals, strict=True)
    axis.hlines(thresholds, starts, ends, color=INK, linewidth=1.2, alpha=0.7)
    axis.set_ylabel(f"proposals\nby threshold\n({len(proposals)})", fontsize=8)
    axis.margins(y=0.12)


def _draw_curves(axis, name: str, curves: Mapping[str, np.ndarray], seconds: np.ndarray, truth, colours) -> None:
    centres = seconds.mean(axis=1)
    edges = np.concatenate([seconds[:1, 0], (centres[1:] + centres[:-1]) / 2, seconds[-1:, 1]])  # windows may overlap
    for label, curve in curves.items():
        axis.stairs(curve, edges, baseline=None, color=colours[label], linewidth=1.6, label=label)
    for instance in truth:
        axis.axvspan(instance.start, instance.end, color=INK, alpha=0.07, linewidth=0)
    axis.set_ylabel(name)
    axis.margins(y=0.08)
    if len(curves) > 1 or name not in curves:
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def _colours(
    sections: Sequence[Section], best: Sequence[Sequence[Instance]], truth: Sequence[Instance]
) -> dict[str, str]:
    """One colour per name, the same in every panel and in the bars; each panel starts with the first free colour."""
    colours = {"mean": INK}
    panels = [list(curves) for section in sections for curves in section.panels.values()]
    for names in [*panels, [i.label for several in (*best, truth) for i in several]]:
        used = {colours[name] for name in names if name in colours}
        free = [colour for colour in COLOURS if colour not in used] or COLOURS
        new = [name for name in dict.fromkeys(names) if name not in colours]
        colours |= {name: free[index % len(free)] for index, name in enumerate(new)}
    return colours


def _draw_bars(axis, rows: Sequence[tuple[str, str, list[Instance]]], low: float, high: float, end: float) -> None:
    """Rows of bars: (tick label, colour, instances that do not overlap). Detections of higher score are darker."""
    for height, (_, colour, instances) in enumerate(rows):
        for instance in instances:
            strength = 1.0 if instance.score is None or high <= low else (instance.score - low) / (high - low)
            span = (instance.start, instance.end - instance.start)
            axis.broken_barh([span], (height - 0.36, 0.72), facecolor=colour, alpha=0.25 + 0.7 * strength)
            if instance.score is not None and instance.score == high:
                wide = span[1] > NARROW * end
                at = instance.start + span[1] / 2 if wide else instance.end + end / 200
                side, ink = ("center", "white") if wide else ("left", INK)
                axis.text(at, height, f"{high:.2f}", ha=side, va="center", fontsize=8, color=ink)
    axis.set(yticks=range(len(rows)), yticklabels=[name for name, _, _ in rows], ylim=(len(rows) - 0.4, -0.6))
    axis.grid(axis="y", visible=False)


def _bar_rows(
    detections: Sequence[Instance], truth: Sequence[Instance], colours: Mapping[str, str]
) -> list[tuple[str, str, list[Instance]]]:
    """Truth and detections of each label, in as many rows as overlaps need, the best in the first."""
    labels = list(dict.fromkeys(instance.label for instance in (*truth, *detections)))
    rows: list[tuple[str, str, list[Instance]]] = []
    for label in labels:
        for name, colour, chosen in (
            (f"{label}, truth", INK, truth),
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
    return rows or [("no detections", INK, [])]
