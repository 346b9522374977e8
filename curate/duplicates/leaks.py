"""The leak gate: which clips occur in a benchmark's training or test videos. Test leaks block exports.

A leak is moving pixels that a clip and a video have in common: all of the clip, mirrored or turned too, or some seconds
of both. Whether those show the action or an intro is not told apart: pixels cannot say it, and a leak that is missed is
worse than one too many. A still end card in common, or another moment of the same scene, is listed and blocks nothing.

Each video is searched for in the hashes of the clips that it was not compared with before; what a clip is to a video
depends on these two alone (alignment). A video marks up to which clip it is done, so that nothing is computed
twice and a killed run goes on.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from plusmv.core.outcome import Ended
from plusmv.core.workspace import Workspace
from plusmv.curate.duplicates.alignment import compare
from plusmv.curate.duplicates.candidates import HashIndex
from plusmv.curate.duplicates.detect import hash_index
from plusmv.curate.duplicates.fingerprint import VERSION, Fingerprint
from plusmv.curate.duplicates.hamming_search import Engine
from plusmv.curate.duplicates.hash_store import record_of
from plusmv.db.models import BenchmarkVideo, Clip, EdgeKind, FileState, Leak
from plusmv.db.models import Fingerprint as FingerprintRow
from plusmv.db.queries import add_if_new
from plusmv.db.session import Catalog


class CheckedCounts(TypedDict):
    clips: int  # compared with every known benchmark video
    of: int
    videos: int
    test: int


class LeakRow(TypedDict):
    """What a clip is to a benchmark's video. kind: of EdgeKind. leak: whether it counts as one (see `is_leak`)."""

    clip: str  # sha256
    posts: list[str]
    video: str
    subset: str
    test: bool
    kind: str
    leak: bool
    offset_s: float
    speed: float
    mirror: bool
    turn: int
    score: float
    overlap_s: float
    correlation: float
    inliers: int


class FailedVideo(TypedDict):
    video: str
    reason: str


class VideoCounts(TypedDict):
    """videos = fingerprinted + skipped + failed"""

    videos: int
    fingerprinted: int
    skipped: int
    failed: int


class LeaksResult(VideoCounts):
    """The JSON of `plusmv leaks`."""

    checked: CheckedCounts
    failures: list[FailedVideo]
    leaks: list[LeakRow]
    test: int  # clips that leak from test videos
    training: int


@dataclass(frozen=True)
class Checked:
    """How far clips are checked: `clips` of `of` against every one of `videos`, `test` of which are test videos."""

    clips: int
    of: int
    videos: int
    test: int

    def counts(self) -> CheckedCounts:
        return {"clips": self.clips, "of": self.of, "videos": self.videos, "test": self.test}

    def sentence(self) -> str:
        if not self.videos:
            return (
                f"0 of {self.of} clips were checked for leaks: no benchmark's videos are known (plusmv leaks --videos)"
            )
        checked = f"{self.clips} of {self.of} clips were checked against {self.videos} benchmark videos"
        return f"{checked}, {self.test} of them test videos"


def find_leaks(
    catalog: Catalog,
    workspace: Workspace,
    engine: Engine = "numpy",
    watch: Callable[[Iterable[Any], int, str], Iterable[Any]] = lambda things, total, description: things,
    say: Callable[[str], None] = lambda message: None,
) -> None:
    """Compare every video with the clips it was not compared with yet, and keep what is found."""
    with catalog.reading() as session:
        newest = session.scalar(select(func.max(FingerprintRow.id)).where(*_fingerprinted())) or 0
        behind = select(BenchmarkVideo.id).where(*_usable(), BenchmarkVideo.checked_to < newest)
        video_ids = list(session.scalars(behind.order_by(BenchmarkVideo.id)))
    if not video_ids:
        return
    index, sha256 = hash_index(catalog, workspace, engine, say)
    for _ in watch(_compare(catalog, index, sha256, video_ids, newest), len(video_ids), "comparing"):
        pass


def _compare(
    catalog: Catalog, index: HashIndex, sha256: dict[int, str], video_ids: list[int], newest: int
) -> Iterator[int]:
    """Yields each video's number of new leaks, once they are stored."""
    for video_id in video_ids:
        with catalog.reading() as session:
            video = session.get(BenchmarkVideo, video_id)
            if video is None or video.arrays is None:
                continue
            new = _clips_between(session, video.checked_to, newest)
        fingerprint = Fingerprint.from_bytes(video.arrays)
        video_hashes = index.of_record(record_of(-1, fingerprint))
        nominated = index.candidates([video_hashes])[0] & new
        found = [
            (clip_id, _what(catalog, clip_id, fingerprint)) for clip_id in sorted(nominated, key=sha256.__getitem__)
        ]
        leaks = [Leak(clip_id=clip_id, video_id=video_id, **vars(how)) for clip_id, how in found if how]
        with catalog.writing() as session:
            row = session.get(BenchmarkVideo, video_id)
            if row is None:
                continue
            for leak in leaks:
                add_if_new(session, leak)
            row.checked_to = newest
        yield len(leaks)


def _clips_between(session: Session, after: int, until: int) -> set[int]:
    rows = select(FingerprintRow.clip_id).where(
        *_fingerprinted(), FingerprintRow.id > after, FingerprintRow.id <= until
    )
    return set(session.scalars(rows))


def _what(catalog: Catalog, clip_id: int, video: Fingerprint):
    """What a clip is to a video; None where it is nothing or has been taken down meanwhile."""
    with catalog.reading() as session:
        arrays = session.scalar(
            select(FingerprintRow.arrays).where(FingerprintRow.clip_id == clip_id, *_fingerprinted())
        )
    return compare(Fingerprint.from_bytes(arrays), video) if arrays else None


def is_leak(found: Leak) -> bool:
    """Whether a clip and a video have moving pixels in common. What only stands still in both has no correlation."""
    moves = found.kind == EdgeKind.SHARED and found.correlation > 0
    return moves or found.kind in (EdgeKind.EXACT, EdgeKind.COPY, EdgeKind.PART)


def leaks(session: Session) -> list[LeakRow]:
    """All that was found, leaks and what is none, in the order of clips and videos.

    What an earlier version of the algorithm found counts until the video is fingerprinted anew.
    """
    rows = (
        select(Leak, Clip, BenchmarkVideo)
        .join(Clip, Clip.id == Leak.clip_id)
        .join(BenchmarkVideo, BenchmarkVideo.id == Leak.video_id)
        .order_by(Clip.sha256, BenchmarkVideo.name)
        .options(defer(BenchmarkVideo.arrays))
    )
    return [
        {
            "clip": clip.sha256, "posts": sorted(post.platform_id for post in clip.posts), "video": video.name,
            "subset": video.subset, "test": video.test, "kind": leak.kind.value, "leak": is_leak(leak),
            "offset_s": leak.offset_s,
            "speed": leak.speed, "mirror": leak.mirror, "turn": leak.turn, "score": leak.score,
            "overlap_s": leak.overlap_s, "correlation": leak.correlation, "inliers": leak.inliers,
        }
        for leak, clip, video in session.execute(rows)
    ]  # fmt: skip


def blocking(session: Session, sha256s: Collection[str]) -> list[LeakRow]:
    """The leaks of test videos among these clips."""
    wanted = set(sha256s)
    return [leak for leak in leaks(session) if leak["test"] and leak["leak"] and leak["clip"] in wanted]


def checked(session: Session, sha256s: Collection[str]) -> Checked:
    """How many of these clips were compared with every benchmark video that is known."""
    videos = list(session.execute(select(BenchmarkVideo.test, BenchmarkVideo.checked_to).where(*_usable())))
    least = min((done for _, done in videos), default=0)
    done = select(Clip.sha256).join(FingerprintRow, FingerprintRow.clip_id == Clip.id)
    compared = set(session.scalars(done.where(*_fingerprinted(), FingerprintRow.id <= least)))
    clips = len(compared & set(sha256s)) if videos else 0
    return Checked(clips, len(sha256s), len(videos), sum(test for test, _ in videos))


def result(session: Session, counts: VideoCounts) -> LeaksResult:
    """What `plusmv leaks` found. counts: what became of the videos in this run."""
    clips = list(session.scalars(select(Clip.sha256).where(Clip.state == FileState.DONE)))
    found = leaks(session)
    failed = select(BenchmarkVideo).where(BenchmarkVideo.version == VERSION, BenchmarkVideo.state == FileState.FAILED)
    sure = [leak for leak in found if leak["leak"]]
    return {
        **counts,
        "checked": checked(session, clips).counts(),
        "failures": [{"video": video.name, "reason": video.error or ""} for video in session.scalars(failed)],
        "leaks": found,
        "test": len({leak["clip"] for leak in sure if leak["test"]}),
        "training": len({leak["clip"] for leak in sure if not leak["test"]}),
    }


def ended(result: LeaksResult) -> Ended:
    """The videos by what became of them, and the clips as done (checked against all videos) and failed (not)."""
    clips = result["checked"]
    return {
        "done": result["fingerprinted"] + clips["clips"],
        "skipped": result["skipped"],
        "failed": result["failed"] + clips["of"] - clips["clips"],
    }


def _fingerprinted():
    return FingerprintRow.version == VERSION, FingerprintRow.state == FileState.DONE


def _usable():
    return BenchmarkVideo.version == VERSION, BenchmarkVideo.state == FileState.DONE
