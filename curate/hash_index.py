"""The hashes of every clip in one array: which other clips show a like picture at any time? A flat scan.

Distances of 256-bit hashes cost about a nanosecond each, so that no search tree is worth its keep up to some hundred
thousand clips.
"""

from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from curate.alignment import NEAR
from curate.fingerprint import VERSION, Fingerprint
from curate.pdq import hamming
from db.models import Clip, FileState
from db.models import Fingerprint as FingerprintRow

DISTANCES = 1 << 18  # hash distances in memory at a time


@dataclass(frozen=True)
class HashIndex:
    """The hashes of all clips in the order of their sha256, for a flat scan."""

    clip_ids: list[int]
    ends: np.ndarray  # (clips + 1,) where each clip's hashes begin, and the last one's end
    hashes: np.ndarray  # (N, 32) uint8, usable ones only
    mirrored: np.ndarray

    @classmethod
    def of_catalog(cls, session: Session) -> "HashIndex":
        rows = (
            select(FingerprintRow.clip_id, FingerprintRow.arrays)
            .join(Clip, Clip.id == FingerprintRow.clip_id)
            .where(FingerprintRow.version == VERSION, FingerprintRow.state == FileState.DONE)
            .order_by(Clip.sha256)
        )
        clip_ids, hashes, mirrored = [], [np.zeros((0, 32), np.uint8)], [np.zeros((0, 32), np.uint8)]
        for clip_id, arrays in session.execute(rows.execution_options(yield_per=256)):
            fingerprint = Fingerprint.from_bytes(arrays)
            clip_ids.append(clip_id)
            hashes.append(fingerprint.hashes[fingerprint.usable > 0])
            mirrored.append(fingerprint.mirrored[fingerprint.usable > 0])
        ends = np.cumsum([len(part) for part in hashes])
        return cls(clip_ids, ends, np.concatenate(hashes), np.concatenate(mirrored))

    def candidates(self, clip_id: int) -> list[tuple[int, int]]:
        """The pairs of this clip with others that show a like picture at any time, first sha256 first.

        Only the first clip of a pair is mirrored, as curate.alignment.compare does: none that it would find is lost.
        """
        if clip_id not in self.clip_ids:
            return []  # taken down meanwhile
        place = self.clip_ids.index(clip_id)
        begin, end = self.ends[place], self.ends[place + 1]
        own, own_mirrored = self.hashes[begin:end], self.mirrored[begin:end]
        before = _near(self.hashes[:begin], own) | _near(self.mirrored[:begin], own)
        after = _near(self.hashes[end:], own) | _near(self.hashes[end:], own_mirrored)
        earlier = self._clips_of(np.flatnonzero(before))
        later = self._clips_of(np.flatnonzero(after) + end)
        return [(other, clip_id) for other in earlier] + [(clip_id, other) for other in later]

    def _clips_of(self, rows: np.ndarray) -> list[int]:
        return [self.clip_ids[place] for place in np.unique(np.searchsorted(self.ends, rows, side="right") - 1)]


def _near(hashes: np.ndarray, query: np.ndarray) -> np.ndarray:
    """(N,) whether any hash of query is near, block by block."""
    near = np.zeros(len(hashes), bool)
    block = max(DISTANCES // max(len(query), 1), 1)
    for first in range(0, len(hashes) if len(query) else 0, block):
        near[first : first + block] = hamming(hashes[first : first + block], query).min(axis=1) <= NEAR
    return near
