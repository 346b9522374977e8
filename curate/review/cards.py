"""What the labeler shows of a pair: the clip, its action, what its posts say, and pictures of clips that were kept."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import func, select, union
from sqlalchemy.orm import Session

from plusmv.curate.ranking.scores import COMBINED
from plusmv.curate.review.leases import ClipAction
from plusmv.db.models import Action, Clip, Decision, FileState, Post, Sighting, SuspicionScore, Verdict
from plusmv.db.queries import live_decisions

REFERENCES = 2

Row = TypeVar("Row", Clip, Action)


@dataclass(frozen=True)
class Card:
    """One pair. `error`: why the clip cannot be decoded. `suspicion` from 0 to 1, None where nothing has ranked it."""

    pair: ClipAction
    sha256: str
    bytes: int
    error: str | None
    seconds: float | None
    action: str
    tags: tuple[str, ...]
    caption: str
    origin: str
    posts: int
    suspicion: float | None


def cards(session: Session, pairs: Sequence[ClipAction]) -> list[Card]:
    """The cards of these pairs, in their order; a clip that was taken down meanwhile has none."""
    clips = _by_id(session, Clip, {pair.clip_id for pair in pairs})
    actions = _by_id(session, Action, {pair.action_id for pair in pairs})
    posts = _posts(session, pairs)
    suspicion = _suspicion(session, pairs)
    return [
        _card(pair, clips[pair.clip_id], actions[pair.action_id].name, posts.get(pair, []), suspicion.get(pair))
        for pair in pairs
        if pair.clip_id in clips
    ]


def references(session: Session, action_id: int) -> list[str]:
    """Contents that show what the action looks like: the latest kept by hand, else the least suspicious."""
    kept = live_decisions().where(Decision.action_id == action_id, Decision.verdict == Verdict.KEEP)
    latest = session.scalars(kept.order_by(Decision.id.desc()).limit(REFERENCES).with_only_columns(Decision.clip_id))
    likely = (
        select(SuspicionScore.clip_id)
        .where(SuspicionScore.action_id == action_id, SuspicionScore.signal == COMBINED)
        .order_by(SuspicionScore.score, SuspicionScore.clip_id)
        .limit(2 * REFERENCES)
    )
    wanted = list(dict.fromkeys([*latest, *session.scalars(likely)]))
    clips = _by_id(session, Clip, set(wanted))
    shown = [clips[clip_id].sha256 for clip_id in wanted if clips[clip_id].state == FileState.DONE]
    return shown[:REFERENCES]


def totals(session: Session) -> dict[int, tuple[int, int]]:
    """{action id: (clips decided, clips)}: a million clips take a second or two, so ask for it in the background."""
    found = select(Sighting.action_id, func.count(Post.clip_id.distinct())).join(Post, Post.id == Sighting.post_id)
    grouped = session.execute(found.where(Post.clip_id.is_not(None)).group_by(Sighting.action_id))
    clips = dict(grouped.tuples().all())
    live = live_decisions().subquery()
    here = select(live.c.action_id, live.c.clip_id).where(live.c.action_id.is_not(None))
    whole = (
        select(Sighting.action_id, live.c.clip_id)
        .join(Post, Post.clip_id == live.c.clip_id)
        .join(Sighting, Sighting.post_id == Post.id)
        .where(live.c.action_id.is_(None))
    )
    judged = union(here, whole).subquery()
    counted = session.execute(select(judged.c.action_id, func.count()).group_by(judged.c.action_id))
    decided: dict[int, int] = dict(counted.tuples().all())
    return {key: (decided.get(key, 0), max(clips.get(key, 0), decided.get(key, 0))) for key in clips | decided}


def pace(made: Iterable[Decision]) -> float | None:
    """Mean active seconds of a decision, over those whose time is known."""
    seconds = [decision.seconds for decision in made if decision.seconds is not None]
    return sum(seconds) / len(seconds) if seconds else None


def _by_id(session: Session, table: type[Row], ids: set[int]) -> dict[int, Row]:
    return {row.id: row for row in session.scalars(select(table).where(table.id.in_(ids)))}


def _posts(session: Session, pairs: Sequence[ClipAction]) -> dict[ClipAction, list[tuple[Post, str]]]:
    """{pair: (post, tag) of its sightings, oldest first}; in two steps, for which no database needs statistics."""
    shown = select(Post).where(Post.clip_id.in_({pair.clip_id for pair in pairs}))
    posts = {post.id: post for post in session.scalars(shown)}
    sightings = select(Sighting.post_id, Sighting.tag, Sighting.action_id).where(Sighting.post_id.in_(list(posts)))
    found = defaultdict(list)
    for post_id, tag, action_id in session.execute(sightings.order_by(Sighting.post_id, Sighting.id)):
        post = posts[post_id]
        if post.clip_id is not None:
            found[ClipAction(post.clip_id, action_id)].append((post, tag))
    return found


def _suspicion(session: Session, pairs: Sequence[ClipAction]) -> dict[ClipAction, float]:
    rows = session.scalars(
        select(SuspicionScore).where(
            SuspicionScore.clip_id.in_({pair.clip_id for pair in pairs}), SuspicionScore.signal == COMBINED
        )
    )
    return {ClipAction(row.clip_id, row.action_id): row.score for row in rows}


def _card(
    pair: ClipAction, clip: Clip, action: str, sightings: Sequence[tuple[Post, str]], suspicion: float | None
) -> Card:
    posts = list(dict.fromkeys(post for post, _ in sightings))
    first = posts[0] if posts else None
    return Card(
        pair,
        clip.sha256,
        clip.bytes,
        (clip.error or "it cannot be decoded") if clip.state == FileState.FAILED else None,
        clip.duration,
        action,
        tuple(dict.fromkeys(tag for _, tag in sightings)),
        first.caption if first else "",
        (first.origin or f"{first.platform}: {first.platform_id}") if first else "",
        len(posts),
        suspicion,
    )
