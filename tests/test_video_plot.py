"""Pictures of a video are drawn for the ordinary and for the empty case; what they show was looked at by eye."""

import cv2
import numpy as np

from plusmv.core.annotations import Instance
from plusmv.wsal.video_plot import Section, axis_end, plot_video

SECONDS = np.stack([np.arange(20) * 0.64, np.arange(1, 21) * 0.64], axis=1)
ATTENTION = np.clip(np.sin(np.arange(20) / 3), 0, 1)
PANELS = {"attention λ": {"rgb": ATTENTION, "flow": ATTENTION**2}, "T-CAM rgb": {"GolfSwing": ATTENTION * 3}}
FOUND = [Instance("GolfSwing", 1.0, 5.0, 2.0), Instance("GolfSwing", 0.0, 12.8, -0.5)]


def drawn(path) -> np.ndarray:
    picture = cv2.imread(str(path))
    assert picture.shape[1] > 900
    return picture


def blue_in(picture: np.ndarray) -> int:
    """Pixels of a detection's bar in the lowest quarter."""
    blue = (picture[..., 0] > 180) & (picture[..., 2] < 90)
    return int(blue[picture.shape[0] * 3 // 4 :].sum())


def test_a_video_with_and_without_detections(tmp_path):
    plot_video(tmp_path / "full.png", "v", SECONDS, [Section(PANELS, FOUND)], [Instance("GolfSwing", 1.5, 5.5)])
    plot_video(tmp_path / "empty.png", "v", SECONDS[:1], [Section({"attention λ": {"rgb": ATTENTION[:1]}}, [])])
    full, empty = drawn(tmp_path / "full.png"), drawn(tmp_path / "empty.png")
    assert full.shape[0] > empty.shape[0]
    assert blue_in(full) > 1000


def test_two_runs_stand_one_above_the_other_with_proposals_and_frames(tmp_path):
    one = Section(PANELS, FOUND, [(1.0, 5.0, 0.1), (0.0, 12.8, 0.0)], "run one")
    frames = [np.full((40, 60, 3), shade, np.uint8) for shade in (50, 150, 250)]
    plot_video(tmp_path / "one.png", "v", SECONDS, [one])
    plot_video(tmp_path / "two.png", "v", SECONDS, [one, Section(PANELS, FOUND[:1], name="run two")], (), frames)
    assert drawn(tmp_path / "two.png").shape[0] > 1.6 * drawn(tmp_path / "one.png").shape[0]


def test_truth_far_past_the_end_does_not_squeeze_the_video():
    assert axis_end(SECONDS, [], []) == 20 * 0.64
    assert axis_end(SECONDS, [], [Instance("GolfSwing", 12.0, 13.0)]) == 13.0
    assert axis_end(SECONDS, [], [Instance("GolfSwing", 12.0, 99.0)]) < 14.0
