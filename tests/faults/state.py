"""What a run leaves behind, in a form that can be compared: rows without ids and times, files by content.

And a watcher, which looks during a run whether a file under its final name is ever anything but whole.
"""

import contextlib
import hashlib
import json
import os
import struct
import threading
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import JSON, Table, select

from plusmv.core.errors import PlusmvError
from plusmv.db.models import Base, UtcDateTime
from plusmv.db.session import Catalog
from plusmv.features import shards
from plusmv.features.feature_files import SUFFIX, list_features, loose_ids, read_features

PASSING = {"crawl_runs", "leases", "clip_leases", "quota_uses"}  # tables of who did what when, no results
PASSING_COLUMNS = {"checked_to"}  # points at a row's id
CACHES = ("catalog.db", "hashes.")  # of the workspace: compared as rows, or made again from them
FEATURES = ("home/features", "imported")
OUTPUTS = ("home", "imported", "exported", "detections.json")
WHOLE = (SUFFIX, ".json", ".npz", ".npy", ".mp4")

State = dict[
    str, Any
]  # {"rows": {table: Counter}, "files": {path: hash}, "features": {folder: {id: hash}}, "odd": [...]}


def end_state(world: Path, catalog: Catalog) -> State:
    """Everything that a finished run is judged by. `odd`: what must not be there at all, in words."""
    features, odd = {}, []
    for folder in FEATURES:
        features[folder], strange = _features(world / folder)
        odd += strange
    files, strange = _files(world)
    return {"rows": _rows(catalog), "files": files, "features": features, "odd": odd + strange}


def differences(found: State, wanted: State) -> list[str]:
    """What one state has and the other has not, a line each; and what neither may have."""
    lines = [*found["odd"]]
    for kind in ("files", "features"):
        lines += _of_dicts(kind, found[kind], wanted[kind])
    for table in sorted({*found["rows"], *wanted["rows"]}):
        have, want = found["rows"].get(table, Counter()), wanted["rows"].get(table, Counter())
        lines += [f"{table}: {count} row(s) too many: {row[:300]}" for row, count in (have - want).items()]
        lines += [f"{table}: {count} row(s) missing: {row[:300]}" for row, count in (want - have).items()]
    return lines


def _of_dicts(name: str, found: dict, wanted: dict) -> list[str]:
    lines = []
    for key in sorted({*found, *wanted}):
        if found.get(key) == wanted.get(key):
            continue
        if isinstance(found.get(key), dict) and isinstance(wanted.get(key), dict):
            lines += _of_dicts(f"{name} {key}", found[key], wanted[key])
        else:
            what = "missing" if key not in found else "too many" if key not in wanted else "of other content"
            lines.append(f"{name}: {key} is {what}")
    return lines


def _rows(catalog: Catalog) -> dict[str, Counter]:
    """{table: how often each row stands in it}; a reference stands as a hash of the row that it means."""
    names: dict[str, dict[int, str]] = {}
    rows: dict[str, Counter] = {}
    with catalog.reading() as session:
        for table in Base.metadata.sorted_tables:
            if table.name in PASSING:
                continue
            names[table.name], rows[table.name] = {}, Counter()
            for row in session.execute(select(table)).mappings():
                text = _canonical(table, row, names)
                rows[table.name][text] += 1
                if "id" in row:
                    names[table.name][row["id"]] = hashlib.sha256(text.encode()).hexdigest()[:12]
    return rows


def _canonical(table: Table, row: Any, names: dict[str, dict[int, str]]) -> str:
    cells = {}
    for column in table.columns:
        value, keys = row[column.name], [key.column.table.name for key in column.foreign_keys]
        if keys:
            if keys[0] in names and keys[0] != table.name:
                cells[column.name] = names[keys[0]].get(value, value and "nothing")
            elif keys[0] == table.name:
                cells[column.name] = value is not None
        elif column.primary_key or column.name in PASSING_COLUMNS:
            continue
        elif isinstance(column.type, UtcDateTime):
            cells[column.name] = value.isoformat() if value and column.name == "taken_at" else value is not None
        elif isinstance(value, bytes):
            cells[column.name] = hashlib.sha256(value).hexdigest()[:16]
        elif isinstance(column.type, JSON):
            cells[column.name] = json.dumps(value, sort_keys=True, default=str)
        else:
            cells[column.name] = value.isoformat() if isinstance(value, datetime) else value
    return json.dumps(cells, sort_keys=True, default=str)


def _features(folder: Path) -> tuple[dict[str, str], list[str]]:
    """{id: hash of its features} of a folder, and the ids that stand in more than one place."""
    if not folder.is_dir():
        return {}, []
    found, places = {}, Counter(loose_ids(folder))
    for shard in sorted((folder / shards.FOLDER).glob(f"*{SUFFIX}")):
        with contextlib.suppress(OSError, ValueError):
            places.update({name.partition("/")[0] for name in _header(shard.read_bytes()) if name != "__metadata__"})
    for video_id in list_features([folder]):
        try:
            features = read_features([folder], video_id)
        except PlusmvError as error:
            found[video_id] = f"cannot be read: {error}"
            continue
        digest = hashlib.sha256(json.dumps([features.id, features.fps, features.stride, features.recipe]).encode())
        for name, array in sorted(features.streams.items()):
            digest.update(f"{name}{array.shape}".encode() + array.tobytes())
        found[video_id] = digest.hexdigest()[:16]
    return found, [f"{folder.name}: {name} stands {n} times" for name, n in places.items() if n > 1]


def _files(world: Path) -> tuple[dict[str, str], list[str]]:
    files, odd = {}, []
    for output in OUTPUTS:
        top = world / output
        for path in [top] if top.is_file() else sorted(top.rglob("*")) if top.is_dir() else []:
            name = path.relative_to(world).as_posix()
            if not path.is_file() or path.name.endswith(".lock") or path.is_relative_to(world / "home" / "labeler"):
                continue  # locks of nobody, and sessions of people
            if path.name.startswith(".") or ".part" in path.name or ".incoming" in path.name:
                odd.append(f"{name} was left behind")
            elif path.name.startswith(CACHES) or any(path.is_relative_to(world / folder) for folder in FEATURES):
                continue
            else:
                files[name] = "" if path.suffix == ".png" else hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return files, odd


class Watcher(threading.Thread):
    """Looks every few milliseconds; `partial` names the files that were seen in part under their final names."""

    def __init__(self, world: Path):
        super().__init__(daemon=True)
        self._world, self._end = world, threading.Event()
        self._held: dict[str, BinaryIO] = {}  # the files last seen, open: so no other can come to have their inode
        self._seen: dict[str, tuple[int, int, int]] = {}  # path: inode, size and time
        self.partial: set[str] = set()
        self._look(judge=False)  # what is there already may have been damaged on purpose

    def __enter__(self) -> "Watcher":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()
        for file in self._held.values():
            file.close()

    def run(self) -> None:
        while not self._end.wait(0.004):
            self._look()

    def _look(self, judge: bool = True) -> None:
        met = set()
        for output in OUTPUTS:
            for folder, _, names in os.walk(self._world / output):
                for name in names:
                    if not name.startswith(".") and name.endswith(WHOLE):
                        met.add(path := os.path.join(folder, name))
                        with contextlib.suppress(OSError):
                            self._judge(path, judge)
        for path in self._held.keys() - met:  # gone: its room on the disk is wanted
            self._held.pop(path).close()
            del self._seen[path]

    def _judge(self, path: str, judge: bool) -> None:
        before, now = self._seen.get(path), _facts(os.stat(path))
        if before == now:
            return
        written_there = before is not None and before[0] == now[0]  # else renamed into place, or new
        if not written_there:
            file = open(path, "rb")  # noqa: SIM115 - held, see above
            if path in self._held:
                self._held[path].close()
            self._held[path], now = file, _facts(os.fstat(file.fileno()))
        self._seen[path] = now
        if judge and (written_there or not _whole(path, self._held[path].read())):
            self.partial.add(os.path.relpath(path, self._world))


def _facts(facts: os.stat_result) -> tuple[int, int, int]:
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _whole(path: str, content: bytes) -> bool:
    """Whether a file's format says that all of it is there."""
    name = os.path.basename(path)
    try:
        if path.endswith(SUFFIX):
            offsets = [entry["data_offsets"][1] for key, entry in _header(content).items() if key != "__metadata__"]
            return len(content) == 8 + struct.unpack("<Q", content[:8])[0] + max(offsets, default=0)
        if path.endswith(".json"):
            return json.loads(content) is not None
        if path.endswith(".npz"):
            return b"PK\x05\x06" in content[-64:]
        if path.endswith(".mp4") and "/media/" in path:
            return hashlib.sha256(content).hexdigest() == name.removesuffix(".mp4")
        if path.endswith(".mp4"):
            return b"moov" in content and b"mdat" in content
        return content[:6] == b"\x93NUMPY"
    except (ValueError, struct.error, KeyError):
        return False


def _header(content: bytes) -> dict[str, Any]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length])
