"""Thresholds, runs, means and suppression against plain loops."""

import numpy as np
import pytest

from plusmv.core.errors import BadInput
from plusmv.wsal.evaluate import temporal_iou
from plusmv.wsal.proposals import (
    components,
    interval_means,
    interval_seconds,
    non_maximum_suppression,
    parse_steps,
    soft_suppression,
)


def test_steps_keep_their_end_and_are_exact_decimals():
    paper = parse_steps("0:0.5:0.025")
    assert len(paper) == 21
    assert (paper[0], paper[-1]) == (0.0, 0.5)
    assert parse_steps("0.1:0.9:0.1") == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    assert parse_steps("0.5,0.75") == (0.5, 0.75)


@pytest.mark.parametrize("text", ["", "a", "0:1", "0:1:0", "1:0:0.1", "0:1:1e-9", "nan", "0:inf:1"])
def test_text_that_is_no_list_of_numbers_is_refused(text):
    with pytest.raises(BadInput, match="not a list of numbers"):
        parse_steps(text)


def test_components_equal_a_plain_loop_and_repeat_nothing():
    draws = np.random.default_rng(0)
    thresholds = np.array(parse_steps("0:0.5:0.025"))
    for snippets in (1, 2, 9, 40):
        signal = draws.random(snippets).round(1)
        expected = set()
        for threshold in thresholds:
            start = None
            for index, value in enumerate([*signal, -1]):
                if value > threshold and start is None:
                    start = index
                elif value <= threshold and start is not None:
                    expected.add((start, index))
                    start = None
        found = components(signal, thresholds)
        assert len(found) == len(expected)
        assert set(map(tuple, found.tolist())) == expected


def test_nothing_above_the_thresholds_is_no_proposal():
    assert components(np.zeros(5), np.array([0.0, 0.5])).shape == (0, 2)


def test_a_run_from_the_first_snippet_to_the_last_is_the_whole_video():
    assert components(np.ones(1), np.array([0.5])).tolist() == [[0, 1]]
    assert interval_seconds(np.array([[0, 3]]), np.array([[0, 0.64], [0.64, 1.28], [1.28, 1.5]])).tolist() == [[0, 1.5]]


def test_interval_means_equal_slices():
    signal = np.random.default_rng(1).normal(size=(9, 3))
    intervals = np.array([[0, 9], [2, 3], [4, 9]])
    expected = np.array([signal[start:end].mean(0) for start, end in intervals])
    assert interval_means(signal, intervals) == pytest.approx(expected)
    assert interval_means(signal[:, 0], intervals) == pytest.approx(expected[:, 0])


def test_suppression_works_in_seconds_and_with_negative_scores():
    segments = np.array([[0.0, 1.0], [0.4, 1.4], [0.3, 1.3], [5.0, 6.0]])
    scores = np.array([-1.0, -3.0, -2.0, -9.0])
    # [0, 1] and [.4, 1.4] overlap by .43; with the pixels' "+ 1" it would be .64 and the second would go
    assert non_maximum_suppression(segments, scores, 0.5).tolist() == [0, 1, 3]
    assert non_maximum_suppression(segments, scores, 0.4).tolist() == [0, 3]
    assert non_maximum_suppression(np.zeros((0, 2)), np.zeros(0), 0.5).tolist() == []


def test_of_equal_scores_suppression_keeps_the_first():
    segments = np.array([[0.0, 10.0], [0.0, 9.0]])
    assert non_maximum_suppression(segments, np.zeros(2), 0.5).tolist() == [0]


def test_thousands_of_proposals_are_suppressed_block_by_block_as_by_a_plain_loop():
    draws = np.random.default_rng(3)
    starts = draws.random(1300) * 200
    segments = np.stack([starts, starts + 0.1 + 8 * draws.random(1300)], axis=1)
    scores = draws.normal(size=1300).round(1)  # many ties
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        overlaps = temporal_iou(segments[[index]], segments[kept])[0]
        if (overlaps <= 0.5).all():
            kept.append(index)
    assert non_maximum_suppression(segments, scores, 0.5).tolist() == kept


def test_soft_suppression_equals_a_plain_loop():
    draws = np.random.default_rng(3)
    starts = draws.uniform(0, 20, 40)
    segments, scores, sigma = (
        np.stack([starts, starts + draws.uniform(1, 5, 40)], axis=1),
        draws.uniform(0.1, 1, 40),
        0.2,
    )
    waiting, expected = {index: float(score) for index, score in enumerate(scores)}, []
    while waiting:
        best = max(waiting, key=lambda index: waiting[index])
        expected.append((best, waiting.pop(best)))
        for index in waiting:
            shared = min(segments[best, 1], segments[index, 1]) - max(segments[best, 0], segments[index, 0])
            union = np.ptp(segments[best]) + np.ptp(segments[index]) - max(0, shared)
            waiting[index] *= np.exp(-((max(0, shared) / union) ** 2) / sigma)
    kept, lowered = soft_suppression(segments, scores, sigma)
    expected = [(index, score) for index, score in expected if score >= 1e-3 * scores.max()]
    assert kept.tolist() == [index for index, _ in expected]
    assert lowered == pytest.approx([score for _, score in expected])


def test_soft_suppression_leaves_negative_scores_as_they_are():
    kept, scores = soft_suppression(np.array([[0.0, 2.0], [0.0, 2.0]]), np.array([-1.0, -2.0]), 0.2)
    assert kept.tolist() == [0, 1] and scores.tolist() == [-1, -2]
