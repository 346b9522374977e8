"""Detection: from a trained run and features to labelled, scored intervals in seconds (paper Eq. 12)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
import torch

from plusmv.core.annotations import Instance, by_decreasing_score
from plusmv.core.errors import BadInput, Refused
from plusmv.features.feature_files import VideoFeatures
from plusmv.wsal import two_sided
from plusmv.wsal.checkpoints import Checkpoint
from plusmv.wsal.methods.method import Reading
from plusmv.wsal.proposals import (
    boundary_seconds,
    components,
    interval_means,
    interval_seconds,
    parse_steps,
    suppressed,
)

DEFAULT_THRESHOLDS = {
    "attention": "0:0.5:0.025",
    "tcam": "0.05",
    "two-sided": "0.05:0.95:0.05",
    "own": "",
}  # the paper's; STPN's; ours; boundaries of the method's own need none
Scores = Callable[[int, np.ndarray], np.ndarray]  # (place among the present classes, (N, 2) proposals) -> (N,)
TOP_SNIPPETS = 3  # per class, whose mean T-CAM is the clip's score for it


class DetectionSettingsEntry(TypedDict):
    """DetectionSettings in a detection file."""

    gate: float
    rgb_share: float
    proposals: str
    thresholds: list[float]
    overlap: float


@dataclass(frozen=True)
class DetectionSettings:
    """How snippet scores become detections."""

    gate: float = 0.1  # minimum video-level probability of a class; below it only the best class (paper)
    rgb_share: float = 0.5  # theta of Eq. 12; flow has 1 - theta
    proposals: str = "attention"  # the paper; "tcam": attention x sigmoid(T-CAM) of each class and stream (STPN);
    # "two-sided": peaks and dips of the T-CAM, scored by contrast in place of Eq. 12 (wsal.two_sided)
    # "own": boundaries and scores of the method's own (Reading.segments)
    thresholds: tuple[float, ...] | None = None  # None: DEFAULT_THRESHOLDS of the proposals
    overlap: float = 0.5  # tIoU above which non-maximum suppression drops the lower-scored detection (paper)

    def __post_init__(self):
        if self.proposals not in DEFAULT_THRESHOLDS:
            raise BadInput(f"unknown proposals {self.proposals!r}; use {' or '.join(DEFAULT_THRESHOLDS)}")
        if not all(0 <= share <= 1 for share in (self.gate, self.rgb_share, self.overlap)):
            raise BadInput("the gate, theta and the NMS overlap must lie between 0 and 1")
        if self.thresholds and self.proposals == "own":
            raise BadInput("boundaries of the method's own take no thresholds")
        if not all(0 <= level < 1 for level in self.levels):
            raise BadInput("proposal thresholds must be at least 0 and below 1, the range of the attention")

    @property
    def levels(self) -> np.ndarray:
        default = DEFAULT_THRESHOLDS[self.proposals]
        return np.array(self.thresholds or (parse_steps(default) if default else ()))

    def to_json(self) -> DetectionSettingsEntry:
        return {
            "gate": self.gate,
            "rgb_share": self.rgb_share,
            "proposals": self.proposals,
            "thresholds": self.levels.tolist(),
            "overlap": self.overlap,
        }


@dataclass(frozen=True)
class VideoReadout:
    """Outputs of the streams' models for one video, as arrays. Class index 0 is the background."""

    seconds: np.ndarray  # (T, 2)
    probability: np.ndarray  # (C+1,), mean over the streams
    attention: dict[str, np.ndarray]  # stream -> (T,)
    activation: dict[str, np.ndarray]  # stream -> (T, C+1), the T-CAM w_c . x_t
    score: dict[str, np.ndarray] = field(
        default_factory=dict
    )  # stream -> (T, C+1), of methods with a score of their own
    features: dict[str, np.ndarray] = field(default_factory=dict)  # stream -> (T, d), for novelty (wsal.two_sided)
    segments: dict[str, np.ndarray] = field(
        default_factory=dict
    )  # stream -> (N, 4) class index, start, end, score, of methods with boundaries of their own

    def mean_attention(self) -> np.ndarray:
        return np.mean(list(self.attention.values()), axis=0)

    def shares(self, rgb_share: float) -> dict[str, float]:
        """Each stream's weight in Eq. 12; 1 for a single stream."""
        if len(self.attention) == 1:
            return dict.fromkeys(self.attention, 1.0)
        return {stream: rgb_share if stream == "rgb" else 1 - rgb_share for stream in self.attention}

    def weighted_activation(self, rgb_share: float, classes: np.ndarray) -> np.ndarray:
        """(T, k) of k class indices: what Eq. 12 attention_statistics over a proposal."""
        shares = self.shares(rgb_share).items()
        return np.sum([share * self._stream_score(stream, classes) for stream, share in shares], axis=0)

    def _stream_score(self, stream: str, classes: np.ndarray) -> np.ndarray:
        if stream in self.score:
            return self.score[stream][:, classes]
        return self.attention[stream][:, None] * self.activation[stream][:, classes]


@torch.inference_mode()
def read_video(checkpoint: Checkpoint, features: VideoFeatures) -> VideoReadout:
    """Apply each stream's model. Raises BadInput where the features lack a stream or have another width."""
    readings = {}
    for stream, model in checkpoint.models.items():
        width = len(model.mean)
        if stream not in features.streams or features.streams[stream].shape[1] != width:
            raise BadInput(f"{features.id} has no {stream} features of width {width}, on which this run was trained")
        reading = model.read(torch.from_numpy(features.streams[stream]).to(model.mean.device))
        readings[stream] = Reading._make(None if each is None else each.cpu() for each in reading)
    return VideoReadout(
        features.seconds(),
        np.mean([reading.probability.numpy() for reading in readings.values()], axis=0),
        {stream: reading.attention.numpy() for stream, reading in readings.items()},
        {stream: reading.activation.numpy() for stream, reading in readings.items()},
        {stream: reading.score.numpy() for stream, reading in readings.items() if reading.score is not None},
        {stream: features.streams[stream] for stream in checkpoint.models},
        {stream: reading.segments.numpy() for stream, reading in readings.items() if reading.segments is not None},
    )


def check_recipe(checkpoint: Checkpoint, features: VideoFeatures) -> None:
    """Raises Refused for features whose recipe is known and is not one of the training's."""
    if features.recipe and checkpoint.recipes and features.recipe not in checkpoint.recipes:
        raise Refused(f"the features of {features.id} have another recipe than those the run was trained on;"
                      " extract them with the same recipe, or pass --allow-mixed-recipes")  # fmt: skip


def present_classes(probability: np.ndarray, gate: float) -> np.ndarray:
    """Foreground class indices (1..C) with at least the gate's probability, or the best one if none has."""
    foreground = probability[1:]
    passing = np.flatnonzero(foreground >= gate)
    # .size, not .any(), which is False for the index 0 alone; a published result lacks a video for it
    return 1 + (passing if passing.size else np.array([foreground.argmax()]))


def detect_video(readout: VideoReadout, classes: tuple[str, ...], settings: DetectionSettings) -> list[Instance]:
    """Detections of one video by decreasing score. Scores are means of raw logits and may be negative."""
    present = present_classes(readout.probability, settings.gate)
    if settings.proposals == "own":
        return by_decreasing_score(_own_detections(readout, present, classes, settings.overlap))
    scored = _scores_two_sided if settings.proposals == "two-sided" else _scores_by_equation_12
    score = scored(readout, present, settings)
    shared = class_proposals(readout, 0, settings) if settings.proposals == "attention" else None
    detections: list[Instance] = []
    for column, index in enumerate(present.tolist()):
        intervals = class_proposals(readout, index, settings) if shared is None else shared
        segments = interval_seconds(intervals, readout.seconds)
        extended = segments[:, 1] > segments[:, 0]  # snippets past the video's end are clipped to nothing
        scores = score(column, intervals[extended])
        detections += suppressed(classes[index - 1], segments[extended], scores, settings.overlap)
    return by_decreasing_score(detections)


def _own_detections(
    readout: VideoReadout, present: np.ndarray, classes: tuple[str, ...], overlap: float
) -> Iterator[Instance]:
    """The method's own segments of the present classes, all streams together, after non-maximum suppression."""
    if not readout.segments:
        ways = ", ".join(way for way in DEFAULT_THRESHOLDS if way != "own")
        raise BadInput(f"this run's method has no boundaries of its own; use another --proposals: {ways}")
    rows = np.concatenate(list(readout.segments.values()))  # (N, 4)
    for index in present.tolist():
        own = rows[rows[:, 0] == index]
        segments = boundary_seconds(own[:, 1:3], readout.seconds)
        extended = segments[:, 1] > segments[:, 0]
        yield from suppressed(classes[index - 1], segments[extended], own[extended, 3], overlap)


def _scores_by_equation_12(readout: VideoReadout, present: np.ndarray, settings: DetectionSettings) -> Scores:
    weighted = readout.weighted_activation(settings.rgb_share, present)  # (T, k)
    return lambda column, intervals: interval_means(weighted[:, column], intervals)


def _scores_two_sided(readout: VideoReadout, present: np.ndarray, settings: DetectionSettings) -> Scores:
    probability = two_sided.presence(list(readout.activation.values()))  # (T, C+1)
    shares = list(readout.shares(settings.rgb_share).values())
    each = [two_sided.novelty(features) for features in readout.features.values()]
    rarity = np.mean(each, axis=0) if each else np.ones(len(probability))

    def score(column: int, intervals: np.ndarray) -> np.ndarray:
        index = int(present[column])
        return two_sided.scores(_scaled_activations(readout, index), shares, probability[:, index], rarity, intervals)

    return score


def _scaled_activations(readout: VideoReadout, index: int) -> list[np.ndarray]:
    return [two_sided.scaled(two_sided.smoothed(each[:, index])) for each in readout.activation.values()]


def class_proposals(readout: VideoReadout, index: int, settings: DetectionSettings) -> np.ndarray:
    """(N, 2) snippet intervals for one class; the paper's are the same for all."""
    if settings.proposals == "attention":
        return components(readout.mean_attention(), settings.levels)
    if settings.proposals == "two-sided":
        return two_sided.both_sides(_scaled_activations(readout, index), settings.levels)
    signals = [
        readout.attention[stream] / (1 + np.exp(-activation[:, index]))
        for stream, activation in readout.activation.items()
    ]
    return np.unique(np.concatenate([components(signal, settings.levels) for signal in signals]), axis=0)


def label_scores(readout: VideoReadout, rgb_share: float) -> np.ndarray:
    """(C,) scores: for each class the mean of its top-3 T-CAM over the snippets."""
    shares = readout.shares(rgb_share).items()
    fused = sum(share * readout.activation[stream][:, 1:] for stream, share in shares)
    return np.sort(fused, axis=0)[-TOP_SNIPPETS:].mean(axis=0)
