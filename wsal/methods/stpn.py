"""STPN (Nguyen et al., CVPR 2018), the baseline of the paper's Table 1: foreground classes and a sparse attention.

Shapes: N snippets of width d of B videos, C classes; class index 0, the background, is unused.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from plusmv.wsal.methods.method import Method, Reading, Symptom, check
from plusmv.wsal.packing import Packed

MIN_MASS = 1e-8  # of the mean attention, so that an attention of 0 divides by something


@dataclass(frozen=True)
class STPNSettings:
    """STPN's own settings."""

    sparsity_weight: float = 1e-4  # not in the paper; from STPN's public reimplementation
    pool: Literal["mean", "norm"] = "mean"  # divide by T (its paper) or by the attention's mass, where nothing resists
    # the sparsity, as the classes then do not see the attention's scale
    bias: bool = False  # of the classifier
    hidden: int = 256  # width of the attention's hidden layer

    def __post_init__(self) -> None:
        check(
            (math.isfinite(self.sparsity_weight), "the sparsity's weight must be finite"),
            (self.sparsity_weight >= 0, "the sparsity's weight must not be negative"),
            (self.pool in ("mean", "norm"), f"unknown pooling {self.pool!r}; use mean or norm"),
            (self.hidden >= 1, "the hidden width must be positive"),
        )


class Readout(NamedTuple):
    """The model's outputs for N snippets."""

    attention: Tensor  # (N,), lambda in [0, 1]
    activation: Tensor  # (N, C), w_c . x_t


class STPN(Method):
    """One stream's model."""

    Settings: ClassVar[type] = STPNSettings
    WEIGHTS: ClassVar[dict[str, str]] = {"sparsity": "sparsity_weight"}
    DETECTION: ClassVar[dict[str, Any]] = {"proposals": "tcam"}
    settings: STPNSettings

    def __init__(self, width: int, classes: int, settings: STPNSettings):
        super().__init__(width, classes, settings)
        self.hidden = nn.Linear(width, settings.hidden)
        self.attention = nn.Linear(settings.hidden, 1)
        self.classifier = nn.Linear(width, classes, bias=settings.bias)
        if settings.bias:
            nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Readout:
        attention = self.attention(self.hidden(x).relu())[:, 0].sigmoid()  # (N,)
        return Readout(attention, F.linear(x, self.classifier.weight))  # (N, C)

    def logits(self, readout: Readout, videos: Packed) -> Tensor:
        """Of the attention-weighted mean of each video's features: (B, C)."""
        logits = (videos.shares * readout.attention) @ readout.activation  # (B, N) @ (N, C) -> (B, C)
        if self.settings.pool == "norm":
            logits = logits / videos.mean(readout.attention)[:, None].clamp_min(MIN_MASS)
        return logits + self.classifier.bias if self.settings.bias else logits

    def losses(self, readout: Readout, videos: Packed) -> dict[str, Tensor]:
        """Cross-entropy of the classes, and the sparsity of its Eq. 4, the mean |lambda| over time: name -> (B,)."""
        log_p = self.logits(readout, videos).log_softmax(-1)
        return {
            "fg": -(videos.targets[:, 1:] * log_p).sum(-1),
            "sparsity": videos.mean(readout.attention),  # lambda is never negative
        }

    def read(self, x: Tensor) -> Reading:
        readout = self(x)
        probability = self.logits(readout, Packed([x], x.new_zeros(1, self.classes + 1)))[0].softmax(-1)
        with_background = F.pad(readout.activation, (1, 0))  # (T, C+1)
        return Reading(readout.attention, with_background, F.pad(probability, (1, 0)))

    @classmethod
    def advice(cls, settings: STPNSettings, symptom: Symptom) -> str:
        if symptom == "low":
            return f"a --sparsity below {settings.sparsity_weight:g}"
        return "--pool norm" if settings.pool == "mean" else ""
