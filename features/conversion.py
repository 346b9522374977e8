"""Whole folders of features: packed into shards, checked, taken over from others' layouts and written in them."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypedDict

from plusmv.core.errors import BadInput, PlusmvError
from plusmv.core.locks import one_change, one_command
from plusmv.core.progress import Progress
from plusmv.core.workspace import remove_stale_parts
from plusmv.features import published, shards
from plusmv.features.feature_files import (
    SUFFIX,
    NoFeatures,
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

    Damaged files stay where they are, as failed. Killed at any moment, nothing is lost and the same again goes on. Two
    at once share the work: each packs one shard at a time, of what is loose by then, while the folder is its own.
    """
    remove_stale_parts(folder)
    loose = sorted(loose_ids(folder))
    waiting = iter(watch(loose, len(loose), "compact"))
    while True:
        with one_change(folder):
            wanted = list(itertools.islice(waiting, shards.room(folder, clips)))
            merging = shards.unfinished(folder, clips)
            outcomes = _packed(folder, wanted, clips)
        yield from outcomes
        if not wanted and not merging:
            return


def _packed(folder: Path, video_ids: Iterable[str], clips: int) -> list[VideoOutcome]:
    """One shard of these loose files, which go. Of what another process has packed meanwhile, nothing is told."""
    entries: dict[str, shards.Entry] = {}
    outcomes = []
    for video_id in video_ids:
        try:
            entries[video_id] = verified_entry(folder / f"{video_id}{SUFFIX}")
        except FileNotFoundError:
            continue
        except PlusmvError as error:
            outcomes.append(VideoOutcome(video_id, "failed", str(error)))
    packed = shards.checksums(folder, entries)  # of one that was killed before it removed the files
    shards.pack(
        folder, {key: entry for key, entry in entries.items() if packed.get(key) != entry[1].get("xxh3", "none")}, clips
    )
    for video_id in entries:
        (folder / f"{video_id}{SUFFIX}").unlink(missing_ok=True)
    return outcomes + [VideoOutcome(video_id, "done") for video_id in entries]


def settle(folder: Path) -> None:
    """Finish what a killed `compact` had begun: an id in two shards, or alike in a file and in a shard, stays once.

    Raises BadInput where a shard cannot be read.
    """
    if not (folder / shards.FOLDER).is_dir():
        return
    with one_change(folder):
        shards.settle(folder)
        for video_id, packed in shards.checksums(folder, loose_ids(folder)).items():
            with contextlib.suppress(PlusmvError):  # a damaged file is for who reads it
                if packed and verified_entry(folder / f"{video_id}{SUFFIX}")[1].get("xxh3") == packed:
                    (folder / f"{video_id}{SUFFIX}").unlink(missing_ok=True)


def verify(
    folder: Path, watch: Progress = lambda ids, total, text: ids, layout: ArrayLayout = published.UNSAID
) -> VerifyResult:
    """Read everything: shapes, numbers, checksums, and whose features they are."""
    unidentified = 0

    def verified(video_id: str) -> None:
        nonlocal unidentified
        unidentified += not read_features([folder], video_id, layout=layout).identified

    found = sorted(list_features([folder]))
    outcomes = (_outcome(one, partial(verified, one), asks=False) for one in watch(found, len(found), "verify"))
    result = summarise(outcomes)
    return {**result, "unidentified": unidentified}


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
    settle(folder)
    found = sorted(list_features([source]))
    for video_id in watch(found, len(found), "import"):
        with one_change(folder):  # another process may import, extract or pack the same
            if (folder / f"{video_id}{SUFFIX}").is_file() or shards.has(folder, video_id):
                outcome = VideoOutcome(video_id, "skipped", "its features are there")
            else:
                outcome = _outcome(video_id, partial(imported, video_id))
        yield outcome


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

    with one_command(folder, "a features export"):  # of two layouts or sources a video's files would be of both
        remove_stale_parts(folder)
        found = sorted(list_features([source]))
        for video_id in watch(found, len(found), "export"):
            yield _outcome(video_id, partial(exported, video_id))


def forget(folder: Path, video_ids: Iterable[str]) -> list[str]:
    """Remove videos' features from a folder, loose, packed or published. Returns the ids that were there."""
    wanted, gone = set(video_ids), set()
    for video_id in wanted:
        for path in (folder / f"{video_id}{suffix}" for suffix in (SUFFIX, ".npy", ".npz")):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                gone.add(video_id)
    return sorted(gone.union(shards.remove(folder, wanted)))  # last: another process may pack them until then


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
    except NoFeatures:
        return VideoOutcome(video_id, "skipped", "its features were removed meanwhile")
    except PlusmvError as error:
        if asks and isinstance(error, UnclearLayout):  # a question about the whole folder
            raise
        return VideoOutcome(video_id, "failed", str(error))
    return VideoOutcome(video_id, "done")
