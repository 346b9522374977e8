"""Work for the labeler: which clips are next, and to whom they are given, so that no two people get the same.

A pair is a clip under one action. Queues are read along an index from the annotator's place (`Cursor`), so that the
next page costs the same among a million clips as among a thousand; within an action the most suspicious come first,
then, in the order they were found, those that no `plusmv rank` has seen.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    ColumnElement,
    Delete,
    ScalarSelect,
    Select,
    Update,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, aliased

from plusmv.curate.ranking.scores import COMBINED
from plusmv.db.models import Action, Clip, ClipLease, Decision, Post, Sighting, SuspicionScore, Verdict, now
from plusmv.db.queries import live_decisions

LEASE = timedelta(minutes=15)  # renewed with every page of work
SECOND_SHARE = 4  # at most one in four clips of a page is a second opinion
FIRST, SECOND, GROUP = 0, 1, 2  # slots of leases
Group = TypeVar("Group")


class ClipAction(NamedTuple):
    """A clip and the action that it is judged for."""

    clip_id: int
    action_id: int


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
    _renew(session, filters.annotator)
    pairs, cursor = _second_opinions(session, filters, count // SECOND_SHARE, cursor)
    pairs = _leased(session, filters.annotator, pairs, SECOND)
    found = _undecided(session, filters, count - len(pairs), cursor)
    fresh = [pair for pair, _ in found]
    pairs += _leased(session, filters.annotator, fresh, FIRST)
    if found:
        cursor = replace(found[-1][1], second_id=cursor.second_id)
    if not pairs:
        pairs = _leased(session, filters.annotator, _put_off(session, filters, count), FIRST)
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
    _renew(session, annotator)
    found: list[Group] = []
    while len(found) < count and (some := more(after, count - len(found))):
        own = _hold(session, [clips_of(group) for group in some], annotator)
        found += [group for group, is_own in zip(some, own, strict=True) if is_own]
        after = some[-1].place
    return found


def _hold(session: Session, groups: Sequence[Sequence[int]], annotator: str) -> list[bool]:
    """For each group of clips whether this annotator has it now."""
    clip_ids = {clip_id for group in groups for clip_id in group}
    others = and_(ClipLease.slot == GROUP, ClipLease.annotator != annotator, ClipLease.until > now())
    taken = set(session.scalars(select(ClipLease.clip_id).where(others, ClipLease.clip_id.in_(clip_ids))))
    wanted = {clip_id for group in groups if taken.isdisjoint(group) for clip_id in group}
    found_for = select(Post.clip_id, func.min(Sighting.action_id)).join(Sighting, Sighting.post_id == Post.id)
    rows = session.execute(found_for.where(Post.clip_id.in_(wanted)).group_by(Post.clip_id))
    pairs = [ClipAction(*row) for row in rows]
    missed = set(pairs) - set(_leased(session, annotator, pairs, GROUP))
    taken |= {pair.clip_id for pair in missed}
    return [taken.isdisjoint(group) for group in groups]


def postpone(session: Session, pair: ClipAction, annotator: str) -> None:
    """Give a pair back, to come again at the end of this annotator's queue; until then others may take it."""
    own = _of(pair) & (ClipLease.annotator == annotator)
    _change(session, delete(ClipLease).where(own))
    session.execute(_upsert(session, [pair], annotator, FIRST, until=now(), put_off=True))


def release(session: Session, pair: ClipAction) -> None:
    """A pair that was decided needs no lease; its group may still be on somebody's screen."""
    _change(session, delete(ClipLease).where(_of(pair), ClipLease.slot != GROUP))


def release_clips(session: Session, clip_ids: Sequence[int]) -> None:
    """Clips that were removed need no lease under any action."""
    _change(session, delete(ClipLease).where(ClipLease.clip_id.in_(clip_ids), ClipLease.slot != GROUP))


def lease_again(session: Session, undone: Sequence[Decision], annotator: str) -> None:
    """What was taken back is on this annotator's screen again, and nobody else's meanwhile."""
    pairs = dict.fromkeys(pair_of(session, one) for one in undone)
    _leased(session, annotator, [pair for pair in pairs if pair.action_id is not None], FIRST)


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


def pair_of(session: Session, one: Decision) -> ClipAction:
    """The pair that a decision is shown as, also one on the clip as a whole."""
    return ClipAction(one.clip_id, one.action_id or action_found_for(session, one.clip_id))


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
                found += pairs(session, filters, count - len(found), at)
    return found


def _actions_from(session: Session, filters: QueueFilter, cursor: Cursor) -> Iterator[int]:
    if filters.action_id is not None:
        yield filters.action_id
        return
    wanted = select(Action.id).order_by(Action.id.desc())
    if cursor.action_id is not None:
        wanted = wanted.where(Action.id <= cursor.action_id)
    yield from session.scalars(wanted)


def _by_suspicion(session: Session, filters: QueueFilter, count: int, at: Cursor) -> list[tuple[ClipAction, Cursor]]:
    if filters.search or at.sighting_id:
        return []
    score, clip_id = SuspicionScore.score, SuspicionScore.clip_id
    of_action = and_(SuspicionScore.action_id == at.action_id, SuspicionScore.signal == COMBINED)
    wanted = select(clip_id, score).where(of_action, _free(clip_id, at.action_id, filters))
    if at.score is not None:
        position = tuple_(score, clip_id)
        wanted = wanted.where(position > (at.score, at.clip_id) if filters.least else position < (at.score, at.clip_id))
    wanted = wanted.order_by(*(column if filters.least else column.desc() for column in (score, clip_id)))
    rows = session.execute(wanted.limit(count))
    return [(ClipAction(clip, at.action_id), Cursor(at.action_id, value, clip)) for clip, value in rows]


def _as_found(session: Session, filters: QueueFilter, count: int, at: Cursor) -> list[tuple[ClipAction, Cursor]]:
    wanted = (
        select(Sighting.id, Post.clip_id)
        .join(Post, Post.id == Sighting.post_id)
        .where(Sighting.action_id == at.action_id, Sighting.id > at.sighting_id, Post.clip_id.is_not(None))
        .where(_free(Post.clip_id, at.action_id, filters))
    )
    if filters.search:
        wanted = wanted.where(_matches(filters.search))
    else:
        scored = (
            (SuspicionScore.clip_id == Post.clip_id)
            & (SuspicionScore.action_id == at.action_id)
            & (SuspicionScore.signal == COMBINED)
        )
        wanted = wanted.where(~exists().where(scored))
    return _first_of_each(session, wanted, count, at)


def _first_of_each(session: Session, wanted: Select, count: int, at: Cursor) -> list[tuple[ClipAction, Cursor]]:
    """Rows in the order of sightings, a clip that several posts show once."""
    seen: dict[int, int] = {}
    for sighting_id, clip_id in session.execute(wanted.order_by(Sighting.id).limit(2 * count)):
        if clip_id in seen or len(seen) < count:
            seen.setdefault(clip_id, sighting_id)
    return [(ClipAction(clip, at.action_id), Cursor(at.action_id, sighting_id=first)) for clip, first in seen.items()]


def _matches(search: str) -> ColumnElement[bool]:
    pattern = "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    columns = (Post.caption, Post.platform_id, Sighting.tag)
    return or_(*(column.ilike(pattern, escape="\\") for column in columns))


def _free(clip_id: ColumnElement[int], action_id: int, filters: QueueFilter) -> ColumnElement[bool]:
    """No standing decision, and held by nobody else, nor put off by this annotator."""
    lease = and_(ClipLease.clip_id == clip_id, ClipLease.action_id == action_id, ClipLease.slot == FIRST)
    mine = ClipLease.annotator == filters.annotator
    held = or_(~mine & (ClipLease.until > now()), mine & ClipLease.put_off)
    return ~_decided(clip_id, action_id) & ~exists().where(lease, held)


def _decided(clip_id: ColumnElement[int], action_id: int | ColumnElement[int], by: ColumnElement[bool] | None = None):
    """Whether a decision of this pair stands (and its row `by` holds)."""
    decision, later = aliased(Decision), aliased(Decision)
    standing = exists().where(
        decision.clip_id == clip_id,
        or_(decision.action_id == action_id, decision.action_id.is_(None)),
        decision.verdict != Verdict.UNDO,
        ~exists().where(later.undoes_id == decision.id),
    )
    return standing if by is None else standing.where(by(decision))


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
        .where(~_decided(live.c.clip_id, action_id, lambda other: other.annotator != live.c.annotator))
        .order_by(live.c.id)
    )
    if filters.action_id is not None:
        wanted = wanted.where(action_id == filters.action_id)
    rows = session.execute(wanted.limit(count)).all()
    pairs = list(dict.fromkeys(ClipAction(*row[1:]) for row in rows))
    return pairs, replace(cursor, second_id=rows[-1][0]) if rows else cursor


def _an_action_of(clip_id: ColumnElement[int] | int) -> ScalarSelect[int]:
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


def _renew(session: Session, annotator: str) -> None:
    """This annotator's leases run from now; others' that have run out are given up."""
    _change(session, delete(ClipLease).where(ClipLease.until <= now(), ~ClipLease.put_off))
    mine = and_(ClipLease.annotator == annotator, ClipLease.until > now())
    _change(session, update(ClipLease).where(mine).values(until=now() + LEASE))


def _leased(session: Session, annotator: str, pairs: Sequence[ClipAction], slot: int) -> list[ClipAction]:
    """Those of the pairs that this annotator now holds; another may have been faster."""
    if not pairs:
        return []
    given = session.execute(_upsert(session, pairs, annotator, slot, until=now() + LEASE, put_off=False))
    got = {ClipAction(*row) for row in given}
    return [pair for pair in pairs if pair in got]


def _upsert(session: Session, pairs: Sequence[ClipAction], annotator: str, slot: int, **facts):
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    rows = [{"clip_id": pair.clip_id, "action_id": pair.action_id, "slot": slot, "annotator": annotator, **facts}
            for pair in sorted(pairs)]  # fmt: skip
    made = dialect.insert(ClipLease).values(rows)
    return made.on_conflict_do_update(
        index_elements=[ClipLease.clip_id, ClipLease.action_id, ClipLease.slot],
        set_={"annotator": annotator, **facts},
        where=(ClipLease.until <= now()) | (ClipLease.annotator == annotator),
    ).returning(ClipLease.clip_id, ClipLease.action_id)


def _change(session: Session, statement: Delete | Update) -> None:
    """Leases are never held as objects: there is nothing to bring up to date."""
    session.execute(statement, execution_options={"synchronize_session": False})


def _of(pair: ClipAction) -> ColumnElement[bool]:
    return and_(ClipLease.clip_id == pair.clip_id, ClipLease.action_id == pair.action_id)
