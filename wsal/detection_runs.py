"""Detection over many videos' features, or in one video file from its pixels; what `plusmv detect` does."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np

from plusmv.core.annotations import AnnotatedVideo, DetectionEntry, Instance, detections_json, unannotated
from plusmv.core.errors import BadInput, Missing
from plusmv.core.outcome import Ended
from plusmv.core.workspace import write_bytes
from plusmv.features.cut_short import CutShort
from plusmv.features.feature_files import VideoFeatures, list_features
from plusmv.features.recipe import Recipe
from plusmv.wsal import kinetics
from plusmv.wsal.checkpoints import Checkpoint
from plusmv.wsal.detect import (
    DetectionSettings,
    DetectionSettingsEntry,
    VideoReadout,
    check_recipe,
    class_proposals,
    detect_video,
    label_scores,
    read_video,
)
from plusmv.wsal.feature_source import FeatureSource
from plusmv.wsal.video_plot import Section


class DetectionFacts(TypedDict):
    """What detections were made with, for their file."""

    features: dict[str, str]  # stream -> the networks that made its features
    fingerprint: NotRequired[str]  # of the trained run; this and the next two are absent where there is none
    training: NotRequired[dict[str, Any]]  # its settings, see wsal.settings
    detection: NotRequired[DetectionSettingsEntry]
    video_probability: NotRequired[dict[str, float]]  # action -> of the whole video, with --classifier
    videos: NotRequired[int]  # read, where features were
    left_out: NotRequired[dict[str, str]]  # video -> why it was not read
    done: NotRequired[int]  # videos read
    skipped: NotRequired[int]
    failed: NotRequired[int]  # left out
    made_with: NotRequired[str]  # of a video file's detections, in words
    cut_short: NotRequired[CutShort]  # what is there of a video file that was cut short
    plot: NotRequired[str]  # path of the video file's picture


class DetectResult(TypedDict):
    """What `plusmv detect --json` prints and writes as detections.json."""

    version: str
    external_data: DetectionFacts
    results: dict[str, list[DetectionEntry]]  # video id -> by decreasing score


class ScoreRow(TypedDict):
    """A row of the CSV of `plusmv detect --scores`."""

    id: str  # of the video
    label: str
    score: float  # mean of the top-3 T-CAM


class ScoresResult(Ended):
    """What `plusmv detect --scores FILE --json` prints."""

    videos: int
    left_out: dict[str, str]  # video -> why it has no scores
    rows: int
    out: str


@dataclass(frozen=True)
class VideoDetections:
    """Detections in one video file by decreasing score, and what its picture needs."""

    detections: list[Instance]
    seconds: np.ndarray  # (T, 2)
    section: Section  # of the picture
    made_with: str
    facts: DetectionFacts


def ended(readouts: Mapping[str, VideoReadout], left_out: Mapping[str, str]) -> Ended:
    """The videos as done (read) and failed (left out)."""
    return {"done": len(readouts), "skipped": 0, "failed": len(left_out)}


def every_video(source: FeatureSource) -> dict[str, AnnotatedVideo]:
    """Each video that has features, without labels."""
    return {name: unannotated(name) for name in sorted(list_features(source.folders))}


def read_videos(
    trained: Checkpoint, source: FeatureSource, videos: Iterable[AnnotatedVideo], allow_mixed_recipes: bool = False
) -> tuple[dict[str, VideoReadout], dict[str, str]]:
    """Readouts of the videos with usable features, one video in memory at a time, and {id: reason} of the others.

    Raises Refused for features of another recipe than the training's, Missing if none is usable.
    """
    readouts: dict[str, VideoReadout] = {}
    left_out: dict[str, str] = {}
    for video in videos:
        usable, reasons = source.read_all([video])
        left_out |= reasons
        for features in usable.values():
            if not allow_mixed_recipes:
                check_recipe(trained, features)
            try:
                readouts[video.id] = read_video(trained, features)
            except BadInput as error:  # a stream is missing or has another width
                left_out[video.id] = str(error)
    if not readouts:
        raise Missing(f"no video has usable features: {next(iter(left_out.values()), 'the list of videos is empty')}")
    return readouts, left_out


def detect_all(
    trained: Checkpoint, readouts: Mapping[str, VideoReadout], settings: DetectionSettings
) -> dict[str, list[Instance]]:
    """Detections of each video by decreasing score."""
    return {video: detect_video(readout, trained.classes, settings) for video, readout in readouts.items()}


def detect_result(detections: Mapping[str, Iterable[Instance]], facts: DetectionFacts) -> DetectResult:
    """A detection file's content."""
    file = detections_json(detections)
    return {"version": file["version"], "external_data": facts, "results": file["results"]}


def detection_facts(trained: Checkpoint, settings: DetectionSettings) -> DetectionFacts:
    """What a trained run's detections are made with."""
    return {
        "fingerprint": trained.fingerprint,
        "training": trained.settings.to_json(),
        "features": trained.weights,
        "detection": settings.to_json(),
    }


def write_scores(path: Path, readouts: Mapping[str, VideoReadout], classes: tuple[str, ...], rgb_share: float) -> int:
    """Write id, label, score for each video and class: the mean of the top-3 T-CAM. Returns the number of rows."""
    rows = [
        (video, label, repr(float(score)))
        for video, readout in readouts.items()
        for label, score in zip(classes, label_scores(readout, rgb_share), strict=True)
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([tuple(ScoreRow.__annotations__), *rows])
    write_bytes(path, text.getvalue().encode())
    return len(rows)


def detect_in_video(
    trained: Checkpoint, path: Path, settings: DetectionSettings, allow_mixed_recipes: bool = False
) -> VideoDetections:
    """Extract a video file's features like the run's and detect in it. Raises BadInput for an unreadable file."""
    from plusmv.features.pipeline import Extractor

    flow_weights = trained.weights.get("flow", "")
    extractor = Extractor(
        replace(Recipe(), stride=trained.stride),
        trained.settings.streams,
        flow_init="cross-modality" if flow_weights.startswith("cross-modality") else None,
        random_weights=any(label.startswith("random") for label in trained.weights.values()),
    )
    features = extractor.extract(path, path.stem)
    if (
        not allow_mixed_recipes
    ):  # the hash spans all streams of a file, so those not extracted here count as in training
        check_recipe(trained, replace(features, recipe=extractor.recipe.hash(trained.weights | features.weights)))
    readout = read_video(trained, features)
    detections = detect_video(readout, trained.classes, settings)
    section = plot_section(readout, trained.classes, settings, detections)
    made_with = "a trained run" + (", random networks" if extractor.random_weights else "")
    facts = _with_what_lacks(detection_facts(trained, settings), features)
    return VideoDetections(detections, readout.seconds, section, made_with, facts)


def detect_in_video_by_kinetics(path: Path) -> VideoDetections:
    """Detect the actions that Kinetics-400 knows in a video file, without any training."""
    from plusmv.features.pipeline import Extractor

    extractor = Extractor(replace(Recipe(), stride=kinetics.STRIDE), ("rgb",))
    features = extractor.extract(path, path.stem)
    result = kinetics.detect(features.streams["rgb"], features.seconds(), kinetics.STRIDE)
    strongest = result.strongest()
    panels = {"Kinetics-400 probability": {name: result.activation[name] for name in strongest}}
    section = Section(panels, result.detections)
    facts: DetectionFacts = {
        "features": features.weights,
        "video_probability": {name: result.probability[name] for name in strongest},
    }
    made_with = "the I3D's Kinetics-400 classes"
    return VideoDetections(result.detections, features.seconds(), section, made_with, _with_what_lacks(facts, features))


def _with_what_lacks(facts: DetectionFacts, features: VideoFeatures) -> DetectionFacts:
    """The facts, and what is there of a video file that was cut short."""
    if features.cut_short is not None:
        facts["cut_short"] = features.cut_short
    return facts


def plot_section(
    readout: VideoReadout,
    classes: tuple[str, ...],
    settings: DetectionSettings,
    detections: Sequence[Instance],
    name: str = "",
    first: Sequence[str] = (),
    most: int = 4,
) -> Section:
    """One run's section of a picture: attention, each stream's T-CAM for the detected classes, and the proposals.

    first: classes to show before those, such as the true ones. most: classes shown.
    """
    labels = [label for label in (*first, *(i.label for i in detections)) if label in classes]
    columns = {label: 1 + classes.index(label) for label in list(dict.fromkeys(labels))[:most]}
    mean = {"mean": readout.mean_attention()} if len(readout.attention) > 1 else {}
    panels = {"attention λ": readout.attention | mean}
    changes = {f"{stream}, changes": activation for stream, activation in readout.relative.items()}
    for stream, activation in (readout.activation | changes).items():
        panels[f"T-CAM {stream}"] = {label: activation[:, column] for label, column in columns.items()}
    best = columns.get(detections[0].label) if detections else None
    return Section(panels, detections, proposal_levels(readout, best, settings) if best else (), name)


def proposal_levels(readout: VideoReadout, index: int, settings: DetectionSettings) -> list[tuple[float, float, float]]:
    """(start, end, lowest threshold) of every proposal for one class, seconds."""
    lowest: dict[tuple[int, int], float] = {}
    for level in sorted(settings.levels):
        for start, end in class_proposals(readout, index, replace(settings, thresholds=(float(level),))).tolist():
            lowest.setdefault((start, end), float(level))
    return [(readout.seconds[s, 0], readout.seconds[e - 1, 1], level) for (s, e), level in lowest.items()]
