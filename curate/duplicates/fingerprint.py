"""Fingerprints: what a clip's duplicates are found by, from one decode pass.

Borders, letterbox and blurred bars are cut off. Twice a second the picture gives a PDQ hash (what it shows) and
keypoints (what its parts show, for crops and overlays), eight times a second a 24 x 24 luma picture (how it moves).
Arrays in, arrays out: the catalog is curate.duplicates.detect' part.
"""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import safetensors.numpy

from plusmv.curate.duplicates.content_box import Box, content_box
from plusmv.curate.duplicates.keypoints import Keypoints, detector, find_keypoints
from plusmv.curate.duplicates.pdq import SIDE, pdq
from plusmv.features.decode import DEFAULT_LIMITS, DecodeLimits, sample_raw, upright_luma, upright_rgb

VERSION = "pdq2-keypoints2-luma8-4"  # a new one wherever a fingerprint or what is concluded from two of them changes
HASH_FPS = 2  # pictures that are hashed and searched for keypoints
LUMA_FPS = 8  # pictures whose changes are compared: at 4 a copy out of step with its original loses a tenth
CELLS = 24  # a side of the low-resolution luma
DECODED_SIDE = 240  # pixels at least of the shorter side of what all is computed from, where there are as many
SHORT_SIDE = 160  # pixels of the picture in which keypoints are searched
LONG_SIDE = 480
LONGEST = 4096  # pixels of a ribbon that are looked at, so that it cannot fill the memory
BATCH = 64 * LUMA_FPS  # frames in memory at a time; the first batch decides what is border
FEATURELESS = 6  # standard deviation of luma below which a picture shows nothing
LEAST_QUALITY = 5  # of PDQ's 100; pictures below have too few edges for their hash to mean anything
PLACES = 64  # steps to a pixel in which keypoints' places are kept


@dataclass(frozen=True)
class Fingerprint:
    """One clip: what it shows at 2 fps and how it moves at 8 fps, borders cut off."""

    hashes: np.ndarray  # (N, 32) uint8 PDQ, picture n at n/2 s
    usable: np.ndarray  # (N,) uint8, 1 where the hash means something; static colour and black do not
    counts: np.ndarray  # (N,) uint16 keypoints of each picture
    places: np.ndarray  # (K, 2) uint16, x and y in 1/64 pixel
    words: np.ndarray  # (K,) uint64, the keypoints' hashes
    size: np.ndarray  # (2,) uint16, width and height of the pictures with keypoints
    box: np.ndarray  # (4,) float32, left, top, right, bottom of what is not border, as shares of the frame
    luma: np.ndarray  # (M, 24, 24) uint8, frame m at m/8 s
    digest: np.ndarray  # (32,) uint8 sha256 of the decoded luma: equal where only the container differs

    @property
    def seconds(self) -> float:
        """What the clip lasts as sampled: the last sample is shown for one step."""
        return len(self.luma) / LUMA_FPS

    def keypoints(self, picture: int) -> Keypoints:
        """Those of one of the N pictures."""
        start = int(self.counts[:picture].sum(dtype=int))
        part = slice(start, start + int(self.counts[picture]))
        return Keypoints(self.places[part].astype(np.float32) / PLACES, self.words[part])

    def check(self) -> None:
        """Raises ValueError where the arrays of a file from the outside do not fit each other."""
        pictures, points = len(self.hashes), len(self.words)
        shapes = {"hashes": (pictures, 32), "usable": (pictures,), "counts": (pictures,), "places": (points, 2),
                  "size": (2,), "box": (4,), "luma": (len(self.luma), CELLS, CELLS), "digest": (32,)}  # fmt: skip
        kinds = {"counts": "uint16", "places": "uint16", "words": "uint64", "size": "uint16", "box": "float32"}
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != kinds.get(name, "uint8"):
                raise ValueError(f"a fingerprint's {name} are {array.dtype} of shape {array.shape}")
        if self.words.dtype != "uint64" or self.counts.sum(dtype=int) != points or not pictures or not self.size.all():
            raise ValueError("a fingerprint's keypoints do not fit its pictures")

    def to_bytes(self) -> bytes:
        """Little-endian, with names and shapes (safetensors)."""
        return safetensors.numpy.save(asdict(self))

    @classmethod
    def from_bytes(cls, packed: bytes) -> "Fingerprint":
        return cls(**safetensors.numpy.load(packed))


def fingerprint_video(path: Path, limits: DecodeLimits = DEFAULT_LIMITS) -> Fingerprint:
    """Fingerprint a video file. Raises BadInput with the reason where it cannot be decoded."""
    frames = sample_raw(path, LUMA_FPS, limits)
    first = next(frames)
    return fingerprint_luma(_luma(itertools.chain([first], frames)), upright_rgb(first, DECODED_SIDE))


def _luma(frames: Iterator[av.VideoFrame]) -> Iterator[np.ndarray]:
    """Luma of one size, that of the first; a frame that stays is looked at once."""
    shown: av.VideoFrame | None = None
    size: tuple[int, ...] | None = None
    for frame in frames:
        if frame is not shown:
            shown, picture = frame, upright_luma(frame, DECODED_SIDE)
            picture = picture[:, :LONGEST] if picture.shape[1] > LONGEST else picture[:LONGEST]
            size = size or picture.shape
            if picture.shape != size:
                picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
        yield picture


def fingerprint_luma(frames: Iterator[np.ndarray], colour: np.ndarray) -> Fingerprint:
    """Fingerprint luma pictures (H, W) uint8 at 8 fps; colour (H', W', 3): the first one in RGB.

    They come in batches, so that memory does not grow with the video.
    """
    digest, box, corners = hashlib.sha256(), None, detector()
    columns: list[list[np.ndarray]] = [[] for _ in range(6)]
    size: np.ndarray = np.zeros(2, np.uint16)  # of the content
    edges: np.ndarray = np.zeros(4)  # of its box, as shares of the picture
    while batch := list(itertools.islice(frames, BATCH)):
        luma = np.stack(batch)  # (N, H, W)
        digest.update(luma.tobytes())
        if box is None:
            height, width = luma.shape[1:]
            box = content_box(luma, cv2.resize(colour, (width, height), interpolation=cv2.INTER_AREA))
            edges = np.array([box[1].start, box[0].start, box[1].stop, box[0].stop]) / [width, height, width, height]
            size = np.array(_picture_size(box), np.uint16)
        content = luma[:, box[0], box[1]]
        for column, values in zip(columns, _of_batch(content, size.tolist(), corners), strict=True):
            column.append(values)
    hashes, usable, counts, places, words, cells = (np.concatenate(parts) for parts in columns)
    shown = np.frombuffer(digest.digest(), np.uint8)
    return Fingerprint(hashes, usable, counts, places, words, size, edges.astype(np.float32), cells, shown)


def _picture_size(box: Box) -> tuple[int, int]:
    """(width, height) with 160 pixels on the shorter side; a ribbon gets less."""
    sides = np.array([box[1].stop - box[1].start, box[0].stop - box[0].start])
    scale = min(SHORT_SIDE / sides.min(), LONG_SIDE / sides.max())
    width, height = np.maximum(np.round(sides * scale), 1).astype(int).tolist()
    return width, height


def _of_batch(content: np.ndarray, size: list[int], corners: cv2.ORB) -> tuple[np.ndarray, ...]:
    """(hashes, usable, counts, places, words, luma) of pictures (N, H, W) without borders."""
    shown = content[:: LUMA_FPS // HASH_FPS]
    hashes, quality = pdq(np.stack([cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in shown]))
    usable = (quality >= LEAST_QUALITY) & (shown.std((1, 2)) >= FEATURELESS)
    larger = size[0] > content.shape[2]
    scaler = cv2.INTER_LINEAR if larger else cv2.INTER_AREA
    found = [find_keypoints(cv2.resize(picture, size, interpolation=scaler), corners) for picture in shown]
    places = np.concatenate([keypoints.places for keypoints in found])
    return (
        hashes,
        usable.astype(np.uint8),
        np.array([len(keypoints.hashes) for keypoints in found], np.uint16),
        np.clip(np.round(places * PLACES), 0, 2**16 - 1).astype(np.uint16),
        np.concatenate([keypoints.hashes for keypoints in found]),
        np.stack([_cells(picture) for picture in content]),
    )


def _cells(picture: np.ndarray) -> np.ndarray:
    """(24, 24); a large picture is halved first, which is faster."""
    if min(picture.shape) >= 4 * CELLS:
        size = (picture.shape[1] // 2, picture.shape[0] // 2)
        picture = cv2.resize(picture[: 2 * size[1], : 2 * size[0]], size, interpolation=cv2.INTER_AREA)
    return cv2.resize(picture, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
