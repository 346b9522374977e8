"""Small real videos, encoded on the spot: a bright square that wanders over noise, different for every seed."""

from pathlib import Path

import av
import numpy as np


def make_video(
    path: Path,
    seed: int = 0,
    seconds: float = 0.5,
    fps: int = 10,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
) -> Path:
    """Write a video of (width, height) pixels; the container is the suffix's."""
    generator = np.random.default_rng(seed)
    width, height = size
    scenery = generator.integers(0, 180, (height, width, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.thread_count = 1
        for left in generator.integers(0, width - 8, max(1, round(seconds * fps))):
            picture = scenery.copy()
            picture[8:16, left : left + 8] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path
