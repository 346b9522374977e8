"""Windows: each snippet's frames and flow fields, at the ends of snippets and of the video too."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from features.flow import farneback, grey, network_input
from features.recipe import Recipe
from features.snippets import snippet_count
from features.windows import centre_crop, pictures, snippets
from tests.test_decode import write_video

SMALL = Recipe(crop=32)


def moving(count: int) -> list[np.ndarray]:
    """Frames of a texture that moves faster and faster, so that no two fields are alike."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    base = cv2.GaussianBlur(noise, (0, 0), 3)
    return [np.roll(base, (i * i) // 8, axis=1) for i in range(count)]


def fields_of(frames: list[np.ndarray]) -> list[np.ndarray]:
    """The definition: field t goes from frame t to t + 1, the last repeats the one before."""
    flows = [farneback(grey(a), grey(b), SMALL) for a, b in pairwise(frames)]
    scaled = [network_input(centre_crop(flow, 32), SMALL) for flow in flows]
    return scaled + scaled[-1:]


@pytest.mark.parametrize("count", [16, 17, 32, 40])
@pytest.mark.parametrize("stride", [16, 8, 4])
def test_windows_are_slices_of_the_whole(count, stride):
    frames = moving(count)
    fields = fields_of(frames)
    made = list(snippets(iter(frames), replace(SMALL, stride=stride), with_flow=True))
    assert len(made) == snippet_count(count, stride=stride)
    for index, snippet in enumerate(made):
        window = slice(index * stride, index * stride + 16)
        np.testing.assert_array_equal(snippet["rgb"], [centre_crop(frame, 32) for frame in frames[window]])
        np.testing.assert_array_equal(snippet["flow"], fields[window])


def test_a_short_video_is_filled_with_its_last_frame_and_field():
    frames = moving(3)
    (snippet,) = snippets(iter(frames), SMALL, with_flow=True)
    np.testing.assert_array_equal(snippet["rgb"][3:], np.stack([centre_crop(frames[-1], 32)] * 13))
    np.testing.assert_array_equal(snippet["flow"][2:], np.stack([fields_of(frames)[-1]] * 14))


def test_one_frame_has_no_motion():
    (snippet,) = snippets(iter(moving(1)), SMALL, with_flow=True)
    np.testing.assert_array_equal(snippet["flow"], np.full((16, 32, 32, 2), 128 * np.float32(2 / 255) - 1, np.float32))


def test_without_flow_and_without_frames():
    assert [set(snippet) for snippet in snippets(iter(moving(20)), SMALL, with_flow=False)] == [{"rgb"}]
    assert list(snippets(iter([]), SMALL, with_flow=True)) == []


def test_frames_are_taken_one_snippet_ahead_at_most():
    """A video of any length is held a snippet at a time."""
    drawn = 0

    def endless():
        nonlocal drawn
        while True:
            drawn += 1
            yield np.zeros((48, 64, 3), np.uint8)

    made = snippets(endless(), SMALL, with_flow=False)
    for _ in range(100):
        next(made)
    assert drawn == 100 * 16 + 1


def test_a_video_of_the_crops_size_is_not_resized(tmp_path):
    cropped = write_video(tmp_path / "a.mp4", [100] * 2, size=(224, 224))
    assert next(pictures(cropped, Recipe())).shape == (224, 224, 3)
    small = write_video(tmp_path / "b.mp4", [100] * 2, size=(226, 224))
    assert next(pictures(small, Recipe())).shape == (256, 258, 3)
