"""Background modeling, the paper's method: attention, classifier over C+1 classes, two clusters (Eq. 1 to 11).

Eq. 2 has no bias; on centred features w . (x - mu) it has the implicit one -w . mu, the same for every snippet.
Shapes: N snippets of width d of B videos, C classes; class index 0 is the background.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plusmv.wsal.methods.method import Method, Reading, Symptom, check
from plusmv.wsal.packing import Packed

MIN_MASS = 1e-8  # of the mean attention, so that an attention of 0 divides by something
MAX_SIGMA = 1000  # snippets, over ten minutes; the kernel is six times as long


@dataclass(frozen=True)
class BMSettings:
    """Comments mark defaults that are not the paper's; see LOG.md."""

    background_weight: float = 0.1  # alpha of Eq. 11; 0 switches a term off
    guide_weight: float = 0.1  # beta of Eq. 11
    cluster_weight: float = 0.1  # gamma of Eq. 11
    prior_weight: float = 0.01  # of the attention's mean squared logit, against saturation; not in the paper
    pool: Literal["mean", "norm"] = "norm"  # Eq. 1 divides by T ("mean"); "norm" divides by the attention's mass
    detach: bool = True  # whether L_guide's targets are constants; unspecified in the paper
    bias: bool = False  # of the classifier; Eq. 2 has none
    sigma: float = 1.0  # snippets, of G in Eq. 6; the paper gives none
    hidden: int = 256  # width of the attention's hidden layer

    def __post_init__(self) -> None:
        weights = (self.background_weight, self.guide_weight, self.cluster_weight, self.prior_weight)
        check(
            (all(map(math.isfinite, (*weights, self.sigma))), "loss weights and sigma must be finite"),
            (min(weights) >= 0, "loss weights must not be negative; 0 switches a term off"),
            (self.pool in ("mean", "norm"), f"unknown pooling {self.pool!r}; use mean or norm"),
            (0 <= self.sigma <= MAX_SIGMA, f"sigma must be 0 to {MAX_SIGMA} snippets"),
            (self.hidden >= 1, "the hidden width must be positive"),
        )


class Readout(NamedTuple):
    """The model's outputs for N snippets."""

    attention: Tensor  # (N,), lambda in [0, 1]
    activation: Tensor  # (N, C+1), w_c . x_t: the temporal class activation map, without bias
    logit: Tensor  # (N,), whose sigmoid lambda is


class BM(Method):
    """One stream's model."""

    Settings: ClassVar[type] = BMSettings
    WEIGHTS: ClassVar[dict[str, str]] = {
        "bg": "background_weight", "guide": "guide_weight", "cluster": "cluster_weight", "prior": "prior_weight",
    }  # fmt: skip
    TRAINING: ClassVar[dict[str, Any]] = {"relative": True}
    settings: BMSettings

    def __init__(self, width: int, classes: int, settings: BMSettings):
        super().__init__(width, classes, settings)
        self.hidden = nn.Linear(width, settings.hidden)
        self.attention = nn.Linear(settings.hidden, 1)
        self.classifier = nn.Linear(width, classes + 1, bias=settings.bias)  # w_c of Eq. 2
        self.clusters = nn.Linear(width, 2, bias=False)  # u_fg and u_bg of Eq. 8

    def forward(self, x: Tensor) -> Readout:
        logit = self.attention(self.hidden(x).relu())[:, 0]  # (N,)
        return Readout(logit.sigmoid(), F.linear(x, self.classifier.weight), logit)

    def pooled(self, weights: Tensor, videos: Packed) -> Tensor:
        """x_fg of Eq. 1 for the attention, x_bg of Eq. 4 for 1 - attention: (B, d) from weights (N,)."""
        x = (videos.shares * weights) @ videos.features  # (B, N) @ (N, d) -> (B, d)
        return x if self.settings.pool == "mean" else x / videos.mean(weights)[:, None].clamp_min(MIN_MASS)

    def losses(self, readout: Readout, videos: Packed) -> dict[str, Tensor]:
        """The four terms of Eq. 11, and the prior: name -> (B,)."""
        background = (-readout.logit).sigmoid()  # 1 - lambda, which in float32 would be 0 from a logit of 17 on
        x_fg, x_bg = self.pooled(readout.attention, videos), self.pooled(background, videos)  # (B, d) each
        return {
            "fg": foreground_loss(self.classifier(x_fg), videos.targets),
            "bg": background_loss(self.classifier(x_bg)),
            "guide": self.guide_loss(readout, videos),
            "cluster": cluster_loss(self.clusters(x_fg), self.clusters(x_bg)),
            "prior": videos.mean(readout.logit.square()),
        }

    def guide_loss(self, readout: Readout, videos: Packed) -> Tensor:
        """Eq. 7: (B,)."""
        frames = readout.activation + self.classifier.bias if self.settings.bias else readout.activation  # (N, C+1)
        frames = frames.detach() if self.settings.detach else frames
        targets = guide_targets(frames, videos.present, lambda signal: videos.smooth(signal, self.settings.sigma))
        return videos.mean(guide_distance(readout.attention, targets))

    def read(self, x: Tensor) -> Reading:
        video = Packed([x], x.new_zeros(1, self.classes + 1))
        readout = self(x)
        probability = self.classifier(self.pooled(readout.attention, video))[0].softmax(-1)  # (C+1,), p_fg of Eq. 2
        return Reading(readout.attention, readout.activation, probability)

    @classmethod
    def advice(cls, settings: BMSettings, symptom: Symptom) -> str:
        if settings.pool == "mean":  # ends at attention 1 with any other setting (LOG.md, 2026-11-25)
            return "--pool norm"
        if symptom == "low" and not (settings.background_weight and settings.guide_weight and settings.cluster_weight):
            return "all three losses (--loss-weights 0.1,0.1,0.1)"
        return ""


def foreground_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Eq. 3: -log p_fg[y], (B,): cross-entropy of the foreground's logits and the targets, (B, C+1) each.

    A target is the set of labels divided by its size, so several labels share the probability (one video in eight).
    """
    return -(targets * logits.log_softmax(-1)).sum(-1)


def background_loss(logits: Tensor) -> Tensor:
    """-log p_bg[0] (with Eq. 5), (B,): x_bg's logits (B, C+1) must predict background."""
    return -logits.log_softmax(-1)[..., 0]


def guide_targets(frame_logits: Tensor, present: Tensor, smooth: Callable[[Tensor], Tensor]) -> Tensor:
    """Eq. 6: lambda_fg and lambda_bg, (2, N), from frame-level logits (N, C+1).

    present: (N, C+1), whether the snippet's video has the class. lambda_fg = G * p_t[y], of several labels the largest
    after smoothing (footnote 1); lambda_bg = G * (1 - p_t[0]). Never lambda_fg > lambda_bg, so Eq. 7 is flat in lambda
    between the two.
    """
    probability = frame_logits.softmax(-1)
    of_labels = smooth(probability.masked_fill(~present, 0).mT)  # (C+1, N)
    return torch.stack([of_labels.amax(-2), smooth(1 - probability[..., 0])], dim=-2)


def guide_distance(attention: Tensor, targets: Tensor) -> Tensor:
    """Eq. 7 before the mean over time: |lambda - lambda_fg| + |lambda - lambda_bg|, (N,) from (N,) and (2, N)."""
    return (attention[..., None, :] - targets).abs().sum(-2)


def cluster_loss(foreground: Tensor, background: Tensor) -> Tensor:
    """Eq. 8-10: -log z_fg - log z_bg, (B,), from (u_fg . x, u_bg . x) of x_fg and of x_bg, (B, 2) each."""
    return -foreground.log_softmax(-1)[..., 0] - background.log_softmax(-1)[..., 1]
