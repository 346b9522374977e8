"""Videos of different lengths concatenated along time, so that one matrix product serves them all.

A step on B packed videos has the mean gradient of B steps on one each: no video enters another's terms.
"""

import math
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor


class Packed:
    """B concatenated videos of N snippets in total. All tensors are on the features' device."""

    def __init__(self, videos: Sequence[Tensor], targets: Tensor):
        """Pack features (T, d) of B videos with their targets (B, C+1)."""
        self.lengths = [len(video) for video in videos]
        self.features = torch.cat(list(videos))  # (N, d)
        self.targets = targets
        device = self.features.device
        self.counts = torch.tensor(self.lengths, device=device)  # (B,)
        self.owner = torch.repeat_interleave(torch.arange(len(videos), device=device), self.counts)  # (N,)
        self.smoothers: dict[float, tuple[Tensor, Tensor, Tensor]] = {}

    @cached_property
    def shares(self) -> Tensor:
        """(B, N): 1/T for the video's own snippets, else 0. Times a signal (N,): its mean over each video."""
        own = torch.arange(len(self.lengths), device=self.owner.device)[:, None] == self.owner
        return own.to(self.features.dtype) / self.counts[:, None]

    @cached_property
    def present(self) -> Tensor:
        """(N, C+1): whether the snippet's video has the class."""
        return self.targets[self.owner] > 0

    def mean(self, signal: Tensor) -> Tensor:
        """Mean of a signal (N,) over each video's time: (B,)."""
        return self.shares @ signal

    def spread_within(self, signals: Tensor) -> Tensor | None:
        """Standard deviation of M signals (M, N) over each video's own snippets, averaged over the videos: (M,).

        Videos of one snippet are left out; None if there are no others.
        """
        several = [index for index, length in enumerate(self.lengths) if length > 1]
        if not several:
            return None
        means = signals @ self.shares.T  # (M, B)
        variances = (signals - means[:, self.owner]).square() @ self.shares.T
        return variances[:, several].sqrt().mean(-1)

    def smooth(self, signal: Tensor, sigma: float) -> Tensor:
        """G(sigma) * signal (..., N), within each video, edge values repeated; sigma in snippets. Any T >= 1."""
        if sigma == 0:
            return signal
        if sigma not in self.smoothers:
            self.smoothers[sigma] = self._smoother(sigma)
        kernel, spread, gathered = self.smoothers[sigma]
        padded = signal.index_select(-1, spread)
        width = padded.shape[-1] - len(kernel) + 1
        smoothed = kernel[0] * padded[..., :width]
        for tap in range(1, len(kernel)):
            smoothed = smoothed + kernel[tap] * padded[..., tap : tap + width]
        return smoothed.index_select(-1, gathered)

    def _smoother(self, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
        """The kernel, indices that pad each video with its edge snippets, and indices that undo the padding."""
        kernel = gaussian(sigma)
        radius = len(kernel) // 2
        spread, gathered, start, at = [], [], 0, 0
        for length in self.lengths:
            spread.append(torch.arange(-radius, length + radius).clamp(0, length - 1) + start)
            gathered.append(torch.arange(length) + at)
            start, at = start + length, at + length + 2 * radius
        device = self.features.device
        return kernel.to(self.features), torch.cat(spread).to(device), torch.cat(gathered).to(device)


def gaussian(sigma: float) -> Tensor:
    """G(sigma) of Eq. 6, (2r+1,) with r = ceil(3 sigma) snippets; sigma 0 is no smoothing."""
    radius = math.ceil(3 * sigma)
    kernel = torch.exp(-(torch.arange(-radius, radius + 1, dtype=torch.float64) ** 2) / (2 * max(sigma, 1e-9) ** 2))
    return kernel / kernel.sum()
