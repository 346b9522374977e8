"""From a video's frames to the networks' inputs, a chunk at a time: what is held never grows with the video's length.

A chunk is a run of whole pictures that needs no other: the snippets that start in it, and one more frame for the flow
field that leads out of it. So decoding, flow and the networks can be on different processes or devices.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plusmv.core.errors import BadInput
from plusmv.features.decode import DEFAULT_LIMITS, DecodeLimits, probe, sample_frames
from plusmv.features.recipe import Recipe

CHUNK_STARTS = 32  # frames in which the snippets of a chunk start: few, as each process holds a chunk or two ...
OVERLAPPING_STARTS = 64  # ... but enough for overlapping snippets to share their flow
CHUNK_BYTES = 64 << 20  # of pictures; wide ones come in smaller chunks, of one snippet at the least
WIDEST = 16  # longer by shorter side; anything wider is a sliver that would take gigabytes once resized


@dataclass(frozen=True)
class Chunk:
    """Consecutive frames of a video, (N, H, W, 3) uint8, from frame number `first` on.

    Snippets start at its frames 0, stride, ... as long as `length` frames are there; a video of fewer frames is one
    snippet, filled up with its last. `ends`: these are the video's last frames; otherwise there is one frame beyond the
    last snippet.
    """

    frames: np.ndarray
    first: int
    ends: bool


def pictures(path: Path, recipe: Recipe, limits: DecodeLimits = DEFAULT_LIMITS) -> Iterator[np.ndarray]:
    """The frames of a video as the recipe wants them before cropping: (H, W, 3) uint8.

    A video of exactly the crop's size is taken as cropped already and is not resized (DeepMind's own examples are).
    """
    facts = probe(path, limits)
    if max(facts.width, facts.height) > WIDEST * min(facts.width, facts.height):
        raise BadInput(f"{path} is {facts.width}x{facts.height}, a sliver longer than {WIDEST} times its width")
    cropped_already = (facts.width, facts.height) == (recipe.crop, recipe.crop)
    return sample_frames(path, recipe.fps, None if cropped_already else recipe.short_side, limits)


def chunks(frames: Iterable[np.ndarray], recipe: Recipe) -> Iterator[Chunk]:
    """Cut a video's frames into chunks. Frames after the last whole snippet are left out."""
    held: list[np.ndarray] = []
    first, starts = 0, CHUNK_STARTS
    for picture in frames:
        if not first and not held:
            starts = _starts(picture.nbytes, recipe)
        held.append(picture)
        if len(held) == starts - recipe.stride + recipe.length + 1:
            yield Chunk(np.stack(held), first, ends=False)
            first += starts
            del held[:starts]
    if held and (len(held) >= recipe.length or not first):
        yield Chunk(np.stack(held), first, ends=True)


def _starts(picture_bytes: int, recipe: Recipe) -> int:
    """Frames of one chunk in which snippets start: a multiple of the stride."""
    fitting = CHUNK_BYTES // picture_bytes - recipe.length
    wanted = OVERLAPPING_STARTS if recipe.stride < recipe.length else CHUNK_STARTS
    return max(1, min(wanted, fitting) // recipe.stride) * recipe.stride


def snippet_starts(chunk: Chunk, recipe: Recipe) -> range:
    """At which of the chunk's frames a snippet starts: one snippet at the least."""
    count = len(chunk.frames) - (not chunk.ends)
    return range(0, max(count - recipe.length, 0) + 1, recipe.stride)


def centre_crop(pictures: np.ndarray, size: int) -> np.ndarray:
    """(..., H, W, C) -> (..., size, size, C), a view."""
    top, left = (pictures.shape[-3] - size) // 2, (pictures.shape[-2] - size) // 2
    return pictures[..., top : top + size, left : left + size, :]
