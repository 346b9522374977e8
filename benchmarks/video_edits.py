"""The edits that people repost clips with, made from frames: what benchmarks/bench_duplicates.py looks for.

Run: .venv/bin/python benchmarks/video_edits.py   (prints their names)

An edit takes a Scene and a random generator: sizes and places differ from clip to clip, so that none can be learned.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

Frames = list[np.ndarray]


@dataclass(frozen=True)
class Scene:
    """Frames (H, W, 3) uint8 RGB at a rate, and those of another clip for what is stitched or laid over."""

    frames: Frames
    fps: float
    other: Frames
    crf: int = 26

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> "Scene":
        return replace(self, frames=[change(frame) for frame in self.frames])


def crf40(scene: Scene, draws: np.random.Generator) -> Scene:
    return replace(scene, crf=40)


def small(scene: Scene, draws: np.random.Generator) -> Scene:
    return scene.each(lambda f: cv2.resize(f, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA))


def fps10(scene: Scene, draws: np.random.Generator) -> Scene:
    places = np.arange(0, len(scene.frames), scene.fps / 10)
    return replace(scene, frames=[scene.frames[int(place)] for place in places], fps=10.0)


def grey_noise(scene: Scene, draws: np.random.Generator) -> Scene:
    def change(frame):
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
        noisy = grey + draws.normal(0, 10, grey.shape)
        return np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)

    return scene.each(change)


def colour_filter(scene: Scene, draws: np.random.Generator) -> Scene:
    """Contrast, brightness, a tint and a vignette."""
    contrast, brightness = draws.uniform(0.75, 1.4), draws.uniform(-25, 25)
    tint = draws.uniform(0.8, 1.2, 3)
    height, width = scene.frames[0].shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    vignette = (1 - 0.25 * (x**2 + y**2))[:, :, None]
    return scene.each(
        lambda f: np.clip(((f - 128.0) * contrast + 128 + brightness) * tint * vignette, 0, 255).astype(np.uint8)
    )


def _trim(scene: Scene, start_s: float, end_s: float = 0.0) -> Scene:
    last = len(scene.frames) - round(end_s * scene.fps)
    return replace(scene, frames=scene.frames[round(start_s * scene.fps) : last])


def trim_quarter_step(scene: Scene, draws: np.random.Generator) -> Scene:
    """A quarter of the step of 2 samples a second, half of that of 4."""
    return _trim(scene, 0.125)


def trim_odd(scene: Scene, draws: np.random.Generator) -> Scene:
    return _trim(scene, draws.uniform(0.2, 0.9), draws.uniform(0, 0.4))


def trim_third(scene: Scene, draws: np.random.Generator) -> Scene:
    return _trim(scene, len(scene.frames) / scene.fps / 3)


def speed080(scene: Scene, draws: np.random.Generator) -> Scene:
    return replace(scene, fps=scene.fps * 0.8)


def speed110(scene: Scene, draws: np.random.Generator) -> Scene:
    return replace(scene, fps=scene.fps * 1.1)


def speed125(scene: Scene, draws: np.random.Generator) -> Scene:
    return replace(scene, fps=scene.fps * 1.25)


def halves_swapped(scene: Scene, draws: np.random.Generator) -> Scene:
    middle = len(scene.frames) // 2
    return replace(scene, frames=scene.frames[middle:] + scene.frames[:middle])


def border(scene: Scene, draws: np.random.Generator) -> Scene:
    colour = draws.choice([(255, 0, 255), (255, 255, 255), (30, 60, 200)]).tolist()
    side = round(draws.uniform(0.05, 0.1) * min(scene.frames[0].shape[:2]))
    return scene.each(lambda f: cv2.copyMakeBorder(f, side, side, side, side, cv2.BORDER_CONSTANT, value=colour))


def _bars(frame: np.ndarray) -> tuple[int, int]:
    """Rows above and below that make a landscape picture portrait, 9:16, or a portrait one square."""
    height, width = frame.shape[:2]
    rows = (width * 16 // 9 - height) // 2 if width >= height else 0
    return (rows, 0) if rows > 0 else (0, (height - width) // 2)


def letterbox(scene: Scene, draws: np.random.Generator) -> Scene:
    rows, columns = _bars(scene.frames[0])
    return scene.each(lambda f: cv2.copyMakeBorder(f, rows, rows, columns, columns, cv2.BORDER_CONSTANT))


def blurred_bars(scene: Scene, draws: np.random.Generator) -> Scene:
    """The picture in the middle of a 9:16 frame that itself, enlarged and blurred, fills."""

    def change(frame):
        height, width = frame.shape[:2]
        rows, columns = _bars(frame)
        full = (width + 2 * columns, height + 2 * rows)
        scale = max(full[0] / width, full[1] / height)
        large = cv2.resize(frame, None, fx=scale, fy=scale)
        top, left = (large.shape[0] - full[1]) // 2, (large.shape[1] - full[0]) // 2
        canvas = cv2.GaussianBlur(large[top : top + full[1], left : left + full[0]], (0, 0), width / 25)
        canvas[rows : rows + height, columns : columns + width] = frame
        return canvas

    return scene.each(change)


def caption_sticker(scene: Scene, draws: np.random.Generator) -> Scene:
    """An opaque bar with two lines of text at the top or bottom, and a face."""
    height, width = scene.frames[0].shape[:2]
    tall, below = round(height * draws.uniform(0.12, 0.2)), draws.random() < 0.5
    top = height - tall if below else 0
    place = (round(width * draws.uniform(0.15, 0.85)), round(height * draws.uniform(0.3, 0.7)))
    size = round(0.09 * height)

    def change(frame):
        frame = frame.copy()
        frame[top : top + tall] = 255
        for line, text in enumerate(("when the coach says", "one more time")):
            at = (width // 12, top + round(tall * (0.42 + 0.42 * line)))
            cv2.putText(frame, text, at, cv2.FONT_HERSHEY_SIMPLEX, tall / 80, (0, 0, 0), 1, cv2.LINE_AA)
        cv2.circle(frame, place, size, (255, 210, 40), -1, cv2.LINE_AA)
        for side in (-1, 1):
            eye = (place[0] + side * size // 3, place[1] - size // 4)
            cv2.circle(frame, eye, max(size // 8, 1), (40, 30, 20), -1, cv2.LINE_AA)
        return frame

    return scene.each(change)


def _crop(scene: Scene, share: float, draws: np.random.Generator) -> Scene:
    """Keeps (1 - share) of each side, off the centre, at the size as before."""
    height, width = scene.frames[0].shape[:2]
    rows, columns = round(height * (1 - share)), round(width * (1 - share))
    corner = draws.choice([0.1, 0.9], 2) + draws.uniform(-0.1, 0.1, 2)
    top, left = round(corner[0] * (height - rows)), round(corner[1] * (width - columns))
    return scene.each(lambda f: cv2.resize(f[top : top + rows, left : left + columns], (width, height)))


def crop10(scene: Scene, draws: np.random.Generator) -> Scene:
    return _crop(scene, 0.1, draws)


def crop20(scene: Scene, draws: np.random.Generator) -> Scene:
    return _crop(scene, 0.2, draws)


def square(scene: Scene, draws: np.random.Generator) -> Scene:
    height, width = scene.frames[0].shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return scene.each(lambda f: f[top : top + side, left : left + side])


def mirror(scene: Scene, draws: np.random.Generator) -> Scene:
    return scene.each(lambda f: f[:, ::-1])


def turned(degrees: int) -> Callable[[Scene, np.random.Generator], Scene]:
    """Turned clockwise in the pixels."""
    return lambda scene, draws: scene.each(lambda frame: np.ascontiguousarray(np.rot90(frame, -(degrees // 90))))


def picture_in_picture(scene: Scene, draws: np.random.Generator) -> Scene:
    """The clip at 40 % of the size in a corner of another clip."""
    height, width = scene.other[0].shape[:2]
    rows, columns = round(0.4 * height), round(0.4 * width)
    top, left = (round(0.05 * height), width - columns - round(0.05 * width))

    def laid(index: int, frame: np.ndarray) -> np.ndarray:
        canvas = scene.other[index % len(scene.other)].copy()
        canvas[top : top + rows, left : left + columns] = cv2.resize(
            frame, (columns, rows), interpolation=cv2.INTER_AREA
        )
        return canvas

    return replace(scene, frames=[laid(index, frame) for index, frame in enumerate(scene.frames)])


def stitch(scene: Scene, draws: np.random.Generator) -> Scene:
    """60 % of the clip, then half of another one, at the first one's size."""
    height, width = scene.frames[0].shape[:2]
    first, second = scene.frames[: len(scene.frames) * 3 // 5], scene.other[: len(scene.other) // 2]
    return replace(scene, frames=first + [cv2.resize(frame, (width, height)) for frame in second])


def both(*edits: Callable[[Scene, np.random.Generator], Scene]) -> Callable[[Scene, np.random.Generator], Scene]:
    """One edit after the other."""

    def edit(scene: Scene, draws: np.random.Generator) -> Scene:
        for one in edits:
            scene = one(scene, draws)
        return scene

    return edit


EDITS: dict[str, Callable[[Scene, np.random.Generator], Scene]] = {
    "crf 40": crf40,
    "0.4x": small,
    "10 fps": fps10,
    "grey and noise": grey_noise,
    "filter": colour_filter,
    "trim 1/8 s": trim_quarter_step,
    "trim odd": trim_odd,
    "trim a third": trim_third,
    "speed 0.8": speed080,
    "speed 1.1": speed110,
    "speed 1.25": speed125,
    "halves swapped": halves_swapped,
    "border": border,
    "letterbox": letterbox,
    "blurred bars": blurred_bars,
    "caption, sticker": caption_sticker,
    "crop 10 %": crop10,
    "crop 20 %": crop20,
    "square": square,
    "mirror": mirror,
    "picture in picture": picture_in_picture,
    "mirror, crf 40": both(mirror, crf40),
    "crop 10 %, speed 1.1": both(crop10, speed110),
    "caption, mirror, letterbox": both(caption_sticker, mirror, letterbox),
    "crop, filter, speed 1.1, border": both(crop10, colour_filter, speed110, border),
    "blurred bars, mirror, trim": both(trim_odd, mirror, blurred_bars),
    "stitch": stitch,
    "turned 90": turned(90),
    "turned 180": turned(180),
    "turned 270, crop 10 %": both(turned(270), crop10),
    "mirror, turned 90": both(mirror, turned(90)),
}

if __name__ == "__main__":
    print(f"{len(EDITS)} edits:", ", ".join(EDITS))
