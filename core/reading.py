"""Files of strangers, read within bounds (core.limits): whatever lies there, it is a text or a BadInput that says why.

Only as much as the bound is read, so pipes, devices and files that grow meanwhile are no trouble.
"""

import csv
import lzma
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from plusmv.core.errors import BadInput, one_line
from plusmv.core.limits import JSON_BYTES, LINE_BYTES, LIST_BYTES, MB, ROW_BYTES, TABLE_BYTES
from plusmv.core.parsing import parse_json


def read_bytes(path: Path, most: int) -> bytes:
    """A file's content. Raises BadInput where it cannot be read or has more than `most` bytes."""
    try:
        with open(path, "rb") as file:
            return bounded_bytes(file, most, str(path))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise BadInput(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def bounded_bytes(file: BinaryIO, most: int, name: str) -> bytes:
    """What is left of an open file. Raises BadInput where that is more than `most` bytes."""
    content = file.read(most + 1)
    if len(content) > most:
        raise too_large(name, most)
    return content


def too_large(name: str, most: int) -> BadInput:
    """The error for what is over a bound."""
    shown = f"{most / MB:g} MB" if most >= MB else f"{most} bytes"
    return BadInput(f"{name} is larger than {shown}, the most that is read of such a file")


def read_text(path: Path, most: int = LIST_BYTES) -> str:
    """A UTF-8 file's text, without a byte order mark. Raises BadInput."""
    try:
        return read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 ({error.reason}); save it as UTF-8") from error


def read_json(path: Path, most: int = JSON_BYTES, strict: bool = True) -> Any:
    """A JSON file's value. Raises BadInput; see core.parsing.parse_json."""
    return parse_json(read_bytes(path, most), str(path), strict)


def unpacked_xz(packed: bytes, most: int, name: str) -> bytes:
    """What an .xz file holds. Raises BadInput where it is damaged, cut short, or holds more than `most` bytes."""
    unpacking = lzma.LZMADecompressor(memlimit=256 * MB)
    try:
        content = unpacking.decompress(packed, max_length=most + 1)
    except (lzma.LZMAError, EOFError, MemoryError) as error:
        raise BadInput(f"{name} cannot be unpacked: {one_line(error)}") from error
    if len(content) > most:
        raise too_large(name, most)
    if not unpacking.eof:
        raise BadInput(f"{name} is cut short")
    return content


def csv_rows(
    path: Path, columns: Sequence[str], required: Sequence[str], most: int = TABLE_BYTES
) -> Iterator[tuple[int, dict[str, str]]]:
    """(number of its last line, {column: cell}) of each row of a UTF-8 CSV whose first row names its columns.

    Raises BadInput with the line at fault: for a column that is unknown, lacking or named twice, more cells than
    columns, an open quote, a row without end. Cells that a row lacks are "". columns: () admits any.
    """
    try:
        with open(path, "rb") as file:
            lines = TextLines(path, file, most=most)
            header: tuple[str, ...] | None = None
            for cells in csv_cells(lines):
                if header is None:
                    header = _checked_header(path, tuple(cells), columns, required)
                elif len(cells) > len(header):
                    raise BadInput(f"{path} line {lines.line}: {len(cells)} cells under {len(header)} columns")
                else:
                    yield lines.line, dict.fromkeys(header, "") | dict(zip(header, cells, strict=False))
            if header is None:
                _checked_header(path, (), columns, required)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def csv_cells(lines: "TextLines") -> Iterator[list[str]]:
    """The cells of each row that is not empty, from where the lines stand. Raises BadInput with the line at fault."""
    try:
        for cells in csv.reader(lines, strict=True):
            lines.start_row()
            if cells:
                yield cells
    except csv.Error as error:
        raise BadInput(f"{lines.path} line {lines.line} is not CSV: {error}") from error


def _checked_header(path: Path, names: tuple[str, ...], columns: Sequence[str], required: Sequence[str]) -> tuple:
    lacking = [name for name in required if name not in names]
    unknown = [name for name in names if columns and name not in columns]
    if lacking or unknown:
        fault = f"has an unknown column {unknown[0][:60]!r}" if unknown else f"lacks the column {lacking[0]!r}"
        raise BadInput(f"{path} {fault}; known are {', '.join(columns or required)}")
    if len(set(names)) < len(names):
        raise BadInput(f"{path}: a column is named twice")
    return names


class TextLines:
    """The text lines of a binary file from where it stands, each bounded; `end` is the offset after the last one."""

    def __init__(self, path: Path, file: BinaryIO, line: int = 0, most: int | None = None):
        self.path, self.line, self.end = path, line, _place(file)
        self._file, self._most, self._row = file, most, self.end

    def __iter__(self) -> "TextLines":
        return self

    def __next__(self) -> str:
        raw = self._file.readline(LINE_BYTES + 1)
        if not raw:
            raise StopIteration
        self.line += 1
        if len(raw) > LINE_BYTES:
            raise BadInput(f"{self.path} line {self.line} is longer than {LINE_BYTES} bytes")
        try:
            text = raw.decode("utf-8-sig" if self.end == 0 else "utf-8")
        except UnicodeDecodeError as error:
            raise BadInput(f"{self.path} line {self.line} is not UTF-8 ({error.reason}); save it as UTF-8") from error
        self.end += len(raw)
        if self.end - self._row > ROW_BYTES + LINE_BYTES:
            raise BadInput(f"{self.path} line {self.line}: a row is longer than {ROW_BYTES} bytes; is a quote open?")
        if self._most is not None and self.end > self._most:
            raise too_large(str(self.path), self._most)
        return text

    def start_row(self) -> None:
        """A new row starts here: its length is counted anew."""
        self._row = self.end


def _place(file: BinaryIO) -> int:
    return file.tell() if file.seekable() else 0  # a pipe has no places
