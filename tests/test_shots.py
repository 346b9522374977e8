"""demo.shots: a script fills its video exactly, and its labelled shots are the known segments."""

import numpy as np
import pytest

from plusmv.demo.motions import ACTS
from plusmv.demo.shots import FPS, SHORTEST_GAP, plan_shots, segments


@pytest.mark.parametrize("action", ACTS)
@pytest.mark.parametrize("seed", range(5))
def test_shots_fill_the_video_and_segments_are_instances(action, seed):
    rng = np.random.default_rng(seed)
    frames = int(rng.integers(300, 450))
    shots = plan_shots(rng, action, frames, 3)
    assert sum(shot.frames for shot in shots) == frames
    assert min(shot.frames for shot in shots) > 0
    found = segments(shots)
    assert 1 <= len(found) <= 3
    shortest, longest = ACTS[action].seconds
    assert all(shortest - 0.05 <= end - start <= longest + 0.05 for start, end in found)
    edges = [0.0, *(edge for segment in found for edge in segment), frames / FPS]
    gaps = [after - before for before, after in zip(edges[::2], edges[1::2], strict=True)]
    assert min(gaps) >= SHORTEST_GAP / FPS - 1e-9


def test_instances_that_do_not_fit_are_left_out():
    shots = plan_shots(np.random.default_rng(0), "CleanAndJerk", 7 * FPS, 5)
    assert len(segments(shots)) == 1


def test_the_first_shot_begins_a_camera_position_and_an_empty_scene_has_no_instance():
    for empty in (False, True):
        shots = plan_shots(np.random.default_rng(1), "HighJump", 160, 0, empty)
        assert segments(shots) == ()
        assert empty or shots[0].cut
