"""Whole folders of features: packed into shards, checked, taken over from others' layouts and written in them."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    ids_without_rate,
    list_features,
    loose_ids,
    no_rate,
    read_features,
    verified_entry,
    write_features,
)
from plusmv.features.published import ArrayLayout, UnclearLayout


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


def verify(
    folder: Path, watch: Progress = lambda ids, total, text: ids, layout: ArrayLayout = published.UNSAID
) -> Iterator[VideoOutcome]:
    """Read everything: shapes, numbers and checksums."""
    found = sorted(list_features([folder]))
    for video_id in watch(found, len(found), "verify"):
        yield _outcome(video_id, partial(read_features, [folder], video_id, layout=layout), asks=False)


def import_features(
    source: Path,
    folder: Path,
    fps: float | Mapping[str, float],
    stride: int,
    number_format: NumberFormat = "float16",
    watch: Progress = lambda ids, total, text: ids,
    layout: ArrayLayout = published.UNSAID,
) -> Iterator[VideoOutcome]:
    """Features in any layout that is read, as files of ours. Of what others published the recipe stays unknown.

    fps: of all, or of each by its id, where files do not state it. Raises UnclearLayout where layout has to say more.
    """

    def imported(video_id: str) -> None:
        rate = _rate_of(video_id, fps) if isinstance(fps, Mapping) else fps
        features = read_features([source], video_id, rate, stride, layout)
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
    source: Path,
    folder: Path,
    layout: published.Layout,
    watch: Progress = lambda ids, total, text: ids,
    read_as: ArrayLayout = published.UNSAID,
) -> Iterator[VideoOutcome]:
    """Features in one of the field's layouts, float32, for tools that read nothing else.

    read_as: what arrays of others in `source` are. Raises UnclearLayout where it has to say more.
    """
    if os.path.realpath(folder) == os.path.realpath(source):
        raise BadInput("write the export to another folder: --to")

    def exported(video_id: str) -> None:
        published.write(folder, video_id, read_features([source], video_id, layout=read_as).streams, layout)

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


def check_rates(source: Path, fps: Mapping[str, float]) -> None:
    """Raises BadInput naming the videos of a folder for which neither their files nor `fps` state a rate."""
    unknown = sorted(video_id for video_id in ids_without_rate([source]) if not _rate_of(video_id, fps))
    if unknown:
        raise no_rate(unknown)


def _rate_of(video_id: str, fps: Mapping[str, float]) -> float:
    """A video's rate; ActivityNet's ids lack the "v_" of its file names. 0 where it is not stated."""
    return fps.get(video_id) or fps.get(video_id.removeprefix("v_"), 0.0)


def _outcome(video_id: str, work: Callable[[], object], asks: bool = True) -> VideoOutcome:
    try:
        work()
    except PlusmvError as error:
        if asks and isinstance(error, UnclearLayout):  # a question about the whole folder
            raise
        return VideoOutcome(video_id, "failed", str(error))
    return VideoOutcome(video_id, "done")
