"""demo.report, demo.page and demo.pictures: what is said of numbers, and pages that hold together."""

import base64

import numpy as np
import pytest
from markupsafe import Markup

from plusmv.demo.page import figure, page, paragraph, table
from plusmv.demo.pictures import jpeg, map_figure
from plusmv.demo.report import mean_and_sd, verdict_on_difference


def test_mean_and_sample_deviation():
    assert mean_and_sd([1.0, 2.0, 6.0]) == pytest.approx((3.0, np.sqrt(7.0)))
    assert mean_and_sd([4.0]) == (4.0, 0.0)


def test_a_difference_is_compared_with_the_seeds_noise():
    assert "lies within the noise" in verdict_on_difference([40, 50, 60], [45, 55, 65])
    assert "exceeds the noise" in verdict_on_difference([40, 41, 42], [60, 61, 62])
    assert verdict_on_difference([40, 41, 42], [30, 31, 32]).startswith("-10.0 points")


def test_text_is_escaped():
    assert "<b>" not in paragraph("a <b> c") and "<b>" not in table(("<b>",), [])
    assert 'alt="&#34;x&#34;"' in figure("data:,", '"x"')
    assert "<title>a &amp; b</title>" in page("a & b", Markup())


def test_pictures_are_data_uris_of_their_kind():
    picture = np.zeros((20, 30, 3), np.uint8)
    kind, _, content = jpeg(picture).partition(",")
    assert kind == "data:image/jpeg;base64" and base64.b64decode(content)[:2] == b"\xff\xd8"
    answers = [{"tiou": [0.1, 0.5], "mAP": [0.5, 0.2]}, {"tiou": [0.1, 0.5], "mAP": [0.6, 0.3]}]
    kind, _, content = map_figure({"without": answers, "+MV": answers}, "rendered data").partition(",")
    assert kind == "data:image/png;base64" and base64.b64decode(content)[1:4] == b"PNG"
