"""An iterable in lists of bounded size: rows of a transaction, ids of a query (itertools.batched needs Python 3.12)."""

import itertools
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def batched(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size`, the last one shorter."""
    rest = iter(things)
    while batch := list(itertools.islice(rest, size)):
        yield batch
