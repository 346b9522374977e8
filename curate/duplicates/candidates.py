"""Which pairs of clips may show the same: one picture alike whole, or three of its keypoints at one time offset.

The search only nominates; duplicates.alignment decides. A pair is nominated or not by these two clips alone, the same
whichever of the two is searched for. Clips may have been mirrored and turned: the one that is searched for is turned in
all eight ways (orientation), and only one way is stored.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from plusmv.curate.duplicates.hamming_search import Engine, Hits, search_with_faiss
from plusmv.curate.duplicates.hash_store import LEADING, PDQ_WORDS, POINTS, HashArray
from plusmv.curate.duplicates.orientation import ORIENTATIONS, Orientation

NEAR = 64  # of PDQ's 256 bits; pictures of different real clips differ by 88 and more
NEAR_POINT = 10  # of a keypoint's 63
VOTES = 3  # keypoints of each of the two clips that find each other at one time offset
OFFSET_S = 8  # seconds that are one offset: a speed of 1.25 drifts by as much in half a minute
BATCH = 128  # clips searched for together


@dataclass(frozen=True)
class ClipHashes:
    """The hashes of one clip that is searched for. clip_id: its own, never among the answers."""

    clip_id: int
    pdq: np.ndarray  # (N, 4) uint64
    points: np.ndarray  # (M * 24, 1) uint64


class HashIndex:
    """Searches the array of hashes for the clips that may be copies of given ones."""

    def __init__(self, array: HashArray, engine: Engine = "numpy"):
        self.array, self.engine = array, engine
        self.starts = array.starts()
        self.clip_ids = array.words[self.starts].astype(np.int64) if len(self.starts) else np.zeros(0, np.int64)

    def hashes_of(self, clip_id: int) -> ClipHashes | None:
        """What the array holds of a clip, None where it is not there."""
        found = np.flatnonzero(self.clip_ids == clip_id)
        if not len(found):
            return None
        start = int(self.starts[found[0]])
        return ClipHashes(clip_id, self.array.pdq_of(start), self.array.points_of(start))

    def of_record(self, record: np.ndarray) -> ClipHashes:
        """A clip that is not in the array, by its record."""
        alone = HashArray(record, ())
        return ClipHashes(-1, alone.pdq_of(0), alone.points_of(0))

    def candidates(self, clips: Sequence[ClipHashes]) -> list[set[int]]:
        """For each clip the others that may be its copies."""
        found: list[set[int]] = [set() for _ in clips]
        for way in ORIENTATIONS:
            for asker, clip_id in self._by_pictures(clips, way) + self._by_points(clips, way):
                if clip_id != clips[asker].clip_id:
                    found[asker].add(clip_id)
        return found

    def _by_pictures(self, clips: Sequence[ClipHashes], way: Orientation) -> list[tuple[int, int]]:
        queries, askers, _ = _together([clip.pdq for clip in clips])
        turned = way.of_pdq(queries.view(np.uint8)).view(np.uint64)
        hits = self._hits("pdq", _where_there(queries, turned), NEAR)
        place = PDQ_WORDS * hits.places
        record = np.searchsorted(self.starts, place, side="right") - 1
        return _pairs(askers[hits.queries], self.clip_ids[record])

    def _by_points(self, clips: Sequence[ClipHashes], way: Orientation) -> list[tuple[int, int]]:
        queries, askers, rows = _together([clip.points for clip in clips])
        turned = way.of_words(queries[:, 0])[:, None]
        hits = self._hits("points", _where_there(queries, turned), NEAR_POINT)
        record = np.searchsorted(self.starts, hits.places, side="right") - 1
        start = self.starts[record]
        row = hits.places - start - LEADING - PDQ_WORDS * self.array.words[start + 1].astype(np.int64)
        asker, own = askers[hits.queries], rows[hits.queries]
        kept = self.clip_ids[record] != np.array([clip.clip_id for clip in clips])[asker] if len(asker) else []
        asker, own, record, row = asker[kept], own[kept], record[kept], row[kept]
        pairs = _elected(asker * len(self.starts) + record, row // POINTS - own // POINTS, own, row)
        return _pairs(pairs // len(self.starts), self.clip_ids[pairs % len(self.starts)])

    def _hits(self, kind: str, queries: np.ndarray, most_bits: int) -> Hits:
        """In all parts of the array together."""
        array = self.array.words.reshape(-1, queries.shape[1])
        found = []
        for part in self.array.parts:
            tables = getattr(part, kind)
            if self.engine == "faiss":
                places = np.sort(tables.order[0]).astype(np.int64)
                found.append(search_with_faiss(array[places], places, queries, most_bits))
            else:
                found.append(tables.search(array, queries, most_bits))
        if not found:
            return Hits(np.zeros(0, int), np.zeros(0, np.int64))
        return Hits(np.concatenate([one.queries for one in found]), np.concatenate([one.places for one in found]))


def _where_there(hashes: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """The turned hashes; what is none, all zeros, stays none."""
    return np.where(hashes.any(axis=1, keepdims=True), turned, hashes)


def _together(hashes: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(all rows, which clip each is of, its row within that)."""
    parts = list(hashes)
    lengths = [len(part) for part in parts]
    askers = np.repeat(np.arange(len(parts)), lengths)
    rows = np.arange(sum(lengths)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.concatenate(parts), askers, rows


def _elected(pair: np.ndarray, offset_s: np.ndarray, own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The pairs with VOTES different keypoints of both clips at one offset: all (V,) int, a hit each.

    One offset is OFFSET_S seconds, ends included, and half of each lies in the next: the same seen from either clip.
    """
    if not len(pair):
        return pair
    half = OFFSET_S // 2
    bins = np.stack([np.floor_divide(offset_s, half) + step for step in (0, 1, -1)])
    bins -= bins.min()
    falls = np.stack([offset_s > -np.inf, offset_s > -np.inf, offset_s % half == 0])
    place = (pair * (int(bins.max()) + 1) + bins)[falls]

    def with_votes(row: np.ndarray) -> np.ndarray:
        """The offsets at which VOTES different keypoints of one clip are hit."""
        width = int(row.max()) + 1
        distinct = np.unique(place * width + np.broadcast_to(row, bins.shape)[falls]) // width
        places, counts = np.unique(distinct, return_counts=True)
        return places[counts >= VOTES]

    elected = np.intersect1d(with_votes(own), with_votes(other), assume_unique=True)
    return np.unique(elected // (int(bins.max()) + 1))


def _pairs(askers: np.ndarray, clip_ids: np.ndarray) -> list[tuple[int, int]]:
    return np.unique(np.stack([askers, clip_ids], axis=1), axis=0).tolist() if len(askers) else []
