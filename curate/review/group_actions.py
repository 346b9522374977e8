"""What a person does to a group of copies: keep this one, remove those, these are no copies, undo. Each recorded once.

Removing is a decision `duplicate` on each clip, anything else a ruling (curate.duplicates.groups).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from plusmv.core.errors import BadInput, Refused
from plusmv.curate.duplicates.fingerprint import VERSION
from plusmv.curate.duplicates.rulings import ClipPair, live_rulings, ordered, rule_on
from plusmv.curate.review import decisions
from plusmv.curate.review.entries import read_seconds
from plusmv.curate.review.group_queue import settled_clips
from plusmv.curate.review.idempotency import is_recorded, read_ids, read_request_id, request_of, row_ids, rows_of
from plusmv.curate.review.queue import release_clips
from plusmv.curate.review.undo import take_back
from plusmv.db.models import Clip, Decision, DuplicateEdge, DuplicateRuling, How, RulingKind, Verdict
from plusmv.db.queries import live_decisions

RECENT = 50


@dataclass(frozen=True)
class Act:
    """One thing that a person did.

    keep: the clip that stays. stands: it is to stand for its group from now on. remove: clips that go, as copies of it.
    apart: clips none of which is a copy of another. same: two clips that are copies. undoes: an earlier request's id.
    """

    request_id: str
    keep: int | None = None
    stands: bool = False
    remove: tuple[int, ...] = ()
    apart: tuple[int, ...] = ()
    same: tuple[int, ...] = ()
    seconds: float | None = None
    undoes: str | None = None


def read_act(sent: Mapping[str, Any]) -> Act:
    """An act from JSON. Raises BadInput for what is none."""
    try:
        keep, id_ = sent.get("keep"), read_request_id(sent)
        act = Act(
            request_id=id_ or "",
            keep=None if keep is None else read_ids([keep])[0],
            stands=bool(sent.get("stands")),
            remove=read_ids(sent.get("remove")),
            apart=read_ids(sent.get("apart")),
            same=read_ids(sent.get("same")),
            seconds=read_seconds(sent.get("seconds")),
            undoes=read_request_id(sent, "undo"),
        )
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadInput(f"not an act on a group of copies: {error}") from error
    if not id_ or len(act.same) not in (0, 2):
        raise BadInput("an act has an id, and copies of each other are two clips")
    if (act.remove or act.stands) and (act.keep is None or act.keep in act.remove):
        raise BadInput("an act that removes copies must name another clip that stays")
    return act


def record(session: Session, act: Act, annotator: str) -> None:
    """Record an act, or find it recorded. Raises Refused where somebody else has removed the clip that was to stay."""
    if is_recorded(session, act.request_id):
        return
    ids = row_ids(act.request_id)
    if act.undoes is not None:
        take_back(session, rows_of(session, act.undoes), annotator, ids)
        return
    _lock(session, {*act.remove, *act.apart, *act.same} | ({act.keep} if act.keep else set()))
    if act.same:
        rule_on(session, RulingKind.DUPLICATE, ordered(*act.same), annotator, request_id=next(ids))
    if act.stands:
        rule_on(session, RulingKind.KEEP_THIS, (act.keep, None), annotator, request_id=next(ids))
    for pair in _edges_among(session, act.apart):
        rule_on(session, RulingKind.NOT_DUPLICATE, pair, annotator, request_id=next(ids))
    _remove(session, act, annotator, ids)


def recent(session: Session, annotator: str) -> list[str]:
    """The annotator's newest requests that stand, newest first: what "undo" takes back, also after a reload."""
    made = live_decisions().where(Decision.annotator == annotator, Decision.how == How.DUPLICATES)
    rows = [(row.decided_at, row.id, row.request_id) for row in _newest(session, made, Decision)]
    mine = (DuplicateRuling.annotator == annotator) & (DuplicateRuling.kind != RulingKind.WITHDRAWN)
    ruled = live_rulings().order_by(None).where(mine)
    rows += [(row.ruled_at, row.id, row.request_id) for row in _newest(session, ruled, DuplicateRuling)]
    found = [request_of(request_id) for *_, request_id in sorted(rows, reverse=True) if request_id]
    return list(dict.fromkeys(found))[:RECENT]


def _remove(session: Session, act: Act, annotator: str, ids: Iterator[str]) -> None:
    out = settled_clips(session, {*act.remove, *({act.keep} if act.keep else set())})
    if act.remove and act.keep in out:
        raise Refused("the clip that was to stay has been removed meanwhile")
    going = [clip_id for clip_id in act.remove if clip_id not in out]
    if act.remove and not going:
        raise Refused("these clips have been removed meanwhile")
    seconds = None if act.seconds is None else round(act.seconds / max(len(going), 1), 3)
    for clip_id in going:
        decisions.decide(
            session,
            clip_id,
            Verdict.DUPLICATE,
            annotator,
            seconds=seconds,
            how=How.DUPLICATES,
            request_id=next(ids),
        )
    release_clips(session, going)


def _edges_among(session: Session, clip_ids: Sequence[int]) -> list[ClipPair]:
    """Pairs of these clips that were found to be alike: only those need a ruling; all, where none was."""
    among = DuplicateEdge.a_id.in_(clip_ids) & DuplicateEdge.b_id.in_(clip_ids)
    rows = select(DuplicateEdge.a_id, DuplicateEdge.b_id).where(DuplicateEdge.version == VERSION, among)
    found = {ordered(*row) for row in session.execute(rows)}
    return [pair for pair in combinations(sorted(clip_ids), 2) if pair in found]


def _lock(session: Session, clip_ids: set[int]) -> None:
    """One at a time on PostgreSQL. Raises Refused for a clip that was taken down."""
    there = session.scalars(select(Clip.id).where(Clip.id.in_(clip_ids)).order_by(Clip.id).with_for_update())
    if len(clip_ids) != len(there.all()):
        raise Refused("a clip of this group is not in the catalog any more")


def _newest(session: Session, rows, table: type) -> list:
    return list(session.scalars(rows.where(table.request_id.is_not(None)).order_by(table.id.desc()).limit(RECENT)))
