"""W-TALC (Paul et al., ECCV 2018): top-k multiple-instance loss and co-activity similarity of videos of one class.

Agrees with the paper and its published code: a ReLU layer as wide as the features with dropout .7, T-CAM by a linear
layer with bias, cross-entropy of each class's mean over its ceil(T/8) largest activations (the paper's text: at least
1, T/8 rounded down); for two videos of a class, features pooled by softmax of its T-CAM over time must be more alike
than those of one with the rest of the other, hinge margin .5, cosine distance; both losses at weight .5. Instances are
runs of at least two snippets above the middle of the T-CAM's range, scored by maximum + .7 of the class's top-k mean.
Does not: the paper draws 3 pairs of one class for each batch of 10. Here a batch is 10 videos in shuffled order, and
all its pairs count, each class by the mean over its pairs, then their mean over the classes: no other method lets a
video enter another's loss. A batch without a pair trains by the first loss alone. No weight decay; streams apart.

Shapes: N snippets of width d of B videos, C classes; class index 0, the background, is unused.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plusmv.wsal.methods.method import Method, Reading, check
from plusmv.wsal.methods.segments import segments_above
from plusmv.wsal.packing import Packed


@dataclass(frozen=True)
class WTALCSettings:
    """W-TALC's own settings, as in its published code."""

    mil_weight: float = 0.5  # lambda
    similarity_weight: float = 0.5  # 1 - lambda
    one_in: int = 8  # s: one snippet in so many votes for the video's classes
    margin: float = 0.5  # of the hinge
    dropout: float = 0.7
    video_share: float = 0.7  # of the class's top-k mean in an instance's score

    def __post_init__(self) -> None:
        weights = (self.mil_weight, self.similarity_weight)
        check(
            (all(map(math.isfinite, weights)) and min(weights) >= 0, "loss weights must be finite and not negative"),
            (self.one_in >= 1, "one snippet in at least one must vote"),
            (0 <= self.dropout < 1, "dropout must be at least 0 and below 1"),
        )


class Readout(NamedTuple):
    """The model's outputs for N snippets."""

    attention: Tensor  # (N,), not in the paper: sigmoid of the strongest class's activation
    activation: Tensor  # (N, C), T-CAM with bias
    embedded: Tensor  # (N, d), what the T-CAM and the similarity see


class WTALC(Method):
    """One stream's model."""

    Settings: ClassVar[type] = WTALCSettings
    WEIGHTS: ClassVar[dict[str, str]] = {"mil": "mil_weight", "similarity": "similarity_weight"}
    DETECTION: ClassVar[Mapping[str, Any]] = {"proposals": "own"}
    TRAINING: ClassVar[Mapping[str, Any]] = {"batch": 10, "lr": 1e-3}  # its rate x 10, in a tenth of the steps
    settings: WTALCSettings

    def __init__(self, width: int, classes: int, settings: WTALCSettings):
        super().__init__(width, classes, settings)
        self.embedding, self.classifier = nn.Linear(width, width), nn.Linear(width, classes)
        self.dropout = nn.Dropout(settings.dropout)
        for layer in (self.embedding, self.classifier):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Readout:
        embedded = self.dropout(self.embedding(x).relu())  # (N, d)
        activation = self.classifier(embedded)  # (N, C)
        return Readout(activation.amax(-1).sigmoid(), activation, embedded)

    def strongest(self, activation: Tensor) -> Tensor:
        """(C,): each class's mean over its k largest of T activations (T, C)."""
        return activation.topk(math.ceil(len(activation) / self.settings.one_in), 0)[0].mean(0)

    def losses(self, readout: Readout, videos: Packed) -> dict[str, Tensor]:
        """The multiple-instance loss of each video, and the co-activity similarity of the batch: (B,) each."""
        parts = readout.activation.split(videos.lengths)  # (T, C) each
        log_p = torch.stack([self.strongest(part) for part in parts]).log_softmax(-1)  # (B, C)
        pooled = [pooled_features(*each) for each in zip(readout.embedded.split(videos.lengths), parts, strict=True)]
        high, low = map(torch.stack, zip(*pooled, strict=True))  # (B, C, d) each
        similarity = similarity_loss(high, low, (videos.targets[:, 1:] > 0).to(high.dtype), self.settings.margin)
        return {"mil": -(videos.targets[:, 1:] * log_p).sum(-1), "similarity": similarity.expand(len(parts))}

    def read(self, x: Tensor) -> Reading:
        attention, activation, _ = self(x)
        video = self.strongest(activation)  # (C,)
        signal = F.pad(activation, (1, 0))  # (T, C+1)
        middle = (signal.amax(0) + signal.amin(0)) / 2
        added = self.settings.video_share * F.pad(video, (1, 0))
        segments = segments_above(signal, middle, torch.amax, added, shortest=min(2, len(x)))
        return Reading(attention, signal, F.pad(video.softmax(-1), (1, 0)), signal, segments)


def pooled_features(embedded: Tensor, activation: Tensor) -> tuple[Tensor, Tensor]:
    """Features (T, d) of high and of low activation (T, C) of each class, of length 1: (C, d) each."""
    attention = activation.softmax(0)
    rest = (1 - attention) / max(1, len(attention) - 1)
    return F.normalize(attention.T @ embedded, dim=-1), F.normalize(rest.T @ embedded, dim=-1)


def similarity_loss(high: Tensor, low: Tensor, present: Tensor, margin: float) -> Tensor:
    """Co-activity similarity loss (): from features (B, C, d) of length 1 and whether videos have classes (B, C).

    With d the cosine distance, .5 max(0, d(H_m, H_n) - d(H_m, L_n) + margin) and the same with m and n exchanged, over
    the pairs m, n of a class.
    """
    alike = torch.einsum("mcd,ncd->mnc", high, high)  # (B, B, C), cosine of H_m and H_n
    unlike = torch.einsum("mcd,ncd->mnc", high, low)
    pairs = present[:, None] * present[None] * (1 - torch.eye(len(present)).to(present))[:, :, None]
    count = pairs.sum((0, 1)) / 2  # (C,)
    hinges = 0.5 * (unlike - alike + margin).relu() * pairs  # both orders of each pair
    return (hinges.sum((0, 1)) / count.clamp_min(1)).sum() / (count > 0).sum().clamp_min(1)
