"""Each equation against a few lines of numpy, and its gradient against finite differences."""

import numpy as np
import pytest
import torch

from plusmv.wsal.methods import bm as losses
from plusmv.wsal.packing import Packed

draws = np.random.default_rng(5)
LOGITS = draws.normal(size=5)
FRAMES = draws.normal(size=(7, 5))
ATTENTION = draws.random(7)
TARGET = np.array([0, 0.5, 0, 0.5, 0])


def softmax(x):
    exponential = np.exp(x - x.max(-1, keepdims=True))
    return exponential / exponential.sum(-1, keepdims=True)


def tensor(x):
    return torch.tensor(np.asarray(x), dtype=torch.float64)


def plain_smooth(signal, sigma):
    radius = int(np.ceil(3 * sigma))
    kernel = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    at = np.clip(np.arange(len(signal))[:, None] + np.arange(-radius, radius + 1), 0, len(signal) - 1)
    return signal[at] @ (kernel / kernel.sum())


def guide_targets(frames, target, sigma):
    """Of one video."""
    video = Packed([tensor(np.zeros((len(frames), 1)))], tensor(target)[None])
    return losses.guide_targets(frames, video.present, lambda signal: video.smooth(signal, sigma))


def test_equation_3_with_one_and_with_several_labels():
    one = np.eye(5)[2]
    assert losses.foreground_loss(tensor(LOGITS), tensor(one)).item() == pytest.approx(-np.log(softmax(LOGITS)[2]))
    several = -(np.log(softmax(LOGITS)[1]) + np.log(softmax(LOGITS)[3])) / 2
    assert losses.foreground_loss(tensor(LOGITS), tensor(TARGET)).item() == pytest.approx(several)


def test_background_loss_is_minus_log_of_class_0():
    assert losses.background_loss(tensor(LOGITS)).item() == pytest.approx(-np.log(softmax(LOGITS)[0]))


def test_equation_6_takes_the_largest_present_label_and_never_exceeds_the_background_target():
    probability = softmax(FRAMES)
    targets = guide_targets(tensor(FRAMES), TARGET, 1.0).numpy()
    smooth = [plain_smooth(probability[:, label], 1.0) for label in (1, 3)]
    assert targets[0] == pytest.approx(np.maximum(*smooth))  # footnote 1: of the smoothed targets
    assert targets[1] == pytest.approx(plain_smooth(1 - probability[:, 0], 1.0))
    assert (targets[0] <= targets[1] + 1e-12).all()
    assert guide_targets(tensor(FRAMES), TARGET, 0)[1].numpy() == pytest.approx(1 - probability[:, 0])


def test_equation_7_is_the_sum_of_both_distances():
    targets = softmax(FRAMES).T[:2]
    expected = abs(ATTENTION - targets[0]) + abs(ATTENTION - targets[1])
    assert losses.guide_distance(tensor(ATTENTION), tensor(targets)).numpy() == pytest.approx(expected)


def test_equations_8_to_10():
    foreground, background = np.array([0.3, -1.0]), np.array([2.0, 0.5])
    expected = -np.log(softmax(foreground)[0]) - np.log(softmax(background)[1])
    assert losses.cluster_loss(tensor(foreground), tensor(background)).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: losses.foreground_loss(x[:5], tensor(TARGET)),
        lambda x: losses.background_loss(x[:5]),
        lambda x: losses.cluster_loss(x[:2], x[2:4]),
        lambda x: losses.guide_distance(x[:7].sigmoid(), guide_targets(x.reshape(7, 5), TARGET, 1.0)).mean(),
    ],
    ids=["foreground", "background", "cluster", "guide"],
)
def test_gradients_equal_finite_differences(loss):
    assert torch.autograd.gradcheck(loss, tensor(FRAMES).flatten().requires_grad_())
