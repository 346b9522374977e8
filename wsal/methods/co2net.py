"""CO2-Net (Hong et al., ACM MM 2021): features re-calibrated by a global and a local view, two attentions that agree.

In the paper RGB and flow re-calibrate each other: the global context of the one (main) and the local features of the
other (auxiliary) make a mask of the main features. A model here sees one stream, so both roles are its own features',
and mutual learning is between its two modules, which differ in their initial weights.
Agrees with the paper and the authors' code: the mask, both attentions and their mean, top-k pooling over T/7, the norm
and guide losses of all three attentions, mutual learning, the co-activity loss and all weights.
Does not: features are first embedded into `hidden` values, so that it trains on a CPU; co-activity is over all pairs of
a batch of 4 that share a class, not 3 drawn pairs of 10; no weight decay; Eq. 12 and NMS, not contrast and soft-NMS.

Shapes: N snippets of width d of B videos, C classes, h hidden values; class index 0 is the background.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plusmv.wsal.methods.method import Method, Reading, check
from plusmv.wsal.methods.temporal import Convolution, coactivity_loss, top_means, with_background
from plusmv.wsal.packing import Packed

SLOPE = 0.2  # of the leaky ReLUs


@dataclass(frozen=True)
class CO2NetSettings:
    """CO2-Net's own settings; the values are the paper's except the width."""

    norm_weight: float = 0.8
    guide_weight: float = 0.8
    coactivity_weight: float = 1.0
    mutual_weight: float = 1.0
    top: int = 7  # the T / top highest snippets of each class make its video-level score
    dropout: float = 0.7  # of features and classifier; .5 in the attention modules
    hidden: int = 256  # width of the embedded features; the paper's modules work on all 1,024

    def __post_init__(self) -> None:
        weights = (self.norm_weight, self.guide_weight, self.coactivity_weight, self.mutual_weight)
        check(
            (min(weights) >= 0, "loss weights must not be negative; 0 switches a term off"),
            (self.top >= 1 and self.hidden >= 2, "top must be positive and the hidden width at least 2"),
            (0 <= self.dropout < 1, "dropout must be at least 0 and below 1"),
        )


class Readout(NamedTuple):
    """The model's outputs for N snippets."""

    attention: Tensor  # (N,), the mean of both modules'
    both: Tensor  # (2, N), the modules' attentions
    features: Tensor  # (N, 2h), re-calibrated and fused
    activation: Tensor  # (N, C+1)

    @property
    def attentions(self) -> Tensor:
        """(3, N): the attention and the two of which it is the mean."""
        return torch.cat([self.attention[None], self.both])

    @property
    def guide_distance(self) -> Tensor:
        """(N,): how far 1 - attention is from the probability of background, mean over the three attentions."""
        return (1 - self.attentions - self.activation.softmax(-1)[:, 0]).abs().mean(0)

    @property
    def suppressed(self) -> Tensor:
        """(N, C+1): the T-CAM drawn to its smallest class by 1 - attention."""
        least = self.activation.amin(-1, keepdim=True)
        return least + self.attention[:, None] * (self.activation - least)


class Consensus(nn.Module):
    """Re-calibrated features and their attention."""

    def __init__(self, width: int):
        super().__init__()
        self.globally, self.locally = nn.Linear(width, width), Convolution(width, width)
        self.first, self.second = Convolution(width, width // 2), Convolution(width // 2, width // 2)
        self.attention = nn.Linear(width // 2, 1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor, videos: Packed) -> tuple[Tensor, Tensor]:
        """(N,) and (N, h) from (N, h)."""
        whole = self.dropout(F.leaky_relu(self.globally(videos.shares @ x), SLOPE))  # (B, h)
        local = self.dropout(F.leaky_relu(self.locally(x, videos), SLOPE))  # (N, h)
        filtered = (local * whole[videos.owner]).sigmoid() * x
        hidden = self.dropout(F.leaky_relu(self.first(filtered, videos), SLOPE))
        hidden = F.leaky_relu(self.second(hidden, videos), SLOPE)
        return self.dropout(self.attention(hidden))[:, 0].sigmoid(), filtered


class CO2Net(Method):
    """One stream's model."""

    Settings: ClassVar[type] = CO2NetSettings
    WEIGHTS: ClassVar[dict[str, str]] = {term: f"{term}_weight" for term in ("norm", "guide", "coactivity", "mutual")}
    DETECTION: ClassVar[dict[str, Any]] = {
        "proposals": "attention",
        "thresholds": tuple(round(0.1 + 0.8 * step / 19, 4) for step in range(20)),
        "gate": 0.2,
    }
    TRAINING: ClassVar[dict[str, Any]] = {"batch": 4, "lr": 3e-4}
    settings: Any

    def __init__(self, width: int, classes: int, settings: Any):
        super().__init__(width, classes, settings)
        h = settings.hidden
        self.embedding = nn.Linear(width, h)
        self.consensus = nn.ModuleList([Consensus(h), Consensus(h)])
        self.fusion = nn.Linear(2 * h, 2 * h)
        self.hidden = Convolution(2 * h, 2 * h)
        self.classifier = nn.Linear(2 * h, classes + 1)
        self.dropout = nn.Dropout(settings.dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def outputs(self, videos: Packed) -> Readout:
        x = F.leaky_relu(self.embedding(videos.features), SLOPE)
        (one, filtered), (other, filtered_too) = (consensus(x, videos) for consensus in self.consensus)
        fused = self.dropout(F.leaky_relu(self.fusion(torch.cat([filtered, filtered_too], -1)), SLOPE))
        hidden = self.dropout(F.leaky_relu(self.hidden(self.dropout(fused), videos), SLOPE))
        return Readout((one + other) / 2, torch.stack([one, other]), fused, self.classifier(hidden))

    def losses(self, readout: Readout, videos: Packed) -> dict[str, Tensor]:
        """Both video-level losses and the four regularisers: name -> (B,)."""
        one, other = readout.both
        return {
            "video": self.video_loss(readout.activation, videos, background=1.0),
            "suppressed": self.video_loss(readout.suppressed, videos, background=0.0),
            "norm": videos.mean(readout.attentions.mean(0)),
            "guide": videos.mean(readout.guide_distance),
            "coactivity": coactivity_loss(readout.features, readout.suppressed, videos),
            "mutual": videos.mean((one - other.detach()).square() + (other - one.detach()).square()) / 2,
        }

    def video_loss(self, tcam: Tensor, videos: Packed, background: float) -> Tensor:
        """(B,): cross-entropy of the top-k scores."""
        log_p = top_means(tcam, videos, self.settings.top).log_softmax(-1)
        return -(with_background(videos.targets, background) * log_p).sum(-1)

    def read(self, x: Tensor) -> Reading:
        video = Packed([x], x.new_zeros(1, self.classes + 1))
        readout = self.outputs(video)
        weighted = readout.attention[:, None] * readout.activation
        return Reading(readout.attention, readout.activation, top_means(weighted, video, 10)[0].softmax(-1))
