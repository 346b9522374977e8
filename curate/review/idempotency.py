"""Idempotency keys: the first row of a labeler request carries the request's id, the others that and a number.

So a request that is sent twice is recorded once, and an undo finds all rows that it made.
"""

import itertools
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from plusmv.core.errors import BadInput
from plusmv.core.parsing import whole_number
from plusmv.db.models import Decision, DuplicateRuling

Row = Decision | DuplicateRuling
MOST = 999  # rows of one request: such as a ruling on each pair of the clips of a group, and a decision on each clip
MOST_CLIPS = 24  # of a group that are shown, and ruled on, at a time


def idempotency_keys(request_id: str) -> Iterator[str]:
    """Keys of a request's rows, in order. Raises BadInput where they would be too many."""
    yield request_id
    yield from (f"{request_id}.{number}" for number in range(2, MOST + 1))
    raise BadInput(f"one request makes at most {MOST} rows")


def request_of(row_id: str) -> str:
    """The request that a row came of."""
    return row_id.partition(".")[0]


def is_recorded(session: Session, request_id: str) -> bool:
    """Whether a request has made rows."""
    tables = (DuplicateRuling, Decision)
    return any(session.scalar(select(table.id).where(table.request_id == request_id)) for table in tables)


def rows_of_request(session: Session, request_id: str) -> list[Row]:
    """The rows that a request made: rulings, then decisions, each in order."""
    ids = list(itertools.islice(idempotency_keys(request_id), MOST))
    rulings = select(DuplicateRuling).where(DuplicateRuling.request_id.in_(ids)).order_by(DuplicateRuling.id)
    decisions = select(Decision).where(Decision.request_id.in_(ids)).order_by(Decision.id)
    return [*session.scalars(rulings), *session.scalars(decisions)]


def rows_beside(session: Session, row: Row) -> list[Row]:
    """The rows of the request that a row came of; itself alone where it came of none."""
    return rows_of_request(session, request_of(row.request_id)) if row.request_id else [row]


def read_request_id(sent: Mapping[str, Any], name: str = "id") -> str | None:
    """None where it is absent. Raises ValueError or TypeError for an invalid id."""
    return None if sent.get(name) is None else str(uuid.UUID(sent[name]))


def read_ids(sent: Any, most: int = MOST_CLIPS) -> tuple[int, ...]:
    """Ids of clips or actions. Raises BadInput, ValueError or TypeError for invalid ones."""
    found = tuple(dict.fromkeys(map(read_id, sent or ())))
    if len(found) > most:
        raise ValueError(f"more than {most} ids")
    return found


def read_id(sent: Any) -> int:
    """The id of a row, as databases hold it. Raises BadInput for an invalid one."""
    return whole_number(sent)
