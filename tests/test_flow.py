"""Optical flow: known motion is found, and its scaling is the recipe's."""

from dataclasses import replace

import cv2
import numpy as np

from features.flow import farneback, grey, network_input
from features.recipe import Recipe


def texture(shift: int = 0) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (96, 160), dtype=np.uint8)
    smooth = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    return np.roll(smooth, shift, axis=1)


def test_a_shift_to_the_right_is_found():
    flow = farneback(texture(), texture(3), Recipe())[20:-20, 20:-20]
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), [3, 0], atol=0.1)


def test_scaling_clips_and_quantises():
    flow = np.array([-30, -20, 0, 5, 20, 30], np.float32)
    levels = np.array([0, 0, 128, 160, 255, 255])  # round(128 + 255/40 f), within a byte
    np.testing.assert_allclose(network_input(flow, Recipe()), levels * 2 / 255 - 1, atol=1e-6)
    plain = network_input(flow, replace(Recipe(), flow_quantise="none"))
    np.testing.assert_allclose(plain, [-1, -1, 0, 0.25, 1, 1])


def test_grey_takes_rgb():
    assert grey(np.full((2, 2, 3), [255, 0, 0], np.uint8))[0, 0] == round(0.299 * 255)
