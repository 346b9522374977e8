"""Untrimmed videos composed of real clips, at feature level: real features and real borders without long videos.

Two worlds, since each alone misleads (LOG.md, 2026-11-29). Sources (videos or people that clips come from) are disjoint
between training and test.

    cut       a source's clips of one action, with pieces of other clips before, between and after: recognition, rare
              actions; most borders are scene cuts
    in-scene  a source's own clips one after the other, nothing foreign: borders within a scene

Say "composed of real clips" wherever a number of either stands.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from plusmv.core.annotations import AnnotatedVideo, Instance, read_annotations
from plusmv.core.errors import BadInput
from plusmv.core.limits import LIST_BYTES
from plusmv.core.outcome import Ended
from plusmv.core.reading import csv_rows
from plusmv.features.feature_files import NoFeatures, VideoFeatures, read_features
from plusmv.features.published import UNSAID, ArrayLayout

World = Literal["cut", "in-scene"]
PIECES = (1, 2)  # foreign pieces in a gap, fewest and most
PIECE_SNIPPETS = (2, 10)
COLUMNS = ("id", "class", "source", "role")


class ComposeResult(Ended):
    """What `plusmv compose --json` prints; done, failed: clips that have features, and that have none."""

    world: str
    videos: int
    training: int
    test: int
    instances: int
    action_share: float  # of the test videos' time
    out: str


@dataclass(frozen=True)
class SourceClip:
    """One short clip of a data set of trimmed clips."""

    id: str
    label: str
    source: int  # clips of one source come from one video or person
    is_action: bool  # else it serves as foreign background


@dataclass(frozen=True)
class ClipFeatures:
    """What videos are composed of: features by clip id, and true segments (seconds) where they are known."""

    features: Mapping[str, VideoFeatures]
    segments: Mapping[str, AnnotatedVideo]

    def instances(self, clip: SourceClip, offset: float) -> list[Instance]:
        """The clip's true instances, shifted along; without segments the whole clip counts as the action."""
        length = duration_of(self.features[clip.id])
        known = self.segments[clip.id].instances if clip.id in self.segments else [Instance(clip.label, 0.0, length)]
        clipped = [(each, max(0.0, each.start), min(length, each.end)) for each in known]
        return [Instance(each.label, offset + start, offset + end) for each, start, end in clipped if end > start]


def read_clips(path: Path) -> list[SourceClip]:
    """Clips from a CSV with the columns id, class, source (with a number, such as g07), role (action or other)."""
    rows = [row for _, row in csv_rows(path, (), COLUMNS, LIST_BYTES)]
    if not rows:
        raise BadInput(f"{path} has no clips; it needs the columns {', '.join(COLUMNS)}")
    return [SourceClip(row["id"], row["class"], _source(row["source"], path), row["role"] == "action") for row in rows]


def of_actions(clips: Sequence[SourceClip], actions: Sequence[str] | None) -> list[SourceClip]:
    """The clips of these actions (None: of all), and the background's. Raises BadInput for an unknown action."""
    if actions is None:
        return list(clips)
    unknown = {*actions} - {clip.label for clip in clips if clip.is_action}
    if unknown:
        raise BadInput(f"no clip of role 'action' has the class {', '.join(sorted(unknown))}")
    return [clip for clip in clips if not clip.is_action or clip.label in actions]


def read_material(
    clips: Iterable[SourceClip], features: Path, segments: Path | None = None, layout: ArrayLayout = UNSAID
) -> tuple[ClipFeatures, dict[str, str]]:
    """What videos are composed of, and {clip id: why it has no features}."""
    found, left_out = {}, {}
    for clip in clips:
        try:
            found[clip.id] = read_features([features], clip.id, layout=layout)
        except NoFeatures as error:
            left_out[clip.id] = str(error)
    return ClipFeatures(found, read_annotations(segments) if segments else {}), left_out


def parse_sources(text: str) -> list[int]:
    """ "1-3,7" -> [1, 2, 3, 7]. Raises BadInput for anything else."""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not all(end.isascii() and end.isdigit() and len(end) < 6 for end in (first, last if dash else first)):
            raise BadInput(f"{text!r} is not a list of sources; write 1-5 or 1,2,7")
        numbers += range(int(first), int(last or first) + 1)
    return list(dict.fromkeys(numbers))


def parse_most(assignments: Iterable[str]) -> dict[str, int]:
    """["Archery=1"] -> {"Archery": 1}. Raises BadInput for anything else."""
    most = {}
    for assignment in assignments:
        action, equals, count = assignment.partition("=")
        if not equals or not (count.isascii() and count.isdigit() and len(count) < 6):
            raise BadInput(f"--most {assignment!r} must be an action and a number, such as Archery=1")
        most[action] = int(count)
    return most


def _source(text: str, path: Path) -> int:
    digits = re.search(r"[0-9]{1,9}", text or "")
    if digits is None:
        raise BadInput(f"{path}: source {text!r} has no number")
    return int(digits[0])


def duration_of(features: VideoFeatures) -> float:
    """Seconds that its snippets cover side by side."""
    return features.count * features.stride / features.fps


def compose(
    world: World,
    clips: Sequence[SourceClip],
    material: ClipFeatures,
    sources: Mapping[str, Sequence[int]],
    most: Mapping[str, int] | None = None,
    seed: int = 0,
) -> Iterator[tuple[AnnotatedVideo, VideoFeatures]]:
    """One video for each action and source. sources: subset -> its sources; most: action -> sources it has in training.

    Raises BadInput for sources that stand in two subsets.
    """
    shared = set.intersection(*map(set, sources.values())) if len(sources) > 1 else set()
    if shared:
        raise BadInput(f"sources {', '.join(map(str, sorted(shared)))} stand in two subsets; they must be disjoint")
    actions = sorted({clip.label for clip in clips if clip.is_action})
    for place, (subset, numbers) in enumerate(sources.items()):
        foreign = _foreign(clips, place, len(sources)) if world == "cut" else []
        for action in actions:
            count = (most or {}).get(action, len(numbers)) if subset == "training" else len(numbers)
            for source in numbers[:count]:
                own = [clip for clip in clips if clip.is_action and (clip.label, clip.source) == (action, source)]
                if own:
                    draws = np.random.default_rng([seed, place, actions.index(action), source])
                    yield _video(f"{world}_{action}_{source:02d}", subset, own, foreign, material, draws)


def _foreign(clips: Sequence[SourceClip], place: int, subsets: int) -> list[SourceClip]:
    """The background clips of one subset: no source of theirs stands in another."""
    groups = sorted({(clip.label, clip.source) for clip in clips if not clip.is_action})
    chosen = set(groups[place::subsets])
    found = [clip for clip in clips if not clip.is_action and (clip.label, clip.source) in chosen]
    if not found:
        raise BadInput("the cut world needs clips of role 'other' from a source for each subset")
    return found


def _video(
    name: str,
    subset: str,
    own: Sequence[SourceClip],
    foreign: Sequence[SourceClip],
    material: ClipFeatures,
    draws: np.random.Generator,
) -> tuple[AnnotatedVideo, VideoFeatures]:
    first = material.features[own[0].id]
    pieces: list[VideoFeatures] = []
    instances: list[Instance] = []
    for index, clip in enumerate(own):
        if foreign and not index:
            pieces += _gap(foreign, material, draws)
        instances += material.instances(clip, sum(map(duration_of, pieces)))
        pieces.append(material.features[clip.id])
        if foreign:
            pieces += _gap(foreign, material, draws)
    streams = {stream: np.concatenate([piece.streams[stream] for piece in pieces]) for stream in first.streams}
    count = len(next(iter(streams.values())))
    seconds = count * first.stride / first.fps
    video = AnnotatedVideo(name, subset, seconds, first.fps, tuple(instances))
    return video, VideoFeatures(
        name, streams, first.fps, first.length, first.stride, frames=count * first.stride, duration=seconds,
        recipe=first.recipe, weights=first.weights, notes={"composed": "of real clips, at feature level"},
    )  # fmt: skip


def _gap(foreign: Sequence[SourceClip], material: ClipFeatures, draws: np.random.Generator) -> list[VideoFeatures]:
    """One or two stretches of foreign clips."""
    stretches = []
    for _ in range(draws.integers(PIECES[0], PIECES[1] + 1)):
        whole = material.features[foreign[int(draws.integers(len(foreign)))].id]
        length = min(whole.count, int(draws.integers(PIECE_SNIPPETS[0], PIECE_SNIPPETS[1] + 1)))
        start = int(draws.integers(0, whole.count - length + 1))
        streams = {name: array[start : start + length] for name, array in whole.streams.items()}
        stretches.append(VideoFeatures(whole.id, streams, whole.fps, whole.length, whole.stride))
    return stretches
