"""How a long loop reports its progress: the caller passes a function that wraps the loop's items."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Yields the items unchanged and reports how many are done, as core.commandline.track does."""

    def __call__(self, items: Iterable[T], total: int, title: str, /) -> Iterable[T]: ...
