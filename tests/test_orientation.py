"""curate.duplicates.orientation: what is kept of a picture, turned, is what would be kept of the turned picture."""

import cv2
import numpy as np
import pytest

from plusmv.curate.duplicates.alignment import SURE, compare
from plusmv.curate.duplicates.fingerprint import PLACES, fingerprint_video
from plusmv.curate.duplicates.keypoints import COUNT, detector, find_keypoints, match
from plusmv.curate.duplicates.orientation import ORIENTATIONS, UPRIGHT, Orientation
from plusmv.curate.duplicates.pdq import hamming, pdq
from tests.moving_scenes import Frames, scene, write


@pytest.fixture(scope="module")
def picture():
    """(240, 320) luma with corners everywhere."""
    frame = cv2.cvtColor(scene(1, 1, 0.04)[0], cv2.COLOR_RGB2GRAY)
    blots = cv2.resize(np.random.default_rng(0).integers(0, 90, (40, 53), np.uint8), (320, 240))
    return cv2.add(cv2.resize(frame, (320, 240)) // 2, blots)


@pytest.fixture(scope="module")
def frames() -> Frames:
    return scene(1, 1, 4.0)


@pytest.fixture(scope="module")
def original(tmp_path_factory, frames):
    return fingerprint_video(write(tmp_path_factory.mktemp("original") / "a.mp4", frames))


def turned(frames: Frames, way: Orientation) -> Frames:
    """Frames (H, W, 3), done by hand."""
    return [np.rot90(frame[:, ::-1] if way.mirror else frame, -way.turn // 90) for frame in frames]


@pytest.mark.parametrize("way", ORIENTATIONS)
def test_what_is_kept_is_turned_as_the_picture_is(picture, way):
    [shown] = turned([picture], way)
    assert np.array_equal(way.of_pictures(picture[None])[0], shown)
    assert hamming(way.of_pdq(pdq(picture[None])[0]), pdq(np.ascontiguousarray(shown)[None])[0]).max() <= 30
    found, there = find_keypoints(picture, detector()), find_keypoints(np.ascontiguousarray(shown), detector())
    pairs = match(way.of_words(found.hashes), there.hashes)
    assert len(pairs) > COUNT // 2
    places = way.of_places((found.places * PLACES).astype(np.uint16), np.array([320, 240], np.uint16)) / PLACES
    assert np.median(np.abs(places[pairs[:, 0]] - there.places[pairs[:, 1]]).max(axis=1)) < 1.5


@pytest.mark.parametrize("way", ORIENTATIONS)
def test_the_inverse_leads_back(original, way):
    back = way.inverse.of(way.of(original))
    assert all(np.allclose(array, getattr(back, name)) for name, array in vars(original).items())


@pytest.mark.parametrize("way", [way for way in ORIENTATIONS if way.turn])
def test_a_turned_copy_is_a_copy_and_says_how_it_is_turned(tmp_path, frames, original, way):
    copy = fingerprint_video(write(tmp_path / "copy.mp4", turned(frames, way), crf=30))
    found, back = compare(original, copy), compare(copy, original)
    assert found.kind == back.kind == "copy" and min(found.score, back.score) >= SURE
    assert Orientation(found.mirror, found.turn) == way
    assert Orientation(back.mirror, back.turn) == way.inverse == Orientation(found.mirror, found.inverse().turn)


def test_a_turned_crop_of_a_part_lies_in_the_whole(tmp_path, frames, original):
    part = turned([cv2.resize(frame[20:116, 4:132], (160, 120)) for frame in frames[25:75]], Orientation(turn=90))
    found = compare(fingerprint_video(write(tmp_path / "part.mp4", part)), original)
    assert (found.kind, found.mirror, found.turn) == ("part", False, 270)
    assert found.offset_s == pytest.approx(1.0, abs=0.13)


def test_an_upright_clip_is_itself(original):
    assert UPRIGHT.of(original) is original and len(set(ORIENTATIONS)) == 8
