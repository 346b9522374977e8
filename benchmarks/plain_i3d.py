"""The yardstick: I3D as one would first write it, and extraction around it. Batch norm unfolded, float32, no overlap.

Shares nothing with features.i3d but the table of layers, so that it also checks it.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plusmv.features.i3d_layers import FIRST, MIXED, unit_shapes


def pad_same(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Zeros around (B, C, T, H, W) as TensorFlow's SAME asks for."""
    sides = []
    for size, width, step in zip(x.shape[2:], kernel, stride, strict=True):
        total = max((-(-size // step) - 1) * step + width - size, 0)
        sides = [total // 2, total - total // 2, *sides]
    return F.pad(x, sides)


def pool(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    return F.max_pool3d(pad_same(x, kernel, stride), kernel, stride)


class PlainUnit(nn.Module):
    """Convolution, batch norm (no scale, epsilon 1e-3), ReLU."""

    def __init__(self, tensors: dict[str, np.ndarray], name: str):
        super().__init__()
        self.stride = (2, 2, 2) if name == FIRST else (1, 1, 1)
        self.weight, self.beta, self.mean, self.variance = (
            nn.Parameter(torch.from_numpy(tensors[f"{name}/{part}"]), requires_grad=False)
            for part in ("weight", "beta", "mean", "variance")
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv3d(pad_same(x, self.weight.shape[2:], self.stride), self.weight, None, self.stride)
        return F.relu(F.batch_norm(x, self.mean, self.variance, None, self.beta, eps=1e-3))


class PlainI3D(nn.Module):
    """(B, C, T, H, W) in [-1, 1] -> (B, 1024)."""

    def __init__(self, tensors: dict[str, np.ndarray]):
        super().__init__()
        channels = tensors[f"{FIRST}/weight"].shape[1]
        self.units = nn.ModuleDict({name: PlainUnit(tensors, name) for name in unit_shapes(channels)})

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        unit = self.units
        x = pool(unit[FIRST](x), (1, 3, 3), (1, 2, 2))
        x = pool(unit["Conv3d_2c_3x3"](unit["Conv3d_2b_1x1"](x)), (1, 3, 3), (1, 2, 2))
        for name in MIXED:
            if name == "Mixed_4b":
                x = pool(x, (3, 3, 3), (2, 2, 2))
            if name == "Mixed_5b":
                x = pool(x, (2, 2, 2), (2, 2, 2))
            first, second, third = (f"{name}/Branch_{branch}/Conv3d_0" for branch in (0, 1, 2))
            x = torch.cat([
                unit[f"{first}a_1x1"](x),
                unit[f"{second}b_3x3"](unit[f"{second}a_1x1"](x)),
                unit[f"{third}b_3x3"](unit[f"{third}a_1x1"](x)),
                unit[f"{name}/Branch_3/Conv3d_0b_1x1"](pool(x, (3, 3, 3), (1, 1, 1))),
            ], dim=1)  # fmt: skip
        return F.avg_pool3d(x, (min(2, x.shape[2]), 7, 7), stride=1).mean(dim=(2, 3, 4))


def plain_features(frames: Iterator[np.ndarray], networks: dict[str, PlainI3D]) -> dict[str, np.ndarray]:
    """Features of whole pictures (H, W, 3), one snippet after another: decode all, flow of all, then the networks."""
    frames = list(frames)
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    top, left = (frames[0].shape[0] - 224) // 2, (frames[0].shape[1] - 224) // 2
    crop = np.s_[top : top + 224, left : left + 224]
    inputs = {"rgb": [frame[crop].astype(np.float32) * (2 / 255) - 1 for frame in frames]}
    if "flow" in networks:
        fields = []
        for before, after in pairwise(greys):
            flow = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 3, 5, 1.2, 0)
            levels = np.minimum(np.rint(128 + 255 / 40 * np.clip(flow, -20, 20)), 255)
            fields.append((levels[crop] * (2 / 255) - 1).astype(np.float32))
        inputs["flow"] = fields + fields[-1:]
    rows: dict[str, list[np.ndarray]] = {stream: [] for stream in networks}
    for stream, network in networks.items():
        for start in range(0, len(frames) - 15, 16):
            video = torch.from_numpy(np.stack(inputs[stream][start : start + 16]))
            rows[stream].append(network(video.permute(3, 0, 1, 2)[None]).numpy()[0])
    return {stream: np.stack(features) for stream, features in rows.items()}


def plain_networks(weights: dict[str, dict[str, np.ndarray]]) -> dict[str, PlainI3D]:
    return {stream: PlainI3D(tensors).eval() for stream, tensors in weights.items()}


def clips(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """Those of the clips that are there."""
    return [folder / name for name in names if (folder / name).is_file()]
