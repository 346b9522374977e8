"""Where the errors come from, after DETAD (Alwassel et al., ECCV 2018), on plain arrays.

False positives: of each class the best 10 G detections count, G being its number of true instances. One that matches no
instance is classified by the instance, of any class, that it overlaps most (ties: one of its own class):

                          its own class      another class
    tIoU >= t             double detection   wrong label
    .1 <= tIoU < t        localization       confusion
    tIoU < .1             background

The impact of a type is the gain in mAP of those detections when all of that type are removed (plain AP; DETAD's is
normalised by the mean number of instances). False negatives: true instances that no detection matches, by length, by
the share of the video they cover, and by the number of instances of the class in the video. Several tIoU thresholds are
averaged.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

import numpy as np

from plusmv.core.annotations import AnnotatedVideo, Instance
from plusmv.core.outcome import Ended
from plusmv.wsal.evaluate import (
    by_score,
    interpolated_average_precision,
    labelled_pairs,
    matches,
    segments_of,
    temporal_iou,
)
from plusmv.wsal.evaluation_notes import notes_of

ErrorType = Literal["double detection", "wrong label", "localization", "confusion", "background"]
Verdict = Literal["true positive", ErrorType]
Property = Literal["length", "coverage", "instances"]  # by which missed instances are grouped
TRUE: Verdict = "true positive"
ERRORS: tuple[ErrorType, ...] = get_args(ErrorType)
VERDICTS: tuple[Verdict, ...] = (TRUE, *ERRORS)
MIN_TIOU = 0.1  # below it a detection counts as background
PROFILE_ROWS = 10  # of G detections each, by rank: 10 G of a class are diagnosed


# What the k-th G of each class's detections are; a share of them for each Verdict.
ProfileRow = TypedDict(
    "ProfileRow",
    {
        "top": int,  # k
        "detections": int,
        "true positive": float,
        "double detection": float,
        "wrong label": float,
        "localization": float,
        "confusion": float,
        "background": float,
    },
)


class MissedGroup(TypedDict):
    """True instances of one group, and how many of them no detection matches."""

    group: str  # such as "3 to 6"
    true: int
    missed: float  # averaged over the thresholds
    rate: float


class Diagnosis(TypedDict):
    """An error analysis of detections, with shares and mAP in [0, 1]: diagnosis.json."""

    tiou: list[float]
    mAP: float  # of the best 10 G
    true_instances: int
    detections: int  # diagnosed
    profile: list[ProfileRow]
    impact: dict[ErrorType, float]  # gain in mAP without the errors of the type
    false_negatives: dict[Property, list[MissedGroup]]
    missed: float  # rate over all true instances
    notes: list[str]


class DiagnoseResult(Diagnosis, Ended):
    """What `plusmv diagnose --json` prints; done, failed: as of `plusmv evaluate`."""

    written: list[str]  # files


@dataclass(frozen=True)
class Bins:
    """Groups of true instances: each ends at an edge, included."""

    length: tuple[float, ...]  # seconds
    coverage: tuple[float, ...]  # of the video
    instances: tuple[float, ...]  # of the class in the video


BINS = {  # DETAD's, for its two data sets
    "thumos": Bins((3, 6, 12, 18, np.inf), (0.02, 0.04, 0.06, 0.08, 1), (1, 40, 80, np.inf)),
    "activitynet": Bins((30, 60, 120, 180, np.inf), (0.2, 0.4, 0.6, 0.8, 1), (1, 4, 8, np.inf)),
}


def diagnose(
    ground_truth: Mapping[str, AnnotatedVideo],
    detections: Mapping[str, Sequence[Instance]],
    tious: Sequence[float] = (0.5,),
    bins: Bins = BINS["thumos"],
) -> Diagnosis:
    """Types of false positives, their impact, and missed instances."""
    truth, predicted, _ = labelled_pairs(ground_truth, detections)
    thresholds = np.asarray(tious, dtype=np.float64)
    instances_by_video = defaultdict(list)
    for video, instance in (pair for pairs in truth.values() for pair in pairs):
        instances_by_video[video].append(instance)
    profile: list[Counter[str]] = [Counter() for _ in range(PROFILE_ROWS)]
    gains: dict[ErrorType, list[float]] = {error: [] for error in ERRORS}
    precisions, missed = [], []
    for label in sorted(truth):
        detected = predicted.get(label, [])
        taken = matches(truth[label], detected, order := by_score(detected), thresholds)
        missed += [
            (label, video, i, 1 - (taken == row).any(axis=0).mean()) for row, (video, i) in enumerate(truth[label])
        ]
        top = PROFILE_ROWS * len(truth[label])
        ranked = [detected[index] for index in order[:top]]
        types = error_types(ranked, taken[:top], instances_by_video, thresholds)  # (P, K) of names
        for rank, row in enumerate(types):
            profile[rank // len(truth[label])].update(row)
        precisions.append(_precision(types, len(truth[label])))
        for error in ERRORS:
            gains[error].append(_precision(types, len(truth[label]), without=error) - precisions[-1])
    diagnosed = sum(map(Counter.total, profile))
    return {
        "tiou": thresholds.tolist(),
        "mAP": float(np.mean(precisions)) if precisions else 0.0,
        "true_instances": len(missed),
        "detections": diagnosed // max(1, len(thresholds)),
        "profile": [_profile_row(top, counts, len(thresholds)) for top, counts in enumerate(profile, 1)],
        "impact": {error: float(np.mean(gain)) if gain else 0.0 for error, gain in gains.items()},
        "false_negatives": _false_negatives(ground_truth, missed, bins),
        "missed": float(np.mean([share for *_, share in missed])) if missed else 0.0,
        "notes": _notes(ground_truth, detections, truth, predicted),
    }


def error_types(
    ranked: Sequence[tuple[str, Instance]],
    taken: np.ndarray,
    instances_by_video: Mapping[str, Sequence[Instance]],
    thresholds: np.ndarray,
) -> np.ndarray:
    """(P, K) TRUE or one of ERRORS for each detection of one class and each threshold.

    ranked: (video, detection) by decreasing score; taken: (P, K), -1 where it matches no instance;
    instances_by_video: the true instances of each video, of any class, without ambiguous segments.
    """
    own, other = np.zeros(len(ranked)), np.zeros(len(ranked))
    for row, (video, detection) in enumerate(ranked):
        instances = instances_by_video.get(video, ())
        if instances:
            overlaps = temporal_iou(segments_of([detection]), segments_of(instances))[0]
            same = np.array([instance.label == detection.label for instance in instances])
            own[row], other[row] = overlaps[same].max(initial=0), overlaps[~same].max(initial=0)
    mine = (own >= other)[:, None]
    best = np.maximum(own, other)[:, None]
    reaches, near = best >= thresholds, best >= MIN_TIOU
    cases = [taken >= 0, reaches & mine, reaches & ~mine, near & mine, near & ~mine]
    return np.select([np.broadcast_to(case, taken.shape) for case in cases], [TRUE, *ERRORS[:4]], ERRORS[4])


def _precision(types: np.ndarray, positives: int, without: str | None = None) -> float:
    """AP of detections by rank, averaged over the thresholds, without those of one error type."""
    columns = [column[column != without] == TRUE for column in types.T]
    return float(np.mean([interpolated_average_precision(column, positives) for column in columns]))


def _profile_row(top: int, counts: Counter[str], thresholds: int) -> ProfileRow:
    total = counts.total()
    shares = {verdict: counts[verdict] / total if total else 0.0 for verdict in VERDICTS}
    return {
        "top": top,
        "detections": total // max(1, thresholds),
        "true positive": shares["true positive"],
        "double detection": shares["double detection"],
        "wrong label": shares["wrong label"],
        "localization": shares["localization"],
        "confusion": shares["confusion"],
        "background": shares["background"],
    }


def _false_negatives(
    ground_truth: Mapping[str, AnnotatedVideo], missed: Sequence, bins: Bins
) -> dict[Property, list[MissedGroup]]:
    counts = Counter((label, video) for label, video, *_ in missed)
    lengths = np.array([instance.end - instance.start for _, _, instance, _ in missed])
    durations = np.array([ground_truth[video].duration for _, video, *_ in missed])
    coverage = np.divide(lengths, durations, out=np.full(len(lengths), np.nan), where=durations > 0)
    several = np.array([counts[label, video] for label, video, *_ in missed])
    shares = np.array([share for *_, share in missed])
    return {
        "length": _groups(lengths, bins.length, shares),
        "coverage": _groups(coverage, bins.coverage, shares),
        "instances": _groups(several, bins.instances, shares),
    }


def _groups(values: np.ndarray, edges: Sequence[float], shares: np.ndarray) -> list[MissedGroup]:
    groups: list[MissedGroup] = []
    low = 0.0
    for edge in edges:
        inside = (values > low) & (values <= edge)
        true = int(inside.sum())
        missed = float(shares[inside].sum())
        name = f"over {low:g}" if np.isinf(edge) else f"up to {edge:g}" if low == 0 else f"{low:g} to {edge:g}"
        groups.append({"group": name, "true": true, "missed": missed, "rate": missed / true if true else 0.0})
        low = edge
    return groups


def _notes(
    ground_truth: Mapping[str, AnnotatedVideo], detections: Mapping, truth: Mapping, predicted: Mapping
) -> list[str]:
    """The evaluation's notes, and those on groups that lack instances."""
    instances = [(ground_truth[video], instance) for pairs in truth.values() for video, instance in pairs]
    empty = sum(instance.end <= instance.start for _, instance in instances)
    too_long = sum(0 < video.duration < instance.end - instance.start for video, instance in instances)
    no_duration = sum(video.duration <= 0 for video, _ in instances)
    notes = [
        (empty, f"{empty} true instances have no extent and are in no group of lengths"),
        (too_long, f"{too_long} true instances are longer than their video and are in no group of coverage"),
        (no_duration, f"{no_duration} true instances of videos of unknown duration are in no group of coverage"),
    ]
    return notes_of(ground_truth, detections, truth, predicted) + [note for occurs, note in notes if occurs]
