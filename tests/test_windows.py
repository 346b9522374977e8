"""Chunks: every frame a snippet needs is in the snippet's own chunk, and no more is held than one chunk."""

from dataclasses import replace

import numpy as np
import pytest

from plusmv.core.errors import BadInput
from plusmv.features.recipe import Recipe
from plusmv.features.snippets import snippet_count
from plusmv.features.windows import CHUNK_BYTES, CHUNK_STARTS, centre_crop, chunks, pictures, snippet_starts
from tests.test_decode import write_video

SMALL = Recipe(crop=32)


def numbered(count: int, shape: tuple[int, ...] = (2, 3, 3)) -> list[np.ndarray]:
    """Frames that are all of one value, their number."""
    return [np.full(shape, index % 256, np.uint8) for index in range(count)]


@pytest.mark.parametrize("count", [16, 17, 31, 32, 64, 65, 80, 96, 97, 200])
@pytest.mark.parametrize("stride", [16, 8, 4, 5])
def test_chunks_hold_every_snippet_and_the_frame_after_it(count, stride):
    recipe = replace(SMALL, stride=stride)
    seen = []
    for chunk in chunks(iter(numbered(count)), recipe):
        starts = snippet_starts(chunk, recipe)
        seen += [chunk.first + start for start in starts]
        np.testing.assert_array_equal(chunk.frames[:, 0, 0, 0], np.arange(len(chunk.frames)) + chunk.first)
        assert starts[-1] + recipe.length + (not chunk.ends) <= len(chunk.frames)
    assert seen == [index * stride for index in range(snippet_count(count, stride=stride))]


@pytest.mark.parametrize("count", [1, 3, 15])
def test_a_video_shorter_than_a_snippet_is_one(count):
    (chunk,) = chunks(iter(numbered(count)), SMALL)
    assert (len(chunk.frames), chunk.ends, list(snippet_starts(chunk, SMALL))) == (count, True, [0])


def test_no_frame_no_chunk():
    assert list(chunks(iter([]), SMALL)) == []


def test_frames_are_taken_one_chunk_ahead_at_most():
    """A video of any length is held a chunk at a time, and large pictures come in smaller chunks."""
    drawn = 0

    def endless(shape):
        nonlocal drawn
        while True:
            drawn += 1
            yield np.zeros(shape, np.uint8)

    made = chunks(endless((48, 64, 3)), SMALL)
    for _ in range(10):
        next(made)
    assert drawn == 10 * CHUNK_STARTS + 1
    wide = next(chunks(endless((256, 4096, 3)), SMALL))
    assert 17 <= len(wide.frames) < CHUNK_STARTS
    assert wide.frames.nbytes <= CHUNK_BYTES + 17 * wide.frames[0].nbytes


def test_centre_crop_takes_the_middle():
    picture = np.zeros((8, 12, 1), np.uint8)
    picture[2:6, 4:8] = 1
    assert centre_crop(picture, 4).all()
    assert centre_crop(picture[None], 4).shape == (1, 4, 4, 1)


def test_a_sliver_is_refused(tmp_path):
    with pytest.raises(BadInput, match="4096x64, a sliver"):
        next(pictures(write_video(tmp_path / "v.mp4", [100] * 2, size=(4096, 64)), Recipe()))


def test_a_video_of_the_crops_size_is_not_resized(tmp_path):
    cropped = write_video(tmp_path / "a.mp4", [100] * 2, size=(224, 224))
    assert next(pictures(cropped, Recipe())).shape == (224, 224, 3)
    small = write_video(tmp_path / "b.mp4", [100] * 2, size=(226, 224))
    assert next(pictures(small, Recipe())).shape == (256, 258, 3)
