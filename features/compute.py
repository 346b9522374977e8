"""From chunks of frames to snippet features, on one device: flow, crops, and the networks in batches.

On a CPU flow is OpenCV's, and one snippet at a time is fastest; on a GPU frames go up once as bytes, and flow, crops
and both networks happen there, on the snippets of several videos together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from plusmv.features.farneback import luma, sequence_flow
from plusmv.features.flow import fields_of, quantised, scaled
from plusmv.features.flow_cache import FlowCache
from plusmv.features.i3d import I3D
from plusmv.features.recipe import Recipe
from plusmv.features.windows import Chunk, snippet_starts

GPU_BATCH = 32  # snippets


@dataclass
class Computer:
    """Networks and how to feed them. flow_on: "cpu" for OpenCV's Farneback, "device" for torch's; None: by device."""

    networks: Mapping[str, I3D]  # by stream
    recipe: Recipe
    device: str = "cpu"
    flow_on: str | None = None
    cache: FlowCache | None = None
    batch: int = field(init=False)  # snippets a pass

    def __post_init__(self) -> None:
        on_gpu = torch.device(self.device).type != "cpu"
        self.batch = GPU_BATCH if on_gpu else 1
        self.flow_on = self.flow_on or ("device" if on_gpu else "cpu")

    @torch.inference_mode()
    def features(self, chunks: Sequence[Chunk], videos: Sequence[str] = ()) -> list[dict[str, np.ndarray]]:
        """Each chunk's snippet features by stream: (n, 1024) float32. videos: ids, by which flow is kept."""
        counts = [len(snippet_starts(chunk, self.recipe)) for chunk in chunks]
        made: list[dict[str, np.ndarray]] = [{} for _ in chunks]
        frames = [torch.from_numpy(chunk.frames).to(self.device) for chunk in chunks]
        named = list(zip(chunks, frames, videos or [""] * len(chunks), strict=True))
        for stream, network in self.networks.items():
            levels = frames if stream == "rgb" else [self._flow(*one) for one in named]
            rows = np.split(self._rows(network, stream, chunks, levels), np.cumsum(counts)[:-1])
            for features, part in zip(made, rows, strict=True):
                features[stream] = part
        return made

    def _rows(self, network: I3D, stream: str, chunks: Sequence[Chunk], levels: Sequence[Tensor]) -> np.ndarray:
        """Features of all chunks' snippets, averaged over the recipe's views: (sum of n, 1024)."""
        total, views = torch.zeros((), device=self.device), list(_views(self.recipe))
        for place, mirrored in views:
            snippets = (
                window
                for chunk, whole in zip(chunks, levels, strict=True)
                for window in self._snippets(chunk, _view(whole, stream, place, mirrored, self.recipe.crop))
            )
            passes = [network(torch.stack(batch)).mean(dim=1) for batch in _batches(snippets, self.batch)]
            total = total + torch.cat(passes)
        return (total / len(views)).cpu().numpy()

    def _snippets(self, chunk: Chunk, levels: Tensor) -> Iterator[Tensor]:
        """(N, crop, crop, C) -> each snippet's (length, crop, crop, C); what is lacking at the end repeats the last."""
        for start in snippet_starts(chunk, self.recipe):
            window = levels[start : start + self.recipe.length]
            lacking = self.recipe.length - len(window)
            yield torch.cat([window, window[-1:].expand(lacking, -1, -1, -1)]) if lacking else window

    def _flow(self, chunk: Chunk, frames: Tensor, video: str) -> Tensor:
        """The fields of a chunk, whole pictures: (N - 1, H, W, 2) uint8 levels, or float32 if not quantised."""
        if len(frames) == 1:  # a video of one frame: no motion
            still = np.zeros((1, *chunk.frames.shape[1:3], 2), np.float32)
            return torch.from_numpy(self._scaled(still)).to(self.device)
        if self.cache is not None:
            levels = self.cache.levels(video, chunk.frames, lambda: self._fields(chunk, frames).cpu().numpy())
            return torch.from_numpy(levels).to(self.device)
        return self._fields(chunk, frames)

    def _fields(self, chunk: Chunk, frames: Tensor) -> Tensor:
        if self.flow_on == "cpu":
            return torch.from_numpy(self._scaled(fields_of(chunk.frames, self.recipe.flow))).to(self.device)
        flow = sequence_flow(luma(frames), self.recipe.flow).permute(0, 2, 3, 1)
        bound = self.recipe.flow_bound
        flow = flow.clamp(-bound, bound)
        if self.recipe.flow_quantise == "none":
            return flow / bound
        return (128 + 255 / (2 * bound) * flow).round().clamp(max=255).to(torch.uint8)

    def _scaled(self, flow: np.ndarray) -> np.ndarray:
        make = scaled if self.recipe.flow_quantise == "none" else quantised
        return make(flow, self.recipe.flow_bound)


def _views(recipe: Recipe) -> Iterator[tuple[tuple[float, float], bool]]:
    """Where each crop lies, as shares of the room above and to the left of it, and whether it is mirrored."""
    if recipe.crops == "centre":
        yield (0.5, 0.5), False
        return
    for mirrored in (False, True):
        for place in ((0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5)):
            yield place, mirrored


def _view(levels: Tensor, stream: str, place: tuple[float, float], mirrored: bool, size: int) -> Tensor:
    """(N, H, W, C) -> (N, size, size, C). Mirrored flow goes the other way along x."""
    top, left = (int((room - size) * share) for room, share in zip(levels.shape[1:3], place, strict=True))
    crop = levels[:, top : top + size, left : left + size]
    if not mirrored:
        return crop
    crop = crop.flip(2)
    if stream == "flow":
        across = crop[..., :1]
        turned = -across if across.is_floating_point() else (256 - across.int()).clamp(max=255).to(torch.uint8)
        crop = torch.cat([turned, crop[..., 1:]], dim=-1)
    return crop


def _batches(snippets: Iterator[Tensor], size: int) -> Iterator[list[Tensor]]:
    batch: list[Tensor] = []
    for snippet in snippets:
        batch.append(snippet)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
