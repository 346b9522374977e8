"""DELU (Chen et al., ECCV 2022): CO2-Net with evidential learning of the video's label and an uncertainty-guided guide.

A video's evidence for a class, exp of its score, is a Dirichlet distribution's; its uncertainty C/S says how much of it
there is. Agrees with the paper and the authors' code: the generalised evidential loss on the snippets of highest
attention, weighted by 1 - uncertainty; the guide of CO2-Net weighted by each snippet's place among its video's
uncertainties, a weight that turns around along the training; all weights.
Does not: see co2net.py. The authors' code multiplies the curve by the sorting permutation where the paper's s(x) is
its inverse, the snippet's rank; this is the paper's.

Shapes as in co2net.py.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from plusmv.wsal.methods.co2net import CO2Net, CO2NetSettings, Readout
from plusmv.wsal.methods.method import check
from plusmv.wsal.packing import Packed

MOST = 10  # limit of the scores whose exp is the evidence


@dataclass(frozen=True)
class DELUSettings(CO2NetSettings):
    """DELU's own settings; the values are the authors' for THUMOS14, except the width."""

    guide_weight: float = 0.4
    evidence_weight: float = 1.3
    ranked_guide_weight: float = 0.4
    amplitude: float = 0.7  # of the ranked guide's weights around 1
    attended: int = 9  # the T / attended snippets of highest attention hold the video's evidence

    def __post_init__(self) -> None:
        super().__post_init__()
        check(
            (min(self.evidence_weight, self.ranked_guide_weight) >= 0, "loss weights must not be negative"),
            (0 <= self.amplitude <= 1, "the amplitude must lie between 0 and 1"),
            (self.attended >= 1, "attended must be positive"),
        )


class DELU(CO2Net):
    """One stream's model."""

    Settings: ClassVar[type] = DELUSettings
    WEIGHTS: ClassVar[dict[str, str]] = CO2Net.WEIGHTS | {
        "evidence": "evidence_weight",
        "ranked_guide": "ranked_guide_weight",
    }
    settings: DELUSettings
    done: Tensor  # steps

    def __init__(self, width: int, classes: int, settings: DELUSettings):
        super().__init__(width, classes, settings)
        self.register_buffer("done", torch.zeros(()))

    def losses(self, readout: Readout, videos: Packed) -> dict[str, Tensor]:
        """CO2-Net's terms, and two more: name -> (B,)."""
        progress = self.done / self.steps  # 0 to 1
        weight = 1 + self.settings.amplitude * ranked_weight(readout.suppressed, videos, progress)
        terms = super().losses(readout, videos) | {
            "evidence": evidence_loss(attended_scores(readout, videos, self.settings.attended), videos.targets[:, 1:]),
            "ranked_guide": videos.mean(weight * readout.guide_distance),
        }
        if self.training:
            self.done.add_(1)
        return terms


def attended_scores(readout: Readout, videos: Packed, divisor: int) -> Tensor:
    """(B, C): mean suppressed T-CAM over the max(1, T // divisor) snippets of highest attention."""
    parts = zip(readout.attention.split(videos.lengths), readout.suppressed[:, 1:].split(videos.lengths), strict=True)
    chosen = [
        scores.gather(0, lam.topk(max(1, len(lam) // divisor)).indices[:, None].expand(-1, scores.shape[-1])).mean(0)
        for lam, scores in parts
    ]
    return torch.stack(chosen)


def concentration(scores: Tensor) -> Tensor:
    """alpha of the Dirichlet distribution: evidence + 1, of any shape."""
    return scores.clamp(-MOST, MOST).exp() + 1


def evidence_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """(B,) from scores and targets (B, C): sum over the labels of g (log S - log alpha), g of sum (1 - u) x labels."""
    alpha, labels = concentration(scores), (targets > 0).to(scores.dtype)
    strength = alpha.sum(-1, keepdim=True)
    uncertainty = (scores.shape[-1] / strength).detach()
    share = labels / alpha
    share = share / share.sum(-1, keepdim=True)
    return ((1 - uncertainty) * labels.sum(-1, keepdim=True) * share * (strength.log() - alpha.log())).sum(-1)


def ranked_weight(suppressed: Tensor, videos: Packed, progress: Tensor) -> Tensor:
    """(N,): tanh(theta delta), theta the place of a snippet's uncertainty in its video from -1 to 1.

    delta falls from 1 to -1 along the training, so that uncertain snippets weigh more at first and less at last.
    """
    certainty = concentration(suppressed.detach()).sum(-1)  # (N,), S; uncertainty is C / S
    ranks = [
        (2 * (-part).argsort().argsort() + 1) / len(part) - 1  # theta, of the lowest uncertainty first
        for part in certainty.split(videos.lengths)
    ]
    return (torch.cat(ranks) * (1 - 2 * progress)).tanh()
