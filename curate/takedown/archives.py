"""Packed files: gz, xz, bz2 and zip archives, bounded in what they may become."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

Cleaned = bytes | None  # what is left of a file; None: nothing
LARGEST = 1 << 30  # bytes of a packed file's content
PACKED: dict[str, tuple[Callable[..., Any], Callable[[bytes], bytes]]] = {
    ".gz": (gzip.open, lambda content: gzip.compress(content, mtime=0)),
    ".xz": (lzma.open, lzma.compress),
    ".bz2": (bz2.open, bz2.compress),
}


class NotRead(Exception):
    """A file that cannot be searched: damaged, too large, or in a format that is not followed."""


def unpacked(suffix: str, content: bytes) -> bytes:
    """What a gz, xz or bz2 file holds. Raises NotRead."""
    try:
        with PACKED[suffix][0](io.BytesIO(content), "rb") as file:
            plain = file.read(LARGEST + 1)
    except Exception as error:  # each module raises kinds of its own, and zlib's
        raise NotRead from error
    if len(plain) > LARGEST:
        raise NotRead
    return plain


def members(content: bytes) -> Iterator[tuple[zipfile.ZipInfo, bytes]]:
    """The members of a zip archive, unpacked. Raises NotRead where it is damaged or unpacks to more than LARGEST."""
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for facts in archive.infolist():
                total += facts.file_size
                if total > LARGEST:
                    raise NotRead
                yield facts, archive.read(facts)
    except NotRead:
        raise
    except Exception as error:  # zipfile and the modules that unpack raise a dozen kinds
        raise NotRead from error


def zipped(entries: list[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    """An archive of these members, with the names, dates and compression that they had."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for facts, content in entries:
            archive.writestr(facts, content)
    return target.getvalue()
