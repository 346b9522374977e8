"""Hide-and-Seek on video (Singh & Lee, ICCV 2017): parts of the video are hidden, to find what else tells the action.

Agrees with the paper's section on action localization: the video in 20 equal segments, each hidden in training with
probability .5 behind the training set's mean feature; two convolutions of width 1 and 500 channels, global maximum over
time, softmax of the classes; instances are the runs of the class activation map above half of its largest value.
Does not: I3D instead of C3D features. The mean feature is the zero vector of centred features, also under `--centre 0`.
The paper gives an instance no score: here the mean of its activation map.

Shapes: N snippets of width d of B videos, C classes, H channels; class index 0, the background, is unused.
"""

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
class HideAndSeekSettings:
    """Hide-and-Seek's own settings, as in the paper."""

    hide: float = 0.5  # probability that a segment is hidden in a step; 0: the paper's baseline without hiding
    parts: int = 20  # equal segments of a video
    hidden: int = 500  # channels of the two convolutions
    level: float = 0.5  # share of a class's largest activation above which snippets are an instance

    def __post_init__(self) -> None:
        check(
            (0 <= self.hide < 1, "the probability of hiding must be at least 0 and below 1"),
            (min(self.parts, self.hidden) >= 1, "segments and channels must be positive"),
            (0 <= self.level < 1, "the level must be at least 0 and below 1"),
        )


class Readout(NamedTuple):
    """The model's outputs for N snippets, none hidden."""

    attention: Tensor  # (N,), not in the paper: sigmoid of the strongest class's activation
    activation: Tensor  # (N, C), the class activation map, without bias
    channels: Tensor  # (N, H)


class HideAndSeek(Method):
    """One stream's model."""

    Settings: ClassVar[type] = HideAndSeekSettings
    DETECTION: ClassVar[Mapping[str, Any]] = {"proposals": "own"}
    settings: HideAndSeekSettings

    def __init__(self, width: int, classes: int, settings: HideAndSeekSettings):
        super().__init__(width, classes, settings)
        channels = settings.hidden
        self.convolutions = nn.Sequential(
            nn.Linear(width, channels), nn.ReLU(), nn.Linear(channels, channels), nn.ReLU()
        )
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Readout:
        channels = self.convolutions(x)  # (N, H)
        activation = F.linear(channels, self.classifier.weight)  # (N, C)
        return Readout(activation.amax(-1).sigmoid(), activation, channels)

    def logits(self, channels: Tensor, lengths: list[int]) -> Tensor:
        """(B, C) from the largest value of each channel over each video's time."""
        return self.classifier(torch.stack([part.amax(0) for part in channels.split(lengths)]))

    def losses(self, readout: Readout, videos: Packed) -> dict[str, Tensor]:
        """Cross-entropy of the classes of what is not hidden: (B,)."""
        channels = readout.channels
        if self.training:
            mean_feature = videos.features.new_zeros(1, self.width)
            channels = torch.where(self.draw_hidden(videos)[:, None], self.convolutions(mean_feature), channels)
        return {"fg": -(videos.targets[:, 1:] * self.logits(channels, videos.lengths).log_softmax(-1)).sum(-1)}

    def draw_hidden(self, videos: Packed) -> Tensor:
        """(N,) bool: which snippets are hidden in this step."""
        parts = [torch.arange(length) * self.settings.parts // length for length in videos.lengths]
        drawn = torch.rand(len(parts), self.settings.parts, device=videos.owner.device) < self.settings.hide
        return drawn[videos.owner, torch.cat(parts).to(videos.owner.device)]

    def read(self, x: Tensor) -> Reading:
        readout = self(x)
        probability = self.logits(readout.channels, [len(x)])[0].softmax(-1)
        activation = F.pad(readout.activation, (1, 0))  # (T, C+1)
        segments = segments_above(activation, self.settings.level * activation.amax(0), torch.mean)
        return Reading(readout.attention, activation, F.pad(probability, (1, 0)), activation, segments)
