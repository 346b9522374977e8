"""Optical flow: known motion is found, and its scaling is the recipe's."""

import cv2
import numpy as np

from plusmv.features.flow import FarnebackSettings, farneback, fields_of, grey, quantised, scaled


def texture(shift: int = 0) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (96, 160), dtype=np.uint8)
    smooth = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    return np.roll(smooth, shift, axis=1)


def test_a_shift_to_the_right_is_found():
    flow = farneback(texture(), texture(3), FarnebackSettings())[20:-20, 20:-20]
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), [3, 0], atol=0.1)


def test_scaling_clips_and_quantises():
    flow = np.array([-30, -20, 0, 5, 20, 30], np.float32)
    levels = np.array([0, 0, 128, 160, 255, 255])  # round(128 + 255/40 f), within a byte
    assert quantised(flow, 20).dtype == np.uint8
    np.testing.assert_array_equal(quantised(flow, 20), levels)
    np.testing.assert_allclose(scaled(flow, 20), [-1, -1, 0, 0.25, 1, 1])


def test_fields_go_from_each_frame_to_the_next():
    frames = np.stack([np.repeat(texture(shift)[..., None], 3, axis=2) for shift in (0, 2, 5)])
    fields = fields_of(frames, FarnebackSettings())
    assert fields.shape == (2, 96, 160, 2)
    np.testing.assert_array_equal(fields[1], farneback(grey(frames[1]), grey(frames[2]), FarnebackSettings()))
    assert fields_of(frames[:1], FarnebackSettings()).shape == (0, 96, 160, 2)


def test_grey_takes_rgb():
    assert grey(np.full((2, 2, 3), [255, 0, 0], np.uint8))[0, 0] == round(0.299 * 255)
