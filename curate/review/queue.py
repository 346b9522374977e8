"""Work for the labeler: which clips are next, and to whom they are given, so that no two people get the same.

A pair is a clip under one action. Queues are read along an index from the annotator's place (`Cursor`), so that the
next page costs the same among a million clips as among a thousand; within an action the most suspicious come first,
then, in the order they were found, those that no `plusmv rank` has seen.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    exists,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from plusmv.curate.ranking.scores import COMBINED
from plusmv.curate.review.leases import FIRST, SECOND, ClipAction, lease, lease_groups, renew
from plusmv.db.models import Action, Clip, ClipLease, Decision, Post, Sighting, SuspicionScore, Verdict, now
from plusmv.db.queries import live_decisions

SECOND_SHARE = 4  # at most one in four clips of a page is a second opinion
Column = ColumnElement[int] | InstrumentedAttribute[int] | InstrumentedAttribute[int | None]


class HasPlace(Protocol):
    """A group of clips with where it stands in its list."""

    @property
    def place(self) -> Any: ...


Group = TypeVar("Group", bound=HasPlace)


@dataclass(frozen=True)
class QueueFilter:
    """What an annotator wants to see. Without an action: all, the newest first.

    least: the least suspicious first, as a page to accept. search: words of a caption, a tag or an id. overlap: the
    share of clips that two people judge, each without knowing what the other said.
    """

    annotator: str
    action_id: int | None = None
    search: str = ""
    least: bool = False
    overlap: float = 0.0


@dataclass(frozen=True)
class Cursor:
    """Where a queue was left: everything of earlier actions, and up to this score or sighting, has been given out."""

    action_id: int | None = None
    score: float | None = None
    clip_id: int = 0
    sighting_id: int = 0
    second_id: int = 0  # the last decision that a second opinion was asked on


def next_batch(
    session: Session, filters: QueueFilter, count: int, cursor: Cursor = Cursor()
) -> tuple[list[ClipAction], Cursor]:
    """The next undecided pairs, leased to this annotator, and where to go on; put-off ones once nothing else is left.

    From the start (no place) the pairs that this annotator holds already come again: where one was before a reload.
    """
    renew(session, filters.annotator)
    pairs, cursor = _second_opinions(session, filters, count // SECOND_SHARE, cursor)
    pairs = lease(session, filters.annotator, pairs, SECOND)
    found = _undecided(session, filters, count - len(pairs), cursor)
    fresh = [pair for pair, _ in found]
    pairs += lease(session, filters.annotator, fresh, FIRST)
    if found:
        cursor = replace(found[-1][1], second_id=cursor.second_id)
    if not pairs:
        pairs = lease(session, filters.annotator, _put_off(session, filters, count), FIRST)
    return pairs, cursor


def next_groups(
    session: Session,
    after: Any,
    count: int,
    annotator: str,
    more: Callable[[Any, int], Sequence[Group]],
    clips_of: Callable[[Group], Sequence[int]],
) -> list[Group]:
    """The first `count` groups of clips after a place of which nobody else has been given a clip; they are leased.

    more: the next open groups after a place, so many at most, each with its `place`.
    """
    renew(session, annotator)
    found: list[Group] = []
    while len(found) < count and (some := more(after, count - len(found))):
        own = lease_groups(session, [clips_of(group) for group in some], annotator)
        found += [group for group, is_own in zip(some, own, strict=True) if is_own]
        after = some[-1].place
    return found


def lease_again(session: Session, undone: Sequence[Decision], annotator: str) -> None:
    """What was taken back is on this annotator's screen again, and nobody else's meanwhile."""
    pairs = dict.fromkeys(pair for one in undone if (pair := pair_of(session, one)) is not None)
    lease(session, annotator, list(pairs), FIRST)


def to_revisit(session: Session, filters: QueueFilter, verdict: Verdict, count: int, before: int = 0) -> list[Decision]:
    """This annotator's standing decisions of one verdict, newest first, `before` a decision's id.

    Left out is what a newer one of theirs has overruled.
    """
    wanted = live_decisions().where(Decision.annotator == filters.annotator, Decision.verdict == verdict)
    newer = live_decisions().subquery()
    of_pair = or_(newer.c.action_id == Decision.action_id, newer.c.action_id.is_(None), Decision.action_id.is_(None))
    own = and_(newer.c.annotator == filters.annotator, newer.c.clip_id == Decision.clip_id, newer.c.id > Decision.id)
    wanted = wanted.where(~exists().where(own, of_pair))
    if filters.action_id is not None:
        wanted = wanted.where(or_(Decision.action_id == filters.action_id, Decision.action_id.is_(None)))
    if before:
        wanted = wanted.where(Decision.id < before)
    return list(session.scalars(wanted.order_by(Decision.id.desc()).limit(count)))


def last_decisions(session: Session, annotator: str, count: int) -> list[Decision]:
    """The annotator's newest standing decisions, newest first."""
    newest_first = live_decisions().where(Decision.annotator == annotator).order_by(Decision.id.desc())
    return list(session.scalars(newest_first.limit(count)))


def pair_of(session: Session, one: Decision) -> ClipAction | None:
    """The pair that a decision is shown as, also one on the clip as a whole; None where no tag finds the clip now."""
    action_id = one.action_id or action_found_for(session, one.clip_id)
    return None if action_id is None else ClipAction(one.clip_id, action_id)


def action_found_for(session: Session, clip_id: int) -> int | None:
    """An action under which the clip was found: what a verdict on the clip as a whole is shown under."""
    return session.scalar(select(_an_action_of(clip_id)))


def is_judged_twice(sha256: str, overlap: float) -> bool:
    """Whether this content is among the share that two people judge: contents' hashes are as good as random."""
    return sha256 < _bound(overlap)


def _undecided(session: Session, filters: QueueFilter, count: int, cursor: Cursor) -> list[tuple[ClipAction, Cursor]]:
    """Undecided pairs after a place, each with its own place."""
    found: list[tuple[ClipAction, Cursor]] = []
    for action_id in _actions_from(session, filters, cursor):
        at = cursor if action_id == cursor.action_id else Cursor(action_id)
        for pairs in (_by_suspicion, _as_found):
            if len(found) < count:
                found += pairs(session, filters, action_id, count - len(found), at)
    return found


def _actions_from(session: Session, filters: QueueFilter, cursor: Cursor) -> Iterator[int]:
    if filters.action_id is not None:
        yield filters.action_id
        return
    wanted = select(Action.id).order_by(Action.id.desc())
    if cursor.action_id is not None:
        wanted = wanted.where(Action.id <= cursor.action_id)
    yield from session.scalars(wanted)


def _by_suspicion(
    session: Session, filters: QueueFilter, action_id: int, count: int, at: Cursor
) -> list[tuple[ClipAction, Cursor]]:
    if filters.search or at.sighting_id:
        return []
    score, clip_id = SuspicionScore.score, SuspicionScore.clip_id
    of_action = and_(SuspicionScore.action_id == action_id, SuspicionScore.signal == COMBINED)
    wanted = select(clip_id, score).where(of_action, _free(clip_id, action_id, filters))
    if at.score is not None:
        position = tuple_(score, clip_id)
        wanted = wanted.where(position > (at.score, at.clip_id) if filters.least else position < (at.score, at.clip_id))
    wanted = wanted.order_by(*(column if filters.least else column.desc() for column in (score, clip_id)))
    rows = session.execute(wanted.limit(count))
    return [(ClipAction(clip, action_id), Cursor(action_id, value, clip)) for clip, value in rows]


def _as_found(
    session: Session, filters: QueueFilter, action_id: int, count: int, at: Cursor
) -> list[tuple[ClipAction, Cursor]]:
    wanted = (
        select(Sighting.id, Post.clip_id)
        .join(Post, Post.id == Sighting.post_id)
        .where(Sighting.action_id == action_id, Sighting.id > at.sighting_id, Post.clip_id.is_not(None))
        .where(_free(Post.clip_id, action_id, filters))
    )
    if filters.search:
        wanted = wanted.where(_matches(filters.search))
    else:
        scored = (
            (SuspicionScore.clip_id == Post.clip_id)
            & (SuspicionScore.action_id == action_id)
            & (SuspicionScore.signal == COMBINED)
        )
        wanted = wanted.where(~exists().where(scored))
    return _first_of_each(session, wanted, action_id, count)


def _first_of_each(
    session: Session, wanted: Select[int, int | None], action_id: int, count: int
) -> list[tuple[ClipAction, Cursor]]:
    """Rows in the order of sightings, a clip that several posts show once."""
    seen: dict[int, int] = {}
    for sighting_id, clip_id in session.execute(wanted.order_by(Sighting.id).limit(2 * count)):
        if clip_id is not None and (clip_id in seen or len(seen) < count):
            seen.setdefault(clip_id, sighting_id)
    return [(ClipAction(clip, action_id), Cursor(action_id, sighting_id=first)) for clip, first in seen.items()]


def _matches(search: str) -> ColumnElement[bool]:
    pattern = "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    columns = (Post.caption, Post.platform_id, Sighting.tag)
    return or_(*(column.ilike(pattern, escape="\\") for column in columns))


def _free(clip_id: Column, action_id: int, filters: QueueFilter) -> ColumnElement[bool]:
    """No standing decision, and held by nobody else, nor put off by this annotator."""
    lease = and_(ClipLease.clip_id == clip_id, ClipLease.action_id == action_id, ClipLease.slot == FIRST)
    mine = ClipLease.annotator == filters.annotator
    held = or_(~mine & (ClipLease.until > now()), mine & ClipLease.put_off)
    return ~_decided(clip_id, action_id) & ~exists().where(lease, held)


def _decided(clip_id: Column, action_id: int | Column, not_by: ColumnElement[str] | None = None) -> ColumnElement[bool]:
    """Whether a decision of this pair stands (by another annotator than `not_by`)."""
    decision, later = aliased(Decision), aliased(Decision)
    standing = exists().where(
        decision.clip_id == clip_id,
        or_(decision.action_id == action_id, decision.action_id.is_(None)),
        decision.verdict != Verdict.UNDO,
        ~exists().where(later.undoes_id == decision.id),
    )
    return standing if not_by is None else standing.where(decision.annotator != not_by)


def _second_opinions(
    session: Session, filters: QueueFilter, count: int, cursor: Cursor
) -> tuple[list[ClipAction], Cursor]:
    """Pairs of the overlap that one other person has decided."""
    if not filters.overlap or not count:
        return [], cursor
    live = live_decisions().where(Decision.id > cursor.second_id, Decision.annotator != filters.annotator).subquery()
    action_id = func.coalesce(live.c.action_id, _an_action_of(live.c.clip_id))
    wanted = (
        select(live.c.id, live.c.clip_id, action_id)
        .join(Clip, Clip.id == live.c.clip_id)
        .where(Clip.sha256 < _bound(filters.overlap))
        .where(~_decided(live.c.clip_id, action_id, live.c.annotator))
        .order_by(live.c.id)
    )
    if filters.action_id is not None:
        wanted = wanted.where(action_id == filters.action_id)
    rows = session.execute(wanted.limit(count)).all()
    pairs = list(dict.fromkeys(ClipAction(*row[1:]) for row in rows))
    return pairs, replace(cursor, second_id=rows[-1][0]) if rows else cursor


def _an_action_of(clip_id: Column | int) -> ScalarSelect[int]:
    found = select(func.min(Sighting.action_id)).join(Post, Post.id == Sighting.post_id)
    return found.where(Post.clip_id == clip_id).scalar_subquery()


def _bound(overlap: float) -> str:
    return f"{int(overlap * 16**8):08x}" if overlap < 1 else "g"


def _put_off(session: Session, filters: QueueFilter, count: int) -> list[ClipAction]:
    wanted = select(ClipLease.clip_id, ClipLease.action_id).where(
        ClipLease.annotator == filters.annotator,
        ClipLease.put_off,
        ~_decided(ClipLease.clip_id, ClipLease.action_id),
    )
    if filters.action_id is not None:
        wanted = wanted.where(ClipLease.action_id == filters.action_id)
    return [ClipAction(*row) for row in session.execute(wanted.order_by(ClipLease.until).limit(count))]
