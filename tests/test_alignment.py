"""duplicates.alignment: copies under edits, parts, other moments of a scene and different clips are told apart."""

import cv2
import numpy as np
import pytest

from plusmv.curate.duplicates.alignment import SURE, bucket, compare, is_sure
from plusmv.curate.duplicates.candidates import NEAR
from plusmv.curate.duplicates.fingerprint import fingerprint_video
from plusmv.curate.duplicates.limits import SHORTEST_S
from plusmv.curate.duplicates.pdq import hamming
from plusmv.db.models import EdgeKind
from tests.moving_scenes import EDITS, FPS, HEIGHT, WIDTH, edited, scene, write

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


def test_a_copy_of_a_pan_is_found_though_no_picture_is_hashed_at_the_same_moment(tmp_path):
    """Keypoints then say that one picture lies aside in the other, which is how the camera moved meanwhile."""
    wide = cv2.resize(np.random.default_rng(5).integers(0, 256, (36, 48, 3), np.uint8), (2 * WIDTH, 2 * HEIGHT))
    times = np.arange(SECONDS * FPS) / FPS
    across, down = WIDTH * (1 + np.sin(0.9 * times)) / 2, HEIGHT * (1 + np.sin(1.3 * times + 1)) / 2
    frames = [wide[y : y + HEIGHT, x : x + WIDTH] for x, y in zip(across.astype(int), down.astype(int), strict=True)]
    pan = fingerprint_video(write(tmp_path / "pan.mp4", frames))
    trimmed = fingerprint_video(write(tmp_path / "trimmed.mp4", frames[round(0.72 * FPS) :]))
    found = compare(trimmed, pan)
    assert found.kind == EdgeKind.COPY and found.score > 0.9
    assert found.offset_s == pytest.approx(0.72, abs=0.13)


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


def test_clips_that_share_a_moment_but_go_on_differently_are_no_parts(tmp_path):
    long = scene(1, 1, 8.0)
    first, second = (fingerprint_video(write(tmp_path / f"{k}.mp4", long[k : k + 125])) for k in (0, 50))
    found = compare(first, second)
    assert found.kind == EdgeKind.SHARED and not is_sure(found)
    assert found.overlap_s == pytest.approx(3.0, abs=0.4) and found.offset_s == pytest.approx(-2.0, abs=0.13)


@pytest.mark.parametrize(("first", "second"), [(1, 2), (3, 4)])
def test_a_moving_end_card_after_long_films_at_the_same_second_is_shared(tmp_path, first, second):
    card = scene(9, 9, 2.0)
    made = (write(tmp_path / f"{n}.mp4", scene(n, n, 9.0) + card) for n in (first, second))
    found = compare(*map(fingerprint_video, made))
    assert found.kind == EdgeKind.SHARED and not is_sure(found)
    assert found.overlap_s == pytest.approx(2.0, abs=0.6) and found.offset_s == pytest.approx(0.0, abs=0.13)


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


@pytest.mark.parametrize("start_s", [0.0, 1.1, 3.5])
def test_the_shortest_part_that_is_promised_is_found_and_what_is_shared_for_as_long(
    tmp_path, frames, original, start_s
):
    part = frames[round(start_s * FPS) :][: round(SHORTEST_S * FPS)]
    found = compare(fingerprint_video(write(tmp_path / "part.mp4", part, crf=30)), original)
    assert found.kind == EdgeKind.PART and found.offset_s == pytest.approx(start_s, abs=0.13)
    first, second = (fingerprint_video(write(tmp_path / f"{n}.mp4", part + scene(n, n, 3.0))) for n in (2, 3))
    assert compare(first, second).kind == EdgeKind.SHARED


def test_the_same_pictures_are_exact(original):
    found = compare(original, original)
    assert (found.kind, found.offset_s, found.speed, found.score) == (EdgeKind.EXACT, 0.0, 1.0, 1.0)


def test_stills_are_in_a_bucket_of_their_own(tmp_path, frames, original):
    still = fingerprint_video(write(tmp_path / "still.mp4", frames[:1] * 50))
    again = fingerprint_video(write(tmp_path / "again.mp4", frames[:1] * 50, crf=30))
    assert bucket(still) == "static" and bucket(original) is None
    assert compare(still, again) is None and compare(still, original) is None
    assert compare(still, still).kind == EdgeKind.EXACT


def test_three_frames_say_too_little(tmp_path, frames, original):
    three = fingerprint_video(write(tmp_path / "three.mp4", frames[:3]))
    one = fingerprint_video(write(tmp_path / "one.mp4", frames[:1]))
    assert bucket(three) == bucket(one) == "static"
    assert compare(three, original) is None and compare(one, original) is None and compare(one, three) is None


def test_black_clips_are_nothing_to_each_other(tmp_path, original):
    black = np.zeros((120, 160, 3), np.uint8)
    one, two = (fingerprint_video(write(tmp_path / f"{n}.mp4", [black] * n)) for n in (50, 60))
    assert bucket(one) == "featureless"
    assert compare(one, two) is None and compare(one, one) is None and compare(one, original) is None


def test_a_slide_show_is_known_by_its_changes(tmp_path):
    pictures = [scene(seed, seed, 0.04)[0] for seed in range(10, 14)]
    shows = [[picture for picture in order for _ in range(25)] for order in (pictures, pictures[::-1])]
    first, other = (fingerprint_video(write(tmp_path / f"{n}.mp4", show)) for n, show in enumerate(shows))
    again = fingerprint_video(write(tmp_path / "again.mp4", shows[0], crf=38))
    assert bucket(first) is None
    assert compare(first, again).kind == EdgeKind.COPY
    assert (found := compare(first, other)) is None or found.kind != EdgeKind.COPY


def test_two_clips_that_differ_in_the_last_second_only(tmp_path):
    start = scene(1, 1, 4.0)
    same, ends = (start + scene(1, 5, 1.0), start + scene(1, 9, 1.0))
    found = compare(*(fingerprint_video(write(tmp_path / f"{n}.mp4", f)) for n, f in enumerate((same, ends))))
    assert found.kind == EdgeKind.COPY
    assert found.overlap_s == pytest.approx(4.0, abs=0.5)


def _cropped(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(frame[20:116, 4:132], (WIDTH, HEIGHT))


def _in_a_corner(frame: np.ndarray) -> np.ndarray:
    """At 60 % in the corner of a plain wall."""
    wall = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    wall[-72:, :96] = cv2.resize(frame, (96, 72), interpolation=cv2.INTER_AREA)
    return wall


def _captioned(frame: np.ndarray) -> np.ndarray:
    frame = frame.copy()
    frame[-24:] = 255
    cv2.putText(frame, "one more time", (8, HEIGHT - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1)
    return frame


@pytest.mark.parametrize("change", [_cropped, _in_a_corner, _captioned])
def test_keypoints_say_where_a_cropped_or_covered_copy_lies(tmp_path, frames, original, change):
    copy = fingerprint_video(write(tmp_path / "copy.mp4", [change(frame)[:, ::-1] for frame in frames]))
    for found in (compare(original, copy), compare(copy, original)):
        assert found.kind == EdgeKind.COPY and found.mirror and found.score >= SURE


def test_halves_swapped_are_two_runs_of_one_copy(tmp_path, frames, original):
    middle = len(frames) // 2
    found = compare(original, fingerprint_video(write(tmp_path / "s.mp4", frames[middle:] + frames[:middle])))
    assert found.kind == EdgeKind.COPY and found.overlap_s > 0.85 * SECONDS


@pytest.mark.parametrize("change", [lambda frame: frame, _cropped])
def test_a_long_video_is_searched_around_where_it_looks_alike(tmp_path, frames, original, monkeypatch, change):
    """As for two hours: the window is shorter than the video, the offset is still on its own clock."""
    monkeypatch.setattr("plusmv.curate.duplicates.alignment.WINDOW_S", 8.0)
    others = [scene(seed, seed, 6.0) for seed in range(3, 8)]
    whole = [*others[0], *others[1], *frames, *others[2], *others[3], *others[4]]
    long = fingerprint_video(write(tmp_path / "long.mp4", whole))
    found = compare(fingerprint_video(write(tmp_path / "clip.mp4", [change(frame) for frame in frames])), long)
    assert found.kind == EdgeKind.PART and found.offset_s == pytest.approx(12.0, abs=0.13)
    assert found.overlap_s == pytest.approx(SECONDS, abs=0.5)
    back = compare(long, original)
    assert back.kind == EdgeKind.PART and back.offset_s == pytest.approx(-12.0, abs=0.13)
