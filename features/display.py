"""A decoder's frame as players display it: its pixels square, turned and mirrored as the file says.

Pixels that are not square are stretched along the side that grows, as HTML asks of browsers. A ratio that comes to
less than one pixel of the picture is a rounding of whoever scaled it, and counts as square. One thread each: FFmpeg's
scaler would start some for every frame, which takes longer than the frame does and fails where threads are scarce.
"""

import struct
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np

SQUARE = Fraction(1)


def pixel_aspect(stream: av.VideoStream) -> Fraction:
    """A pixel's width over its height; the container's word comes before the codec's."""
    ratio = stream.sample_aspect_ratio
    return ratio if ratio and ratio > 0 else SQUARE


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoder's frame and the shape of its pixels."""

    frame: av.VideoFrame
    pixel: Fraction = SQUARE  # width over height

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as displayed."""
        width, height = self._square(self.frame.width, self.frame.height)
        transposed, *_ = _orientation(self.frame)
        return (height, width) if transposed else (width, height)

    def scaled_size(self, short_side: int | None) -> tuple[int, int]:
        """(width, height) as displayed, with so many pixels on the shorter side; None: as they are."""
        scale = short_side / min(self.size) if short_side else 1.0
        width, height = self.size
        return round(width * scale), round(height * scale)

    def rgb(self, size: tuple[int, int]) -> np.ndarray:
        """(H, W, 3) uint8 RGB of this (width, height). Upright first; cv2 resizes faster than FFmpeg's scaler."""
        picture = _upright(self.frame.to_ndarray(format="rgb24", threads=1), self.frame)
        if (picture.shape[1], picture.shape[0]) != size:
            picture = cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(picture)

    def small_rgb(self, least_side: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB, its shorter side no longer than twice least_side."""
        frame = self.frame
        times = max(min(frame.width, frame.height) // least_side, 1)
        width, height = max(frame.width // times, 1), max(frame.height // times, 1)
        small = frame.reformat(width=width, height=height, format="rgb24", threads=1)
        return np.ascontiguousarray(_upright(self._stretched(small.to_ndarray()), frame))

    def small_luma(self, least_side: int) -> np.ndarray:
        """(H, W) uint8, halved while its shorter side keeps least_side pixels.

        The decoder's own plane, so nothing is converted; halving costs a fortieth of what other scales do.
        """
        luma = _luma(self.frame)
        while min(luma.shape) >= 2 * least_side:
            size = (luma.shape[1] // 2, luma.shape[0] // 2)
            luma = cv2.resize(luma[: 2 * size[1], : 2 * size[0]], size, interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(_upright(self._stretched(luma), self.frame))

    def _square(self, width: int, height: int) -> tuple[int, int]:
        """The size of a picture of so many stored pixels with square ones."""
        wide, high = max(self.pixel, SQUARE), max(1 / self.pixel, SQUARE)
        if self.frame.width * (wide - 1) < 1 and self.frame.height * (high - 1) < 1:
            return width, height
        return round(width * wide), round(height * high)

    def _stretched(self, stored: np.ndarray) -> np.ndarray:
        size = self._square(stored.shape[1], stored.shape[0])
        same = (stored.shape[1], stored.shape[0]) == size
        return stored if same else cv2.resize(stored, size, interpolation=cv2.INTER_LINEAR)


def _orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Whether the displayed picture is the stored one transposed, then upside down, then mirrored.

    The file's display matrix takes (x, y), y downwards, to (ax + cy, bx + dy).
    """
    if "DISPLAYMATRIX" not in frame.side_data:
        return False, False, False
    matrix = frame.side_data["DISPLAYMATRIX"]  # type: ignore[typeddict-item]  # PyAV's stub has motion vectors only
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    transposed = abs(b) + abs(c) > abs(a) + abs(d)
    return (True, b < 0, c < 0) if transposed else (False, d < 0, a < 0)


def _upright(picture: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """The picture (H, W) or (H, W, 3) of a decoder's frame as it is displayed, as a view."""
    transposed, upside_down, mirrored = _orientation(frame)
    picture = picture.swapaxes(0, 1) if transposed else picture
    return picture[:: -1 if upside_down else 1, :: -1 if mirrored else 1]


def _luma(frame: av.VideoFrame) -> np.ndarray:
    """(H, W) uint8: the first plane where it is 8-bit luma, converted otherwise."""
    if not frame.format.name.startswith(("yuv4", "yuvj", "nv12")) or frame.format.components[0].bits != 8:
        return frame.to_ndarray(format="gray", threads=1)
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
