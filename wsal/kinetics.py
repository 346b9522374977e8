"""Detection without training: the I3D's Kinetics-400 classifier as class activation, for the actions it covers.

Activation: the softmax over the 400 classes for each snippet, summed over an action's classes, which are exclusive, and
smoothed over half a snippet. Raw logits would not compare the classes of a snippet. Proposals: runs above each
twentieth of the activation's maximum. Score: how well the interval explains the activation,

    exp( mean over the inside of log p  +  mean over the surroundings of log(1 - p) ),

the geometric mean of "action inside" times that of "no action around", where the surroundings are a quarter of the
interval's length on both sides (as in AutoLoc's outer-inner contrast, Shou et al. 2018) and p = 1/2 beyond the video's
ends, where nothing is known. So a clip that shows the action throughout is one detection of score 0.5 at most.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from plusmv.core.actions import THUMOS14, Action
from plusmv.core.annotations import Instance, by_decreasing_score
from plusmv.features.classify import KINETICS_CLASSES, kinetics_logits
from plusmv.features.snippets import SNIPPET_LENGTH
from plusmv.wsal.proposals import components, interval_means, interval_seconds, suppressed

STRIDE = 8  # frames: half a snippet, for boundaries a third of a second apart
GATE = 0.1  # minimum video-level probability of an action, as in the paper
LEVELS = np.arange(1, 20) / 20  # of the activation's maximum
SURROUNDINGS = 0.25  # of the interval's length, on each side
OVERLAP = 0.5  # tIoU of non-maximum suppression, as in the paper
CLIP_MARGIN = 1e-3  # distance of probabilities from 0 and 1


@dataclass(frozen=True)
class KineticsDetections:
    """The classifier's output for one video."""

    detections: list[Instance]  # by decreasing score
    activation: dict[str, np.ndarray]  # action -> (T,) probability, smoothed
    probability: dict[str, float]  # action -> of the whole video

    def strongest(self, count: int = 3) -> list[str]:
        """The actions with the highest probability for the whole video."""
        return sorted(self.probability, key=self.probability.__getitem__, reverse=True)[:count]


def detect(
    rgb: np.ndarray, seconds: np.ndarray, stride: int, actions: tuple[Action, ...] = THUMOS14
) -> KineticsDetections:
    """Detect in one video's pooled RGB features (T, 1024) of the Kinetics network; seconds (T, 2), stride in frames."""
    logits = kinetics_logits(rgb)
    spread = SNIPPET_LENGTH / 2 / stride
    activation = {name: smooth(p, spread) for name, p in action_probability(logits, actions).items()}
    video = {name: float(p[0]) for name, p in action_probability(logits.mean(axis=0, keepdims=True), actions).items()}
    detections: list[Instance] = []
    for name in (name for name, probability in video.items() if probability >= GATE):
        intervals = components(activation[name], LEVELS * activation[name].max())
        scores = video[name] * contrast(activation[name], intervals)
        detections += suppressed(name, interval_seconds(intervals, seconds), scores, OVERLAP)
    return KineticsDetections(by_decreasing_score(detections), activation, video)


def action_probability(logits: np.ndarray, actions: tuple[Action, ...]) -> Mapping[str, np.ndarray]:
    """Softmax of (T, 400) logits, summed over each action's classes: (T,). Omits actions without a Kinetics class."""
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability = exponential / exponential.sum(axis=1, keepdims=True)
    columns = {action.name: [KINETICS_CLASSES.index(name) for name in action.kinetics] for action in actions}
    return {name: probability[:, indices].sum(axis=1) for name, indices in columns.items() if indices}


def smooth(signal: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing of (T,), with edge values repeated; sigma in snippets."""
    radius = int(np.ceil(3 * sigma))
    kernel = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    return np.convolve(np.pad(signal, radius, mode="edge"), kernel / kernel.sum(), mode="valid")


def contrast(probability: np.ndarray, intervals: np.ndarray) -> np.ndarray:
    """The score of the module's docstring in [0, 1], without the video's probability: (N,) from (T,) and (N, 2)."""
    inside = np.clip(probability, CLIP_MARGIN, 1 - CLIP_MARGIN)
    width = np.maximum(1, np.round(SURROUNDINGS * (intervals[:, 1] - intervals[:, 0])).astype(int))
    beyond = int(width.max(initial=1))
    absent = np.pad(np.log(1 - inside), beyond, constant_values=np.log(0.5))
    starts, ends = intervals[:, 0] + beyond, intervals[:, 1] + beyond
    before = interval_means(absent, np.stack([starts - width, starts], axis=1))
    after = interval_means(absent, np.stack([ends, ends + width], axis=1))
    return np.exp(interval_means(np.log(inside), intervals) + (before + after) / 2)
