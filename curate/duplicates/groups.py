"""Groups of copies, as people ruled about them, and copies that stand under different actions. Nothing is removed.

A group is a star: every member is a copy of its representative, so a compilation never chains two clips. Only sure
copies are grouped by themselves; parts, unsure copies, clips that share something and other moments of a scene are for
a person.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypedDict

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from plusmv.core.batching import batched
from plusmv.curate.duplicates.alignment import is_sure
from plusmv.curate.duplicates.fingerprint import VERSION, Fingerprint
from plusmv.curate.duplicates.rulings import ClipPair, kept_by_hand, ordered, rulings
from plusmv.db.models import Action, Clip, DuplicateEdge, RulingKind
from plusmv.db.models import Fingerprint as FingerprintRow
from plusmv.db.queries import clip_actions

COMPATIBLE = (
    frozenset(("CliffDiving", "Diving")),
    frozenset(("CricketBowling", "CricketShot")),
)  # THUMOS14's own pairs
SQL_IN_LIMIT = 500  # clips of one query
ARRAYS_BATCH = 50  # fingerprints, about 80 kB each


def edges(session: Session, versions: Sequence[str] = (VERSION,)) -> list[DuplicateEdge]:
    """All edges of these versions, those that a person has ruled out left out."""
    ruled = rulings(session)
    found = session.scalars(select(DuplicateEdge).where(DuplicateEdge.version.in_(versions)))
    return [edge for edge in found if ruled.get(ordered(edge.a_id, edge.b_id)) != RulingKind.NOT_DUPLICATE]


def duplicate_groups(
    session: Session, shares: dict[int, float] | None = None, versions: Sequence[str] = (VERSION,)
) -> list[list[Clip]]:
    """Groups of copies, the one to keep first, the others in the order of preference.

    shares: what `_shares_without_border` read before, to spare reading it again; added to.
    """
    ruled = rulings(session)
    near: dict[int, dict[int, bool]] = defaultdict(dict)  # clip -> {copy: mirrored or turned}
    for edge in edges(session, versions):
        if is_grouped(edge, ruled):
            near[edge.a_id][edge.b_id] = near[edge.b_id][edge.a_id] = edge.mirror or edge.turn != 0
    clips: list[Clip] = []
    for some in batched(list(near), SQL_IN_LIMIT):
        clips += session.scalars(select(Clip).where(Clip.id.in_(some)).options(selectinload(Clip.posts)))
    bare = {} if shares is None else shares
    bare.update(_shares_without_border(session, [clip_id for clip_id in near if clip_id not in bare]))
    wanted = kept_by_hand(session)
    clips.sort(key=lambda clip: _preference(clip, wanted, bare.get(clip.id, 1.0), sum(near[clip.id].values())))
    groups: list[list[Clip]] = []
    taken: set[int] = set()
    ranked = {clip.id: (rank, clip) for rank, clip in enumerate(clips)}
    for clip in clips:
        if clip.id not in taken:
            others = sorted(ranked[other] for other in near[clip.id] if other in ranked and other not in taken)
            star = [clip, *(other for _, other in others)]
            taken.update(member.id for member in star)
            groups.append(star)
    return [star for star in groups if len(star) > 1]


def is_grouped(edge: DuplicateEdge, ruled: Mapping[ClipPair, RulingKind]) -> bool:
    """Whether two clips are of a group: surely copies, or called so by a person."""
    return is_sure(edge) or ruled.get(ordered(edge.a_id, edge.b_id)) == RulingKind.DUPLICATE


def _preference(clip: Clip, wanted: dict[int, int], bare: float, mirrorings: int) -> tuple:
    """Sorts the copy to keep first: chosen by a person, longest, resolution x bitrate, unmirrored, earliest.

    Lengths are taken to half a second, containers round; borders count for no resolution; the mirrored or turned one is
    the one that more copies mirror or turn.
    """
    seconds = clip.duration or 0.0
    quality = (clip.width or 0) * (clip.height or 0) * bare * clip.bytes / max(seconds, 0.1)
    published = min((post.taken_at.timestamp() for post in clip.posts if post.taken_at), default=float("inf"))
    return -wanted.get(clip.id, 0), -round(2 * seconds), -quality, mirrorings, published, clip.sha256


def _shares_without_border(session: Session, clip_ids: Sequence[int]) -> dict[int, float]:
    """{clip: share of its frame that is picture and not border}."""
    shares = dict.fromkeys(clip_ids, 1.0)
    for some in batched(clip_ids, ARRAYS_BATCH):
        rows = select(FingerprintRow.clip_id, FingerprintRow.arrays).where(
            FingerprintRow.clip_id.in_(some), FingerprintRow.version == VERSION, FingerprintRow.arrays.is_not(None)
        )
        for clip_id, arrays in session.execute(rows):
            if arrays is None:
                continue
            left, top, right, bottom = Fingerprint.from_bytes(arrays).box.tolist()
            shares[clip_id] = (right - left) * (bottom - top)
    return shares


class AcrossActions(TypedDict):
    """Copies, or one clip, that stand under different actions."""

    clips: list[str]  # sha256
    actions: dict[str, list[str]]  # sha256 of the clips under each
    kind: Literal["several-labels", "contradiction"]  # several-labels: all of these actions are compatible


def across_actions(session: Session, groups: Iterable[Sequence[Clip]]) -> list[AcrossActions]:
    """The groups whose clips stand under different actions, and single clips that do."""
    grouped: list[list[Clip]] = [list(group) for group in groups]
    inside = {clip.id for group in grouped for clip in group}
    alone = sorted(set(_under_several(session)) - inside)
    actions = _action_names(session, [*inside, *alone])
    for some in batched(alone, SQL_IN_LIMIT):
        grouped += [[clip] for clip in session.scalars(select(Clip).where(Clip.id.in_(some)))]
    found: list[AcrossActions] = []
    for group in grouped:
        names = set[str]().union(*(actions[clip.id] for clip in group))
        if len(names) > 1:
            under = {name: sorted(clip.sha256 for clip in group if name in actions[clip.id]) for name in sorted(names)}
            found.append(
                {
                    "clips": [clip.sha256 for clip in group],
                    "actions": under,
                    "kind": "several-labels" if go_together(names) else "contradiction",
                }
            )
    return sorted(found, key=lambda one: one["clips"])


def go_together(names: Collection[str]) -> bool:
    """Whether a clip may well show all of these actions."""
    return any(set(names) <= together for together in COMPATIBLE)


def _under_several(session: Session) -> Iterator[int]:
    """Clips that stand under more than one action. The database looks for them, so that a million clips cost little."""
    pairs = clip_actions()
    of_clip = select(pairs.c.clip_id).group_by(pairs.c.clip_id)
    yield from session.scalars(of_clip.having(func.min(pairs.c.action_id) < func.max(pairs.c.action_id)))


def _action_names(session: Session, clip_ids: Sequence[int]) -> dict[int, set[str]]:
    """{clip: names of the actions it stands under}"""
    names: dict[int, set[str]] = defaultdict(set)
    for some in batched(clip_ids, SQL_IN_LIMIT):
        pairs = clip_actions(some)
        named = select(pairs.c.clip_id, Action.name).join(Action, Action.id == pairs.c.action_id)
        for clip_id, name in session.execute(named):
            names[clip_id].add(name)
    return names
