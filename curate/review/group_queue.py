"""Groups of copies for a person to settle: which are open, and what is shown of each (the labeler's duplicates page).

The stars are read once a change (`listing`): they depend on edges and rulings alone (`version`). A star is open while
at least two of its clips are neither called duplicate nor unusable.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from plusmv.curate.duplicates.fingerprint import VERSION
from plusmv.curate.duplicates.groups import duplicate_groups, edges, is_grouped
from plusmv.curate.duplicates.orientation import Orientation
from plusmv.curate.duplicates.rulings import ClipPair, ordered, rulings
from plusmv.curate.review.idempotency import MOST_CLIPS
from plusmv.db.models import Action, Clip, Decision, DuplicateEdge, DuplicateRuling, EdgeKind, FileState, Post, Sighting
from plusmv.db.queries import live_decisions

BATCH = 200  # stars that are looked through at a time
PAIRS, SHARED = (EdgeKind.PART, EdgeKind.COPY), (EdgeKind.SHARED,)


class Star(NamedTuple):
    """Clips of a group, the one to keep first. `place` orders a list and says where one was."""

    place: tuple[float, ...]
    clip_ids: tuple[int, ...]


@dataclass(frozen=True)
class Listing:
    """The groups, and what is for a person."""

    groups: Sequence[Star]
    pairs: Sequence[Star]  # parts, and copies that are not sure
    shared: Sequence[Star]  # two clips each, which share something


@dataclass(frozen=True)
class Edit:
    """What a clip is to the one that stands for its group: t_clip = speed * t_first + offset_s.

    kind: exact, copy, part (of the first), whole (the first is a part of it) or shared (neither lies in the other).
    turn: degrees clockwise that lead from the first's pictures to the clip's, once mirrored where `mirror` is set.
    """

    kind: str
    speed: float
    offset_s: float
    mirror: bool
    turn: int
    score: float
    overlap_s: float

    def inverse(self) -> "Edit":
        kinds = {"part": "whole", "whole": "part"}
        kind, overlap = kinds.get(self.kind, self.kind), self.overlap_s / self.speed
        turn, offset = Orientation(self.mirror, self.turn).inverse.turn, -self.offset_s / self.speed
        return replace(self, kind=kind, speed=1 / self.speed, offset_s=offset, turn=turn, overlap_s=overlap)


@dataclass(frozen=True)
class Member:
    """One clip of a group. `edit` is None for the first, and where no edge leads there. `out`: called so already."""

    clip: int
    sha: str
    error: str | None
    seconds: float | None
    width: int | None
    height: int | None
    bytes: int
    actions: tuple[str, ...]
    tags: tuple[str, ...]
    posts: int
    out: str | None
    edit: Edit | None


@dataclass(frozen=True)
class Group:
    """A star as it is shown. `more`: clips beyond those shown."""

    place: tuple[float, ...]
    members: tuple[Member, ...]
    more: int


def version(session: Session) -> tuple[int | None, ...]:
    """Changes whenever the listing may."""
    newest = select(func.max(DuplicateEdge.id), func.count(DuplicateEdge.id))
    newest_ruling = select(func.max(DuplicateRuling.id), func.count(DuplicateRuling.id))
    return (*session.execute(newest).one(), *session.execute(newest_ruling).one())


def listing(session: Session, shares: dict[int, float] | None = None) -> Listing:
    """All groups and proposed pairs, whether open or settled. shares: see curate.duplicates.groups."""
    stars = [tuple(clip.id for clip in group) for group in duplicate_groups(session, shares)]
    groups = [Star((star[0],), star) for star in stars]
    first_of = {clip_id: star[0] for star in stars for clip_id in star}
    pairs, shared = (sorted(_proposed(session, first_of, kinds)) for kinds in (PAIRS, SHARED))
    return Listing(sorted(groups), pairs, shared)


def _proposed(session: Session, first_of: dict[int, int], kinds: Collection[EdgeKind]) -> Iterable[Star]:
    """Pairs for a person: of one clip and a group, or of two groups, one pair; firsts before others, then by score.

    first_of: {clip of a group: the one that stands for it}
    """
    ruled = rulings(session)
    best: dict[ClipPair, tuple[tuple[int, float], Star]] = {}
    for edge in edges(session):
        ends = edge.b_id, edge.a_id  # a part lies in b, which is kept
        of = ordered(*(first_of.get(clip_id, clip_id) for clip_id in ends))
        if edge.kind not in kinds or of[0] == of[1] or is_grouped(edge, ruled):
            continue
        preference = sum(first_of.get(clip_id, clip_id) == clip_id for clip_id in ends), edge.score
        if of not in best or preference > best[of][0]:
            best[of] = preference, Star((-edge.score, edge.id), ends)
    return [star for _, star in best.values()]


def open_stars(session: Session, stars: Sequence[Star], after: Sequence[float] | None, count: int) -> list[Star]:
    """The first `count` open stars after a place."""
    first = bisect_right(stars, tuple(after), key=lambda star: star.place) if after else 0
    found: list[Star] = []
    while first < len(stars) and len(found) < count:
        some = stars[first : first + BATCH]
        out = settled_clips(session, {clip_id for star in some for clip_id in star.clip_ids})
        found += [star for star in some if sum(clip_id not in out for clip_id in star.clip_ids) > 1]
        first += BATCH
    return found[:count]


def settled_clips(session: Session, clip_ids: set[int]) -> dict[int, str]:
    """{clip: duplicate or unusable} of those whose newest standing decision says so."""
    newest = {decision.clip_id: decision for decision in session.scalars(_decisions(clip_ids))}
    return {clip_id: str(row.verdict) for clip_id, row in newest.items() if row.action_id is None}


def show(session: Session, stars: Sequence[Star]) -> list[Group]:
    """What a person sees of these stars; clips that were taken down meanwhile are not among them."""
    shown = [star.clip_ids[:MOST_CLIPS] for star in stars]
    ids = {clip_id for star in shown for clip_id in star}
    clips = {clip.id: clip for clip in session.scalars(select(Clip).where(Clip.id.in_(ids)))}
    tagged, out, near = _tagged(session, ids), settled_clips(session, ids), _edges(session, ids)
    groups = []
    for star, clip_ids in zip(stars, shown, strict=True):
        there = [clip_id for clip_id in clip_ids if clip_id in clips]
        edits = {clip_id: _edit(near, there[0], clip_id) for clip_id in there}
        members = [_member(clips[clip_id], tagged[clip_id], out.get(clip_id), edits[clip_id]) for clip_id in there]
        if len(members) > 1:
            groups.append(Group(star.place, tuple(members), len(star.clip_ids) - len(clip_ids)))
    return groups


def _member(clip: Clip, tagged: list[tuple[int, str, str]], out: str | None, edit: Edit | None) -> Member:
    reason = (clip.error or "it cannot be decoded") if clip.state == FileState.FAILED else None
    posts, tags, actions = (
        (tuple(dict.fromkeys(column)) for column in zip(*tagged, strict=True)) if tagged else ((),) * 3
    )
    return Member(
        clip.id,
        clip.sha256,
        reason,
        clip.duration,
        clip.width,
        clip.height,
        clip.bytes,
        actions,
        tags,
        len(posts),
        out,
        edit,
    )


def _decisions(clip_ids: set[int]) -> Select[Decision]:
    return live_decisions().where(Decision.clip_id.in_(clip_ids)).order_by(Decision.id)


def _tagged(session: Session, clip_ids: set[int]) -> defaultdict[int, list[tuple[int, str, str]]]:
    """{clip: (post, tag, action)}"""
    found: defaultdict[int, list[tuple[int, str, str]]] = defaultdict(list)
    rows = (
        select(Post.clip_id, Post.id, Sighting.tag, Action.name)
        .join(Sighting, Sighting.post_id == Post.id)
        .join(Action, Action.id == Sighting.action_id)
        .where(Post.clip_id.in_(clip_ids))
        .order_by(Post.id, Sighting.id)
    )
    for clip_id, post_id, tag, action in session.execute(rows):
        if clip_id is not None:
            found[clip_id].append((post_id, tag, action))
    return found


def _edges(session: Session, clip_ids: set[int]) -> dict[tuple[int, int], DuplicateEdge]:
    among = DuplicateEdge.a_id.in_(clip_ids) & DuplicateEdge.b_id.in_(clip_ids)
    found = session.scalars(select(DuplicateEdge).where(DuplicateEdge.version == VERSION, among))
    return {ordered(edge.a_id, edge.b_id): edge for edge in found}


def _edit(near: dict[tuple[int, int], DuplicateEdge], first: int, clip_id: int) -> Edit | None:
    edge = near.get(ordered(first, clip_id))
    if edge is None or clip_id == first:
        return None
    of_b = "whole" if edge.kind == EdgeKind.PART else str(edge.kind)  # a is the part
    edit = Edit(of_b, edge.speed, edge.offset_s, edge.mirror, edge.turn, edge.score, edge.overlap_s)
    return edit if edge.a_id == first else edit.inverse()
