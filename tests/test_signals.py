"""Suspicion on plain arrays: what each signal must say of a handful of clips, and a combination that stays honest."""

from statistics import NormalDist

import numpy as np
import pytest

from plusmv.curate.ranking.signals import (
    Combination,
    combine,
    expected_good,
    kinetics_suspicion,
    neighbour_suspicion,
    neighbours,
    normal_scores,
    trainer_suspicion,
)

NAMES = ("kinetics", "trainer")


def test_kinetics_is_the_log_odds_against_the_classes():
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])) + 5
    assert kinetics_suspicion(logits, [0]) == pytest.approx(np.log([0.3 / 0.7, 0.9 / 0.1]))
    assert kinetics_suspicion(logits, [0, 1]) == pytest.approx(np.log([0.1 / 0.9, 0.7 / 0.3]))


def test_kinetics_does_not_overflow():
    assert np.isfinite(kinetics_suspicion(np.array([[1e4, -1e4], [-1e4, 1e4]]), [0])).all()


def test_a_trainers_score_is_turned_round():
    assert trainer_suspicion(np.array([2.0, np.nan])).tolist()[0] == -2.0
    assert np.isnan(trainer_suspicion(np.array([np.nan]))).all()


def test_neighbours_follow_what_was_decided_near():
    """Two heaps, one kept and one mis-tagged: whoever lies near is taken for the same."""
    reference = np.array([[3.0, 0.1], [3.1, -0.1], [-3.0, 0.1], [-3.1, -0.1]])
    around = neighbours(np.arange(4), reference, np.array([0.0, 0.0, 1.0, 1.0]), np.ones(4))
    new = neighbour_suspicion(around, np.array([[2.5, 0.3], [-2.5, 0.3]]), np.array([8, 9]))
    assert new[0] < 0.4 < 0.6 < new[1]


def test_no_clip_speaks_for_itself():
    """A lone kept clip among mis-tagged ones is told by the others, exactly as if it had not been there."""
    draws = np.random.default_rng(0)
    reference = draws.normal(size=(20, 5)) + 1
    wrong = np.ones(20)
    wrong[7] = 0.0
    ids = np.arange(100, 120)
    around = neighbours(ids, reference, wrong, np.ones(20))
    flipped = neighbours(ids, reference, np.where(ids == 107, 1.0, wrong), np.ones(20))
    own = [neighbour_suspicion(found, reference[7:8], ids[7:8])[0] - found.base for found in (around, flipped)]
    others = np.delete(np.arange(20), 7)
    directions = (reference - reference.mean(0)) / (reference.std(0) + 1e-6)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    kernel = directions @ directions.T
    pull = np.linalg.solve(kernel[np.ix_(others, others)] + 0.5 * np.eye(19), wrong[others] - around.base)
    assert own[0] == pytest.approx(kernel[7, others] @ pull)
    assert own[1] == pytest.approx(0, abs=1e-9)


def test_what_is_trusted_less_pulls_less():
    reference = np.array([[1.0, 0.0], [-1.0, 0.0]])
    asked = np.array([[1.0, 0.0]]), np.array([9])
    sure, unsure = (
        neighbour_suspicion(neighbours(np.arange(2), reference, np.array([1.0, 0.5]), np.array([t, 1.0])), *asked)[0]
        for t in (1.0, 0.1)
    )
    assert sure > unsure


def test_normal_scores_depend_on_ranks_alone():
    values = np.array([[1.0], [5.0], [2.0], [np.nan], [1e9]])
    scores = normal_scores(values)[:, 0]
    assert np.argsort(scores).tolist() == [0, 2, 3, 1, 4]
    assert scores[3] == 0  # missing: the middle
    assert normal_scores(np.exp(values / 1e8))[:, 0] == pytest.approx(scores)
    assert scores[[0, 2, 1, 4]].sum() == pytest.approx(0, abs=1e-12)
    assert scores[4] == pytest.approx(NormalDist().inv_cdf(7 / 8), abs=1e-12)
    assert (normal_scores(np.full((3, 2), [np.nan, 4.0])) == 0).all()


def drawn(count: int, rate: float, slope: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of two signals, and who is wrong by a logistic law of the first."""
    draws = np.random.default_rng(seed)
    scores = draws.normal(size=(count, 2))
    wrong = draws.random(count) < 1 / (1 + np.exp(-(np.log(rate / (1 - rate)) + slope * scores[:, 0])))
    return scores, wrong.astype(float)


def test_without_a_decision_the_prior_orders():
    scores = np.array([[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]])
    p = combine(scores, np.full(3, np.nan), NAMES).probability_wrong(scores)
    assert p[0] < p[1] < p[2]
    assert p[1] == pytest.approx(0.55)


def test_decisions_take_over():
    scores, wrong = drawn(4000, 0.2, 2.0)
    found = combine(scores, wrong, NAMES)
    assert found.weights == pytest.approx([np.log(0.25), 2.0, 0.0], abs=0.25)
    p = found.probability_wrong(scores)
    for low, high in ((0.0, 0.1), (0.1, 0.4), (0.4, 1.0)):  # of those called so, so many are
        these = (p >= low) & (p < high)
        assert wrong[these].mean() == pytest.approx(p[these].mean(), abs=0.05)


def test_choosing_by_suspicion_whom_to_decide_biases_nothing():
    """Only the most suspicious half is decided: what is left is expected as it is."""
    scores, wrong = drawn(6000, 0.4, 1.5)
    decided = scores[:, 0] > 0
    found = combine(scores, np.where(decided, wrong, np.nan), NAMES)
    share, lower, upper = expected_good(found, scores[~decided])
    assert share == pytest.approx(1 - wrong[~decided].mean(), abs=0.05)
    assert lower < share < upper


def test_the_bounds_hold():
    """In worlds drawn from the prior itself the share that is good lies beyond each bound in about 1 of 20."""
    below = above = 0
    for seed in range(300):
        draws = np.random.default_rng(seed)
        rate, slope = 1 / (1 + np.exp(-(0.2 + 1.1 * draws.normal()))), 0.6 + 0.5 * draws.normal()
        scores, wrong = drawn(2000, rate, slope, seed)
        scores[:, 1] = 0
        decided = np.arange(2000) < 40
        _, lower, upper = expected_good(combine(scores, np.where(decided, wrong, np.nan), NAMES), scores[~decided])
        below += 1 - wrong[~decided].mean() < lower
        above += 1 - wrong[~decided].mean() > upper
    assert 3 <= below <= 27
    assert 3 <= above <= 27


def test_nothing_left_is_all_good():
    assert expected_good(Combination(np.zeros(3), np.eye(3)), np.zeros((0, 2))) == (1.0, 1.0, 1.0)
