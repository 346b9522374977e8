"""What the labeler's browser sends: verdicts and undos, each recorded once however often it is sent, in order.

An entry carries an id that the browser made up. A verdict that names another action is two decisions, mis-tagged here
and a keep there, and one undo takes both back.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from plusmv.core.errors import BadInput, Refused
from plusmv.core.parsing import finite_number
from plusmv.curate.review import decisions
from plusmv.curate.review.idempotency import Row, idempotency_keys, is_recorded, read_id, rows_beside, rows_of_request
from plusmv.curate.review.leases import ClipAction, release
from plusmv.curate.review.queue import is_judged_twice, lease_again
from plusmv.curate.review.undo import undo_request
from plusmv.db.models import Action, Clip, Decision, How, Verdict
from plusmv.db.queries import live_decisions

AWAY_S = 120.0  # of active time: whoever takes longer went away, and that time is not recorded as work


@dataclass(frozen=True)
class Entry:
    """One verdict or undo. `revises`: the standing decision that this one supersedes, or the request of the undo
    after which it was made."""

    request_id: str
    pair: ClipAction | None = None  # of a verdict
    verdict: str = ""
    seconds: float | None = None
    reason: str = ""
    other_action: int | None = None
    how: How = How.SINGLE
    revises: int | str | None = None
    undoes: str | int | None = None  # a request's id, or a decision's


def read_entry(sent: Mapping[str, Any]) -> Entry:
    """An entry from JSON. Raises BadInput for an invalid one."""
    try:
        clip_id = sent.get("clip")
        pair = None if clip_id is None else ClipAction(read_id(clip_id), read_id(sent["action"]))
        revises, other = sent.get("revises"), sent.get("other")
        undoes = sent.get("undo")
        return Entry(
            request_id=str(uuid.UUID(sent["id"])),
            pair=pair,
            verdict=str(sent.get("verdict", "")),
            seconds=read_seconds(sent.get("seconds")),
            reason=str(sent.get("reason") or ""),
            other_action=None if other is None else read_id(other),
            how=How(sent.get("how", How.SINGLE)),
            revises=_read_row(revises),
            undoes=_read_row(undoes),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadInput(f"invalid entry of the labeler: {error}") from error


def _read_row(sent: Any) -> int | str | None:
    """A decision's id, or that of a request."""
    return None if sent is None else read_id(sent) if isinstance(sent, int) else str(uuid.UUID(sent))


def read_seconds(sent: Any) -> float | None:
    """Active seconds; None where they are unknown, or so many that the person was away."""
    seconds = None if sent is None else finite_number(sent)
    return None if seconds is None or not 0 <= seconds <= AWAY_S else seconds


def record(session: Session, entry: Entry, annotator: str, overlap: float = 0.0) -> None:
    """Record an entry, or find it recorded. Raises Refused where somebody else was faster."""
    if is_recorded(session, entry.request_id):
        return
    try:
        if entry.undoes is not None:
            undone = undo_request(session, _named(session, entry.undoes), annotator, idempotency_keys(entry.request_id))
            lease_again(session, undone, annotator)
        elif entry.pair is None:
            raise BadInput("an entry needs a clip, or what it undoes")
        else:
            _judge(session, entry, entry.pair, annotator, overlap)
    except Refused:
        if not is_recorded(session, entry.request_id):  # else sent twice at once, and the other came first (PostgreSQL)
            raise


def standing(session: Session, pair: ClipAction, annotator: str | None = None) -> Decision | None:
    """The newest decision that stands for this pair: of the clip under this action, or of the clip as a whole."""
    return next((row for row in _standing(session, pair) if annotator in (None, row.annotator)), None)


def _standing(session: Session, pair: ClipAction) -> list[Decision]:
    """All decisions that stand for a pair, newest first."""
    of_pair = or_(Decision.action_id == pair.action_id, Decision.action_id.is_(None))
    newest_first = live_decisions().where(Decision.clip_id == pair.clip_id, of_pair).order_by(Decision.id.desc())
    return list(session.scalars(newest_first))


def _judge(session: Session, entry: Entry, pair: ClipAction, annotator: str, overlap: float) -> None:
    lock = select(Clip.sha256).where(Clip.id == pair.clip_id).with_for_update()  # one at a time on PostgreSQL
    sha256 = session.scalar(lock)
    if sha256 is None:
        raise Refused("this clip is not in the catalog any more")
    ids = idempotency_keys(entry.request_id)
    own_id = next(ids)
    _supersede_previous(session, entry, pair, annotator, is_judged_twice(sha256, overlap), ids)
    decisions.decide(
        session,
        pair.clip_id,
        entry.verdict,
        annotator,
        pair.action_id,
        entry.seconds,
        entry.reason,
        entry.how,
        own_id,
    )
    if entry.verdict == Verdict.MISTAGGED and entry.other_action is not None and entry.other_action != pair.action_id:
        corrected = ClipAction(pair.clip_id, entry.other_action)
        _record_corrected_label(session, corrected, entry.how, annotator, next(ids))
    release(session, pair)


def _supersede_previous(
    session: Session, entry: Entry, pair: ClipAction, annotator: str, judged_twice: bool, ids: Iterator[str]
) -> None:
    """Undo what the entry revises, and what was decided of the clip with it.

    Raises Refused where a decision stands that the entry does not know of.
    """
    rows = _standing(session, pair)
    if not rows or (entry.how == How.AUDIT and rows[0].verdict == Verdict.KEEP):
        return
    revised = _revised(session, entry, rows, annotator)
    if revised:
        beside = {each for row in revised for each in rows_beside(session, row) if isinstance(each, Decision)}
        of_clip = [row for row in beside if row.clip_id == pair.clip_id and row.annotator == revised[0].annotator]
        for row in sorted(of_clip, key=lambda row: row.id):  # as they are decided again if this is undone
            if row.verdict != Verdict.UNDO and not row.undone_by:
                decisions.undo(session, row.id, annotator, next(ids))
        return
    judges = {row.annotator for row in rows}
    if not judged_twice or annotator in judges or len(judges) != 1:
        raise Refused(f"this clip was decided already: {rows[0].verdict} by {rows[0].annotator}")


def _revised(session: Session, entry: Entry, rows: Sequence[Decision], annotator: str) -> list[Decision]:
    """Of the decisions that stand for a pair, newest first, those that the entry knows of: all of one person.

    After an undo that is what the person's earlier decisions say, or what the undo itself brought back.
    """
    own = [row for row in rows if row.annotator == annotator]
    if isinstance(entry.revises, str):
        made = rows_of_request(session, entry.revises)
        undo = [row.id for row in made if isinstance(row, Decision) and row.annotator == annotator]
        return own if undo and own and own[0].id <= max(undo) else []
    if own and own[0].id == entry.revises:
        return own
    return [row for row in rows if row.annotator == rows[0].annotator] if rows[0].id == entry.revises else []


def _record_corrected_label(session: Session, pair: ClipAction, how: How, annotator: str, row_id: str) -> None:
    """The clip shows another action: a keep under that one, unless somebody has judged it there already."""
    if session.get(Action, pair.action_id) is None:
        raise Refused("the action that was named is not in the catalog any more")
    if standing(session, pair) is None:
        decisions.decide(
            session,
            pair.clip_id,
            Verdict.KEEP,
            annotator,
            pair.action_id,
            how=how,
            request_id=row_id,
        )
        release(session, pair)


def _named(session: Session, undone: str | int) -> list[Row]:
    """The rows of a request, or of that which a decision came of."""
    if isinstance(undone, str):
        return rows_of_request(session, undone)
    decision = session.get(Decision, undone)
    return rows_beside(session, decision) if decision else []
