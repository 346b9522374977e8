"""Simulated two-stream features on a drawn timeline: small, fast, and called simulated wherever its numbers stand.

Like I3D's pooled features they are not negative, share a large common mean, and hold a shift of the video, scenery that
goes with the class, and, inside instances only, a direction of the class.
"""

from pathlib import Path

import numpy as np

from plusmv.core.annotations import AnnotatedVideo, Instance
from plusmv.features.feature_files import VideoFeatures, write_features

FPS, STRIDE = 25.0, 16
ACTIONS = ("CliffDiving", "GolfSwing", "HighJump", "TennisSwing")


def simulated_videos(
    count: int, subset: str, seed: int, width: int = 64, snippets: int = 30, action: float = 1.0
) -> tuple[dict[str, AnnotatedVideo], dict[str, VideoFeatures]]:
    """`count` videos of `snippets` snippets with one label and 1 to 3 instances each, classes in turn."""
    world = np.random.default_rng(99)  # one world for every split
    common = world.gamma(0.6, 0.5, width)
    class_direction, scenery = world.normal(size=(2, len(ACTIONS), width))
    draws = np.random.default_rng(seed)
    videos, features = {}, {}
    for index in range(count):
        name, label = f"{subset}_{index:04d}", index % len(ACTIONS)
        inside = drawn_instances(draws, snippets)
        shift = 0.6 * draws.normal(size=width) + 0.4 * scenery[label]
        seconds = STRIDE / FPS
        duration = snippets * seconds
        instances = tuple(
            Instance(ACTIONS[label], float(start * seconds), float(end * seconds)) for start, end in runs(inside)
        )
        videos[name] = AnnotatedVideo(name, subset, duration, 30.0, instances)
        soft = np.convolve(np.pad(inside, 1, mode="edge"), [0.2, 0.6, 0.2], mode="valid")[:, None]
        streams = {}
        for stream, quality in (("rgb", 0.8), ("flow", 1.0)):
            noise = draws.normal(size=(snippets, width))
            drive = 0.6 * noise + shift + action * quality * soft * class_direction[label]
            streams[stream] = np.maximum(common * (1 + 0.5 * drive), 0).astype(np.float32)
        features[name] = VideoFeatures(name, streams, FPS, duration=duration)
    return videos, features


def drawn_instances(draws: np.random.Generator, snippets: int) -> np.ndarray:
    """(snippets,) 1.0 inside an instance: 1 to 3 runs of 3 to 6 snippets."""
    inside = np.zeros(snippets)
    for start in draws.integers(0, max(1, snippets - 6), draws.integers(1, 4)):
        inside[start : start + draws.integers(3, 7)] = 1
    return inside


def runs(inside: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.pad(inside, 1)))
    return list(zip(edges[::2], edges[1::2], strict=True))


def write_simulated(folder: Path, features: dict[str, VideoFeatures]) -> Path:
    for name, found in features.items():
        write_features(folder / f"{name}.safetensors", found)
    return folder
