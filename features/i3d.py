"""The I3D network up to Mixed_5c and its average pool: snippets in, 1024-d features out. Carreira & Zisserman 2017.

As TensorFlow computes it: SAME padding is asymmetric and depends on the input's size; batch norm has no gamma and an
epsilon of 1e-3 (ports with 1e-5 give other features). For speed, batch norm is folded into the convolutions, memory is
channels-last, and arithmetic is bfloat16 where the processor has it; pooling is float32.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plusmv.features.i3d_layers import FIRST, MIXED, unit_shapes

EPSILON = 1e-3  # of batch norm: Sonnet's default
EXACT = "Mixed_5"  # always float32: 1 % of the products, and a third of what bfloat16 would cost in accuracy


class Unit(nn.Module):
    """Convolution of stride 1 with SAME padding, batch norm folded in, ReLU."""

    def __init__(self, weight: Tensor, bias: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(convolve(x, self.weight, self.bias, (1, 1, 1), [size // 2 for size in self.weight.shape[2:]]))


class FirstUnit(nn.Module):
    """The 7x7x7 convolution of stride 2 on pixel levels, batch norm folded in, ReLU.

    Levels 0..255 stand for x = level * 2/255 - 1. level - 128 is exact in bfloat16, which x is not, so the scale goes
    into the weights, and the padding, x = 0, is a level of 127.5. Three channels fill no vector register: pairs of
    neighbours in a row become channels, twice as many, of a kernel four wide (17 % faster for 14 % more products).
    """

    def __init__(self, weight: Tensor, bias: Tensor):
        super().__init__()
        paired = F.pad(weight, (0, 1)).unflatten(4, (4, 2)).permute(0, 5, 1, 2, 3, 4).flatten(1, 2)
        self.weight = nn.Parameter(paired * (2 / 255), requires_grad=False)
        self.bias = nn.Parameter(bias + weight.sum(dim=(1, 2, 3, 4)) / 255, requires_grad=False)

    def forward(self, levels: Tensor) -> Tensor:
        """(B, T, H, W, C) uint8 levels, or float32 x in [-1, 1] -> (B, 64, T/2, H/2, W/2), sizes rounded up."""
        dtype = self.weight.dtype
        x = levels.to(dtype) - 128 if levels.dtype == torch.uint8 else (levels * 127.5 - 0.5).to(dtype)
        (front_t, back_t), (front_h, back_h), (front_w, back_w) = same_padding(x.shape[1:4], (7, 7, 7), (2, 2, 2))
        back_w += 1  # the eighth column meets weights of zero
        back_w += (x.shape[3] + front_w + back_w) % 2
        x = F.pad(x, (0, 0, front_w, back_w, front_h, back_h, front_t, back_t), value=-0.5)
        x = x.unflatten(3, (-1, 2)).flatten(4).permute(0, 4, 1, 2, 3)  # in memory the channels come last
        return F.relu_(convolve(x, self.weight, self.bias, (2, 2, 1), (0, 0, 0)))


class I3D(nn.Module):
    """Made by `build`. Calls are without gradients."""

    def __init__(self, units: Mapping[str, tuple[Tensor, Tensor]]):
        super().__init__()
        self.first = FirstUnit(*units[FIRST])
        self.units = nn.ModuleDict({name: Unit(*unit) for name, unit in units.items() if name != FIRST})

    @torch.inference_mode()
    def forward(self, video: Tensor) -> Tensor:
        """(B, T, 224, 224, C) -> (B, T', 1024) float32: one feature per pooled position, T' = 1 for T = 16.

        Input: uint8 levels 0..255 (RGB or quantised flow), or float32 in [-1, 1]. The feature of the whole is the mean
        over T'.
        """
        x = self.first(video)
        x = max_pool_same(x, (1, 3, 3), (1, 2, 2))
        x = self.units["Conv3d_2c_3x3"](self.units["Conv3d_2b_1x1"](x))
        x = max_pool_same(x, (1, 3, 3), (1, 2, 2))
        for name in MIXED:
            if name == "Mixed_4b":
                x = max_pool_same(x, (3, 3, 3), (2, 2, 2))
            if name == "Mixed_5b":
                x = max_pool_same(x, (2, 2, 2), (2, 2, 2)).float()  # EXACT from here on
            x = self._mixed(name, x)
        pooled = F.avg_pool3d(x, (min(2, x.shape[2]), 7, 7), stride=1)  # (B, 1024, T', 1, 1)
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
    channels = tensors[f"{FIRST}/weight"].shape[1]
    units = {name: fold(tensors, name) for name in unit_shapes(channels)}
    network = I3D(units).eval().to(device, dtype or fastest_dtype(device))
    for name, unit in network.units.items():
        if name.startswith(EXACT):
            weight, bias = units[name]
            unit.weight.data, unit.bias.data = weight.to(device), bias.to(device)
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # torch's stub lacks it


def feature(network: I3D, frames: np.ndarray) -> np.ndarray:
    """(T, H, W, C), uint8 levels or float32 in [-1, 1] -> (T', 1024) float32."""
    video = torch.from_numpy(frames).to(next(network.parameters()).device)
    return network(video[None])[0].cpu().numpy()


def fold(tensors: Mapping[str, np.ndarray], unit: str) -> tuple[Tensor, Tensor]:
    """A unit's convolution weight and bias with its batch norm folded in: y = (conv(x) - mean) / std + beta."""
    weight, beta, mean, variance = (
        torch.from_numpy(np.asarray(tensors[f"{unit}/{part}"], np.float32))
        for part in ("weight", "beta", "mean", "variance")
    )
    scale = torch.rsqrt(variance + EPSILON)
    return weight * scale.view(-1, 1, 1, 1, 1), beta - mean * scale


def convolve(x: Tensor, weight: Tensor, bias: Tensor, stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    """3D convolution; on a CPU by oneDNN, whose place torch gives to a slower kernel for small float32 ones."""
    if x.device.type == "cpu" and torch.backends.mkldnn.is_available():
        return torch.ops.aten.mkldnn_convolution(x, weight, bias, padding, stride, (1, 1, 1), 1)
    return F.conv3d(x, weight, bias, stride, padding)


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
    """Max pool with SAME padding of (B, C, T, H, W), an axis at a time (half the time of torch's own on a CPU).

    TensorFlow pads with nothing, others with zeros: the same here, as the input is never negative.
    """
    for axis, (width, step) in enumerate(zip(kernel, stride, strict=True), start=2):
        if (width, step) != (1, 1):
            x = _max_along(x, axis, width, step)
    return x


def _max_along(x: Tensor, axis: int, width: int, step: int) -> Tensor:
    """Output i is the maximum of x[i*step - front + j] over those j < width that lie inside."""
    size = x.shape[axis]
    outputs = -(-size // step)
    front = max((outputs - 1) * step + width - size, 0) // 2
    along = [slice(None)] * axis
    most = x[*along, ::step].clone(memory_format=torch.preserve_format)  # j = front, which always lies inside
    for shift in (j - front for j in range(width) if j != front):
        low, high = max(0, -(shift // step)), min(outputs, (size - 1 - shift) // step + 1)
        part = most.narrow(axis, low, high - low)
        first = low * step + shift
        torch.maximum(part, x[*along, first : first + (high - low - 1) * step + 1 : step], out=part)
    return most


def fastest_dtype(device: str = "cpu") -> torch.dtype:
    """bfloat16 where the device multiplies it in hardware, else float32 (emulated bfloat16 is slower than float32)."""
    if torch.device(device).type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float32
    return torch.bfloat16 if _cpu_multiplies_bfloat16() else torch.float32


def _cpu_multiplies_bfloat16() -> bool:
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # not public in torch 2.6 to 2.13
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)
