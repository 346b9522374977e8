"""Annotations and detections in ActivityNet JSON: the interface between curation and training.

AnnotationFile and DetectionFile are the formats. In files of others, numbers may be strings.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from plusmv.core.errors import BadInput
from plusmv.core.parsing import finite_number
from plusmv.core.reading import read_json
from plusmv.core.workspace import write_json

MICROVIDEO_SUBSET = "microvideo"


class InstanceEntry(TypedDict):
    """One annotated action instance."""

    label: str
    segment: list[float]  # [start, end], seconds
    weak: NotRequired[Literal[True]]  # the action is somewhere in the segment, not necessarily throughout


class VideoEntry(TypedDict):
    """One annotated video."""

    subset: str
    duration: NotRequired[float]  # seconds
    fps: NotRequired[float]
    annotations: list[InstanceEntry]


class AnnotationFile(TypedDict):
    """An annotation file, such as exports/microvideos.json. Further keys are ignored."""

    version: NotRequired[str]
    database: dict[str, VideoEntry]  # by video id


class DetectionEntry(TypedDict):
    """One detected action instance."""

    label: str
    score: float
    segment: list[float]  # [start, end], seconds


class DetectionFile(TypedDict):
    """A detection file, as `plusmv detect` writes it."""

    version: str
    external_data: dict[str, Any]  # what the detections were made with
    results: dict[str, list[DetectionEntry]]  # by video id


@dataclass(frozen=True)
class Instance:
    """One action instance, seconds. `score` is None for ground truth."""

    label: str
    start: float
    end: float
    score: float | None = None
    weak: bool = False


@dataclass(frozen=True)
class AnnotatedVideo:
    """One video of a data set. `duration` in seconds and `fps` are 0.0 where the file has none."""

    id: str
    subset: str
    duration: float
    fps: float
    instances: tuple[Instance, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The video-level label set, sorted: all that weak supervision may use."""
        return tuple(sorted({instance.label for instance in self.instances}))


def read_annotations(path: Path, subset: str | None = None) -> dict[str, AnnotatedVideo]:
    """Read {id: video}, of one subset, in any letter case, if given. Raises BadInput naming the file and the entry."""
    database = _load(path).get("database")
    if not isinstance(database, dict):
        raise BadInput(f"{path} is not an ActivityNet annotation file: it has no 'database' object")
    videos = {}
    for video_id, entry in database.items():
        if not isinstance(entry, dict):
            raise BadInput(f"{path}: video {video_id!r} is not an object")
        if subset is None or same_word(str(entry.get("subset")), subset):
            videos[video_id] = AnnotatedVideo(
                video_id,
                str(entry.get("subset", "")),
                _number(entry.get("duration") or 0, path, video_id, "duration"),
                _number(entry.get("fps") or 0, path, video_id, "fps"),
                _instances(entry.get("annotations") or [], path, video_id, scored=False),
            )
    if not videos:
        found = sorted({str(entry.get("subset")) for entry in database.values() if isinstance(entry, dict)})
        wanted = "no video" if subset is None else f"no video of subset {subset!r}"
        raise BadInput(f"{path} has {wanted}; it has {', '.join(found) or 'no videos at all'}")
    return videos


def same_word(one: str, other: str) -> bool:
    """Whether a word of a file, such as a subset's name, is the one asked for: in any letter case."""
    return one.strip().casefold() == other.strip().casefold()


def unannotated(video_id: str) -> AnnotatedVideo:
    """A video of which nothing is known but its id."""
    return AnnotatedVideo(video_id, "", 0.0, 0.0, ())


def read_detections(path: Path) -> dict[str, tuple[Instance, ...]]:
    """Read {id: detections}. Raises BadInput naming the file and the invalid entry."""
    results = _load(path).get("results")
    if not isinstance(results, dict):
        raise BadInput(
            f"{path} is not an ActivityNet detection file: it has no 'results', an object of each video's detections"
        )
    return {video_id: _instances(entries, path, video_id, scored=True) for video_id, entries in results.items()}


def write_annotations(path: Path, videos: Iterable[AnnotatedVideo], **further: object) -> None:
    """Write an annotation file with further top-level keys (such as version)."""
    database: dict[str, VideoEntry] = {
        video.id: {
            "subset": video.subset,
            "duration": video.duration,
            "fps": video.fps,
            "annotations": [_entry(instance) for instance in video.instances],
        }
        for video in videos
    }
    content: AnnotationFile = {"database": database}
    write_json(path, {**further, **content})


def _entry(instance: Instance) -> InstanceEntry:
    entry: InstanceEntry = {"label": instance.label, "segment": [instance.start, instance.end]}
    if instance.weak:
        entry["weak"] = True
    return entry


def detections_json(detections: Mapping[str, Iterable[Instance]], **external_data: object) -> DetectionFile:
    """A detection file's content; external_data: what the detections were made with."""
    results: dict[str, list[DetectionEntry]] = {
        video_id: [_detection(instance) for instance in instances] for video_id, instances in detections.items()
    }
    return {"version": "VERSION 1.3", "external_data": external_data, "results": results}


def score_of(detection: Instance) -> float:
    """A detection's score. Raises ValueError for ground truth, which has none."""
    if detection.score is None:
        raise ValueError(f"a detection needs a score: {detection}")
    return detection.score


def by_decreasing_score(detections: Iterable[Instance]) -> list[Instance]:
    """Detections, the best first; of equal scores the first given."""
    return sorted(detections, key=lambda detection: -score_of(detection))


def _detection(instance: Instance) -> DetectionEntry:
    return {"label": instance.label, "score": score_of(instance), "segment": [instance.start, instance.end]}


def _load(path: Path) -> dict[str, Any]:
    content = read_json(Path(path))
    if not isinstance(content, dict):
        raise BadInput(f"{path} is not an ActivityNet file: its top level is not an object")
    return content


def _instances(entries: Any, path: Path, video_id: str, scored: bool) -> tuple[Instance, ...]:
    if not isinstance(entries, list):
        raise BadInput(f"{path}: the instances of video {video_id!r} are not a list")
    return tuple(_instance(entry, path, video_id, scored) for entry in entries)


def _instance(entry: Any, path: Path, video_id: str, scored: bool) -> Instance:
    try:
        if not isinstance(entry["segment"], list):  # the text "12" would unpack to 1 and 2
            raise TypeError("segment")
        start, end = entry["segment"]
        label = entry["label"]
        score = entry["score"] if scored else None
    except (TypeError, KeyError, ValueError) as error:
        wanted = "label, score and segment [start, end]" if scored else "label and segment [start, end]"
        raise BadInput(f"{path}: an instance of video {video_id!r} lacks {wanted}") from error
    if not isinstance(label, str) or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in label):
        raise BadInput(f"{path}: a label of video {video_id!r} is not a line of text: {label!r:.60}")
    return Instance(
        label,
        _number(start, path, video_id, "segment"),
        _number(end, path, video_id, "segment"),
        _number(score, path, video_id, "score") if scored else None,
        entry.get("weak") is True,
    )


def _number(value: Any, path: Path, video_id: str, what: str) -> float:
    try:
        return finite_number(value)
    except BadInput as error:
        raise BadInput(f"{path}: {what} of video {video_id!r}: {error}") from error
