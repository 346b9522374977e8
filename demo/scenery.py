"""Where the figures act: a golf course, a lifting gym, a high-jump apron and a javelin field, never twice the same.

A backdrop is one wide picture painted once a video, of which every frame shows a part; what stands near the actor
(bar, mat, barbell, club, javelin) is drawn frame by frame in stage coordinates.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from plusmv.demo.figures import Camera, Colour, capsule, colour_of, disc, line, shade

Random = np.random.Generator
MAT_BEGINS, MAT_HEIGHT = 0.22, 0.3  # stage x and height of the high jump's mat


@dataclass(frozen=True)
class Backdrop:
    """A painted picture (H, W, 3) uint8 RGB; stage x = 0 on the ground is (column, row), `scale` px a body height."""

    picture: np.ndarray
    column: float
    row: float
    scale: float


def paint(action: str, rng: Random, scale: float, height: int, width: int) -> Backdrop:
    """Paint the scenery that goes with an action, (height, width) pixels, the actor's ground at 82 % of the height."""
    picture = np.zeros((height, width, 3), np.uint8)
    row = 0.82 * height
    SCENES[action](picture, rng, row, scale)
    grain = rng.normal(0, 3.5, (height, width, 1)).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 0.8)[..., None] * 1.8
    return Backdrop((picture + grain).clip(0, 255).astype(np.uint8), width / 2, row, scale)


def golf_course(picture: np.ndarray, rng: Random, row: float, scale: float) -> None:
    horizon = int(row - rng.uniform(0.55, 0.8) * scale)
    _sky(picture, rng, horizon + 10)
    _hills(picture, rng, horizon, (96, 140, 120))
    _trees(picture, rng, horizon + 4, 26, scale)
    green = _varied(rng, (104, 168, 62))
    _gradient(picture, horizon, picture.shape[0], shade(green, 0.9), shade(green, 1.12))
    _stripes(picture, rng, horizon, shade(green, 1.13))
    for _ in range(rng.integers(1, 4)):
        where = (int(rng.uniform(0, picture.shape[1])), int(rng.uniform(horizon + 8, horizon + 0.35 * scale)))
        cv2.ellipse(
            picture,
            where,
            (int(rng.uniform(25, 60)), int(rng.uniform(4, 8))),
            0,
            0,
            360,
            (232, 217, 170),
            -1,
            cv2.LINE_AA,
        )
    for _ in range(2):
        foot = np.array([rng.uniform(0.3, 0.7) * picture.shape[1], horizon + rng.uniform(6, 20)]).astype(int)
        top = foot - [0, int(0.45 * scale)]
        cv2.line(picture, foot.tolist(), top.tolist(), (245, 245, 240), 2, cv2.LINE_AA)
        flag = top + np.array([[0, 0], [int(0.17 * scale), 7], [0, 14]])
        cv2.fillPoly(picture, [flag], _pick(rng, ((214, 48, 49), (250, 200, 40), (240, 240, 240))), cv2.LINE_AA)


def gym(picture: np.ndarray, rng: Random, row: float, scale: float) -> None:
    floor = int(row - rng.uniform(0.25, 0.4) * scale)
    wall = _varied(rng, _pick(rng, ((196, 190, 180), (150, 168, 184), (190, 172, 150), (120, 124, 134))))
    _gradient(picture, 0, floor, wall, shade(wall, 0.86))
    band = _pick(rng, ((178, 58, 52), (44, 82, 140), (52, 112, 84), (220, 160, 40)))
    cv2.rectangle(picture, (0, floor - int(0.28 * scale)), (picture.shape[1], floor), shade(band, 0.9), -1)
    column = int(rng.uniform(0, 60))
    while column < picture.shape[1]:
        column += _furniture(picture, rng, column, floor, scale) + int(rng.uniform(14, 50))
    _gradient(picture, floor, picture.shape[0], (66, 66, 70), (92, 92, 98))
    platform = int(0.95 * scale)
    middle, wood = picture.shape[1] // 2, _varied(rng, (186, 142, 92))
    top, bottom = int(row - 0.2 * scale), int(row + 0.14 * scale)
    corners = [[middle - platform, top], [middle + platform, top], [middle + int(1.12 * platform), bottom],
               [middle - int(1.12 * platform), bottom]]  # fmt: skip
    cv2.fillPoly(picture, [np.array(corners)], wood, cv2.LINE_AA)
    for share in np.linspace(-0.9, 0.9, 9):
        ends = (int(middle + share * platform), top), (int(middle + share * 1.12 * platform), bottom)
        cv2.line(picture, *ends, shade(wood, 0.9), 1, cv2.LINE_AA)


def stadium(picture: np.ndarray, rng: Random, row: float, scale: float) -> None:
    horizon = int(row - rng.uniform(0.5, 0.7) * scale)
    _athletics_background(picture, rng, horizon, scale)
    grass = _varied(rng, (96, 150, 70))
    _gradient(picture, horizon, horizon + int(0.2 * scale), shade(grass, 0.9), grass)
    clay = _varied(rng, _pick(rng, ((186, 84, 62), (178, 74, 66), (70, 110, 170))))
    _gradient(picture, horizon + int(0.2 * scale), picture.shape[0], shade(clay, 0.92), shade(clay, 1.08))
    for share in (0.24, 0.33, 0.46):
        level = horizon + int(share * scale)
        cv2.line(picture, (0, level), (picture.shape[1], level), (236, 226, 220), 1, cv2.LINE_AA)


def throwing_field(picture: np.ndarray, rng: Random, row: float, scale: float) -> None:
    horizon = int(row - rng.uniform(0.75, 0.95) * scale)
    _athletics_background(picture, rng, horizon + 6, scale)
    green = _varied(rng, (120, 176, 78))
    _gradient(picture, horizon + 6, picture.shape[0], shade(green, 0.92), shade(green, 1.05))
    for share in np.linspace(0.1, 0.52, 5):  # distance lines of the landing sector
        level = horizon + int(share * scale)
        cv2.line(picture, (0, level + 8), (picture.shape[1], level - 8), (238, 243, 232), 1, cv2.LINE_AA)
    runway = _varied(rng, (190, 96, 72))
    top, bottom = int(row - 0.17 * scale), int(row + 0.17 * scale)
    cv2.rectangle(picture, (0, top), (picture.shape[1], bottom), runway, -1)
    for level in (top, bottom):
        cv2.line(picture, (0, level), (picture.shape[1], level), (245, 245, 245), 3, cv2.LINE_AA)


SCENES: dict[str, Callable[[np.ndarray, Random, float, float], None]] = {
    "GolfSwing": golf_course, "CleanAndJerk": gym, "HighJump": stadium, "JavelinThrow": throwing_field,
}  # fmt: skip


def draw_high_jump(picture: np.ndarray, camera: Camera, near: bool) -> None:
    """Mat, uprights and bar at stage x = 0.1; `near` draws only what stands before the jumper."""
    bar, width = 1.12, 0.75
    if near:
        _upright(picture, camera, (0.1, width), bar)
        return
    left, right, top = MAT_BEGINS, 1.5, MAT_HEIGHT
    box = np.array([[left, top, -0.8], [right, top, -0.8], [right, top, 0.8], [left, top, 0.8]])
    face = np.array([[left, top, 0.8], [right, top, 0.8], [right, 0.0, 0.8], [left, 0.0, 0.8]])
    side = np.array([[left, top, -0.8], [left, top, 0.8], [left, 0.0, 0.8], [left, 0.0, -0.8]])
    for corners, colour in ((box, (74, 120, 196)), (face, (46, 84, 150)), (side, (38, 70, 128))):
        cv2.fillPoly(picture, [np.round(camera.pixels(corners)).astype(int)], colour, cv2.LINE_AA)
    _upright(picture, camera, (0.1, -width), bar)
    for start, end, colour in ((-1, -0.33, (240, 70, 60)), (-0.33, 0.33, (250, 250, 250)), (0.33, 1, (240, 70, 60))):
        line(picture, camera, np.array([0.1, bar, start * width]), np.array([0.1, bar, end * width]), 0.025, colour)


def draw_barbell(picture: np.ndarray, camera: Camera, middle: np.ndarray, along: np.ndarray, plate: Colour) -> None:
    """A loaded bar: the farther plates, the bar, the nearer plates."""
    ends = sorted((middle - 0.55 * along, middle + 0.55 * along), key=lambda end: end[2])
    _plates(picture, camera, ends[0], along, plate)
    line(picture, camera, middle - 0.66 * along, middle + 0.66 * along, 0.022, (206, 210, 214))
    _plates(picture, camera, ends[1], along, plate)


def draw_club(picture: np.ndarray, camera: Camera, hand: np.ndarray, along: np.ndarray) -> None:
    head = hand + 0.5 * along / np.linalg.norm(along)
    line(picture, camera, hand, head, 0.014, (60, 62, 66))
    capsule(picture, camera, head, head + np.array([0.03, 0.0, 0.02]), 0.022, 0.014, (34, 34, 38))


def draw_javelin(picture: np.ndarray, camera: Camera, hand: np.ndarray, along: np.ndarray) -> None:
    along = along / np.linalg.norm(along)
    line(picture, camera, hand - 0.62 * along, hand + 0.72 * along, 0.02, (250, 236, 130))
    line(picture, camera, hand - 0.08 * along, hand + 0.08 * along, 0.032, (200, 40, 40))


def draw_ball(picture: np.ndarray, camera: Camera, where: np.ndarray) -> None:
    disc(picture, camera.pixels(where), 0.018 * camera.scale, (255, 255, 255))


def draw_throwing_line(picture: np.ndarray, camera: Camera) -> None:
    """The arc that javelin throwers must not cross, a little past stage x = 0."""
    arc = np.array([[0.62 - 0.5 * z * z, 0.0, z] for z in np.linspace(-0.75, 0.75, 9)])
    cv2.polylines(picture, [np.round(camera.pixels(arc)).astype(int)], False, (250, 250, 250), 3, cv2.LINE_AA)


def _athletics_background(picture: np.ndarray, rng: Random, horizon: int, scale: float) -> None:
    """What lies behind a stadium's field, for jumpers and throwers alike: a full stand, or hills and trees."""
    _sky(picture, rng, horizon)
    if rng.random() < 0.5:
        _stand(picture, rng, int(rng.uniform(0.1, 0.3) * horizon), horizon - 12)
    else:
        _hills(picture, rng, horizon, (120, 150, 150))
        _trees(picture, rng, horizon - 4, 16, scale * 0.7)
    _boards(picture, rng, horizon, height=int(rng.integers(7, 15)))


def _plates(picture: np.ndarray, camera: Camera, centre: np.ndarray, along: np.ndarray, colour: Colour) -> None:
    """Two discs seen nearly from the side: thin ellipses."""
    for offset, radius, tone in (
        (-0.035, 0.125, shade(colour, 0.7)),
        (0.02, 0.125, colour),
        (0.05, 0.07, shade(colour, 0.8)),
    ):
        where = np.round(camera.pixels(centre + offset * along)).astype(int).tolist()
        axes = (max(2, round(0.42 * radius * camera.scale)), round(radius * camera.scale))
        cv2.ellipse(picture, where, axes, 0, 0, 360, tone, -1, cv2.LINE_AA)


def _upright(picture: np.ndarray, camera: Camera, where: tuple[float, float], bar: float) -> None:
    x, z = where
    line(picture, camera, np.array([x, 0.0, z]), np.array([x, bar + 0.08, z]), 0.035, (236, 236, 240))
    line(picture, camera, np.array([x - 0.1, 0.0, z]), np.array([x + 0.1, 0.0, z]), 0.045, (120, 124, 130))


def _furniture(picture: np.ndarray, rng: Random, column: int, floor: int, scale: float) -> int:
    """A window, a mirror, wall bars, a poster or a shelf of weights; returns its width."""
    kind, wide = rng.integers(4), int(rng.uniform(0.35, 0.8) * scale)
    top, bottom = floor - int(rng.uniform(1.0, 1.3) * scale), floor - int(0.4 * scale)
    if kind == 0:
        _gradient(picture, max(top, 0), bottom, (206, 226, 240), (232, 240, 244), column, column + wide)
        cv2.rectangle(picture, (column, top), (column + wide, bottom), (96, 96, 100), 3)
        cv2.line(picture, (column + wide // 2, top), (column + wide // 2, bottom), (96, 96, 100), 2)
    elif kind == 1:
        for level in range(top, floor, 9):
            cv2.line(picture, (column, level), (column + wide, level), (150, 104, 62), 3)
        for edge in (column, column + wide):
            cv2.line(picture, (edge, top), (edge, floor), (116, 78, 46), 4)
    elif kind == 2:
        for shelf in (0.1, 0.36, 0.62):
            level = floor - int(shelf * scale)
            cv2.line(picture, (column, level + 8), (column + wide, level + 8), (40, 40, 44), 3)
            for place in range(column + 8, column + wide - 4, 15):
                plate = _pick(rng, ((190, 50, 46), (40, 70, 140), (50, 50, 54), (210, 170, 40), (60, 120, 70)))
                cv2.circle(picture, (place, level), 7, plate, -1, cv2.LINE_AA)
    else:
        colour = _pick(rng, ((226, 196, 60), (200, 70, 60), (70, 130, 180), (235, 235, 230)))
        cv2.rectangle(picture, (column, top), (column + wide, bottom), colour, -1)
        cv2.circle(picture, (column + wide // 2, (top + bottom) // 2), wide // 4, shade(colour, 0.7), -1, cv2.LINE_AA)
    return wide


def _sky(picture: np.ndarray, rng: Random, horizon: int) -> None:
    top, low = _pick(rng, (((96, 160, 222), (206, 228, 242)), ((150, 176, 198), (222, 228, 230)),
                           ((120, 150, 205), (244, 214, 180)), ((70, 140, 215), (190, 222, 244))))  # fmt: skip
    _gradient(picture, 0, horizon, top, low)
    clouds = np.zeros(picture.shape[:2], np.float32)
    for _ in range(rng.integers(3, 12)):
        where = (int(rng.uniform(0, picture.shape[1])), int(rng.uniform(0, horizon * 0.7)))
        for _ in range(5):
            puff = (int(where[0] + rng.normal(0, 26)), int(where[1] + rng.normal(0, 4)))
            cv2.ellipse(clouds, puff, (int(rng.uniform(16, 40)), int(rng.uniform(4, 11))), 0, 0, 360, 0.75, -1)
    soft = cv2.GaussianBlur(clouds, (0, 0), 5)[..., None]
    picture[:horizon] = (picture * (1 - soft) + 250 * soft)[:horizon].astype(np.uint8)


def _hills(picture: np.ndarray, rng: Random, horizon: int, colour: Colour) -> None:
    columns = np.arange(0, picture.shape[1] + 8, 8)
    for height, tone in ((rng.uniform(14, 34), 1.15), (rng.uniform(8, 18), 1.0)):
        waves = sum(np.sin(columns / rng.uniform(40, 150) + rng.uniform(0, 6)) for _ in range(3))
        ridge = horizon - height * (1 + 0.3 * waves)
        outline = np.stack([np.r_[columns, columns[::-1]], np.r_[ridge, np.full(len(columns), horizon + 12)]], axis=1)
        cv2.fillPoly(picture, [outline.astype(int)], shade(_varied(rng, colour), tone), cv2.LINE_AA)


def _trees(picture: np.ndarray, rng: Random, horizon: int, count: int, scale: float) -> None:
    for column in np.sort(rng.uniform(0, picture.shape[1], count)):
        leaf, size = _varied(rng, (62, 112, 58)), rng.uniform(0.16, 0.34) * scale
        cv2.line(picture, (int(column), horizon), (int(column), int(horizon - size)), (92, 70, 50), 4)
        for _ in range(7):
            where = (int(column + rng.normal(0, size * 0.4)), int(horizon - size * rng.uniform(0.5, 1.5)))
            cv2.circle(
                picture, where, int(size * rng.uniform(0.3, 0.5)), shade(leaf, rng.uniform(0.8, 1.2)), -1, cv2.LINE_AA
            )


def _stripes(picture: np.ndarray, rng: Random, horizon: int, colour: Colour) -> None:
    """Mown stripes that run to a vanishing point."""
    vanishing, edges = rng.uniform(0.3, 0.7) * picture.shape[1], np.arange(-1200, 2400, 90.0) + picture.shape[1] / 2
    for left, right in zip(edges[::2], edges[1::2], strict=True):
        far = vanishing + (np.array([right, left]) - vanishing) * 0.3
        near = [[left, picture.shape[0]], [right, picture.shape[0]]]
        cv2.fillPoly(
            picture, [np.array([*near, [far[0], horizon], [far[1], horizon]]).astype(int)], colour, cv2.LINE_AA
        )


def _stand(picture: np.ndarray, rng: Random, top: int, bottom: int) -> None:
    """Tiers full of spectators, under a roof."""
    concrete = _varied(rng, (150, 152, 160))
    _gradient(picture, top, bottom, shade(concrete, 0.75), concrete)
    fans = [
        _varied(rng, colour) for colour in ((200, 60, 60), (60, 90, 170), (235, 225, 210), (230, 190, 70), (70, 74, 84))
    ]
    for level in range(top + 12, bottom, 9):
        cv2.line(picture, (0, level + 5), (picture.shape[1], level + 5), shade(concrete, 0.8), 1)
        for column in np.flatnonzero(rng.random(picture.shape[1] // 7) < 0.8) * 7:
            where = (int(column + rng.integers(3)), level)
            cv2.circle(picture, where, 3, fans[rng.integers(len(fans))], -1)
            cv2.circle(picture, (where[0], level - 4), 2, (206, 164, 132), -1)
    picture[top:bottom] = cv2.GaussianBlur(picture[top:bottom], (0, 0), 1.3)
    cv2.rectangle(picture, (0, top - 8), (picture.shape[1], top + 2), shade(concrete, 0.55), -1)


def _boards(picture: np.ndarray, rng: Random, horizon: int, height: int = 14) -> None:
    column = 0
    while column < picture.shape[1]:
        wide = int(rng.uniform(40, 110))
        colour = _varied(
            rng, _pick(rng, ((240, 240, 240), (30, 60, 130), (200, 40, 50), (250, 200, 60), (30, 120, 90)))
        )
        cv2.rectangle(picture, (column, horizon - height), (column + wide, horizon), colour, -1)
        column += wide


def _gradient(
    picture, top: int, bottom: int, first: Colour, last: Colour, left: int = 0, right: int | None = None
) -> None:
    top, bottom = max(top, 0), min(bottom, picture.shape[0])
    if bottom > top:
        share = np.linspace(0, 1, bottom - top)[:, None, None]
        picture[top:bottom, left:right] = (np.array(first) * (1 - share) + np.array(last) * share).astype(np.uint8)


def _varied(rng: Random, colour: Colour) -> Colour:
    return colour_of(channel + rng.normal(0, 9) for channel in colour)


def _pick(rng: Random, choices: tuple) -> tuple:
    return choices[rng.integers(len(choices))]
