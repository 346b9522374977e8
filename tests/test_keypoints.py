"""curate.duplicates.keypoints: spread over a picture, and where one picture lies in another."""

import cv2
import numpy as np
import pytest

from plusmv.curate.duplicates.keypoints import Keypoints, detector, find_keypoints, match, place
from tests.moving_scenes import scene


@pytest.fixture(scope="module")
def picture():
    """(240, 320) luma with corners everywhere."""
    frame = cv2.cvtColor(scene(1, 1, 0.04)[0], cv2.COLOR_RGB2GRAY)
    blots = cv2.resize(np.random.default_rng(0).integers(0, 90, (40, 53), np.uint8), (320, 240))
    return cv2.add(cv2.resize(frame, (320, 240)) // 2, blots)


def test_the_first_keypoints_are_spread_over_the_picture(picture):
    picture = picture.copy()
    picture[:24] = 255
    cv2.putText(picture, "letters have the strongest corners", (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1)
    first = find_keypoints(picture, detector()).places[:24]
    assert (first[:, 1] > 30).sum() >= 12


def test_where_a_crop_lies(picture):
    crop = cv2.resize(picture[40:200, 90:310], None, fx=1.2, fy=1.2)
    placing = place(find_keypoints(crop, detector()), find_keypoints(picture, detector()))
    assert placing.inliers >= 20
    assert placing.scale == pytest.approx([1 / 1.2, 1 / 1.2], rel=0.03)
    assert placing.shift == pytest.approx([90, 40], abs=3)


def test_other_pictures_lie_nowhere(picture):
    other = cv2.resize(np.random.default_rng(7).integers(0, 255, (40, 53), np.uint8), (320, 240))
    placing = place(find_keypoints(picture, detector()), find_keypoints(other, detector()))
    assert placing is None or placing.inliers < 8


def test_a_flat_picture_has_none():
    none = find_keypoints(np.full((120, 160), 90, np.uint8), detector())
    assert len(none.hashes) == len(none.places) == 0
    assert place(none, none) is None and len(match(none.hashes, np.zeros(3, np.uint64))) == 0


def test_a_turned_or_far_larger_picture_is_chance(picture):
    found = find_keypoints(picture, detector())
    turned = Keypoints(found.places[:, ::-1] * np.float32([1, -1]) + np.float32([0, 320]), found.hashes)
    assert place(found, turned) is None
    assert place(found, Keypoints(found.places * 8, found.hashes)) is None
