"""Pictures are drawn for the ordinary and for the empty case; what they show was looked at by eye."""

import cv2
import numpy as np

from core.annotations import Instance
from wsal.curves import read_curves
from wsal.plots import axis_end, plot_curves, plot_video

SECONDS = np.stack([np.arange(20) * 0.64, np.arange(1, 21) * 0.64], axis=1)


def drawn(path) -> np.ndarray:
    picture = cv2.imread(str(path))
    assert picture.shape[1] > 900
    return picture


def test_a_video_with_and_without_detections(tmp_path):
    attention = np.clip(np.sin(np.arange(20) / 3), 0, 1)
    panels = {"attention λ": {"rgb": attention, "flow": attention**2}, "λ × T-CAM": {"GolfSwing": attention * 3}}
    detections = [Instance("GolfSwing", 1.0, 5.0, 2.0), Instance("GolfSwing", 0.0, 12.8, -0.5)]
    plot_video(tmp_path / "full.png", "v", SECONDS, panels, detections, [Instance("GolfSwing", 1.5, 5.5)])
    plot_video(tmp_path / "empty.png", "v", SECONDS[:1], {"attention λ": {"rgb": attention[:1]}}, [])
    full, empty = drawn(tmp_path / "full.png"), drawn(tmp_path / "empty.png")
    assert full.shape[0] > empty.shape[0]
    blue = (full[..., 0] > 180) & (full[..., 2] < 90)
    assert blue[full.shape[0] * 3 // 4 :].sum() > 1000  # the detection's bar


def test_truth_far_past_the_end_does_not_squeeze_the_video():
    assert axis_end(SECONDS, [], []) == 20 * 0.64
    assert axis_end(SECONDS, [], [Instance("GolfSwing", 12.0, 13.0)]) == 13.0
    assert axis_end(SECONDS, [], [Instance("GolfSwing", 12.0, 99.0)]) < 14.0


def test_curves_of_both_streams(tmp_path):
    lines = ["stream,step,loss,fg,bg,guide,cluster,sparsity,attention_mean,attention_q10,attention_q50,attention_q90"]
    lines += [
        f"{stream},{step},{2 / step},{1 / step},0.1,,,,0.4,0.1,0.4,0.8" for stream in ("rgb", "flow") for step in (1, 2)
    ]
    (tmp_path / "curves.csv").write_text("\n".join(lines))
    rows = read_curves(tmp_path / "curves.csv")
    assert "guide" not in rows[0]
    plot_curves(tmp_path / "curves.png", "bm", rows)
    assert drawn(tmp_path / "curves.png").std() > 5
