"""Which of many binary words lie within some bits of a word and agree with it in a whole group of 16 bits?

A flat scan of the Q hashes of one clip costs Q plain scans of the array's bytes. So agreement in one group is asked for
first: every group has a table of where each of its 65,536 values stands, and only those places are looked at. The
answer is that of a flat scan with the same two conditions (a test holds this), and that of faiss's
IndexBinaryMultiHash, which is used where asked for. Both conditions hold or do not for two words alone, so nothing
found depends on what else is there.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from plusmv.core.errors import Missing

VALUES = 1 << 16
BATCH = 1 << 21  # places looked at at a time
Engine = Literal["numpy", "faiss"]


@dataclass(frozen=True)
class Hits:
    """Pairs of a query's row and a place in the array, sorted by both, each once."""

    queries: np.ndarray
    places: np.ndarray


@dataclass(frozen=True)
class Tables:
    """Where in an array of uint64 each value of each 16-bit group stands. Words of zeros are no hashes: left out.

    order: (groups, N) uint32 places, in units of `width` words; starts: (groups, 65537) int64 into order.
    """

    width: int  # uint64s to a hash: 4 of PDQ's 256 bits, 1 of a keypoint's 64
    order: np.ndarray
    starts: np.ndarray

    @classmethod
    def build(cls, hashes: np.ndarray, places: np.ndarray) -> "Tables":
        """hashes (N, width) uint64 and the places (N,) uint32 where they stand."""
        present = hashes.any(axis=1)
        hashes, places = hashes[present], places[present]
        groups = _groups(hashes)
        order = np.empty((groups.shape[1], len(places)), np.uint32)
        starts = np.zeros((groups.shape[1], VALUES + 1), np.int64)
        for number in range(groups.shape[1]):
            keys = np.ascontiguousarray(groups[:, number])
            order[number] = places[np.argsort(keys, kind="stable")]
            np.cumsum(np.bincount(keys, minlength=VALUES), out=starts[number, 1:])
        return cls(hashes.shape[1], order, starts)

    def search(self, array: np.ndarray, queries: np.ndarray, most_bits: int) -> Hits:
        """Every place of the array (any, width) whose hash has one group of a query's (Q, width) and is that near."""
        found: list[tuple[np.ndarray, np.ndarray]] = []
        present = np.flatnonzero(queries.any(axis=1))
        groups = _groups(queries)
        for number in range(groups.shape[1]):
            keys = groups[present, number].astype(int)
            first, count = self.starts[number, keys], np.diff(self.starts[number])[keys]
            for part in _cuts(count):
                found.append(self._look(array, queries, number, present[part], first[part], count[part], most_bits))
        rows, places = (np.concatenate(columns) for columns in zip(*found, strict=True)) if found else _none()
        sorted_ = np.lexsort((places, rows))
        return Hits(rows[sorted_], places[sorted_])

    def _look(self, array, queries, number, rows, first, count, most_bits) -> tuple[np.ndarray, np.ndarray]:
        """(query rows, places) near, of those that agree in this group and in none before, so that each comes once."""
        row = np.repeat(rows, count)
        within = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        place = self.order[number][np.repeat(first, count) + within].astype(np.int64)
        differing = array[place] ^ queries[row]
        near = np.bitwise_count(differing).sum(axis=1, dtype=np.uint16) <= most_bits
        row, place, differing = row[near], place[near], differing[near]
        new = (_groups(differing) == 0).argmax(axis=1) == number
        return row[new], place[new]


def _groups(hashes: np.ndarray) -> np.ndarray:
    """(N, 4 * width) uint16."""
    return np.ascontiguousarray(hashes).view(np.uint16)


def _cuts(count: np.ndarray) -> list[slice]:
    """Cuts rows so that at most BATCH places are looked at together, or one row alone."""
    total, cuts, start = np.cumsum(count), [], 0
    while start < len(count):
        before = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, before + BATCH, side="right")), start + 1)
        cuts.append(slice(start, stop))
        start = stop
    return cuts


def _none() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(0, int), np.zeros(0, np.int64)


def search_with_faiss(hashes: np.ndarray, places: np.ndarray, queries: np.ndarray, most_bits: int) -> Hits:
    """What Tables.build(hashes, places).search(array, queries, ...) finds, by faiss. Raises Missing without it."""
    try:
        import faiss
    except ImportError as error:
        raise Missing("faiss is not installed: pip install faiss-cpu, or leave --engine at numpy") from error
    present, searched = hashes.any(axis=1), np.flatnonzero(queries.any(axis=1))
    hashes, places = np.ascontiguousarray(hashes[present]), places[present]
    index = faiss.IndexBinaryMultiHash(64 * hashes.shape[1], 4 * hashes.shape[1], 16)
    if not (len(hashes) and len(searched)):
        return Hits(*_none())
    index.add(hashes.view(np.uint8).reshape(len(hashes), -1))
    own = np.ascontiguousarray(queries[searched])
    limits, _, rows = index.range_search(own.view(np.uint8).reshape(len(own), -1), most_bits + 1)  # nearer than
    row, place = np.repeat(searched, np.diff(limits).astype(np.int64)), places[rows].astype(np.int64)
    sorted_ = np.lexsort((place, row))
    return Hits(row[sorted_], place[sorted_])
