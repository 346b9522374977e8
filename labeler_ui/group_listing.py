"""The groups of copies of a catalog, read in the background and kept between requests."""

import functools
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from plusmv.curate.review import group_queue
from plusmv.curate.review.group_queue import Listing
from plusmv.labeler_ui.connection import Connection
from plusmv.labeler_ui.latest import Latest


@dataclass(frozen=True)
class Groups:
    """The groups of one catalog, read again after new edges or rulings. `shares` remembers what is slow to read."""

    connection: Connection
    latest: Latest[Listing] = field(init=False)
    shares: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "latest", Latest(self._read, fresh_s=0.0, rest=1.0, patience_s=20.0))

    def now(self, session: Session, wait_s: float = 0.0) -> Listing | None:
        """The current groups; slightly older ones where reading takes longer than `wait_s`, None before the first."""
        return self.latest.value(group_queue.version(session), wait_s)

    def _read(self) -> Listing:
        with self.connection.reading() as session:
            return group_queue.listing(session, self.shares)


@functools.lru_cache(maxsize=4)
def groups_of(connection: Connection) -> Groups:
    """The groups of a catalog, cached per connection."""
    return Groups(connection)
