"""Routes of the review page and the grid: the next clips, recording decisions, putting a clip off.

A decision is answered once the catalog has it. Where the catalog is locked or missing the answer is 503 with a reason,
nothing is recorded, and the page sends the same again.
"""

import functools
from dataclasses import asdict
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.routing import Route

from plusmv.core.errors import BadInput
from plusmv.core.text import bounded_line
from plusmv.curate.report.audit import next_to_audit
from plusmv.curate.review import entries, leases, queue
from plusmv.curate.review.cards import pace
from plusmv.curate.review.decisions import VERDICTS
from plusmv.curate.review.idempotency import read_id
from plusmv.curate.review.leases import ClipAction
from plusmv.curate.review.previews import playable, preview
from plusmv.curate.review.queue import Cursor, QueueFilter
from plusmv.db.models import Action, Clip, Decision, Verdict
from plusmv.labeler_ui import clip_files
from plusmv.labeler_ui.card_json import queue_cards, recent_decisions, reference_paths
from plusmv.labeler_ui.connection import Connection
from plusmv.labeler_ui.counting import Counting
from plusmv.labeler_ui.json_routes import PAGE, json_route, record_each
from plusmv.labeler_ui.reranking import count_decisions

RECENT = 50  # decisions that the page can take back, and that its pace is measured by


@json_route
def next_work(connection: Connection, annotator: str, request: dict[str, Any]) -> dict[str, Any]:
    """The next clips of a queue, which are leased: `WorkMessage` of assets/types.d.ts."""
    mode, count = request.get("mode", "new"), _bounded(request.get("count"))
    wanted, place = _filter(connection, annotator, request), _cursor(request.get("place"))
    found: list[tuple[ClipAction, Decision | None]]
    with connection.writing() as session:
        if mode == "new":
            pairs, place = queue.next_batch(session, wanted, count, place)
            found = [(pair, None) for pair in pairs]
        else:
            found, place = _to_look_at_again(session, wanted, mode, count, place)
        standing = {pair: made for pair, made in reversed(found) if made}  # of two the newest, which comes first
        shown = queue_cards(session, list(dict.fromkeys(pair for pair, _ in found)), standing, mode)
        made = queue.last_decisions(session, annotator, RECENT)
        recent = recent_decisions(session, made)
        actions = {card["action"]: card for card in [*shown, *(each["card"] for each in recent)]}
        pictures = {action: reference_paths(connection.workspace, session, card) for action, card in actions.items()}
        clips = [session.get_one(Clip, card["clip"]) for card in shown if not card["error"]]
    files = clip_files.playable_files(connection.workspace)
    files.prepare(clips, preview if request.get("previews") else playable)
    progress = counting(connection).of(wanted.action_id)
    return {
        "cards": shown,
        "place": asdict(place),
        "progress": progress and {"decided": progress[0], "total": progress[1], "pace": pace(made)},
        "recent": recent,
        "references": pictures,
    }


@json_route
def decisions(connection: Connection, annotator: str, request: dict[str, Any]) -> dict[str, Any]:
    """Record decisions, see json_routes.record_each."""

    def record(session: Session, sent: Any) -> None:
        entries.record(session, entries.read_entry(sent), annotator, connection.overlap)

    answers = record_each(connection, request, record)
    pairs = zip(request["entries"], answers, strict=True)
    recorded = [entry for entry, answer in pairs if answer["state"] == "recorded"]
    count_decisions(connection, (entry["action"] for entry in recorded if entry.get("action")))
    return {"answers": answers}


@json_route
def later(connection: Connection, annotator: str, request: dict[str, Any]) -> dict[str, Any]:
    """Move a clip under an action to the end of this annotator's queue."""
    with connection.writing() as session:
        leases.postpone(session, _pair(request), annotator)
    return {}


def _filter(connection: Connection, annotator: str, request: dict[str, Any]) -> QueueFilter:
    action = request.get("action")
    if action is not None and not isinstance(action, int):
        raise BadInput("the action must be an id")
    search = bounded_line(str(request.get("search") or ""), 200)
    return QueueFilter(annotator, action, search, bool(request.get("least")), connection.overlap)


def _cursor(sent: Any) -> Cursor:
    try:
        if all(value is None or type(value) in (int, float) for value in (sent or {}).values()):
            return Cursor(**sent or {})
    except (AttributeError, TypeError):
        pass
    raise BadInput("invalid place in the queue")


def _pair(sent: dict[str, Any]) -> ClipAction:
    try:
        return ClipAction(read_id(sent["clip"]), read_id(sent["action"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadInput("a clip and an action are required") from error


def _bounded(count: Any) -> int:
    return min(max(int(count), 1), PAGE) if isinstance(count, int | float) else PAGE


def _to_look_at_again(
    session: Session, wanted: QueueFilter, mode: str, count: int, place: Cursor
) -> tuple[list[tuple[ClipAction, Decision | None]], Cursor]:
    """Clips to look at again: a random sample of those kept, or one's own decisions of a verdict, newest first."""
    if mode == "audit":
        return [(pair, None) for pair in _to_audit(session, wanted.action_id, count)], Cursor()
    if mode not in VERDICTS:
        raise BadInput(f"unknown list {str(mode)[:40]!r}")
    made = queue.to_revisit(session, wanted, Verdict(mode), count, place.second_id)
    found: list[tuple[ClipAction, Decision | None]] = [
        (pair, one) for one in made if (pair := queue.pair_of(session, one))
    ]
    return found, Cursor(second_id=made[-1].id) if made else Cursor()


def _to_audit(session: Session, action_id: int | None, count: int) -> list[ClipAction]:
    found: list[ClipAction] = []
    for each in [action_id] if action_id is not None else session.scalars(select(Action.id).order_by(Action.id)):
        found += [ClipAction(clip_id, each) for clip_id in next_to_audit(session, each, count - len(found))]
        if len(found) >= count:
            break
    return found


@functools.lru_cache(maxsize=4)
def counting(connection: Connection) -> Counting:
    """The counts of a catalog, cached per connection."""
    return Counting(connection)


ROUTES = [
    Route("/labeler/work", next_work, methods=["POST"]),
    Route("/labeler/decisions", decisions, methods=["POST"]),
    Route("/labeler/later", later, methods=["POST"]),
    Route("/clips/{sha256}", clip_files.serve_clip),
    Route("/previews/{sha256}", clip_files.serve_preview),
    Route("/stills/{sha256}", clip_files.serve_still),
    Route("/references/{action}/{number}", clip_files.serve_reference),
]
