"""How far curation has come: the report, and with it what is left, whether an action may be left, and when was decided.

Everything that a person looks at on the labeler's progress page, and its tables as CSV.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session

from plusmv.core.errors import PlusmvError
from plusmv.curate.ranking.stopping import stopping
from plusmv.curate.report.agreement import Agreement, AnnotatorCounts, Pace
from plusmv.curate.report.audit import Purity
from plusmv.curate.report.summary import ActionCounts, report
from plusmv.db.models import Action, Decision, now
from plusmv.db.queries import live_decisions
from plusmv.db.session import Catalog

PAPER = {"lowest": 0.15, "highest": 0.89, "mean": 0.45, "seconds_per_clip": 3.6}  # section 4: 2,000 clips in < 2 hours
Row = dict[str, Any]


class ActionProgress(ActionCounts):
    decided: int
    seconds_left: float | None  # at the action's own pace, else at that of all actions; None where neither is known


class Hour(TypedDict):
    hour: str  # UTC: 2026-11-25 07
    how: str
    decisions: int
    seconds: float


class ProgressResult(TypedDict):
    """The report (curate.report.summary) with what is left, when was decided, and the time of all this."""

    actions: dict[str, ActionProgress]
    totals: ActionProgress
    purity: Purity
    agreement: Agreement
    annotators: dict[str, AnnotatorCounts]
    pace: dict[str, Pace]
    over_time: list[Hour]
    paper: dict[str, float]
    at: str


def progress(catalog: Catalog) -> ProgressResult:
    """The report, and how far from the end it is."""
    result = report(catalog)
    overall = result["totals"]["seconds_per_clip"]
    actions = {name: _with_rest(row, overall) for name, row in result["actions"].items()}
    left = [row["seconds_left"] for row in actions.values()]
    totals = _with_rest(result["totals"], overall)
    totals["seconds_left"] = None if None in left else sum(seconds for seconds in left if seconds is not None)
    with catalog.reading() as session:
        hours = decisions_over_time(session)
    return {
        "actions": actions,
        "totals": totals,
        "purity": result["purity"],
        "agreement": result["agreement"],
        "annotators": result["annotators"],
        "pace": result["pace"],
        "over_time": hours,
        "paper": PAPER,
        "at": now().isoformat(timespec="seconds"),
    }


def _with_rest(row: ActionCounts, overall: float | None) -> ActionProgress:
    pace = overall if row["seconds_per_clip"] is None else row["seconds_per_clip"]
    left = 0.0 if not row["undecided"] else None if pace is None else row["undecided"] * pace
    return {**row, "decided": row["clips"] - row["undecided"], "seconds_left": left}


def stop_words(catalog: Catalog) -> dict[str, str]:
    """{action: whether it may be left, in words} (ranking.stopping): slow, so it is computed apart."""
    with catalog.reading() as session:
        ids = session.execute(select(Action.name, Action.id)).all()
        return {name: _words(session, action_id) for name, action_id in ids}


def decisions_over_time(session: Session) -> list[Hour]:
    """The standing decisions by hour and how they were made, oldest first."""
    if session.get_bind().dialect.name == "postgresql":
        hour = func.to_char(func.timezone("UTC", Decision.decided_at), "YYYY-MM-DD HH24")
    else:
        hour = func.substr(cast(Decision.decided_at, String), 1, 13)
    named = live_decisions().with_only_columns(hour.label("hour"), Decision.how, Decision.seconds).subquery()
    sums = select(named.c.hour, named.c.how, func.count(), func.sum(named.c.seconds))
    rows = session.execute(sums.group_by(named.c.hour, named.c.how).order_by(named.c.hour, named.c.how))
    return [
        {"hour": hour, "how": str(how or "unknown"), "decisions": count, "seconds": seconds or 0.0}
        for hour, how, count, seconds in rows
    ]


def tables(result: ProgressResult, stops: Mapping[str, str]) -> dict[str, list[Row]]:
    """The results of `progress` and `stop_words` as tables, {name: rows}: the page's, and those of its CSV files."""
    return {
        "actions": [_action_row(result, stops, name, row) for name, row in result["actions"].items()],
        "annotators": [{"annotator": name, **row} for name, row in result["annotators"].items()],
        "pace": [{"how": how, **row} for how, row in result["pace"].items()],
        "agreement": [{"action": name, **row} for name, row in result["agreement"]["actions"].items()],
        "disagreements": [
            {
                "action": one["action"],
                "clip": one["clip"],
                "verdicts": "; ".join(f"{who}: {said}" for who, said in one["verdicts"].items()),
            }
            for one in result["agreement"]["disagreements"]
        ],
        "over_time": [{**hour} for hour in result["over_time"]],
    }


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with equal keys as CSV; what is not known is empty, and no cell is a formula to a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if rows:
        writer.writerow(rows[0])
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    is_formula = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return "" if value is None else f"'{value}" if is_formula else value


def _action_row(result: ProgressResult, stops: Mapping[str, str], name: str, row: Mapping[str, Any]) -> Row:
    pure: Mapping[str, Any] = result["purity"]["actions"].get(name, {})
    shared: Mapping[str, Any] = result["agreement"]["actions"].get(name, {})
    shown = ("clips", "decided", "kept", "mistagged", "duplicate", "unusable", "undecided", "retention",
             "seconds_per_clip", "seconds_left")  # fmt: skip
    return {
        "action": name,
        **{column: row[column] for column in shown},
        "audited": pure.get("audited", 0),
        "purity": pure.get("purity"),
        "purity_lower": pure.get("lower"),
        "purity_upper": pure.get("upper"),
        "judged_twice": shared.get("clips", 0),
        "agreed": shared.get("agreed"),
        "kappa": shared.get("kappa"),
        "stop_rule": stops.get(name, ""),
    }


def _words(session: Session, action_id: int) -> str:
    try:
        return stopping(session, action_id).words
    except PlusmvError as error:  # nothing to be calibrated on yet, or no ranking
        return str(error)
