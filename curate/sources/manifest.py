"""Manifests: a CSV or JSONL that says what the files of a folder are.

Columns: file (relative to the folder) and tag, and where known platform, platform_id, uploader, caption, taken_at, url
and licence. One pass over the file checks it and notes where each tag's rows start; rows are then read one by one, so
that millions of them cost 8 bytes each.
"""

import array
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypedDict, cast

from plusmv.core.actions import normalise_tag
from plusmv.core.errors import BadInput
from plusmv.core.limits import LINE_BYTES, MANIFEST_ROWS, MANIFEST_TAGS
from plusmv.core.parsing import parse_json
from plusmv.core.reading import TextLines, csv_cells


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
                lines = TextLines(path, file)
                self._header = () if self._json else self._read_header(lines)
                self._index(lines)
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
                    yield self._row_at(file)

    def _row_at(self, file: BinaryIO) -> ManifestRow:
        for _, cells in self._csv_rows(TextLines(self.path, file)):
            return cells
        raise BadInput(f"{self.path} was changed while it was read; crawl again")

    def _read_header(self, lines: TextLines) -> tuple[str, ...]:
        header = tuple(next(csv_cells(lines), ()))
        self._check_columns(header, 1)
        return header

    def _index(self, lines: TextLines) -> None:
        for count, (start, cells) in enumerate(self._rows(lines), start=1):
            if count > MANIFEST_ROWS or len(self._starts) > MANIFEST_TAGS:
                raise BadInput(f"{self.path} has more than {MANIFEST_ROWS} rows or {MANIFEST_TAGS} tags; split it")
            if not cells.get("file") or not cells.get("tag"):
                raise BadInput(f"{self.path} line {lines.line}: a row needs a file and a tag")
            try:
                tag = _normalised(cells["tag"])
            except BadInput as error:
                raise BadInput(f"{self.path} line {lines.line}: {error}") from error
            self._starts.setdefault(tag, array.array("Q")).append(start)

    def _rows(self, lines: TextLines) -> Iterator[tuple[int, ManifestRow]]:
        """(where the row starts in the file, its cells)."""
        yield from self._json_rows(lines) if self._json else self._csv_rows(lines)

    def _csv_rows(self, lines: TextLines) -> Iterator[tuple[int, ManifestRow]]:
        start = lines.end
        for cells in csv_cells(lines):
            if len(cells) > len(self._header):
                raise BadInput(f"{self.path} line {lines.line}: {len(cells)} cells under {len(self._header)} columns")
            yield start, cast(ManifestRow, dict(zip(self._header, cells, strict=False)))
            start = lines.end

    def _json_rows(self, lines: TextLines) -> Iterator[tuple[int, ManifestRow]]:
        start = lines.end
        for line in lines:
            if line.strip():
                yield start, self._json_row(line, lines.line)
            start = lines.end
            lines.start_row()

    def _json_row(self, line: str | bytes, number: int) -> ManifestRow:
        row = parse_json(line, f"{self.path} line {number}", strict=False)  # 0: changed since it was checked
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
