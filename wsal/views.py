"""What the models of a stream see: its features as they are, and what of them changes within the video.

The place an action happens in often names it, so features as they are tell the video's label, and foreign scenes from
it; but where a place has one label, they cannot tell the action from its surroundings. With a video's own mean taken
off, only what changes within it is left. So each stream trains a second model on that view (`Settings.relative`; not in
the paper). Only two-sided detection reads it (wsal.two_sided).
"""

from collections.abc import Iterable

import numpy as np

from plusmv.features.feature_files import STREAMS

RELATIVE = "-relative"  # what the name of a stream's second model ends in


def views_of(streams: Iterable[str], relative: bool) -> tuple[str, ...]:
    """Names of the models: one for each stream, then, if wanted, one for each stream's changes."""
    streams = tuple(streams)
    return streams + tuple(stream + RELATIVE for stream in streams if relative)


def stream_of(view: str) -> str:
    """The stream that a model sees."""
    return view.removesuffix(RELATIVE)


def is_relative(view: str) -> bool:
    return view.endswith(RELATIVE)


def seen(features: np.ndarray, view: str) -> np.ndarray:
    """(T, d) of a stream's features (T, d) that the view's model sees."""
    if not is_relative(view):
        return features
    return features - features.mean(axis=0, dtype=np.float64).astype(features.dtype)


def seed_parts(view: str) -> list[int]:
    """What tells a model's initial weights from those of the run's other models."""
    return [STREAMS.index(stream_of(view)), *([1] if is_relative(view) else [])]
