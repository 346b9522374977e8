"""What a person does to a group of copies: keep this one, remove those, these are no copies, undo. Each recorded once.

Removing is a decision `duplicate` on each clip, anything else a ruling (curate.duplicate_groups).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.errors import BadInput, Refused
from curate import decisions
from curate.duplicate_groups import Pair, ordered
from curate.fingerprint import VERSION
from curate.group_review import settled_clips
from curate.judging import read_seconds
from curate.request_rows import is_recorded, read_ids, read_request_id, request_of, row_ids, rows_of
from curate.text import bounded_line
from db.models import Clip, ClipLease, Decision, DuplicateEdge, DuplicateRuling, How, RulingKind, Verdict
from db.queries import live_decisions

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
        return _undo(session, act.undoes, annotator, ids)
    _lock(session, {*act.remove, *act.apart, *act.same} | ({act.keep} if act.keep else set()))
    if act.same:
        _rule(session, RulingKind.DUPLICATE, ordered(*act.same), annotator, ids)
    if act.stands:
        _rule(session, RulingKind.KEEP_THIS, (act.keep, None), annotator, ids)
    for pair in _edges_among(session, act.apart):
        _rule(session, RulingKind.NOT_DUPLICATE, pair, annotator, ids)
    _remove(session, act, annotator, ids)


def recent(session: Session, annotator: str) -> list[str]:
    """The annotator's newest requests that stand, newest first: what "undo" takes back, also after a reload."""
    made = live_decisions().where(Decision.annotator == annotator, Decision.how == How.DUPLICATES)
    rows = [(row.decided_at, row.id, row.request_id) for row in _newest(session, made, Decision)]
    ruled = select(DuplicateRuling).where(
        DuplicateRuling.annotator == annotator, DuplicateRuling.kind != RulingKind.WITHDRAWN
    )
    for row in _newest(session, ruled, DuplicateRuling):
        if _standing(session, (row.a_id, row.b_id)) is row:
            rows.append((row.ruled_at, row.id, row.request_id))
    found = [request_of(request_id) for *_, request_id in sorted(rows, reverse=True) if request_id]
    return list(dict.fromkeys(found))[:RECENT]


def _remove(session: Session, act: Act, annotator: str, ids: Iterator[str]) -> None:
    out = settled_clips(session, {*act.remove, *({act.keep} if act.keep else set())})
    if act.remove and act.keep in out:
        raise Refused("the clip that was to stay has been removed meanwhile")
    going = [clip_id for clip_id in act.remove if clip_id not in out]
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
    session.execute(delete(ClipLease).where(ClipLease.clip_id.in_(going)))


def _undo(session: Session, undone: str, annotator: str, ids: Iterator[str]) -> None:
    rows = rows_of(session, undone)
    if not rows or any(row.annotator != annotator for row in rows):
        raise Refused("there is nothing of yours to take back")
    for row in rows:
        if isinstance(row, DuplicateRuling):
            _withdraw(session, row, annotator, ids)
        elif row.verdict != Verdict.UNDO and not row.undone_by:
            decisions.undo(session, row.id, annotator, next(ids))


def _withdraw(session: Session, row: DuplicateRuling, annotator: str, ids: Iterator[str]) -> None:
    """Back to what stood before; left alone where somebody has ruled anew since."""
    pair = (row.a_id, row.b_id)
    if _standing(session, pair) is row:
        before = _standing(session, pair, before=row.id)
        _rule(session, before.kind if before else RulingKind.WITHDRAWN, pair, annotator, ids)


def _standing(session: Session, pair: tuple[int, int | None], before: int | None = None) -> DuplicateRuling | None:
    of_pair = select(DuplicateRuling).where(DuplicateRuling.a_id == pair[0])
    of_pair = of_pair.where(DuplicateRuling.b_id.is_(None) if pair[1] is None else DuplicateRuling.b_id == pair[1])
    if before is not None:
        of_pair = of_pair.where(DuplicateRuling.id < before)
    return session.scalar(of_pair.order_by(DuplicateRuling.id.desc()).limit(1))


def _rule(session: Session, kind: RulingKind, pair: tuple[int, int | None], annotator: str, ids: Iterator[str]) -> None:
    session.add(
        DuplicateRuling(
            kind=kind, a_id=pair[0], b_id=pair[1], annotator=bounded_line(annotator, 200), request_id=next(ids)
        )
    )
    session.flush()


def _edges_among(session: Session, clip_ids: Sequence[int]) -> list[Pair]:
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
