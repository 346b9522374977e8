"""PDQ, Meta's public perceptual hash of a picture: 256 bits that survive re-encoding and resizing.

Two passes of a box filter ("Jarosz"), 64 x 64 samples, the 16 x 16 lowest frequencies of a DCT without the constant
ones, one bit for each: above the median or not. Written after the paper "The TMK+PDQF Video-Hashing Algorithm and the
PDQ Image-Hashing Algorithm" (Facebook, 2019) and its reference code, for batches of frames; the package `pdqhash` has
no wheel for every machine and is what the tests compare with.
"""

import cv2
import numpy as np

SIDE = 64  # samples a side that the DCT sees
FREQUENCIES = 16
BITS = FREQUENCIES * FREQUENCIES
PASSES = 2


def pdq(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hash a batch of pictures of one size: luma (N, H, W), 0 to 255.

    Returns hashes (N, 32) uint8, the highest frequency's bit first as `pdqhash` has them, and quality (N,) uint8 from 0
    (no edges at all) to 100.
    """
    if not len(luma):
        return np.zeros((0, BITS // 8), np.uint8), np.zeros(0, np.uint8)
    small = np.stack([_samples(picture) for picture in luma])  # (N, 64, 64)
    waves = _dct_rows()
    spectrum = (waves @ small @ waves.T).reshape(len(small), BITS)
    median = np.partition(spectrum, BITS // 2 - 1, axis=1)[:, BITS // 2 - 1, None]  # the lower of the two middle ones
    return np.packbits(spectrum > median, axis=1, bitorder="little")[:, ::-1], _quality(small)


def hamming(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Bits that differ between every hash of a (N, 32) and every one of b (M, 32), both uint8: (N, M) uint16."""
    words_a, words_b = (np.ascontiguousarray(hashes).view(np.uint64) for hashes in (a, b))  # (N, 4), (M, 4)
    distance = np.zeros((len(a), len(b)), np.uint16)
    for word_a, word_b in zip(words_a.T, words_b.T, strict=True):
        distance += np.bitwise_count(word_a[:, None] ^ word_b[None, :])
    return distance


def _samples(picture: np.ndarray) -> np.ndarray:
    """(64, 64) float32: the picture blurred by the box filters, then taken at the middle of each of 64 x 64 blocks."""
    rows, columns = picture.shape
    blurred = picture.astype(np.float32)
    if (rows, columns) == (SIDE, SIDE):
        return blurred
    for _ in range(PASSES):
        blurred = _box_filter(blurred, _window(columns), _window(rows))
    middle = np.arange(SIDE) + 0.5
    return blurred[np.ix_((middle * rows / SIDE).astype(int), (middle * columns / SIDE).astype(int))]


def _window(length: int) -> int:
    return (length + 2 * SIDE - 1) // (2 * SIDE)


def _box_filter(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Mean over a window of width x height; at the edges over the part of it that lies inside."""
    anchor = (width - (width + 2) // 2, height - (height + 2) // 2)  # the reference's windows lean right and down

    def sums(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, -1, (width, height), None, anchor, normalize=False, borderType=cv2.BORDER_CONSTANT)

    return sums(picture) / sums(np.ones_like(picture))


def _dct_rows() -> np.ndarray:
    """(16, 64) float32: the cosines of frequencies 1 to 16."""
    frequency, place = np.arange(1, FREQUENCIES + 1)[:, None], np.arange(SIDE)[None, :]
    return (np.sqrt(2 / SIDE) * np.cos(np.pi / (2 * SIDE) * frequency * (2 * place + 1))).astype(np.float32)


def _quality(small: np.ndarray) -> np.ndarray:
    """Sum of the steps between neighbouring samples, each in whole hundredths of the range, over 90: (N,) uint8."""
    steps = [np.abs(np.diff(small, axis=axis) * 100 / 255).astype(int).sum((1, 2)) for axis in (1, 2)]
    return np.minimum((steps[0] + steps[1]) // 90, 100).astype(np.uint8)
