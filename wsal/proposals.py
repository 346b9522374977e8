"""From snippet scores to intervals: thresholds, connected components, non-maximum suppression.

Intervals are [start, end) in snippets; segments are in seconds.
"""

import functools
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

import numpy as np

from plusmv.core.annotations import Instance
from plusmv.core.errors import BadInput
from plusmv.wsal.evaluate import temporal_iou

MAX_STEPS = 1000
FLOOR = 1e-3  # of the best score
BLOCK = 512  # proposals compared with all others at once


@functools.cache
def parse_steps(text: str) -> tuple[float, ...]:
    """ "0:0.5:0.025" (end included, in decimal arithmetic so that no step is lost) or "0.5,0.7" as numbers."""
    try:
        if ":" in text:
            start, stop, step = map(Decimal, text.split(":"))
            count = int((stop - start) / step) + 1
            numbers = [start + index * step for index in range(min(count, MAX_STEPS + 1))]
        else:
            numbers = [Decimal(part) for part in text.split(",")]
        if not 0 < len(numbers) <= MAX_STEPS or not all(number.is_finite() for number in numbers):
            raise ValueError
    except (InvalidOperation, ValueError, ArithmeticError) as error:
        raise BadInput(
            f"{text!r} is not a list of numbers; write start:stop:step such as 0:0.5:0.025, or 0.5,0.7"
        ) from error
    return tuple(map(float, numbers))


def components(signal: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Maximal runs of snippets above each threshold: (N, 2) unique intervals [start, end), from a signal (T,)."""
    above = np.zeros((len(thresholds), len(signal) + 2), dtype=np.int8)  # (K, T+2), nothing before and after
    above[:, 1:-1] = signal[None, :] > np.asarray(thresholds, dtype=np.float64)[:, None]
    edges = np.diff(above, axis=1)
    starts, ends = np.nonzero(edges == 1)[1], np.nonzero(edges == -1)[1]
    distinct = np.unique(starts * (len(signal) + 1) + ends)  # of integers: sorting pairs takes ten times as long
    return np.stack(np.divmod(distinct, len(signal) + 1), axis=1)


def interval_means(signal: np.ndarray, intervals: np.ndarray) -> np.ndarray:
    """Mean of a signal (T,) or (T, K) over each of N intervals: (N,) or (N, K)."""
    total = np.concatenate([np.zeros_like(signal[:1], dtype=np.float64), np.cumsum(signal, axis=0, dtype=np.float64)])
    lengths = (intervals[:, 1] - intervals[:, 0]).reshape(-1, *[1] * (signal.ndim - 1))
    return (total[intervals[:, 1]] - total[intervals[:, 0]]) / lengths


def interval_seconds(intervals: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """(N, 2) seconds of intervals, from the (T, 2) seconds of the snippets."""
    return np.stack([seconds[intervals[:, 0], 0], seconds[intervals[:, 1] - 1, 1]], axis=1)


def boundary_seconds(boundaries: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """(N, 2) seconds of boundaries that may lie within or beyond snippets; whole ones as interval_seconds has them."""
    places = np.arange(len(seconds) + 1)
    starts, ends = np.append(seconds[:, 0], seconds[-1, 1]), np.append(seconds[0, 0], seconds[:, 1])
    return np.stack([np.interp(boundaries[:, 0], places, starts), np.interp(boundaries[:, 1], places, ends)], axis=1)


def non_maximum_suppression(segments: np.ndarray, scores: np.ndarray, overlap: float) -> np.ndarray:
    """Indices of the segments (N, 2) to keep, by decreasing score; ties: the first given.

    A segment is dropped if its tIoU with a kept one of higher score is above `overlap`. tIoU is in seconds without the
    "+ 1" of box code, which is a pixel: a third of THUMOS14's instances are shorter than two seconds.
    """
    waiting, kept = np.argsort(-scores, kind="stable"), [np.zeros(0, dtype=np.int64)]
    while waiting.size:
        block = waiting[:BLOCK]  # bounds the matrix for thousands of proposals
        drops = temporal_iou(segments[block], segments[waiting]) > overlap
        worse = np.triu(drops[:, : len(block)], 1)  # pairs (better, worse) of which the second may be dropped
        stays: np.ndarray = ~np.any(worse, axis=0)
        before: np.ndarray = np.ones(len(block), dtype=bool)
        while (stays != before).any():  # each round settles one more link of every chain of overlaps
            stays, before = ~np.any(worse[stays], axis=0), stays
        kept.append(block[stays])
        waiting = waiting[len(block) :][~drops[stays, len(block) :].any(axis=0)]
    return np.concatenate(kept)


def soft_suppression(segments: np.ndarray, scores: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Soft-NMS (Bodla et al., ICCV 2017, Gaussian): indices by decreasing new score, and those scores.

    Each kept segment lowers the scores s > 0 of the others to s x exp(-tIoU^2 / sigma); what falls below a thousandth
    of the best is dropped.
    """
    left, scores = np.arange(len(segments)), scores.astype(np.float64)
    floor = FLOOR * scores.max(initial=0)
    kept: list[int] = []
    while left.size:
        best = left[scores[left].argmax()]
        if floor and scores[best] < floor:
            break
        kept.append(int(best))
        left = left[left != best]
        overlap = temporal_iou(segments[[best]], segments[left])[0]
        scores[left] *= np.where(scores[left] > 0, np.exp(-(overlap**2) / sigma), 1)
    return np.array(kept, dtype=np.int64), scores[kept]


def suppressed(
    label: str, segments: np.ndarray, scores: np.ndarray, overlap: float, soft: float = 0.0
) -> Iterator[Instance]:
    """The instances of one label that non-maximum suppression keeps; soft: sigma of soft-NMS, 0 for dropping."""
    if not soft:
        kept = non_maximum_suppression(segments, scores, overlap)
        scores = scores[kept]
    else:
        kept, scores = soft_suppression(segments, scores, soft)
    for (start, end), score in zip(segments[kept].tolist(), scores.tolist(), strict=True):
        yield Instance(label, start, end, score)
