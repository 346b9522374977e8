"""Shards: about a thousand videos' features in one file, for sets too large for a file each.

`shards/000001.safetensors` holds `<id>/<stream>` arrays and, in its metadata, what each loose file's metadata said;
`000001.json` beside it lists its ids, so that finding a video reads no shard. The index can be lost: it is read off the
shard. Where an id stands in two shards, as after a kill between writing and removing, the later one counts, until
`settle` leaves it in that one alone. Writing takes the feature folder's lock (core.locks.one_change), reading none.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
from safetensors import safe_open

from plusmv.core.errors import BadInput, one_line
from plusmv.core.limits import SIDECAR_BYTES
from plusmv.core.locks import one_change
from plusmv.core.reading import read_json
from plusmv.core.workspace import write_bytes, write_json
from plusmv.features.serialise import safetensors_bytes

CLIPS = 1000  # of a shard
FOLDER, SUFFIX = "shards", ".safetensors"
LOOKS = 100  # at a folder whose shards are packed anew at that very moment
TICK_NS = 2_000_000_000  # a folder changed so lately may change again without its time telling
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
    """A video's entry, if a shard of this feature folder has it.

    Raises BadInput where the shard cannot be read, FileNotFoundError where it was packed again at that moment.
    """
    path = _places(folder).get(video_id)
    return None if path is None else Packed(path, _entry(path, video_id))


def ids(folder: Path) -> set[str]:
    """Ids of the videos in this feature folder's shards."""
    return set(_places(folder))


def has(folder: Path, video_id: str) -> bool:
    """Whether a shard of this feature folder has a video."""
    return video_id in _places(folder)


def room(folder: Path, clips: int = CLIPS) -> int:
    """How many more entries `pack` puts into a shard together with those of the shards that are packed again."""
    return clips - sum(len(_ids(path)) for path in _small(folder, clips))


def unfinished(folder: Path, clips: int = CLIPS) -> bool:
    """Whether several shards are left that one could hold."""
    return len(_small(folder, clips)) > 1


def pack(folder: Path, entries: Mapping[str, Entry], clips: int = CLIPS) -> None:
    """Write entries into one new shard, at most `room` of them, with those of shards that are less than half full.

    When it returns, the new shard is safe on disk and no id of it is left in another.
    """
    small, places = _small(folder, clips), _places(folder)  # a later shard may hold newer features of a video
    if entries or len(small) > 1:
        again = {key: _entry(path, key) for path in small for key in _ids(path) if places[key] == path}
        number = max((int(path.stem) for path in _shards(folder)), default=0) + 1
        _write(folder / FOLDER / f"{number:06d}{SUFFIX}", again | dict(entries))
    settle(folder)


def settle(folder: Path) -> None:
    """Leave every id in one shard, the latest that has it: what a process that was killed had not got round to."""
    places = _places(folder)
    for path in _shards(folder):
        there = _ids(path)
        _keep(path, there, [video_id for video_id in there if places[video_id] == path])


def checksums(folder: Path, video_ids: Iterable[str]) -> dict[str, str]:
    """What those of these videos that are in a shard say of their content: {id: xxh3}."""
    places = _places(folder)
    packed = {
        video_id: _opened(places[video_id]).clips.get(video_id, {}) for video_id in video_ids if video_id in places
    }
    return {video_id: metadata.get("xxh3", "") for video_id, metadata in packed.items()}


def remove(folder: Path, video_ids: Iterable[str]) -> list[str]:
    """Take videos out of this feature folder's shards, which are rewritten. Returns the ids that were there.

    Takes the folder's lock itself. Loose files have to go before: what packs them is waited for here.
    """
    unwanted, gone = set(video_ids), set()
    if not folder.is_dir():
        return []
    with one_change(folder):
        for path in _shards(folder):
            there = _ids(path)
            gone |= unwanted.intersection(there)
            _keep(path, there, [video_id for video_id in there if video_id not in unwanted])
    return sorted(gone)


def _small(folder: Path, clips: int) -> list[Path]:
    """The shards that are packed again: less than half full, and as many of them as fit into one."""
    small, count = [], 0
    for path in _shards(folder):
        held = len(_ids(path))
        if held < clips // 2 and count + held <= clips:
            small.append(path)
            count += held
    return small


def _keep(path: Path, there: list[str], kept: list[str]) -> None:
    """Rewrite a shard without what is not kept; one of which nothing is kept goes."""
    if not kept:
        path.unlink()
        path.with_suffix(".json").unlink(missing_ok=True)
    elif len(kept) < len(there):
        _write(path, {video_id: _entry(path, video_id) for video_id in kept})


def _write(path: Path, entries: Mapping[str, Entry]) -> None:
    arrays = {f"{video_id}/{name}": array for video_id, (parts, _) in entries.items() for name, array in parts.items()}
    clips = {video_id: metadata for video_id, (_, metadata) in entries.items()}
    content = safetensors_bytes(arrays, {"format": "plusmv shard 1", "clips": json.dumps(clips, sort_keys=True)})
    path.with_suffix(".json").unlink(missing_ok=True)  # of what stood here before
    write_bytes(path, content)
    index: ShardIndex = {"format": "plusmv shard index 1", "bytes": len(content), "ids": sorted(clips)}
    write_json(path.with_suffix(".json"), index)


def _shards(folder: Path) -> list[Path]:
    """Oldest first."""
    found = (folder / FOLDER).glob(f"*{SUFFIX}") if (folder / FOLDER).is_dir() else ()
    return sorted(path for path in found if path.stem.isdecimal())


def _places(folder: Path) -> Mapping[str, Path]:
    """{id: shard}; read again once anything in the folder of shards was renamed, written or removed."""
    for _ in range(LOOKS):
        try:
            changed = (folder / FOLDER).stat().st_mtime_ns
        except OSError:
            return {}
        try:
            if abs(time.time_ns() - changed) < TICK_NS:
                return _read_places(folder)
            return _places_at(folder, changed)
        except FileNotFoundError:  # another process has packed a shard again
            continue
    raise BadInput(f"the shards in {folder / FOLDER} do not stay long enough to be read; try again later")


def _read_places(folder: Path) -> Mapping[str, Path]:
    return {video_id: path for path in _shards(folder) for video_id in _ids(path)}


@lru_cache(maxsize=16)
def _places_at(folder: Path, _: int) -> Mapping[str, Path]:
    return _read_places(folder)


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
    if video_id not in shard.clips:
        raise FileNotFoundError(f"{video_id} is not in the shard {path} any more")
    try:
        arrays = {name: shard.file.get_tensor(f"{video_id}/{name}") for name in shard.streams[video_id]}
    except Exception as error:  # safetensors raises several kinds
        raise BadInput(f"cannot read {video_id} in the shard {path}: {one_line(error)}") from error
    return arrays, shard.clips[video_id]


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
