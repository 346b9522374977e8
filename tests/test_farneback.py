"""Farneback in torch is OpenCV's, on moving textures, on real clips, and for every setting."""

from dataclasses import replace
from itertools import islice

import cv2
import numpy as np
import pytest
import torch

from plusmv.features.decode import sample_frames
from plusmv.features.farneback import luma, sequence_flow
from plusmv.features.flow import FarnebackSettings, fields_of, grey, quantised

PLAIN = FarnebackSettings()


def moving(count: int, height: int = 96, width: int = 128) -> np.ndarray:
    """Frames of a texture that turns and slides, faster and faster: (count, height, width, 3)."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    base = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
    turns = [cv2.getRotationMatrix2D((width / 2, height / 2), 0.4 * i * i, 1 + 0.01 * i) for i in range(count)]
    return np.stack([cv2.warpAffine(base, turn, (width, height), borderMode=cv2.BORDER_REFLECT) for turn in turns])


def both(frames: np.ndarray, settings: FarnebackSettings) -> tuple[np.ndarray, np.ndarray]:
    """OpenCV's flow and ours: (N - 1, H, W, 2)."""
    ours = sequence_flow(luma(torch.from_numpy(frames)), settings)
    return fields_of(frames, settings), ours.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"gaussian": True},
        {"pyramid_scale": 0.8, "levels": 5},
        {"levels": 1},
        {"window": 9, "iterations": 1},
        {"window": 10},
        {"window": 21, "gaussian": True},
        {"poly_n": 7, "poly_sigma": 1.5},
    ],
)
def test_every_setting_is_opencvs(change):
    theirs, ours = both(moving(4), replace(PLAIN, **change))
    error = np.linalg.norm(theirs - ours, axis=-1)
    assert np.abs(theirs).max() > 1
    assert error.mean() < 5e-5
    assert np.quantile(error, 0.999) < 1e-3


@pytest.mark.parametrize("size", [(33, 61), (20, 40), (61, 77)])
def test_odd_and_small_sizes(size):
    theirs, ours = both(moving(3, *size), PLAIN)
    assert np.linalg.norm(theirs - ours, axis=-1).max() < 1e-3


def test_luma_is_opencvs_bit_by_bit():
    frames = np.random.default_rng(1).integers(0, 256, (4, 50, 60, 3), dtype=np.uint8)
    np.testing.assert_array_equal(luma(torch.from_numpy(frames)), np.stack([grey(frame) for frame in frames]))


@pytest.mark.parametrize("gaussian", [False, True])
@pytest.mark.parametrize(
    ("name", "short_side"),
    [
        ("anet_v_GGSY1Qvo990.mp4", 256),
        ("decord_video_90.mov", 256),  # portrait
        ("mmaction2_demo.mp4", 61),  # odd
        ("v_SoccerJuggling_g23_c01.avi", 256),
    ],
)
def test_real_clips(shared, name, short_side, gaussian):
    frames = np.stack(list(islice(sample_frames(shared / "clips" / name, short_side=short_side), 5, 17))
                      or list(sample_frames(shared / "clips" / name, short_side=short_side)))  # fmt: skip
    theirs, ours = both(frames, FarnebackSettings(gaussian=gaussian))
    error = np.linalg.norm(theirs - ours, axis=-1)
    assert error.mean() <= 5e-5
    assert np.quantile(error, 0.999) <= 1e-3
    assert (quantised(theirs, 20) == quantised(ours, 20)).mean() >= 0.999
