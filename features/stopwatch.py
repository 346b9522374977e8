"""A clock that can be paused."""

import contextlib
import time
from collections.abc import Iterator


class StopWatch:
    """Wall time since it was made, without the time in which it was paused."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._started

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        before = time.monotonic()
        yield
        self._started += time.monotonic() - before
