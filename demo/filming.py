"""From a script to a video file: the camera, one frame after the other, H.264, and copies as people repost them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from plusmv.core.workspace import atomic_path
from plusmv.demo.figures import Camera, Colour, Look, Pose, colour_of, draw_figure, skeleton, stage_direction, to_stage
from plusmv.demo.motions import ACTS, BAR_ON_FLOOR, GRAVITY, IDLE, RELEASE
from plusmv.demo.scenery import (
    MAT_BEGINS,
    MAT_HEIGHT,
    Backdrop,
    draw_ball,
    draw_barbell,
    draw_club,
    draw_high_jump,
    draw_javelin,
    draw_throwing_line,
    paint,
)
from plusmv.demo.shots import FPS, Shot

WIDTH, HEIGHT = 340, 256
SKINS = ((236, 190, 152), (214, 162, 120), (176, 122, 84), (128, 84, 58), (92, 60, 44))
HAIRS = ((44, 34, 30), (96, 66, 40), (190, 150, 90), (26, 24, 26), (140, 140, 140))
CLOTHES = ((206, 58, 54), (44, 84, 160), (250, 206, 70), (240, 240, 240), (40, 44, 56), (60, 140, 92), (236, 120, 50),
           (130, 70, 150), (90, 170, 210))  # fmt: skip
COPIES = ("reencoded", "mirrored", "letterboxed", "trimmed")


@dataclass(frozen=True)
class VideoPlan:
    """All that makes one video; equal plans give equal pictures."""

    scene: str  # the action whose scenery it is
    shots: tuple[Shot, ...]
    seed: int

    @property
    def frames(self) -> int:
        return sum(shot.frames for shot in self.shots)


def film(plan: VideoPlan) -> Iterator[np.ndarray]:
    """Yield the plan's frames, (256, 340, 3) uint8 RGB."""
    rng = np.random.default_rng(plan.seed)
    scale = rng.uniform(108, 142)
    backdrop = paint(plan.scene, rng, scale, HEIGHT + 60, int(WIDTH * 1.3 + 8 * scale))
    look, other = _dress(rng), _dress(rng)
    bystander = rng.uniform(-3, 2) if rng.random() < 0.4 else None
    mirrored, light = rng.random() < 0.5, _light(rng)
    operator = _Operator(rng, backdrop)
    for shot in plan.shots:
        if shot.cut:
            operator.cut(shot.at)
        for index in range(shot.frames):
            pose = _pose(shot, index)
            camera = operator.follow(shot.at + pose.x)
            picture = operator.look(camera)
            if bystander is not None:
                passing = IDLE["walk"](0, (operator.frame + index) / FPS % 12)
                draw_figure(picture, camera, skeleton(passing, bystander, depth=-1.35), other)
            _draw_stage(picture, camera, plan.scene, shot, index, pose, look)
            picture = cv2.LUT(picture, light)
            yield cv2.flip(picture, 1) if mirrored else picture


class _Operator:
    """Holds the camera: follows the actor late and not quite steadily, and stands elsewhere after a cut."""

    def __init__(self, rng: np.random.Generator, backdrop: Backdrop):
        self.rng, self.backdrop, self.frame = rng, backdrop, 0
        self.shear = rng.uniform(0.12, 0.42) * rng.choice([-1, 1])
        self.shake, self.phases = rng.uniform(0.3, 2.2), rng.uniform(0, 6, 4)
        self.cut(0.0)

    def cut(self, x: float) -> None:
        self.x: float | None = None
        self.offset = self.rng.normal(0, 0.12)
        self.zoom, self.drop = self.rng.uniform(0.88, 1.12), self.rng.uniform(-8, 10)

    def follow(self, x: float) -> Camera:
        self.frame += 1
        limit = (self.backdrop.picture.shape[1] - WIDTH * 1.25) / 2 / self.backdrop.scale
        wanted = float(np.clip(x + self.offset, -limit, limit))
        at = wanted if self.x is None else self.x + 0.16 * (wanted - self.x)
        self.x = at
        time = self.frame / FPS
        dx, dy = (
            self.shake * np.sin(time * rate + phase) for rate, phase in zip((3.1, 4.3), self.phases, strict=False)
        )
        ground = 0.86 * HEIGHT + self.drop + dy
        return Camera(at, self.backdrop.scale * self.zoom, ground, WIDTH / 2 + dx, self.shear)

    def look(self, camera: Camera) -> np.ndarray:
        """The part of the backdrop that this camera sees."""
        zoom = camera.scale / self.backdrop.scale
        column = self.backdrop.column + camera.x * self.backdrop.scale
        to_picture = np.array(
            [[zoom, 0, camera.middle - zoom * column], [0, zoom, camera.ground - zoom * self.backdrop.row]]
        )
        return cv2.warpAffine(self.backdrop.picture, to_picture, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)


def write_video(path: Path, pictures: Iterable[np.ndarray], crf: int = 22) -> None:
    """Write (H, W, 3) uint8 RGB frames as H.264 at 25 fps; one thread, so that equal frames give equal bytes."""
    with atomic_path(path) as part, av.open(str(part), "w") as container:
        stream = None
        for picture in pictures:
            if stream is None:
                stream = container.add_stream(
                    "libx264", rate=FPS, options={"preset": "superfast", "crf": str(crf), "threads": "1"}
                )
                stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv420p"
                stream.time_base = Fraction(1, FPS)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        if stream is None:
            raise ValueError(f"no picture to write to {path}")
        container.mux(stream.encode(None))


def read_video(path: Path) -> Iterator[np.ndarray]:
    """Yield a rendered video's frames."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24", threads=1)


def write_copy(source: Path, path: Path, kind: str) -> None:
    """Write a changed copy of a video, one of COPIES."""
    pictures = list(read_video(source))
    if kind == "trimmed":
        pictures = pictures[round(0.9 * FPS) : -round(0.7 * FPS)]
    change = {"mirrored": lambda picture: cv2.flip(picture, 1), "letterboxed": _letterbox, "reencoded": _smaller}.get(
        kind
    )
    write_video(path, map(change, pictures) if change else pictures, crf=31 if kind == "reencoded" else 25)


def _letterbox(picture: np.ndarray) -> np.ndarray:
    bars = np.zeros((HEIGHT + 96, WIDTH, 3), np.uint8)
    bars[48:-48] = picture
    return bars


def _smaller(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (256, 192), interpolation=cv2.INTER_AREA)


def _pose(shot: Shot, index: int) -> Pose:
    if not shot.motion:
        return Pose()
    motion = ACTS[shot.motion].motion if shot.motion in ACTS else IDLE[shot.motion]
    pose = motion(index / max(shot.frames - 1, 1), index / FPS)
    return replace(pose, x=-pose.x, turn=180 - pose.turn) if shot.backwards else pose


def _draw_stage(picture, camera: Camera, scene: str, shot: Shot, index: int, pose: Pose, look: Look) -> None:
    """The actor and everything within reach, from far to near."""
    if scene == "HighJump":
        draw_high_jump(picture, camera, near=False)
    if scene == "JavelinThrow":
        draw_throwing_line(picture, camera)
    lifting = shot.motion == "CleanAndJerk"
    depth = -0.28 if scene == "CleanAndJerk" and not lifting else 0.0  # behind the bar on the floor
    joints = skeleton(pose, shot.at, depth)
    if shot.motion == "GolfSwing" or (scene == "GolfSwing" and not shot.motion):
        _draw_golf_ball(picture, camera, index / shot.frames if shot.motion else 0.0)
    if shot.motion:
        on_mat = scene == "HighJump" and joints["hips"][0] > MAT_BEGINS
        draw_figure(picture, camera, joints, look, floor=MAT_HEIGHT if on_mat else 0.0)
    if lifting or scene == "CleanAndJerk":
        _draw_bar(picture, camera, pose, joints, lifting)
    _draw_held(picture, camera, shot, index, pose, joints)
    if scene == "HighJump":
        draw_high_jump(picture, camera, near=True)


def _draw_held(picture, camera: Camera, shot: Shot, index: int, pose: Pose, joints: dict) -> None:
    """Club or javelin, in the hand or, once thrown, in the air."""
    along = stage_direction(pose, np.asarray(pose.shaft))
    if shot.motion in ("GolfSwing", "golf_waggle", "hold_club"):
        hand = joints["hand_r"] if shot.motion == "hold_club" else (joints["hand_r"] + joints["hand_l"]) / 2
        draw_club(picture, camera, hand, along)
    elif shot.motion == "carry_javelin":
        draw_javelin(picture, camera, joints["hand_r"], along)
    elif shot.motion == "JavelinThrow":
        released = round(RELEASE * (shot.frames - 1))
        if index <= released:
            draw_javelin(picture, camera, joints["hand_r"], along)
            return
        pose = _pose(shot, released)
        hand, flown = skeleton(pose, shot.at)["hand_r"], (index - released) / FPS
        velocity = np.array([6.5, 3.2 - GRAVITY * flown / 2, 0.0])
        draw_javelin(picture, camera, hand + velocity * flown, np.array([6.5, 3.2 - GRAVITY * flown, 0.0]))


def _draw_bar(picture, camera: Camera, pose: Pose, joints: dict, lifting: bool) -> None:
    middle = to_stage(pose, 0.0, np.asarray(pose.grip)) if lifting else np.array([0.0, BAR_ON_FLOOR, 0.16])
    along = stage_direction(pose, np.array([0.0, 0.0, 1.0])) if lifting else np.array([0.985, 0.0, 0.17])
    draw_barbell(picture, camera, middle, along, (188, 44, 42))


def _draw_golf_ball(picture, camera: Camera, progress: float) -> None:
    flown = max(0.0, progress - 0.6) * 14
    draw_ball(picture, camera, np.array([flown * 1.6, 0.02 + flown * 0.9, 0.5 - 0.4 * min(flown, 1.0)]))


def _dress(rng: np.random.Generator) -> Look:
    def choose(colours: Sequence[Colour]) -> Colour:
        chosen = colours[int(rng.integers(len(colours)))]
        return colour_of(channel + rng.normal(0, 8) for channel in chosen)

    return Look(choose(SKINS), choose(HAIRS), choose(CLOTHES), choose(CLOTHES), choose(CLOTHES[3:5]),
                rng.uniform(0.88, 1.2), bool(rng.random() < 0.4), bool(rng.random() < 0.5))  # fmt: skip


def _light(rng: np.random.Generator) -> np.ndarray:
    """A look-up table (256, 1, 3) that makes a video brighter or darker, warmer or colder."""
    gain = rng.uniform(0.86, 1.1) * (1 + rng.normal(0, 0.03, 3))
    return (np.arange(256)[:, None, None] * gain).clip(0, 255).astype(np.uint8)
