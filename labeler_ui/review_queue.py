"""What the review page asks of the catalog: which clip is next, what is known of it, how far it is, and the decisions.

Plain functions on a session, without Streamlit. A pair is a clip under one action.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, joinedload

from core.errors import Refused
from curate import decisions
from db.models import Action, Clip, Decision, Post, Sighting
from db.queries import live_decisions, verdicts


class Pair(NamedTuple):
    """A clip and the action that it is judged for."""

    clip_id: int
    action_id: int


@dataclass(frozen=True)
class Card:
    """What the page shows of a pair. `post` is the first that showed the clip under this action."""

    pair: Pair
    clip: Clip
    action: str
    definition: str
    tags: tuple[str, ...]
    post: Post | None
    posts: int


@dataclass(frozen=True)
class Progress:
    """How many pairs of an action are decided."""

    action: str
    decided: int
    total: int


def progress(session: Session) -> dict[int, Progress]:
    """{action id: its progress} of every action that has clips, newest action first."""
    judged = verdicts().subquery()
    rows = session.execute(
        select(Action.id, Action.name, func.count(judged.c.verdict), func.count())
        .join(judged, judged.c.action_id == Action.id)
        .group_by(Action.id, Action.name)
        .order_by(Action.id.desc())
    )
    return {action_id: Progress(*counts) for action_id, *counts in rows}


def upcoming(session: Session, action_id: int | None, later: Sequence[Pair], count: int) -> list[Pair]:
    """The next undecided pairs, of one action or of all: newest action first, oldest clip first, `later` at the end."""
    judged = verdicts().subquery()
    wanted = judged.c.verdict.is_(None)
    if action_id is not None:
        wanted &= judged.c.action_id == action_id
    rows = session.execute(
        select(judged.c.clip_id, judged.c.action_id)
        .where(wanted)
        .order_by(judged.c.action_id.desc(), judged.c.clip_id)
        .limit(count + len(later))
    )
    pairs = [Pair(*row) for row in rows]
    put_off = set(later)
    now = [pair for pair in pairs if pair not in put_off]
    return (now + [pair for pair in later if pair in set(pairs)])[:count]


def card(session: Session, pair: Pair) -> Card:
    """What is known of a pair of the catalog."""
    clip, action = session.get_one(Clip, pair.clip_id), session.get_one(Action, pair.action_id)
    sightings = session.execute(
        select(Post, Sighting.tag)
        .join(Sighting, Sighting.post_id == Post.id)
        .where(Post.clip_id == clip.id, Sighting.action_id == action.id)
        .order_by(Post.id, Sighting.id)
    ).all()
    tags = tuple(dict.fromkeys(tag for _, tag in sightings))
    posts = list(dict.fromkeys(post for post, _ in sightings))
    return Card(pair, clip, action.name, action.definition, tags, posts[0] if posts else None, len(posts))


def standing(session: Session, pair: Pair) -> Decision | None:
    """The newest decision that stands for this pair: of the clip under this action, or of the clip as a whole."""
    of_pair = or_(Decision.action_id == pair.action_id, Decision.action_id.is_(None))
    newest_first = live_decisions().where(Decision.clip_id == pair.clip_id, of_pair).order_by(Decision.id.desc())
    return session.scalar(newest_first.limit(1))


def judge(session: Session, pair: Pair, verdict: str, annotator: str, seconds: float | None) -> Decision:
    """Decide a pair that nobody has decided yet. Raises Refused where somebody has: another tab, another person."""
    session.execute(select(Clip.id).where(Clip.id == pair.clip_id).with_for_update())  # one at a time on PostgreSQL
    earlier = standing(session, pair)
    if earlier is not None:
        raise Refused(f"this clip was decided already: {earlier.verdict}")
    return decisions.decide(session, pair.clip_id, verdict, annotator, pair.action_id, seconds)


def undo_last(session: Session, annotator: str, shown_id: int) -> Decision:
    """Take back the annotator's last decision. Raises Refused where it is not the one that the page showed."""
    last = decisions.last_decision(session, annotator)
    if last is None or last.id != shown_id:
        raise Refused("the page was behind your last decision; press undo again")
    return decisions.undo(session, last.id, annotator)


def undecided_pair(session: Session, clip_id: int, action_id: int | None) -> Pair | None:
    """The clip under this action (None: under any) if it is there and undecided."""
    judged = verdicts().subquery()
    wanted = (judged.c.clip_id == clip_id) & judged.c.verdict.is_(None)
    if action_id is not None:
        wanted &= judged.c.action_id == action_id
    row = session.execute(select(judged.c.clip_id, judged.c.action_id).where(wanted).limit(1)).first()
    return row and Pair(*row)


def last_decisions(session: Session, annotator: str, count: int) -> list[Decision]:
    """The annotator's newest standing decisions, newest first, with their actions loaded."""
    newest_first = live_decisions().where(Decision.annotator == annotator).order_by(Decision.id.desc())
    return list(session.scalars(newest_first.options(joinedload(Decision.action)).limit(count)))


def pace(made: Sequence[Decision]) -> float | None:
    """Mean seconds a decision took, over those whose time is known."""
    seconds = [decision.seconds for decision in made if decision.seconds is not None]
    return sum(seconds) / len(seconds) if seconds else None
