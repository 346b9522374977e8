"""Suspicion: how likely each clip is mis-tagged, by signals on plain arrays, and by all signals at hand together.

Three signals, one function each, higher = more suspicious: what Kinetics-400's classes say of the tag (no label
needed), how far the nearest clips agree with it, and what a trainer's T-CAM for it says. Arrays in, arrays out; the
catalog's side is curate.ranking.rank.

Together: each signal is turned into normal scores of its ranks among the action's clips, so that no signal's scale
matters, and a logistic regression adds them up. Its prior stands in for decisions until there are some (the base rate
is the paper's, the slopes what signals of this kind were measured to be worth); as decisions come in they take over, so
the sum is a probability. Why so, and what was tried instead, is in LOG.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logsumexp, ndtri
from scipy.stats import rankdata

SIGNALS = ("kinetics", "neighbours", "trainer")
PRIOR_RATE = 0.55  # of mis-tagged clips: the paper kept 45 % on average ...
PRIOR_SPREAD = 1.1  # ... and 15 to 89 % of single actions: one sd of the rate's log-odds
PRIOR_SLOPES = {"kinetics": 0.6, "neighbours": 0.5, "trainer": 0.9}  # together: they err on the same clips
SLOPE_SPREAD = 0.5
RIDGE = 0.5  # of the neighbours' regression, against similarities of 1
ONE_SIDED = float(ndtri(0.95))


def kinetics_suspicion(logits: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Log-odds against the tag's Kinetics-400 classes: (N, 400) logits, indices of the classes -> (N,)."""
    ours = np.zeros(logits.shape[1], dtype=bool)
    ours[list(classes)] = True
    return logsumexp(logits[:, ~ours], axis=1) - logsumexp(logits[:, ours], axis=1)


@dataclass(frozen=True)
class Neighbours:
    """What is known around a tag: M reference clips, and how much each pulls at whatever lies near it."""

    ids: np.ndarray  # (M,)
    middle: np.ndarray  # (d,)
    spread: np.ndarray  # (d,)
    directions: np.ndarray  # (M, d)
    pull: np.ndarray  # (M,)
    base: float
    left_out: np.ndarray  # (M,) of each reference clip itself, as predicted by all others


def neighbours(ids: np.ndarray, reference: np.ndarray, wrong: np.ndarray, trust: np.ndarray) -> Neighbours:
    """Kernel ridge regression by cosine similarity: the nearer a clip, the more it counts, with no number k to choose.

    reference (M, d): pooled features; each dimension is taken around its mean and by its spread. wrong (M,) in [0, 1]:
    1 mis-tagged, or found by another tag; 0 kept; the base rate where nobody has decided. trust (M,) in (0, 1]: 1 for a
    decision, less for a guess.
    """
    middle, spread = reference.mean(axis=0), reference.std(axis=0) + 1e-6
    directions = _directions((reference - middle) / spread)
    base = float((trust * wrong).sum() / trust.sum())
    inverse = np.linalg.inv(directions @ directions.T + np.diag(RIDGE / trust))
    pull = inverse @ (wrong - base)
    return Neighbours(ids, middle, spread, directions, pull, base, wrong - pull / np.diag(inverse))


def neighbour_suspicion(found: Neighbours, features: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """How wrong the clips around each one are, itself left out: features (N, d), ids (N,) -> (N,), about 0 to 1."""
    near = _directions((features - found.middle) / found.spread) @ found.directions.T
    suspicion = found.base + near @ found.pull
    row_of = {clip_id: row for row, clip_id in enumerate(found.ids.tolist())}
    for index, clip_id in enumerate(ids.tolist()):
        if clip_id in row_of:
            suspicion[index] = found.left_out[row_of[clip_id]]
    return suspicion


def trainer_suspicion(scores: np.ndarray) -> np.ndarray:
    """Minus a trainer's score for the tag (mean of its top-3 T-CAM; NaN where there is none): (N,) -> (N,)."""
    return -np.asarray(scores, dtype=float)


def normal_scores(signals: np.ndarray) -> np.ndarray:
    """(N, S) signals, NaN where missing -> normal scores of their ranks; 0, the middle, where missing or all equal."""
    scores = np.zeros(signals.shape)
    for column, values in enumerate(signals.T):
        there = np.flatnonzero(np.isfinite(values))
        if len(there):
            scores[there, column] = ndtri((rankdata(values[there]) - 0.5) / len(there))
    return scores


@dataclass(frozen=True)
class Combination:
    """P(wrong) = sigmoid(weights . (1, scores)). weights (1+S,), covariance (1+S, 1+S) of the Laplace approximation."""

    weights: np.ndarray
    covariance: np.ndarray

    def probability_wrong(self, scores: np.ndarray) -> np.ndarray:
        """(N, S) normal scores -> (N,)."""
        return expit(_with_one(scores) @ self.weights)


def combine(scores: np.ndarray, wrong: np.ndarray, names: Sequence[str]) -> Combination:
    """The most probable logistic regression given the decisions so far.

    scores (N, S) normal scores, of every clip of the action; wrong (N,): 1 mis-tagged, 0 kept, NaN undecided; names: of
    the S signals. Which clips were decided may depend on their scores: that biases no slope.
    """
    decided = np.isfinite(wrong)
    x, y = _with_one(scores[decided]), wrong[decided]
    middle = np.array([np.log(PRIOR_RATE / (1 - PRIOR_RATE)), *(PRIOR_SLOPES.get(name, 0.7) for name in names)])
    precision = np.diag([PRIOR_SPREAD**-2.0, *[SLOPE_SPREAD**-2.0] * len(names)])
    weights = middle
    for _ in range(50):  # Newton's steps on a strictly concave function
        p = expit(x @ weights)
        gradient = x.T @ (y - p) - precision @ (weights - middle)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + precision
        step = np.linalg.solve(hessian, gradient)
        weights = weights + step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return Combination(weights, np.linalg.inv(hessian))


def expected_good(combination: Combination, scores: np.ndarray) -> tuple[float, float, float]:
    """The expected share of good clips among those given, and that expectation's 90 % interval: (N, S) scores.

    Each end is one that the share lies beyond with 5 %. The interval counts how little the decisions so far tell of the
    regression, not the luck of N clips. None left: 1, 1, 1.
    """
    if not len(scores):
        return 1.0, 1.0, 1.0
    p = combination.probability_wrong(scores)
    share = float(np.clip(1 - p.mean(), 1e-9, 1 - 1e-9))
    slope = (p * (1 - p)) @ _with_one(scores) / len(p)  # of the share, by the weights
    spread = np.sqrt(slope @ combination.covariance @ slope) / (share * (1 - share))  # of its log-odds
    ends = expit(np.log(share / (1 - share)) + np.array([-1, 1]) * ONE_SIDED * spread)
    return share, float(ends[0]), float(ends[1])


def _with_one(scores: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(scores), 1)), scores], axis=1)


def _directions(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
