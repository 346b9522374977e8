"""From features and trained runs to the picture of a video: what `plusmv plot` and the diagnosis page draw."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from plusmv.core.annotations import Instance
from plusmv.features.decode import sample_frames
from plusmv.features.feature_files import VideoFeatures
from plusmv.wsal.checkpoints import Checkpoint
from plusmv.wsal.detect import DetectionSettings, detect_video, read_video
from plusmv.wsal.detection_runs import picture_part
from plusmv.wsal.video_plot import plot_video

FRAMES = 10  # pictures above the curves


def film_frames(path: Path, seconds: float, count: int = FRAMES) -> list[np.ndarray]:
    """`count` pictures at even distances through a film of so many seconds. Raises BadInput for what is no video."""
    apart = max(seconds, 0.1) / count / 2  # every second one stands in the middle of its share
    return list(islice(sample_frames(path, fps=1 / apart, short_side=96), 1, 2 * count, 2))


def plot_features(
    path: Path,
    features: VideoFeatures,
    trained: Mapping[str, Checkpoint],
    settings: DetectionSettings,
    truth: Sequence[Instance] = (),
    frames: Sequence[np.ndarray] = (),
) -> dict[str, int]:
    """Draw what each run sees in one video's features, one above the other. Returns how many detections each has."""
    parts, counts = [], {}
    labels = list(dict.fromkeys(instance.label for instance in truth))
    for name, run in trained.items():
        readout = read_video(run, features)
        detections = detect_video(readout, run.classes, settings)
        counts[name] = len(detections)
        parts.append(picture_part(readout, run.classes, settings, detections, f"run {name}", labels))
    made = features.notes.get("simulated") or features.recipe or ""
    title = features.id + (" (simulated features)" if "simulated" in features.notes or "simulated" in made else "")
    plot_video(path, title, features.seconds(), parts, truth, frames)
    return counts
