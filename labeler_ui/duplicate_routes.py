"""What the duplicates page asks: the open groups of copies, and that what a person does to them be recorded."""

import functools
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy.orm import Session
from starlette.routing import Route

from plusmv.core.errors import BadInput
from plusmv.curate.review import group_actions, group_queue
from plusmv.curate.review.group_queue import Listing
from plusmv.curate.review.idempotency import MOST_CLIPS
from plusmv.curate.review.previews import playable
from plusmv.curate.review.queue import next_groups
from plusmv.db.models import Clip
from plusmv.labeler_ui import clip_files
from plusmv.labeler_ui.connection import Connection
from plusmv.labeler_ui.json_routes import json_route, record_each
from plusmv.labeler_ui.latest import Latest

PAGE_SIZE = 8  # groups of one answer
FRESH_S = 5.0  # waited for what has just been taken back to be in the list
LISTS = ("groups", "pairs")


@dataclass(frozen=True)
class Groups:
    """The groups of one catalog, read anew when edges or rulings have come; what is slow to read is remembered."""

    connection: Connection
    latest: Latest[Listing] = field(init=False)
    shares: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "latest", Latest(self._read, fresh_s=0.0, rest=1.0, patience_s=20.0))

    def now(self, session: Session, wait_s: float = 0.0) -> Listing | None:
        """As of now, or of a moment ago where reading takes longer than `wait_s`; None for the first time."""
        return self.latest.value(group_queue.version(session), wait_s)

    def _read(self) -> Listing:
        with self.connection.reading() as session:
            return group_queue.listing(session, self.shares)


@functools.lru_cache(maxsize=4)
def groups_of(connection: Connection) -> Groups:
    """The groups of a catalog, kept beside it."""
    return Groups(connection)


@json_route
def open_groups(connection: Connection, annotator: str, asked: dict) -> dict:
    """{"groups", "total", "recent", "reading"}: open groups after a place, leased; total counts settled ones too."""
    kind, after = asked.get("list", "groups"), _place(asked.get("after"))
    if kind not in LISTS:
        raise BadInput(f"there is no list of {str(kind)[:40]!r}")
    with connection.reading() as session:
        listing = groups_of(connection).now(session, FRESH_S if asked.get("fresh") else 0.0)
        if listing is None:
            return {"groups": [], "total": 0, "recent": [], "reading": True}
    stars = listing.groups if kind == "groups" else listing.pairs
    with connection.writing() as session:
        free = next_groups(
            session,
            after,
            PAGE_SIZE,
            annotator,
            lambda after, count: group_queue.open_stars(session, stars, after, count),
            lambda star: star.clip_ids[:MOST_CLIPS],
        )
    with connection.reading() as session:
        shown = group_queue.show(session, free)
        recent = group_actions.recent(session, annotator)
        clips = [session.get_one(Clip, each.clip) for group in shown for each in group.members if not each.error]
    clip_files.films(connection.workspace).prepare(clips, playable)
    return {"groups": [asdict(group) for group in shown], "total": len(stars), "recent": recent, "reading": False}


@json_route
def acts(connection: Connection, annotator: str, asked: dict) -> dict:
    """{"answers": [...]}, see labeler_ui.json_routes.record_each."""

    def record(session: Session, sent: Any) -> None:
        group_actions.record(session, group_actions.read_review(sent), annotator)

    return {"answers": record_each(connection, asked, record)}


def _place(sent: Any) -> tuple[float, ...] | None:
    if sent is None:
        return None
    if not isinstance(sent, list) or not all(isinstance(part, int | float) for part in sent):
        raise BadInput("not a place that a list was left at")
    return tuple(sent)


DUPLICATE_ROUTES = [
    Route("/labeler/groups", open_groups, methods=["POST"]),
    Route("/labeler/groups/acts", acts, methods=["POST"]),
]
