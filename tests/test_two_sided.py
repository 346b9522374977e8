"""Both sides of the T-CAM: dips are proposed like peaks, foreign scenes fall behind, and every number by hand."""

import numpy as np
import pytest

from plusmv.wsal import two_sided
from plusmv.wsal.detect import DetectionSettings, VideoReadout, detect_video

WAY = DetectionSettings(proposals="two-sided")


def readout(activation: list[float], background: list[float] | None = None) -> VideoReadout:
    """One class "Dive" in one stream, a second a snippet."""
    tcam = np.stack([background or np.zeros(len(activation)), activation], axis=1).astype(np.float32)
    seconds = np.stack([np.arange(len(activation)), np.arange(len(activation)) + 1.0], axis=1)
    return VideoReadout(seconds, np.array([0.1, 0.9]), {"rgb": np.ones(len(activation))}, {"rgb": tcam})


def best(activation: list[float], background: list[float] | None = None) -> tuple[float, float]:
    found = detect_video(readout(activation, background), ("Dive",), WAY)
    own = [each.score for each in found if each.start >= 3 and each.end <= 9]
    foreign = [each.score for each in found if each.start >= 11 and each.end <= 17]
    assert all(score < 0.5 * max(own) for score in foreign)


def test_contrast_is_the_mean_inside_less_the_mean_a_quarter_around():
    signal, intervals = np.arange(16.0) ** 2, np.array([[4, 12], [0, 4], [0, 16]])
    inside = signal[4:12].mean() - np.concatenate([signal[2:4], signal[12:14]]).mean()
    expected = [inside, signal[:4].mean() - signal[4], signal.mean()]
    assert two_sided.contrast(signal, intervals) == pytest.approx(expected)


def test_novelty_is_high_where_a_snippet_has_no_like_in_its_video():
    features = np.zeros((12, 8), np.float32)
    features[:, 0], features[:, 1] = 1, np.arange(12) / 100
    features[5] = [0, 0, 1, 0, 0, 0, 0, 0]
    assert two_sided.novelty(features).argmax() == 5
    assert two_sided.novelty(features[:1]).tolist() == [1]
    assert two_sided.novelty(np.ones((4, 8))).tolist() == [1] * 4


def test_presence_is_a_softmax_averaged_over_streams():
    rgb, flow = np.random.default_rng(0).normal(size=(2, 5, 3))
    p = two_sided.presence([rgb, flow])
    assert p.sum(axis=1) == pytest.approx(np.ones(5))
    alike = two_sided.presence([np.tile([0.0, np.log(3)], (4, 1))])
    assert alike == pytest.approx(np.tile([0.25, 0.75], (4, 1)))


@pytest.mark.parametrize("activation", [[1.0], [2.0, 2.0, 2.0], [0.0, 1.0]])
def test_odd_videos_end_in_a_list(activation):
    assert isinstance(detect_video(readout(activation), ("Dive",), WAY), list)
