"""Simulated two-stream features on THUMOS14's timeline, real or generated: for tests, benchmarks and first ablations.

All features made here are marked as simulated in their recipe and notes. A snippet is a point in a space of `latent`
dimensions, seen through a fixed random projection, so that the width changes the cost but not the problem:

    latent_t = shift of the video + shift of the shot + scenery of the class + action + bursts + noise
    feature_t = max(0, common * (1 + contrast * (projection(latent_t) + speckle)))

Scenery correlates with the class and is present in the background too (the trap of weak supervision); action exists
inside instances, passes through a few phases, differs from instance to instance and fades at soft boundaries; bursts
are background motion of no class; noise is autocorrelated. Like I3D's pooled features the result is non-negative with a
large common mean. The streams differ: RGB is dominated by scenery, flow by action.

The constants were set by statistics of the features (`benchmarks/simulation.py` prints them) before any method was run
on them: a linear probe of single snippets on true segments at about .5 mAP a stream and .7 for both, of whole videos at
.87 (RGB) and .66 (flow), about half of the variance between videos. Do not tune them by the results of a method.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from plusmv.core.actions import THUMOS14
from plusmv.core.annotations import AnnotatedVideo, Instance
from plusmv.core.errors import BadInput
from plusmv.features.feature_files import STREAMS, VideoFeatures
from plusmv.features.snippets import SNIPPET_LENGTH, snippet_count, snippet_seconds

FPS = 25.0
SHOT_SNIPPETS = 20  # mean length of a shot, about 13 s
PHASES = 3


class SimulatedWorld(TypedDict):
    """features/simulated.json beside simulated features: what they were made with."""

    simulated: str  # Simulation.recipe
    classes: list[str]


class SimulateResult(SimulatedWorld):
    """What `plusmv simulate --json` prints: videos = made + skipped."""

    videos: int
    made: int
    skipped: int  # there before
    out: str


@dataclass(frozen=True)
class Quality:
    """Strength of each component in a stream, in units of the noise's standard deviation per latent dimension."""

    action: float  # length of a class's direction at full strength
    scenery: float
    burst: float
    shift: float = 1.1  # of the video, in each dimension
    shot: float = 0.4  # of the shot


QUALITY = {
    "rgb": Quality(action=5.0, scenery=9.0, burst=2.0),
    "flow": Quality(action=5.3, scenery=6.5, burst=3.0),
}


@dataclass(frozen=True)
class Simulation:
    """One simulated world. Equal settings and annotations give equal features of each video."""

    width: int = 256
    seed: int = 0
    latent: int = 64
    contrast: float = 0.5
    memory: float = 0.7  # correlation of the noise between neighbouring snippets
    speckle: float = 0.25  # independent noise of each feature

    def __post_init__(self):
        if self.width < 1 or self.seed < 0:
            raise BadInput("the simulated features need a width of at least 1 and a seed that is not negative")

    @property
    def recipe(self) -> str:
        return f"simulated, width {self.width}, seed {self.seed}"


class World:
    """Shared by all videos of one simulation: directions of classes, phases and scenery, and the projections."""

    def __init__(self, simulation: Simulation, classes: Sequence[str]):
        self.simulation, self.classes = simulation, tuple(classes)
        draws = np.random.default_rng([simulation.seed, 0])
        latent, width = simulation.latent, simulation.width
        self.common = {stream: 0.1 + draws.gamma(0.6, 0.5, width) for stream in STREAMS}
        self.projection = {s: draws.normal(size=(latent, width)) / np.sqrt(latent) for s in STREAMS}
        self.scenery = {s: unit(draws.normal(size=(len(classes), latent))) for s in STREAMS}
        shared = {s: unit(draws.normal(size=latent)) for s in STREAMS}  # common to all actions
        own = {s: unit(draws.normal(size=(len(classes), 1, latent))) for s in STREAMS}
        phase = {s: unit(draws.normal(size=(len(classes), PHASES, latent))) for s in STREAMS}
        self.action = {s: unit(0.5 * shared[s] + own[s] + phase[s]) for s in STREAMS}  # (C, PHASES, latent)

    def features(self, video: AnnotatedVideo) -> VideoFeatures:
        """Both streams of one video, from a seed of its own: independent of other videos."""
        simulation = self.simulation
        draws = np.random.default_rng([simulation.seed, 1, *video.id.encode()])
        frames = max(SNIPPET_LENGTH, int(video.duration * FPS))
        count = snippet_count(frames, SNIPPET_LENGTH, SNIPPET_LENGTH)
        seconds = snippet_seconds(count, FPS, SNIPPET_LENGTH, SNIPPET_LENGTH, video.duration or None)
        script = _Script(draws, video, seconds, len(self.classes), self.classes)
        streams = {stream: self._stream(draws, script, stream) for stream in STREAMS}
        return VideoFeatures(
            video.id, streams, FPS, frames=frames, duration=video.duration or None, recipe=simulation.recipe,
            weights=dict.fromkeys(STREAMS, simulation.recipe),
            notes={"simulated": "drawn at random, no video was seen"},
        )  # fmt: skip

    def _stream(self, draws: np.random.Generator, script: "_Script", stream: str) -> np.ndarray:
        simulation, quality, latent = self.simulation, QUALITY[stream], self.simulation.latent
        points = (
            quality.shift * draws.normal(size=latent)
            + quality.shot * draws.normal(size=(script.shots, latent))[script.shot]
        )
        points = points + quality.scenery * (script.scenery @ self.scenery[stream])
        points += quality.action * np.einsum("tcp,cpl->tl", script.action, self.action[stream])
        points += quality.burst * script.burst[:, None] * unit(draws.normal(size=(script.shots, latent)))[script.shot]
        points += autoregressive(draws.normal(size=points.shape), simulation.memory)
        seen = points @ self.projection[stream]
        seen += simulation.speckle * draws.normal(size=seen.shape)
        return np.maximum(self.common[stream] * (1 + simulation.contrast * seen), 0).astype(np.float32)


class _Script:
    """The events in one video, snippet by snippet, for both streams."""

    def __init__(self, draws, video: AnnotatedVideo, seconds: np.ndarray, classes: int, names: Sequence[str]):
        count = len(seconds)
        self.shot = np.cumsum(draws.random(count) < 1 / SHOT_SNIPPETS)
        self.shots = int(self.shot[-1]) + 1
        self.action = np.zeros((count, classes, PHASES))
        labels = [names.index(label) for label in video.labels if label in names]
        for instance in video.instances:
            if instance.label in names:
                self._act(draws, instance, seconds, names.index(instance.label))
        together = np.maximum(1, np.sqrt((self.action.sum(axis=2) > 0).sum(axis=1)))  # a cliff dive is a dive too
        self.action /= together[:, None, None]
        acting = np.minimum(1, self.action.sum(axis=(1, 2)))
        strength = np.clip(draws.normal(0.6, 0.25, size=(self.shots, 1)), 0, None)  # of the scenery, shot by shot
        place = np.zeros((1, classes))
        place[0, labels] = 1 / np.sqrt(max(1, len(labels)))
        self.scenery = strength[self.shot] * place
        self.burst = (draws.random(self.shots) < 0.3)[self.shot] * (1 - acting)

    def _act(self, draws, instance: Instance, seconds: np.ndarray, label: int) -> None:
        """Add one instance: the share of each snippet inside it, softened, times the phase."""
        covered = np.minimum(seconds[:, 1], instance.end) - np.maximum(seconds[:, 0], instance.start)
        inside = np.clip(covered / np.maximum(np.ptp(seconds, axis=1), 1e-6), 0, 1)
        soft = np.convolve(np.pad(inside, 1, mode="edge"), [0.2, 0.6, 0.2], mode="valid")
        middle = (seconds.mean(axis=1) - instance.start) / max(instance.end - instance.start, 1e-6)
        centres = (np.arange(PHASES) + 0.5) / PHASES
        phase = np.clip(
            1 - abs(np.clip(middle, 1 / 6, 5 / 6)[:, None] - centres) * PHASES, 0, 1
        )  # (T, PHASES), sums to 1
        strength = draws.lognormal(0, 0.25)
        self.action[:, label] = np.maximum(self.action[:, label], strength * soft[:, None] * phase)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., L) scaled to length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def autoregressive(noise: np.ndarray, memory: float) -> np.ndarray:
    """An AR(1) process (T, L) from white noise: lag-1 correlation `memory`, equal variance."""
    fresh = np.sqrt(1 - memory**2)
    for index in range(1, len(noise)):
        noise[index] = memory * noise[index - 1] + fresh * noise[index]
    return noise


@dataclass(frozen=True)
class SimulatedFeatures:
    """A wsal.feature_source.FeatureProvider that simulates features."""

    world: World

    def read_all(self, videos: Iterable[AnnotatedVideo]) -> tuple[dict[str, VideoFeatures], dict[str, str]]:
        """Features of all videos; none is left out."""
        return {video.id: self.world.features(video) for video in videos}, {}


def drawn_timeline(seed: int = 0, per_class: int = 10) -> dict[str, AnnotatedVideo]:
    """A random timeline with THUMOS14's statistics: {id: video} of validation and test.

    From its 412 videos: durations are log-normal (median 155 s, sd of the logarithm .88); so are the number of
    instances (median 8.5, 1.16, correlating by .65 with the duration) and their length (median 3.0 s, .83). A
    CliffDiving is also a Diving, and bowling and batting share their videos.
    """
    draws = np.random.default_rng([seed, 2])
    videos = {}
    for subset in ("validation", "test"):
        for number in range(per_class * len(THUMOS14)):
            name = THUMOS14[number % len(THUMOS14)].name
            size, more = draws.normal(size=2)
            duration = float(np.exp(np.log(155) + 0.88 * size))
            count = max(1, int(np.exp(np.log(8.5) + 1.16 * (0.65 * size + np.sqrt(1 - 0.65**2) * more))))
            lengths = np.exp(np.log(3.0) + 0.83 * draws.normal(size=count))
            lengths = lengths * min(1, 0.8 * duration / lengths.sum())
            gaps = draws.dirichlet(np.ones(count + 1)) * (duration - lengths.sum())
            starts = np.cumsum(gaps[:-1]) + np.concatenate([[0], np.cumsum(lengths[:-1])])
            instances = [
                Instance(label, round(float(start), 3), round(float(start + length), 3))
                for start, length in zip(starts, lengths, strict=True)
                for label in _labels(draws, name)
            ]
            identity = f"drawn_{subset}_{number:04d}"
            videos[identity] = AnnotatedVideo(identity, subset, round(duration, 3), 30.0, tuple(instances))
    return videos


def _labels(draws: np.random.Generator, name: str) -> list[str]:
    if name == "CliffDiving":
        return [name, "Diving"]
    if name.startswith("Cricket") and draws.random() < 0.4:
        return [{"CricketBowling": "CricketShot", "CricketShot": "CricketBowling"}[name]]
    return [name]
