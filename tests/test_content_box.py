"""content_box: borders and bars of every kind are cut off, and nothing of a picture that only looks like one."""

import cv2
import numpy as np
import pytest

from plusmv.curate.duplicates.content_box import content_box
from tests.moving_scenes import HEIGHT, WIDTH, framed, scene


def box_of(frames):
    """content_box as rows and columns of RGB frames."""
    rows, columns = content_box(np.stack([cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames]), frames[0])
    return (rows.start, rows.stop), (columns.start, columns.stop)


def detailed(seconds=0.5):
    """A moving scene with fine detail, as real pictures have."""
    grain = np.random.default_rng(0).normal(0, 14, (HEIGHT, WIDTH, 1))
    return [np.clip(frame + grain, 0, 255).astype(np.uint8) for frame in scene(1, 1, seconds)]


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 0, 255)])
def test_borders_of_any_colour(colour):
    frames = [framed(frame, 12, 16, colour) for frame in scene(1, 1, 0.5)]
    assert box_of(frames) == ((13, 131), (17, 175))


def test_blurred_bars_around_the_clip_itself():
    frames = []
    for frame in detailed():
        tall = cv2.GaussianBlur(cv2.resize(frame, None, fx=2.4, fy=2.4)[:284, 112:272], (0, 0), 8)
        tall[82:202] = frame
        frames.append(tall)
    (top, bottom), columns = box_of(frames)
    assert abs(top - 82) <= 2 and abs(bottom - 202) <= 2 and columns == (0, WIDTH)


def test_a_soft_foreground_and_sky_are_no_bars():
    frames = detailed()
    for frame in frames:
        frame[:30], frame[-30:] = cv2.GaussianBlur(frame, (0, 0), 9)[:30], cv2.GaussianBlur(frame, (0, 0), 9)[-30:]
        frame[25:35] = cv2.GaussianBlur(frame, (0, 0), 4)[25:35]
        frame[-35:-25] = cv2.GaussianBlur(frame, (0, 0), 4)[-35:-25]
    assert box_of(frames) == ((0, HEIGHT), (0, WIDTH))


def test_somebody_before_a_plain_wall_keeps_the_wall():
    frames = [np.full((HEIGHT, WIDTH, 3), 200, np.uint8) for _ in range(8)]
    for number, frame in enumerate(frames):
        cv2.circle(frame, (80 + number, 60), 30, (40, 60, 90), -1)
        cv2.circle(frame, (70 + number, 55), 8, (250, 60, 90), -1)
    assert box_of(frames) == ((0, HEIGHT), (0, WIDTH))
