"""The losses, one equation a function (equation numbers of the paper), on tensors.

Shapes: N snippets, C classes, class index 0 is the background; "..." are leading dimensions, such as models and videos.
A target is the (C+1,) video-level label set divided by its size, so that several labels share the probability (one
video in eight has several). How snippets belong to videos is for wsal.packing to say: what is left per snippet here is
averaged over each video's time there.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

ABSENT = -1e9  # logit of a class that takes no part


class _ModelByModel(torch.autograd.Function):
    """log_softmax over the last dimension of (M, B, K), a model at a time.

    PyTorch takes the logarithms of many rows in one vector, and in a vector's rest they come out otherwise: in one call
    for all a model's numbers would depend on what else is in the stack.
    """

    @staticmethod
    def forward(ctx, logits):
        made = torch.stack([rows.log_softmax(-1) for rows in logits])
        ctx.save_for_backward(made)
        return made

    @staticmethod
    def backward(ctx, gradient):
        (made,) = ctx.saved_tensors
        backward = torch.ops.aten._log_softmax_backward_data
        return torch.stack([backward(g, m, -1, made.dtype) for g, m in zip(gradient, made, strict=True)])


def log_softmax(logits: Tensor) -> Tensor:
    """log p over the last dimension; of (M, B, K) exactly what each of the M models has alone."""
    return _ModelByModel.apply(logits) if logits.ndim == 3 else logits.log_softmax(-1)


def foreground_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Eq. 3: -log p_fg[y], the cross-entropy of the foreground's logits (..., C+1) against the target (..., C+1)."""
    return -(target * log_softmax(logits)).sum(-1)


def background_loss(logits: Tensor) -> Tensor:
    """-log p_bg[0] (with Eq. 5): the background's logits (..., C+1) must say background."""
    return -log_softmax(logits)[..., 0]


def gaussian(sigma: float) -> Tensor:
    """G(sigma) of Eq. 6, (2r+1,) with r = ceil(3 sigma) snippets; sigma 0 is no smoothing."""
    radius = math.ceil(3 * sigma)
    kernel = torch.exp(-(torch.arange(-radius, radius + 1, dtype=torch.float64) ** 2) / (2 * max(sigma, 1e-9) ** 2))
    return kernel / kernel.sum()


def guide_targets(frame_logits: Tensor, present: Tensor, smooth: Callable[[Tensor], Tensor]) -> Tensor:
    """Eq. 6: (..., 2, N) lambda_fg and lambda_bg from frame-level logits (..., N, C+1).

    present: (N, C+1), whether the snippet's video has the class. lambda_fg = G * p_t[y], the largest among the video's
    labels (footnote 1); lambda_bg = G * (1 - p_t[0]). Never lambda_fg > lambda_bg, so Eq. 7 is flat in lambda between
    the two.
    """
    probability = frame_logits.softmax(-1)
    strongest = probability.masked_fill(~present, 0).amax(-1)
    return smooth(torch.stack([strongest, 1 - probability[..., 0]], dim=-2))


def guide_distance(attention: Tensor, targets: Tensor) -> Tensor:
    """Eq. 7 before the mean over time: |lambda - lambda_fg| + |lambda - lambda_bg|, (..., N) from (..., 2, N)."""
    return (attention[..., None, :] - targets).abs().sum(-2)


def cluster_loss(foreground: Tensor, background: Tensor) -> Tensor:
    """Eq. 8-10: -log z_fg - log z_bg from the clusters' logits (..., 2) = (u_fg . x, u_bg . x) of x_fg and of x_bg."""
    return -log_softmax(foreground)[..., 0] - log_softmax(background)[..., 1]


# STPN's sparsity (Nguyen et al., CVPR 2018, Eq. 4) is the mean over time of |lambda|, and lambda is never negative.
