"""Detection by both sides of the T-CAM: its peaks and its dips. Not in the paper; LOG.md, 2026-11-29, has the trials.

Within a scene, video-level labels do not tell an action from its context: "action minus context" and "context minus
action" predict the label equally well, so that training finds the axis between the two but its sign is a coin. So
intervals above *and* below each threshold of a class's T-CAM are proposed, and a proposal scores

    contrast(inside against beside it) x mean p_t[c]^PRESENCE x mean novelty_t

p_t is the snippet's softmax over the classes: in a foreign scene it is small, and a dip there falls behind. Novelty
says how rare a snippet is in its video. Shapes: T snippets, C classes (index 0: background), N proposals [start, end).
"""

from collections.abc import Sequence

import numpy as np

from plusmv.wsal.proposals import components, interval_means

NEIGHBOUR = 0.3  # weight of either neighbour when the T-CAM is smoothed; the snippet's own is 1
MARGIN = 0.25  # of a proposal's length, on either side of it: what its inside is compared with
PRESENCE = 0.25  # exponent of p_t[c]
NEAREST = 3  # neighbours in feature space, of novelty


def smoothed(signal: np.ndarray) -> np.ndarray:
    """(T, ...) averaged with its neighbours in time; edges repeated."""
    padded = np.concatenate([signal[:1], signal, signal[-1:]])
    return (NEIGHBOUR * (padded[:-2] + padded[2:]) + padded[1:-1]) / (1 + 2 * NEIGHBOUR)


def scaled(signal: np.ndarray) -> np.ndarray:
    """(T,) from 0 to 1; 0 throughout for a constant signal."""
    spread = np.ptp(signal)
    return (signal - signal.min()) / spread if spread > 0 else np.zeros(len(signal))


def both_sides(signals: Sequence[np.ndarray], levels: np.ndarray) -> np.ndarray:
    """(N, 2) runs of snippets above a level of any signal (T,) from 0 to 1, or of 1 minus it."""
    found = [components(side, levels) for signal in signals for side in (signal, 1 - signal)]
    return np.unique(np.concatenate(found), axis=0)


def contrast(signal: np.ndarray, intervals: np.ndarray) -> np.ndarray:
    """(N,): how far the signal's mean inside lies above its mean beside the interval; above 0 where nothing is."""
    before, after, count = intervals[:, 0], intervals[:, 1], len(signal)
    margin = np.maximum(1, np.round(MARGIN * (after - before))).astype(np.int64)
    wide = np.stack([np.maximum(0, before - margin), np.minimum(count, after + margin)], axis=1)
    inside, all_of_it = interval_means(signal, intervals), interval_means(signal, wide)
    length, widened = after - before, wide[:, 1] - wide[:, 0]
    beside = np.where(widened > length, all_of_it * widened - inside * length, 0) / np.maximum(1, widened - length)
    return inside - beside


def presence(activations: Sequence[np.ndarray]) -> np.ndarray:
    """(T, C+1): p_t, the softmax of each stream's smoothed T-CAM (T, C+1), averaged over the streams."""
    shares = []
    for activation in map(smoothed, activations):
        weight = np.exp(activation - activation.max(axis=1, keepdims=True))
        shares.append(weight / weight.sum(axis=1, keepdims=True))
    return np.mean(shares, axis=0)


def novelty(features: np.ndarray) -> np.ndarray:
    """(T,) from features (T, d): mean distance to the nearest others in the video, divided by the video's mean.

    Features are scaled to length 1. All 1 for a video of one snippet or of equal ones.
    """
    if len(features) < 2:
        return np.ones(len(features))
    unit = features / np.maximum(1e-12, np.linalg.norm(features, axis=1, keepdims=True))
    squared = np.maximum(0, 2 - 2 * unit.astype(np.float64) @ unit.T)
    np.fill_diagonal(squared, np.inf)
    count = min(NEAREST, len(features) - 1)
    nearest = np.sqrt(np.sort(np.partition(squared, count - 1, axis=1)[:, :count], axis=1)).mean(axis=1)
    mean = nearest.mean()
    return smoothed(nearest / mean) if mean > 1e-6 else np.ones(len(features))


def scores(
    signals: Sequence[np.ndarray],
    shares: Sequence[float],
    present: np.ndarray,
    rarity: np.ndarray,
    intervals: np.ndarray,
) -> np.ndarray:
    """(N,) from each model's scaled T-CAM (T,) and share, p_t[c] (T,), and novelty (T,)."""
    differs = np.sum(
        [share * np.abs(contrast(signal, intervals)) for share, signal in zip(shares, signals, strict=True)], axis=0
    )
    return differs * interval_means(present**PRESENCE, intervals) * interval_means(rarity, intervals)
