"""Actions on a group of copies: keep this one, remove those, not duplicates, undo. Each is recorded once.

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
from plusmv.curate.review.idempotency import (
    idempotency_keys,
    is_recorded,
    read_ids,
    read_request_id,
    request_of,
    rows_of_request,
)
from plusmv.curate.review.leases import release_clips
from plusmv.curate.review.undo import undo_request
from plusmv.db.models import Clip, Decision, DuplicateEdge, DuplicateRuling, How, RulingKind, Verdict
from plusmv.db.queries import live_decisions

RECENT = 50


@dataclass(frozen=True)
class DuplicateReview:
    """One action on a group of copies.

    keep: the clip that stays. representative: it represents its group from now on. remove: its copies, which go.
    not_duplicates: clips none of which is a copy of another. duplicates: two clips that are copies. undoes: an earlier
    request's id.
    """

    request_id: str
    keep: int | None = None
    representative: bool = False
    remove: tuple[int, ...] = ()
    not_duplicates: tuple[int, ...] = ()
    duplicates: tuple[int, ...] = ()
    seconds: float | None = None
    undoes: str | None = None


def read_review(sent: Mapping[str, Any]) -> DuplicateReview:
    """A review from JSON. Raises BadInput where it is invalid."""
    try:
        keep, id_ = sent.get("keep"), read_request_id(sent)
        review = DuplicateReview(
            request_id=id_ or "",
            keep=None if keep is None else read_ids([keep])[0],
            representative=bool(sent.get("stands")),
            remove=read_ids(sent.get("remove")),
            not_duplicates=read_ids(sent.get("apart")),
            duplicates=read_ids(sent.get("same")),
            seconds=read_seconds(sent.get("seconds")),
            undoes=read_request_id(sent, "undo"),
        )
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadInput(f"invalid review of a group of copies: {error}") from error
    if not id_ or len(review.duplicates) not in (0, 2):
        raise BadInput("a review needs an id, and `same` names two clips or none")
    if (review.remove or review.representative) and (review.keep is None or review.keep in review.remove):
        raise BadInput("a review that removes copies must name another clip to keep")
    return review


def record(session: Session, review: DuplicateReview, annotator: str) -> None:
    """Record a review once, however often it is sent. Raises Refused where the clip to keep was removed meanwhile."""
    if is_recorded(session, review.request_id):
        return
    ids = idempotency_keys(review.request_id)
    if review.undoes is not None:
        undo_request(session, rows_of_request(session, review.undoes), annotator, ids)
        return
    kept = {review.keep} if review.keep else set()
    _lock(session, {*review.remove, *review.not_duplicates, *review.duplicates, *kept})
    if review.duplicates:
        rule_on(session, RulingKind.DUPLICATE, ordered(*review.duplicates), annotator, request_id=next(ids))
    if review.representative and review.keep is not None:
        rule_on(session, RulingKind.KEEP_THIS, (review.keep, None), annotator, request_id=next(ids))
    for pair in _edges_among(session, review.not_duplicates):
        rule_on(session, RulingKind.NOT_DUPLICATE, pair, annotator, request_id=next(ids))
    _remove(session, review, annotator, ids)


def recent(session: Session, annotator: str) -> list[str]:
    """The annotator's newest requests that stand, newest first: what "undo" undoes next, also after a reload."""
    made = live_decisions().where(Decision.annotator == annotator, Decision.how == How.DUPLICATES)
    made = made.where(Decision.request_id.is_not(None)).order_by(Decision.id.desc()).limit(RECENT)
    ruled = live_rulings().order_by(None).where(DuplicateRuling.annotator == annotator)
    ruled = ruled.where(DuplicateRuling.kind != RulingKind.WITHDRAWN, DuplicateRuling.request_id.is_not(None))
    ruled = ruled.order_by(DuplicateRuling.id.desc()).limit(RECENT)
    rows = [(row.decided_at, row.id, row.request_id) for row in session.scalars(made)]
    rows += [(row.ruled_at, row.id, row.request_id) for row in session.scalars(ruled)]
    found = [request_of(request_id) for _, _, request_id in sorted(rows, reverse=True) if request_id]
    return list(dict.fromkeys(found))[:RECENT]


def _remove(session: Session, review: DuplicateReview, annotator: str, ids: Iterator[str]) -> None:
    out = settled_clips(session, {*review.remove, *({review.keep} if review.keep else set())})
    if review.remove and review.keep in out:
        raise Refused("the clip that was to stay has been removed meanwhile")
    going = [clip_id for clip_id in review.remove if clip_id not in out]
    if review.remove and not going:
        raise Refused("these clips have been removed meanwhile")
    seconds = None if review.seconds is None else round(review.seconds / max(len(going), 1), 3)
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
