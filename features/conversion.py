"""Whole folders of features: packed into shards, checked, taken over from others' layouts and written in them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypedDict

from plusmv.core.errors import BadInput, PlusmvError
from plusmv.core.progress import Progress
from plusmv.core.workspace import remove_stale_parts
from plusmv.features import published, shards
from plusmv.features.feature_files import (
    SUFFIX,
    NumberFormat,
    list_features,
    loose_ids,
    read_features,
    verified_entry,
    write_features,
)


@dataclass(frozen=True)
class VideoOutcome:
    """What became of one video's features, and why unless done."""

    id: str
    state: Literal["done", "skipped", "failed"]
    reason: str = ""


class FailedVideo(TypedDict):
    id: str
    reason: str


class FeaturesResult(TypedDict):
    """The JSON of `plusmv features compact`, `verify`, `import` and `export`: clips = done + skipped + failed."""

    clips: int
    done: int
    skipped: int
    failed: int
    failures: list[FailedVideo]


class VerifyResult(FeaturesResult):
    """The JSON of `plusmv features verify`."""

    unidentified: int  # of those done: do not say whose they are, so a swap of two would not be noticed


def summarise(outcomes: Iterable[VideoOutcome]) -> FeaturesResult:
    """Count how the videos ended, and list those that failed by id."""
    ended = sorted(outcomes, key=lambda outcome: outcome.id)
    states = [outcome.state for outcome in ended]
    return {
        "clips": len(ended),
        "done": states.count("done"),
        "skipped": states.count("skipped"),
        "failed": states.count("failed"),
        "failures": [{"id": outcome.id, "reason": outcome.reason} for outcome in ended if outcome.state == "failed"],
    }


def compact(
    folder: Path, clips: int = shards.CLIPS, watch: Progress = lambda ids, total, text: ids
) -> Iterator[VideoOutcome]:
    """Pack a folder's loose files into shards of so many clips; a file goes once its shard is safe on disk.

    Damaged files stay where they are, as failed. Killed at any moment, nothing is lost and the same again goes on.
    """
    remove_stale_parts(folder)
    failed: list[VideoOutcome] = []

    def entries() -> Iterator[tuple[str, shards.Entry]]:
        loose = sorted(loose_ids(folder))
        for video_id in watch(loose, len(loose), "compact"):
            try:
                entry = verified_entry(folder / f"{video_id}{SUFFIX}")
            except PlusmvError as error:
                failed.append(VideoOutcome(video_id, "failed", str(error)))
                continue
            yield video_id, entry

    for packed in shards.pack(folder, entries(), clips):
        for video_id in packed:
            if (folder / f"{video_id}{SUFFIX}").is_file():
                (folder / f"{video_id}{SUFFIX}").unlink()
                yield VideoOutcome(video_id, "done")
    yield from failed


def verify(folder: Path, watch: Progress = lambda ids, total, text: ids) -> VerifyResult:
    """Read everything: shapes, numbers, checksums, and whose features they are."""
    unidentified = 0

    def verified(video_id: str) -> None:
        nonlocal unidentified
        unidentified += not read_features([folder], video_id).identified

    found = sorted(list_features([folder]))
    result = summarise(_outcome(one, partial(verified, one)) for one in watch(found, len(found), "verify"))
    return {**result, "unidentified": unidentified}


def import_features(
    source: Path,
    folder: Path,
    fps: float,
    stride: int,
    number_format: NumberFormat = "float16",
    watch: Progress = lambda ids, total, text: ids,
) -> Iterator[VideoOutcome]:
    """Features in any layout that is read, as files of ours. Of what others published the recipe stays unknown."""

    def imported(video_id: str) -> None:
        features = read_features([source], video_id, fps, stride)
        features.notes.setdefault("imported from", source.name)
        write_features(folder / f"{video_id}{SUFFIX}", features, number_format)

    remove_stale_parts(folder)
    found = sorted(list_features([source]))
    for video_id in watch(found, len(found), "import"):
        if (folder / f"{video_id}{SUFFIX}").is_file():
            yield VideoOutcome(video_id, "skipped", "its features are there")
            continue
        yield _outcome(video_id, partial(imported, video_id))


def export_features(
    source: Path, folder: Path, layout: published.Layout, watch: Progress = lambda ids, total, text: ids
) -> Iterator[VideoOutcome]:
    """Features in one of the field's layouts, float32, for tools that read nothing else."""
    if folder.resolve() == source.resolve():
        raise BadInput("write the export to another folder: --to")

    def exported(video_id: str) -> None:
        published.write(folder, video_id, read_features([source], video_id).streams, layout)

    remove_stale_parts(folder)
    found = sorted(list_features([source]))
    for video_id in watch(found, len(found), "export"):
        yield _outcome(video_id, partial(exported, video_id))


def forget(folder: Path, video_ids: Iterable[str]) -> list[str]:
    """Remove videos' features from a folder, loose, packed or published. Returns the ids that were there."""
    wanted = set(video_ids)
    gone = set(shards.remove(folder, wanted)) if folder.is_dir() else set()
    for video_id in wanted:
        for path in (folder / f"{video_id}{suffix}" for suffix in (SUFFIX, ".npy", ".npz")):
            if path.is_file():
                path.unlink()
                gone.add(video_id)
    return sorted(gone)


def _outcome(video_id: str, work: Callable[[], object]) -> VideoOutcome:
    try:
        work()
    except PlusmvError as error:
        return VideoOutcome(video_id, "failed", str(error))
    return VideoOutcome(video_id, "done")
