"""Each equation against a few lines of numpy, and its gradient against finite differences."""

import numpy as np
import pytest
import torch

from wsal import losses

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


def test_equation_3_with_one_and_with_several_labels():
    one = np.eye(5)[2]
    assert losses.foreground_loss(tensor(LOGITS), tensor(one)).item() == pytest.approx(-np.log(softmax(LOGITS)[2]))
    several = -(np.log(softmax(LOGITS)[1]) + np.log(softmax(LOGITS)[3])) / 2
    assert losses.foreground_loss(tensor(LOGITS), tensor(TARGET)).item() == pytest.approx(several)


def test_background_loss_is_minus_log_of_class_0():
    assert losses.background_loss(tensor(LOGITS)).item() == pytest.approx(-np.log(softmax(LOGITS)[0]))


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("snippets", [1, 2, 7])
def test_gaussian_repeats_the_ends_and_holds_for_one_snippet(sigma, snippets):
    signal = ATTENTION[:snippets]
    smoothed = losses.gaussian_smooth(tensor(signal)[None], sigma)[0].numpy()
    assert smoothed == pytest.approx(plain_smooth(signal, sigma))


def test_equation_6_takes_the_largest_present_label_and_never_exceeds_the_background_target():
    probability = softmax(FRAMES)
    targets = losses.guide_targets(tensor(FRAMES), tensor(TARGET), 1.0).numpy()
    assert targets[0] == pytest.approx(plain_smooth(np.maximum(probability[:, 1], probability[:, 3]), 1.0))
    assert targets[1] == pytest.approx(plain_smooth(1 - probability[:, 0], 1.0))
    assert (targets[0] <= targets[1] + 1e-12).all()
    assert losses.guide_targets(tensor(FRAMES), tensor(TARGET), 0)[1].numpy() == pytest.approx(1 - probability[:, 0])


def test_equation_7_is_the_mean_of_both_distances():
    targets = softmax(FRAMES).T[:2]
    expected = np.mean(abs(ATTENTION - targets[0]) + abs(ATTENTION - targets[1]))
    assert losses.guide_loss(tensor(ATTENTION), tensor(targets)).item() == pytest.approx(expected)


def test_equations_8_to_10():
    foreground, background = np.array([0.3, -1.0]), np.array([2.0, 0.5])
    expected = -np.log(softmax(foreground)[0]) - np.log(softmax(background)[1])
    assert losses.cluster_loss(tensor(foreground), tensor(background)).item() == pytest.approx(expected)


def test_sparsity_is_the_mean_attention():
    assert losses.sparsity_loss(tensor(ATTENTION)).item() == pytest.approx(ATTENTION.mean())


def test_gradients_equal_finite_differences():
    def all_of_them(frames, attention, logits, clusters):
        targets = losses.guide_targets(frames, tensor(TARGET), 1.0)
        return (
            losses.foreground_loss(logits, tensor(TARGET))
            + losses.background_loss(logits)
            + losses.guide_loss(attention, targets)
            + losses.cluster_loss(clusters[0], clusters[1])
            + losses.sparsity_loss(attention)
        )

    inputs = [tensor(x).requires_grad_() for x in (FRAMES, ATTENTION, LOGITS, FRAMES[:2, :2])]
    assert torch.autograd.gradcheck(all_of_them, inputs)
