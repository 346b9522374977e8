"""Detection from snippet scores: the gate, Eq. 12, both ways of making proposals, and the published traps."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.bench_wsal import kept_set, plain_detections
from plusmv.core.errors import BadInput, Refused
from plusmv.features.feature_files import VideoFeatures
from plusmv.wsal.checkpoints import Checkpoint
from plusmv.wsal.detect import (
    DetectionSettings,
    VideoReadout,
    check_recipe,
    class_proposals,
    detect_video,
    label_scores,
    present_classes,
    read_video,
)
from plusmv.wsal.model import StreamModel
from plusmv.wsal.settings import Settings

CLASSES = ("Dive", "Jump")


def readout(attention, activation, probability=(0.15, 0.8, 0.05), flow=None) -> VideoReadout:
    attention = np.asarray(attention, dtype=np.float32)
    activation = np.stack([np.zeros(len(attention)), *np.asarray(activation, dtype=np.float32)], axis=1)
    seconds = np.stack([np.arange(len(attention)), np.arange(len(attention)) + 1.0], axis=1)
    streams = {"rgb": attention} | ({"flow": np.asarray(flow, dtype=np.float32)} if flow is not None else {})
    return VideoReadout(seconds, np.array(probability), streams, dict.fromkeys(streams, activation))


def test_a_video_in_which_only_the_first_class_passes_has_it():
    assert present_classes(np.array([0.3, 0.6, 0.05]), 0.1).tolist() == [1]
    detections = detect_video(readout([0, 1, 0], [[0, 2, 0], [0, 1, 0]]), CLASSES, DetectionSettings())
    assert {instance.label for instance in detections} == {"Dive"}


def test_where_no_class_passes_the_best_foreground_class_is_taken_never_the_background():
    assert present_classes(np.array([0.9, 0.04, 0.06]), 0.1).tolist() == [2]
    assert present_classes(np.array([0.2, 0.4, 0.4]), 0.1).tolist() == [1, 2]


def test_scores_are_equation_12_and_negative_ones_are_kept():
    attention, activation = np.array([0.2, 0.9, 0.9, 0.2]), np.array([[-1.0, -2.0, -4.0, -1.0], [0.0] * 4])
    flow = np.array([0.4, 0.7, 0.7, 0.4])
    found = detect_video(readout(attention, activation, flow=flow), CLASSES, DetectionSettings(thresholds=(0.5,)))
    expected = np.mean([0.5 * attention[t] * activation[0, t] + 0.5 * flow[t] * activation[0, t] for t in (1, 2)])
    assert [(i.label, i.start, i.end) for i in found] == [("Dive", 1.0, 3.0)]
    assert found[0].score == pytest.approx(expected)
    assert found[0].score < 0


def test_detections_come_by_decreasing_score_and_may_start_at_0():
    signal = [1, 1, 0, 0, 1, 0]
    found = detect_video(readout(signal, [[3, 3, 0, 0, 5, 0], [0] * 6]), CLASSES, DetectionSettings(thresholds=(0.5,)))
    assert [(i.start, i.end, i.score) for i in found] == [(4.0, 5.0, 5.0), (0.0, 2.0, 3.0)]


def test_one_snippet_is_one_detection():
    found = detect_video(readout([0.7], [[2], [0]]), CLASSES, DetectionSettings())
    assert [(i.start, i.end) for i in found] == [(0.0, 1.0)]


def test_a_video_may_have_no_detection():
    assert detect_video(readout([0, 0], [[1, 1], [0, 0]]), CLASSES, DetectionSettings()) == []


def test_snippets_after_the_end_of_the_video_give_no_detection():
    past = replace(readout([0.2, 0.9], [[1, 1], [0, 0]]), seconds=np.array([[0.0, 1.0], [1.0, 1.0]]))
    assert detect_video(past, CLASSES, DetectionSettings(thresholds=(0.5,))) == []


def test_tcam_proposals_are_those_of_each_stream_and_class():
    video = readout([1, 1, 1], [[9, -9, -9], [-9, -9, 9]], flow=[0, 1, 1])
    by_class = [class_proposals(video, index, DetectionSettings(proposals="tcam")).tolist() for index in (1, 2)]
    assert by_class == [[[0, 1]], [[2, 3]]]


def test_detections_equal_those_of_plain_loops_over_snippets_and_pairs():
    """The benchmark's loops: the same kept set and scores, whatever the video looks like."""
    draws = np.random.default_rng(4)
    for snippets in (1, 2, 17, 300):
        attention, flow = draws.random((2, snippets)) ** 2
        activation = draws.normal(size=(2, snippets))
        video = readout(attention, activation, (0.1, 0.5, 0.4), flow)
        ours, plain = (find(video, CLASSES, DetectionSettings()) for find in (detect_video, plain_detections))
        assert kept_set(ours) == kept_set(plain)
        assert [i.score for i in ours] == pytest.approx([i.score for i in plain], abs=1e-6)


def test_label_scores_are_the_mean_of_the_three_strongest_snippets():
    video = readout([1, 1, 1, 1], [[1, 5, 3, 4], [2, 2, 2, 2]])
    assert label_scores(video, 0.5) == pytest.approx([4.0, 2.0])
    assert label_scores(readout([1], [[7], [1]]), 0.5) == pytest.approx([7.0, 1.0])


def checkpoint() -> Checkpoint:
    settings = Settings(streams=("rgb", "flow"))
    models = {stream: StreamModel(4, 2, settings) for stream in settings.streams}
    return Checkpoint(settings, CLASSES, models, "", "", "", ("abc",), {}, 16, 1, 0)


def test_reading_averages_the_streams_probabilities():
    run, array = checkpoint(), np.random.default_rng(0).random((5, 4), dtype=np.float32)
    read = read_video(run, VideoFeatures("v", {"rgb": array, "flow": array}, 25.0))
    each = [m.read(torch.from_numpy(array))[2].numpy() for m in run.models.values()]
    assert read.probability == pytest.approx(np.mean(each, axis=0))
    assert read.activation["flow"].shape == (5, 3)
    assert read.seconds[-1].tolist() == pytest.approx([2.56, 3.2])


def test_features_of_another_width_stream_or_recipe_are_refused():
    run, array = checkpoint(), np.ones((5, 4), dtype=np.float32)
    with pytest.raises(BadInput, match="flow features of width 4"):
        read_video(run, VideoFeatures("v", {"rgb": array}, 25.0))
    with pytest.raises(BadInput, match="rgb features of width 4"):
        read_video(run, VideoFeatures("v", {"rgb": array[:, :3], "flow": array}, 25.0))
    check_recipe(run, VideoFeatures("v", {"rgb": array}, 25.0, recipe="abc"))
    check_recipe(run, VideoFeatures("v", {"rgb": array}, 25.0))
    with pytest.raises(Refused, match="another recipe"):
        check_recipe(run, VideoFeatures("v", {"rgb": array}, 25.0, recipe="xyz"))


@pytest.mark.parametrize(
    "wrong", [{"proposals": "x"}, {"rgb_share": 2}, {"overlap": -1}, {"gate": math.nan}, {"gate": 2},
              {"thresholds": (0.5, 5.0)}]
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(BadInput):
        DetectionSettings(**wrong)


def test_contrast_is_equation_12_less_what_lies_beside_the_proposal():
    video = readout([0, 0, 1, 1, 1, 1, 0.5, 0], [[0, 0, 5, 5, 5, 5, 4, 0], [0] * 8])
    mean, contrast = (
        detect_video(video, CLASSES, DetectionSettings(thresholds=(0.6,), score=score))
        for score in ("mean", "contrast")
    )
    assert mean[0].score == pytest.approx(5)
    assert contrast[0].score == pytest.approx(5 - (0 + 0.5 * 4) / 2)


def test_scaled_attention_proposes_what_stands_out_within_the_video():
    video = readout([0.9, 0.9, 0.95, 0.9], [[0] * 4, [1] * 4])
    whole = detect_video(video, CLASSES, DetectionSettings(thresholds=(0.5,)))
    assert [(each.start, each.end) for each in whole] == [(0, 4)]
    peak = detect_video(video, CLASSES, DetectionSettings(thresholds=(0.5,), scaled=True))
    assert [(each.start, each.end) for each in peak] == [(2, 3)]


def test_softmax_proposals_take_a_class_where_it_is_the_strongest():
    video = readout([0.5] * 6, [[0, 0, 9, 9, 0, 0], [0] * 6])
    found = detect_video(video, CLASSES, DetectionSettings(proposals="softmax"))
    assert (found[0].start, found[0].end) == (2, 4)
