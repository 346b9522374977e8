"""Whole folders of features: packed into shards, checked, taken over from others' layouts and written in them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

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
class Ended:
    """How one video's features ended: "done", "skipped" or "failed", with a reason unless done."""

    id: str
    state: str
    reason: str | None = None


def compact(folder: Path, clips: int = shards.CLIPS, watch: Progress = lambda ids, total, text: ids) -> Iterator[Ended]:
    """Pack a folder's loose files into shards of so many clips; a file goes once its shard is safe on disk.

    Damaged files stay where they are, as failed. Killed at any moment, nothing is lost and the same again goes on.
    """
    remove_stale_parts(folder)
    failed: list[Ended] = []

    def entries() -> Iterator[tuple[str, shards.Entry]]:
        loose = sorted(loose_ids(folder))
        for video_id in watch(loose, len(loose), "compact"):
            try:
                entry = verified_entry(folder / f"{video_id}{SUFFIX}")
            except PlusmvError as error:
                failed.append(Ended(video_id, "failed", str(error)))
                continue
            yield video_id, entry

    for packed in shards.pack(folder, entries(), clips):
        for video_id in packed:
            if (folder / f"{video_id}{SUFFIX}").is_file():
                (folder / f"{video_id}{SUFFIX}").unlink()
                yield Ended(video_id, "done")
    yield from failed


def verify(folder: Path, watch: Progress = lambda ids, total, text: ids) -> Iterator[Ended]:
    """Read everything: shapes, numbers and checksums."""
    found = sorted(list_features([folder]))
    for video_id in watch(found, len(found), "verify"):
        yield _ended(video_id, lambda video_id=video_id: read_features([folder], video_id))


def import_features(
    source: Path,
    folder: Path,
    fps: float,
    stride: int,
    number_format: NumberFormat = "float16",
    watch: Progress = lambda ids, total, text: ids,
) -> Iterator[Ended]:
    """Features in any layout that is read, as files of ours. Of what others published the recipe stays unknown."""
    remove_stale_parts(folder)
    found = sorted(list_features([source]))
    for video_id in watch(found, len(found), "import"):
        if (folder / f"{video_id}{SUFFIX}").is_file():
            yield Ended(video_id, "skipped", "its features are there")
            continue

        def copied(video_id: str = video_id) -> None:
            features = read_features([source], video_id, fps, stride)
            features.notes.setdefault("imported from", source.name)
            write_features(folder / f"{video_id}{SUFFIX}", features, number_format)

        yield _ended(video_id, copied)


def export_features(
    source: Path, folder: Path, layout: published.Layout, watch: Progress = lambda ids, total, text: ids
) -> Iterator[Ended]:
    """Features in one of the field's layouts, float32, for tools that read nothing else."""
    if folder.resolve() == source.resolve():
        raise BadInput("write the export to another folder: --to")
    remove_stale_parts(folder)
    found = sorted(list_features([source]))
    for video_id in watch(found, len(found), "export"):
        yield _ended(
            video_id,
            lambda video_id=video_id: published.write(
                folder, video_id, read_features([source], video_id).streams, layout
            ),
        )


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


def _ended(video_id: str, work: Callable[[], object]) -> Ended:
    try:
        work()
    except PlusmvError as error:
        return Ended(video_id, "failed", str(error))
    return Ended(video_id, "done")
