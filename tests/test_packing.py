"""Packed videos: what belongs to whom, means over each, and smoothing that stays within each."""

import numpy as np
import pytest
import torch

from plusmv.wsal.packing import Packed
from tests.test_losses import plain_smooth

draws = np.random.default_rng(2)
LENGTHS = (1, 40, 7)
VIDEOS = [torch.tensor(draws.random((length, 3))) for length in LENGTHS]
TARGETS = torch.tensor([[0, 1, 0], [0, 0, 1], [0, 0.5, 0.5]], dtype=torch.float64)
PACKED = Packed(VIDEOS, TARGETS)
SIGNALS = [draws.random(length) for length in LENGTHS]
SIGNAL = torch.tensor(np.concatenate(SIGNALS))


def test_snippets_stand_in_order_and_know_their_videos_classes():
    assert torch.equal(PACKED.features, torch.cat(VIDEOS))
    assert PACKED.present[41].tolist() == [False, True, True]


def test_shares_make_the_mean_over_each_videos_time():
    assert (PACKED.shares @ SIGNAL).numpy() == pytest.approx([signal.mean() for signal in SIGNALS])
    assert torch.equal(PACKED.mean(SIGNAL), PACKED.shares @ SIGNAL)


def test_the_spread_is_within_videos_of_several_snippets():
    expected = np.mean([signal.std() for signal in SIGNALS[1:]])
    assert PACKED.spread_within(torch.stack([SIGNAL, 2 * SIGNAL])).numpy() == pytest.approx([expected, 2 * expected])
    assert Packed(VIDEOS[:1], TARGETS[:1]).spread_within(SIGNAL[None, :1]) is None


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_smoothing_repeats_the_ends_of_each_video_and_holds_for_one_snippet(sigma):
    smoothed = PACKED.smooth(torch.stack([SIGNAL, 2 * SIGNAL]), sigma).numpy()
    expected = np.concatenate([plain_smooth(signal, sigma) for signal in SIGNALS])
    assert smoothed[0] == pytest.approx(expected)
    assert smoothed[1] == pytest.approx(2 * expected)
    assert PACKED.smooth(SIGNAL, 0) is SIGNAL
