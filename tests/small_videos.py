"""Small real videos, encoded on the spot: a bright square that wanders over noise, different for every seed."""

from fractions import Fraction
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


def make_counter(
    path: Path,
    frames: int = 25,
    size: tuple[int, int] = (64, 48),
    late: float = 0.0,
    sound: float = 0.0,
    pixel: Fraction = Fraction(1),
    before: int = 0,
) -> Path:
    """A video of 25 fps whose frame N has luma 16 + 2N.

    late: seconds at which the first picture is shown. sound: seconds of silence from 0 on. pixel: width over height.
    before: frames of another video stream, half the size and luma 200, which comes first and is not the default one.
    """
    with av.open(str(path), "w") as container:
        streams = [(size, frames, late, lambda number: 16 + 2 * number)]
        if before:
            streams.insert(0, ((size[0] // 2, size[1] // 2), before, 0.0, lambda number: 200))
        made = [container.add_stream("libx264", rate=25, options={"crf": "5", "bf": "0"}) for _ in streams]
        speaker = container.add_stream("aac", rate=8000, layout="mono") if sound else None
        for stream, ((width, height), *_) in zip(made, streams, strict=True):
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.sample_aspect_ratio = pixel
            stream.codec_context.thread_count = 1
        if before:
            made[0].disposition, made[1].disposition = 0, av.stream.Disposition.default
        if speaker is not None:
            _mux_silence(container, speaker, sound)
        for stream, ((width, height), count, start, luma) in zip(made, streams, strict=True):
            for number in range(count):
                planes = np.full((height * 3 // 2, width), 128, np.uint8)
                planes[:height] = luma(number)
                frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
                frame.pts, frame.time_base = number + round(start * 25), Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def _mux_silence(container, speaker, seconds: float) -> None:
    for start in range(0, round(seconds * 8000), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
        container.mux(speaker.encode(frame))
    container.mux(speaker.encode(None))
