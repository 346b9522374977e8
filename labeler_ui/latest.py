"""Values that take a while, such as counts over a million clips: computed in the background, slightly out of date."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from plusmv.core.errors import PlusmvError

T = TypeVar("T")
QUICK_S = 0.25  # how long to wait for a newer value


class Latest(Generic[T]):
    """One value, computed again when it is asked for and its version is another, but not too often.

    Between two computations lie at least `fresh_s`, and `rest` times the duration of the last one. patience_s: how long
    to wait for the first value.
    """

    def __init__(self, compute: Callable[[], T], fresh_s: float = 2.0, rest: float = 10.0, patience_s: float = QUICK_S):
        self._compute, self._fresh_s, self._rest, self._patience_s = compute, fresh_s, rest, patience_s
        self._value: T | None = None
        self._version: Hashable = None
        self._next = 0.0
        self._running: threading.Thread | None = None
        self._lock = threading.Lock()

    def value(self, version: Hashable = None, wait_s: float = 0.0) -> T | None:
        """The value, None while it is computed for the first time.

        version: of what it is computed from, if known; wait up to `wait_s` for the value of that version.
        """
        until = time.monotonic() + wait_s
        value = self._newest(version)
        while version != self._version and time.monotonic() < until:
            value = self._newest(version)
        return value

    def _newest(self, version: Hashable) -> T | None:
        with self._lock:
            stale = self._value is None or version is None or version != self._version
            if stale and self._running is None and time.monotonic() >= self._next:
                self._running = threading.Thread(target=self._run, args=(version,), daemon=True)
                self._running.start()
            running = self._running
        if running is not None:
            running.join(self._patience_s if self._value is None else QUICK_S)
        return self._value

    def _run(self, version: Hashable) -> None:
        began = time.monotonic()
        try:
            self._value = self._compute()
            self._version = version
        except PlusmvError:
            pass  # callers meet the same error in their own requests
        finally:
            took = time.monotonic() - began
            self._next = time.monotonic() + max(self._fresh_s, self._rest * took)
            self._running = None
