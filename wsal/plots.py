"""A picture of training curves, and the style that all pictures share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from plusmv.core.workspace import atomic_path

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.typing import RcKeyType

from plusmv.wsal.curves import loss_terms

COLOURS = ("#3366cc", "#e0792b", "#2a9d5c", "#c23b5a", "#7b5ea7", "#8a6d3b", "#4aa3b8", "#777777")
INK = "#333333"
STYLE: dict[RcKeyType, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def plot_curves(path: Path, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
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
            curve = [row for row in rows if row["stream"] == stream]
            steps = [row["step"] for row in curve]
            terms = ["loss", *loss_terms(curve)]
            for term, colour in zip(terms, (INK, *COLOURS), strict=False):
                axes[0, column].plot(steps, [row[term] for row in curve], label=term, color=colour, linewidth=1.5)
            quantiles = {q: [row[f"attention_{q}"] for row in curve] for q in ("q10", "q50", "q90", "mean")}
            axes[1, column].fill_between(
                steps, quantiles["q10"], quantiles["q90"], color=COLOURS[0], alpha=0.18, linewidth=0, label="10 to 90 %"
            )
            axes[1, column].plot(steps, quantiles["q50"], color=COLOURS[0], linewidth=1.5, label="median")
            axes[1, column].plot(steps, quantiles["mean"], color=INK, linewidth=1, linestyle="--", label="mean")
            axes[0, column].set_title(f"{title}: {stream}", loc="left", fontsize=11, fontweight="bold")
            axes[1, column].set(xlabel="step", ylim=(0, 1))
        axes[0, 0].set_ylabel("weighted loss terms")
        axes[0, 0].set_ylim(bottom=0)
        axes[1, 0].set_ylabel("attention λ over snippets")
        axes[0, -1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
        axes[1, -1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
        save_figure(figure, path)


def save_figure(figure, path: Path) -> None:
    """Write a PNG atomically and close the figure."""
    with atomic_path(path) as part:
        figure.savefig(part, dpi=130)
    plt.close(figure)
