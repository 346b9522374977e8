"""The ceiling: what the same features give to a model trained on true segments, by the same proposals and evaluator.

Two convolutions over time say for each snippet how much of it each action fills; their sigmoids are thresholded, class
by class, as a T-CAM is. It stands beside every row of an experiment and is no method of `plusmv train`, since a
weakly-supervised model never sees a segment. Shapes: T snippets of width d (all streams side by side), C classes.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plusmv.core.annotations import AnnotatedVideo, Instance, by_decreasing_score
from plusmv.core.errors import Missing
from plusmv.features.feature_files import VideoFeatures
from plusmv.wsal.checkpoints import read_tensors, write_tensors
from plusmv.wsal.datasets import labels_of
from plusmv.wsal.proposals import components, interval_seconds, parse_steps, suppressed
from plusmv.wsal.stack import snippet_statistics
from plusmv.wsal.two_sided import contrast

SUPERVISED = "supervised (true segments)"  # its name in every table
WHOLE = "whole video, label given"  # one detection of each label: the trivial row
LEVELS = np.array(parse_steps("0.05:0.95:0.05"))  # of proposals
Videos = Sequence[tuple[AnnotatedVideo, VideoFeatures]]


@dataclass(frozen=True)
class SupervisedSettings:
    """Chosen on training sources of the composed worlds, some held out."""

    streams: tuple[str, ...] = ("rgb", "flow")  # side by side in one vector
    steps: int = 3000  # one video each
    seed: int = 0  # of the initial weights and of the order
    lr: float = 1e-3
    centre: float = 8.0  # length of the centred features
    width: int = 3  # snippets that a convolution sees
    hidden: int = 128
    overlap: float = 0.5  # tIoU of non-maximum suppression

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"streams": list(self.streams)}


class Supervised(nn.Module):
    """The model of all streams together."""

    mean: Tensor  # (d,)
    scale: Tensor  # (d,)

    def __init__(self, features: int, classes: int, settings: SupervisedSettings):
        super().__init__()
        self.settings = settings
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.layers = nn.Sequential(
            nn.Conv1d(features, settings.hidden, settings.width, padding="same"),
            nn.ReLU(),
            nn.Conv1d(settings.hidden, classes, settings.width, padding="same"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits (T, C) from centred features (T, d)."""
        return self.layers(x.T[None])[0].T

    def centred(self, features: VideoFeatures) -> Tensor:
        return (torch.from_numpy(side_by_side(features, self.settings.streams)) - self.mean) * self.scale


def fit(videos: Videos, classes: Sequence[str], settings: SupervisedSettings) -> Supervised:
    """Train on videos with their true segments, one a step, shuffled pass by pass."""
    arrays = [side_by_side(features, settings.streams) for _, features in videos]
    mean, deviation = map(torch.from_numpy, snippet_statistics(arrays))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = Supervised(arrays[0].shape[1], len(classes), settings)
    share = settings.centre / math.sqrt(len(mean))
    model.mean, model.scale = mean, torch.where(deviation > 1e-6, share / deviation, 0)
    x = [model.centred(features) for _, features in videos]
    shares = [torch.from_numpy(action_shares(video, features.seconds(), classes)) for video, features in videos]
    draws = np.random.default_rng(settings.seed)
    order = [index for _ in range(-(-settings.steps // len(x))) for index in draws.permutation(len(x)).tolist()]
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.lr, fused=True)
    for index in order[: settings.steps]:
        optimiser.zero_grad()
        F.binary_cross_entropy_with_logits(model(x[index]), shares[index], reduction="none").sum(1).mean().backward()
        optimiser.step()
    return model.eval()


def fit_once(path: Path, videos: Videos, classes: Sequence[str], settings: SupervisedSettings, data: str) -> Supervised:
    """The model in a file if it is of these settings and data (its sha256), else a new one, written there."""
    facts = {"format": "plusmv supervised 1", "settings": settings.to_json(), "data": data}
    fingerprint = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    with contextlib.suppress(Missing):
        tensors, written = read_tensors(path)
        if written.get("fingerprint") == fingerprint:
            model = Supervised(len(tensors["mean"]), len(classes), settings)
            model.load_state_dict(tensors)
            return model.eval()
    model = fit(videos, classes, settings)
    write_tensors(path, model.state_dict(), facts | {"fingerprint": fingerprint})
    return model


@torch.inference_mode()
def detect_supervised(model: Supervised, features: VideoFeatures, classes: Sequence[str]) -> list[Instance]:
    """Detections of one video by decreasing score: how far a class's sigmoid inside lies above that beside it."""
    probability = model(model.centred(features)).sigmoid().numpy()
    detections: list[Instance] = []
    for label, signal in zip(classes, probability.T, strict=True):
        intervals = components(signal, LEVELS)
        segments = interval_seconds(intervals, features.seconds())
        extended = segments[:, 1] > segments[:, 0]
        scores = contrast(signal, intervals[extended])
        detections += suppressed(label, segments[extended], scores, model.settings.overlap)
    return by_decreasing_score(detections)


def whole_video(video: AnnotatedVideo, features: VideoFeatures) -> list[Instance]:
    """One detection from end to end for each of its labels."""
    end = float(features.seconds()[-1, 1])
    return [Instance(label, 0.0, end, 1.0) for label in labels_of(video)]


def side_by_side(features: VideoFeatures, streams: Sequence[str]) -> np.ndarray:
    """(T, d): the streams in one vector."""
    return np.concatenate([features.streams[stream] for stream in streams], axis=1)


def action_shares(video: AnnotatedVideo, seconds: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """(T, C) float32: how much of each snippet's seconds (T, 2) each class's longest instance there fills."""
    shares = np.zeros((len(seconds), len(classes)), dtype=np.float32)
    for instance in video.instances:
        if instance.label in classes:
            column = shares[:, classes.index(instance.label)]
            inside = np.minimum(seconds[:, 1], instance.end) - np.maximum(seconds[:, 0], instance.start)
            np.maximum(column, inside / np.maximum(1e-6, np.ptp(seconds, axis=1)), out=column)
    return shares.clip(0, 1)
