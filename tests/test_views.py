"""The second model of each stream, on what changes within a video; the prior; the paper's letter."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from plusmv.wsal.checkpoints import load_checkpoint
from plusmv.wsal.detect import DetectionSettings, detect_video, read_video
from plusmv.wsal.feature_source import FeatureSource
from plusmv.wsal.methods.bm import BM, BMSettings
from plusmv.wsal.packing import Packed
from plusmv.wsal.settings import Settings, paper_settings
from plusmv.wsal.train import CHECKPOINT, train
from plusmv.wsal.training_set import TrainingSet, load_training_set
from plusmv.wsal.views import seen, stream_of, views_of
from tests.simulated import simulated_videos, write_simulated

VIDEOS, FEATURES = simulated_videos(8, "validation", 1, width=24)


@pytest.fixture(scope="module")
def training(tmp_path_factory) -> TrainingSet:
    folder = write_simulated(tmp_path_factory.mktemp("features"), FEATURES)
    return load_training_set(VIDEOS, FeatureSource((Path(folder),)))


def test_a_place_that_a_video_never_leaves_is_not_seen():
    features = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    place = np.array([3, -2, 0, 100], np.float32)
    assert seen(features + place, "rgb-relative") == pytest.approx(seen(features, "rgb-relative"), abs=1e-5)
    assert seen(features, "rgb") is features
    assert views_of(("rgb", "flow"), True) == ("rgb", "flow", "rgb-relative", "flow-relative")
    assert [stream_of(view) for view in views_of(("rgb",), True)] == ["rgb", "rgb"]


def test_a_run_has_both_models_and_only_two_sided_detection_reads_the_second(training, tmp_path):
    both = train(training, Settings.of(steps=30, relative=True), tmp_path / "both")
    plain = train(training, Settings.of(steps=30, relative=False), tmp_path / "plain")
    assert list(load_checkpoint(tmp_path / "both" / CHECKPOINT).models) == list(both.settings.views)
    for view in plain.models:  # the first models are as they would be alone
        assert torch.equal(both.models[view].method.hidden.weight, plain.models[view].method.hidden.weight)
    video = next(iter(FEATURES.values()))
    one, other = read_video(both, video), read_video(plain, video)
    assert list(one.relative) == ["rgb", "flow"] and not other.relative
    paper, ours = DetectionSettings(), DetectionSettings(proposals="two-sided")
    assert detect_video(one, both.classes, paper) == detect_video(other, plain.classes, paper)
    assert detect_video(one, both.classes, ours) != detect_video(other, plain.classes, ours)


def test_a_checkpoint_from_before_this_setting_has_one_model_a_stream():
    old = {name: value for name, value in Settings().to_json().items() if name not in ("relative", "prior_weight")}
    read = Settings.from_json(old)
    assert read.views == ("rgb", "flow") and read.own.prior_weight == 0


def test_the_prior_is_the_mean_squared_logit():
    torch.manual_seed(0)
    model, x = BM(6, 3, BMSettings()), torch.randn(5, 6)
    video = Packed([x], torch.tensor([[0.0, 1, 0, 0]]))
    readout = model(x)
    expected = readout.attention.logit().square().mean()
    assert model.losses(readout, video)["prior"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_an_attention_of_1_still_has_a_background():
    """In float32, 1 - sigmoid(z) is 0 from z = 17 on: Eq. 4 would have nothing to weigh."""
    model, x = BM(4, 2, BMSettings()), torch.randn(6, 4)
    model.attention.bias.data.fill_(40.0)
    losses = model.losses(model(x), Packed([x], torch.tensor([[0.0, 1, 0]])))
    losses["bg"].sum().backward()
    assert model.classifier.weight.grad.abs().sum() > 0


def test_the_papers_letter_sets_every_setting_that_differs():
    paper = Settings.of(**paper_settings("bm"))
    assert (paper.centre, paper.relative, paper.own.pool, paper.own.prior_weight) == (0, False, "mean", 0)
    assert dataclasses.replace(paper.own, pool="norm", prior_weight=0.01) == BMSettings()
    assert paper_settings("stpn") == {"pool": "mean", "centre": 0.0, "relative": False}
