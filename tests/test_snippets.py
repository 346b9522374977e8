"""The arithmetic of snippets: counts and seconds."""

import numpy as np
import pytest

from plusmv.features.snippets import snippet_count, snippet_seconds


@pytest.mark.parametrize(
    ("frames", "stride", "count"),
    [(0, 16, 0), (1, 16, 1), (15, 16, 1), (16, 16, 1), (31, 16, 1), (32, 16, 2), (250, 16, 15), (32, 4, 5), (35, 4, 5)],
)
def test_count_is_the_windows_that_fit_whole(frames, stride, count):
    assert snippet_count(frames, stride=stride) == count
    if frames >= 16:
        assert count == sum(start + 16 <= frames for start in range(0, frames, stride))


def test_seconds_start_at_the_stride_and_end_with_the_video():
    assert snippet_seconds(3, 25).tolist() == [[0, 0.64], [0.64, 1.28], [1.28, 1.92]]
    overlapping = snippet_seconds(3, 25, stride=4, duration=0.9)
    np.testing.assert_allclose(overlapping, [[0, 0.64], [0.16, 0.8], [0.32, 0.9]])
    assert (snippet_seconds(1, 25, duration=0.12) == [[0, 0.12]]).all()
    assert snippet_seconds(2, 25, duration=0).max() == 1.28


def test_a_stride_of_nothing_is_the_programmers_mistake():
    with pytest.raises(ValueError, match="positive"):
        snippet_count(32, stride=0)
