"""What Kinetics-400 class a video shows, by the I3D RGB network's own classifier.

The logits are one matrix product on the pooled feature, so features made with the Kinetics weights can be classified
without a second pass over the video.
"""

import csv
import io
import itertools
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict

import numpy as np

from plusmv.core.errors import BadInput
from plusmv.core.workspace import write_bytes
from plusmv.features.decode import DEFAULT_LIMITS, DecodeLimits
from plusmv.features.feature_files import VideoFeatures
from plusmv.features.recipe import Recipe
from plusmv.features.weights import last_layer, load, weights_path
from plusmv.features.windows import centre_crop, pictures

with open(Path(__file__).with_name("kinetics400.csv"), encoding="utf-8", newline="") as _file:
    KINETICS_CLASSES = tuple(row["name"] for row in csv.DictReader(_file))

PASS_FRAMES = 512  # 20 s in one pass take 1.7 GB in bfloat16; a longer video takes several passes
SHORTEST = 16  # frames; a shorter video is filled with its last


@dataclass(frozen=True)
class ClassScore:
    """One class of a video: softmax over the 400 classes, and the raw logit."""

    name: str
    probability: float
    logit: float


@dataclass(frozen=True)
class Classification:
    """The best classes of a video, best first, and how it was looked at."""

    frames: int
    passes: int  # 1: the whole video in one pass; more: their pooled positions averaged
    classes: tuple[ClassScore, ...]


class ClassEntry(TypedDict):
    name: str
    probability: float
    logit: float


class ClassifyResult(TypedDict):
    """The JSON of `plusmv classify`."""

    video: str
    frames: int
    passes: int
    classes: list[ClassEntry]  # best first


def classify_result(video: Path, found: Classification) -> ClassifyResult:
    """A classification as JSON."""
    classes: list[ClassEntry] = [
        {"name": score.name, "probability": score.probability, "logit": score.logit} for score in found.classes
    ]
    return {"video": str(video), "frames": found.frames, "passes": found.passes, "classes": classes}


def kinetics_logits(pooled: np.ndarray) -> np.ndarray:
    """Pooled RGB features (..., 1024) -> Kinetics-400 logits (..., 400). Raises Missing without the RGB weights."""
    weight, bias = _classifier(weights_path("rgb"))
    return pooled @ weight.T + bias


def classify_video(path: Path, top: int = 5, limits: DecodeLimits = DEFAULT_LIMITS) -> Classification:
    """The top classes of the whole video (25 fps, centre crop). Raises BadInput or Missing.

    One pass for up to 512 frames. A longer video is cut into passes of 512, and the classifier sees the mean over all
    their pooled positions: the same up to the cuts, where a pass does not see beyond its ends.
    """
    from plusmv.features.i3d import build, feature  # torch: 1.6 s that the labeler and `rank` need not wait for

    network = build(load("rgb").tensors)
    recipe = Recipe()
    crops = (centre_crop(picture, recipe.crop).copy() for picture in pictures(path, recipe, limits))
    total, positions, frames, passes = np.zeros(0), 0, 0, 0
    while held := list(itertools.islice(crops, PASS_FRAMES)):
        frames += len(held)
        if passes and len(held) < SHORTEST:
            break  # less than a snippet is left of a long video
        passes += 1
        features = feature(network, np.stack(held + held[-1:] * (SHORTEST - len(held))))  # (T', 1024)
        total = total + features.sum(axis=0) if positions else features.sum(axis=0)
        positions += len(features)
    logits = kinetics_logits(total / positions)
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    best = np.argsort(-logits, kind="stable")[:top]
    scores = (ClassScore(KINETICS_CLASSES[i], float(probabilities[i]), float(logits[i])) for i in best)
    return Classification(frames, passes, tuple(scores))


def write_snippet_classes(path: Path, features: VideoFeatures, top: int, weights: str = "rgb") -> None:
    """Write the top classes of each snippet as CSV, by one matrix product on stored features.

    Columns: snippet, start and end (seconds), rank, class, probability (softmax over the 400), logit. Raises BadInput
    for features of other weights, or without RGB.
    """
    used = load(weights)
    if "rgb" not in features.streams or features.weights.get("rgb") != used.label:
        raise BadInput(f"the features of {features.id} have no RGB stream made with the weights {weights}")
    weight, bias = last_layer(used)
    if len(bias) != len(KINETICS_CLASSES):
        raise BadInput(f"the weights {weights} have {len(bias)} classes, not Kinetics-400's")
    logits = features.streams["rgb"] @ weight.T + bias
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("snippet", "start", "end", "rank", "class", "probability", "logit"))
    for index, (start, end) in enumerate(features.seconds()):
        for rank, best in enumerate(np.argsort(-logits[index], kind="stable")[:top], start=1):
            numbers = (f"{probabilities[index, best]:.6f}", f"{logits[index, best]:.4f}")
            rows.writerow((index, f"{start:.3f}", f"{end:.3f}", rank, KINETICS_CLASSES[best], *numbers))
    write_bytes(path, text.getvalue().encode())


@cache
def _classifier(_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The RGB network's last layer; by file, as PLUSMV_WEIGHTS may change."""
    return last_layer(load("rgb"))
