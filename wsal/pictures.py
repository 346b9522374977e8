"""From features and trained runs to the picture of a video, for `plusmv plot` and the diagnosis page."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from plusmv.core.annotations import Instance
from plusmv.features.decode import sample_frames
from plusmv.features.feature_files import VideoFeatures
from plusmv.wsal.checkpoints import Checkpoint
from plusmv.wsal.detect import DetectionSettings, detect_video, read_video
from plusmv.wsal.detection_runs import plot_section
from plusmv.wsal.video_plot import plot_video

FRAMES = 10  # above the curves


def film_frames(path: Path, seconds: float, count: int = FRAMES) -> list[np.ndarray]:
    """`count` evenly spaced frames of a video file of this duration. Raises BadInput for a file that is not a video."""
    interval = max(seconds, 0.1) / count / 2  # every other frame is the middle of its share
    return list(islice(sample_frames(path, fps=1 / interval, short_side=96), 1, 2 * count, 2))


def plot_features(
    path: Path,
    features: VideoFeatures,
    trained: Mapping[str, Checkpoint],
    settings: DetectionSettings,
    truth: Sequence[Instance] = (),
    frames: Sequence[np.ndarray] = (),
) -> dict[str, int]:
    """Draw the outputs of each run for one video's features, one below the other. Returns detections per run."""
    sections, counts = [], {}
    labels = list(dict.fromkeys(instance.label for instance in truth))
    for name, run in trained.items():
        readout = read_video(run, features)
        detections = detect_video(readout, run.classes, settings)
        counts[name] = len(detections)
        sections.append(plot_section(readout, run.classes, settings, detections, f"run {name}", labels))
    origin = features.notes.get("simulated") or features.recipe or ""
    title = features.id + (" (simulated features)" if "simulated" in features.notes or "simulated" in origin else "")
    plot_video(path, title, features.seconds(), sections, truth, frames)
    return counts
