"""Files of the workspace that name what was taken down: found, and rid of it.

JSON loses the entries that name it, a shard of features the tensors; what can be made again (an export, a picture, a
report) goes as a whole. Videos' own files are named by their content and are not searched.
"""

import json
import mmap
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from plusmv.core.workspace import Workspace, atomic_path, write_json

SKIPPED_DIRS = {"media", "previews"}  # addressed by content
HEADER_BYTES = 256 << 20  # longest header of a safetensors file
HEAD = 4096  # bytes in which a binary file has a zero
SHORTEST, WHOLE = 3, 6  # characters of a word that is searched for, and of one that counts also within a longer one


class Word:
    """What must be found nowhere: an id, a link, a content.

    A short one stands in anything, so it counts only where no letter or digit adjoins it; one that begins or ends with
    a digit, only where none adjoins it there.
    """

    def __init__(self, text: str):
        self.text, self.short, literal = text, len(text) < WHOLE, re.escape(text)
        before, after = (r"[^\W_]" if self.short else r"\d" if end.isdecimal() else "" for end in (text[0], text[-1]))
        pattern = literal + f"(?<!{before}{literal})" * bool(before) + f"(?!{after})" * bool(after)
        self._in_text, self._in_bytes = re.compile(pattern, re.IGNORECASE), re.compile(pattern.encode())

    def stands_in(self, text: str) -> bool:
        return self._in_text.search(text) is not None

    def cut_from(self, text: str) -> str:
        return self._in_text.sub("", text)

    def stands_in_file(self, content: bytes | mmap.mmap, binary: bool, numbers: bool) -> bool:
        """binary: bytes at random have every short word in them; numbers: so have columns of numbers."""
        if self.short and (binary or (numbers and self.text.isdecimal())):
            return False
        return self._in_bytes.search(content) is not None


def words_of(texts: Iterable[str]) -> list[Word]:
    """The words to search for, longest first, also as JSON writes them."""
    written = {form for text in texts for form in (text, json.dumps(text)[1:-1])}
    return [Word(text) for text in sorted(written, key=len, reverse=True) if len(text) >= SHORTEST]


def cut_from(text: str, words: Sequence[Word]) -> str:
    """What of a text is none of the words."""
    for word in words:
        text = word.cut_from(text)
    return text


def scrub(workspace: Workspace, words: Sequence[Word]) -> dict[str, list[str]]:
    """Rid every file below the workspace of these words. {"removed", "rewritten"}: paths relative to the workspace."""
    done: dict[str, list[str]] = {"removed": [], "rewritten": []}
    for path in list(_files(workspace)):
        relative = path.relative_to(workspace.home)
        named = _named(path, words)
        if not named:
            continue
        rewritten = relative.parts[0] != "exports" and _rewritten(path, named)
        if not rewritten:
            path.unlink(missing_ok=True)
        done["rewritten" if rewritten else "removed"].append(_unnamed(relative.as_posix(), words))
    return {name: sorted(paths) for name, paths in done.items()}


def _files(workspace: Workspace) -> Iterator[Path]:
    for top in sorted(workspace.home.iterdir()) if workspace.home.is_dir() else ():
        if top.name in SKIPPED_DIRS or top.name.startswith("catalog.db") or top.name == "uploader.key":
            continue
        yield from (top,) if top.is_file() else (path for path in top.rglob("*") if path.is_file())


def _named(path: Path, words: Sequence[Word]) -> list[Word]:
    """The words that a file's name or content has; of a safetensors file the header is read."""
    name = path.name.encode(errors="surrogateescape").decode(errors="replace")
    in_name = [word for word in words if word.stands_in(name)]
    with open(path, "rb") as file:
        if path.suffix == ".safetensors":
            head = file.read(8)
            header = file.read(min(struct.unpack("<Q", head)[0], HEADER_BYTES)) if len(head) == 8 else b""
            return in_name or [word for word in words if word.stands_in_file(header, binary=False, numbers=True)]
        if not path.stat().st_size:
            return in_name
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            binary, numbers = b"\0" in content[:HEAD], path.suffix != ".json"
            inside = [word for word in words if word.stands_in_file(content, binary, numbers)]
    if path.suffix == ".json" and inside and not in_name and not _json_names(path, inside):
        return []
    return in_name + inside


def _json_names(path: Path, words: Sequence[Word]) -> bool:
    """Whether a JSON file has a word in a key or entry of it, not in digits of a measurement."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return without(value, words) != value
    except (ValueError, RecursionError):
        return True


def _rewritten(path: Path, words: Sequence[Word]) -> bool:
    """Whether something of the file is left: it was written anew without what names the words."""
    if _has(path.name, words):
        return False
    try:
        if path.suffix == ".safetensors":
            return _shard(path, words)
        if path.suffix == ".json":
            write_json(path, without(json.loads(path.read_text(encoding="utf-8")), words))
            return True
        if path.suffix in (".jsonl", ".csv"):
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            with atomic_path(path) as part:
                part.write_text("".join(line for line in lines if not _has(line, words)), encoding="utf-8")
            return True
    except (ValueError, OSError, SafetensorError, RecursionError):
        return False
    return False


def _shard(path: Path, words: Sequence[Word]) -> bool:
    """Of a shard the arrays go too, called <id>/<stream>; a network's have no such names, and stay."""
    with safe_open(path, "numpy") as file:
        names = [name for name in file.keys() if not _has(name.rpartition("/")[0], words)]  # noqa: SIM118
        tensors: dict[str, np.ndarray] = {name: file.get_tensor(name) for name in names}
        metadata = {n: _scrubbed(text, words) for n, text in (file.metadata() or {}).items() if not _has(n, words)}
    if not tensors:
        return False
    with atomic_path(path) as part:
        save_file(tensors, part, metadata)
    return True


def _scrubbed(text: str, words: Sequence[Word]) -> str:
    if not _has(text, words):
        return text
    try:
        return json.dumps(without(json.loads(text), words))
    except ValueError:
        return ""


def without(value: Any, words: Sequence[Word]) -> Any:
    """A JSON value without the entries that name one of the words, in their key or in themselves."""
    if isinstance(value, dict):
        kept = {key: entry for key, entry in value.items() if not _has(key, words) and not _word(entry, words)}
        return {key: without(entry, words) for key, entry in kept.items()}
    if isinstance(value, list):
        return [without(entry, words) for entry in value if not _word(entry, words)]
    return value


def _word(value: Any, words: Sequence[Word]) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return _has(str(value), [word for word in words if not word.short])
    return isinstance(value, str) and _has(value, words)


def _has(text: str, words: Sequence[Word]) -> bool:
    return any(word.stands_in(text) for word in words)


def _unnamed(path: str, words: Sequence[Word]) -> str:
    for word in words:
        path = path.replace(word.text, "...")
    return path
