"""The pipeline's first stage: a video decoded into chunks. Without torch, which a decoder would pay 200 MB for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from plusmv.core.workspace import check_content
from plusmv.features.decode import DecodeLimits, lengths, probe
from plusmv.features.recipe import Recipe
from plusmv.features.windows import Chunk, chunks, pictures

Video = tuple[Path, str]  # the file, and the id its features are to have


@dataclass(frozen=True)
class Decoded:
    """What is known of a video once it was decoded to its end. Seconds are what its container claims."""

    frames: int
    duration: float | None
    promised: float | None  # where it was cut short


@dataclass(frozen=True)
class DecodeStage:
    """A task is (file, id); its parts are the video's chunks, then Decoded.

    media: the files are a workspace's, named by their content, and are refused where that is another by now.
    """

    recipe: Recipe
    limits: DecodeLimits
    media: bool = False

    def setup(self) -> None:
        cv2.setNumThreads(1)

    def process(self, task: Video) -> Iterator[Chunk | Decoded]:
        path, frames = task[0], 0
        if self.media:
            check_content(path)

        def counted(pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
            nonlocal frames
            for picture in pictures:
                frames += 1
                yield picture

        yield from chunks(counted(pictures(path, self.recipe, self.limits)), self.recipe)
        cut = lengths(path).cut_short
        yield Decoded(frames, probe(path, self.limits).duration, cut and cut["promised"])
