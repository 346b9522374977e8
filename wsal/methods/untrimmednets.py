"""UntrimmedNets with soft selection (Wang et al., CVPR 2017): a classifier of snippets, and an attention over them.

Agrees with the paper and its published prototxt: softmax of the classes for each snippet, softmax of the attention over
the video's snippets, their weighted sum as the video's probability, cross-entropy with labels of sum 1, dropout of .8,
both heads drawn from N(0, .001). Detection as in its published code: snippets above half of the class's largest
probability, scored by their mean plus .2 of the video's probability, which uses the attention at temperature 3.
Does not: the network below is not trained, all snippets are used instead of 7 clips a video, Adam instead of SGD, and
two streams are trained and thresholded apart. The paper's text also drops attention weights under 1e-4.

Shapes: N snippets of width d of B videos, C classes; class index 0, the background, is unused.
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
class UntrimmedNetsSettings:
    """UntrimmedNets' own settings; those after dropout only matter for detection."""

    dropout: float = 0.8
    temperature: float = 3.0  # of the attention, for the video's probability
    level: float = 0.5  # share of a class's largest probability above which snippets are an instance
    weakest: float = 1e-4  # attention weight below which a snippet is background
    video_share: float = 0.2  # of the video's probability in an instance's score

    def __post_init__(self) -> None:
        check(
            (0 <= self.dropout < 1, "dropout must be at least 0 and below 1"),
            (self.temperature > 0, "the temperature must be positive"),
            (0 <= min(self.level, self.weakest) <= max(self.level, self.weakest) < 1, "levels must be 0 to 1"),
        )


class Readout(NamedTuple):
    """The model's outputs for N snippets."""

    attention: Tensor  # (N,), the selection's sigmoid, for the curves: its softmax needs the whole video
    selection: Tensor  # (N,), logits of the attention
    activation: Tensor  # (N, C), logits of the classes


class UntrimmedNets(Method):
    """One stream's model."""

    Settings: ClassVar[type] = UntrimmedNetsSettings
    DETECTION: ClassVar[Mapping[str, Any]] = {"proposals": "own"}
    settings: Any

    def __init__(self, width: int, classes: int, settings: Any):
        super().__init__(width, classes, settings)
        self.dropout = nn.Dropout(settings.dropout)
        self.selection = nn.Linear(width, 1, bias=False)  # a bias would leave the softmax over time as it is
        self.classifier = nn.Linear(width, classes)
        nn.init.normal_(self.selection.weight, std=0.001)
        nn.init.normal_(self.classifier.weight, std=0.001)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Readout:
        return self.heads(self.dropout(x))

    def heads(self, x: Tensor) -> Readout:
        """The outputs without dropout."""
        selection = self.selection(x)[:, 0]
        return Readout(selection.sigmoid(), selection, self.classifier(x))

    def losses(self, readout: Readout, videos: Packed) -> dict[str, Tensor]:
        """Cross-entropy of the attention-weighted sum of the snippets' class probabilities: (B,)."""
        snippets = zip(
            readout.selection.split(videos.lengths), readout.activation.split(videos.lengths), strict=True
        )  # (T,) and (T, C) each
        log_p = [(s.log_softmax(0)[:, None] + logits.log_softmax(-1)).logsumexp(0) for s, logits in snippets]
        return {"fg": -(videos.targets[:, 1:] * torch.stack(log_p)).sum(-1)}

    def read(self, x: Tensor) -> Reading:
        _, selection, activation = self(x)
        pooled = (selection / self.settings.temperature).softmax(0) @ activation  # (C,)
        probability = F.pad(pooled.softmax(-1), (1, 0))
        classes = F.pad(activation.softmax(-1), (1, 0))  # (T, C+1)
        foreground = classes * (selection.softmax(0) > self.settings.weakest)[:, None]
        segments = segments_above(
            foreground, self.settings.level * foreground.amax(0), torch.mean, self.settings.video_share * probability
        )
        attention = (selection - selection.amax()).exp()  # the weights as shares of the largest
        return Reading(attention, F.pad(activation, (1, 0)), probability, classes, segments)
