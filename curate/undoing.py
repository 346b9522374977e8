"""Taking back what a request of the labeler recorded, whichever page it came from and whichever takes it back."""

from collections.abc import Iterator, Sequence

from sqlalchemy.orm import Session

from core.errors import Refused
from curate import decisions
from curate.request_rows import request_of, rows_of
from curate.rulings import standing_ruling, withdraw
from db.models import Decision, DuplicateRuling, Verdict

Row = Decision | DuplicateRuling


def take_back(session: Session, rows: Sequence[Row], annotator: str, ids: Iterator[str]) -> None:
    """Undo the decisions of a request and withdraw its rulings, as far as they stand; what it had revised stands again.

    A revision that was taken back brought new rows: they stand for those that were revised, however long the chain.
    rows: of curate.request_rows.rows_of. ids: what the new rows are called. Raises Refused where nothing of it stands,
    or it is somebody else's.
    """
    rows = _first_made(session, rows)
    standing = [row for row in dict.fromkeys([*rows, *_brought_back(session, rows)]) if _stands(session, row)]
    if not standing or any(row.annotator != annotator for row in standing):
        raise Refused("there is nothing of yours to take back")
    for row in standing:
        if isinstance(row, Decision):
            decisions.undo(session, row.id, annotator, next(ids))
        else:
            withdraw(session, row, annotator, next(ids))
    for row in _undone_by(rows):
        _decide_again(session, row, next(ids))


def _first_made(session: Session, rows: Sequence[Row]) -> Sequence[Row]:
    """Of what an undo brought back: the rows of the request that had said so first."""
    if not _verdicts(rows) or not _is_undo(rows):
        return rows
    revision = _first_made(session, _beside(session, _undone_by(rows)[0]))
    return _first_made(session, _beside(session, _undone_by(revision)[0]))


def _brought_back(session: Session, rows: Sequence[Row]) -> Sequence[Row]:
    """What says now what these rows said: themselves, or what came back when their revision was taken back."""
    said = _verdicts(rows)
    if not said or said[0].undone_by is None:
        return rows
    revision = _beside(session, said[0].undone_by)
    if _is_undo(revision):
        return rows
    last = _verdicts(_brought_back(session, revision))[0]
    undo = _beside(session, last.undone_by) if last.undone_by else []
    return _brought_back(session, undo) if undo and _is_undo(undo) else rows


def _beside(session: Session, row: Decision) -> Sequence[Row]:
    """The rows of the request that a decision came of; itself alone where it came of a file."""
    return rows_of(session, request_of(row.request_id)) if row.request_id else [row]


def _is_undo(rows: Sequence[Row]) -> bool:
    """Whether the request was to take something back: its first row is an undo then, and of a verdict's a later one."""
    ids = [row.request_id or "" for row in rows if _takes_back(row)]
    return any(id_ == request_of(id_) for id_ in ids)


def _takes_back(row: Row) -> bool:
    return isinstance(row, Decision) and row.verdict == Verdict.UNDO


def _verdicts(rows: Sequence[Row]) -> list[Decision]:
    return [row for row in rows if isinstance(row, Decision) and row.verdict != Verdict.UNDO]


def _undone_by(rows: Sequence[Row]) -> list[Decision]:
    """The decisions that these rows took back."""
    return [row.undoes for row in rows if _takes_back(row)]


def _stands(session: Session, row: Row) -> bool:
    if isinstance(row, Decision):
        return row.verdict != Verdict.UNDO and row.undone_by is None
    return standing_ruling(session, (row.a_id, row.b_id)) is row


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
