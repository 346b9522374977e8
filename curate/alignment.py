"""What one fingerprint is to another: the same pictures, an edited copy, a part, or another moment of the same scene.

Pictures that look alike only nominate a pair. A copy also *moves* alike: the changes of its low-resolution luma over
half a second correlate with the other's at one offset, speed and mirroring. On real clips copies reach .83 to 1.0,
other moments of the same scene .13 in the median and .54 at the 99th percentile (LOG.md). A pair's answer
depends on these two clips alone, never on what else is in the catalog. Arrays in, plain values out.
"""

from dataclasses import dataclass, replace

import numpy as np

from curate.fingerprint import CELLS, LUMA_FPS, Fingerprint
from curate.pdq import BITS, hamming
from db.models import EdgeKind

NEAR = 64  # of 256 bits; frames of different real clips differ by 88 and more
SAME_SCENE = 40  # median bits between the shorter clip's frames and the nearest of the longer one's
LAG = LUMA_FPS // 2  # motion is the change over half a second
SPEEDS = (1.0, 0.8, 0.845, 0.894, 0.945, 1 / 0.945, 1 / 0.894, 1 / 0.845, 1.25)
SPEED_SECONDS = 2.0  # of the shorter clip; on less, one speed fits about as well as another
SPEED_GAIN = 0.02  # correlation by which another speed must beat the first
MOVES = 1.0  # luma steps (root mean square over time and cells) below which a clip stands still
LEAST_OVERLAP = 0.5  # share of the shorter clip that must lie on the longer one
COPY_COVERS = 0.6  # share of the longer clip that a copy covers; what covers less is a part
INSIDE = 0.9  # share of the shorter clip that lies on the longer one in a copy or part
FFT_CELLS = 16  # cells transformed at a time, so that long videos need little memory


@dataclass(frozen=True)
class Alignment:
    """How clip a lies on clip b: t_b = speed * t_a + offset_s, seconds.

    score: correlation of motion; of a same scene 1 - bits / 128, where no alignment was found (offset 0, speed 1).
    """

    kind: EdgeKind
    offset_s: float
    speed: float
    mirror: bool
    score: float

    def inverse(self) -> "Alignment":
        """How b lies on a."""
        return replace(self, offset_s=-self.offset_s / self.speed + 0.0, speed=1 / self.speed)


@dataclass(frozen=True)
class _Motion:
    """The best correlation of motion found, and where: overlap in seconds of b's clock."""

    correlation: float
    offset_s: float
    overlap_s: float
    speed: float
    mirror: bool


def compare(a: Fingerprint, b: Fingerprint) -> Alignment | None:
    """What a is to b, None where they are different. Black and featureless clips are nothing to any other."""
    if not (a.usable.any() and b.usable.any()):
        return None
    if np.array_equal(a.digest, b.digest):
        return Alignment(EdgeKind.EXACT, 0.0, 1.0, False, 1.0)
    distances = {mirror: _distances(a, b, mirror) for mirror in (False, True)}
    mirrors = [mirror for mirror, distance in distances.items() if distance.min() <= NEAR]
    motion = max((_best_motion(a, b, mirror) for mirror in mirrors), key=lambda m: m.correlation, default=None)
    if motion and motion.correlation >= _needed(motion.overlap_s):
        kind = _kind_of_overlap(motion, a.seconds * motion.speed, b.seconds)
        return Alignment(kind, motion.offset_s, motion.speed, motion.mirror, round(motion.correlation, 4))
    bits, mirror = min((_median_of_nearest(distances[mirror]), mirror) for mirror in (False, True))
    if bits <= SAME_SCENE:
        return Alignment(EdgeKind.SAME_SCENE, 0.0, 1.0, mirror, round(1 - 2 * bits / BITS, 4))
    return None


def _distances(a: Fingerprint, b: Fingerprint, mirror: bool) -> np.ndarray:
    """(usable frames of a, usable frames of b) bits."""
    hashes = a.mirrored if mirror else a.hashes
    return hamming(hashes[a.usable > 0], b.hashes[b.usable > 0])


def _median_of_nearest(distances: np.ndarray) -> float:
    """Bits from a frame of the shorter clip to the nearest frame of the other."""
    return float(np.median(distances.min(axis=1 if len(distances) <= distances.shape[1] else 0)))


def _needed(overlap_s: float) -> float:
    """The correlation that makes a copy: chance reaches higher on a short overlap (.84 was seen on 1 s)."""
    return max(0.6, 1.0 - 0.1 * overlap_s)


def _kind_of_overlap(motion: _Motion, a_seconds: float, b_seconds: float) -> EdgeKind:
    """Two clips that share a moment but each have their own beginning or end are for a person to judge."""
    if motion.overlap_s < INSIDE * min(a_seconds, b_seconds):
        return EdgeKind.SAME_SCENE
    return EdgeKind.COPY if motion.overlap_s >= COPY_COVERS * max(a_seconds, b_seconds) else EdgeKind.PART


def _best_motion(a: Fingerprint, b: Fingerprint, mirror: bool) -> _Motion:
    """The offset and speed at which a's motion fits b's best; an overlap of little of the shorter clip counts less."""
    pictures = a.luma[:, :, ::-1] if mirror else a.luma
    motion_b, best, highest = _changes(b.luma.astype(np.float32)), _Motion(-1, 0, 0, 1, mirror), -1.0
    for speed in SPEEDS if min(a.seconds, b.seconds) >= SPEED_SECONDS else SPEEDS[:1]:
        motion_a = _changes(_at_speed(pictures, speed))
        shorter = min(len(motion_a), len(motion_b))
        if shorter <= 0:
            continue
        correlation, offset, overlap = _correlate(motion_a, motion_b, LEAST_OVERLAP * shorter)
        weighted = correlation * np.sqrt(overlap / shorter)
        top = int(weighted.argmax())
        if weighted[top] > highest + SPEED_GAIN:
            highest = weighted[top]
            seconds = (overlap[top] + LAG) / LUMA_FPS
            best = _Motion(float(correlation[top]), float(offset[top]) / LUMA_FPS, float(seconds), speed, mirror)
    return best


def _at_speed(luma: np.ndarray, speed: float) -> np.ndarray:
    """The pictures (M, 16, 16) as they would be sampled if each second lasted `speed` seconds, float32."""
    place = np.arange(int((len(luma) - 1) * speed + 1e-6) + 1) / speed
    before = np.minimum(place.astype(int), len(luma) - 1)
    after = np.minimum(before + 1, len(luma) - 1)
    share = (place - before)[:, None, None].astype(np.float32)
    return luma[before] * (1 - share) + luma[after] * share


def _changes(luma: np.ndarray) -> np.ndarray:
    """(M - 4, 256): how each cell changed over half a second, less the change of the whole picture's brightness."""
    cells = luma.reshape(len(luma), CELLS * CELLS)
    change = cells[LAG:] - cells[:-LAG]
    return change - change.mean(axis=1, keepdims=True)


def _correlate(a: np.ndarray, b: np.ndarray, least_overlap: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correlation of a (n, 256) and b (m, 256) over their overlap at every offset, with (offsets, overlaps) in samples.

    -1 where the overlap is too short or one of the two stands still in it.
    """
    offset = np.arange(1 - len(a), len(b))
    start, stop = np.maximum(0, -offset), np.minimum(len(a), len(b) - offset)
    overlap = stop - start
    energy_a, energy_b = (np.concatenate([[0], np.cumsum((x.astype(float) ** 2).sum(1))]) for x in (a, b))
    power_a = energy_a[stop] - energy_a[start]
    power_b = energy_b[stop + offset] - energy_b[start + offset]
    judged = (overlap >= least_overlap) & (np.minimum(power_a, power_b) >= MOVES**2 * CELLS**2 * overlap)
    products = _products(a, b)[offset]
    correlation = np.full(len(offset), -1.0)
    correlation[judged] = products[judged] / np.sqrt(power_a[judged] * power_b[judged])
    return correlation, offset, overlap


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """sum over t and cells of a[t] * b[t + offset], indexed by offset (negative ones from the end), by FFT."""
    length = 1 << (len(a) + len(b) - 1).bit_length()
    spectrum = np.zeros(length // 2 + 1, complex)
    for first in range(0, CELLS * CELLS, FFT_CELLS):
        cells = slice(first, first + FFT_CELLS)
        waves_a, waves_b = (np.fft.rfft(x[:, cells], length, axis=0) for x in (a, b))
        spectrum += (waves_a.conj() * waves_b).sum(axis=1)
    return np.fft.irfft(spectrum, length)
