"""Average precision of temporal detections after ActivityNet's protocol, in plain numpy.

The protocol of the official `eval_detection.py`: within a class, detections of all videos are taken by decreasing
score (ties: the later in the file first, its reversed argsort made stable); each takes the free true instance of its
video with the highest tIoU, if that reaches the threshold, else it is a false positive; AP is the area under the
interpolated precision-recall curve; mAP is the mean over the classes that have a true instance.

What the official code leaves undefined is defined here, and named under "notes" when it occurs: labels found only among
the detections count in no class, two segments without any extent have tIoU 0, true instances without extent stay in the
recall's denominator, a detection in a video that is not in the ground truth is a false positive.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from core.annotations import AnnotatedVideo, Instance

PROTOCOL = "activitynet"
THUMOS_TIOUS = tuple(step / 10 for step in range(1, 10))  # paper Tables 1 to 3


def evaluate(
    ground_truth: Mapping[str, AnnotatedVideo],
    detections: Mapping[str, Sequence[Instance]],
    tious: Sequence[float] = THUMOS_TIOUS,
) -> dict:
    """Score detections against annotations, both as core.annotations reads them.

    Returns {"protocol", "tiou", "mAP", "average_mAP", "per_class": {label: AP at each tIoU}, "videos", "ground_truth",
    "detections", "notes"}; AP and mAP in [0, 1] at full precision, counts of videos, true instances and detections.
    """
    truth = _by_label((video.id, instance) for video in ground_truth.values() for instance in video.instances)
    found = _by_label((video, instance) for video, instances in detections.items() for instance in instances)
    thresholds = np.asarray(tious, dtype=np.float64)
    per_class = {
        label: class_average_precision(truth[label], found.get(label, []), thresholds) for label in sorted(truth)
    }
    mean = np.mean(list(per_class.values()), axis=0) if per_class else np.zeros(len(thresholds))
    return {
        "protocol": PROTOCOL,
        "tiou": thresholds.tolist(),
        "mAP": mean.tolist(),
        "average_mAP": float(mean.mean()),
        "per_class": {label: precision.tolist() for label, precision in per_class.items()},
        "videos": len(ground_truth),
        "ground_truth": sum(map(len, truth.values())),
        "detections": sum(map(len, found.values())),
        "notes": _notes(ground_truth, detections, truth, found),
    }


def class_average_precision(
    truth: Sequence[tuple[str, Instance]], found: Sequence[tuple[str, Instance]], thresholds: np.ndarray
) -> np.ndarray:
    """AP of one class at each tIoU threshold: (len(thresholds),) from the subset's (video id, instance) pairs."""
    order = np.argsort([instance.score for _, instance in found], kind="stable")[::-1] if found else np.zeros(0, int)
    hits = np.zeros((len(found), len(thresholds)), dtype=bool)  # (detection by rank, threshold)
    rows_of_video, instances_of_video = _rows_by_video(found[index] for index in order), _rows_by_video(truth)
    for video, rows in rows_of_video.items():
        if video in instances_of_video:
            overlaps = temporal_iou(
                _segments(found[order[row]][1] for row in rows),
                _segments(truth[column][1] for column in instances_of_video[video]),
            )
            hits[rows] = greedy_matches(overlaps, thresholds)
    return np.array([interpolated_average_precision(hits[:, column], len(truth)) for column in range(len(thresholds))])


def greedy_matches(overlaps: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Which detections of one video find a true instance: (P, K) bool from tIoU (P, G), rows by decreasing score.

    Only the few pairs that reach the lowest threshold are visited, for all K thresholds at once, each row's best true
    instance first. Where a detection overlaps several equally, the official code's reversed numpy argsort decides. Such
    ties are real (a long detection over equally long instances): sorting them otherwise moves an AP of the published
    STPN detections by .01.
    """
    matched = np.zeros((len(overlaps), len(thresholds)), dtype=bool)
    free = np.ones((overlaps.shape[1], len(thresholds)), dtype=bool)
    order = np.argsort(overlaps, axis=1)[:, ::-1]
    overlaps = np.take_along_axis(overlaps, order, axis=1)
    rows, ranks = np.nonzero(overlaps >= thresholds.min(initial=np.inf))
    reached = overlaps[rows, ranks][:, None] >= thresholds
    for row, column, passes in zip(rows.tolist(), order[rows, ranks].tolist(), reached, strict=True):
        taken = passes & free[column] & ~matched[row]
        free[column] ^= taken
        matched[row] |= taken
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


def _by_label(pairs: Iterable[tuple[str, Instance]]) -> dict[str, list[tuple[str, Instance]]]:
    labelled = defaultdict(list)
    for video, instance in pairs:
        labelled[instance.label].append((video, instance))
    return dict(labelled)


def _rows_by_video(pairs: Iterable[tuple[str, Instance]]) -> dict[str, list[int]]:
    rows = defaultdict(list)
    for row, (video, _) in enumerate(pairs):
        rows[video].append(row)
    return rows


def _segments(instances: Iterable[Instance]) -> np.ndarray:
    return np.array([(instance.start, instance.end) for instance in instances], dtype=np.float64).reshape(-1, 2)


def _notes(ground_truth: Mapping, detections: Mapping, truth: Mapping, found: Mapping) -> list[str]:
    """What is out of the ordinary in these files and how it was treated, one sentence each."""
    silent = [video for video in ground_truth if not detections.get(video)]
    foreign = [video for video in detections if video not in ground_truth and detections[video]]
    unknown = sorted(set(found) - set(truth))
    flat = {
        "true instances": sum(instance.end <= instance.start for pairs in truth.values() for _, instance in pairs),
        "detections": sum(instance.end <= instance.start for pairs in found.values() for _, instance in pairs),
    }
    tied = sum(len(pairs) - len({instance.score for _, instance in pairs}) for pairs in found.values())
    past = sum(0 < video.duration < i.end for video in ground_truth.values() for i in video.instances)
    notes = [
        (not truth, "there is no true instance, so there is no class to score"),
        (silent, f"{len(silent)} videos have no detection: {_some(silent)}"),
        (foreign, f"{sum(len(detections[v]) for v in foreign)} detections lie in {len(foreign)} videos without ground"
                  f" truth and count as false positives: {_some(foreign)}"),
        (unknown, f"{sum(len(found[u]) for u in unknown)} detections have labels without any true instance and count"
                  f" in no class: {_some(unknown)}"),
        *((count, f"{count} {what} end where they start or before and match nothing") for what, count in flat.items()),
        (past, f"{past} true instances end after their video; they are taken as they stand"),
        (tied, f"{tied} detections share their score with another of their class; the later in the file goes first"),
    ]  # fmt: skip
    return [sentence for occurs, sentence in notes if occurs]


def _some(names: Sequence[str], limit: int = 5) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
