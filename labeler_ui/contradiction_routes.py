"""Routes of the contradictions page: the open cases, and recording a person's answers."""

import functools
from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session
from starlette.routing import Route

from plusmv.core.errors import BadInput
from plusmv.curate.duplicates.groups import AcrossActions
from plusmv.curate.review import contradictions, group_queue
from plusmv.curate.review.previews import playable
from plusmv.curate.review.queue import next_groups
from plusmv.db.models import Clip
from plusmv.labeler_ui import clip_files
from plusmv.labeler_ui.connection import Connection
from plusmv.labeler_ui.group_listing import groups_of
from plusmv.labeler_ui.json_routes import json_route, record_each
from plusmv.labeler_ui.latest import Latest

PAGE_SIZE = 12  # cases a response
Cases = list[AcrossActions]


@functools.lru_cache(maxsize=4)
def cases_of(connection: Connection) -> Latest[Cases]:
    """The cases of a catalog, cached per connection: finding them among a million clips takes seconds."""

    def read() -> Cases:
        with connection.reading() as session:
            return contradictions.all_cases(session, groups_of(connection).shares)

    return Latest(read, patience_s=1.0)


@json_route
def next_cases(connection: Connection, annotator: str, request: dict[str, Any]) -> dict[str, Any]:
    """The open cases after a place, which are leased: `CasesMessage` of assets/types.d.ts."""
    kind, after = request.get("list", contradictions.KINDS[0]), request.get("after")
    if kind not in contradictions.KINDS or not (after is None or isinstance(after, str)):
        raise BadInput("unknown list, or invalid place in it")
    with connection.reading() as session:
        listed = cases_of(connection).value((group_queue.version(session), contradictions.version(session)))
        if listed is None:
            return {"cases": [], "recent": [], "reading": True}
    with connection.writing() as session:
        found = next_groups(
            session,
            after,
            PAGE_SIZE,
            annotator,
            lambda after, count: contradictions.open_cases(session, listed, kind, after, count),
            lambda case: case.clips,
        )
    with connection.reading() as session:
        recent = contradictions.recent(session, annotator)
        clips = [session.get_one(Clip, case.clips[0]) for case in found if not case.error]
    clip_files.playable_files(connection.workspace).prepare(clips, playable)
    return {"cases": [asdict(case) for case in found], "recent": recent, "reading": False}


@json_route
def answers(connection: Connection, annotator: str, request: dict[str, Any]) -> dict[str, Any]:
    """Record answers, see json_routes.record_each."""

    def record(session: Session, sent: Any) -> None:
        contradictions.record(session, contradictions.read_answer(sent), annotator)

    return {"answers": record_each(connection, request, record)}


CONTRADICTION_ROUTES = [
    Route("/labeler/contradictions", next_cases, methods=["POST"]),
    Route("/labeler/contradictions/answers", answers, methods=["POST"]),
]
