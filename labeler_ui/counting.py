"""How many clips are decided: counted in the background, since a million clips take seconds."""

import functools

from plusmv.curate.report import progress
from plusmv.curate.review.cards import totals
from plusmv.labeler_ui.connection import Connection
from plusmv.labeler_ui.latest import Latest

Counts = dict[int, tuple[int, int]]


class Counting:
    """The counts of one catalog, as of a moment ago."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._latest = Latest[Counts](self._count, patience_s=0.05)  # a first page waits for no count

    def of(self, action_id: int | None) -> tuple[int, int] | None:
        """(clips decided, clips) of an action, or of all; None while they are counted for the first time."""
        counts = self.all()
        if counts is None:
            return None
        if action_id is not None:
            return counts.get(action_id, (0, 0))
        return sum(decided for decided, _ in counts.values()), sum(clips for _, clips in counts.values())

    def all(self) -> Counts | None:
        """{action id: (clips decided, clips)}"""
        return self._latest.value()

    def _count(self) -> Counts:
        with self._connection.reading() as session:
            return totals(session)


@functools.lru_cache(maxsize=4)
def progress_of(connection: Connection) -> Latest[progress.ProgressResult]:
    """The progress of a catalog (curate.report.progress), as of a moment ago, cached per connection."""
    return Latest(lambda: progress.progress(connection.catalog), patience_s=1.0)


@functools.lru_cache(maxsize=4)
def stops_of(connection: Connection) -> Latest[dict[str, str]]:
    """Which actions need no more review, as text, cached per connection."""
    return Latest(lambda: progress.stop_words(connection.catalog))
