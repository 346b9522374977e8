"""From a video to its feature file: decode, flow, I3D, a snippet at a time. No catalog here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch

from core.errors import BadInput
from features import weights
from features.decode import DEFAULT_LIMITS, DecodeLimits, probe
from features.feature_files import STREAMS, VideoFeatures, write_features
from features.i3d import build, fastest_dtype, feature
from features.recipe import Recipe
from features.windows import pictures, snippets

FlowInit = Literal["cross-modality"]


@dataclass
class Extractor:
    """The recipe, and the networks that `setup` loads once. Plain and picklable until then."""

    recipe: Recipe = field(default_factory=Recipe)
    streams: tuple[str, ...] = STREAMS
    device: str = "cpu"
    flow_init: FlowInit | None = None  # "cross-modality": make the flow network of the RGB one's weights
    random_weights: bool = False  # untrained networks, for trials where no weights can be had
    limits: DecodeLimits = DEFAULT_LIMITS
    threads: int = 1  # of torch; more than the free cores make it ten times slower

    def __post_init__(self) -> None:
        if not self.streams or set(self.streams) - set(STREAMS):
            raise BadInput(f"streams must be rgb, flow or both, not {','.join(self.streams) or 'none'}")

    def setup(self) -> None:
        """Load the networks and set this process's thread counts.

        Raises Missing where weights are not there, BadInput where the device is not.
        """
        _check_device(self.device)
        torch.set_num_threads(self.threads)
        cv2.setNumThreads(1)
        loaded = {stream: self._weights(stream) for stream in self.streams}
        self._labels = {stream: its.label for stream, its in loaded.items()}
        self._networks = {stream: build(its.tensors, self.device) for stream, its in loaded.items()}

    def recipe_hash(self) -> str:
        """What its feature files will carry as their recipe. Raises Missing where weights are not there."""
        return self.recipe.hash({stream: self._weights(stream).label for stream in self.streams})

    def extract(self, path: Path, video_id: str) -> VideoFeatures:
        """One video's features, in memory that does not grow with its length. Raises BadInput with the reason."""
        count = 0

        def counted(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
            nonlocal count
            for frame in frames:
                count += 1
                yield frame

        rows: dict[str, list[np.ndarray]] = {stream: [] for stream in self.streams}
        frames = counted(pictures(path, self.recipe, self.limits))
        for snippet in snippets(frames, self.recipe, "flow" in self.streams):
            for stream in self.streams:
                rows[stream].append(feature(self._networks[stream], snippet[stream]).mean(axis=0))
        return VideoFeatures(
            id=video_id,
            streams={stream: np.stack(features) for stream, features in rows.items()},
            fps=self.recipe.fps,
            length=self.recipe.length,
            stride=self.recipe.stride,
            frames=count,
            # What the container claims, but no more than was there to decode.
            duration=min(probe(path, self.limits).duration or np.inf, count / self.recipe.fps),
            recipe=self.recipe.hash(self._labels),
            weights=self._labels,
            notes={"precision": str(fastest_dtype(self.device)), "source": Path(path).name},
        )

    def _weights(self, stream: str) -> weights.Weights:
        if self.random_weights:
            return weights.random_weights(stream)
        if stream == "flow" and self.flow_init == "cross-modality":
            return weights.cross_modality(weights.load("rgb"))
        return weights.load(stream)


def _check_device(device: str) -> None:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # AssertionError: a torch without CUDA
        raise BadInput(f"cannot use the device {device!r}: {str(error).splitlines()[0]}") from error


@dataclass
class ExtractStage:
    """Extraction for core.workers.map_unordered: a task is (video, video id, feature file to write)."""

    extractor: Extractor

    def setup(self) -> None:
        self.extractor.setup()

    def process(self, task: tuple[Path, str, Path]) -> dict[str, Any]:
        """Write the feature file; the value says what a catalog wants to know of it."""
        path, video_id, out = task
        features = self.extractor.extract(path, video_id)
        write_features(out, features)
        return {
            "id": video_id,
            "path": str(out),
            "streams": list(features.streams),
            "snippets": features.count,
            "frames": features.frames,
            "duration": features.duration,
            "recipe": features.recipe,
            "weights": features.weights,
        }
