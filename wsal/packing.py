"""Videos of different length as one run of snippets, so that one product serves them all, and what averages over each.

A step on B packed videos has the gradients of B steps on one each, averaged: no video enters another's terms.
"""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from plusmv.wsal.losses import gaussian

ALIGNED = (
    32  # snippets: rows of whole vector registers, so that a model's numbers do not depend on its place in a stack
)


class Packed:
    """B videos, one after the other: N snippets, the last few of them filling up and belonging to no video."""

    def __init__(self, videos: Sequence[Tensor], targets: Tensor):
        """Pack features (T, d) of B videos with their targets (B, C+1)."""
        self.lengths = [len(video) for video in videos]
        self.count = sum(self.lengths)
        filling = -self.count % ALIGNED
        self.features = torch.cat([*videos, videos[0].new_zeros(filling, videos[0].shape[1])])  # (N, d)
        self.targets = targets
        self.owner = torch.repeat_interleave(torch.arange(len(videos)), torch.tensor(self.lengths))  # (count,)
        self.smoothers: dict[float, tuple[Tensor, Tensor, Tensor]] = {}

    @cached_property
    def shares(self) -> Tensor:
        """(B, N): 1/T where the snippet is the video's, else 0. Times a signal (N,): its mean over each video."""
        shares = self.features.new_zeros(len(self.lengths), len(self.features))
        shares[self.owner, torch.arange(self.count)] = (1 / torch.tensor(self.lengths)).to(shares.dtype)[self.owner]
        return shares

    @cached_property
    def present(self) -> Tensor:
        """(N, C+1): whether the snippet's video has the class."""
        present = torch.zeros(len(self.features), self.targets.shape[1], dtype=torch.bool)
        present[: self.count] = self.targets[self.owner] > 0
        return present

    def spread_within(self, signal: Tensor) -> Tensor | None:
        """Standard deviation of a signal (M, N) over each video's own snippets, averaged over the videos: (M,).

        Videos of one snippet have none; None where there are no others.
        """
        several = torch.tensor(self.lengths) > 1
        if not several.any():
            return None
        own = self.shares[:, : self.count]
        spreads = []
        for values in signal[:, : self.count]:  # a model at a time: the same sums whatever is stacked with it
            apart = values - (own @ values)[self.owner]
            spreads.append((own @ apart.square())[several].sqrt().mean())
        return torch.stack(spreads)

    def smooth(self, signal: Tensor, sigma: float) -> Tensor:
        """G(sigma) * signal (..., N), within each video, its ends repeated outwards; sigma in snippets. Any T >= 1."""
        if sigma == 0:
            return signal
        if sigma not in self.smoothers:
            self.smoothers[sigma] = self._smoother(sigma)
        kernel, spread, gathered = self.smoothers[sigma]
        padded = signal.index_select(-1, spread)
        width = padded.shape[-1] - len(kernel) + 1
        smoothed = kernel[0] * padded[..., :width]
        for tap in range(1, len(kernel)):  # a tap at a time: the same sums whatever is stacked with it
            smoothed = smoothed + kernel[tap] * padded[..., tap : tap + width]
        return smoothed.index_select(-1, gathered)

    def _smoother(self, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
        """The kernel, which snippets to lay out so that each video stands between its repeated ends, and how back."""
        kernel = gaussian(sigma)
        radius = len(kernel) // 2
        spread, gathered, start, at = [], [], 0, 0
        for length in self.lengths:
            spread.append(torch.arange(-radius, length + radius).clamp(0, length - 1) + start)
            gathered.append(torch.arange(length) + at)
            start, at = start + length, at + length + 2 * radius
        filling = torch.zeros(len(self.features) - self.count, dtype=torch.int64)
        return kernel.to(self.features.dtype), torch.cat(spread), torch.cat([*gathered, filling])
