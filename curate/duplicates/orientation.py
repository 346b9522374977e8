"""The eight ways in which a picture may have been turned and mirrored in its pixels, done to what is kept of it.

A fingerprint is stored once. The one that is asked for is turned: hashes are signs of a cosine transform, whose rows
and columns change places in a turned picture, and whose odd frequencies change their sign in a mirrored one. So a
turned picture's hash is the same bits in another order, half of them flipped. Arrays in, arrays out.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from plusmv.curate.duplicates import keypoints, pdq
from plusmv.curate.duplicates.fingerprint import PLACES, Fingerprint

TURNS = (0, 90, 180, 270)


@dataclass(frozen=True)
class Orientation:
    """Mirrored left to right first, where `mirror` is set, and then turned clockwise by so many degrees."""

    mirror: bool = False
    turn: int = 0  # of TURNS

    @property
    def inverse(self) -> "Orientation":
        """What leads back: a mirrored picture is turned back by the same turn."""
        return self if self.mirror else Orientation(False, -self.turn % 360)

    @property
    def quarters(self) -> int:
        return self.turn // 90

    def of_pictures(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures (N, H, W), turned: a view."""
        flipped = pictures[:, :, ::-1] if self.mirror else pictures
        return np.rot90(flipped, -self.quarters, axes=(1, 2))

    def of_pdq(self, hashes: np.ndarray) -> np.ndarray:
        """PDQ hashes (N, 32) uint8 of turned pictures; those of pictures turned first are some bits off."""
        return self._pdq.applied(hashes)

    def of_words(self, words: np.ndarray) -> np.ndarray:
        """Keypoints' hashes (K,) uint64."""
        turned = self._words.applied(np.ascontiguousarray(words)[:, None].view(np.uint8))
        return turned.view(np.uint64)[:, 0]

    def of_places(self, places: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Keypoints' places (K, 2), x and y in 1/PLACES pixel of a picture of size (width, height)."""
        x, y = places.astype(int).T
        right, bottom = PLACES * (size.astype(int) - 1)
        if self.mirror:
            x = right - x
        for _ in range(self.quarters):
            x, y, right, bottom = bottom - y, x, bottom, right
        return np.maximum(np.stack([x, y], axis=1), 0).astype(places.dtype)

    def of_box(self, box: np.ndarray) -> np.ndarray:
        """(left, top, right, bottom) as shares of the frame."""
        left, top, right, bottom = box
        if self.mirror:
            left, right = 1 - right, 1 - left
        for _ in range(self.quarters):
            left, top, right, bottom = 1 - bottom, left, 1 - top, right
        return np.array([left, top, right, bottom], box.dtype)

    def of(self, clip: Fingerprint) -> Fingerprint:
        """The clip's fingerprint as if it had been turned; its digest remains that of the pictures as they are."""
        if self == UPRIGHT:
            return clip
        return replace(
            clip,
            hashes=self.of_pdq(clip.hashes),
            places=self.of_places(clip.places, clip.size),
            words=self.of_words(clip.words),
            size=clip.size[::-1] if self.quarters % 2 else clip.size,
            box=self.of_box(clip.box),
            luma=self.of_pictures(clip.luma),
        )

    @cached_property
    def _pdq(self) -> "_Bits":
        frequency = np.arange(1, pdq.FREQUENCIES + 1)
        bits = np.arange(pdq.BITS)[::-1].reshape(pdq.FREQUENCIES, pdq.FREQUENCIES)  # as packed: the highest comes first
        return self._bits(bits, frequency % 2 == 1)

    @cached_property
    def _words(self) -> "_Bits":
        return self._bits(keypoints.BIT_OF_FREQUENCY, np.arange(keypoints.WAVES) % 2 == 1)

    def _bits(self, bits: np.ndarray, odd: np.ndarray) -> "_Bits":
        """bits (n, n): which bit of a hash is the sign of which frequency, row and column; odd (n,): those it flips."""
        source, flipped = bits, np.zeros(bits.shape, bool)
        if self.mirror:
            flipped = flipped ^ odd[None, :]
        for _ in range(self.quarters):  # clockwise: upside down, then rows for columns
            source, flipped = source.T, (flipped ^ odd[:, None]).T
        order, flip = np.empty(bits.size, int), np.empty(bits.size, np.uint8)
        order[bits], flip[bits] = source, flipped
        return _Bits(order, np.packbits(flip))


@dataclass(frozen=True)
class _Bits:
    """Bit n of a turned hash is bit order[n] of the hash, flipped where `flip` (bits / 8,) says so."""

    order: np.ndarray
    flip: np.ndarray

    def applied(self, hashes: np.ndarray) -> np.ndarray:
        """hashes (N, bits / 8) uint8"""
        return np.ascontiguousarray(np.packbits(np.unpackbits(hashes, axis=1)[:, self.order], axis=1) ^ self.flip)


UPRIGHT = Orientation()
ORIENTATIONS = tuple(Orientation(mirror, turn) for turn in TURNS for mirror in (False, True))  # the likeliest first
