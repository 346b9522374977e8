"""Detection with the I3D's own classes: the score by its formula, and a real clip against its annotation."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.core.actions import THUMOS14, Action
from plusmv.features.classify import KINETICS_CLASSES
from plusmv.features.weights import weights_path
from plusmv.wsal import kinetics


def test_action_probability_is_the_softmax_summed_over_its_classes():
    logits = np.random.default_rng(0).normal(size=(3, 400))
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    golf = [KINETICS_CLASSES.index(name) for name in ("golf driving", "golf chipping", "golf putting")]
    found = kinetics.action_probability(logits, THUMOS14)
    assert found["GolfSwing"] == pytest.approx(expected[:, golf].sum(1))
    assert "Billiards" not in found
    assert len(found) == 19


def test_every_action_names_classes_that_exist():
    assert all(set(action.kinetics) <= set(KINETICS_CLASSES) for action in THUMOS14)


def test_contrast_is_the_geometric_mean_inside_times_that_of_absence_around():
    p = np.array([0.1, 0.2, 0.9, 0.8, 0.9, 0.8, 0.3, 0.1])
    around = (np.log(1 - 0.2) + np.log(1 - 0.3)) / 2  # a quarter of 4 snippets on each side
    expected = np.exp(np.log(p[2:6]).mean() + around)
    assert kinetics.contrast(p, np.array([[2, 6]])) == pytest.approx([expected])


def test_beyond_the_video_nothing_is_known():
    throughout = kinetics.contrast(np.full(8, 0.999), np.array([[0, 8]]))
    assert throughout == pytest.approx([0.999 * 0.5])


def test_the_interval_that_stands_out_beats_the_whole_video(monkeypatch):
    activation = np.array([0.6] * 10 + [0.97] * 12 + [0.1] * 8)
    logits = np.zeros((30, 400))
    logits[:, 7] = np.log(activation / (1 - activation) * 399)  # softmax gives `activation` to class 7
    monkeypatch.setattr(kinetics, "kinetics_logits", lambda pooled: logits)
    seconds = np.stack([np.arange(30.0), np.arange(30.0) + 1], axis=1)
    action = Action("Seven", (), kinetics=(KINETICS_CLASSES[7],))
    found = kinetics.detect(np.zeros((30, 1024)), seconds, 16, (action,))
    assert found.activation["Seven"] == pytest.approx(kinetics.smooth(activation, 0.5))
    best = found.detections[0]
    assert (best.label, best.start, best.end) == ("Seven", 10.0, 22.0)
    assert found.strongest() == ["Seven"]


def test_an_action_that_the_video_does_not_show_is_not_detected(monkeypatch):
    monkeypatch.setattr(kinetics, "kinetics_logits", lambda pooled: np.zeros((4, 400)))
    seconds = np.stack([np.arange(4.0), np.arange(4.0) + 1], axis=1)
    assert kinetics.detect(np.zeros((4, 1024)), seconds, 16).detections == []


@pytest.mark.slow
def test_a_clean_and_jerk_is_found_where_activitynet_says(shared, tmp_path):
    if not weights_path("rgb").is_file():
        pytest.skip("the Kinetics-400 RGB weights are not here; `plusmv weights rgb` gets them")
    clip = shared / "clips" / "anet_v_GGSY1Qvo990.mp4"
    arguments = ["detect", "--video", str(clip), "--classifier", "kinetics", "--home", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    best = told["results"][clip.stem][0]
    start, end = best["segment"]
    overlap = min(end, 16.1986) - max(start, 5.8236)
    assert best["label"] == "CleanAndJerk"
    assert overlap / (max(end, 16.1986) - min(start, 5.8236)) >= 0.6
    assert end - start < 0.8 * 18.09
    assert (tmp_path / "detections" / f"{clip.stem}.png").read_bytes()[:4] == b"\x89PNG"
