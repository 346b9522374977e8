"""Fingerprints: what a clip's duplicates are found by, from one decode pass.

Borders and black bars are cut off, then every quarter of a second gives a PDQ hash of the picture and one of its mirror
image (what is shown), and every eighth of a second a 16 x 16 luma picture (how it moves). Arrays in, arrays out: the
catalog is curate.duplicates' part.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import safetensors.numpy

from curate.pdq import pdq
from features.decode import DEFAULT_LIMITS, DecodeLimits, sample_frames

VERSION = "pdq4-luma8-1"  # a new one wherever a fingerprint or what is concluded from two of them changes
HASH_FPS = 4  # at 2 a copy that starts between two samples of a fast scene looks like another picture
LUMA_FPS = 8
CELLS = 16  # a side of the low-resolution luma
SHORT_SIDE = 128  # pixels that hashes are computed from
LONG_SIDE = 512  # at most, so that a picture of one row cannot fill the memory
BATCH = 64 * LUMA_FPS  # frames in memory at a time; the first batch decides what is border
FLAT = 12  # luma steps by which a border's rows may differ, over its length and over time
SAME_COLOUR = 8  # steps of luma, and of red, green and blue, between two opposite borders
LEAST_LEFT = 0.3  # share of a side that trimming must leave; otherwise the picture itself is flat
FEATURELESS = 6  # standard deviation of luma below which a picture shows nothing
LEAST_QUALITY = 5  # of PDQ's 100; pictures below have too few edges for their hash to mean anything


@dataclass(frozen=True)
class Fingerprint:
    """One clip: what it shows at 4 fps and how it moves at 8 fps, borders cut off. All arrays uint8."""

    hashes: np.ndarray  # (N, 32) PDQ, frame n at n/4 s
    mirrored: np.ndarray  # (N, 32) PDQ of the mirror image
    usable: np.ndarray  # (N,) 1 where the hash means something; static colour and black do not
    luma: np.ndarray  # (M, 16, 16), frame m at m/8 s
    digest: np.ndarray  # (32,) sha256 of the decoded luma: equal where only the container differs

    @property
    def seconds(self) -> float:
        """What the clip lasts as sampled: the last sample is shown for one step."""
        return len(self.luma) / LUMA_FPS

    def to_bytes(self) -> bytes:
        """Little-endian, with names and shapes (safetensors)."""
        return safetensors.numpy.save(asdict(self))

    @classmethod
    def from_bytes(cls, packed: bytes) -> "Fingerprint":
        return cls(**safetensors.numpy.load(packed))


def fingerprint_video(path: Path, limits: DecodeLimits = DEFAULT_LIMITS) -> Fingerprint:
    """Fingerprint a video file. Raises BadInput with the reason where it cannot be decoded."""
    digest = hashlib.sha256()
    batches = list(_fingerprint_batches(sample_frames(path, LUMA_FPS, None, limits), digest))
    columns = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return Fingerprint(*columns, np.frombuffer(digest.digest(), np.uint8))


def content_box(luma: np.ndarray, colour: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns within borders and letterbox bars: luma (N, H, W) over time, colour (H, W, 3) of a frame, uint8.

    A border is flat, still, and of one colour on opposite sides. Sky above grass is none, so a clip and its letterboxed
    copy are cut to the same picture.
    """
    low, high = luma.min(0).astype(int), luma.max(0).astype(int)  # (H, W)
    box = [slice(0, low.shape[0]), slice(0, low.shape[1])]
    before = None
    while box != before:
        before = list(box)
        for axis in (0, 1):
            inner = tuple(box)
            start, stop = _inside(low[inner].min(1 - axis), high[inner].max(1 - axis), colour[inner].mean(1 - axis))
            if stop - start >= LEAST_LEFT * low.shape[axis]:
                box[axis] = slice(box[axis].start + start, box[axis].start + stop)
    return box[0], box[1]


def _inside(low: np.ndarray, high: np.ndarray, colour: np.ndarray) -> tuple[int, int]:
    """What lies between borders of one colour: darkest and brightest luma (L,) and mean colour (L, 3) of each line."""
    flat = high - low <= FLAT
    if not (flat[0] and flat[-1]) or np.abs(colour[0] - colour[-1]).max() > SAME_COLOUR:
        return 0, len(low)
    middle = (low + high) / 2
    border = flat & (np.abs(middle - (middle[0] + middle[-1]) / 2) <= SAME_COLOUR)
    if border.all():
        return 0, 0
    inside = np.flatnonzero(~border)
    return int(inside[0]) + 1, int(inside[-1])  # the line at an edge is half border


def _small_luma(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    shown = small = None
    for frame in frames:
        if frame is not shown:  # a picture that stays comes as the same array again
            shown, small = frame, _small(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
        yield small


def _small(picture: np.ndarray) -> np.ndarray:
    """The picture with 128 pixels on its shorter side, averaged over areas so that the sizes of one video agree."""
    sides = np.array(picture.shape[1::-1])
    size = np.clip(np.round(sides * SHORT_SIDE / sides.min()).astype(int), 1, LONG_SIDE)
    smaller = (size <= sides).all()
    return cv2.resize(picture, size.tolist(), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _fingerprint_batches(frames: Iterator[np.ndarray], digest) -> Iterator[tuple[np.ndarray, ...]]:
    """(hashes, mirrored, usable, luma) of one batch of frames after the other; memory does not grow with the video."""
    first, box = next(frames), None
    pictures = _small_luma(itertools.chain([first], frames))
    while batch := list(itertools.islice(pictures, BATCH)):
        luma = np.stack(batch)  # (N, H, W)
        digest.update(luma.tobytes())
        box = box or content_box(luma, _small(first))
        content = luma[:, box[0], box[1]]
        shown = content[:: LUMA_FPS // HASH_FPS]
        hashes, quality = pdq(shown)
        usable = (quality >= LEAST_QUALITY) & (shown.std((1, 2)) >= FEATURELESS)
        cells = [cv2.resize(picture, (CELLS, CELLS), interpolation=cv2.INTER_AREA) for picture in content]
        yield hashes, pdq(shown[:, :, ::-1])[0], usable.astype(np.uint8), np.stack(cells)
