"""BaS-Net (Lee, Uh and Byun, AAAI 2020): a base branch that must see background, a suppression branch that must not.

Both share one classifier; the suppression branch reads features times the filtering module's foreground weights.
Agrees with the paper and the authors' code: the two branches and labels, top-k pooling over T/8, binary cross-entropy
on the softmax scores, the L1 norm of the weights over 750 snippets, to which they resample every video.
Does not: whole videos are not resampled; 256 hidden units in place of 2,048 (the classifier) and 512 (the filter);
centred features, so that suppression moves a snippet to the training set's mean and not to 0. Detection thresholds the
suppressed T-CAM after a sigmoid, where the paper scales it to 0..1 and scores by inner minus outer contrast.

Shapes: N snippets of width d of B videos, C classes; class index 0 is the background.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from plusmv.wsal.methods.method import Method, Reading, check
from plusmv.wsal.methods.temporal import Convolution, top_means, with_background
from plusmv.wsal.packing import Packed

SNIPPETS = 750  # of a resampled video, over which the paper sums the foreground weights
SLOPE = 0.01  # of the leaky ReLU


@dataclass(frozen=True)
class BaSNetSettings:
    """BaS-Net's own settings; the values are the paper's except the width."""

    norm_weight: float = 1e-4  # alpha
    top: int = 8  # the T / top highest snippets of each class make its video-level score
    dropout: float = 0.7
    hidden: int = 256  # of the classifier's two convolutions and of the filter; the paper's 2,048 and 512

    def __post_init__(self) -> None:
        check(
            (self.norm_weight >= 0, "the norm's weight must not be negative"),
            (self.top >= 1 and self.hidden >= 1, "top and the hidden width must be positive"),
            (0 <= self.dropout < 1, "dropout must be at least 0 and below 1"),
        )


class Readout(NamedTuple):
    """The model's outputs for N snippets."""

    attention: Tensor  # (N,), the foreground weights
    base: Tensor  # (N, C+1), the T-CAM of the features as they are
    suppressed: Tensor  # (N, C+1), the T-CAM of the weighted features


class BaSNet(Method):
    """One stream's model."""

    Settings: ClassVar[type] = BaSNetSettings
    WEIGHTS: ClassVar[dict[str, str]] = {"norm": "norm_weight"}
    DETECTION: ClassVar[dict[str, Any]] = {
        "proposals": "tcam",
        "thresholds": tuple(round(0.025 * step, 3) for step in range(10)),
        "gate": 0.25,
        "overlap": 0.7,
    }
    settings: BaSNetSettings

    def __init__(self, width: int, classes: int, settings: BaSNetSettings):
        super().__init__(width, classes, settings)
        self.filter = nn.Sequential(
            nn.Linear(width, settings.hidden), nn.LeakyReLU(SLOPE), nn.Linear(settings.hidden, 1)
        )
        self.first = Convolution(width, settings.hidden)
        self.second = Convolution(settings.hidden, settings.hidden)
        self.classifier = nn.Linear(settings.hidden, classes + 1, bias=False)
        self.dropout = nn.Dropout(settings.dropout)

    def outputs(self, videos: Packed) -> Readout:
        weight = self.filter(videos.features)[:, 0].sigmoid()  # (N,)
        return Readout(weight, self.tcam(videos.features, videos), self.tcam(weight[:, None] * videos.features, videos))

    def tcam(self, x: Tensor, videos: Packed) -> Tensor:
        """(N, C+1) from (N, d)."""
        hidden = F.leaky_relu(self.first(x, videos), SLOPE)
        hidden = F.leaky_relu(self.second(hidden, videos), SLOPE)
        return self.classifier(self.dropout(hidden))

    def losses(self, readout: Readout, videos: Packed) -> dict[str, Tensor]:
        """The base branch's loss, the suppression branch's, and the norm of the weights: name -> (B,)."""
        return {
            "base": self.branch_loss(readout.base, videos, background=1.0),
            "suppression": self.branch_loss(readout.suppressed, videos, background=0.0),
            "norm": SNIPPETS * videos.mean(readout.attention),
        }

    def branch_loss(self, tcam: Tensor, videos: Packed, background: float) -> Tensor:
        """(B,): binary cross-entropy of the softmax of the top-k scores, mean over the classes."""
        score = top_means(tcam, videos, self.settings.top).softmax(-1)  # (B, C+1)
        labels = with_background(videos.targets, background)
        return F.binary_cross_entropy(score, labels, reduction="none").mean(-1)

    def read(self, x: Tensor) -> Reading:
        video = Packed([x], x.new_zeros(1, self.classes + 1))
        weight, _, suppressed = self.outputs(video)
        probability = top_means(suppressed, video, self.settings.top)[0].softmax(-1)  # (C+1,)
        return Reading(weight, suppressed, probability, score=suppressed)
