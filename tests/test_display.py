"""Pictures are as players display them: pixels square, whatever the file stores."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from plusmv.core.errors import BadInput
from plusmv.curate.duplicates.fingerprint import fingerprint_video
from plusmv.features.decode import DecodeLimits, probe, sample_frames, sample_raw
from tests.small_videos import make_counter


def size(path: Path) -> tuple[int, int]:
    facts = probe(path)
    return facts.width, facts.height


@pytest.mark.parametrize(
    ("pixel", "displayed"),
    [
        (Fraction(1), (64, 48)),
        (Fraction(2), (128, 48)),
        (Fraction(1, 2), (64, 96)),
        (Fraction(64, 63), (65, 48)),
        (Fraction(100, 99), (64, 48)),  # less than a pixel: rounded by who scaled it
    ],
)
def test_pixels_that_are_not_square_are_stretched_where_it_grows(tmp_path, pixel, displayed):
    path = make_counter(tmp_path / "v.mp4", frames=2, pixel=pixel)
    width, height = displayed
    assert size(path) == displayed
    assert next(sample_frames(path, short_side=None)).shape == (height, width, 3)
    assert next(sample_frames(path, short_side=24)).shape[1] == round(width * 24 / min(displayed))
    raw = next(sample_raw(path, 25))
    assert raw.small_luma(16).shape[1] / raw.small_luma(16).shape[0] == pytest.approx(width / height, rel=0.03)
    assert raw.small_rgb(24).shape[:2] == raw.small_luma(24).shape


def test_the_same_picture_in_other_pixels_has_the_same_fingerprint(tmp_path):
    """As cameras and DVDs write them; the content is not to look narrower for that."""
    square = fingerprint_video(make_counter(tmp_path / "a.mp4", frames=8, size=(192, 96)))
    stretched = fingerprint_video(make_counter(tmp_path / "b.mp4", frames=8, size=(96, 96), pixel=Fraction(2)))
    np.testing.assert_array_equal(square.size, stretched.size)
    np.testing.assert_allclose(square.luma.astype(int), stretched.luma.astype(int), atol=2)


def test_a_pixel_shape_that_makes_a_giant_is_refused(tmp_path):
    path = make_counter(tmp_path / "v.mp4", frames=1, pixel=Fraction(10))
    with pytest.raises(BadInput):
        probe(path, DecodeLimits(pixels=640 * 48 - 1))


def test_the_wide_pixels_of_the_cases(cases):
    assert size(cases / "sar2.mp4") == (256, 96)
    assert next(sample_frames(cases / "sar2.mp4", short_side=96)).shape == (96, 256, 3)
