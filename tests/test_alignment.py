"""curate.alignment: copies under edits, parts, other moments of a scene and different clips are told apart."""

import numpy as np
import pytest

from curate.alignment import NEAR, compare
from curate.fingerprint import fingerprint_video
from curate.pdq import hamming
from db.models import EdgeKind
from tests.moving_scenes import EDITS, FPS, edited, scene, write

SECONDS = 5.0
EXPECTED = {"trimmed": (-1.3, 1.0), "faster": (0.0, 0.8)}  # edit -> (offset_s, speed), else (0, 1)


@pytest.fixture(scope="module")
def frames():
    return scene(1, 1, SECONDS)


@pytest.fixture(scope="module")
def original(tmp_path_factory, frames):
    return fingerprint_video(write(tmp_path_factory.mktemp("original") / "a.mp4", frames))


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_copy_is_a_copy(tmp_path, frames, original, edit):
    copy = fingerprint_video(edited(tmp_path / "copy.mp4", frames, edit))
    found, back = compare(original, copy), compare(copy, original)
    offset_s, speed = EXPECTED.get(edit, (0.0, 1.0))
    assert found.kind == back.kind == EdgeKind.COPY
    assert found.mirror == back.mirror == (edit == "mirrored")
    assert found.speed == pytest.approx(speed, abs=0.03) and back.speed == pytest.approx(1 / speed, abs=0.05)
    assert found.offset_s == pytest.approx(offset_s, abs=0.2) and back.offset_s == pytest.approx(-offset_s, abs=0.2)
    assert found.score > 0.85


@pytest.mark.parametrize("seed", range(2, 10))
def test_other_moves_in_the_same_scenery_are_no_copy(tmp_path, original, seed):
    other = fingerprint_video(write(tmp_path / "b.mp4", scene(1, seed, SECONDS)))
    assert hamming(original.hashes, other.hashes).min() <= NEAR  # alike to look at: only motion tells them apart
    found = compare(original, other)
    assert found is None or found.kind == EdgeKind.SAME_SCENE


def test_another_moment_of_the_same_video_is_no_copy(tmp_path):
    long = scene(1, 1, 8.0)
    early, late = (fingerprint_video(write(tmp_path / f"{k}.mp4", long[k : k + 100])) for k in (0, 100))
    assert hamming(early.hashes, late.hashes).min() <= NEAR
    found = compare(early, late)
    assert found is None or found.kind == EdgeKind.SAME_SCENE


def test_clips_that_share_a_moment_but_nothing_else_are_for_a_person(tmp_path):
    long = scene(1, 1, 8.0)
    first, second = (fingerprint_video(write(tmp_path / f"{k}.mp4", long[k : k + 125])) for k in (0, 50))
    assert compare(first, second).kind == EdgeKind.SAME_SCENE


@pytest.mark.parametrize("seed", range(2, 6))
def test_another_scenery_is_another_clip(tmp_path, original, seed):
    assert compare(original, fingerprint_video(write(tmp_path / "b.mp4", scene(seed, 1, SECONDS)))) is None


def test_a_second_cut_out_is_a_part_wherever_it_lies(tmp_path, frames, original):
    part = fingerprint_video(write(tmp_path / "part.mp4", frames[round(2.2 * FPS) : round(3.8 * FPS)]))
    found = compare(part, original)
    assert found.kind == EdgeKind.PART and found.speed == 1.0
    assert found.offset_s == pytest.approx(2.2, abs=0.13)
    back = compare(original, part)
    assert back.kind == EdgeKind.PART and back.inverse().offset_s == pytest.approx(found.offset_s, abs=0.01)


def test_the_same_pictures_are_exact(original):
    found = compare(original, original)
    assert (found.kind, found.offset_s, found.speed, found.score) == (EdgeKind.EXACT, 0.0, 1.0, 1.0)


def test_without_motion_a_likeness_is_only_a_same_scene(tmp_path, frames):
    still = fingerprint_video(write(tmp_path / "still.mp4", frames[:1] * 50))
    again = fingerprint_video(write(tmp_path / "again.mp4", frames[:1] * 50, crf=30))
    assert compare(still, again).kind == EdgeKind.SAME_SCENE


def test_three_frames_say_too_little_for_a_copy(tmp_path, frames, original):
    three = fingerprint_video(write(tmp_path / "three.mp4", frames[:3]))
    other = fingerprint_video(write(tmp_path / "other.mp4", scene(2, 2, 3 / FPS)))
    assert compare(three, original).kind == EdgeKind.SAME_SCENE
    assert compare(other, original) is None


def test_black_clips_are_nothing_to_each_other(tmp_path, original):
    black = np.zeros((120, 160, 3), np.uint8)
    one, two = (fingerprint_video(write(tmp_path / f"{n}.mp4", [black] * n)) for n in (50, 60))
    assert compare(one, two) is None and compare(one, one) is None and compare(one, original) is None
