"""From a video to the networks' inputs, a snippet at a time: what is held never grows with the video's length."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from features.decode import DEFAULT_LIMITS, DecodeLimits, probe, sample_frames
from features.flow import farneback, grey, network_input
from features.recipe import Recipe


def pictures(path: Path, recipe: Recipe, limits: DecodeLimits = DEFAULT_LIMITS) -> Iterator[np.ndarray]:
    """The frames of a video as the recipe wants them before cropping: (H, W, 3) uint8.

    A video of exactly the crop's size is taken as cropped already and is not resized (DeepMind's own examples are).
    """
    facts = probe(path, limits)
    cropped_already = (facts.width, facts.height) == (recipe.crop, recipe.crop)
    return sample_frames(path, recipe.fps, None if cropped_already else recipe.short_side, limits)


def centre_crop(picture: np.ndarray, size: int) -> np.ndarray:
    """(H, W, ...) -> (size, size, ...), a copy, so that the whole picture can be let go."""
    top, left = (picture.shape[0] - size) // 2, (picture.shape[1] - size) // 2
    return picture[top : top + size, left : left + size].copy()


def snippets(frames: Iterable[np.ndarray], recipe: Recipe, with_flow: bool) -> Iterator[dict[str, np.ndarray]]:
    """Yield each snippet: "rgb" (length, crop, crop, 3) uint8, and "flow" (length, crop, crop, 2) float32 in [-1, 1].

    Field t is the flow from frame t to t + 1, across the snippet's end too; the video's last field repeats the one
    before. A video shorter than a snippet is filled with its last frame and last field; one frame has no motion.
    Frames after the last whole snippet are left out.
    """
    length, none_yet = recipe.length, True
    rgb: list[np.ndarray] = []
    fields: list[np.ndarray] = []  # one fewer than rgb
    for picture, field in _with_fields(frames, recipe) if with_flow else ((picture, None) for picture in frames):
        if field is not None:
            fields.append(field)
        rgb.append(centre_crop(picture, recipe.crop))
        if len(rgb) > length:
            yield _stacked(rgb, fields, length)
            del rgb[: recipe.stride], fields[: recipe.stride]
            none_yet = False
    if rgb and (none_yet or len(rgb) == length):
        if with_flow:
            still = network_input(np.zeros((recipe.crop, recipe.crop, 2), np.float32), recipe)
            fields += (fields[-1:] or [still]) * (length - len(fields))
        rgb += rgb[-1:] * (length - len(rgb))
        yield _stacked(rgb, fields, length)


def _with_fields(frames: Iterable[np.ndarray], recipe: Recipe) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Each picture with the cropped field that leads to it; None for the first."""
    before = None
    for picture in frames:
        now = grey(picture)
        flow = None if before is None else farneback(before, now, recipe)
        yield picture, None if flow is None else network_input(centre_crop(flow, recipe.crop), recipe)
        before = now


def _stacked(rgb: list[np.ndarray], fields: list[np.ndarray], length: int) -> dict[str, np.ndarray]:
    snippet = {"rgb": np.stack(rgb[:length])}
    return snippet | {"flow": np.stack(fields[:length])} if fields else snippet
