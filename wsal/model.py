"""The model of one stream: attention, classifier over C+1 classes, two clusters (Eq. 1 to 11).

`terms` puts model and losses together: the weighted terms of Eq. 11 for one video.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from wsal import losses
from wsal.settings import Settings


class Readout(NamedTuple):
    """What the model says of each snippet."""

    features: Tensor  # (T, d), centred and scaled
    attention: Tensor  # (T,), lambda in [0, 1]
    activation: Tensor  # (T, C+1), w_c . x_t: the temporal class activation map, without bias


class StreamModel(nn.Module):
    """Attention, classifier and clusters on features of width d. Class index 0 is the background."""

    def __init__(self, width: int, classes: int, settings: Settings):
        super().__init__()
        self.settings = settings
        self.attention = nn.Sequential(nn.Linear(width, settings.hidden), nn.ReLU(), nn.Linear(settings.hidden, 1))
        self.classifier = nn.Linear(width, classes + 1, bias=settings.bias)
        self.clusters = nn.Linear(width, 2, bias=False)  # u_fg, u_bg of Eq. 8 and 9
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    @torch.no_grad()
    def centre(self, features: list[Tensor]) -> None:
        """Set the shift and scale of `settings.centre` from all snippets (T, d) of the training set."""
        if self.settings.centre:
            snippets = torch.cat(features)
            deviation, mean = torch.std_mean(snippets.double(), dim=0, correction=0)
            self.mean.copy_(mean)
            self.scale.copy_(torch.where(deviation > 1e-6, self.settings.centre / deviation, 0))

    def forward(self, features: Tensor) -> Readout:
        """Read one video's features (T, d)."""
        centred = (features - self.mean) * self.scale
        attention = self.attention(centred).squeeze(-1).sigmoid()
        return Readout(centred, attention, centred @ self.classifier.weight.T)

    def pool(self, weights: Tensor, features: Tensor) -> Tensor:
        """Eq. 1 and 4: weights (T,) and features (T, d) to (d,), divided by T or by the weights' sum."""
        mass = len(weights) if self.settings.pool == "mean" else weights.sum().clamp_min(1e-6)
        return weights @ features / mass

    def frame_logits(self, readout: Readout) -> Tensor:
        """(T, C+1) logits of every snippet by itself."""
        return readout.activation if self.classifier.bias is None else readout.activation + self.classifier.bias

    @torch.no_grad()
    def class_probability(self, readout: Readout) -> Tensor:
        """Eq. 2: p_fg (C+1,) of the video; STPN has no background, so its p[0] is 0."""
        logits = self.classifier(self.pool(readout.attention, readout.features))
        if self.settings.method == "stpn":
            return torch.cat([logits.new_zeros(1), logits[1:].softmax(-1)])
        return logits.softmax(-1)


def terms(model: StreamModel, readout: Readout, target: Tensor) -> dict[str, Tensor]:
    """The weighted terms of Eq. 11 (bm) or of STPN's objective for one video; their sum is the loss.

    target: (C+1,) labels divided by their number. Terms of weight 0 are left out.
    """
    settings, attention = model.settings, readout.attention
    foreground = model.pool(attention, readout.features)  # (d,)
    logits = model.classifier(foreground)
    if settings.method == "stpn":
        sparsity = settings.sparsity_weight * losses.sparsity_loss(attention)
        return {"fg": losses.foreground_loss(logits[1:], target[1:]), "sparsity": sparsity}
    found = {"fg": losses.foreground_loss(logits, target)}
    background = model.pool(1 - attention, readout.features)
    if settings.background_weight:
        found["bg"] = settings.background_weight * losses.background_loss(model.classifier(background))
    if settings.guide_weight:
        targets = losses.guide_targets(model.frame_logits(readout), target, settings.sigma)
        targets = targets.detach() if settings.detach else targets
        found["guide"] = settings.guide_weight * losses.guide_loss(attention, targets)
    if settings.cluster_weight:
        separation = losses.cluster_loss(model.clusters(foreground), model.clusters(background))
        found["cluster"] = settings.cluster_weight * separation
    return found
