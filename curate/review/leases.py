"""Leases: who has which clips on their screen, so that no two annotators are given the same.

A lease is of a clip under an action, in a slot: a first opinion, a second one, or as one of a group of copies.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Delete, Update, and_, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from plusmv.db.models import ClipLease, Post, Sighting, now

LEASE = timedelta(minutes=15)  # renewed with every page of work
FIRST, SECOND, GROUP = 0, 1, 2  # slots of leases


class ClipAction(NamedTuple):
    """A clip and the action that it is judged for."""

    clip_id: int
    action_id: int


def renew(session: Session, annotator: str) -> None:
    """This annotator's leases run from now; others' that have run out are given up."""
    _change(session, delete(ClipLease).where(ClipLease.until <= now(), ~ClipLease.put_off))
    mine = and_(ClipLease.annotator == annotator, ClipLease.until > now())
    _change(session, update(ClipLease).where(mine).values(until=now() + LEASE))


def lease(session: Session, annotator: str, pairs: Sequence[ClipAction], slot: int) -> list[ClipAction]:
    """Those of the pairs that this annotator now holds; another may have been faster."""
    if not pairs:
        return []
    given = session.execute(_upsert(session, pairs, annotator, slot, until=now() + LEASE, put_off=False))
    got = {ClipAction(*row) for row in given}
    return [pair for pair in pairs if pair in got]


def lease_groups(session: Session, groups: Sequence[Sequence[int]], annotator: str) -> list[bool]:
    """For each group of clips whether this annotator has it now."""
    clip_ids = {clip_id for group in groups for clip_id in group}
    others = and_(ClipLease.slot == GROUP, ClipLease.annotator != annotator, ClipLease.until > now())
    taken = set(session.scalars(select(ClipLease.clip_id).where(others, ClipLease.clip_id.in_(clip_ids))))
    wanted = {clip_id for group in groups if taken.isdisjoint(group) for clip_id in group}
    found_for = select(Post.clip_id, func.min(Sighting.action_id)).join(Sighting, Sighting.post_id == Post.id)
    rows = session.execute(found_for.where(Post.clip_id.in_(wanted)).group_by(Post.clip_id))
    pairs = [ClipAction(clip_id, action_id) for clip_id, action_id in rows if clip_id is not None]
    missed = set(pairs) - set(lease(session, annotator, pairs, GROUP))
    taken |= {pair.clip_id for pair in missed}
    return [taken.isdisjoint(group) for group in groups]


def postpone(session: Session, pair: ClipAction, annotator: str) -> None:
    """Give a pair back, to come again at the end of this annotator's queue; until then others may take it."""
    own = _is(pair) & (ClipLease.annotator == annotator)
    _change(session, delete(ClipLease).where(own))
    session.execute(_upsert(session, [pair], annotator, FIRST, until=now(), put_off=True))


def release(session: Session, pair: ClipAction) -> None:
    """A pair that was decided needs no lease; its group may still be on a screen."""
    _change(session, delete(ClipLease).where(_is(pair), ClipLease.slot != GROUP))


def release_clips(session: Session, clip_ids: Sequence[int]) -> None:
    """Clips that were removed need no lease under any action."""
    _change(session, delete(ClipLease).where(ClipLease.clip_id.in_(clip_ids), ClipLease.slot != GROUP))


def _upsert(
    session: Session, pairs: Sequence[ClipAction], annotator: str, slot: int, until: datetime, put_off: bool
) -> ReturningInsert[int, int]:
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    facts = {"annotator": annotator, "until": until, "put_off": put_off}
    rows = [{"clip_id": pair.clip_id, "action_id": pair.action_id, "slot": slot, **facts}
            for pair in sorted(pairs)]  # fmt: skip
    made = insert(ClipLease).values(rows)
    return made.on_conflict_do_update(
        index_elements=[ClipLease.clip_id, ClipLease.action_id, ClipLease.slot],
        set_=facts,
        where=(ClipLease.until <= now()) | (ClipLease.annotator == annotator),
    ).returning(ClipLease.clip_id, ClipLease.action_id)


def _change(session: Session, statement: Delete | Update) -> None:
    """Leases are never held as objects: there is nothing to bring up to date."""
    session.execute(statement, execution_options={"synchronize_session": False})


def _is(pair: ClipAction) -> ColumnElement[bool]:
    return and_(ClipLease.clip_id == pair.clip_id, ClipLease.action_id == pair.action_id)
