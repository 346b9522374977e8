"""The losses, one equation a function (equation numbers of the paper), on tensors.

Shapes: T snippets, C classes, class index 0 is the background. A target is the (C+1,) video-level label set divided by
its size, so that several labels share the probability (one video in eight has several).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def foreground_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Eq. 3: -log p_fg[y], the cross-entropy of the foreground's logits (C+1,) against the target (C+1,)."""
    return -(target * logits.log_softmax(-1)).sum(-1)


def background_loss(logits: Tensor) -> Tensor:
    """-log p_bg[0] (with Eq. 5): the background's logits (C+1,) must say background."""
    return -logits.log_softmax(-1)[..., 0]


def gaussian_smooth(signal: Tensor, sigma: float) -> Tensor:
    """G(sigma) * signal (N, T) with the ends repeated outwards; sigma in snippets, 0 for none. Any T >= 1."""
    if sigma == 0:
        return signal
    radius = math.ceil(3 * sigma)
    kernel = torch.exp(-(torch.arange(-radius, radius + 1, dtype=signal.dtype) ** 2) / (2 * sigma**2))
    padded = F.pad(signal, (radius, radius), mode="replicate")
    return F.conv1d(padded[:, None], (kernel / kernel.sum())[None, None])[:, 0]


def guide_targets(frame_logits: Tensor, target: Tensor, sigma: float) -> Tensor:
    """Eq. 6: (2, T) lambda_fg and lambda_bg from frame-level logits (T, C+1).

    lambda_fg = G * p_t[y], the largest among the video's labels (footnote 1); lambda_bg = G * (1 - p_t[0]). Never
    lambda_fg > lambda_bg, so Eq. 7 is flat in lambda between the two.
    """
    probability = frame_logits.softmax(-1)
    present = probability[:, target > 0].amax(-1)
    return gaussian_smooth(torch.stack([present, 1 - probability[:, 0]]), sigma)


def guide_loss(attention: Tensor, targets: Tensor) -> Tensor:
    """Eq. 7: mean over time of |lambda - lambda_fg| + |lambda - lambda_bg|, from (T,) and (2, T)."""
    return (attention - targets).abs().sum(0).mean()


def cluster_loss(foreground: Tensor, background: Tensor) -> Tensor:
    """Eq. 8-10: -log z_fg - log z_bg from the two clusters' logits (2,) = (u_fg . x, u_bg . x) of x_fg and of x_bg."""
    return -foreground.log_softmax(-1)[..., 0] - background.log_softmax(-1)[..., 1]


def sparsity_loss(attention: Tensor) -> Tensor:
    """STPN's sparsity (Nguyen et al., CVPR 2018, Eq. 4): the mean of |lambda|."""
    return attention.abs().mean()
