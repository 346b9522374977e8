"""Optical flow: Farneback between consecutive frames, as the levels that the network takes.

OpenCV's on a CPU (13 ms for a pair of 256 x 341 frames on one core; more threads do not help, more processes do), the
same in torch on a GPU (features.farneback): tests hold the two together, so both carry the same recipe hash.
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np


@dataclass(frozen=True)
class FarnebackSettings:
    """The paper names OpenCV's Farneback and gives no parameters; these are OpenCV's tutorial's and mmaction2's."""

    pyramid_scale: float = 0.5
    levels: int = 3  # below the full size
    window: int = 15  # pixels
    iterations: int = 3
    poly_n: int = 5
    poly_sigma: float = 1.2
    gaussian: bool = False  # the window: a box, or a Gaussian


def grey(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB -> (H, W) uint8."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def farneback(before: np.ndarray, after: np.ndarray, settings: FarnebackSettings) -> np.ndarray:
    """Two (H, W) uint8 frames -> (H, W, 2) float32: pixels to the right and down that each point moves."""
    return cv2.calcOpticalFlowFarneback(
        before,
        after,
        np.empty((*before.shape, 2), np.float32),  # for the result
        settings.pyramid_scale,
        settings.levels,
        settings.window,
        settings.iterations,
        settings.poly_n,
        settings.poly_sigma,
        cv2.OPTFLOW_FARNEBACK_GAUSSIAN if settings.gaussian else 0,
    )


def fields_of(frames: np.ndarray, settings: FarnebackSettings) -> np.ndarray:
    """(N, H, W, 3) uint8 RGB -> the flow from each frame to the next: (N - 1, H, W, 2) float32 pixels."""
    greys = [grey(frame) for frame in frames]
    fields = [farneback(a, b, settings) for a, b in pairwise(greys)]
    return np.stack(fields) if fields else np.zeros((0, *frames.shape[1:3], 2), np.float32)


def quantised(flow: np.ndarray, bound: float) -> np.ndarray:
    """Flow in pixels -> uint8 levels: clipped to +-bound, 256 levels; no motion is level 128, hence +0.0039.

    That is how flow stored in images is read, and what networks trained on it have seen (video_features).
    """
    levels = np.rint(128 + np.float32(255 / (2 * bound)) * np.clip(flow, -bound, bound))
    return np.minimum(levels, 255).astype(np.uint8)


def scaled(flow: np.ndarray, bound: float) -> np.ndarray:
    """Flow in pixels -> float32 in [-1, 1], clipped to +-bound, not quantised (DeepMind's way)."""
    return (np.clip(flow, -bound, bound) / np.float32(bound)).astype(np.float32)
