"""An experiment's result: one table for each way of detection, with mean and sd over seeds, as JSON and as Markdown."""

from collections.abc import Sequence
from typing import Any, Generic, TypedDict, TypeVar

import numpy as np

from plusmv.core.outcome import Ended
from plusmv.wsal.detect import DetectionSettingsEntry
from plusmv.wsal.experiment_scores import AVERAGED, MEASURES, Score, Scored
from plusmv.wsal.experiments import ORDER_NOTE, Plan, digest_of, settings_of, versions
from plusmv.wsal.significance import difference
from plusmv.wsal.supervised import SUPERVISED, WHOLE
from plusmv.wsal.training_cost import Cost
from plusmv.wsal.training_set import TrainingSet
from plusmv.wsal.worlds import HeldFeatures, World

SHOWN = {".1": 0, ".3": 2, ".5": 4, ".7": 6}  # tIoU -> its place in mAP
COLUMNS = (*SHOWN, ".1:.7", "top-1", "collapsed", "Δ at .5 [95 %]", "p")
COST_COLUMNS = ("seconds", "peak MB")
PROTOCOL = "activitynet, tIoU .1 to .9"
Value = TypeVar("Value")


class MeanAndSd(TypedDict, Generic[Value]):
    """Over the seeds of a row."""

    mean: Value
    sd: Value | None  # with n - 1; None for one seed


class TableRow(TypedDict):
    """One row of an experiment's table."""

    row: str
    seeds: int
    mAP: MeanAndSd[list[float]]  # at tIoU .1 to .9
    average: MeanAndSd[float]  # mean mAP of tIoU .1 to .7
    top1: MeanAndSd[float] | None  # None for rows without a classifier of videos
    attention: MeanAndSd[list[float]] | None  # 10 %, mean and 90 %
    collapsed: int  # of its seeds; they count in every mean


class Comparison(TypedDict):
    """A row against the base row, by paired bootstrap over test videos and seeds."""

    row: str
    base: str
    measure: str
    difference: float
    low: float  # of the 95 % interval
    high: float
    p: float  # of no difference, two-sided


class ScoreTable(TypedDict):
    """The rows of an experiment under one way of detection."""

    proposals: str
    rows: list[TableRow]
    comparisons: list[Comparison]


class ExperimentResult(Ended):
    """What `plusmv experiment --json` prints and writes as NAME.json; done, failed: videos used, and left out."""

    experiment: str
    world: str
    features: str  # what they are, or their folders
    timeline: str  # where the annotations come from
    judged: list[str] | None  # classes whose mean AP is the mAP; None: all
    settings: dict[str, dict[str, Any]]  # row -> its settings, see wsal.settings
    detection: dict[str, dict[str, DetectionSettingsEntry]]  # row -> way -> how it detects
    seeds: int
    training_videos: int
    test_videos: int
    left_out: dict[str, str]  # video or clip -> why it takes no part
    data: dict[str, str]  # sha256 of the training and the test videos, segments and features
    versions: dict[str, str]  # of what computed it
    training: dict[str, Cost]  # method -> what training all of its runs took
    protocol: str
    note: str
    tables: list[ScoreTable]
    warnings: list[str]  # about runs whose attention collapsed
    scores: list[Score]


def result_of(
    name: str, plan: Plan, world: World, features: HeldFeatures, training: TrainingSet, scored: Sequence[Scored]
) -> ExperimentResult:
    """Everything but what the training took."""
    usable, lacking = features.read_all(world.test.values())
    left_out = training.left_out | lacking | dict(world.left_out)
    rows = [*plan.rows, SUPERVISED, WHOLE]
    scores = sorted((each.score for each in scored), key=lambda s: (rows.index(s["row"]), s["seed"]))
    return {
        "experiment": name,
        "world": world.name,
        "features": world.words,
        "timeline": world.timeline,
        "judged": list(world.judged) if world.judged else None,
        "settings": settings_of(plan),
        "detection": {row: {way: each.to_json() for way, each in ways.items()} for row, ways in plan.ways.items()},
        "seeds": plan.seeds,
        "training_videos": len(training.videos),
        "test_videos": len(world.test),
        "done": len(training.videos) + len(usable),
        "skipped": 0,
        "failed": len(left_out),
        "left_out": left_out,
        "data": {"training": training.digest(), "test": digest_of(world.test, usable)},
        "versions": versions(plan),
        "training": {},
        "protocol": PROTOCOL,
        "note": ORDER_NOTE,
        "tables": summarised(scored, rows, plan.base, plan.tables),
        "warnings": collapse_lines(scores),
        "scores": scores,
    }


def summarised(scored: Sequence[Scored], rows: Sequence[str], base: str, ways: Sequence[str]) -> list[ScoreTable]:
    """A table for each way of detection, its rows in this order."""
    return [_table([each for each in scored if each.score["way"] == way], rows, base, way) for way in ways]


def _table(scored: Sequence[Scored], rows: Sequence[str], base: str, way: str) -> ScoreTable:
    of_row = {row: sorted((s for s in scored if s.score["row"] == row), key=lambda s: s.score["seed"]) for row in rows}
    drawn = {row: np.stack([each.drawn for each in runs]) for row, runs in of_row.items() if runs}  # (S, R+1, 2)
    compared = [_compared(row, base, drawn, place) for row in drawn if row != base for place in range(len(MEASURES))]
    return {
        "proposals": way,
        "rows": [_table_row(row, [each.score for each in runs]) for row, runs in of_row.items() if runs],
        "comparisons": compared if base in drawn else [],
    }


def _compared(row: str, base: str, drawn: dict[str, np.ndarray], place: int) -> Comparison:
    value, low, high, p = difference(drawn[row][..., place], drawn[base][..., place])
    return {
        "row": row, "base": base, "measure": MEASURES[place],
        "difference": value, "low": low, "high": high, "p": p,
    }  # fmt: skip


def _table_row(row: str, scores: Sequence[Score]) -> TableRow:
    tops = [score["top1"] for score in scores if score["top1"] is not None]
    attention = [score["attention"] for score in scores if score["attention"] is not None]
    return {
        "row": row,
        "seeds": len(scores),
        "mAP": _mean_and_sd([score["mAP"] for score in scores]),
        "average": _mean_and_sd([float(np.mean(score["mAP"][AVERAGED])) for score in scores]),
        "top1": _mean_and_sd(tops) if tops else None,
        "attention": _mean_and_sd(attention) if attention else None,
        "collapsed": sum(bool(score["collapse"]) for score in scores),
    }


def _mean_and_sd(values: Sequence[float] | Sequence[list[float]]) -> MeanAndSd[Any]:
    deviation = np.std(values, axis=0, ddof=1).tolist() if len(values) > 1 else None
    return {"mean": np.mean(values, axis=0).tolist(), "sd": deviation}


def collapse_lines(scores: Sequence[Score]) -> list[str]:
    """A line for each run whose attention collapsed, once whatever the ways of detection."""
    lines = [
        f"{each['row']}, seed {each['seed']}: {'; '.join(each['collapse'])}" for each in scores if each["collapse"]
    ]
    return list(dict.fromkeys(lines))


def cells(table: ScoreTable) -> list[list[str]]:
    """The rows of a table as text, mAP in %: the row's name, then COLUMNS."""
    at_half = {each["row"]: each for each in table["comparisons"] if each["measure"] == MEASURES[0]}
    return [
        [
            row["row"],
            *(_percent(row["mAP"]["mean"][at], (row["mAP"]["sd"] or {at: None})[at]) for at in SHOWN.values()),
            _percent(row["average"]["mean"], row["average"]["sd"]),
            f"{100 * row['top1']['mean']:.1f}" if row["top1"] else "",
            f"{row['collapsed']} of {row['seeds']}" if row["attention"] else "",
            *_difference(at_half.get(row["row"])),
        ]
        for row in table["rows"]
    ]


def _percent(mean: float, sd: float | None) -> str:
    return f"{100 * mean:.1f}" + ("" if sd is None else f" ± {100 * sd:.1f}")


def _difference(compared: Comparison | None) -> tuple[str, str]:
    if compared is None:
        return "", ""
    value, low, high = (100 * compared[name] for name in ("difference", "low", "high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]", f"{compared['p']:.3f}"


def cost_cells(result: ExperimentResult) -> list[list[str]]:
    """What the training of each method took, all its runs together: method, seconds, peak memory."""
    return [
        [method, *("" if value is None else f"{value:.0f}" for value in (cost["seconds"], cost["peak_mb"]))]
        for method, cost in result["training"].items()
    ]


def headline(result: ExperimentResult) -> str:
    """What the numbers of a result are of."""
    of = f", judged by {' and '.join(result['judged'])}" if result["judged"] else ""
    return (
        f"World: {result['world']}{of}. Features: {result['features']}. Timeline: {result['timeline']},"
        f" {result['training_videos']} training and {result['test_videos']} test videos."
        f" Last model, {result['protocol']}, mean ± sd over {result['seeds']} seeds; {result['note']}."
    )


def as_markdown(result: ExperimentResult) -> str:
    """The tables of an experiment in Markdown: mAP in %, mean ± sd."""
    lines = [headline(result)]
    for table in result["tables"]:
        lines += ["", f"Detection: {table['proposals']}", "", *markdown(["row", *COLUMNS], cells(table))]
    lines += ["", "Training, all runs of a method:", "", *markdown(["method", *COST_COLUMNS], cost_cells(result))]
    lines += ["", "Settings:", "", *(f"- {row}: {_in_words(each)}" for row, each in result["settings"].items())]
    return "\n".join(lines) + "\n"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in ([*columns], ["---"] * len(columns), *rows)]


def _in_words(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_text(value)}" for name, value in settings.items() if value is not None)


def _text(value: Any) -> str:
    return (
        "+".join(map(str, value))
        if isinstance(value, list)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
