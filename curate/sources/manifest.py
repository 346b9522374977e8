"""Manifests: a CSV or JSONL that says what the files of a folder are.

Columns: file (relative to the folder) and tag, and where known platform, platform_id, uploader, caption, taken_at, url
and licence. One pass over the file checks it and notes where each tag's rows start; rows are then read one by one, so
that millions of them cost 8 bytes each.
"""

import array
import csv
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypedDict, cast

from plusmv.core.actions import normalise_tag
from plusmv.core.errors import BadInput


class ManifestRow(TypedDict, total=False):
    """A row of a manifest: `file` (relative to the folder) and `tag` must be there, the rest where known."""

    file: str
    tag: str
    platform: str  # such as "instagram"
    platform_id: str  # the post's id there
    uploader: str  # a person's id or name: stored only as a keyed hash
    caption: str
    taken_at: str  # ISO 8601, or seconds since 1970
    url: str
    licence: str


REQUIRED = ("file", "tag")
COLUMNS = tuple(ManifestRow.__annotations__)
NAMES = ("manifest.csv", "manifest.jsonl")
LINE_BYTES = 1 << 20  # longest line that is read

_normalised = functools.lru_cache(maxsize=4096)(normalise_tag)


class Manifest:
    """A manifest, checked as a whole when it is opened. Raises BadInput with the line at fault."""

    def __init__(self, path: Path):
        self.path = path
        self._json = path.suffix.lower() in (".jsonl", ".ndjson")
        self._checked: set[tuple[str, ...]] = set()  # columns of JSON rows that are known to be right
        self._starts: dict[str, array.array[int]] = {}
        try:
            with open(path, "rb") as file:
                self._header = () if self._json else self._read_header(file)
                self._index(file)
        except OSError as error:
            raise BadInput(f"cannot read the manifest {path}: {error.strerror}") from error
        if not self._starts:
            raise BadInput(f"the manifest {path} has no rows")

    def tags(self) -> tuple[str, ...]:
        """Every tag that has rows, in order of appearance."""
        return tuple(self._starts)

    def rows(self, tag: str, start: int = 0) -> Iterator[ManifestRow]:
        """The rows of a tag, in the file's order, from the start-th on."""
        starts = self._starts.get(tag, ())
        with open(self.path, "rb") as file:
            for index in range(start, len(starts)):
                file.seek(starts[index])
                if self._json:
                    yield self._json_row(file.readline(LINE_BYTES + 1), 0)
                else:
                    yield next(cells for _, cells in self._rows(_Lines(self.path, file)))

    def _read_header(self, file: BinaryIO) -> tuple[str, ...]:
        try:
            header = tuple(next(csv.reader(_Lines(self.path, file), strict=True), ()))
        except csv.Error as error:
            raise BadInput(f"{self.path} line 1: {error}") from error
        self._check_columns(header, 1)
        return header

    def _index(self, file: BinaryIO) -> None:
        lines = _Lines(self.path, file, line=0 if self._json else 1)
        for start, cells in self._rows(lines):
            if not cells.get("file") or not cells.get("tag"):
                raise BadInput(f"{self.path} line {lines.line}: a row needs a file and a tag")
            try:
                tag = _normalised(cells["tag"])
            except BadInput as error:
                raise BadInput(f"{self.path} line {lines.line}: {error}") from error
            self._starts.setdefault(tag, array.array("Q")).append(start)

    def _rows(self, lines: "_Lines") -> Iterator[tuple[int, ManifestRow]]:
        """(where the row starts in the file, its cells)."""
        yield from self._json_rows(lines) if self._json else self._csv_rows(lines)

    def _csv_rows(self, lines: "_Lines") -> Iterator[tuple[int, ManifestRow]]:
        start = lines.end
        try:
            for cells in csv.reader(lines, strict=True):
                if len(cells) > len(self._header):
                    raise BadInput(
                        f"{self.path} line {lines.line}: {len(cells)} cells under {len(self._header)} columns"
                    )
                if cells:
                    yield start, cast(ManifestRow, dict(zip(self._header, cells, strict=False)))
                start = lines.end
        except csv.Error as error:
            raise BadInput(f"{self.path} line {lines.line}: {error}") from error

    def _json_rows(self, lines: "_Lines") -> Iterator[tuple[int, ManifestRow]]:
        start = lines.end
        for line in lines:
            if line.strip():
                yield start, self._json_row(line, lines.line)
            start = lines.end

    def _json_row(self, line: str | bytes, number: int) -> ManifestRow:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:  # number 0: the file has changed since it was checked
            raise BadInput(f"{self.path} line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise BadInput(f"{self.path} line {number} is not a flat JSON object")
        for name, value in row.items():
            if type(value) is not str:
                if isinstance(value, dict | list):
                    raise BadInput(f"{self.path} line {number} is not a flat JSON object")
                row[name] = "" if value is None else str(value)
        names = tuple(row)
        if names not in self._checked:
            self._check_columns(names, number)
            self._checked.add(names)
        return cast(ManifestRow, row)

    def _check_columns(self, names: tuple[str, ...], line: int) -> None:
        for name in names:
            if name not in COLUMNS:
                raise BadInput(f"{self.path} line {line}: unknown column {name[:60]!r}; known are {', '.join(COLUMNS)}")
        for name in REQUIRED:
            if name not in names:
                raise BadInput(f"{self.path} line {line}: the column {name!r} is missing")
        if len(set(names)) < len(names):
            raise BadInput(f"{self.path} line {line}: a column is named twice")


class _Lines:
    """The text lines of a binary file from where it stands; `end` is the offset after the last one given out."""

    def __init__(self, path: Path, file: BinaryIO, line: int = 0):
        self._path, self._file, self.line = path, file, line
        self.end = file.tell()

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        raw = self._file.readline(LINE_BYTES + 1)
        if not raw:
            raise StopIteration
        self.line += 1
        if len(raw) > LINE_BYTES:
            raise BadInput(f"{self._path} line {self.line} is longer than {LINE_BYTES} bytes")
        try:
            text = raw.decode("utf-8-sig" if self.end == 0 else "utf-8")
        except UnicodeDecodeError as error:
            raise BadInput(f"{self._path} line {self.line} is not UTF-8 ({error.reason}); save it as UTF-8") from error
        self.end += len(raw)
        return text
