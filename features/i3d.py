"""The I3D network up to Mixed_5c and its average pool: snippets in, 1024-d features out. Carreira & Zisserman 2017.

As TensorFlow computes it: SAME padding is asymmetric and depends on the input's size; batch norm has no gamma and an
epsilon of 1e-3 (ports with 1e-5 give other features). For speed, batch norm is folded into the convolutions, memory is
channels-last, and arithmetic is bfloat16 where the processor has it (benchmarks/i3d.py); pooling is float32.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from features.i3d_layers import MIXED, unit_shapes

EPSILON = 1e-3  # of batch norm: Sonnet's default


class Unit(nn.Module):
    """Convolution with SAME padding, batch norm folded in, ReLU."""

    def __init__(self, weight: Tensor, bias: Tensor, stride: int = 1):
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        padding = same_padding(x.shape[2:], self.weight.shape[2:], (self.stride,) * 3)
        if any(front != back for front, back in padding):  # a padded copy: only the first layer needs one
            x = F.pad(x, [side for pair in reversed(padding) for side in pair])
            padding = [(0, 0)] * 3
        return F.conv3d(x, self.weight, self.bias, self.stride, [front for front, _ in padding]).relu_()


class I3D(nn.Module):
    """Made by `build`. Calls are without gradients."""

    def __init__(self, units: Mapping[str, tuple[Tensor, Tensor]]):
        super().__init__()
        first = next(iter(units))
        self.units = nn.ModuleDict({name: Unit(*unit, 2 if name == first else 1) for name, unit in units.items()})

    @torch.inference_mode()
    def forward(self, video: Tensor) -> Tensor:
        """(B, C, T, 224, 224) in [-1, 1] -> (B, T', 1024) float32: one feature per pooled position, T' = 1 for T = 16.

        The feature of the whole input is the mean over T'.
        """
        x = self.units["Conv3d_1a_7x7"](video.to(self.units["Conv3d_1a_7x7"].weight.dtype))
        x = max_pool_same(x, (1, 3, 3), (1, 2, 2))
        x = self.units["Conv3d_2c_3x3"](self.units["Conv3d_2b_1x1"](x))
        x = max_pool_same(x, (1, 3, 3), (1, 2, 2))
        for name in MIXED:
            if name == "Mixed_4b":
                x = max_pool_same(x, (3, 3, 3), (2, 2, 2))
            if name == "Mixed_5b":
                x = max_pool_same(x, (2, 2, 2), (2, 2, 2))
            x = self._mixed(name, x)
        # bfloat16 has no average pool on CPU, and should not: sums are float32.
        pooled = F.avg_pool3d(x.float(), (min(2, x.shape[2]), 7, 7), stride=1)  # (B, 1024, T', 1, 1)
        return pooled.flatten(2).transpose(1, 2)

    def _mixed(self, name: str, x: Tensor) -> Tensor:
        unit = self.units
        branches = (
            unit[f"{name}/Branch_0/Conv3d_0a_1x1"](x),
            unit[f"{name}/Branch_1/Conv3d_0b_3x3"](unit[f"{name}/Branch_1/Conv3d_0a_1x1"](x)),
            unit[f"{name}/Branch_2/Conv3d_0b_3x3"](unit[f"{name}/Branch_2/Conv3d_0a_1x1"](x)),
            unit[f"{name}/Branch_3/Conv3d_0b_1x1"](max_pool_same(x, (3, 3, 3), (1, 1, 1))),
        )
        return torch.cat(branches, dim=1)


def build(tensors: Mapping[str, np.ndarray], device: str = "cpu", dtype: torch.dtype | None = None) -> I3D:
    """The network from weights as features.weights loads them; dtype: None for the fastest the device does well."""
    channels = tensors["Conv3d_1a_7x7/weight"].shape[1]
    units = {name: fold(tensors, name) for name in unit_shapes(channels)}
    network = I3D(units).eval().to(device, dtype or fastest_dtype(device))
    return network.to(memory_format=torch.channels_last_3d)


def feature(network: I3D, frames: np.ndarray) -> np.ndarray:
    """(T, H, W, C), uint8 0..255 RGB or float32 [-1, 1] flow -> (T', 1024) float32."""
    video = torch.from_numpy(frames).to(next(network.parameters()).device)
    video = video.float().mul_(2 / 255).sub_(1) if video.dtype == torch.uint8 else video
    return network(video.permute(3, 0, 1, 2)[None])[0].cpu().numpy()


def fold(tensors: Mapping[str, np.ndarray], unit: str) -> tuple[Tensor, Tensor]:
    """A unit's convolution weight and bias with its batch norm folded in: y = (conv(x) - mean) / std + beta."""
    weight, beta, mean, variance = (
        torch.from_numpy(np.asarray(tensors[f"{unit}/{part}"], np.float32))
        for part in ("weight", "beta", "mean", "variance")
    )
    scale = torch.rsqrt(variance + EPSILON)
    return weight * scale.view(-1, 1, 1, 1, 1), beta - mean * scale


def same_padding(sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> list[tuple[int, int]]:
    """TensorFlow's SAME padding: (front, back) per axis.

    The total, max((ceil(n/s) - 1)*s + k - n, 0), is halved; where it is odd the larger half goes behind.
    """
    totals = [
        max((-(-size // step) - 1) * step + width - size, 0)
        for size, width, step in zip(sizes, kernel, stride, strict=True)
    ]
    return [(total // 2, total - total // 2) for total in totals]


def max_pool_same(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Max pool with SAME padding of (B, C, T, H, W).

    The back exceeds the front by one at most, which is what rounding the output size up does without a padded copy.
    TensorFlow pads with nothing, others with zeros: the same here, as the input is never negative.
    """
    front = [front for front, _ in same_padding(x.shape[2:], kernel, stride)]
    return F.max_pool3d(x, kernel, stride, front, ceil_mode=True)


def fastest_dtype(device: str = "cpu") -> torch.dtype:
    """bfloat16 where the device multiplies it in hardware, else float32 (emulated bfloat16 is slower than float32)."""
    if torch.device(device).type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float32
    return torch.bfloat16 if _cpu_multiplies_bfloat16() else torch.float32


def _cpu_multiplies_bfloat16() -> bool:
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # not public in torch 2.6 to 2.13
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)
