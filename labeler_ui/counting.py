"""How many clips of each action are decided: counted in the background, as a million of them take a second or two."""

import threading
import time

from core.errors import PlusmvError
from curate.cards import totals
from labeler_ui.connection import Connection

FRESH_S = 2.0  # before the next count, and ten times as long as the last one took
PATIENCE_S = 0.25  # for a catalog that is counted quickly


class Counting:
    """The counts of one catalog, as of a moment ago."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._counts: dict[int, tuple[int, int]] | None = None
        self._next = 0.0
        self._lock = threading.Lock()

    def of(self, action_id: int | None) -> tuple[int, int] | None:
        """(clips decided, clips) of an action, or of all; None while they are counted for the first time."""
        counts = self.all()
        if counts is None:
            return None
        if action_id is not None:
            return counts.get(action_id, (0, 0))
        return sum(decided for decided, _ in counts.values()), sum(clips for _, clips in counts.values())

    def all(self) -> dict[int, tuple[int, int]] | None:
        """{action id: (clips decided, clips)}"""
        with self._lock:
            due = time.monotonic() >= self._next
            if due:
                self._next = float("inf")
                counter = threading.Thread(target=self._count, daemon=True)
                counter.start()
        if due:
            counter.join(PATIENCE_S)
        return self._counts

    def _count(self) -> None:
        began = time.monotonic()
        try:
            with self._connection.reading() as session:
                self._counts = totals(session)
        except PlusmvError:
            pass  # the page hears of it from its own request
        self._next = time.monotonic() + max(FRESH_S, 10 * (time.monotonic() - began))
