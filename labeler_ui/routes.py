"""What the pages ask while they run: the next clips, and that decisions be recorded. JSON over POST, with a pass.

The answer to a decision comes once the catalog has it. Where the catalog is locked or gone the answer is 503 with a
reason, nothing is recorded, and the page sends the same again.
"""

import functools
import threading
from collections import Counter
from dataclasses import asdict
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.routing import Route

from plusmv.core.errors import BadInput
from plusmv.curate.ranking import rank as ranking
from plusmv.curate.report.audit import next_to_audit
from plusmv.curate.review import entries, leases, queue
from plusmv.curate.review.cards import REFERENCES, Card, cards, pace, references
from plusmv.curate.review.decisions import VERDICTS
from plusmv.curate.review.idempotency import request_of
from plusmv.curate.review.leases import ClipAction
from plusmv.curate.review.previews import playable, preview
from plusmv.curate.review.queue import Cursor, QueueFilter
from plusmv.db.models import Action, Clip, Decision
from plusmv.labeler_ui import clip_files
from plusmv.labeler_ui.clip_files import own_pictures
from plusmv.labeler_ui.connection import Connection
from plusmv.labeler_ui.counting import Counting
from plusmv.labeler_ui.json_routes import PAGE, json_route, record_each

RECENT = 50  # decisions that can be taken back from the page, and that the pace is taken from
RERANK_AFTER = 20  # decisions of an action


@json_route
def next_work(connection: Connection, annotator: str, asked: dict) -> dict:
    """{"cards", "place", "progress", "recent", "references"} of what a page's filter asks for; the clips are leased."""
    mode, count = asked.get("mode", "new"), _bounded(asked.get("count"))
    wanted, place = _asked(connection, annotator, asked), _place(asked.get("place"))
    with connection.writing() as session:
        if mode == "new":
            pairs, place = queue.next_batch(session, wanted, count, place)
            found = [(pair, None) for pair in pairs]
        else:
            found, place = _again(session, wanted, mode, count, place)
        standing = {pair: made for pair, made in reversed(found) if made}  # of two the newest, which comes first
        shown = _shown(session, list(dict.fromkeys(pair for pair, _ in found)), standing, mode)
        made = queue.last_decisions(session, annotator, RECENT)
        recent = _recent(session, made)
        actions = {card["action"]: card for card in [*shown, *(each["card"] for each in recent)]}
        pictures = {action: _references(connection, session, card) for action, card in actions.items()}
        clips = [session.get_one(Clip, card["clip"]) for card in shown if not card["error"]]
    clip_files.films(connection.workspace).prepare(clips, preview if asked.get("previews") else playable)
    progress = counting(connection).of(wanted.action_id)
    return {
        "cards": shown,
        "place": asdict(place),
        "progress": progress and {"decided": progress[0], "total": progress[1], "pace": pace(made)},
        "recent": recent,
        "references": pictures,
    }


@json_route
def decisions(connection: Connection, annotator: str, asked: dict) -> dict:
    """{"answers": [{"id", "state": recorded | refused, "reason"}]} in the order of the entries."""

    def record(session: Session, sent: Any) -> None:
        entries.record(session, entries.read_entry(sent), annotator, connection.overlap)

    answers = record_each(connection, asked, record)
    recorded = [answer["state"] == "recorded" for answer in answers]
    _rerank(connection, [entry for entry, done in zip(asked["entries"], recorded, strict=True) if done])
    return {"answers": answers}


@json_route
def later(connection: Connection, annotator: str, asked: dict) -> dict:
    """Put a pair off to the end of this annotator's queue."""
    with connection.writing() as session:
        leases.postpone(session, _pair(asked), annotator)
    return {}


def _asked(connection: Connection, annotator: str, asked: dict) -> QueueFilter:
    action = asked.get("action")
    if action is not None and not isinstance(action, int):
        raise BadInput("the action must be an id")
    search = str(asked.get("search") or "")[:200]
    return QueueFilter(annotator, action, search, bool(asked.get("least")), connection.overlap)


def _place(sent: Any) -> Cursor:
    try:
        if all(value is None or type(value) in (int, float) for value in (sent or {}).values()):
            return Cursor(**sent or {})
    except (AttributeError, TypeError):
        pass
    raise BadInput("not a place that a queue was left at")


def _pair(sent: dict) -> ClipAction:
    try:
        return ClipAction(int(sent["clip"]), int(sent["action"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("the request names no clip and action") from error


def _bounded(count: Any) -> int:
    return min(max(int(count), 1), PAGE) if isinstance(count, int | float) else PAGE


def _again(
    session: Session, wanted: QueueFilter, mode: str, count: int, place: Cursor
) -> tuple[list[tuple[ClipAction, Decision | None]], Cursor]:
    """Clips to look at again: a random sample of those kept, or one's own decisions of a verdict, newest first."""
    if mode == "audit":
        return [(pair, None) for pair in _to_audit(session, wanted.action_id, count)], Cursor()
    if mode not in VERDICTS:
        raise BadInput(f"there is no list of {mode!r}")
    made = queue.to_revisit(session, wanted, mode, count, place.second_id)
    found = [(pair, one) for one in made if (pair := queue.pair_of(session, one))]
    return found, Cursor(second_id=made[-1].id) if made else Cursor()


def _to_audit(session: Session, action_id: int | None, count: int) -> list[ClipAction]:
    found: list[ClipAction] = []
    for each in [action_id] if action_id is not None else session.scalars(select(Action.id).order_by(Action.id)):
        found += [ClipAction(clip_id, each) for clip_id in next_to_audit(session, each, count - len(found))]
        if len(found) >= count:
            break
    return found


def _shown(session: Session, pairs: list[ClipAction], made: dict[ClipAction, Decision], mode: str) -> list[dict]:
    found = []
    for card in cards(session, pairs):
        standing = made.get(card.pair)
        found.append(_json_card(card) | {"mode": mode})
        if standing is not None:
            found[-1] |= {"revises": standing.id, "verdict": standing.verdict}
    return found


def _json_card(card: Card) -> dict:
    shown = {
        "clip": card.pair.clip_id,
        "action": card.pair.action_id,
        "sha": card.sha256,
        "name": card.action,
        "error": card.error,
    }
    more = ("seconds", "tags", "caption", "origin", "posts", "suspicion")
    return shown | {name: getattr(card, name) for name in more}


def _recent(session: Session, made: list[Decision]) -> list[dict]:
    """A card for each request, of the first decision that it made; one that came of no request goes by its own id."""
    firsts = {request_of(one.request_id) if one.request_id else one.id: one for one in made}  # made is newest first
    pairs = {one.id: pair for one in firsts.values() if (pair := queue.pair_of(session, one))}
    by_pair = {card.pair: _json_card(card) for card in cards(session, list(dict.fromkeys(pairs.values())))}
    return [
        {"request": request, "verdict": one.verdict, "card": by_pair[pairs[one.id]]}
        for request, one in firsts.items()
        if pairs.get(one.id) in by_pair
    ]


def _references(connection: Connection, session: Session, card: dict) -> list[str]:
    """Where two pictures of the card's action are: the curators' own, else of clips that were kept."""
    name = card["name"]
    own = [f"references/{name}/{number}" for number, _ in enumerate(own_pictures(connection.workspace, name))]
    return (own or [f"stills/{sha256}" for sha256 in references(session, card["action"])])[:REFERENCES]


@functools.lru_cache(maxsize=4)
def counting(connection: Connection) -> Counting:
    """The counts of a catalog, kept beside it."""
    return Counting(connection)


_since: Counter[int] = Counter()  # decisions of an action since it was last ranked
_ranking = threading.Lock()


def _rerank(connection: Connection, entries: list[dict]) -> None:
    """Rank an action anew, in the background, once enough has been decided."""
    for action_id, count in Counter(entry["action"] for entry in entries if entry.get("action")).items():
        _since[action_id] += count
        if _since[action_id] >= RERANK_AFTER:
            _since[action_id] = 0
            threading.Thread(target=_rank_now, args=(connection, action_id), daemon=True).start()


def _rank_now(connection: Connection, action_id: int) -> None:
    with _ranking:
        ranking.rerank(connection.catalog, action_id)


ROUTES = [
    Route("/labeler/work", next_work, methods=["POST"]),
    Route("/labeler/decisions", decisions, methods=["POST"]),
    Route("/labeler/later", later, methods=["POST"]),
    Route("/clips/{sha256}", clip_files.serve_clip),
    Route("/previews/{sha256}", clip_files.serve_preview),
    Route("/stills/{sha256}", clip_files.serve_still),
    Route("/references/{action}/{number}", clip_files.serve_reference),
]
