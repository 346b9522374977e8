"""What several methods do along time, within each of the packed videos: convolutions, top-k pooling, co-activity.

Shapes: N snippets of B videos, C classes; class index 0 is the background.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plusmv.wsal.packing import Packed

MARGIN = 0.5  # of the co-activity loss


def with_neighbours(x: Tensor, videos: Packed) -> Tensor:
    """(N, 3d) from (N, d): each snippet between the two beside it, zeros beyond its video's ends."""
    follows = (videos.owner[1:] == videos.owner[:-1])[:, None]  # (N-1, 1)
    before = F.pad(x[:-1] * follows, (0, 0, 1, 0))
    after = F.pad(x[1:] * follows, (0, 0, 0, 1))
    return torch.cat([before, x, after], dim=-1)


class Convolution(nn.Linear):
    """A convolution over 3 snippets, zero-padded at each video's ends: (N, d) -> (N, outputs)."""

    def __init__(self, width: int, outputs: int):
        super().__init__(3 * width, outputs)

    def forward(self, x: Tensor, videos: Packed) -> Tensor:  # type: ignore[override]
        return super().forward(with_neighbours(x, videos))


def top_means(signal: Tensor, videos: Packed, divisor: int) -> Tensor:
    """(B, K) from (N, K): each column's mean over its max(1, T // divisor) largest values in each video."""
    parts = signal.split(videos.lengths)
    return torch.stack([part.topk(max(1, len(part) // divisor), dim=0).values.mean(0) for part in parts])


def with_background(targets: Tensor, background: float) -> Tensor:
    """(B, C+1) label distributions from targets (B, C+1): labels of weight 1 each, and the background's, normalised."""
    labels = (targets > 0).to(targets)
    labels = torch.cat([torch.full_like(labels[:, :1], background), labels[:, 1:]], dim=-1)
    return labels / labels.sum(-1, keepdim=True)


def coactivity_loss(features: Tensor, tcam: Tensor, videos: Packed) -> Tensor:
    """(B,), equal values: W-TALC's ranking hinge, from features (N, d) and T-CAM (N, C+1).

    Where two videos of the batch share a class, their features where its T-CAM is high must be closer to each other
    than to those of the other video's rest. The mean over all such pairs and classes; 0 without any.
    """
    high, rest = [], []
    for x, scores in zip(features.split(videos.lengths), tcam.split(videos.lengths), strict=True):
        weight = scores.softmax(0)  # (T, C+1), over time
        high.append(F.normalize(x.T @ weight, dim=0))  # (d, C+1)
        rest.append(F.normalize(x.T @ (1 - weight), dim=0))
    h, low = torch.stack(high), torch.stack(rest)  # (B, d, C+1)
    apart = 1 - torch.einsum("idc,jdc->ijc", h, h)
    from_rest = 1 - torch.einsum("idc,jdc->ijc", h, low)
    hinge = (apart - from_rest + MARGIN).relu()  # (B, B, C+1)
    labels = (videos.targets > 0).to(hinge.dtype)
    others = 1 - torch.eye(len(labels), device=labels.device)[..., None]
    shared = labels[:, None] * labels[None] * others
    return ((hinge * shared).sum() / shared.sum().clamp_min(1)).expand(len(labels))
