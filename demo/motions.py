"""What the figures do: four actions, and what people do in between. A motion is a function of its progress and time.

`motion(progress, seconds)` gives the Pose at progress 0..1 of the whole, `seconds` after it began; cycles such as
running follow the seconds, everything else the progress, so that a faster actor does the same in less time.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plusmv.demo.figures import Pose, interpolate, mix, travelling

Motion = Callable[[float, float], Pose]
GRAVITY = 5.5  # body heights a second squared (9.8 m/s2 for 1.78 m)


@dataclass(frozen=True)
class Act:
    """An action: its motion, how long one instance takes, and where an attempt begins and ends (stage x)."""

    motion: Motion
    seconds: tuple[float, float]
    start: float
    end: float
    rest: Pose  # how the actor waits for the next attempt


def gait(seconds: float, rate: float, stride: float, raised: float, swing: float) -> Pose:
    """One moment of walking or running: each foot goes back along the ground and returns through the air."""
    angle = 2 * np.pi * rate * seconds
    limbs: dict[str, Any] = {}
    for side, phase in (("r", angle), ("l", angle + np.pi)):
        limbs[f"foot_{side}"] = (stride * np.cos(phase), -0.475 + raised * max(0.0, -np.sin(phase)), 0.0)
        forth = -swing * np.cos(phase)
        limbs[f"hand_{side}"] = (0.05 + forth, -0.3 + 0.5 * swing * abs(np.sin(phase / 2)) + 0.4 * max(0, forth), 0.0)
    return Pose(**limbs)


def walk(progress: float, seconds: float) -> Pose:
    """Walking on the spot of the camera's choice; whoever plans the shot moves it (0.55 body heights a second)."""
    return travelling(replace(gait(seconds, 0.95, 0.14, 0.05, 0.12), lean=4.0, turn=8.0), WALKING * seconds)


WALKING = 0.53  # body heights a second: four strides a cycle, so that feet do not slide


def stand(progress: float, seconds: float) -> Pose:
    """Waiting: weight from one foot to the other, hands at the sides, a look around."""
    sway = np.sin(1.3 * seconds)
    return Pose(turn=62 + 14 * np.sin(0.7 * seconds), tilt=2.5 * sway, lean=3 + np.sin(2.1 * seconds), twist=6 * sway,
                hand_r=(0.05 + 0.015 * sway, -0.30, -0.05), hand_l=(0.06, -0.29, 0.04 + 0.01 * sway))  # fmt: skip


def hands_on_hips(progress: float, seconds: float) -> Pose:
    sway = np.sin(1.1 * seconds)
    return Pose(turn=50 + 25 * np.sin(0.5 * seconds), tilt=2 * sway, hand_r=(0.06, -0.225, -0.035),
                hand_l=(0.06, -0.225, 0.035), foot_r=(0, -0.48, -0.07), foot_l=(0, -0.48, 0.07))  # fmt: skip


def stretch(progress: float, seconds: float) -> Pose:
    """Loosening up: arms overhead, leaning slowly to both sides."""
    side = np.sin(1.6 * seconds)
    up = 0.24 + 0.03 * np.sin(0.9 * seconds)
    return Pose(turn=75, tilt=14 * side, hand_r=(0.02, up, 0.06), hand_l=(0.02, up, -0.06),
                foot_r=(0, -0.475, -0.08), foot_l=(0, -0.475, 0.08))  # fmt: skip


def tie_shoe(progress: float, seconds: float) -> Pose:
    """Down on the ground with both hands at one foot, and up again."""
    upright = stand(progress, 0.0)
    down = replace(upright, lean=68, turn=20, hand_r=(0.1, -0.27, 0), hand_l=(0.13, -0.26, 0), 
                   foot_r=(0.12, -0.25, -0.02), foot_l=(-0.17, -0.24, 0.02))  # fmt: skip
    busy = replace(down, lean=72, hand_r=(0.13, -0.26, 0), hand_l=(0.1, -0.28, 0))
    keys = [(0.0, upright), (0.3, down), (0.42, busy), (0.54, down), (0.66, busy), (0.75, down), (1.0, upright)]
    return interpolate(keys, progress)


def cheer(progress: float, seconds: float) -> Pose:
    """Glad about it: both fists up, knees springing."""
    spring = abs(np.sin(5.5 * seconds))
    return Pose(turn=70, hand_r=(0.03, 0.2 + 0.08 * spring, -0.13), hand_l=(0.03, 0.2 + 0.08 * spring, 0.13),
                foot_r=(0, -0.42 - 0.06 * spring, -0.06), foot_l=(0, -0.42 - 0.06 * spring, 0.06))  # fmt: skip


def golf_pose(arms: float, club: float, upright: float = 0.0) -> Pose:
    """A golfer facing the camera; `arms` and `club` are angles in the swing's plane, 0 at the ball, -90 right."""
    lean = 30 - 22 * upright
    knees = -0.452 - 0.025 * upright
    chest = np.array([0.29 * np.sin(np.radians(lean)), 0.025 - knees + 0.27 * np.cos(np.radians(lean)), 0.0])
    down, across = np.array([0.38, -0.925, 0.0]), np.array([0.0, 0.0, 1.0])
    arm, shaft = (np.cos(np.radians(a)) * down + np.sin(np.radians(a)) * across for a in (arms, club))
    grip = chest + (0.3 - 0.05 * abs(np.sin(np.radians(arms)))) * arm
    return Pose(turn=84, lean=lean, twist=-arms * 0.42, tilt=-3, foot_r=(0, knees, -0.1), foot_l=(0, knees, 0.1),
                grip=tuple(grip), width=0.035, shaft=tuple(shaft))  # fmt: skip


def golf_swing(progress: float, seconds: float) -> Pose:
    """Address, a waggle, backswing, downswing, follow-through; angles drive the hands, so the club draws its arc."""
    times = [0.0, 0.08, 0.16, 0.34, 0.46, 0.54, 0.6, 0.68, 0.76, 1.0]
    arms = np.interp(progress, times, [0, -9, 0, -85, -132, -60, 8, 85, 138, 142])
    club = np.interp(progress, times, [0, -14, 0, -120, -238, -150, 6, 120, 228, 238])
    return golf_pose(float(arms), float(club), upright=float(np.interp(progress, [0.6, 0.78], [0, 0.75])))


def golf_waggle(progress: float, seconds: float) -> Pose:
    """Standing at the ball, the club moving a little: what golfers do long before they swing."""
    return golf_pose(5 * np.sin(2.2 * seconds), 11 * np.sin(2.2 * seconds + 0.4), upright=0.25)


def lift_pose(hips: float, lean: float, bar: float, forward: float = 0.1, split: float = 0.0) -> Pose:
    """A lifter facing the camera, hips and bar at these heights; `split` puts one foot forward, one back."""
    return Pose(turn=80, lean=lean, grip=(forward, bar, 0.0), width=0.34,
                foot_r=(0.02 + split, 0.025 - hips, -0.07), foot_l=(0.02 - split, 0.025 - hips, 0.07))  # fmt: skip


BAR_ON_FLOOR = 0.125  # the plates' radius

LIFT = [
    (0.00, lift_pose(0.30, 50, BAR_ON_FLOOR, 0.16)),
    (0.07, lift_pose(0.27, 44, BAR_ON_FLOOR, 0.16)),
    (0.14, lift_pose(0.38, 44, 0.34)),
    (0.19, lift_pose(0.50, -6, 0.56)),
    (0.23, lift_pose(0.37, 0, 0.66)),
    (0.27, lift_pose(0.22, 8, 0.47, 0.11)),
    (0.33, lift_pose(0.22, 8, 0.46, 0.11)),
    (0.44, lift_pose(0.49, 0, 0.74, 0.11)),
    (0.55, lift_pose(0.50, 0, 0.75, 0.11)),
    (0.60, lift_pose(0.42, 0, 0.67, 0.11)),
    (0.65, lift_pose(0.44, 0, 1.02, 0.06, 0.14)),
    (0.68, lift_pose(0.40, 0, 1.00, 0.03, 0.2)),
    (0.74, lift_pose(0.40, 0, 1.00, 0.03, 0.2)),
    (0.82, lift_pose(0.50, 0, 1.10, 0.03)),
    (0.93, lift_pose(0.50, 0, 1.10, 0.03)),
    (0.97, lift_pose(0.49, 6, 0.70, 0.18)),
    (1.00, lift_pose(0.44, 20, 0.30, 0.2)),
]


def clean_and_jerk(progress: float, seconds: float) -> Pose:
    """From the floor to the shoulders, up, a dip, overhead with split feet, and down."""
    return interpolate(LIFT, progress)


RUN_UP = 2.7  # body heights before bar or line
TAKE_OFF = 0.58  # progress at which the jumper leaves the ground
FLIGHT = [
    (0.00, Pose(lift=0.49, pitch=-8, turn=-12, hand_r=(0.1, 0.25, 0), hand_l=(0.12, 0.2, 0), foot_r=(0.22, -0.3, 0))),
    (0.22, Pose(x=0.24, lift=0.98, pitch=-50, turn=-28, lean=-8, hand_r=(0.05, 0.28, 0), hand_l=(-0.05, -0.25, 0.1),
                foot_r=(0.16, -0.36, 0), foot_l=(0.05, -0.44, 0))),
    (0.40, Pose(x=0.46, lift=1.22, pitch=-92, turn=-32, lean=-30, hand_r=(-0.05, -0.28, -0.1),
                hand_l=(-0.05, -0.28, 0.1), foot_r=(-0.2, -0.3, -0.03), foot_l=(-0.2, -0.3, 0.03))),
    (0.58, Pose(x=0.68, lift=1.02, pitch=-112, turn=-28, lean=5, hand_r=(0.12, -0.2, -0.15), hand_l=(0.12, -0.2, 0.15),
                foot_r=(0.32, -0.3, -0.03), foot_l=(0.3, -0.32, 0.03))),
    (0.74, Pose(x=0.84, lift=0.42, pitch=-105, turn=-20, lean=14, hand_r=(0.1, 0.1, -0.25), hand_l=(0.1, 0.1, 0.25),
                foot_r=(0.4, -0.1, -0.05), foot_l=(0.38, -0.14, 0.05))),
    (0.84, Pose(x=0.88, lift=0.36, pitch=-96, turn=-16, lean=10, hand_r=(0.1, 0.1, -0.25), hand_l=(0.1, 0.1, 0.25),
                foot_r=(0.3, -0.26, -0.05), foot_l=(0.27, -0.3, 0.05))),
    (1.00, Pose(x=0.9, lift=0.37, pitch=-84, turn=-14, lean=12, hand_r=(0.12, 0.02, -0.2), hand_l=(0.12, 0.02, 0.2),
                foot_r=(0.22, -0.36, -0.05), foot_l=(0.2, -0.38, 0.05))),
]  # fmt: skip


def high_jump(progress: float, seconds: float) -> Pose:
    """Run-up, take-off, over the bar on the back, down onto the mat."""
    covered = RUN_UP * min(progress / TAKE_OFF, 1.0)
    run = replace(gait(covered, 0.98, 0.24, 0.2, 0.19), lean=14.0, lift=0.48 + 0.03 * abs(np.sin(6.2 * covered)))
    flight = interpolate(FLIGHT, (progress - TAKE_OFF) / (1 - TAKE_OFF))
    return travelling(mix(run, flight, (progress - TAKE_OFF + 0.06) / 0.06), covered)


RELEASE = 0.74  # progress at which the javelin leaves the hand
CARRY = Pose(turn=-10, lean=4, hand_r=(-0.02, 0.12, -0.05), hand_l=(0.12, -0.22, 0), shaft=(1, 0.12, 0))
THROW = [
    (0.50, replace(CARRY, twist=-15)),
    (0.60, replace(CARRY, turn=15, twist=-40, lean=-12, hand_r=(-0.3, 0.02, -0.05), hand_l=(0.26, 0.05, 0.05),
                   shaft=(0.93, 0.37, 0), foot_r=(-0.02, -0.45, 0), foot_l=(0.2, -0.42, 0))),
    (0.68, replace(CARRY, turn=15, twist=-35, lean=-24, hand_r=(-0.31, 0.03, -0.05), hand_l=(0.28, 0.1, 0.05),
                   shaft=(0.87, 0.5, 0), foot_r=(-0.2, -0.40, 0), foot_l=(0.33, -0.37, 0))),
    (0.72, replace(CARRY, turn=5, twist=10, lean=0, hand_r=(-0.05, 0.29, -0.05), hand_l=(0.1, -0.2, 0.1),
                   shaft=(0.8, 0.6, 0), foot_r=(-0.26, -0.38, 0), foot_l=(0.24, -0.42, 0))),
    (0.76, replace(CARRY, turn=-10, twist=35, lean=30, hand_r=(0.27, 0.1, 0), hand_l=(-0.05, -0.25, 0.1),
                   foot_r=(-0.22, -0.38, 0), foot_l=(0.16, -0.44, 0))),
    (0.82, replace(CARRY, turn=-15, twist=40, lean=48, hand_r=(0.2, -0.22, 0.05), hand_l=(-0.18, -0.18, 0.1),
                   foot_r=(0.12, -0.33, 0), foot_l=(-0.02, -0.45, 0))),
    (0.90, replace(CARRY, turn=-10, twist=20, lean=34, hand_r=(0.12, -0.28, 0.05), hand_l=(-0.16, -0.2, 0.1),
                   foot_r=(0.22, -0.42, 0), foot_l=(-0.3, -0.26, 0))),
    (1.00, replace(CARRY, turn=0, lean=14, hand_r=(0.08, -0.29, 0), hand_l=(-0.05, -0.28, 0.05),
                   foot_r=(0.08, -0.46, 0), foot_l=(-0.18, -0.42, 0))),
]  # fmt: skip


def javelin_throw(progress: float, seconds: float) -> Pose:
    """Run-up with the javelin over the shoulder, drawn back, thrown over the top, a step to catch oneself."""
    covered = RUN_UP * float(np.interp(progress, [0, 0.58, 0.7, 0.84, 1], [0, 0.78, 0.9, 1.0, 1.03]))
    legs = gait(covered, 0.98, 0.23, 0.19, 0.16)
    run = replace(legs, turn=-6.0, lean=6.0, lift=0.48 + 0.025 * abs(np.sin(6.2 * covered)),
                  hand_r=CARRY.hand_r, shaft=CARRY.shaft)  # fmt: skip
    return travelling(mix(run, interpolate(THROW, progress), (progress - 0.5) / 0.09), covered)


def lying(progress: float, seconds: float) -> Pose:
    """On the mat after the jump, for a moment, then up."""
    fallen, sitting = FLIGHT[-1][1], Pose(lift=0.38, turn=30, lean=-8, hand_r=(-0.08, -0.26, -0.08),
                                          hand_l=(-0.08, -0.26, 0.08), foot_r=(0.4, -0.12, -0.05),
                                          foot_l=(0.42, -0.1, 0.05))  # fmt: skip
    return replace(interpolate([(0.0, fallen), (0.25, fallen), (0.7, sitting), (1.0, sitting)], progress), x=0.0)


def carry_javelin(progress: float, seconds: float) -> Pose:
    """Waiting with the javelin upright in the right hand."""
    return replace(stand(progress, seconds), hand_r=(0.16, -0.16, -0.04), shaft=(0.05, 1.0, 0.03))


def hold_club(progress: float, seconds: float) -> Pose:
    """Waiting with a hand on the club."""
    return replace(stand(progress, seconds), hand_r=(0.1, -0.27, -0.08), shaft=(0.25, -0.95, -0.15))


ACTS = {
    "GolfSwing": Act(golf_swing, (2.2, 3.0), 0.0, 0.0, hold_club(0, 0)),
    "CleanAndJerk": Act(clean_and_jerk, (4.0, 5.2), 0.0, 0.0, hands_on_hips(0, 0)),
    "HighJump": Act(high_jump, (2.8, 3.6), -RUN_UP - 0.35, 0.55, stand(0, 0)),
    "JavelinThrow": Act(javelin_throw, (2.8, 3.6), -RUN_UP, 0.0, carry_javelin(0, 0)),
}

IDLE: dict[str, Motion] = {
    "walk": walk, "stand": stand, "hands_on_hips": hands_on_hips, "stretch": stretch, "tie_shoe": tie_shoe,
    "cheer": cheer, "lying": lying, "carry_javelin": carry_javelin, "hold_club": hold_club, "golf_waggle": golf_waggle,
}  # fmt: skip
