"""The curves of a run: losses and attention over the steps, as rows, as CSV, and as a warning in words."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from plusmv.wsal.settings import Settings

COLUMNS = ("stream", "step", "loss", "fg", "bg", "guide", "cluster", "sparsity",
           "attention_mean", "attention_q10", "attention_q50", "attention_q90", "attention_within")  # fmt: skip


def averages(attention: np.ndarray) -> dict[str, float]:
    """Mean and spread of the attention over snippets (N,)."""
    low, middle, high = np.quantile(attention, [0.1, 0.5, 0.9]).tolist()
    mean = float(attention.mean(dtype=np.float64))
    return {"attention_mean": mean, "attention_q10": low, "attention_q50": middle, "attention_q90": high}


def collapse_warnings(rows: Iterable[dict], settings: Settings | None = None) -> list[str]:
    """In words, what the last row of each stream says of an attention that tells no snippet from another.

    settings: what the run was trained with; then what to change in them is told too.
    """
    last = {row["stream"]: row for row in rows}
    warnings = []
    for stream, row in last.items():
        if row["attention_q10"] > 0.9:
            text, advice = "is near 1 everywhere, so every threshold returns the whole video", _lower
        elif row["attention_q90"] < 0.05:
            text, advice = "is near 0 everywhere, so few proposals are left", _higher
        elif row["attention_q90"] - row["attention_q10"] < 0.05:
            text, advice = f"hardly differs between snippets (near {row['attention_mean']:.2f})", _further
        elif row.get("attention_within", 1.0) < 0.02:  # absent in curves of an earlier version
            low, high = row["attention_q10"], row["attention_q90"]
            text, advice = f"hardly differs within a video: near {low:.2f} in some, near {high:.2f} in others", _lower
        else:
            continue
        more = f"; try {_pooling(settings) or advice(settings)}" if settings else ""
        warnings.append(f"the {stream} attention {text}{more}")
    return warnings


def _pooling(settings: Settings) -> str:
    """Division by T ends at attention 1 whatever else is chosen, so that comes first (LOG.md, 2026-11-25)."""
    return "--pool norm" if settings.pool == "mean" else ""


def _lower(settings: Settings) -> str:
    return f"fewer steps, a smaller --lr{f' or a --centre below {settings.centre:g}' if settings.centre else ''}"


def _higher(settings: Settings) -> str:
    if settings.method == "stpn":
        return f"a --sparsity below {settings.sparsity_weight:g}"
    if len(settings.term_weights()) < 4:
        return "all three losses (--loss-weights 0.1,0.1,0.1)"
    return _further(settings)


def _further(settings: Settings) -> str:
    return f"more steps, or a --centre {f'above {settings.centre:g}' if settings.centre else 'such as 8'}"


def curves_csv(rows: Iterable[dict]) -> str:
    """The curves as CSV: weighted terms of the loss, averaged since the row before, lambda's mean and quantiles, and
    its standard deviation within a video."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_curves(path: Path) -> list[dict]:
    """Rows of a curves.csv; numbers as float, absent terms left out."""
    with open(path, encoding="utf-8", newline="") as file:
        return [
            {name: value if name == "stream" else float(value) for name, value in row.items() if value}
            for row in csv.DictReader(file)
        ]
