"""Decisions: what a person judged of a clip, one at a time (the review page) or in bulk (`plusmv decide --from F.csv`).

Rows are only ever added. keep and mistagged belong to a clip under one action, duplicate and unusable to the clip. A
clip that shows another action than its tag's is mistagged here and a keep there: two decisions.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from plusmv.core.actions import THUMOS14
from plusmv.core.errors import BadInput, Missing, PlusmvError, Refused
from plusmv.core.limits import LIST_BYTES
from plusmv.core.parsing import finite_number
from plusmv.core.reading import csv_rows
from plusmv.core.text import bounded_line, printable
from plusmv.db.models import Action, Clip, Decision, How, Verdict
from plusmv.db.queries import clips_by_name, live_decisions, save_actions
from plusmv.db.session import Catalog

VERDICTS = (Verdict.KEEP, Verdict.MISTAGGED, Verdict.DUPLICATE, Verdict.UNUSABLE)
OF_AN_ACTION = (Verdict.KEEP, Verdict.MISTAGGED)
COLUMNS = ("clip", "action", "verdict", "annotator", "seconds", "reason")
REASON_LENGTH = 2000
SHOWN_ERRORS = 10


def decide(
    session: Session,
    clip_id: int,
    verdict: str,
    annotator: str,
    action_id: int | None = None,
    seconds: float | None = None,
    reason: str = "",
    how: How | None = None,
    request_id: str | None = None,
) -> Decision:
    """Add one decision. The newest of a clip counts (db.queries.verdicts).

    action_id: needed for keep and mistagged, dropped for duplicate and unusable. seconds: the time it took. request_id:
    idempotency key: a request that is sent again is recorded once (review.idempotency).
    Raises BadInput for an invalid verdict, annotator or seconds, Missing where clip or action is not there.
    """
    verdict = _verdict(verdict)
    if verdict not in OF_AN_ACTION:
        action_id = None
    elif action_id is None:
        raise BadInput(f"{verdict} needs the action that the clip was judged for")
    if session.get(Clip, clip_id) is None:
        raise Missing(f"the catalog has no clip {clip_id}")
    if action_id is not None and session.get(Action, action_id) is None:
        raise Missing(f"the catalog has no action {action_id}")
    decision = Decision(
        clip_id=clip_id,
        action_id=action_id,
        verdict=verdict,
        annotator=_annotator(annotator),
        seconds=_seconds(seconds),
        reason=bounded_line(reason, REASON_LENGTH),
        how=how,
        request_id=request_id,
    )
    session.add(decision)
    session.flush()
    return decision


def undo(session: Session, decision_id: int, annotator: str, request_id: str | None = None) -> Decision:
    """Take a decision back: a new row of verdict UNDO that names it. Undoing an undo or undoing twice is Refused."""
    taken_back = session.get(Decision, decision_id)
    if taken_back is None:
        raise Missing(f"the catalog has no decision {decision_id}")
    if taken_back.verdict == Verdict.UNDO:
        raise Refused("an undo cannot be undone; decide again instead")
    try:
        with session.begin_nested():  # the database itself sees to it that of two undos at once one wins
            row = Decision(
                clip_id=taken_back.clip_id,
                action_id=taken_back.action_id,
                verdict=Verdict.UNDO,
                annotator=_annotator(annotator),
                undoes=taken_back,
                request_id=request_id,
            )
            session.add(row)
    except IntegrityError as error:
        raise Refused(f"decision {decision_id} is undone already") from error
    return row


@dataclass(frozen=True)
class Ruling:
    """One checked line of a decisions file. `action` is a name, None where the verdict is the clip's."""

    line: int
    name: str  # what the line calls the clip
    clip_id: int
    action: str | None
    verdict: Verdict
    annotator: str
    seconds: float | None
    reason: str


class DecisionRow(TypedDict):
    """A row of the CSV that `plusmv decide --from` reads."""

    clip: str  # sha256, or a post's platform id
    action: str  # empty for duplicate and unusable
    verdict: str
    annotator: str
    seconds: NotRequired[str]  # that the decision took
    reason: NotRequired[str]


class DecideResult(TypedDict):
    """The JSON of `plusmv decide`: rows = recorded + skipped."""

    rows: int
    recorded: int
    skipped: int


def decide_from_csv(catalog: Catalog, path: Path) -> DecideResult:
    """Record the decisions of a CSV (clip, action, verdict, annotator[, seconds, reason]), all of them or none.

    clip: a sha256 or a post's platform id. action: a name of the catalog's or of THUMOS14.
    A line is skipped where it is what this annotator said last of that clip: the same file twice is recorded once. A
    post called duplicate whose very content another line keeps under another name is skipped too: posts of one
    content are one clip. Raises BadInput naming the lines at fault.
    """
    lines = list(csv_rows(path, COLUMNS, ("clip", "verdict", "annotator"), LIST_BYTES))
    with catalog.reading() as session:
        rulings = _checked(session, path, lines)
    with catalog.writing() as session:
        recorded = _record(session, rulings)
    return {"rows": len(lines), "recorded": recorded, "skipped": len(lines) - recorded}


def _record(session: Session, rulings: Sequence[Ruling]) -> int:
    for clip_id in sorted({ruling.clip_id for ruling in rulings}):  # one at a time on PostgreSQL
        session.execute(select(Clip.id).where(Clip.id == clip_id).with_for_update())
    action_ids = _action_ids(session, rulings)
    standing = live_decisions().where(Decision.annotator.in_({ruling.annotator for ruling in rulings}))
    said: dict[tuple[str, int], dict[int | None, str]] = {}  # (annotator, clip) -> {action or None: verdict}, in order
    for decision in session.scalars(standing.order_by(Decision.id)):
        _say(said.setdefault((decision.annotator, decision.clip_id), {}), decision.action_id, decision.verdict)
    recorded = 0
    for ruling in rulings:
        action_id = action_ids.get(ruling.action)
        before = said.setdefault((ruling.annotator, ruling.clip_id), {})
        if before.get(action_id) != ruling.verdict:
            decide(
                session,
                ruling.clip_id,
                ruling.verdict,
                ruling.annotator,
                action_id,
                ruling.seconds,
                ruling.reason,
                How.FILE,
            )
            _say(before, action_id, ruling.verdict)
            recorded += 1
    return recorded


def _say(said: dict[int | None, str], action_id: int | None, verdict: str) -> None:
    """The newest word counts: one on the clip as a whole takes the place of all before, one under an action of that."""
    if action_id is None:
        said.clear()
    else:
        said.pop(None, None)
    said[action_id] = verdict


def _action_ids(session: Session, rulings: Iterable[Ruling]) -> dict[str | None, int]:
    """{name: id} of the actions ruled on; one of THUMOS14 that no crawl has asked for yet is made."""
    names = {ruling.action for ruling in rulings if ruling.action is not None}
    save_actions(session, [action for action in THUMOS14 if action.name in names])
    return {row.name: row.id for row in session.scalars(select(Action).where(Action.name.in_(names)))}


def _checked(session: Session, path: Path, lines: Iterable[tuple[int, dict[str, str]]]) -> list[Ruling]:
    """Every line as a ruling, or BadInput with the first lines at fault."""
    actions = {name.casefold(): name for name in (*session.scalars(select(Action.name)), *(a.name for a in THUMOS14))}
    clips: dict[str, int] = {}
    rulings, faults = [], []
    for number, cells in lines:
        try:
            rulings.append(_ruling(session, number, cells, actions, clips))
        except PlusmvError as error:
            faults.append(f"line {number}: {error}")
    rulings = _without_reposts(rulings)
    faults += _contradictions(rulings)
    if faults:
        more = f" (and {len(faults) - SHOWN_ERRORS} more lines)" if len(faults) > SHOWN_ERRORS else ""
        raise BadInput(f"nothing was recorded from {path}: " + "; ".join(faults[:SHOWN_ERRORS]) + more)
    return rulings


def _without_reposts(rulings: Iterable[Ruling]) -> list[Ruling]:
    """Leave out the duplicates whose very content is judged under another name: posts of one content are one clip."""
    judged = defaultdict(set)
    for ruling in rulings:
        if ruling.action is not None:
            judged[ruling.annotator, ruling.clip_id].add(ruling.name)

    def repost(ruling: Ruling) -> bool:
        names = judged.get((ruling.annotator, ruling.clip_id), ())
        return ruling.verdict == Verdict.DUPLICATE and bool(names) and ruling.name not in names

    return [ruling for ruling in rulings if not repost(ruling)]


def _contradictions(rulings: Iterable[Ruling]) -> Iterator[str]:
    """Lines of one annotator that cannot both hold: under one action, or under one and of the clip as a whole."""
    spoken: dict[tuple[str, int], dict[str | None, Ruling]] = {}
    for ruling in rulings:
        before = spoken.setdefault((ruling.annotator, ruling.clip_id), {})
        for earlier in before.values():
            same = earlier.action == ruling.action or None in (earlier.action, ruling.action)
            if same and earlier.verdict != ruling.verdict:
                yield f"line {ruling.line}: says {ruling.verdict} where line {earlier.line} says {earlier.verdict}"
                break
        before.setdefault(ruling.action, ruling)


def _ruling(
    session: Session, line: int, cells: Mapping[str, str], actions: Mapping[str, str], clips: dict[str, int]
) -> Ruling:
    cells = {name: value.strip() for name, value in cells.items()}
    verdict = _verdict(cells["verdict"])
    action = None
    if verdict in OF_AN_ACTION:
        action = actions.get(cells.get("action", "").casefold())
        if action is None:
            raise BadInput(f"{verdict} needs a known action, not {cells.get('action', '')[:60]!r}")
    name = cells["clip"]
    if name not in clips:
        clips[name] = _clip_id(session, name)
    seconds = _seconds(cells.get("seconds") or None)
    return Ruling(
        line, name, clips[name], action, verdict, _annotator(cells["annotator"]), seconds, cells.get("reason", "")
    )


def _clip_id(session: Session, name: str) -> int:
    found = clips_by_name(session, printable(name, 500))
    if len(found) == 1:
        return found[0].id
    if not found:
        raise BadInput(f"no clip is called {name[:100]!r}; give a sha256 or a post's id")
    raise BadInput(f"{len(found)} clips are called {name[:100]!r}; give the sha256")


def _verdict(text: str) -> Verdict:
    if text not in VERDICTS:
        raise BadInput(f"verdict {text[:40]!r} is none of {', '.join(VERDICTS)}")
    return Verdict(text)


def _annotator(name: str) -> str:
    plain = bounded_line(name, 201)
    if not plain or len(plain) > 200:
        raise BadInput("the annotator must be a name of 1 to 200 characters")
    return plain


def _seconds(value: float | str | None) -> float | None:
    if value is None:
        return None
    try:
        seconds = finite_number(value)
    except BadInput as error:
        raise BadInput(f"seconds: {error}") from error
    if seconds < 0:
        raise BadInput(f"seconds must be a number from 0, not {seconds:g}")
    return seconds
