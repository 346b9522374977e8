"""How often passwords may be tried: a few times a name, then after a wait that grows; and so many a minute in all."""

import threading
import time
from collections import deque
from collections.abc import Callable

FREE = 5  # wrong passwords of a name before it has to wait
FIRST_WAIT_S, LONGEST_WAIT_S = 30.0, 900.0
FORGOTTEN_S = 3600.0  # after so long a name starts anew
A_MINUTE = 60  # tries of all names together: each takes 16 MB and 50 ms


class Tries:
    """Tries of one server. A try counts as wrong from its start, so that many at once are no way around the wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong: dict[str, tuple[int, float]] = {}  # how many, and when the last one was
        self._all: deque[float] = deque(maxlen=A_MINUTE)

    def begin(self, name: str) -> float:
        """0 where this name may try now, and then the try counts; else the seconds that it has to wait."""
        with self._lock:
            now = self._clock()
            self._wrong = {each: tried for each, tried in self._wrong.items() if now - tried[1] < FORGOTTEN_S}
            count, last = self._wrong.get(name, (0, now))
            wait = last + _wait(count) - now
            if len(self._all) == A_MINUTE:
                wait = max(wait, self._all[0] + 60.0 - now)
            if wait > 0:
                return wait
            self._wrong[name] = (count + 1, now)
            self._all.append(now)
            return 0.0

    def right(self, name: str) -> None:
        """The password was right: the name starts anew."""
        with self._lock:
            self._wrong.pop(name, None)


def _wait(wrong: int) -> float:
    return 0.0 if wrong < FREE else min(FIRST_WAIT_S * 2 ** min(wrong - FREE, 10), LONGEST_WAIT_S)
