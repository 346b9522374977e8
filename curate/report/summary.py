"""The report: what became of the clips of each action, how long deciding took, how pure it is and who agrees on it.

The paper reports the same of its 2,000 clips: retention 15 to 89 %, 45 % on average, under two hours.
"""

import csv
import io
from collections.abc import Mapping
from typing import TypedDict

from sqlalchemy import func, select

from plusmv.curate.report.agreement import Agreement, AnnotatorCounts, Pace, agreement, annotators, pace
from plusmv.curate.report.audit import Purity, purity
from plusmv.db.models import Action, Decision, Verdict
from plusmv.db.queries import COUNTS, verdicts
from plusmv.db.session import Catalog

TWICE = ("judged_twice", "agreed", "kappa")
COLUMNS = ("clips", *COUNTS.values(), "retention", "seconds_per_clip")


class ActionCounts(TypedDict):
    """The clips of one action, or of all; clips = kept + mistagged + duplicate + unusable + undecided."""

    clips: int
    kept: int
    mistagged: int
    duplicate: int
    unusable: int
    undecided: int
    retention: float | None  # kept / decided; None where nothing is decided
    seconds_per_clip: float | None  # of the decisions that count and were timed


class ReportResult(TypedDict):
    """The JSON of `plusmv report`. A clip counts once under each of its actions; totals are sums over actions."""

    actions: dict[str, ActionCounts]
    totals: ActionCounts
    purity: Purity
    agreement: Agreement
    annotators: dict[str, AnnotatorCounts]
    pace: dict[str, Pace]


def report(catalog: Catalog) -> ReportResult:
    """What became of every action's clips, with report.audit's purity and report.agreement's figures of people."""
    judged = verdicts().subquery("judged")
    per_verdict = (
        select(Action.name, judged.c.verdict, func.count(), func.sum(Decision.seconds), func.count(Decision.seconds))
        .select_from(judged)
        .join(Action, Action.id == judged.c.action_id)
        .join(Decision, Decision.id == judged.c.decision_id, isouter=True)
        .group_by(Action.name, judged.c.verdict)
    )
    tallies: dict[str, _Tally] = {}
    total = _Tally()
    with catalog.reading() as session:
        for name, verdict, clips, seconds, timed in session.execute(per_verdict):
            for tally in (tallies.setdefault(name, _Tally()), total):
                tally.add(verdict, clips, seconds or 0.0, timed)
        rows = {name: tallies[name].row() for name in sorted(tallies)}
        return {
            "actions": rows,
            "totals": total.row(),
            "purity": purity(session, {name: row["kept"] for name, row in rows.items()}),
            "agreement": agreement(session),
            "annotators": annotators(session),
            "pace": pace(session),
        }


class _Tally:
    """The clips of one action, by verdict, and the seconds that were spent on them."""

    def __init__(self) -> None:
        self._clips: dict[Verdict | None, int] = dict.fromkeys(COUNTS, 0)
        self._seconds, self._timed = 0.0, 0

    def add(self, verdict: Verdict | None, clips: int, seconds: float, timed: int) -> None:
        self._clips[verdict] += clips
        self._seconds += seconds
        self._timed += timed

    def row(self) -> ActionCounts:
        clips = sum(self._clips.values())
        decided = clips - self._clips[None]
        return {
            "clips": clips,
            "kept": self._clips[Verdict.KEEP],
            "mistagged": self._clips[Verdict.MISTAGGED],
            "duplicate": self._clips[Verdict.DUPLICATE],
            "unusable": self._clips[Verdict.UNUSABLE],
            "undecided": self._clips[None],
            "retention": self._clips[Verdict.KEEP] / decided if decided else None,
            "seconds_per_clip": self._seconds / self._timed if self._timed else None,
        }


def cells(row: ActionCounts) -> list[str]:
    """A row as people read it: retention in per cent, seconds with one decimal, nothing where nothing is known."""
    figures: Mapping[str, object] = row
    shown = [str(figures[name]) for name in COLUMNS[:-2]]
    retention, seconds = row["retention"], row["seconds_per_clip"]
    return [*shown, "" if retention is None else f"{retention:.0%}", "" if seconds is None else f"{seconds:.1f}"]


def csv_text(result: ReportResult) -> str:
    """A row an action: COLUMNS, then what its audit and its annotators say; empty where nothing is known."""
    audited, agreed = ("audited", "purity", "lower", "upper"), ("clips", "agreed", "kappa")
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("action", *COLUMNS, "audited", "purity", "purity_lower", "purity_upper", *TWICE))
    for name, row in result["actions"].items():
        pure: Mapping[str, object] = result["purity"]["actions"].get(name, {})
        shared: Mapping[str, object] = result["agreement"]["actions"].get(name, {})
        counts: Mapping[str, object] = row
        cells = [*(counts[column] for column in COLUMNS), *map(pure.get, audited), *map(shared.get, agreed)]
        rows.writerow([name, *("" if cell is None else cell for cell in cells)])
    return text.getvalue()


def sentences(result: ReportResult) -> list[str]:
    """Pace, purity, agreement and each annotator's decisions, in words."""
    lines = [
        f"{how}: {row['seconds_per_clip']:.1f} s a clip over {row['timed']} decisions"
        for how, row in result["pace"].items()
        if row["timed"]
    ]
    pure = result["purity"]["all"]
    if pure["audited"]:
        lines.append(
            f"purity of the kept clips by {pure['audited']} audited at random: {pure['purity']:.1%} "
            f"({pure['lower']:.1%} to {pure['upper']:.1%}), of actions that hold {pure['covers']:.0%} of them"
        )
    if result["agreement"]["all"]["clips"]:
        lines.append(f"agreement: {result['agreement']['all']['words']}")
    for name, row in result["annotators"].items():
        lines.append(
            f"{name}: {row['decisions']} decisions in {row['seconds'] / 60:.1f} minutes, {row['undone']} undone"
        )
    return lines
