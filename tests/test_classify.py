"""Classification with the real Kinetics-400 weights, where they have been fetched, and its parts without them."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from plusmv.core.actions import THUMOS14
from plusmv.core.errors import Missing
from plusmv.features.classify import KINETICS_CLASSES, classify_video, kinetics_logits
from plusmv.features.commands import app
from plusmv.features.weights import load
from tests.test_decode import write_video


@pytest.fixture(scope="module")
def real_weights():
    try:
        return load("rgb")
    except Missing as error:
        pytest.skip(str(error))


def test_the_classes_are_400_and_cover_the_actions():
    assert len(set(KINETICS_CLASSES)) == 400
    assert {name for action in THUMOS14 for name in action.kinetics} <= set(KINETICS_CLASSES)


def test_deepminds_example_is_playing_cricket(shared, real_weights):
    video = shared / "clips" / "v_CricketShot_g04_c01_rgb.gif"
    result = CliRunner().invoke(app, ["classify", "--video", str(video), "--json"])
    told = json.loads(result.stdout)
    assert (told["frames"], told["passes"], len(told["classes"])) == (79, 1, 5)
    assert told["classes"][0]["name"] == "playing cricket"
    assert told["classes"][0]["probability"] == pytest.approx(0.98856, abs=0.005)


@pytest.mark.parametrize(
    ("clip", "name"),
    [
        ("mmaction2_rawvideo_part0.mp4", "cleaning pool"),
        ("tennistracking_input3.mp4", "playing tennis"),
    ],
)
def test_real_clips_get_their_class(shared, real_weights, clip, name):
    assert classify_video(shared / "clips" / clip, top=1).classes[0].name == name


@pytest.mark.slow
def test_several_passes_are_their_mean(tmp_path, real_weights, monkeypatch):
    """A video that repeats itself every pass gets the same class from two passes as from one."""
    monkeypatch.setattr("plusmv.features.classify.PASS_FRAMES", 16)
    levels = [*range(0, 160, 10)]
    once = classify_video(write_video(tmp_path / "a.mkv", levels, rate=25), top=3)
    twice = classify_video(write_video(tmp_path / "b.mkv", levels * 2 + levels[:3], rate=25), top=3)
    assert (once.passes, twice.passes, twice.frames) == (1, 2, 35)
    assert twice.classes[0].name == once.classes[0].name
    assert twice.classes[0].logit == pytest.approx(once.classes[0].logit, abs=0.5)


def test_a_short_video_is_filled_to_a_snippet(tmp_path, real_weights):
    result = classify_video(write_video(tmp_path / "v.mp4", [100, 150, 200], rate=25), top=400)
    assert (result.frames, result.passes) == (3, 1)
    assert sum(score.probability for score in result.classes) == pytest.approx(1, abs=1e-4)


def test_logits_are_one_product_of_any_leading_shape(real_weights):
    pooled = np.random.default_rng(0).random((2, 3, 1024), np.float32)
    assert kinetics_logits(pooled).shape == (2, 3, 400)
    weight, bias = (real_weights.tensors[f"Logits/Conv3d_0c_1x1/{part}"] for part in ("weight", "bias"))
    np.testing.assert_allclose(kinetics_logits(pooled)[1, 2], weight @ pooled[1, 2] + bias, rtol=1e-4, atol=1e-4)
