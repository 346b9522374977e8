"""From videos to features: decoders feed networks through a bounded pipeline, whatever the videos' number and length.

Decoding and the networks are two stages of core.workers, one feeding the other with chunks of frames: a long video
keeps all cores busy, chunks of several videos share a GPU's batches, and a file that kills its decoder harms no other.
No catalog here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch

from plusmv.core.errors import BadInput
from plusmv.core.workers import Outcome, available_cores, map_unordered
from plusmv.features import weights
from plusmv.features.compute import Computer
from plusmv.features.decode import DEFAULT_LIMITS, DecodeLimits
from plusmv.features.decode_stage import Decoded, DecodeStage, Video
from plusmv.features.device import resolve_device
from plusmv.features.feature_files import STREAMS, VideoFeatures
from plusmv.features.flow_cache import FlowCache
from plusmv.features.i3d import build, fastest_dtype
from plusmv.features.recipe import Recipe
from plusmv.features.windows import Chunk

FlowInit = Literal["cross-modality"]
CORES_PER_DECODER = 4  # decoding takes 2 to 12 % of the time that flow and networks take on a CPU
STARTS = 128  # frames in which a GPU's share of snippets starts, gathered from several videos


@dataclass(frozen=True)
class Extractor:
    """What to extract, and with what. Plain and picklable: networks are loaded where they run."""

    recipe: Recipe = field(default_factory=Recipe)
    streams: tuple[str, ...] = STREAMS
    device: str = "cpu"
    flow_init: FlowInit | None = None  # "cross-modality": make the flow network of the RGB one's weights
    random_weights: bool = False  # untrained networks, for trials where no weights can be had
    limits: DecodeLimits = DEFAULT_LIMITS
    rgb_weights: str = "rgb"  # names of kept weights
    flow_weights: str = "flow"
    flow_cache: Path | None = None
    precision: Literal["fastest", "float32"] = "fastest"  # of the networks; fastest: bfloat16 where hardware has it
    flow_on: Literal["cpu", "device"] | None = None  # whose Farneback; None: OpenCV's on a CPU, torch's on a GPU

    def __post_init__(self) -> None:
        if not self.streams or set(self.streams) - set(STREAMS):
            raise BadInput(f"streams must be rgb, flow or both, not {','.join(self.streams) or 'none'}")
        if self.flow_cache is not None and self.recipe.flow_quantise == "none":
            raise BadInput("a flow cache keeps 256 levels, so it cannot serve flow that is not quantised")

    @property
    def dtype(self) -> torch.dtype:
        """What the networks multiply."""
        return torch.float32 if self.precision == "float32" else fastest_dtype(self.device)

    def labels(self) -> dict[str, str]:
        """Name and hash of each stream's weights. Raises Missing where weights are not there."""
        return {stream: self._weights(stream).label for stream in self.streams}

    def recipe_hash(self) -> str:
        """What its feature files carry as their recipe. Raises Missing where weights are not there."""
        return self.recipe.hash(self.labels())

    def computer(self) -> Computer:
        """Load the networks. Raises Missing where weights are not there, BadInput where the device is not."""
        resolve_device(self.device)
        networks = {stream: build(self._weights(stream).tensors, self.device, self.dtype) for stream in self.streams}
        settings = f"{self.recipe.flow} {self.recipe.flow_bound}"
        cache = None if self.flow_cache is None else FlowCache(self.flow_cache, settings)
        return Computer(networks, self.recipe, self.device, self.flow_on, cache)

    def extract(self, path: Path, video_id: str) -> VideoFeatures:
        """One video's features, in this process. Raises BadInput with the reason, Missing without weights."""
        (outcome,) = extract_all(self, [(path, video_id)], engine="inline")
        if outcome.value is None:
            raise BadInput(outcome.error)
        return outcome.value

    def _weights(self, stream: str) -> weights.Weights:
        if self.random_weights:
            return weights.random_weights(stream)
        if stream == "flow" and self.flow_init == "cross-modality":
            return weights.cross_modality(weights.load(self.rgb_weights, "rgb"))
        return weights.load(self.rgb_weights if stream == "rgb" else self.flow_weights, stream)


def extract_all(
    extractor: Extractor, videos: Iterable[Video], workers: int | None = None, engine: str = "processes"
) -> Iterator[Outcome[Video, VideoFeatures]]:
    """Features of many videos, each once, as they are finished; an error is an outcome with its reason.

    workers: processes that run the networks (default: one a core; on a GPU the caller's own process does).
    engine: "processes", or "inline": all in this process. Memory does not grow with a video's length.
    Raises Missing where weights are not there, BadInput where the device is not.
    """
    on_gpu = resolve_device(extractor.device).type != "cpu"
    cores = available_cores()
    workers = workers or cores
    decoders = cores if on_gpu else -(-workers // CORES_PER_DECODER)
    assembly = _Assembly(extractor)
    stage = DecodeStage(extractor.recipe, extractor.limits)
    decoded = map_unordered(stage, videos, engine, decoders, extractor.limits.wall_seconds)
    batches = _gathered(assembly.chunks(decoded), STARTS if on_gpu else 0)
    threads = 1 if engine == "processes" and not on_gpu else None
    compute = ComputeStage(extractor, threads)
    for outcome in map_unordered(compute, batches, "inline" if on_gpu else engine, workers):
        assembly.add(outcome)
        yield from assembly.finished()
    yield from assembly.finished()


@dataclass
class ComputeStage:
    """A task is a batch of (video, chunk); the value is each chunk's features."""

    extractor: Extractor
    threads: int | None  # of torch; more than the free cores make it ten times slower

    def setup(self) -> None:
        if self.threads:
            torch.set_num_threads(self.threads)
        cv2.setNumThreads(1)
        self._computer = self.extractor.computer()

    def process(self, task: list[tuple[Video, Chunk]]) -> list[dict[str, np.ndarray]]:
        return self._computer.features([chunk for _, chunk in task], [video_id for (_, video_id), _ in task])


def _gathered(pairs: Iterable[tuple[Video, Chunk]], starts: int) -> Iterator[list[tuple[Video, Chunk]]]:
    """Batches of chunks, of any videos, in which snippets start at `starts` frames or more; 0: one chunk each."""
    batch: list[tuple[Video, Chunk]] = []
    for pair in pairs:
        batch.append(pair)
        if sum(len(chunk.frames) for _, chunk in batch) >= starts:
            yield batch
            batch = []
    if batch:
        yield batch


class _Assembly:
    """Puts the rows of chunks together, by video; chunks may come in any order and, after a death, twice."""

    def __init__(self, extractor: Extractor):
        self._extractor, self._labels = extractor, extractor.labels()
        self._due: dict[Video, set[int]] = {}  # first frames of chunks that are still being worked on
        self._rows: dict[Video, dict[int, dict[str, np.ndarray]]] = {}
        self._facts: dict[Video, Decoded] = {}
        self._errors: dict[Video, str] = {}
        self._ended: dict[Video, None] = {}  # decoded to the end or failed, and not given out yet

    def chunks(self, decoded: Iterable[Outcome]) -> Iterator[tuple[Video, Chunk]]:
        """Pass chunks on, keeping account of them."""
        for outcome in decoded:
            video = outcome.task
            if isinstance(outcome.value, Chunk):
                if outcome.value.first == 0:
                    self._due[video], self._rows[video] = set(), {}
                self._due[video].add(outcome.value.first)
                yield video, outcome.value
            elif isinstance(outcome.value, Decoded):
                self._facts[video] = outcome.value
            else:
                self._ended[video] = None
                if outcome.error is not None:
                    self._errors[video] = outcome.error

    def add(self, computed: Outcome) -> None:
        """Take in what became of one batch."""
        for index, (video, chunk) in enumerate(computed.task):
            self._due[video].discard(chunk.first)  # stays: a chunk may still be on its way when its video has failed
            if computed.error is not None:
                self._errors.setdefault(video, computed.error)
            elif computed.value is not None and video in self._rows:
                self._rows[video][chunk.first] = computed.value[index]

    def finished(self) -> Iterator[Outcome[Video, VideoFeatures]]:
        """Give out each video that is complete, or failed, once."""
        for video in list(self._ended):
            error = self._errors.get(video)
            if error is None and self._due[video]:
                continue
            value = None if error is not None else self._features(video)
            for kept in (self._ended, self._facts, self._errors, self._rows):
                kept.pop(video, None)
            yield Outcome(video, value, error)

    def _features(self, video: Video) -> VideoFeatures:
        path, video_id = video
        facts, recipe, extractor = self._facts[video], self._extractor.recipe, self._extractor
        rows = [part for _, part in sorted(self._rows[video].items())]
        return VideoFeatures(
            id=video_id,
            streams={stream: np.concatenate([part[stream] for part in rows]) for stream in extractor.streams},
            fps=recipe.fps,
            length=recipe.length,
            stride=recipe.stride,
            frames=facts.frames,
            # What the container claims, but no more than was there to decode.
            duration=min(facts.duration or np.inf, facts.frames / recipe.fps),
            recipe=recipe.hash(self._labels),
            weights=self._labels,
            settings=recipe.settings(),
            notes={"precision": str(extractor.dtype), "source": Path(path).name},
        )
