"""Shards: about a thousand videos' features in one file, for sets too large for a file each.

`shards/000001.safetensors` holds `<id>/<stream>` arrays and, in its metadata, what each loose file's metadata said;
`000001.json` beside it lists its ids, so that finding a video reads no shard. The index can be lost: it is read off the
shard. Where an id stands in two shards the later one counts, as after a kill between writing and removing.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from plusmv.core.errors import BadInput, one_line
from plusmv.core.limits import SIDECAR_BYTES
from plusmv.core.reading import read_json
from plusmv.core.workspace import remove_stale_parts, write_bytes, write_json

CLIPS = 1000  # of a shard
FOLDER, SUFFIX = "shards", ".safetensors"
Entry = tuple[dict[str, np.ndarray], dict[str, str]]  # arrays and metadata as they are stored


class ShardIndex(TypedDict):
    """The JSON file beside a shard."""

    format: Literal["plusmv shard index 1"]
    bytes: int  # of the shard
    ids: list[str]


@dataclass(frozen=True)
class Packed:
    """One video's entry and the shard it is in."""

    path: Path
    entry: Entry


def find(folder: Path, video_id: str) -> Packed | None:
    """A video's entry, if a shard of this feature folder has it. Raises BadInput where the shard cannot be read."""
    path = _places(folder).get(video_id)
    return None if path is None else Packed(path, _entry(path, video_id))


def ids(folder: Path) -> set[str]:
    """Ids of the videos in this feature folder's shards."""
    return set(_places(folder))


def pack(folder: Path, entries: Iterable[tuple[str, Entry]], clips: int = CLIPS) -> Iterator[list[str]]:
    """Write entries into new shards of so many clips; yields the ids of each shard once it is safe on disk.

    Shards less than half full are packed again with them.
    """
    remove_stale_parts(folder / FOLDER)
    small = [path for path in _shards(folder) if len(_ids(path)) < clips // 2]
    places = _places(folder)  # a later shard may hold newer features of a video
    fresh: dict[str, Entry] = {}
    number = max((int(path.stem) for path in _shards(folder)), default=0)
    again = (
        (video_id, _entry(path, video_id)) for path in small for video_id in _ids(path) if places[video_id] == path
    )
    for source in (again, entries):
        for video_id, entry in source:
            fresh[video_id] = entry
            if len(fresh) == clips:
                number += 1
                yield _write(folder / FOLDER / f"{number:06d}{SUFFIX}", fresh)
                fresh = {}
    if fresh:
        yield _write(folder / FOLDER / f"{number + 1:06d}{SUFFIX}", fresh)
    for path in small:
        _delete(path)


def remove(folder: Path, video_ids: Iterable[str]) -> list[str]:
    """Take videos out of this feature folder's shards, which are rewritten. Returns the ids that were there."""
    unwanted, gone = set(video_ids), []
    for path in _shards(folder):
        there = _ids(path)
        if unwanted.isdisjoint(there):
            continue
        gone += [video_id for video_id in there if video_id in unwanted]
        kept = {video_id: _entry(path, video_id) for video_id in there if video_id not in unwanted}
        if kept:
            _write(path, kept)
        else:
            _delete(path)
    return sorted(set(gone))


def _write(path: Path, entries: Mapping[str, Entry]) -> list[str]:
    arrays = {f"{video_id}/{name}": array for video_id, (parts, _) in entries.items() for name, array in parts.items()}
    clips = {video_id: metadata for video_id, (_, metadata) in entries.items()}
    content = save(arrays, {"format": "plusmv shard 1", "clips": json.dumps(clips)})
    path.with_suffix(".json").unlink(missing_ok=True)  # of what stood here before
    write_bytes(path, content)
    index: ShardIndex = {"format": "plusmv shard index 1", "bytes": len(content), "ids": list(clips)}
    write_json(path.with_suffix(".json"), index)
    return list(clips)


def _delete(path: Path) -> None:
    path.unlink()
    path.with_suffix(".json").unlink(missing_ok=True)


def _shards(folder: Path) -> list[Path]:
    """Oldest first."""
    found = (folder / FOLDER).glob(f"*{SUFFIX}") if (folder / FOLDER).is_dir() else ()
    return sorted(path for path in found if path.stem.isdecimal())


def _places(folder: Path) -> Mapping[str, Path]:
    """{id: shard}; read again once anything in the folder of shards was renamed, written or removed."""
    try:
        return _places_at(folder, (folder / FOLDER).stat().st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=16)
def _places_at(folder: Path, _: int) -> Mapping[str, Path]:
    return {video_id: path for path in _shards(folder) for video_id in _ids(path)}


def _ids(path: Path) -> list[str]:
    """The ids in a shard: its index says, or, where that is missing or of another shard, the shard itself."""
    try:
        index = read_json(path.with_suffix(".json"), SIDECAR_BYTES)
        if index["bytes"] == path.stat().st_size:
            return [video_id for video_id in index["ids"] if isinstance(video_id, str)]
    except (BadInput, OSError, KeyError, TypeError):
        pass
    return list(_opened(path).clips)


def _entry(path: Path, video_id: str) -> Entry:
    shard = _opened(path)
    try:
        arrays = {name: shard.file.get_tensor(f"{video_id}/{name}") for name in shard.streams.get(video_id, ())}
    except Exception as error:  # safetensors raises several kinds
        raise BadInput(f"cannot read {video_id} in the shard {path}: {one_line(error)}") from error
    return arrays, shard.clips.get(video_id, {})


@dataclass(frozen=True)
class _Shard:
    """An open shard: what each clip's metadata says, and which streams it has."""

    file: Any
    clips: Mapping[str, dict[str, str]]
    streams: Mapping[str, list[str]]


def _opened(path: Path) -> _Shard:
    stat = path.stat()
    return _opened_at(path, stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=64)
def _opened_at(path: Path, *_: int) -> _Shard:
    """Kept for as long as the file stays the same."""
    try:
        file = safe_open(path, framework="numpy").__enter__()
        clips = json.loads((file.metadata() or {})["clips"])
        streams: dict[str, list[str]] = {video_id: [] for video_id in clips}
        for name in file.keys():  # noqa: SIM118
            streams[name.rpartition("/")[0]].append(name.rpartition("/")[2])
    except Exception as error:  # safetensors and json raise half a dozen kinds
        raise BadInput(f"cannot read the shard {path}: {one_line(error)}") from error
    return _Shard(file, clips, streams)
