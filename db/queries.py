"""Named queries over the catalog that several packages ask. Each returns a Select to run, or rows of a session."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Select, Subquery, func, or_, select, text, union
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from plusmv.core.actions import Action as ActionFacts
from plusmv.core.actions import normalise_tag
from plusmv.db.models import Action, ActionTag, Clip, Decision, Post, Sighting, Verdict

COUNTS = {
    Verdict.KEEP: "kept",
    Verdict.MISTAGGED: "mistagged",
    Verdict.DUPLICATE: "duplicate",
    Verdict.UNUSABLE: "unusable",
    None: "undecided",
}


def save_actions(session: Session, actions: Iterable[ActionFacts]) -> dict[str, Action]:
    """Make the actions and tags that are not there yet; returns {name: row} of those given."""
    if session.get_bind().dialect.name == "postgresql":  # one at a time, as SQLite's writers are
        session.execute(text("LOCK TABLE actions IN SHARE ROW EXCLUSIVE MODE"))
    rows = {}
    for action in actions:
        row = session.scalar(select(Action).where(Action.name == action.name))
        if row is None:
            row = Action(name=action.name, definition=action.definition)
            session.add(row)
        known = {tag.tag for tag in row.tags}
        wanted = dict.fromkeys(normalise_tag(tag) for tag in action.tags)
        row.tags.extend(ActionTag(tag=tag) for tag in wanted if tag not in known)
        rows[action.name] = row
    session.flush()
    return rows


def live_decisions() -> Select[Decision]:
    """Decisions that stand: neither an undo nor undone."""
    later = aliased(Decision)
    undone = select(later.id).where(later.undoes_id == Decision.id).exists()
    return select(Decision).where(Decision.verdict != Verdict.UNDO, ~undone)


def clip_actions(of: Sequence[int] | None = None) -> Subquery:
    """Every (clip_id, action_id) to judge: from the tags that found a clip, and verdicts under another action.

    of: these clips alone; looked up one by one, where the whole is a matter of seconds for a million.
    """
    found = (
        select(Post.clip_id, Sighting.action_id)
        .join(Sighting, Sighting.post_id == Post.id)
        .where(Post.clip_id.is_not(None))
    )
    live = live_decisions()
    if of is not None:
        found, live = found.where(Post.clip_id.in_(of)), live.where(Decision.clip_id.in_(of))
    moved = live.where(Decision.action_id.is_not(None)).with_only_columns(Decision.clip_id, Decision.action_id)
    return union(found, moved).subquery("clip_actions")


def verdicts() -> Select:
    """(clip_id, action_id, decision_id, verdict) of every clip under every action; None, None where undecided.

    The newest standing decision counts: of the clip under this action, or of the clip as a whole.
    """
    pairs, live = clip_actions(), live_decisions().subquery()
    newest = (
        select(pairs.c.clip_id, pairs.c.action_id, func.max(live.c.id).label("decision_id"))
        .join_from(
            pairs,
            live,
            (live.c.clip_id == pairs.c.clip_id)
            & or_(live.c.action_id == pairs.c.action_id, live.c.action_id.is_(None)),
            isouter=True,
        )
        .group_by(pairs.c.clip_id, pairs.c.action_id)
        .subquery("newest")
    )
    return select(newest.c.clip_id, newest.c.action_id, newest.c.decision_id, Decision.verdict).join_from(
        newest, Decision, Decision.id == newest.c.decision_id, isouter=True
    )


def clips_by_name(session: Session, name: str) -> list[Clip]:
    """The clips that a person may mean by `name`: a sha256 or a post's platform id."""
    by_sha256 = select(Clip).where(Clip.sha256 == name)
    by_post = select(Clip).join(Post, Post.clip_id == Clip.id).where(Post.platform_id == name)
    return list(session.scalars(by_sha256)) or list(session.scalars(by_post.distinct()))


def add_if_new(session: Session, row: object) -> bool:
    """Add a row; False where another process has, or what it refers to has been taken down meanwhile."""
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return False
    return True
