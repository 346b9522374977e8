"""The report: what became of the clips of each action, how long deciding took, how pure it is and who agrees on it.

The paper reports the same of its 2,000 clips: retention 15 to 89 %, 45 % on average, under two hours.
"""

import csv
import html
import io
from collections.abc import Mapping

from sqlalchemy import func, select

from plusmv.curate.report.agreement import agreement, annotators, pace
from plusmv.curate.report.audit import purity
from plusmv.db.models import Action, Decision, Verdict
from plusmv.db.queries import COUNTS, verdicts
from plusmv.db.session import Catalog

TWICE = ("judged_twice", "agreed", "kappa")
COLUMNS = ("clips", *COUNTS.values(), "retention", "seconds_per_clip")


def report(catalog: Catalog) -> dict:
    """{"actions": {name: {COLUMNS}}, "totals": {COLUMNS}, "purity", "agreement", "annotators", "pace"}.

    A clip counts once under every action it stands for. The last four are those of report.audit and report.agreement.

    clips is the sum of kept to undecided. retention: kept / decided, None where nothing is decided. seconds_per_clip:
    mean over the decisions that count and say how long they took, None where none does. Totals are sums over actions.
    """
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
        self._clips = dict.fromkeys(COUNTS, 0)
        self._seconds, self._timed = 0.0, 0

    def add(self, verdict: Verdict | None, clips: int, seconds: float, timed: int) -> None:
        self._clips[verdict] += clips
        self._seconds += seconds
        self._timed += timed

    def row(self) -> dict[str, int | float | None]:
        clips = sum(self._clips.values())
        decided = clips - self._clips[None]
        return {
            "clips": clips,
            **{name: self._clips[verdict] for verdict, name in COUNTS.items()},
            "retention": self._clips[Verdict.KEEP] / decided if decided else None,
            "seconds_per_clip": self._seconds / self._timed if self._timed else None,
        }


def cells(row: Mapping[str, int | float | None]) -> list[str]:
    """A row as people read it: retention in per cent, seconds with one decimal, nothing where nothing is known."""
    shown = [str(row[name]) for name in COLUMNS[:-2]]
    retention, seconds = row["retention"], row["seconds_per_clip"]
    return [*shown, "" if retention is None else f"{retention:.0%}", "" if seconds is None else f"{seconds:.1f}"]


def csv_text(result: Mapping) -> str:
    """A row an action: COLUMNS, then what its audit and its annotators say; empty where nothing is known."""
    audited, agreed = ("audited", "purity", "lower", "upper"), ("clips", "agreed", "kappa")
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("action", *COLUMNS, "audited", "purity", "purity_lower", "purity_upper", *TWICE))
    for name, row in result["actions"].items():
        pure, said = result["purity"]["actions"].get(name, {}), result["agreement"]["actions"].get(name, {})
        cells = [*(row[column] for column in COLUMNS), *map(pure.get, audited), *map(said.get, agreed)]
        rows.writerow([name, *("" if cell is None else cell for cell in cells)])
    return text.getvalue()


def sentences(result: Mapping) -> list[str]:
    """What else a person wants to know, in words: pace, purity, agreement, who decided what."""
    told = [
        f"{how}: {row['seconds_per_clip']:.1f} s a clip over {row['timed']} decisions"
        for how, row in result["pace"].items()
        if row["timed"]
    ]
    pure = result["purity"]["all"]
    if pure["audited"]:
        told.append(
            f"purity of the kept clips by {pure['audited']} audited at random: {pure['purity']:.1%} "
            f"({pure['lower']:.1%} to {pure['upper']:.1%}), of actions that hold {pure['covers']:.0%} of them"
        )
    if result["agreement"]["all"]["clips"]:
        told.append(f"agreement: {result['agreement']['all']['words']}")
    for name, row in result["annotators"].items():
        told.append(
            f"{name}: {row['decisions']} decisions in {row['seconds'] / 60:.1f} minutes, {row['undone']} undone"
        )
    return told


def html_page(result: Mapping) -> str:
    """The report as one self-contained page."""
    heads = "".join(f"<th>{name.replace('_', ' ')}" for name in ("action", *COLUMNS))
    rows = "".join(_html_row(name, row) for name, row in result["actions"].items())
    return PAGE.format(heads=heads, rows=rows, total=_html_row("all actions", result["totals"]))


def _html_row(name: str, row: Mapping[str, int | float | None]) -> str:
    bar = f"<td><meter max=1 value={row['retention'] or 0:.3f}></meter>"
    return f"<tr><th>{html.escape(name)}" + "".join(f"<td>{cell}" for cell in cells(row)) + bar


PAGE = """<!doctype html><html lang=en><meta charset=utf-8><title>plusmv: clips per action</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 3em auto; max-width: 60em; color: #222; background: #fff }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ padding: .35em .7em; text-align: right; border-bottom: 1px solid #e4e4e4; font-weight: normal }}
th:first-child {{ text-align: left }}
thead th, tfoot th, tfoot td {{ font-weight: 600 }}
</style>
<h1>Clips per action</h1>
<p>Retention is kept / decided. A clip counts under every action it was found or kept for.</p>
<table><thead><tr>{heads}<th></thead><tbody>{rows}</tbody><tfoot>{total}</tfoot></table></html>
"""
