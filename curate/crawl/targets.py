"""Which tags to crawl, and for which actions: from `--tag`, `--action`, `--actions` or the tags that a source lists."""

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from plusmv.core.actions import THUMOS14, Action, action_of_tag, normalise_tag
from plusmv.core.errors import BadInput
from plusmv.curate.crawl.runs import Target
from plusmv.curate.sources.base import Source
from plusmv.db.models import Action as ActionRow
from plusmv.db.session import Catalog


def known_actions(catalog: Catalog) -> tuple[Action, ...]:
    """The catalog's actions, then those of THUMOS14 that it has not met yet."""
    with catalog.reading() as session:
        rows = session.scalars(select(ActionRow).options(selectinload(ActionRow.tags)).order_by(ActionRow.id))
        met = tuple(Action(row.name, tuple(tag.tag for tag in row.tags), row.definition) for row in rows)
    names = {action.name for action in met}
    return met + tuple(action for action in THUMOS14 if action.name not in names)


def targets_of_tags(tags: Iterable[str], actions: Sequence[Action]) -> list[Target]:
    """A target for each tag. A tag that belongs to no action names its own."""
    normal = dict.fromkeys(map(normalise_tag, tags))
    return [Target(tag, action_of_tag(tag, actions) or Action(tag, (tag,))) for tag in normal]


def targets_of_actions(names: Iterable[str], actions: Sequence[Action]) -> list[Target]:
    """A target for each tag of each action; an action's own name counts as one of its tags."""
    by_name = {action.name.casefold(): action for action in actions}
    chosen = []
    for name in names:
        if name.casefold() not in by_name:
            known = ", ".join(action.name for action in actions)
            raise BadInput(f"unknown action {name[:60]!r}; known are {known}")
        chosen.append(by_name[name.casefold()])
    return [Target(tag, action) for action in chosen for tag in _tags(action)]


def targets_in_source(chosen: Sequence[Target], source: Source, actions: Sequence[Action]) -> list[Target]:
    """The chosen targets that a source has; all of its own tags where none are chosen. Raises BadInput for none."""
    tags = source.tags()
    if not chosen:
        if not tags:
            raise BadInput("nothing to crawl: give --tag golfswing, --action GolfSwing or --actions thumos14")
        return targets_of_tags(tags, actions)
    found = [target for target in chosen if source.any_tag or target.tag in tags]
    if not found:
        wanted, has = (", ".join(dict.fromkeys(list(names)[:20])) for names in ((t.tag for t in chosen), tags))
        raise BadInput(f"no post is tagged {wanted} here; the tags are {has or 'none'}")
    return found


def _tags(action: Action) -> tuple[str, ...]:
    return tuple(dict.fromkeys(normalise_tag(tag) for tag in (*action.tags, action.name)))
