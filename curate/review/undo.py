"""Undoing what a request of the labeler recorded, whichever page sent it and whichever undoes it."""

import operator
from collections.abc import Iterator, Sequence
from typing import TypeGuard

from sqlalchemy.orm import Session

from plusmv.core.errors import Refused
from plusmv.curate.duplicates.rulings import withdraw
from plusmv.curate.review import decisions
from plusmv.curate.review.idempotency import Row, request_of, rows_beside
from plusmv.db.models import Decision, DuplicateRuling, Verdict


class _Requests:
    """The rows of requests, each read once."""

    def __init__(self, session: Session):
        self._session = session
        self._rows: dict[str | Row, list[Row]] = {}

    def beside(self, row: Row) -> list[Row]:
        """As curate.review.idempotency.rows_beside."""
        key = request_of(row.request_id) if row.request_id else row
        if key not in self._rows:
            self._rows[key] = rows_beside(self._session, row)
        return self._rows[key]


def undo_request(session: Session, rows: Sequence[Row], annotator: str, ids: Iterator[str]) -> list[Decision]:
    """Undo the decisions of a request and withdraw its rulings, as far as they stand; what it had revised stands again.

    A revision that was taken back brought new rows: they stand for those that were revised, however long the chain.
    rows: of review.idempotency.rows_of_request. ids: idempotency keys of the new rows. Returns the decisions undone.
    Raises Refused where nothing of it stands, or it is another person's.
    """
    requests = _Requests(session)
    originals = [_original_row(requests, row) for row in rows if row.undoes is None]
    rows = list(dict.fromkeys(beside for row in originals for beside in requests.beside(row)))
    standing = [now for row in rows if _stands(now := _current_row(requests, row))]
    if not standing or any(row.annotator != annotator for row in standing):
        raise Refused("there is nothing of yours to undo")
    undone = [row for row in standing if isinstance(row, Decision)]
    for decision in undone:
        decisions.undo(session, decision.id, annotator, next(ids))
    for row in standing:
        if isinstance(row, DuplicateRuling):
            withdraw(session, row, annotator, next(ids))
    for decision in _undone_by(rows):
        _decide_again(session, decision, next(ids))
    return undone


def _original_row(requests: _Requests, row: Row) -> Row:
    """Of what an undo restored: the decision that was made first."""
    beside = requests.beside(row)
    if not _is_verdict(row) or _own_verdict(beside) or not _undone_by(beside):
        return row
    for revision in _undone_by(beside):
        for revised in _undone_by(requests.beside(_original_row(requests, revision))):
            if _is_same(revised, row):
                return _original_row(requests, revised)
    return row


def _current_row(requests: _Requests, row: Row) -> Row:
    """The row that now holds what a row held: itself, or what undoing its revision restored."""
    if not _is_verdict(row) or row.undone_by is None:
        return row
    revision = _own_verdict(requests.beside(row.undone_by))
    last = _current_row(requests, revision) if revision else None
    if last is None or last.undone_by is None or _own_verdict(undo := requests.beside(last.undone_by)):
        return row
    again = next((each for each in undo if _is_verdict(each) and _is_same(each, row)), None)
    return _current_row(requests, again) if again else row


def _own_verdict(rows: Sequence[Row]) -> Decision | None:
    """The verdict that a request was sent for; None for an undo, or a review of a group."""
    return next((row for row in rows if _is_verdict(row) and row.request_id == request_of(row.request_id or "")), None)


def _undone_by(rows: Sequence[Row]) -> list[Decision]:
    """The decisions that these rows undo."""
    return [row.undoes for row in rows if isinstance(row, Decision) and row.undoes]


def _is_verdict(row: Row) -> TypeGuard[Decision]:
    return isinstance(row, Decision) and row.verdict != Verdict.UNDO


def _is_same(one: Decision, other: Decision) -> bool:
    said = operator.attrgetter("clip_id", "action_id", "verdict", "annotator")
    return said(one) == said(other)


def _stands(row: Row) -> bool:
    return row.undoes is None and row.undone_by is None


def _decide_again(session: Session, row: Decision, row_id: str) -> None:
    """What a person had decided, with that person's name; the time it took is not counted twice."""
    decisions.decide(
        session,
        row.clip_id,
        row.verdict,
        row.annotator,
        row.action_id,
        reason=row.reason,
        how=row.how,
        request_id=row_id,
    )
