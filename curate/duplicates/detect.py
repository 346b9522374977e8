"""Duplicates in the catalog: fingerprint what is new, compare it with all, keep edges.

Whether two clips are compared (candidates) and what one is to the other (alignment) depends on these two
alone, every pair is asked in the order of their sha256, and each transaction leaves whole answers: so the edges do not
depend on the order in which clips came, on how many runs it took, or on where one was killed. Nothing is removed here;
groups (curate.duplicates.groups) are for a person.
"""

import functools
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path
from typing import Any, TypedDict

import cv2
import numpy as np
from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session, selectinload

from plusmv.core.batching import batched
from plusmv.core.progress import Progress
from plusmv.core.workers import Outcome, map_unordered
from plusmv.core.workspace import Workspace, check_content
from plusmv.curate.duplicates.alignment import Alignment, bucket, compare
from plusmv.curate.duplicates.candidates import BATCH
from plusmv.curate.duplicates.catalog_hashes import hash_index
from plusmv.curate.duplicates.feature_candidates import i3d_version, near, new_means
from plusmv.curate.duplicates.fingerprint import VERSION, Fingerprint, fingerprint_video
from plusmv.curate.duplicates.groups import AcrossActions, across_actions, duplicate_groups, edges
from plusmv.curate.duplicates.hamming_search import Engine
from plusmv.db.models import BenchmarkVideo, Clip, DuplicateEdge, EdgeKind, FileState
from plusmv.db.models import Fingerprint as FingerprintRow
from plusmv.db.queries import add_if_new
from plusmv.db.session import Catalog
from plusmv.db.taken_down import unchanged

TIME_LIMIT_S = 900  # for one clip's fingerprint
REMEMBERED = 1024  # fingerprints kept in memory, about 80 kB each for a clip of 10 s


class ClipNames(TypedDict):
    sha256: str
    posts: list[str]  # platform ids


class FailedClip(ClipNames):
    reason: str


class DuplicatePair(TypedDict):
    """t_b = speed * t_a + offset_s. kind: of EdgeKind; a part lies in b. turn: degrees clockwise from a's to b's."""

    a: ClipNames
    b: ClipNames
    kind: str
    offset_s: float
    speed: float
    mirror: bool
    turn: int
    score: float
    overlap_s: float
    correlation: float
    inliers: int


class Unmatched(TypedDict):
    static: list[str]  # sha256
    featureless: list[str]


class DedupResult(TypedDict):
    """The JSON of `plusmv dedup`; clips = fingerprinted + skipped (fingerprinted before) + failed."""

    clips: int
    fingerprinted: int
    skipped: int
    failed: int
    failures: list[FailedClip]
    pairs: list[DuplicatePair]
    groups: list[list[str]]  # sha256, the clip to keep first
    across_actions: list[AcrossActions]
    unmatched: Unmatched  # clips that no hash can match


class FingerprintStage:
    """What a worker does with one clip: its fingerprint's bytes."""

    def setup(self) -> None:
        cv2.setNumThreads(1)

    def process(self, task: tuple[int, Path]) -> bytes:
        check_content(task[1])
        return fingerprint_video(task[1]).to_bytes()


def find_duplicates(
    catalog: Catalog,
    workspace: Workspace,
    workers: int | None = None,
    retry_failed: bool = False,
    watch: Progress = lambda outcomes, total, description: outcomes,
    engine: Engine = "numpy",
    say: Callable[[str], None] = lambda message: None,
    i3d: bool = False,
) -> DedupResult:
    """Fingerprint and compare what is new; returns what the catalog then holds.

    watch: called with (outcomes, total, description) of each of the two long loops, such as a progress bar.
    engine: what searches the hashes, with the same answers. say: gets a line where the hash array was rebuilt.
    i3d: also compare clips whose I3D features are near (duplicates.feature_candidates); Missing where there are none.
    """
    with catalog.reading() as session:
        versions = [VERSION, i3d_version(session)] if i3d else [VERSION]
        tasks = clips_to_fingerprint(session, workspace, retry_failed)
    outcomes = watch(fingerprint_new(catalog, tasks, workers), len(tasks), "fingerprinting")
    fingerprinted = {outcome.task[1].stem for outcome in outcomes if outcome.error is None}
    with catalog.reading() as session:
        clip_ids = clips_to_compare(session)
    for _ in watch(compare_new(catalog, workspace, clip_ids, engine, say), len(clip_ids), "comparing"):
        pass
    if i3d:
        compare_by_features(catalog, workspace, versions[-1], watch, say)
    with catalog.reading() as session:
        return _result(session, fingerprinted, versions)


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
    """Fingerprint clips in worker processes. A yielded outcome is in the catalog, a failed one with its reason.

    A clip that was taken down meanwhile has none.
    """
    for outcome in map_unordered(FingerprintStage(), tasks, workers=workers, time_limit=TIME_LIMIT_S):
        state = FileState.DONE if outcome.error is None else FileState.FAILED
        values = {"state": state, "error": outcome.error, "arrays": outcome.value, "compared": False}
        clip_id, sha256 = outcome.task[0], outcome.task[1].stem
        with catalog.writing() as session:
            if not unchanged(session, {clip_id: sha256}):
                continue
            failed = delete(FingerprintRow).where(FingerprintRow.state == FileState.FAILED)
            session.execute(_row_of(failed, clip_id))  # a new row: rows are in the order of their coming
            row = FingerprintRow(clip_id=clip_id, version=VERSION, **values)
            if add_if_new(session, row):  # SQLite gives a row that was taken down its id again
                past = update(BenchmarkVideo).where(BenchmarkVideo.checked_to >= row.id)
                session.execute(past.values(checked_to=row.id - 1))
        yield outcome


def clips_to_compare(session: Session) -> list[int]:
    """Clips whose fingerprint has not been compared with all others yet."""
    rows = select(FingerprintRow.clip_id).where(
        FingerprintRow.version == VERSION, FingerprintRow.state == FileState.DONE, ~FingerprintRow.compared
    )
    return list(session.scalars(rows.order_by(FingerprintRow.clip_id)))


def compare_new(
    catalog: Catalog,
    workspace: Workspace,
    clip_ids: list[int],
    engine: Engine = "numpy",
    say: Callable[[str], None] = lambda message: None,
) -> Iterator[int]:
    """Compare clips with all that are fingerprinted; yields each one's number of edges, once they are stored."""
    if not clip_ids:
        return
    load = functools.lru_cache(REMEMBERED)(functools.partial(_load, catalog))
    index, sha256 = hash_index(catalog, workspace, engine, say)
    finished: set[int] = set()
    for some in batched(clip_ids, BATCH):
        hashes = [found for clip_id in some if (found := index.hashes_of(clip_id)) is not None]
        nominated = {clip.clip_id: ids for clip, ids in zip(hashes, index.candidates(hashes), strict=True)}
        for clip_id in some:
            yield _compare_one(catalog, clip_id, nominated.get(clip_id, set()) - finished, sha256, load)
            finished.add(clip_id)


def compare_by_features(
    catalog: Catalog, workspace: Workspace, version: str, watch: Progress, say: Callable[[str], None]
) -> None:
    """Compare the fingerprints of clips whose I3D features are near, where their hashes have found nothing.

    What is new is compared with all. say: called with how many clips have no features.
    """
    with catalog.reading() as session:
        found = list(new_means(session, workspace.features, version))
    missing = sum(mean is None for _, _, mean in found)
    if missing:
        say(f"{missing} clips have no I3D features and were sought by their hashes alone (plusmv extract)")
    with catalog.writing() as session:
        same = unchanged(session, {clip_id: sha256 for clip_id, sha256, _ in found})
        for clip_id, _, mean in found:
            if mean is not None and clip_id in same:
                values = {"state": FileState.DONE, "compared": False, "arrays": mean.tobytes()}
                add_if_new(session, FingerprintRow(clip_id=clip_id, version=version, **values))
    with catalog.reading() as session:
        of_version = select(FingerprintRow.clip_id, Clip.sha256, FingerprintRow.compared, FingerprintRow.arrays)
        rows = session.execute(
            of_version.join(Clip, Clip.id == FingerprintRow.clip_id)
            .where(FingerprintRow.version == version)
            .order_by(FingerprintRow.clip_id)
        ).all()
        pairs = select(DuplicateEdge.a_id, DuplicateEdge.b_id).where(DuplicateEdge.version == VERSION)
        known = {frozenset(pair) for pair in session.execute(pairs)}
    new = [row for row, one in enumerate(rows) if not one.compared]
    for _ in watch(_compare_rows(catalog, version, rows, new, known), len(new), "comparing by features"):
        pass


def _compare_rows(
    catalog: Catalog, version: str, rows: Sequence[Any], new: list[int], known: set[frozenset[int]]
) -> Iterator[int]:
    """Yields each new row's number of edges, once they are stored."""
    means = np.stack([np.frombuffer(one.arrays, np.float32) for one in rows]) if rows else np.zeros((0, 1))
    load = functools.lru_cache(REMEMBERED)(functools.partial(_load, catalog))
    sha256 = {one.clip_id: one.sha256 for one in rows}
    finished: set[int] = set()
    for row in new:
        clip_id = rows[row].clip_id
        others = {rows[other].clip_id for other in near(means, row)} - finished
        others = {other for other in others if frozenset((clip_id, other)) not in known}
        yield _compare_one(catalog, clip_id, others, sha256, load, version)
        finished.add(clip_id)


def _compare_one(
    catalog: Catalog,
    clip_id: int,
    others: set[int],
    sha256: dict[int, str],
    load: Callable[[int], Fingerprint | None],
    version: str = VERSION,
) -> int:
    """Compare a clip with others and store the edges and that it is done, all or nothing; returns how many edges."""
    pairs = [sorted((clip_id, other), key=sha256.__getitem__) for other in sorted(others, key=sha256.__getitem__)]
    edges = [edge for a_id, b_id in pairs if (edge := _edge(a_id, load(a_id), b_id, load(b_id), version))]
    with catalog.writing() as session:
        same = unchanged(session, {one: sha256[one] for one in (clip_id, *others) if one in sha256})
        edges = [edge for edge in edges if {edge.a_id, edge.b_id} <= same]  # the rest was taken down meanwhile
        for edge in edges:
            add_if_new(session, edge)
        if clip_id in same:
            session.execute(_row_of(update(FingerprintRow), clip_id, version).values(compared=True))
    return len(edges)


def _edge(a_id: int, a: Fingerprint | None, b_id: int, b: Fingerprint | None, version: str) -> DuplicateEdge | None:
    """None where the two are different, or one has been taken down meanwhile."""
    if a is None or b is None:
        return None
    found = compare(a, b)
    if found and found.kind == EdgeKind.PART and a.seconds * found.speed > b.seconds:
        a_id, b_id, found = b_id, a_id, found.inverse()
    return DuplicateEdge(a_id=a_id, b_id=b_id, version=version, **vars(found)) if found else None


def _load(catalog: Catalog, clip_id: int) -> Fingerprint | None:
    with catalog.reading() as session:
        arrays = session.scalar(_row_of(select(FingerprintRow.arrays), clip_id))
    return Fingerprint.from_bytes(arrays) if arrays else None


def _row_of(statement, clip_id: int, version: str = VERSION):
    return statement.where(FingerprintRow.clip_id == clip_id, FingerprintRow.version == version)


def _result(session: Session, fingerprinted: Set[str], versions: Sequence[str]) -> DedupResult:
    """The JSON of `plusmv dedup`, in an order that depends on the contents alone, of the clips that are still there."""
    clips: dict[int, ClipNames] = {
        clip.id: {"sha256": clip.sha256, "posts": sorted(post.platform_id for post in clip.posts)}
        for clip in session.scalars(
            select(Clip).where(Clip.state == FileState.DONE).order_by(Clip.sha256).options(selectinload(Clip.posts))
        )
    }
    failed = select(FingerprintRow.clip_id, FingerprintRow.error).where(
        FingerprintRow.version == VERSION, FingerprintRow.state == FileState.FAILED
    )
    reasons = {clip_id: reason or "" for clip_id, reason in session.execute(failed) if clip_id in clips}
    made = {clip_id for clip_id, clip in clips.items() if clip["sha256"] in fingerprinted}
    pairs = [_repeat(clip["sha256"], clip["posts"][0], post) for clip in clips.values() for post in clip["posts"][1:]]
    pairs += [_pair(clips[edge.a_id], clips[edge.b_id], edge) for edge in edges(session, versions)]
    groups = duplicate_groups(session, versions=versions)
    return {
        "clips": len(clips),
        "fingerprinted": len(made),
        "skipped": len(clips.keys() - made - reasons.keys()),
        "failed": len(reasons),
        "failures": [{**clips[clip_id], "reason": reasons[clip_id]} for clip_id in clips if clip_id in reasons],
        "pairs": sorted(pairs, key=lambda pair: (pair["a"]["sha256"], pair["b"]["sha256"], pair["b"]["posts"])),
        "groups": [[clip.sha256 for clip in group] for group in groups],
        "across_actions": across_actions(session, groups),
        "unmatched": _unmatched(session),
    }


def _unmatched(session: Session) -> Unmatched:
    """Clips that no hash can match, for a person."""
    rows = (
        select(Clip.sha256, FingerprintRow.arrays)
        .join(Clip, Clip.id == FingerprintRow.clip_id)
        .where(FingerprintRow.version == VERSION, FingerprintRow.state == FileState.DONE)
        .order_by(Clip.sha256)
        .execution_options(yield_per=64)
    )
    found: Unmatched = {"static": [], "featureless": []}
    for sha256, arrays in session.execute(rows):
        if arrays is not None and (kind := bucket(Fingerprint.from_bytes(arrays))):
            found[kind].append(sha256)
    return found


def _repeat(sha256: str, first: str, again: str) -> DuplicatePair:
    """Two posts of one content."""
    a: ClipNames = {"sha256": sha256, "posts": [first]}
    b: ClipNames = {"sha256": sha256, "posts": [again]}
    return _pair(a, b, Alignment(EdgeKind.EXACT))


def _pair(a: ClipNames, b: ClipNames, how: Alignment | DuplicateEdge) -> DuplicatePair:
    return {
        "a": a, "b": b, "kind": how.kind.value, "offset_s": how.offset_s, "speed": how.speed, "mirror": how.mirror,
        "turn": how.turn, "score": how.score, "overlap_s": how.overlap_s, "correlation": how.correlation,
        "inliers": how.inliers,
    }  # fmt: skip
