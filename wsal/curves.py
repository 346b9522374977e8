"""The curves of a run: losses and attention over the steps, as rows, as CSV, and as a warning in words."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

COLUMNS = ("stream", "step", "loss", "fg", "bg", "guide", "cluster", "sparsity",
           "attention_mean", "attention_q10", "attention_q50", "attention_q90")  # fmt: skip


def averages(attention: np.ndarray) -> dict[str, float]:
    """Mean and spread of the attention over snippets (N,)."""
    low, middle, high = np.quantile(attention, [0.1, 0.5, 0.9]).tolist()
    mean = float(attention.mean(dtype=np.float64))
    return {"attention_mean": mean, "attention_q10": low, "attention_q50": middle, "attention_q90": high}


def collapse_warnings(rows: Iterable[dict]) -> list[str]:
    """In words, what the last row of each stream says of an attention that tells no snippet from another."""
    last = {row["stream"]: row for row in rows}
    warnings = []
    for stream, row in last.items():
        if row["attention_q10"] > 0.9:
            warnings.append(f"the {stream} attention is near 1 everywhere, so every threshold returns the whole video")
        elif row["attention_q90"] < 0.05:
            warnings.append(f"the {stream} attention is near 0 everywhere, so few proposals are left")
        elif row["attention_q90"] - row["attention_q10"] < 0.05:
            warnings.append(
                f"the {stream} attention hardly differs between snippets (near {row['attention_mean']:.2f})"
            )
    return [f"{text}; try --pool norm, --centre 8, other --loss-weights or more steps" for text in warnings]


def curves_csv(rows: Iterable[dict]) -> str:
    """The curves as CSV: weighted terms of the loss, averaged since the row before, and lambda's mean and quantiles."""
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
