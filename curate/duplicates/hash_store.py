"""hashes.bin: the hashes of all clips in one memory-mapped array beside the catalog, and tables to search it by.

The catalog is the truth, this is made from it: one record for each fingerprint, in the order of their rows. What is new
is appended; where the file is missing, cut short, of another version or not what the catalog says, it is made anew, and
that is said. hashes.tables holds duplicates.hamming_search's tables of most of it; the rest gets its tables in memory.

A record is uint64s: clip id, pictures with PDQ, pictures with keypoints, 0, then 4 to a PDQ hash and 24 to a picture's
keypoints. Zeros stand where a picture has none.
"""

import hashlib
import itertools
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plusmv.core.workspace import atomic_path, remove_stale_parts
from plusmv.curate.duplicates.fingerprint import VERSION, Fingerprint
from plusmv.curate.duplicates.hamming_search import VALUES, Tables

MAGIC = 0x5048_5341_4852_4150
OF_VERSION = int.from_bytes(hashlib.sha256(VERSION.encode()).digest()[:8], "little")
HEADER = 16  # uint64s: magic, version, records, words, ledger (4), nonce
LEADING = 4  # uint64s before a record's hashes
PDQ_WORDS = 4
POINTS = 24  # keypoints of a picture that stand in the array, spread over it
EVERY = 2  # of the pictures, so one a second
STALE = 8  # the tables on disk are made anew when more than 1/8 of the array is not in them
LEAST_TABLED = 1 << 20  # uint64s; tables of fewer are made in memory each time, in less than a second

Row = tuple[int, str, int]  # what the catalog says: a fingerprint's row id, its clip's sha256, its clip's id


def record_of(clip_id: int, fingerprint: Fingerprint) -> np.ndarray:
    """The uint64s of one clip."""
    pdq = np.ascontiguousarray(fingerprint.hashes * fingerprint.usable[:, None]).view(np.uint64)
    starts = np.cumsum(fingerprint.counts, dtype=int) - fingerprint.counts
    points = np.zeros((len(fingerprint.counts[::EVERY]), POINTS), np.uint64)
    for row, picture in enumerate(range(0, len(fingerprint.counts), EVERY)):
        if fingerprint.usable[picture]:
            count = min(int(fingerprint.counts[picture]), POINTS)
            points[row, :count] = fingerprint.words[starts[picture] : starts[picture] + count]
    return pack(clip_id, pdq, points)


def pack(clip_id: int, pdq: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A record of PDQ hashes (N, 4) and keypoints (M, 24), both uint64."""
    leading = np.array([clip_id, len(pdq), len(points), 0]).astype(np.uint64)
    return np.concatenate([leading, pdq.reshape(-1), points.reshape(-1)])


@dataclass(frozen=True)
class Part:
    """Consecutive records of the array and their tables. starts: (n,) int64, the uint64 at which each record begins."""

    starts: np.ndarray
    pdq: Tables
    points: Tables


@dataclass(frozen=True)
class HashArray:
    """The open array, mapped from its file."""

    words: np.ndarray  # uint64, header included
    parts: tuple[Part, ...]

    def pdq_of(self, start: int) -> np.ndarray:
        """(N, 4) uint64 of the record that begins there."""
        first = start + LEADING
        return self.words[first : first + PDQ_WORDS * int(self.words[start + 1])].reshape(-1, PDQ_WORDS)

    def points_of(self, start: int) -> np.ndarray:
        """(M * 24, 1) uint64 of the record that begins there."""
        first = start + LEADING + PDQ_WORDS * int(self.words[start + 1])
        return self.words[first : first + POINTS * int(self.words[start + 2])].reshape(-1, 1)

    def starts(self) -> np.ndarray:
        """Of all records, in the order of the file."""
        return np.concatenate([np.zeros(0, np.int64), *(part.starts for part in self.parts)])


def open_array(
    path: Path,
    rows: Callable[[], Iterable[Row]],
    load: Callable[[int], Fingerprint],
    say: Callable[[str], None] = lambda message: None,
) -> HashArray:
    """The array of exactly the catalog's rows, in their order, brought up to date or made first.

    rows: reads them from the start. load: the fingerprint of a row id. The caller holds the folder's lock since before
    it read the catalog (core.locks.one_change): so no other process writes, and no takedown comes in between.
    """
    for file in (path, path.with_suffix(".tables")):
        remove_stale_parts(file)
    wrong = _append_new(path, rows(), load)
    if wrong is not None:
        if path.exists():
            say(f"{path} {wrong}: rebuilt from the catalog")
        write_array(path, ())
        _append_new(path, rows(), load)
    return mapped(path)


def write_array(path: Path, records: Iterable[np.ndarray], ledger: bytes = hashlib.sha256().digest()) -> None:
    """Write a whole array, by rename."""
    with atomic_path(path) as part, open(part, "wb") as file:
        header = np.zeros(HEADER, np.uint64)
        header[:2] = MAGIC, OF_VERSION
        header[8] = secrets.randbits(63)
        file.write(header.tobytes())
        _write_records(file, header, records, ledger)


def mapped(path: Path) -> HashArray:
    """Map an array that is whole, with its tables; those on disk are made anew where they lack too much."""
    words = np.memmap(path, np.uint64, "r").view(np.ndarray)  # plain slices of it are a tenth of the time
    words = words[: int(words[3])]
    tables = path.with_suffix(".tables")
    covered = _read_tables(tables, words)
    end = _end(words, covered)
    if len(words) - end > max(len(words) // STALE, LEAST_TABLED):
        covered, end = _build(words, HEADER), len(words)
        _write_tables(tables, words, covered)
    rest = [_build(words, end)] if end < len(words) else []
    return HashArray(words, tuple([covered, *rest] if covered is not None else rest))


def _append_new(path: Path, rows: Iterable[Row], load: Callable[[int], Fingerprint]) -> str | None:
    """Append the rows that follow those in the file; returns what is wrong with the file where that cannot be done."""
    header = _header(path)
    if isinstance(header, str):
        return header
    rows, ledger = iter(rows), hashlib.sha256()
    for row in itertools.islice(rows, int(header[2])):
        _enter(ledger, row)
    if ledger.digest() != header[4:8].tobytes():
        return "is older than the catalog, or another catalog's"

    def records() -> Iterator[np.ndarray]:
        for row in rows:
            _enter(ledger, row)
            yield record_of(row[2], load(row[0]))

    with open(path, "r+b") as file:
        file.truncate(8 * int(header[3]))  # what a killed process had begun to append
        file.seek(0, os.SEEK_END)
        _write_records(file, header, records(), ledger)
    return None


def _write_records(file, header: np.ndarray, records: Iterable[np.ndarray], ledger) -> None:
    """Append records, and only when they are on disk the header that counts them."""
    count, words = int(header[2]), file.tell() // 8
    for record in records:
        file.write(record.tobytes())
        count, words = count + 1, words + len(record)
    file.flush()
    os.fsync(file.fileno())
    header[2:4] = count, words
    header[4:8] = np.frombuffer(ledger if isinstance(ledger, bytes) else ledger.digest(), np.uint64)
    file.seek(0)
    file.write(header.tobytes())
    file.flush()
    os.fsync(file.fileno())


def _header(path: Path) -> np.ndarray | str:
    """The header, or what is wrong with the file."""
    if not path.is_file():
        return "is missing"
    header = np.fromfile(path, np.uint64, HEADER)
    if len(header) < HEADER or header[0] != MAGIC:
        return "is cut short or not a hash array"
    if header[1] != OF_VERSION:
        return "is of another version of the algorithm"
    if path.stat().st_size < 8 * int(header[3]):
        return "is cut short"
    return header


def _enter(ledger, row: Row) -> None:
    ledger.update(b"%d %s %d\n" % (row[0], row[1].encode(), row[2]))


def _build(words: np.ndarray, begin: int) -> Part:
    """The tables of all records from uint64 number `begin` on."""
    starts, pdq, points = [], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    while begin < len(words):
        hashes, pictures = int(words[begin + 1]), int(words[begin + 2])
        first = begin + LEADING
        starts.append(begin)
        pdq.append(np.arange(first // PDQ_WORDS, first // PDQ_WORDS + hashes))
        first += PDQ_WORDS * hashes
        points.append(np.arange(first, first + POINTS * pictures))
        begin = first + POINTS * pictures
    places = np.concatenate(pdq).astype(np.uint32), np.concatenate(points).astype(np.uint32)
    return Part(
        np.array(starts, np.int64),
        Tables.build(words.reshape(-1, PDQ_WORDS)[places[0]], places[0]),
        Tables.build(words.reshape(-1, 1)[places[1]], places[1]),
    )


def _end(words: np.ndarray, part: Part | None) -> int:
    """The uint64 after a part's last record."""
    if part is None or not len(part.starts):
        return HEADER
    last = int(part.starts[-1])
    return last + LEADING + PDQ_WORDS * int(words[last + 1]) + POINTS * int(words[last + 2])


def _write_tables(path: Path, words: np.ndarray, part: Part) -> None:
    sizes = [len(part.starts), part.pdq.order.shape[1], part.points.order.shape[1]]
    header = np.array([MAGIC, words[8], _end(words, part), *sizes], np.uint64)
    arrays = (part.starts, part.pdq.starts, part.points.starts, part.pdq.order, part.points.order)
    with atomic_path(path) as partial, open(partial, "wb") as file:
        file.write(header.tobytes())
        for array in arrays:
            file.write(np.ascontiguousarray(array).data)


def _read_tables(path: Path, words: np.ndarray) -> Part | None:
    """The tables on disk, None where there are none or they are not this array's."""
    if not path.is_file() or path.stat().st_size < 6 * 8:
        return None
    magic, nonce, end, records, hashes, points = np.fromfile(path, np.uint64, 6).tolist()
    if magic != MAGIC or nonce != int(words[8]) or end > len(words):
        return None
    of_pdq, of_points = 4 * PDQ_WORDS, 4
    shapes = [((records,), np.int64), ((of_pdq, VALUES + 1), np.int64), ((of_points, VALUES + 1), np.int64),
              ((of_pdq, hashes), np.uint32), ((of_points, points), np.uint32)]  # fmt: skip
    if path.stat().st_size != 6 * 8 + sum(int(np.prod(shape)) * np.dtype(kind).itemsize for shape, kind in shapes):
        return None
    arrays, at = [], 6 * 8
    for shape, kind in shapes:
        size = int(np.prod(shape))
        arrays.append(np.memmap(path, kind, "r", at, shape) if size else np.zeros(shape, kind))
        at += size * np.dtype(kind).itemsize
    starts, pdq_starts, point_starts, pdq_order, point_order = arrays
    return Part(starts, Tables(PDQ_WORDS, pdq_order, pdq_starts), Tables(1, point_order, point_starts))
