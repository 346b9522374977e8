"""Duplicates in the catalog: fingerprint what is new, compare it with all, keep edges, read groups off them.

Whether two clips are copies depends on these two alone (curate.alignment), every pair is asked in the order of their
sha256, and each transaction leaves whole answers: so the edges do not depend on the order in which clips came, on how
many runs it took, or on where one was killed. Nothing is removed here; groups are for a person and for `export`.
"""

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
from sqlalchemy import exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from core.workers import Outcome, map_unordered
from core.workspace import Workspace
from curate.alignment import Alignment, compare
from curate.fingerprint import VERSION, Fingerprint, fingerprint_video
from curate.hash_index import HashIndex
from db.models import Clip, DuplicateEdge, EdgeKind, FileState
from db.models import Fingerprint as FingerprintRow
from db.session import Catalog

TIME_LIMIT_S = 900  # for one clip's fingerprint
REMEMBERED = 1024  # fingerprints kept in memory, about 25 kB each for a clip of 10 s
GROUPED = (EdgeKind.EXACT, EdgeKind.COPY)
Watch = Callable[[Iterable[Any], int, str], Iterable[Any]]  # core.commandline.track is one


class FingerprintStage:
    """What a worker does with one clip: its fingerprint's bytes."""

    def setup(self) -> None:
        cv2.setNumThreads(1)

    def process(self, task: tuple[int, Path]) -> bytes:
        return fingerprint_video(task[1]).to_bytes()


def find_duplicates(
    catalog: Catalog,
    workspace: Workspace,
    workers: int | None = None,
    retry_failed: bool = False,
    watch: Watch = lambda outcomes, total, description: outcomes,
) -> dict[str, Any]:
    """Fingerprint and compare what is new; returns the JSON of `plusmv dedup`.

    With it come the counts clips = fingerprinted + skipped (fingerprinted before) + failed, and the failures with their
    reasons. watch: called with (outcomes, total, description) of each of the two long loops, such as a progress bar.
    """
    with catalog.reading() as session:
        tasks = clips_to_fingerprint(session, workspace, retry_failed)
    outcomes = watch(fingerprint_new(catalog, tasks, workers), len(tasks), "fingerprinting")
    fingerprinted = sum(outcome.error is None for outcome in outcomes)
    with catalog.reading() as session:
        clip_ids = clips_to_compare(session)
    for _ in watch(compare_new(catalog, clip_ids), len(clip_ids), "comparing"):
        pass
    with catalog.reading() as session:
        return _result(session, fingerprinted)


def clips_to_fingerprint(session: Session, workspace: Workspace, retry_failed: bool = False) -> list[tuple[int, Path]]:
    """(clip id, media file) of the clips without a fingerprint of this version; failed ones only to try again."""
    settled = [FileState.DONE] if retry_failed else [FileState.DONE, FileState.FAILED]
    row = exists().where(
        FingerprintRow.clip_id == Clip.id, FingerprintRow.version == VERSION, FingerprintRow.state.in_(settled)
    )
    clips = session.scalars(select(Clip).where(Clip.state == FileState.DONE, ~row).order_by(Clip.id))
    return [(clip.id, workspace.media(clip.sha256, clip.suffix)) for clip in clips]


def fingerprint_new(
    catalog: Catalog, tasks: list[tuple[int, Path]], workers: int | None = None
) -> Iterator[Outcome[tuple[int, Path], bytes]]:
    """Fingerprint clips in worker processes. A yielded outcome is in the catalog, a failed one with its reason."""
    for outcome in map_unordered(FingerprintStage(), tasks, workers=workers, time_limit=TIME_LIMIT_S):
        state = FileState.DONE if outcome.error is None else FileState.FAILED
        values = {"state": state, "error": outcome.error, "arrays": outcome.value, "compared": False}
        with catalog.writing() as session:
            row = session.scalar(_row_of(select(FingerprintRow), outcome.task[0]))
            if row is None:
                _add_once(session, FingerprintRow(clip_id=outcome.task[0], version=VERSION, **values))
            elif row.state == FileState.FAILED:
                session.execute(_row_of(update(FingerprintRow), outcome.task[0]).values(values))
        yield outcome


def clips_to_compare(session: Session) -> list[int]:
    """Clips whose fingerprint has not been compared with all others yet."""
    rows = select(FingerprintRow.clip_id).where(
        FingerprintRow.version == VERSION, FingerprintRow.state == FileState.DONE, ~FingerprintRow.compared
    )
    return list(session.scalars(rows.order_by(FingerprintRow.clip_id)))


def compare_new(catalog: Catalog, clip_ids: list[int]) -> Iterator[int]:
    """Compare clips with all that are fingerprinted; yields each one's number of edges, once they are stored."""
    with catalog.reading() as session:
        index = HashIndex.of_catalog(session)
    load = functools.lru_cache(REMEMBERED)(functools.partial(_load, catalog))
    finished: set[int] = set()
    for clip_id in clip_ids:
        pairs = [pair for pair in index.candidates(clip_id) if finished.isdisjoint(pair)]
        edges = [edge for a_id, b_id in pairs if (edge := _edge(a_id, load(a_id), b_id, load(b_id)))]
        with catalog.writing() as session:
            for edge in edges:
                _add_once(session, edge)
            session.execute(_row_of(update(FingerprintRow), clip_id).values(compared=True))
        finished.add(clip_id)
        yield len(edges)


def duplicate_groups(session: Session) -> list[list[Clip]]:
    """Groups of copies, the one to keep first, the others in the order of preference.

    Each group is a star: every member is a copy of its representative, so a compilation never chains two clips. Parts
    and other moments of a scene are not grouped.
    """
    near: dict[int, dict[int, bool]] = defaultdict(dict)  # clip -> {copy: mirrored}
    for edge in session.scalars(_edges().where(DuplicateEdge.kind.in_(GROUPED))):
        near[edge.a_id][edge.b_id] = near[edge.b_id][edge.a_id] = edge.mirror
    clips = list(session.scalars(select(Clip).where(Clip.id.in_(list(near))).options(selectinload(Clip.posts))))
    clips.sort(key=lambda clip: _preference(clip, sum(near[clip.id].values())))
    groups, taken = [], set()
    for clip in clips:
        if clip.id not in taken:
            star = [clip, *(other for other in clips if other.id in near[clip.id] and other.id not in taken)]
            taken.update(member.id for member in star)
            groups.append(star)
    return [star for star in groups if len(star) > 1]


def _preference(clip: Clip, mirrorings: int) -> tuple:
    """Sorts the copy to keep first: longest, then resolution x bitrate, unmirrored, earliest.

    Lengths are taken to half a second, containers round. The mirrored one is the one that more copies mirror.
    """
    seconds = clip.duration or 0.0
    quality = (clip.width or 0) * (clip.height or 0) * clip.bytes / max(seconds, 0.1)
    published = min((post.taken_at.timestamp() for post in clip.posts if post.taken_at), default=float("inf"))
    return -round(2 * seconds), -quality, mirrorings, published, clip.sha256


def _edge(a_id: int, a: Fingerprint | None, b_id: int, b: Fingerprint | None) -> DuplicateEdge | None:
    """None where the two are different, or one has been taken down meanwhile."""
    found = compare(a, b) if a and b else None
    if found and found.kind == EdgeKind.PART and a.seconds * found.speed > b.seconds:
        a_id, b_id, found = b_id, a_id, found.inverse()
    return DuplicateEdge(a_id=a_id, b_id=b_id, version=VERSION, **vars(found)) if found else None


def _load(catalog: Catalog, clip_id: int) -> Fingerprint | None:
    with catalog.reading() as session:
        arrays = session.scalar(_row_of(select(FingerprintRow.arrays), clip_id))
    return Fingerprint.from_bytes(arrays) if arrays else None


def _row_of(statement, clip_id: int):
    return statement.where(FingerprintRow.clip_id == clip_id, FingerprintRow.version == VERSION)


def _add_once(session: Session, row: FingerprintRow | DuplicateEdge) -> None:
    """Add a row unless another process has, or its clip has been taken down meanwhile."""
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        pass


def _edges():
    return select(DuplicateEdge).where(DuplicateEdge.version == VERSION)


def _result(session: Session, fingerprinted: int) -> dict[str, Any]:
    """The JSON of `plusmv dedup`, in an order that depends on the contents alone."""
    clips = {
        clip.id: {"sha256": clip.sha256, "posts": sorted(post.platform_id for post in clip.posts)}
        for clip in session.scalars(
            select(Clip).where(Clip.state == FileState.DONE).order_by(Clip.sha256).options(selectinload(Clip.posts))
        )
    }
    failed = select(FingerprintRow.clip_id, FingerprintRow.error).where(
        FingerprintRow.version == VERSION, FingerprintRow.state == FileState.FAILED
    )
    reasons = {clip_id: reason for clip_id, reason in session.execute(failed) if clip_id in clips}
    pairs = [_repeat(clip["sha256"], clip["posts"][0], post) for clip in clips.values() for post in clip["posts"][1:]]
    pairs += [_pair(clips[edge.a_id], clips[edge.b_id], edge) for edge in session.scalars(_edges())]
    return {
        "clips": len(clips),
        "fingerprinted": fingerprinted,
        "skipped": len(clips) - fingerprinted - len(reasons),
        "failed": len(reasons),
        "failures": [clips[clip_id] | {"reason": reasons[clip_id]} for clip_id in clips if clip_id in reasons],
        "pairs": sorted(pairs, key=lambda pair: (pair["a"]["sha256"], pair["b"]["sha256"], pair["b"]["posts"])),
        "groups": [[clip.sha256 for clip in group] for group in duplicate_groups(session)],
    }


def _repeat(sha256: str, first: str, again: str) -> dict[str, Any]:
    """Two posts of one content."""
    a, b = ({"sha256": sha256, "posts": [post]} for post in (first, again))
    return _pair(a, b, Alignment(EdgeKind.EXACT, 0.0, 1.0, False, 1.0))


def _pair(a: dict, b: dict, how: Alignment | DuplicateEdge) -> dict[str, Any]:
    return {
        "a": a, "b": b, "kind": how.kind.value, "offset_s": how.offset_s, "speed": how.speed, "mirror": how.mirror,
        "score": how.score,
    }  # fmt: skip
