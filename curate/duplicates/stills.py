"""Still pictures that two clips have in common: an end card, a title, a logo between two scenes.

Nothing moves there, so motion cannot say that they are the same. A fixed camera's pictures are still now and then, too:
what is meant here is set off by a cut from all else that the clip shows, in both clips. Arrays in, plain values out.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from plusmv.curate.duplicates.fingerprint import HASH_FPS, LUMA_FPS, Fingerprint
from plusmv.curate.duplicates.limits import SHORTEST_S
from plusmv.curate.duplicates.pdq import hamming

LEAST = round(SHORTEST_S * LUMA_FPS) - 2  # samples; a still of SHORTEST_S may begin and end between two of them
STEP = 3  # luma steps by which a cell of a still may change from one moment to the next: coding makes 1 to 2
DRIFT = 6  # and from the first moment to any other
SAME_BITS = 24  # of PDQ's 256, between the same still coded twice
SAME_CELLS = 6.0  # luma steps, mean over cells
CUT_BITS = 90  # between a still and what is shown before or after it: more than two pictures of one scene
FADE_S = 1.0  # seconds that a still may take to appear or go


@dataclass(frozen=True)
class SharedStill:
    """A still of both clips: for how long (the shorter time of the two), and t_b = t_a + offset_s."""

    seconds: float
    offset_s: float


@dataclass(frozen=True)
class _Still:
    start: int  # samples of luma
    stop: int
    picture: int  # in its middle


def shared(a: Fingerprint, b: Fingerprint) -> SharedStill | None:
    """The still that a and b show the longest, None where there is none."""
    found = None
    for one in _set_off(a):
        for other in _set_off(b):
            seconds = min(one.stop - one.start, other.stop - other.start) / LUMA_FPS
            if (found is None or seconds > found.seconds) and _same(a, one, b, other):
                found = SharedStill(seconds, (other.start - one.start) / LUMA_FPS)
    return found


def _same(a: Fingerprint, one: _Still, b: Fingerprint, other: _Still) -> bool:
    bits = hamming(a.hashes[one.picture, None], b.hashes[other.picture, None])[0, 0]
    cells = a.luma[one.start].astype(float) - b.luma[other.start]
    return bool(bits <= SAME_BITS and np.abs(cells).mean() <= SAME_CELLS)


def _set_off(clip: Fingerprint) -> Iterator[_Still]:
    """The stills that mean something and are set off from something else that the clip shows."""
    for still in _stills(clip.luma):
        before = math.floor((still.start / LUMA_FPS - FADE_S) * HASH_FPS)
        after = math.ceil((still.stop / LUMA_FPS + FADE_S) * HASH_FPS)
        around = [n for n in (before, after) if 0 <= n < len(clip.hashes)]
        apart = hamming(clip.hashes[around], clip.hashes[still.picture, None])[:, 0] > CUT_BITS
        if clip.usable[still.picture] and len(around) and apart.all():
            yield still


def _stills(luma: np.ndarray) -> Iterator[_Still]:
    """When nothing changes for long enough."""
    values = luma.astype(np.int16)
    steps = np.abs(np.diff(values, axis=0)).max(axis=(1, 2), initial=0)
    edges = np.flatnonzero(np.concatenate([[True], steps > STEP, [True]]))
    for start, stop in itertools.pairwise(edges.tolist()):
        drift = np.abs(values[start:stop] - values[start]).max(initial=0)
        if stop - start >= LEAST and drift <= DRIFT:
            yield _Still(start, stop, (start + stop) // 2 * HASH_FPS // LUMA_FPS)
