"""What the labeler's browser sends: verdicts and undos, each recorded once however often it is sent, in order.

An entry carries an id that the browser made up. A verdict that names another action is two decisions, mis-tagged here
and a keep there, and one undo takes both back.
"""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from core.errors import BadInput, Refused
from curate import decisions
from curate.request_rows import request_of, row_ids, rows_of
from curate.work import Pair, is_judged_twice, release
from db.models import Action, Clip, Decision, How, Verdict
from db.queries import live_decisions

AWAY_S = 120.0  # of active time: whoever takes longer went away, and that time is not recorded as work


@dataclass(frozen=True)
class Entry:
    """One thing that a person did. `revises`: the standing decision that this one takes the place of."""

    request_id: str
    pair: Pair | None = None  # of a verdict
    verdict: str = ""
    seconds: float | None = None
    reason: str = ""
    other_action: int | None = None
    how: How = How.SINGLE
    revises: int | None = None
    undoes: str | int | None = None  # a request's id, or a decision's


def read_entry(sent: Mapping[str, Any]) -> Entry:
    """An entry from JSON. Raises BadInput for what is none."""
    try:
        clip_id, action_id = sent.get("clip"), sent.get("action")
        pair = None if clip_id is None else Pair(int(clip_id), int(action_id))
        revises, other = sent.get("revises"), sent.get("other")
        undoes = sent.get("undo")
        return Entry(
            request_id=str(uuid.UUID(sent["id"])),
            pair=pair,
            verdict=str(sent.get("verdict", "")),
            seconds=read_seconds(sent.get("seconds")),
            reason=str(sent.get("reason") or ""),
            other_action=None if other is None else int(other),
            how=How(sent.get("how", How.SINGLE)),
            revises=None if revises is None else int(revises),
            undoes=undoes if undoes is None or isinstance(undoes, int) else str(uuid.UUID(undoes)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"not an entry of the labeler: {error}") from error


def read_seconds(sent: Any) -> float | None:
    """Active seconds; None where nobody knows, or where somebody went away."""
    return None if sent is None or not 0 <= float(sent) <= AWAY_S else float(sent)


def record(session: Session, entry: Entry, annotator: str, overlap: float = 0.0) -> Decision:
    """Record an entry, or find it recorded. Raises Refused where it cannot hold any more: somebody else was faster."""
    known = _recorded(session, entry.request_id)
    if known:
        return known
    try:
        if entry.undoes is not None:
            return _undo(session, entry, annotator, row_ids(entry.request_id))
        if entry.pair is None:
            raise BadInput("an entry needs a clip, or what it undoes")
        return _judge(session, entry, entry.pair, annotator, overlap)
    except Refused:
        known = _recorded(session, entry.request_id)  # sent twice at once, and the other came first (PostgreSQL)
        if known:
            return known
        raise


def standing(session: Session, pair: Pair, annotator: str | None = None) -> Decision | None:
    """The newest decision that stands for this pair: of the clip under this action, or of the clip as a whole."""
    of_pair = or_(Decision.action_id == pair.action_id, Decision.action_id.is_(None))
    newest_first = live_decisions().where(Decision.clip_id == pair.clip_id, of_pair).order_by(Decision.id.desc())
    if annotator is not None:
        newest_first = newest_first.where(Decision.annotator == annotator)
    return session.scalar(newest_first.limit(1))


def _judge(session: Session, entry: Entry, pair: Pair, annotator: str, overlap: float) -> Decision:
    lock = select(Clip.sha256).where(Clip.id == pair.clip_id).with_for_update()  # one at a time on PostgreSQL
    sha256 = session.scalar(lock)
    if sha256 is None:
        raise Refused("this clip is not in the catalog any more")
    _make_way(session, entry, pair, annotator, is_judged_twice(sha256, overlap))
    ids = row_ids(entry.request_id)
    made = decisions.decide(
        session,
        pair.clip_id,
        entry.verdict,
        annotator,
        pair.action_id,
        entry.seconds,
        entry.reason,
        entry.how,
        next(ids),
    )
    if entry.verdict == Verdict.MISTAGGED and entry.other_action not in (None, pair.action_id):
        _keep_there(session, entry, pair, annotator, next(ids))
    release(session, pair)
    return made


def _make_way(session: Session, entry: Entry, pair: Pair, annotator: str, judged_twice: bool) -> None:
    """Take back what the entry revises; refuse where a decision stands that it does not know of."""
    earlier = standing(session, pair)
    if earlier is None or (entry.how == How.AUDIT and earlier.verdict == Verdict.KEEP):
        return
    if entry.revises == earlier.id:
        decisions.undo(session, earlier.id, annotator)
        return
    second = judged_twice and standing(session, pair, annotator) is None and len(_judges(session, pair)) == 1
    if not second:
        raise Refused(f"this clip was decided already: {earlier.verdict} by {earlier.annotator}")


def _judges(session: Session, pair: Pair) -> set[str]:
    of_pair = or_(Decision.action_id == pair.action_id, Decision.action_id.is_(None))
    rows = live_decisions().where(Decision.clip_id == pair.clip_id, of_pair)
    return {row.annotator for row in session.scalars(rows)}


def _keep_there(session: Session, entry: Entry, pair: Pair, annotator: str, row_id: str) -> None:
    """The clip shows another action: a keep under that one, unless somebody has judged it there already."""
    if session.get(Action, entry.other_action) is None:
        raise Refused("the action that was named is not in the catalog any more")
    there = Pair(pair.clip_id, entry.other_action)
    if standing(session, there) is None:
        decisions.decide(
            session,
            pair.clip_id,
            Verdict.KEEP,
            annotator,
            there.action_id,
            how=entry.how,
            request_id=row_id,
        )
        release(session, there)


def _undo(session: Session, entry: Entry, annotator: str, ids: Iterator[str]) -> Decision:
    """Take back all that stands of what a request recorded."""
    if isinstance(entry.undoes, int):
        named = session.get(Decision, entry.undoes)
    else:
        named = _recorded(session, str(entry.undoes))
    made = [named] if named else []
    if named and named.request_id:
        made = rows_of(session, request_of(named.request_id), Decision)
    made = [one for one in made if not one.undone_by]
    if not made or any(one.annotator != annotator for one in made):
        raise Refused("there is no decision of yours to take back")
    undone = [decisions.undo(session, one.id, annotator, row_id) for one, row_id in zip(made, ids, strict=False)]
    return undone[0]


def _recorded(session: Session, request_id: str) -> Decision | None:
    return session.scalar(select(Decision).where(Decision.request_id == request_id))
