"""Paired bootstrap over test videos and seeds: how far the difference in mAP of two rows of a table can be trusted.

A resample draws as many test videos as there are, and as many seeds, both with replacement; every row is judged on the
same draws. What matches what does not change with the draw, so detections are matched once and then only counted: a
video drawn twice counts its detections and its true instances twice. Shapes: R + 1 draws of V videos (the first is the
test set itself), K tIoU thresholds, S seeds, H detections that match a true instance.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from plusmv.core.annotations import AnnotatedVideo, Instance
from plusmv.wsal.evaluate import by_score, labelled_pairs, matches
from plusmv.wsal.evaluation_notes import Pairs

RESAMPLES = 1000
INTERVAL = (2.5, 97.5)  # percentiles


class Difference(NamedTuple):
    """Of the mAP of two rows: its value, its 95 % interval, and p of a difference of 0, two-sided."""

    value: float
    low: float
    high: float
    p: float


def video_draws(videos: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """(R+1, V) float32: how often each video is drawn; the same for every row of a table, which pairs them."""
    draws = np.random.default_rng([seed, 0]).multinomial(videos, np.full(videos, 1 / videos), size=resamples)
    return np.concatenate([np.ones((1, videos)), draws]).astype(np.float32)


def drawn_mAP(
    truth: Mapping[str, AnnotatedVideo],
    detections: Mapping[str, Sequence[Instance]],
    tious: Sequence[float],
    draws: np.ndarray,
    judged: Sequence[str] | None = None,
) -> np.ndarray:
    """(R+1, K): the mAP on each draw of the truth's videos, over the judged classes that the draw has instances of.

    The first is what wsal.evaluate gives. Detections in videos outside the truth are left out.
    """
    place = {video: index for index, video in enumerate(truth)}
    known, predicted, _ = labelled_pairs(truth, {name: found for name, found in detections.items() if name in place})
    classes = [label for label in sorted(known) if judged is None or label in judged]
    thresholds = np.asarray(tious, dtype=np.float64)
    total, count = np.zeros((len(draws), len(thresholds))), np.zeros((len(draws), 1))
    for label in classes:
        instances = draws @ _counts(known[label], place)  # (R+1,)
        there = instances > 0
        found = _drawn_precision(known[label], predicted.get(label, []), thresholds, draws, place)
        total[there] += found[there] / instances[there, None]
        count += there[:, None]
    return total / np.maximum(count, 1)


def _counts(pairs: Pairs, place: Mapping[str, int]) -> np.ndarray:
    return np.bincount([place[video] for video, _ in pairs], minlength=len(place)).astype(np.float32)


def _drawn_precision(
    truth: Pairs, predicted: Pairs, tious: np.ndarray, draws: np.ndarray, place: Mapping[str, int]
) -> np.ndarray:
    """(R+1, K): the interpolated precision at one class's matches, summed over the drawn ones."""
    order = by_score(predicted)
    hits = matches(truth, predicted, order, tious) >= 0  # (P, K)
    owner = np.array([place[predicted[index][0]] for index in order], dtype=np.int64)  # (P,)
    ranked = np.cumsum(owner[:, None] == np.arange(len(place)), axis=0, dtype=np.float32)  # (P, V)
    made = np.zeros((len(draws), len(tious)))
    for column, is_hit in enumerate(hits.T):
        drawn = draws[:, owner[is_hit]]  # (R+1, H)
        retrieved = draws @ ranked[is_hit].T  # detections up to and with each match
        precision = np.cumsum(drawn, axis=1) / np.maximum(retrieved, 1)
        best_from_here = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        made[:, column] = (best_from_here * drawn).sum(axis=1)
    return made


def difference(row: np.ndarray, base: np.ndarray, seed: int = 0) -> Difference:
    """Of two rows' drawn mAP (S, R+1) each; S = 1 for a row without seeds."""
    seeds, resamples = max(len(row), len(base)), row.shape[1] - 1
    apart = np.broadcast_to(row - base, (seeds, resamples + 1))
    chosen = np.random.default_rng([seed, 1]).integers(seeds, size=(seeds, resamples))
    drawn = apart[:, 1:][chosen, np.arange(resamples)].mean(axis=0)
    low, high = np.percentile(drawn, INTERVAL).tolist()
    other_side = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return Difference(float(apart[:, 0].mean()), low, high, min(1.0, 2 * (1 + other_side) / (1 + resamples)))
