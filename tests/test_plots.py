"""Curves are drawn for both streams; what the picture shows was looked at by eye."""

from plusmv.wsal.curves import read_curves
from plusmv.wsal.plots import plot_curves
from tests.test_video_plot import drawn


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
