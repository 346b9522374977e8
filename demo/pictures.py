"""The pictures of the demo's report, each as a data URI: matplotlib figures as PNG, video frames as JPEG."""

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np

from plusmv.core.annotations import AnnotatedVideo
from plusmv.demo.filming import read_video
from plusmv.demo.shots import FPS

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.typing import RcKeyType

COLOURS = {"without": "#5b6b7b", "+MV": "#d9622b"}
STYLE: dict[RcKeyType, Any] = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e8e8e8",
    "axes.axisbelow": True, "legend.frameon": False, "axes.titlelocation": "left", "axes.titleweight": "bold",
}  # fmt: skip
Rows = Sequence[Mapping[str, str]]


def png(path: Path) -> str:
    """A PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def jpeg(picture: np.ndarray) -> str:
    """A (H, W, 3) uint8 RGB picture as a data URI."""
    encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def frames_at(path: Path, seconds: Sequence[float]) -> list[np.ndarray]:
    """The frames of a rendered video shown at these times."""
    frames = list(read_video(path))
    return [frames[min(int(moment * FPS + 0.5), len(frames) - 1)] for moment in seconds]


def instance_strip(path: Path, video: AnnotatedVideo, count: int = 4, width: int = 280) -> np.ndarray:
    """A video's first instance in `count` frames side by side, after a pale one of the wait before it."""
    first = video.instances[0]
    inside = np.linspace(first.start + 0.08, first.end - 0.15, count).tolist()
    frames = frames_at(path, [first.start / 2, *inside])
    small = [cv2.resize(frame, (width, round(width * 0.753)), interpolation=cv2.INTER_AREA) for frame in frames]
    small[0] = (0.55 * small[0] + 0.45 * 255).astype(np.uint8)
    return np.hstack(small)


def map_figure(evaluations: Mapping[str, Sequence[Mapping]], label: str) -> str:
    """mAP over tIoU: a line for the mean of each arm, its sd as a band, and a dot for every seed."""
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
        for arm, answers in evaluations.items():
            tious, values = answers[0]["tiou"], 100 * np.array([answer["mAP"] for answer in answers])
            mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1) if len(values) > 1 else 0
            axis.plot(tious, mean, color=COLOURS[arm], linewidth=2, label=f"{arm}, mean of {len(values)} seeds")
            axis.fill_between(tious, mean - spread, mean + spread, color=COLOURS[arm], alpha=0.15, linewidth=0)
            axis.plot(tious, values.T, ".", color=COLOURS[arm], markersize=4, alpha=0.7)
        axis.set(xlabel="tIoU", ylabel="mAP in %", ylim=(0, None), title=f"mAP on {label}; bands are ± 1 sd")
        axis.legend()
        return _uri(figure)


def curves_figure(runs: Mapping[str, Path], label: str) -> str:
    """Loss terms and attention over the steps: a column for each run and stream, from what `plusmv train` wrote."""
    columns = [(arm, stream, rows) for arm, path in runs.items() for stream, rows in _by_stream(path).items()]
    with plt.rc_context(STYLE):
        size = (3.4 * len(columns) + 1.4, 4.8)
        figure, axes = plt.subplots(
            2, len(columns), sharex=True, sharey="row", squeeze=False, figsize=size, layout="constrained"
        )
        for (above, below), (arm, stream, rows) in zip(axes.T, columns, strict=True):
            steps = _column(rows, "step")
            for term in ("loss", "fg", "bg", "guide", "cluster"):
                if rows[0].get(term):
                    thick = 2 if term == "loss" else 1.2
                    above.plot(steps, _column(rows, term), label=term, linewidth=thick)
            low, high = _column(rows, "attention_q10"), _column(rows, "attention_q90")
            below.fill_between(steps, low, high, color=COLOURS[arm], alpha=0.2, linewidth=0, label="10 to 90 %")
            below.plot(steps, _column(rows, "attention_mean"), color=COLOURS[arm], linewidth=2, label="mean")
            above.set(title=f"{arm}: {stream}", ylim=(0, None))
            below.set(xlabel="step", ylim=(0, 1))
        axes[0, 0].set_ylabel("loss and its weighted terms")
        axes[1, 0].set_ylabel("attention over snippets")
        for axis in axes[:, -1]:
            axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
        figure.suptitle(f"Training on {label}", x=0.01, ha="left", fontsize=10)
        return _uri(figure)


def _by_stream(path: Path) -> dict[str, Rows]:
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        stream: [row for row in rows if row["stream"] == stream] for stream in dict.fromkeys(r["stream"] for r in rows)
    }


def _column(rows: Rows, name: str) -> list[float]:
    return [float(row[name]) for row in rows]


def _uri(figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=130, format="png")
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
