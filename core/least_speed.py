"""A least speed for servers: one that drips a byte a second must not hold a thread for ever.

Measured where bytes come off the socket, so it holds for headers, pages and files alike, whoever asks: time is counted
only while a read waits, and starts anew with each answer. The error is an OSError, which every client takes as a
connection that broke.
"""

import io
import time
from dataclasses import dataclass
from errno import EIO
from typing import Any

from plusmv.core.limits import LEAST_SPEED, SPEED_WINDOW


class TooSlow(OSError):
    """A server sent less than the least speed."""


@dataclass(frozen=True)
class LeastSpeed:
    """So many bytes a second, over each window of so many seconds of waiting."""

    bytes_a_second: float = LEAST_SPEED
    window: float = SPEED_WINDOW

    def error(self) -> TooSlow:
        text = f"the server sends less than {self.bytes_a_second:g} bytes a second over {self.window:g} s"
        return TooSlow(EIO, text)


class MeteredSocket:
    """A connected socket, as http.client reads from it: each answer (`makefile`) has to keep the least speed."""

    def __init__(self, sock: Any, least: LeastSpeed):
        self._sock, self._least = sock, least

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def makefile(self, mode: str = "rb", *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_MeteredRaw(self._sock.makefile(mode, buffering=0), self._least))


class _MeteredRaw(io.RawIOBase):
    """A raw stream that raises TooSlow once a window of waiting has brought too little."""

    def __init__(self, raw: io.RawIOBase, least: LeastSpeed):
        self._raw, self._least = raw, least
        self._waited, self._came = 0.0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        started = time.monotonic()
        count = self._raw.readinto(buffer)
        self._waited += time.monotonic() - started
        self._came += count or 0
        if count and self._waited >= self._least.window:
            if self._came < self._least.bytes_a_second * self._waited:
                raise self._least.error()
            self._waited, self._came = 0.0, 0
        return count

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        try:
            self._raw.close()
        finally:
            super().close()
