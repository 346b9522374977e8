"""Routes of the duplicates page: the open groups of copies, and recording what a person does to them."""

from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session
from starlette.routing import Route

from plusmv.core.errors import BadInput
from plusmv.curate.review import group_actions, group_queue
from plusmv.curate.review.idempotency import MOST_CLIPS
from plusmv.curate.review.previews import playable
from plusmv.curate.review.queue import next_groups
from plusmv.db.models import Clip
from plusmv.labeler_ui import clip_files
from plusmv.labeler_ui.connection import Connection
from plusmv.labeler_ui.group_listing import groups_of
from plusmv.labeler_ui.json_routes import json_route, record_each

PAGE_SIZE = 8  # groups a response
FRESH_S = 5.0  # how long a list waits to include what was just undone
LISTS = ("groups", "pairs", "shared")  # fields of a Listing


@json_route
def open_groups(connection: Connection, annotator: str, request: dict[str, Any]) -> dict[str, Any]:
    """The open groups after a place, leased: `GroupsMessage` of assets/types.d.ts; total has settled ones too."""
    kind, after = request.get("list", "groups"), _place(request.get("after"))
    if kind not in LISTS:
        raise BadInput(f"unknown list {str(kind)[:40]!r}")
    with connection.reading() as session:
        listing = groups_of(connection).now(session, FRESH_S if request.get("fresh") else 0.0)
        if listing is None:
            return {"groups": [], "total": 0, "recent": [], "reading": True}
    stars = getattr(listing, kind)
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
    clip_files.playable_files(connection.workspace).prepare(clips, playable)
    return {"groups": [asdict(group) for group in shown], "total": len(stars), "recent": recent, "reading": False}


@json_route
def acts(connection: Connection, annotator: str, request: dict[str, Any]) -> dict[str, Any]:
    """Record what was done to groups, see json_routes.record_each."""

    def record(session: Session, sent: Any) -> None:
        group_actions.record(session, group_actions.read_review(sent), annotator)

    return {"answers": record_each(connection, request, record)}


def _place(sent: Any) -> tuple[float, ...] | None:
    if sent is None:
        return None
    if not isinstance(sent, list) or not all(isinstance(part, int | float) for part in sent):
        raise BadInput("invalid place in the list")
    return tuple(sent)


DUPLICATE_ROUTES = [
    Route("/labeler/groups", open_groups, methods=["POST"]),
    Route("/labeler/groups/acts", acts, methods=["POST"]),
]
