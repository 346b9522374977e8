"""Annotations and detections in ActivityNet JSON, the field's own format: the line between curation and training.

Annotations: {"database": {id: {"subset", "duration", "fps", "annotations": [{"label", "segment": [start, end]}]}}}
Detections:  {"version", "external_data", "results": {id: [{"label", "score", "segment"}]}}
Segments are in seconds and may be strings. `duration` and `fps` may be missing (0.0 here). An annotation marked
`"weak": true` says that the action is somewhere in its segment, not where.
"""

import json
import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plusmv.core.errors import BadInput
from plusmv.core.workspace import write_json

MICROVIDEO_SUBSET = "microvideo"


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
    """One video of a data set. `duration` in seconds and `fps` are 0.0 where the file does not say."""

    id: str
    subset: str
    duration: float
    fps: float
    instances: tuple[Instance, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The video-level label set, sorted: all that weak supervision may look at."""
        return tuple(sorted({instance.label for instance in self.instances}))


def read_annotations(path: Path, subset: str | None = None) -> dict[str, AnnotatedVideo]:
    """Read {id: video}, of one subset if given. Raises BadInput naming the file and the entry at fault."""
    database = _load(path).get("database")
    if not isinstance(database, dict):
        raise BadInput(f"{path} is not an ActivityNet annotation file: it has no 'database' object")
    videos = {}
    for video_id, entry in database.items():
        if not isinstance(entry, dict):
            raise BadInput(f"{path}: video {video_id!r} is not an object")
        if subset is None or entry.get("subset") == subset:
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


def read_detections(path: Path) -> dict[str, tuple[Instance, ...]]:
    """Read {id: detections}. Raises BadInput naming the file and the entry at fault."""
    results = _load(path).get("results")
    if not isinstance(results, dict):
        raise BadInput(f"{path} is not an ActivityNet detection file: it has no 'results' object")
    return {video_id: _instances(entries, path, video_id, scored=True) for video_id, entries in results.items()}


def write_annotations(path: Path, videos: Iterable[AnnotatedVideo], **facts: object) -> None:
    """Write an annotation file; `facts` (such as version) stand beside 'database'."""
    database = {
        video.id: {
            "subset": video.subset,
            "duration": video.duration,
            "fps": video.fps,
            "annotations": [
                {"label": i.label, "segment": [i.start, i.end]} | ({"weak": True} if i.weak else {})
                for i in video.instances
            ],
        }
        for video in videos
    }
    write_json(path, {**facts, "database": database})


def detections_json(detections: Mapping[str, Iterable[Instance]], **external_data: object) -> dict:
    """The detection file's object; `external_data` names what the detections were made with."""
    results = {
        video_id: [{"label": i.label, "score": i.score, "segment": [i.start, i.end]} for i in instances]
        for video_id, instances in detections.items()
    }
    return {"version": "VERSION 1.3", "external_data": external_data, "results": results}


def _load(path: Path) -> dict:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=_once)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadInput(f"{path} is not an ActivityNet file: its top level is no object")
    return content


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object of JSON, whose names differ: of two that are the same Python would drop the first in silence."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r:.60} stands twice in one object")
    return made


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
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(f"{path}: {what} of video {video_id!r} is not a finite number: {value!r:.60}")
    return number
