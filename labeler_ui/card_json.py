"""Clips and decisions as the review page and the grid get them: `Card` and `RecentDecision` of assets/types.d.ts."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from plusmv.core.workspace import Workspace
from plusmv.curate.review import queue
from plusmv.curate.review.cards import REFERENCES, Card, cards, references
from plusmv.curate.review.idempotency import request_of
from plusmv.curate.review.leases import ClipAction
from plusmv.db.models import Decision
from plusmv.labeler_ui.clip_files import own_pictures

CardJson = dict[str, Any]
FACTS = ("seconds", "tags", "caption", "origin", "posts", "suspicion")


def queue_cards(
    session: Session, pairs: Sequence[ClipAction], standing: Mapping[ClipAction, Decision], mode: str
) -> list[CardJson]:
    """The cards of a queue. standing: decisions that a new one on the same card would revise."""
    found = []
    for card in cards(session, list(pairs)):
        found.append(_card(card) | {"mode": mode})
        made = standing.get(card.pair)
        if made is not None:
            found[-1] |= {"revises": made.id, "verdict": made.verdict}
    return found


def recent_decisions(session: Session, made: Sequence[Decision]) -> list[dict[str, Any]]:
    """A card for each request, of the first decision it made; a decision without a request goes by its own id.

    made: newest first.
    """
    firsts: dict[str | int, Decision] = {request_of(one.request_id) if one.request_id else one.id: one for one in made}
    pairs = {one.id: pair for one in firsts.values() if (pair := queue.pair_of(session, one))}
    by_pair = {card.pair: _card(card) for card in cards(session, list(dict.fromkeys(pairs.values())))}
    return [
        {"request": request, "verdict": one.verdict, "card": by_pair[pairs[one.id]]}
        for request, one in firsts.items()
        if pairs.get(one.id) in by_pair
    ]


def reference_paths(workspace: Workspace, session: Session, card: CardJson) -> list[str]:
    """Where two pictures of the card's action are: the curators' own, else of clips that were kept."""
    name = card["name"]
    own = [f"references/{name}/{number}" for number, _ in enumerate(own_pictures(workspace, name))]
    return (own or [f"stills/{sha256}" for sha256 in references(session, card["action"])])[:REFERENCES]


def _card(card: Card) -> CardJson:
    shown = {
        "clip": card.pair.clip_id,
        "action": card.pair.action_id,
        "sha": card.sha256,
        "name": card.action,
        "error": card.error,
    }
    return shown | {name: getattr(card, name) for name in FACTS}
