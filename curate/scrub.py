"""Files of the workspace that name what was taken down: found, and rid of it.

JSON loses the entries that name it, a shard of features the tensors; what can be made again (an export, a picture, a
report) goes as a whole. Videos' own files are named by their content and are not searched.
"""

import json
import mmap
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from core.workspace import Workspace, atomic_path, write_json

APART = {"media", "previews"}  # addressed by content
HEADER_BYTES = 256 << 20  # longest header of a safetensors file


def scrub(workspace: Workspace, needles: Sequence[str]) -> dict[str, list[str]]:
    """Rid every file below the workspace of these words. {"removed", "rewritten"}: paths relative to the workspace."""
    words = [needle.encode() for needle in needles]
    done: dict[str, list[str]] = {"removed": [], "rewritten": []}
    for path in list(_files(workspace)):
        relative = path.relative_to(workspace.home)
        if not _names(path, words):
            continue
        rewritten = relative.parts[0] != "exports" and _rewritten(path, needles)
        if not rewritten:
            path.unlink(missing_ok=True)
        done["rewritten" if rewritten else "removed"].append(_unnamed(relative.as_posix(), needles))
    return {name: sorted(paths) for name, paths in done.items()}


def _files(workspace: Workspace) -> Iterator[Path]:
    for top in sorted(workspace.home.iterdir()) if workspace.home.is_dir() else ():
        if top.name in APART or top.name.startswith("catalog.db") or top.name == "uploader.key":
            continue
        yield from (top,) if top.is_file() else (path for path in top.rglob("*") if path.is_file())


def _names(path: Path, words: Iterable[bytes]) -> bool:
    """Whether a file's name or content has one of the words; of a safetensors file the header."""
    if any(word in path.name.encode(errors="surrogateescape") for word in words):
        return True
    with open(path, "rb") as file:
        if path.suffix == ".safetensors":
            head = file.read(8)
            content = file.read(min(struct.unpack("<Q", head)[0], HEADER_BYTES)) if len(head) == 8 else b""
            return any(word in content for word in words)
        if not path.stat().st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(content.find(word) >= 0 for word in words)


def _rewritten(path: Path, needles: Sequence[str]) -> bool:
    """Whether something of the file is left: it was written anew without what names the words."""
    if any(needle in path.name for needle in needles):
        return False
    try:
        if path.suffix == ".safetensors":
            return _shard(path, needles)
        if path.suffix == ".json":
            write_json(path, without(json.loads(path.read_text(encoding="utf-8")), needles))
            return True
        if path.suffix in (".jsonl", ".csv"):
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            with atomic_path(path) as part:
                part.write_text("".join(line for line in lines if not _has(line, needles)), encoding="utf-8")
            return True
    except (ValueError, OSError, SafetensorError, RecursionError):
        return False
    return False


def _shard(path: Path, needles: Sequence[str]) -> bool:
    with safe_open(path, "numpy") as file:
        tensors: dict[str, np.ndarray] = {n: file.get_tensor(n) for n in file.keys() if not _has(n, needles)}  # noqa: SIM118
        metadata = {n: _scrubbed(text, needles) for n, text in (file.metadata() or {}).items() if not _has(n, needles)}
    if not tensors:
        return False
    with atomic_path(path) as part:
        save_file(tensors, part, metadata)
    return True


def _scrubbed(text: str, needles: Sequence[str]) -> str:
    if not _has(text, needles):
        return text
    try:
        return json.dumps(without(json.loads(text), needles))
    except ValueError:
        return ""


def without(value: Any, needles: Sequence[str]) -> Any:
    """A JSON value without the entries that name one of the words, in their key or in themselves."""
    if isinstance(value, dict):
        kept = {key: entry for key, entry in value.items() if not _has(key, needles) and not _word(entry, needles)}
        return {key: without(entry, needles) for key, entry in kept.items()}
    if isinstance(value, list):
        return [without(entry, needles) for entry in value if not _word(entry, needles)]
    return value


def _word(value: Any, needles: Sequence[str]) -> bool:
    return isinstance(value, str) and _has(value, needles)


def _has(text: str, needles: Sequence[str]) -> bool:
    return any(needle in text for needle in needles)


def _unnamed(path: str, needles: Sequence[str]) -> str:
    for needle in needles:
        path = path.replace(needle, "...")
    return path
