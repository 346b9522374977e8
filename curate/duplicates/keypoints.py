"""Keypoints: where a small part of one picture stands in another, so that crops, overlays and bars can be undone.

Corners are those of ORB's detector (Rublee et al., ICCV 2011). Their descriptor is ours: the signs of the 63 lowest
frequencies of an upright 16 x 16 patch's DCT. People who repost clips mirror, crop and frame them and turn them by
quarters at most, so upright is more telling than ORB's turned one; a turned or mirrored picture's descriptor is the
same 64 bits in another order (duplicates.orientation), so that nothing is computed twice; and 64 bits match as well as
ORB's 256 (LOG.md).
"""

from dataclasses import dataclass

import cv2
import numpy as np

COUNT = 120  # keypoints of a picture, the strongest
FIELDS = 5  # a side of the grid over which the first of them are spread
PATCH = 16  # samples a side
WAVES = 8  # frequencies 0 to 7 each way; the constant one says nothing
NEAR = 14  # of 63 bits, between the two sides of a match
REACH = 3.0  # pixels by which an inlier may lie off, in a picture of 160
SCALES = (0.2, 5.0)  # of one picture to another; beyond it is chance, not a copy

_waves = np.cos(np.pi / (2 * PATCH) * np.arange(WAVES)[:, None] * (2 * np.arange(PATCH)[None, :] + 1))
_waves = _waves.astype(np.float32)  # (8, 16)
_blocks = np.arange(WAVES * WAVES).reshape(2, 4, 2, 4).transpose(0, 2, 1, 3).reshape(-1)  # 16 neighbours to a group
BIT_OF_FREQUENCY = np.argsort(_blocks).reshape(WAVES, WAVES)  # which bit of a hash is which frequency, down and across


def _packed(signs: np.ndarray) -> np.ndarray:
    """(N, 64) 0 or 1 -> (N,) uint64, blocks of 4 x 4 frequencies beside each other."""
    return np.ascontiguousarray(np.packbits(signs[:, _blocks], axis=1)).view(np.uint64)[:, 0]


@dataclass(frozen=True)
class Keypoints:
    """Of one picture: places (K, 2) float32, x and y in pixels, and hashes (K,) uint64, in the order of _spread."""

    places: np.ndarray
    hashes: np.ndarray


def detector() -> cv2.ORB:
    """ORB's corners on a pyramid of 7; low thresholds, because a blurred copy has only weak ones."""
    return cv2.ORB.create(COUNT, scaleFactor=1.25, nlevels=7, edgeThreshold=8, fastThreshold=8)


def find_keypoints(picture: np.ndarray, corners: cv2.ORB) -> Keypoints:
    """Keypoints of a luma picture (H, W) uint8."""
    found = sorted(corners.detect(picture, None), key=lambda point: -point.response)
    if not found:
        return Keypoints(np.zeros((0, 2), np.float32), np.zeros(0, np.uint64))
    places = np.array([point.pt for point in found], np.float32)
    sizes = np.array([point.size for point in found], np.float32)
    spread = _spread(places, picture.shape)
    return Keypoints(places[spread], _hashes(picture, places[spread], sizes[spread]))


def _spread(places: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An order: the strongest of each of 5 x 5 fields, then the second of each, ...; else a caption's letters lead."""
    across, down = (places / np.array(shape[::-1], np.float32) * FIELDS).astype(int).T
    field = down * FIELDS + across
    grouped = np.argsort(field, kind="stable")
    first = np.searchsorted(field[grouped], np.arange(FIELDS * FIELDS))
    rank = np.empty(len(places), int)
    rank[grouped] = np.arange(len(places)) - first[field[grouped]]
    return np.argsort(rank, kind="stable")


def _hashes(picture: np.ndarray, places: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    soft = cv2.GaussianBlur(picture, (0, 0), 1.0)
    steps = (np.arange(PATCH, dtype=np.float32) - (PATCH - 1) / 2) / PATCH
    across = places[:, 0, None] + sizes[:, None] * steps  # (K, 16)
    down = places[:, 1, None] + sizes[:, None] * steps
    shape = (len(places), PATCH, PATCH)
    x = np.broadcast_to(across[:, None, :], shape).reshape(-1, PATCH)
    y = np.broadcast_to(down[:, :, None], shape).reshape(-1, PATCH)
    patches = cv2.remap(soft, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).reshape(shape)
    spectrum = (_waves @ patches.astype(np.float32) @ _waves.T).reshape(len(places), -1)
    spectrum[:, 0] = 0  # brightness
    return _packed((spectrum > 0).astype(np.uint8))


@dataclass(frozen=True)
class Placing:
    """Picture a in picture b: x_b = scale * x_a + shift, both (2,), pixels; inliers: the keypoints that agree."""

    scale: np.ndarray
    shift: np.ndarray
    inliers: int


def match(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rows (index in a, index in b) of hashes that are each other's nearest and near: (M, 2) int."""
    if not (len(a) and len(b)):
        return np.zeros((0, 2), int)
    distance = np.bitwise_count(a[:, None] ^ b[None, :])
    nearest = distance.argmin(1)
    own = np.arange(len(a))
    good = (distance[own, nearest] <= NEAR) & (distance.argmin(0)[nearest] == own)
    return np.stack([own[good], nearest[good]], axis=1)


def place(a: Keypoints, b: Keypoints) -> Placing | None:
    """How picture a lies in picture b, None where fewer than four keypoints agree on it.

    RANSAC of a similarity (cv2, seeded by itself: the same twice), then least squares of scale and shift of each axis
    on its inliers, as some sites stretch pictures.
    """
    pairs = match(a.hashes, b.hashes)
    if len(pairs) < 4:
        return None
    from_a, to_b = a.places[pairs[:, 0]], b.places[pairs[:, 1]]
    model, agreeing = cv2.estimateAffinePartial2D(
        from_a, to_b, method=cv2.RANSAC, ransacReprojThreshold=REACH, maxIters=400, confidence=0.995
    )
    if model is None or agreeing.sum() < 4 or abs(model[0, 1]) > 0.1 * abs(model[0, 0]):
        return None  # turned pictures are chance
    inside = agreeing[:, 0] > 0
    x, y = from_a[inside].astype(float), to_b[inside].astype(float)
    centred = x - x.mean(0)
    spread = (centred**2).sum(0)
    scale = np.where(
        spread > 100.0, (centred * (y - y.mean(0))).sum(0) / np.maximum(spread, 1e-9), np.full(2, model[0, 0])
    )
    if (scale < SCALES[0]).any() or (scale > SCALES[1]).any() or not 0.5 < scale[0] / scale[1] < 2:
        return None
    return Placing(scale, y.mean(0) - scale * x.mean(0), int(inside.sum()))
