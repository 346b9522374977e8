"""Training curves: losses and attention statistics over the steps, as rows and as CSV, and warnings about them."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

import numpy as np

from plusmv.core.errors import BadInput, one_line
from plusmv.wsal.methods.find import find_method
from plusmv.wsal.methods.method import Symptom
from plusmv.wsal.settings import Settings

LEADING_COLUMNS = ("stream", "step", "loss")  # the terms of the loss follow
ATTENTION_COLUMNS = ("attention_mean", "attention_q10", "attention_q50", "attention_q90", "attention_within")


class CurveRow(TypedDict):
    """A row of curves.csv; beside these columns it has one for each term of the method's loss."""

    stream: str
    step: float
    loss: float  # weighted, averaged since the row before
    attention_mean: float
    attention_q10: float  # quantiles over snippets
    attention_q50: float
    attention_q90: float
    attention_within: NotRequired[float]  # its standard deviation within a video; absent where all are of one snippet


def loss_terms(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """Names of the loss terms in the rows, in order of appearance."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if name not in LEADING_COLUMNS + ATTENTION_COLUMNS]


def attention_statistics(attention: np.ndarray) -> dict[str, float]:
    """Mean and quantiles of the attention over snippets (N,)."""
    low, middle, high = np.quantile(attention, [0.1, 0.5, 0.9]).tolist()
    mean = float(attention.mean(dtype=np.float64))
    return {"attention_mean": mean, "attention_q10": low, "attention_q50": middle, "attention_q90": high}


def collapse_warnings(rows: Iterable[CurveRow], settings: Settings | None = None) -> list[str]:
    """Warnings about streams whose attention does not separate snippets, from the last row of each stream.

    settings: those of the run; with them each warning suggests what to change.
    """
    last = {row["stream"]: row for row in rows}
    warnings = []
    symptom: Symptom
    for stream, row in last.items():
        if row["attention_q10"] > 0.9:
            text, symptom = "is near 1 everywhere, so every threshold returns the whole video", "high"
        elif row["attention_q90"] < 0.05:
            text, symptom = "is near 0 everywhere, so few proposals remain", "low"
        elif row["attention_q90"] - row["attention_q10"] < 0.05:
            text, symptom = f"hardly differs between snippets (near {row['attention_mean']:.2f})", "flat"
        elif row.get("attention_within", 1.0) < 0.02:  # absent in curves of earlier versions
            low, high = row["attention_q10"], row["attention_q90"]
            text, symptom = f"hardly differs within a video: near {low:.2f} in some, near {high:.2f} in others", "high"
        else:
            continue
        advice = f"; try {_advice(settings, symptom)}" if settings else ""
        warnings.append(f"the {stream} attention {text}{advice}")
    return warnings


def _advice(settings: Settings, symptom: Symptom) -> str:
    """The method's own advice, or else what helps every method."""
    own = find_method(settings.method).advice(settings.own, symptom)
    if own:
        return own
    if symptom == "high":
        return f"fewer steps, a smaller --lr{f' or a --centre below {settings.centre:g}' if settings.centre else ''}"
    return f"more steps, or a --centre {f'above {settings.centre:g}' if settings.centre else 'such as 8'}"


def curves_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """The curves as CSV, with the columns of CurveRow and the weighted loss terms."""
    rows, text = list(rows), io.StringIO()
    writer = csv.DictWriter(
        text, [*LEADING_COLUMNS, *loss_terms(rows), *ATTENTION_COLUMNS], restval="", lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_curves(path: Path) -> list[CurveRow]:
    """Rows of a curves.csv; numbers as float, absent terms left out. Raises BadInput for a damaged file."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = [
                {name: value if name == "stream" else float(value) for name, value in row.items() if value}
                for row in csv.DictReader(file)
            ]
    except (ValueError, TypeError, csv.Error) as error:
        reason = f"cannot read the curves {path}: {one_line(error)}"
        raise BadInput(f"{reason}; remove {path.parent} and train again") from error
    return cast("list[CurveRow]", rows)  # curves_csv wrote them
