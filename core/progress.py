"""What a long loop reports to: whoever runs it passes a function that wraps the loop's items."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Yields the items as they are, drawing a bar, say (core.commandline.track is one)."""

    def __call__(self, items: Iterable[T], total: int, title: str, /) -> Iterable[T]: ...
