"""A benchmark's videos, by which leaks are found: fingerprinted from a folder, or taken from a hash file of them.

A hash file is one safetensors file of fingerprints: whoever holds the videos makes it, nobody needs to share them.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import safetensors
import safetensors.numpy
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from plusmv.core.annotations import read_annotations
from plusmv.core.errors import BadInput, Missing
from plusmv.core.parsing import parse_json
from plusmv.core.progress import Progress
from plusmv.core.workers import Outcome, map_unordered
from plusmv.core.workspace import sha256_of, write_bytes
from plusmv.curate.duplicates.fingerprint import VERSION, Fingerprint, fingerprint_video
from plusmv.db.models import BenchmarkVideo, FileState
from plusmv.db.session import Catalog
from plusmv.features.decode import VIDEO_SUFFIXES

TRAINING = ("training", "train", "validation")  # THUMOS14 trains on "validation"; for ActivityNet: --training training
UNKNOWN = "unknown"  # counts as test: what is not known to be training must not leak
IN_NAME = re.compile(r"(?:^|_)(test|validation|training|train)(?:_|$)")  # video_test_0000004
TIME_LIMIT_S = 4 * 3600


@dataclass(frozen=True)
class Found:
    """A video of the benchmark in a folder."""

    name: str
    path: Path
    subset: str


class VideoStage:
    """A worker's part: (sha256 of the file, fingerprint's bytes) of one video."""

    def setup(self) -> None:
        cv2.setNumThreads(1)

    def process(self, task: Found) -> tuple[str, bytes]:
        return sha256_of(task.path), fingerprint_video(task.path).to_bytes()


def videos_in(folder: Path, annotations: Path | None = None) -> list[Found]:
    """The videos right in a folder, named by their stems, each with its subset: the annotations', or its name's.

    Raises Missing for a folder without any, BadInput where two have one name.
    """
    if not folder.is_dir():
        raise Missing(f"there is no folder {folder}; name one with --videos")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES and path.name[0] != ".")
    if not paths:
        raise Missing(f"there is no video in {folder}; known suffixes are {' '.join(VIDEO_SUFFIXES)}")
    if len({path.stem for path in paths}) < len(paths):
        raise BadInput(f"two videos in {folder} have one name but for the suffix; rename one of them")
    subsets = {name: video.subset for name, video in read_annotations(annotations).items()} if annotations else {}
    return [Found(path.stem, path, subsets.get(path.stem) or _subset_of_name(path.stem)) for path in paths]


def _subset_of_name(name: str) -> str:
    found = IN_NAME.search(name)
    return found[1] if found else UNKNOWN


def index_videos(
    catalog: Catalog,
    found: list[Found],
    training: Iterable[str] = TRAINING,
    retry_failed: bool = False,
    workers: int | None = None,
    watch: Progress = lambda outcomes, total, description: outcomes,
) -> dict[str, int]:
    """Fingerprint the videos that are new or whose file is another; returns {"fingerprinted", "skipped", "failed"}.

    Each is in the catalog as soon as it is done. What is known keeps its fingerprint and gets the subset said now.
    """
    training = tuple(map(str.casefold, training))
    with catalog.reading() as session:
        known = {name: (sha256, state) for name, sha256, state in session.execute(_facts())}
    settled = [FileState.DONE] if retry_failed else [FileState.DONE, FileState.FAILED]
    new = [
        video
        for video in found
        if video.name not in known
        or known[video.name][1] not in settled
        or known[video.name][0] != sha256_of(video.path)
    ]
    for outcome in watch(_fingerprinted(new, workers), len(new), "fingerprinting videos"):
        _save_outcome(catalog, outcome, outcome.task.subset.casefold() not in training)
    with catalog.writing() as session:
        for video in found:
            _save_subset(session, video.name, video.subset, training)
    with catalog.reading() as session:
        failed = {
            video.name for video in session.scalars(_of_version().where(BenchmarkVideo.state == FileState.FAILED))
        }
    failures = sum(video.name in failed for video in found)
    made = sum(video.name not in failed for video in new)
    return {"fingerprinted": made, "skipped": len(found) - made - failures, "failed": failures}


def _fingerprinted(new: list[Found], workers: int | None) -> Iterator[Outcome[Found, tuple[str, bytes]]]:
    return map_unordered(VideoStage(), new, workers=workers, time_limit=TIME_LIMIT_S)


def _save_outcome(catalog: Catalog, outcome: Outcome[Found, tuple[str, bytes]], test: bool) -> None:
    video = outcome.task
    sha256, arrays = outcome.value or (sha256_of(video.path) if video.path.is_file() else "", None)
    with catalog.writing() as session:
        save_video(session, video.name, video.subset, test, sha256, arrays, outcome.error)


def save_video(
    session: Session, name: str, subset: str, test: bool, sha256: str, arrays: bytes | None, error: str | None = None
) -> None:
    """Put a video into the catalog in place of one of that name, of any version; its leaks go with the old one."""
    session.execute(delete(BenchmarkVideo).where(BenchmarkVideo.name == name[:500]))
    state = FileState.FAILED if arrays is None else FileState.DONE
    facts = {"subset": subset[:80], "test": test, "sha256": sha256, "state": state, "error": error, "arrays": arrays}
    session.add(BenchmarkVideo(name=name[:500], version=VERSION, checked_to=0, **facts))


def _save_subset(session: Session, name: str, subset: str, training: Collection[str]) -> None:
    row = update(BenchmarkVideo).where(BenchmarkVideo.name == name[:500], BenchmarkVideo.version == VERSION)
    session.execute(row.values(subset=subset[:80], test=subset.casefold() not in training))


def write_hash_file(catalog: Catalog, path: Path) -> int:
    """Write the fingerprints of all videos in the catalog to one file. Returns how many. Raises Missing without any."""
    with catalog.reading() as session:
        videos = list(session.scalars(_of_version().where(BenchmarkVideo.state == FileState.DONE)))
    if not videos:
        raise Missing("no benchmark video is known yet; name a folder of them with --videos")
    tensors = {str(number): np.frombuffer(video.arrays, np.uint8) for number, video in enumerate(videos)}
    facts = [{"name": video.name, "subset": video.subset, "sha256": video.sha256} for video in videos]
    write_bytes(path, safetensors.numpy.save(tensors, {"version": VERSION, "videos": json.dumps(facts)}))
    return len(videos)


def read_hash_file(catalog: Catalog, path: Path, training: Iterable[str] = TRAINING) -> dict[str, int]:
    """Take the videos of a hash file into the catalog; returns {"fingerprinted", "skipped", "failed"}.

    What is known keeps its fingerprint and gets the subset said now.
    Raises BadInput where it is none, is damaged, or was made by another version of the algorithm.
    """
    training = tuple(map(str.casefold, training))
    with catalog.reading() as session:
        known = {(name, sha256) for name, sha256, state in session.execute(_facts()) if state == FileState.DONE}
    taken = skipped = 0
    for facts, arrays in _read(path):
        name, subset, sha256 = facts["name"], facts["subset"], facts["sha256"]
        with catalog.writing() as session:
            if (name, sha256) in known:
                _save_subset(session, name, subset, training)
                skipped += 1
            else:
                save_video(session, name, subset, subset.casefold() not in training, sha256, arrays)
                taken += 1
    return {"fingerprinted": taken, "skipped": skipped, "failed": 0}


def _read(path: Path) -> Iterator[tuple[Mapping[str, str], bytes]]:
    """(name, subset, sha256; fingerprint's bytes) of each video in a hash file, each one looked at first."""
    try:
        with safetensors.safe_open(str(path), "numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("version") != VERSION:
                raise BadInput(f"{path} holds no hashes of this version ({VERSION}); have it made by the same plusmv")
            for number, facts in enumerate(parse_json(metadata["videos"], f"the list in {path}")):
                arrays = file.get_tensor(str(number)).tobytes()
                Fingerprint.from_bytes(arrays).check()
                yield {name: str(facts[name])[:500] for name in ("name", "subset", "sha256")}, arrays
    except (OSError, safetensors.SafetensorError, ValueError, KeyError, TypeError, IndexError) as error:
        raise BadInput(f"cannot read hashes from {path}: {str(error).splitlines()[0]}") from error


def _of_version():
    return select(BenchmarkVideo).where(BenchmarkVideo.version == VERSION).order_by(BenchmarkVideo.id)


def _facts():
    """(name, sha256, state) of each, without the fingerprints, which may be gigabytes."""
    return select(BenchmarkVideo.name, BenchmarkVideo.sha256, BenchmarkVideo.state).where(
        BenchmarkVideo.version == VERSION
    )
