"""Small real videos whose scenery and movement can be chosen apart, and the edits that people repost them with."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

FPS = 25
WIDTH, HEIGHT = 160, 120
Frames = list[np.ndarray]


def scene(scenery: int, moves: int, seconds: float) -> Frames:
    """RGB frames: scenery of soft blots, before which five discs wander. Equal seeds give equal scenery or moves."""
    draws = np.random.default_rng(scenery)
    blots = draws.integers(0, 256, (9, 12, 3), np.uint8)
    backdrop = cv2.resize(blots, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    colours = draws.integers(0, 256, (5, 3))
    paths = np.random.default_rng(moves).uniform(-1, 1, (5, 2, 3, 3))  # disc, axis, wave, (size, rate, phase)
    frames = []
    for time in np.arange(round(seconds * FPS)) / FPS:
        frame = backdrop.copy()
        for colour, path in zip(colours, paths, strict=True):
            at = 0.5 + 0.25 * (path[..., 0] * np.sin(4 * path[..., 1] * time + 6 * path[..., 2])).sum(1)
            place = (round(at[0] * WIDTH), round(at[1] * HEIGHT))
            cv2.circle(frame, place, 8, colour.tolist(), -1, cv2.LINE_AA)
        frames.append(frame)
    return frames


def write(path: Path, frames: Iterable[np.ndarray], fps: float = FPS, crf: int = 23) -> Path:
    """Encode frames of one even size as H.264."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = None
        for frame in frames:
            if stream is None:
                options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
                stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(100), options=options)
                stream.height, stream.width, stream.pix_fmt = *frame.shape[:2], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def framed(frame: np.ndarray, rows: int, columns: int, colour: tuple[int, int, int]) -> np.ndarray:
    """The frame with borders of so many rows and columns on each side."""
    return cv2.copyMakeBorder(frame, rows, rows, columns, columns, cv2.BORDER_CONSTANT, value=colour)


def _grey(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


# name -> (what happens to the frames, frames a second, crf)
EDITS: dict[str, tuple[Callable[[Frames], Frames], float, int]] = {
    "re-encoded": (lambda frames: frames, 25, 40),
    "0.4x": (lambda frames: [cv2.resize(f, (64, 48), interpolation=cv2.INTER_AREA) for f in frames], 25, 23),
    "mirrored": (lambda frames: [f[:, ::-1] for f in frames], 25, 23),
    "letterboxed": (lambda frames: [framed(f, 40, 0, (0, 0, 0)) for f in frames], 25, 23),
    "bordered": (lambda frames: [framed(f, 12, 16, (255, 0, 255)) for f in frames], 25, 23),
    "trimmed": (lambda frames: frames[round(1.3 * FPS) :], 25, 23),
    "grey": (lambda frames: [_grey(f) for f in frames], 25, 23),
    "10 fps": (lambda frames: [frames[int(k * 2.5)] for k in range(int(len(frames) / 2.5))], 10, 23),
    "faster": (lambda frames: frames, 1.25 * FPS, 23),
}


def edited(path: Path, frames: Frames, name: str) -> Path:
    """Write the copy that an edit of EDITS makes."""
    edit, fps, crf = EDITS[name]
    return write(path, edit(frames), fps, crf)
