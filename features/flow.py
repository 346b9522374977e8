"""Optical flow: OpenCV's Farneback between consecutive frames, scaled to the network's input.

About 13 ms for a pair of 256 x 341 frames on one core; more threads do not help, more processes do.
"""

import cv2
import numpy as np

from features.recipe import Recipe


def grey(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB -> (H, W) uint8."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def farneback(before: np.ndarray, after: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Two (H, W) uint8 frames -> (H, W, 2) float32: pixels to the right and down that each point moves."""
    return cv2.calcOpticalFlowFarneback(
        before,
        after,
        None,
        recipe.flow_pyramid_scale,
        recipe.flow_levels,
        recipe.flow_window,
        recipe.flow_iterations,
        recipe.flow_poly_n,
        recipe.flow_poly_sigma,
        0,
    )


def network_input(flow: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Flow in pixels -> float32 in [-1, 1]: clipped, and quantised to 256 levels if the recipe says so.

    Quantised, no motion is level 128 and becomes +0.0039: what networks trained on flow stored as images have seen.
    """
    bound = recipe.flow_bound
    clipped = np.clip(flow, -bound, bound)
    if recipe.flow_quantise == "none":
        return (clipped / bound).astype(np.float32)
    levels = np.minimum(np.round(128 + 255 / (2 * bound) * clipped), 255)
    return (levels * (2 / 255) - 1).astype(np.float32)
