"""Text files without what names a takedown's subject: JSON, JSONL, CSV, pages and plain text.

`cleaned_text` takes a file's bytes and gives back the very same object where nothing names the subject, other bytes, or
None where the file goes as a whole. What stays, stays byte for byte; in JSON where its layout is a usual one.
"""

import codecs
import csv
import io
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from plusmv.curate.takedown import records
from plusmv.curate.takedown.archives import Cleaned, NotRead
from plusmv.curate.takedown.records import Gone
from plusmv.curate.takedown.subject import Field, Subject

PAGES = {".html", ".htm", ".svg", ".xml"}
NOT_FOLLOWED = {".yaml", ".yml", ".toml", ".ini", ".cfg", ".py", ".sh", ".ipynb"}
HEAD = 8192  # bytes of a file in which a binary one has a zero
LONGEST_CELL = 1 << 30
ENCODINGS = {  # by the mark at the beginning, which Excel and PowerShell write; without one it is UTF-8
    codecs.BOM_UTF16_LE: ("utf-16-le", "surrogatepass"),
    codecs.BOM_UTF16_BE: ("utf-16-be", "surrogatepass"),
}


def cleaned_text(name: str, content: bytes, subject: Subject) -> Cleaned:
    """Any text file, read as its suffix says. Raises NotRead for a binary one, and one that is not followed."""
    suffix = PurePosixPath(name).suffix.casefold()
    encoding, errors = ENCODINGS.get(content[:2], ("utf-8", "surrogateescape"))
    if suffix in NOT_FOLLOWED or (encoding == "utf-8" and b"\0" in content[:HEAD]):
        raise NotRead
    of_kind = {".json": _json, ".jsonl": _json_lines, ".ndjson": _json_lines, ".csv": _csv, ".tsv": _csv}
    make = of_kind.get(suffix, _page if suffix in PAGES else _lines)
    try:
        text = content.decode(encoding, errors)  # what is no UTF-8 is given back as the bytes that it was
        left = make(text, subject)
    except Gone:
        return None
    except (ValueError, RecursionError, csv.Error) as error:
        raise NotRead from error
    return content if left is text else left.encode(encoding, errors)


def _json(text: str, subject: Subject) -> str:
    body = text.removeprefix("\ufeff")
    value = json.loads(body)
    left = records.without(value, subject)
    return text if left is value else text[: len(text) - len(body)] + _written(left, body, value)


def _written(left: Any, text: str, value: Any) -> str:
    """JSON in the layout that the text has, so that what is left of it is left as it was."""
    end = text[len(text.rstrip()) :]
    indents = (None, 1, 2, 4, "\t") if "\n" in text.strip() else (None,)
    for indent, ascii_only, close in itertools.product(indents, (True, False), (False, True)):
        separators = ("," if close or indent is not None else ", ", ":" if close else ": ")
        layout: dict[str, Any] = {"indent": indent, "ensure_ascii": ascii_only, "separators": separators}
        if json.dumps(value, **layout) == text.rstrip():
            return json.dumps(left, **layout) + end
    return json.dumps(left, indent=1 if len(indents) > 1 else None) + end


def _json_lines(text: str, subject: Subject) -> str:
    kept = [_json_line(line, subject) for line in _split(text)]
    left = "".join(kept)
    return text if left == text else left


def _json_line(line: str, subject: Subject) -> str:
    """A line that is not JSON is taken as plain text."""
    body = line.strip()
    try:
        return line.replace(body, _json(body, subject)) if body else line
    except Gone:
        return ""
    except (ValueError, RecursionError):
        return _line(line, subject)


def _split(text: str) -> Iterator[str]:
    """Lines with their ends; unlike str.splitlines not at the rarer separators, which may stand in a JSON string."""
    return iter(io.StringIO(text, newline=""))


def _csv(text: str, subject: Subject) -> str:
    """Rows as their text stands in the file, line breaks within cells included."""
    pieces: list[str] = []

    def noted() -> Iterator[str]:
        for line in _split(text):
            pieces.append(line)
            yield line

    csv.field_size_limit(LONGEST_CELL)
    dialect: dict[str, Any] = {"delimiter": _delimiter(text)}
    rows, kept, header = csv.reader(noted(), **dialect), [], None
    for number, row in enumerate(rows):
        raw = "".join(pieces)
        pieces.clear()
        if header is None:
            header = [cell.removeprefix("\ufeff") for cell in row]
        try:
            left = _row(row, header, subject, number == 0)
        except Gone:
            continue
        if left is row:
            kept.append(raw)
        else:
            line = io.StringIO(newline="")
            csv.writer(line, lineterminator="\r\n" if raw.endswith("\r\n") else "\n", **dialect).writerow(left)
            kept.append(line.getvalue())
    left_text = "".join(kept) + "".join(pieces)
    return text if left_text == text else left_text


def _row(row: list[str], header: list[str], subject: Subject, is_header: bool) -> list[str]:
    if any(map(subject.named_by, row)):
        raise Gone
    if is_header:
        return row
    record = dict(zip(header, row, strict=False))
    platform = records.platform_of(record)
    left = list(row)
    for place, (name, cell) in enumerate(zip(header, row, strict=False)):
        held = records.field_of(name)
        if records.names_record(subject, name, cell, held, platform):
            raise Gone
        left[place] = records.caption(cell, subject) if held is Field.CAPTION else subject.cut_from(cell)
    return row if left == row else left


def _delimiter(text: str) -> str:
    first = text[: text.find("\n")] if "\n" in text else text
    return max(",;\t", key=first.count)


def _lines(text: str, subject: Subject) -> str:
    left = "".join(_line(line, subject) for line in _split(text))
    return text if left == text else left


def _line(line: str, subject: Subject) -> str:
    """A line of plain text goes where a content, a link or a full id stands in it."""
    return line if subject.cut_from(line.removeprefix("\ufeff")) == line.removeprefix("\ufeff") else ""


def _page(text: str, subject: Subject) -> str:
    """A page can be made again: it goes as a whole."""
    if subject.cut_from(text) is not text or any(map(subject.named_by, re.split(r"[<>\"']", text))):
        raise Gone
    return text
