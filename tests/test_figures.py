"""demo.figures and demo.motions: limbs keep their lengths, feet stay above the ground, splines pass their keys."""

from itertools import pairwise

import numpy as np
import pytest

from plusmv.demo.figures import (
    ANKLE,
    FOREARM,
    SHIN,
    THIGH,
    UPPER_ARM,
    Camera,
    Look,
    Pose,
    bend,
    draw_figure,
    interpolate,
    skeleton,
)
from plusmv.demo.motions import ACTS, IDLE

MOTIONS = {name: act.motion for name, act in ACTS.items()} | IDLE
BONES = (("hip", "knee", THIGH), ("knee", "ankle", SHIN), ("shoulder", "elbow", UPPER_ARM), ("elbow", "hand", FOREARM))
LOOK = Look((214, 162, 120), (44, 34, 30), (206, 58, 54), (44, 84, 160), (240, 240, 240))


@pytest.mark.parametrize("name", MOTIONS)
def test_limbs_keep_their_lengths_and_feet_stay_above_the_ground(name):
    for progress in np.linspace(0, 1, 21):
        joints = skeleton(MOTIONS[name](progress, 3 * progress), at=1.5, depth=-0.3)
        for side in "rl":
            for start, end, length in BONES:
                bone = joints[f"{start}_{side}"] - joints[f"{end}_{side}"]
                assert np.linalg.norm(bone) == pytest.approx(length, abs=1e-6)
            assert joints[f"ankle_{side}"][1] >= ANKLE - 1e-6


@pytest.mark.parametrize("name", ACTS)
def test_motions_are_smooth(name):
    """No joint jumps: between frames of a 3-second instance nothing moves faster than 14 body heights a second."""
    frames = [skeleton(ACTS[name].motion(k / 74, k / 25), 0.0) for k in range(75)]
    steps = [np.linalg.norm(b[joint] - a[joint]) * 25 for a, b in pairwise(frames) for joint in a]
    assert max(steps) < 14


def test_the_high_jumper_passes_over_the_bar():
    """At the bar's place (stage x 0.1, height 1.12) the hips are above it."""
    jump = ACTS["HighJump"]
    hips = [skeleton(jump.motion(u, 3 * u), jump.start)["hips"] for u in np.linspace(0, 1, 200)]
    crossing = next(hip for hip in hips if hip[0] >= 0.1)
    assert crossing[1] > 1.12


def test_bend_reaches_the_target_towards_the_pole():
    root, target, pole = np.array([0.0, 1.0, 0.0]), np.array([0.2, 0.75, 0.1]), np.array([1.0, 0.0, 0.0])
    joint, end = bend(root, target, 0.25, 0.245, pole)
    np.testing.assert_allclose(end, target, atol=1e-9)
    assert joint[0] > (root[0] + target[0]) / 2


def test_splines_pass_through_their_keys_and_hold_beyond():
    keys = [(0.0, Pose(lean=0)), (0.3, Pose(lean=40)), (1.0, Pose(lean=-10))]
    assert [round(interpolate(keys, time).lean, 9) for time in (-1, 0, 0.3, 1, 2)] == [0, 0, 40, -10, -10]


def test_a_figure_is_drawn_where_the_camera_says():
    picture = np.full((256, 340, 3), 200, np.uint8)
    draw_figure(picture, Camera(0.0, 120, 220, 170), skeleton(Pose(), 0.5), LOOK)
    rows, columns = np.nonzero((picture != 200).any(axis=2))
    assert abs(np.median(columns) - (170 + 0.5 * 120)) < 6
    assert 100 < rows.min() < 115 and 215 < rows.max() < 235
