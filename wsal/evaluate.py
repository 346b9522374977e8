"""Average precision of temporal detections after ActivityNet's protocol, in plain numpy.

The protocol of the official `eval_detection.py`: within a class, detections of all videos are taken by decreasing
score (ties: the later in the file first, its reversed argsort made stable); each matches the free true instance of its
video with the highest tIoU, if that reaches the threshold, else it is a false positive; AP is the area under the
interpolated precision-recall curve; mAP is the mean over the classes that have a true instance.

The protocol "thumos" adds the THUMOS toolkit's treatment of ambiguous segments and nothing else: a detection that
matches no true instance and overlaps a segment labelled "Ambiguous" is left out instead of being a false positive. (The
toolkit also matches instance by instance and computes another AP; published THUMOS14 figures mostly use ActivityNet's.)

What the official code leaves undefined is defined here, and reported under "notes" when it occurs: labels found only
among the detections count in no class, two segments without any extent have tIoU 0, true instances without extent stay
in the recall's denominator, a detection in a video that is not in the ground truth is a false positive.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from plusmv.core.annotations import AnnotatedVideo, Instance, score_of
from plusmv.core.errors import BadInput
from plusmv.core.outcome import Ended
from plusmv.wsal.datasets import AMBIGUOUS
from plusmv.wsal.evaluation_notes import Pairs, ambiguity_notes, notes_of

PROTOCOLS = ("activitynet", "thumos")
THUMOS_TIOUS = tuple(step / 10 for step in range(1, 10))  # paper Tables 1 to 3


class EvaluateResult(Ended):
    """What `plusmv evaluate --json` prints: AP and mAP in [0, 1] at full precision.

    done, failed: annotated videos that the detections name, if only with an empty list, and that they do not name.
    """

    protocol: str
    tiou: list[float]
    mAP: list[float]  # at each tIoU
    average_mAP: float
    per_class: dict[str, list[float]]  # label -> AP at each tIoU
    videos: int
    ground_truth: int  # true instances
    detections: int
    notes: list[str]


def evaluate(
    ground_truth: Mapping[str, AnnotatedVideo],
    detections: Mapping[str, Sequence[Instance]],
    tious: Sequence[float] = THUMOS_TIOUS,
    protocol: str = "activitynet",
    without: Sequence[str] = (),
) -> EvaluateResult:
    """Score detections against annotations, both as wsal.datasets reads them.

    without: videos to exclude, with their detections. Raises BadInput for an unknown protocol.
    """
    if protocol not in PROTOCOLS:
        raise BadInput(f"unknown protocol {protocol!r}; use {' or '.join(PROTOCOLS)}")
    left_out = [video for video in without if video in ground_truth or video in detections]
    ground_truth = {video: known for video, known in ground_truth.items() if video not in left_out}
    detections = {video: instances for video, instances in detections.items() if video not in left_out}
    truth, predicted, ambiguous = labelled_pairs(ground_truth, detections)
    thresholds = np.asarray(tious, dtype=np.float64)
    ignored = ambiguous if protocol == "thumos" else {}
    per_class = {
        label: class_average_precision(truth[label], predicted.get(label, []), thresholds, ignored)
        for label in sorted(truth)
    }
    mean = np.mean(list(per_class.values()), axis=0) if per_class else np.zeros(len(thresholds))
    return {
        "protocol": protocol,
        "tiou": thresholds.tolist(),
        "mAP": mean.tolist(),
        "average_mAP": float(mean.mean()) if len(mean) else 0.0,
        "per_class": {label: precision.tolist() for label, precision in per_class.items()},
        "videos": len(ground_truth),
        "ground_truth": sum(map(len, truth.values())),
        "detections": sum(map(len, predicted.values())),
        "notes": notes_of(ground_truth, detections, truth, predicted) + ambiguity_notes(ambiguous, protocol, left_out),
        **named(ground_truth, detections),
    }


def named(ground_truth: Mapping[str, AnnotatedVideo], detections: Mapping[str, Sequence[Instance]]) -> Ended:
    """Annotated videos that the detections name (done), if only with an empty list, or do not name (failed)."""
    known = ground_truth.keys()
    return {"done": len(known & detections.keys()), "skipped": 0, "failed": len(known - detections.keys())}


def labelled_pairs(
    ground_truth: Mapping[str, AnnotatedVideo], detections: Mapping[str, Sequence[Instance]]
) -> tuple[dict[str, Pairs], dict[str, Pairs], dict[str, np.ndarray]]:
    """True instances and detections by label, and {video: (A, 2)} ambiguous segments, which are neither."""
    truth = _by_label((video.id, instance) for video in ground_truth.values() for instance in video.instances)
    predicted = _by_label((video, instance) for video, instances in detections.items() for instance in instances)
    instances_by_video = defaultdict(list)
    for video, instance in truth.pop(AMBIGUOUS, []):
        instances_by_video[video].append(instance)
    return truth, predicted, {video: segments_of(instances) for video, instances in instances_by_video.items()}


def class_average_precision(
    truth: Pairs, predicted: Pairs, thresholds: np.ndarray, ambiguous: Mapping[str, np.ndarray] | None = None
) -> np.ndarray:
    """AP of one class at each tIoU threshold: (len(thresholds),) from the subset's (video id, instance) pairs.

    ambiguous: {video: (A, 2)} segments; false positives that overlap one are ignored.
    """
    order = by_score(predicted)
    hits = matches(truth, predicted, order, thresholds) >= 0
    ignored = np.zeros(len(predicted), dtype=bool)
    if ambiguous:
        ranked = [predicted[index] for index in order]
        ignored = np.array([_overlaps(ambiguous.get(video), instance) for video, instance in ranked], dtype=bool)
    return np.array(
        [
            interpolated_average_precision(hits[hits[:, k] | ~ignored, k], len(truth))
            for k in range(len(thresholds))
        ]
    )  # fmt: skip


def by_score(predicted: Pairs) -> np.ndarray:
    """Indices of the detections by decreasing score; of equal scores the later first."""
    scores = np.array([score_of(detection) for _, detection in predicted], dtype=np.float64)
    return np.argsort(scores, kind="stable")[::-1]


def matches(truth: Pairs, predicted: Pairs, order: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(P, K) index into `truth` of the instance that each detection matches at each threshold, by rank; -1 for none."""
    taken = np.full((len(order), len(thresholds)), -1)
    rows_of_video, instances_of_video = _rows_by_video(predicted[index] for index in order), _rows_by_video(truth)
    for video, rows in rows_of_video.items():
        if video in instances_of_video:
            places = np.array(instances_of_video[video])
            overlaps = temporal_iou(
                segments_of(predicted[order[row]][1] for row in rows), segments_of(truth[place][1] for place in places)
            )
            local = greedy_matches(overlaps, thresholds)
            taken[rows] = np.where(local >= 0, places[local], -1)
    return taken


def greedy_matches(overlaps: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The true instance that each detection of one video matches: (P, K) indices, -1 for none, from tIoU (P, G).

    Detections come best first. Only the few pairs that reach the lowest threshold are visited, for all K thresholds at
    once, each row's best true instance first. Where a detection overlaps several equally, the official code's reversed
    numpy argsort decides. Such ties are real (a long detection over equally long instances): another order moves an AP
    of the published STPN detections by .01.
    """
    matched = np.full((len(overlaps), len(thresholds)), -1)
    free = np.ones((overlaps.shape[1], len(thresholds)), dtype=bool)
    order = np.argsort(overlaps, axis=1)[:, ::-1]
    overlaps = np.take_along_axis(overlaps, order, axis=1)
    rows, ranks = np.nonzero(overlaps >= thresholds.min(initial=np.inf))
    reached = overlaps[rows, ranks][:, None] >= thresholds
    for row, column, passes in zip(rows.tolist(), order[rows, ranks].tolist(), reached, strict=True):
        taken = passes & free[column] & (matched[row] < 0)
        free[column] ^= taken
        matched[row, taken] = column
    return matched


def interpolated_average_precision(hits: np.ndarray, positives: int) -> float:
    """Area under the interpolated precision-recall curve (VOC 2011, all points) of detections by decreasing score."""
    true = np.cumsum(hits)
    precision = true / np.arange(1, len(hits) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(best_from_here[hits.astype(bool)]) / positives) if positives else 0.0


def temporal_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """tIoU in seconds of each segment of (P, 2) with each of (G, 2): (P, G). 0 where the two have no extent."""
    starts = np.maximum(first[:, None, 0], second[None, :, 0])
    ends = np.minimum(first[:, None, 1], second[None, :, 1])
    intersection = (ends - starts).clip(0)
    lengths = first[:, 1] - first[:, 0], second[:, 1] - second[:, 0]
    union = lengths[1][None, :] + lengths[0][:, None] - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)


def _by_label(pairs: Iterable[tuple[str, Instance]]) -> dict[str, Pairs]:
    labelled = defaultdict(list)
    for video, instance in pairs:
        labelled[instance.label].append((video, instance))
    return dict(labelled)


def _rows_by_video(pairs: Iterable[tuple[str, Instance]]) -> dict[str, list[int]]:
    rows = defaultdict(list)
    for row, (video, _) in enumerate(pairs):
        rows[video].append(row)
    return rows


def _overlaps(segments: np.ndarray | None, instance: Instance) -> bool:
    return segments is not None and bool(
        (np.minimum(segments[:, 1], instance.end) > np.maximum(segments[:, 0], instance.start)).any()
    )


def segments_of(instances: Iterable[Instance]) -> np.ndarray:
    """(N, 2) seconds."""
    return np.array([(instance.start, instance.end) for instance in instances], dtype=np.float64).reshape(-1, 2)
