"""Articulated figures: a pose of eight points, the joints between them, and how a person is drawn.

Lengths are in body heights. A pose lives in the actor's own frame (forward, up, left); elbows and knees follow from
hands and feet by two-bone inverse kinematics. The stage has x to the right, y up and z towards the camera, and is seen
in oblique projection, so a figure can face the camera or run across the picture.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import cv2
import numpy as np

THIGH, SHIN, UPPER_ARM, FOREARM, TORSO = 0.25, 0.245, 0.155, 0.17, 0.29
HIP_HALF, SHOULDER_HALF, ANKLE, HEAD = 0.05, 0.095, 0.025, 0.066
SUBPIXEL = 4  # fractional bits of cv2's coordinates
Point = Sequence[float]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Pose:
    """Where the body is. Angles in degrees, points as (forward, up, left) in body heights."""

    x: float = 0.0  # travelled forward since the motion began
    lift: float = 0.0  # height of the hips where that is more than the legs reach
    turn: float = 0.0  # of the whole body, 0 across the picture, 90 towards the camera
    pitch: float = 0.0  # of the whole body, positive falls forward
    lean: float = 3.0  # of the trunk alone
    tilt: float = 0.0  # of the trunk to its left
    twist: float = 0.0  # of the shoulders to the left
    hand_r: Point = (0.03, -0.31, -0.03)  # from its shoulder
    hand_l: Point = (0.03, -0.31, 0.03)
    foot_r: Point = (0.0, -0.485, -0.02)  # from its hip
    foot_l: Point = (0.0, -0.485, 0.02)
    grip: Point = (0.0, 0.0, 0.0)  # both hands, from the ground under the hips; where `width` is 0, hands are free
    width: float = 0.0  # between the hands on the grip
    shaft: Point = (0.2, -1.0, 0.0)  # direction of what is held

    def vector(self) -> np.ndarray:
        """All fields in a row: (26,)."""
        return np.concatenate([np.atleast_1d(getattr(self, field.name)) for field in fields(self)]).astype(float)

    @classmethod
    def of_vector(cls, vector: np.ndarray) -> "Pose":
        values: dict[str, Any] = {}
        position = 0
        for field in fields(cls):
            wide = isinstance(field.default, tuple)
            values[field.name] = vector[position : position + 3] if wide else float(vector[position])
            position += 3 if wide else 1
        return cls(**values)


@dataclass(frozen=True)
class Look:
    """How one person looks; colours are RGB."""

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    build: float = 1.0  # thickness of the limbs
    sleeves: bool = False
    long_legs: bool = True


@dataclass(frozen=True)
class Camera:
    """Where the picture looks: stage x at its middle, pixels a body height, the ground's row, shift by depth."""

    x: float
    scale: float
    ground: float
    middle: float  # column of stage x
    shear: float = 0.3

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) picture coordinates of stage points (..., 3); depth lies below and aside."""
        column = self.middle + (points[..., 0] - self.x + self.shear * points[..., 2]) * self.scale
        return np.stack([column, self.ground - (points[..., 1] - 0.22 * points[..., 2]) * self.scale], axis=-1)


def mix(first: Pose, second: Pose, weight: float) -> Pose:
    """`first` at weight 0, `second` at 1."""
    weight = min(max(weight, 0.0), 1.0)
    return Pose.of_vector((1 - weight) * first.vector() + weight * second.vector())


def interpolate(keys: Sequence[tuple[float, Pose]], time: float) -> Pose:
    """The pose at `time` on the Catmull-Rom spline through (time, pose) keys, held beyond its ends."""
    times = np.array([key[0] for key in keys])
    index = int(np.clip(np.searchsorted(times, time) - 1, 0, len(keys) - 2))
    span = times[index + 1] - times[index]
    u = float(np.clip((time - times[index]) / span, 0, 1))
    near = [keys[max(0, min(len(keys) - 1, index + step))] for step in (-1, 0, 1, 2)]
    a, b, c, d = (pose.vector() for _, pose in near)
    slope_b = (c - a) / max(near[2][0] - near[0][0], 1e-6) * span
    slope_c = (d - b) / max(near[3][0] - near[1][0], 1e-6) * span
    cubic = (2 * u**3 - 3 * u**2 + 1) * b + (u**3 - 2 * u**2 + u) * slope_b
    return Pose.of_vector(cubic + (3 * u**2 - 2 * u**3) * c + (u**3 - u**2) * slope_c)


def bend(root: np.ndarray, target: np.ndarray, upper: float, lower: float, pole: np.ndarray) -> tuple:
    """Two-bone inverse kinematics: the middle joint, bent towards `pole`, and the end, which may fall short."""
    reach = target - root
    distance = float(np.clip(np.linalg.norm(reach), abs(upper - lower) + 1e-3, upper + lower - 1e-3))
    along = reach / max(np.linalg.norm(reach), 1e-6)
    aside = pole - along * (pole @ along)
    aside = aside / max(np.linalg.norm(aside), 1e-6)
    forth = (upper**2 - lower**2 + distance**2) / (2 * distance)
    joint = root + along * forth + aside * np.sqrt(max(upper**2 - forth**2, 0.0))
    return joint, root + along * distance


def skeleton(pose: Pose, at: float, depth: float = 0.0) -> dict[str, np.ndarray]:
    """Stage positions (3,) of every joint of an actor whose motion began at stage x `at`."""
    pitch = _about_left(pose.pitch)
    feet = {side: pitch @ np.asarray(getattr(pose, f"foot_{side}"), float) for side in "rl"}
    height = max(ANKLE - min(foot[1] for foot in feet.values()), pose.lift)
    joints = {"hips": np.array([0.0, height, 0.0])}
    up = pitch @ _about_left(pose.lean) @ _about_forward(pose.tilt) @ np.array([0.0, 1.0, 0.0])
    joints["neck"] = joints["hips"] + TORSO * up
    joints["head"] = joints["neck"] + (0.035 + HEAD) * (up + np.array([0.12, 0, 0]))
    joints["nose"] = joints["head"] + 0.03 * _about_left(pose.pitch + 0.4 * pose.lean) @ np.array([1.0, -0.2, 0.0])
    across = _about_up(pose.twist) @ np.array([0.0, 0.0, 1.0])
    for side, sign in (("r", -1), ("l", 1)):
        shoulder = joints["neck"] + sign * SHOULDER_HALF * across - 0.03 * up
        hip = joints["hips"] + sign * HIP_HALF * _about_up(pose.twist / 3) @ np.array([0.0, 0.0, 1.0])
        hand = shoulder + pitch @ np.asarray(getattr(pose, f"hand_{side}"), float)
        if pose.width:
            hand = np.array([*pose.grip[:2], pose.grip[2] + sign * pose.width / 2])
        elbow_pole = pitch @ np.array([-0.5, -0.7, 0.5 * sign])
        joints[f"shoulder_{side}"], joints[f"hip_{side}"] = shoulder, hip
        joints[f"elbow_{side}"], joints[f"hand_{side}"] = bend(shoulder, hand, UPPER_ARM, FOREARM, elbow_pole)
        knee_pole = pitch @ np.array([1.0, 0.15, 0.25 * sign])
        knee, ankle = bend(hip, hip + feet[side], THIGH, SHIN, knee_pole)
        shin = (ankle - knee) / np.linalg.norm(ankle - knee)
        forward = pitch @ np.array([1.0, 0.0, 0.2 * sign])
        toe = forward - shin * (forward @ shin)
        joints[f"knee_{side}"], joints[f"ankle_{side}"] = knee, ankle
        joints[f"toe_{side}"] = ankle + 0.085 * toe / max(np.linalg.norm(toe), 1e-6) + [0, -0.012, 0]
    return {name: to_stage(pose, at, point, depth) for name, point in joints.items()}


def to_stage(pose: Pose, at: float, point: np.ndarray, depth: float = 0.0) -> np.ndarray:
    """A point of the actor's frame on the stage."""
    turned = stage_direction(pose, np.asarray(point, float))
    return turned + np.array([at + pose.x, 0.0, depth])


def stage_direction(pose: Pose, direction: np.ndarray) -> np.ndarray:
    """A direction of the actor's frame (forward, up, left) on the stage (right, up, nearer)."""
    cosine, sine = np.cos(np.radians(pose.turn)), np.sin(np.radians(pose.turn))
    forward, up, left = direction
    return np.array([cosine * forward + sine * left, up, sine * forward - cosine * left])


def draw_figure(
    picture: np.ndarray, camera: Camera, joints: dict[str, np.ndarray], look: Look, floor: float = 0.0
) -> None:
    """Draw a person into (H, W, 3) uint8 RGB, farther limbs first and darker, the shadow at height `floor`."""
    b = look.build
    sleeve = look.shirt if look.sleeves else look.skin
    legs = look.trousers if look.long_legs else look.skin
    parts = [("hips", "neck", 0.078 * b, 0.088 * b, look.shirt), ("neck", "head", 0.03 * b, 0.03 * b, look.skin)]
    for side in "rl":
        parts += [
            (f"hip_{side}", f"knee_{side}", 0.06 * b, 0.045 * b, look.trousers),
            (f"knee_{side}", f"ankle_{side}", 0.042 * b, 0.028 * b, legs),
            (f"ankle_{side}", f"toe_{side}", 0.03, 0.022, look.shoes),
            (f"shoulder_{side}", f"elbow_{side}", 0.041 * b, 0.034 * b, look.shirt),
            (f"elbow_{side}", f"hand_{side}", 0.031 * b, 0.026 * b, sleeve),
        ]
    draw_shadow(picture, camera, joints["hips"], 0.24, floor)
    middle = joints["hips"][2]
    strokes: list[tuple[float, np.ndarray, np.ndarray | None, float, float, Colour]] = [
        ((joints[a][2] + joints[z][2]) / 2, joints[a], joints[z], r, s, c) for a, z, r, s, c in parts
    ]
    strokes.append(((joints["head"][2] + joints["neck"][2]) / 2 + 0.02, joints["head"], None, HEAD, HEAD, look.skin))
    for near, start, end, r, s, colour in sorted(strokes, key=lambda stroke: stroke[0]):
        shaded = shade(colour, 1 + float(np.clip((near - middle) * 1.6, -0.28, 0.06)))
        if end is None:
            _draw_head(picture, camera, joints, shaded, look.hair)
        else:
            capsule(picture, camera, start, end, r, s, shaded)


def draw_shadow(picture: np.ndarray, camera: Camera, above: np.ndarray, radius: float, floor: float) -> None:
    """A soft dark ellipse, fainter the higher the body is above the floor."""
    centre = camera.pixels(np.array([above[0], floor, above[2]]))
    wide, high = radius * camera.scale, radius * 0.25 * camera.scale
    left, top = (centre - [wide, high]).astype(int).clip(0)
    patch = picture[top : int(centre[1] + high) + 2, left : int(centre[0] + wide) + 2]
    if patch.size:
        rows, columns = np.ogrid[: patch.shape[0], : patch.shape[1]]
        inside = ((columns + left - centre[0]) / wide) ** 2 + ((rows + top - centre[1]) / high) ** 2
        dark = 1 - 0.45 * np.clip(1.2 - inside, 0, 1) / (1 + 2 * max(above[1] - floor - 0.5, 0))
        patch[:] = (patch * dark[..., None]).astype(np.uint8)


def capsule(picture, camera: Camera, start, end, radius: float, end_radius: float, colour: Colour) -> None:
    """A limb: two discs and what lies between, with a lighter stripe that makes it look round."""
    a, z = camera.pixels(np.stack([start, end]))
    for inner, shift, tone in ((1.0, 0.0, colour), (0.45, 0.3, shade(colour, 1.13))):
        r, s = radius * camera.scale, end_radius * camera.scale
        _pill(picture, a - [shift * r, shift * r], z - [shift * s, shift * s], r * inner, s * inner, tone)


def line(picture: np.ndarray, camera: Camera, start, end, thickness: float, colour: Colour) -> None:
    """A straight thin thing; thickness in body heights, at least one pixel."""
    points = np.round(camera.pixels(np.stack([start, end])) * 2**SUBPIXEL).astype(int)
    width = max(1, round(thickness * camera.scale))
    cv2.line(picture, points[0].tolist(), points[1].tolist(), colour, width, cv2.LINE_AA, SUBPIXEL)


def disc(picture: np.ndarray, centre: np.ndarray, radius: float, colour: Colour) -> None:
    """A filled circle, in pixels."""
    where = np.round(centre * 2**SUBPIXEL).astype(int).tolist()
    cv2.circle(picture, where, max(1, round(radius * 2**SUBPIXEL)), colour, -1, cv2.LINE_AA, SUBPIXEL)


def shade(colour: Colour, factor: float) -> Colour:
    return colour_of(channel * factor for channel in colour)


def colour_of(channels: Iterable[float]) -> Colour:
    """Three numbers as a colour, each held to 0 to 255."""
    red, green, blue = (int(min(255, max(0, channel))) for channel in channels)
    return red, green, blue


def travelling(pose: Pose, distance: float) -> Pose:
    """The same pose, `distance` farther on."""
    return replace(pose, x=pose.x + distance)


def _draw_head(picture: np.ndarray, camera: Camera, joints: dict, skin: Colour, hair: Colour) -> None:
    centre, neck, nose = camera.pixels(np.stack([joints["head"], joints["neck"], joints["nose"]]))
    radius = HEAD * camera.scale
    up = (centre - neck) / max(np.linalg.norm(centre - neck), 1e-6)
    disc(picture, centre + up * radius * 0.2, radius * 1.02, hair)
    if joints["nose"][2] > joints["head"][2] - 0.02:  # else the back of the head
        disc(picture, centre - up * radius * 0.12 + (nose - centre) * 0.45, radius * 0.9, skin)


def _pill(picture: np.ndarray, a: np.ndarray, z: np.ndarray, r: float, s: float, colour: Colour) -> None:
    disc(picture, a, r, colour)
    disc(picture, z, s, colour)
    along = z - a
    aside = np.array([-along[1], along[0]]) / max(np.linalg.norm(along), 1e-6)
    corners = np.stack([a + aside * r, z + aside * s, z - aside * s, a - aside * r])
    cv2.fillConvexPoly(picture, np.round(corners * 2**SUBPIXEL).astype(np.int32), colour, cv2.LINE_AA, SUBPIXEL)


def _about_left(degrees: float) -> np.ndarray:
    """Turns up towards forward."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def _about_forward(degrees: float) -> np.ndarray:
    """Turns up towards left."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _about_up(degrees: float) -> np.ndarray:
    """Turns left towards back, as shoulders do that turn to the left."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
