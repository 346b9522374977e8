"""Detection: from a trained run and features to labelled, scored intervals in seconds (paper Eq. 12)."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypedDict, get_args

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
from plusmv.wsal.views import is_relative, seen, stream_of


class Way(NamedTuple):
    """A way to propose intervals, and what goes with it where nothing else is said."""

    thresholds: str
    score: "Score"
    overlap: float  # tIoU of non-maximum suppression
    soft: float = 0.0  # sigma of soft-NMS


Score = Literal["mean", "contrast", "two-sided"]
WAYS = {
    "attention": Way("0:0.5:0.025", "mean", 0.5),  # the paper: components of the mean attention, Eq. 12
    "tcam": Way("0.05", "mean", 0.5),  # STPN: of attention x sigmoid(T-CAM), class by class and stream by stream
    "softmax": Way("0.05:0.95:0.05", "contrast", 0.5),  # of the class's share in the T-CAM's softmax, from 0 to 1
    "two-sided": Way("0.05:0.95:0.05", "two-sided", 0.4, 0.2),  # peaks and dips of the T-CAM (wsal.two_sided); ours
    "own": Way("", "mean", 0.5),  # boundaries and scores of the method's own (Reading.segments)
}
Scores = Callable[[int, np.ndarray], np.ndarray]  # (place among the present classes, (N, 2) proposals) -> (N,)
TOP_SNIPPETS = 3  # per class, whose mean T-CAM is the clip's score for it


class DetectionSettingsEntry(TypedDict):
    """DetectionSettings in a detection file."""

    gate: float
    rgb_share: float
    proposals: str
    thresholds: list[float]
    overlap: float
    score: str
    scaled: bool
    soft: float


@dataclass(frozen=True)
class DetectionSettings:
    """How snippet scores become detections. The defaults are the paper's; None: as WAYS has it for the proposals."""

    gate: float = 0.1  # minimum video-level probability of a class; below it only the best class
    rgb_share: float = 0.5  # theta of Eq. 12; flow has 1 - theta
    proposals: str = "attention"  # a name of WAYS
    thresholds: tuple[float, ...] | None = None
    overlap: float | None = None  # tIoU above which non-maximum suppression drops the lower-scored detection
    score: Score | None = None  # "mean": Eq. 12; "contrast": less its mean over a quarter of the length on either side
    scaled: bool = False  # whether each stream's attention is scaled to 0..1 within the video before it is thresholded
    soft: float | None = None  # sigma of Gaussian soft-NMS (Bodla et al., ICCV 2017) in place of dropping; 0: drop

    def __post_init__(self):
        if self.proposals not in WAYS:
            raise BadInput(f"unknown proposals {self.proposals!r}; use {' or '.join(WAYS)}")
        if self.score not in (None, *get_args(Score)) or (self.score == "two-sided") > (self.proposals == "two-sided"):
            raise BadInput(f"unknown score {self.score!r}; use mean or contrast")
        if not all(0 <= share <= 1 for share in (self.gate, self.rgb_share, self.overlap or 0)):
            raise BadInput("the gate, theta and the NMS overlap must lie between 0 and 1")
        if self.proposals == "own" and (self.thresholds or self.score):
            raise BadInput("boundaries of the method's own have their own scores, and take no thresholds")
        if not all(0 <= level < 1 for level in self.levels):
            raise BadInput("proposal thresholds must be at least 0 and below 1, the range of the attention")
        if not 0 <= self.softness < math.inf:
            raise BadInput("the sigma of soft-NMS must be a finite number, or 0 to drop detections")

    @property
    def levels(self) -> np.ndarray:
        default = WAYS[self.proposals].thresholds
        return np.array(self.thresholds or (parse_steps(default) if default else ()))

    @property
    def dropping(self) -> float:
        """The overlap that is used."""
        return WAYS[self.proposals].overlap if self.overlap is None else self.overlap

    @property
    def softness(self) -> float:
        """The sigma of soft-NMS that is used; 0: detections are dropped."""
        return WAYS[self.proposals].soft if self.soft is None else self.soft

    @property
    def scoring(self) -> Score:
        """The score that is used."""
        return self.score or WAYS[self.proposals].score

    def to_json(self) -> DetectionSettingsEntry:
        return {
            "gate": self.gate,
            "rgb_share": self.rgb_share,
            "proposals": self.proposals,
            "thresholds": self.levels.tolist(),
            "overlap": self.dropping,
            "score": self.scoring,
            "scaled": self.scaled,
            "soft": self.softness,
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
    relative: dict[str, np.ndarray] = field(default_factory=dict)  # stream -> (T, C+1), the T-CAM of what changes

    def mean_attention(self, scaled: bool = False) -> np.ndarray:
        """(T,), over the streams; scaled: each from 0 to 1 within the video first."""
        return np.mean([two_sided.scaled(each) if scaled else each for each in self.attention.values()], axis=0)

    def shares(self, rgb_share: float) -> dict[str, float]:
        """Each stream's weight in Eq. 12; 1 for a single stream."""
        if len(self.attention) == 1:
            return dict.fromkeys(self.attention, 1.0)
        return {stream: rgb_share if stream == "rgb" else 1 - rgb_share for stream in self.attention}

    def weighted_activation(self, rgb_share: float, classes: np.ndarray) -> np.ndarray:
        """(T, k) of k class indices: what Eq. 12 averages over a proposal."""
        shares = self.shares(rgb_share).items()
        return np.sum([share * self._stream_score(stream, classes) for stream, share in shares], axis=0)

    def _stream_score(self, stream: str, classes: np.ndarray) -> np.ndarray:
        if stream in self.score:
            return self.score[stream][:, classes]
        return self.attention[stream][:, None] * self.activation[stream][:, classes]


@torch.inference_mode()
def read_video(checkpoint: Checkpoint, features: VideoFeatures) -> VideoReadout:
    """Apply each stream's model. Raises BadInput where the features lack a stream or have another width."""
    readings: dict[str, Reading] = {}
    for view, model in checkpoint.models.items():
        stream, width = stream_of(view), len(model.mean)
        if stream not in features.streams or features.streams[stream].shape[1] != width:
            raise BadInput(f"{features.id} has no {stream} features of width {width}, on which this run was trained")
        reading = model.read(torch.from_numpy(seen(features.streams[stream], view)).to(model.mean.device))
        readings[view] = Reading._make(part if part is None else part.cpu() for part in reading)
    relative = {stream_of(view): readings.pop(view).activation for view in checkpoint.models if is_relative(view)}
    return VideoReadout(
        features.seconds(),
        np.mean([reading.probability.numpy() for reading in readings.values()], axis=0),
        {stream: reading.attention.numpy() for stream, reading in readings.items()},
        {stream: reading.activation.numpy() for stream, reading in readings.items()},
        {stream: reading.score.numpy() for stream, reading in readings.items() if reading.score is not None},
        {stream: features.streams[stream] for stream in readings},
        {stream: reading.segments.numpy() for stream, reading in readings.items() if reading.segments is not None},
        {stream: activation.numpy() for stream, activation in relative.items()},
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
        return by_decreasing_score(_own_detections(readout, present, classes, settings))
    scored = _scores_two_sided if settings.scoring == "two-sided" else _scores_by_equation_12
    score = scored(readout, present, settings)
    shared = class_proposals(readout, 0, settings) if settings.proposals == "attention" else None
    detections: list[Instance] = []
    for column, index in enumerate(present.tolist()):
        intervals = class_proposals(readout, index, settings) if shared is None else shared
        segments = interval_seconds(intervals, readout.seconds)
        extended = segments[:, 1] > segments[:, 0]  # snippets past the video's end are clipped to nothing
        scores = score(column, intervals[extended])
        detections += suppressed(classes[index - 1], segments[extended], scores, settings.dropping, settings.softness)
    return by_decreasing_score(detections)


def _own_detections(
    readout: VideoReadout, present: np.ndarray, classes: tuple[str, ...], settings: DetectionSettings
) -> Iterator[Instance]:
    """The method's own segments of the present classes, all streams together, after non-maximum suppression."""
    if not readout.segments:
        ways = ", ".join(way for way in WAYS if way != "own")
        raise BadInput(f"this run's method has no boundaries of its own; use another --proposals: {ways}")
    rows = np.concatenate(list(readout.segments.values()))  # (N, 4)
    for index in present.tolist():
        own = rows[rows[:, 0] == index]
        segments = boundary_seconds(own[:, 1:3], readout.seconds)
        extended = segments[:, 1] > segments[:, 0]
        scores = own[extended, 3]
        yield from suppressed(classes[index - 1], segments[extended], scores, settings.dropping, settings.softness)


def _scores_by_equation_12(readout: VideoReadout, present: np.ndarray, settings: DetectionSettings) -> Scores:
    """Eq. 12, or with contrast the same less what lies beside the proposal."""
    weighted = readout.weighted_activation(settings.rgb_share, present)  # (T, k)
    mean = two_sided.contrast if settings.scoring == "contrast" else interval_means
    return lambda column, intervals: mean(weighted[:, column], intervals)


def _scores_two_sided(readout: VideoReadout, present: np.ndarray, settings: DetectionSettings) -> Scores:
    probability = two_sided.presence(list(readout.activation.values()))  # (T, C+1)
    shares = list(readout.shares(settings.rgb_share).values()) * (2 if readout.relative else 1)
    each = [two_sided.novelty(features) for features in readout.features.values()]
    rarity = np.mean(each, axis=0) if each else np.ones(len(probability))

    def score(column: int, intervals: np.ndarray) -> np.ndarray:
        index = int(present[column])
        return two_sided.scores(_scaled_activations(readout, index), shares, probability[:, index], rarity, intervals)

    return score


def _scaled_activations(readout: VideoReadout, index: int) -> list[np.ndarray]:
    """A class's T-CAM in each model, smoothed and from 0 to 1: of the streams, then of their changes."""
    each = [*readout.activation.values(), *(readout.relative[s] for s in readout.activation if readout.relative)]
    return [two_sided.scaled(two_sided.smoothed(activation[:, index])) for activation in each]


def class_proposals(readout: VideoReadout, index: int, settings: DetectionSettings) -> np.ndarray:
    """(N, 2) snippet intervals for one class; those of the attention are the same for all."""
    if settings.proposals == "attention":
        return components(readout.mean_attention(settings.scaled), settings.levels)
    if settings.proposals == "two-sided":
        return two_sided.both_sides(_scaled_activations(readout, index), settings.levels)
    if settings.proposals == "softmax":
        return components(
            two_sided.scaled(two_sided.presence(list(readout.activation.values()))[:, index]), settings.levels
        )
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
