"""What each run of an experiment scores on the test videos: detections, mAP, and the mAP on resampled videos.

A run is judged once, after its last step, under each of its ways of detection; so are the supervised ceiling and the
trivial row of whole videos, which stand beside every row.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np
import torch

from plusmv.core.annotations import AnnotatedVideo, Instance
from plusmv.core.errors import PlusmvError
from plusmv.core.workers import map_unordered
from plusmv.features.feature_files import VideoFeatures
from plusmv.wsal.checkpoints import load_checkpoint
from plusmv.wsal.curves import collapse_warnings, read_curves
from plusmv.wsal.detect import DetectionSettings, detect_video, read_video
from plusmv.wsal.evaluate import THUMOS_TIOUS, evaluate
from plusmv.wsal.significance import drawn_mAP
from plusmv.wsal.supervised import (
    SUPERVISED,
    WHOLE,
    SupervisedSettings,
    detect_supervised,
    fit_once,
    whole_video,
)
from plusmv.wsal.train import CHECKPOINT, CURVES

LEVEL_RANGE = (0.02, 0.95)  # of a stream's mean attention; outside, it has collapsed
HALF, AVERAGED = THUMOS_TIOUS.index(0.5), slice(0, THUMOS_TIOUS.index(0.7) + 1)
MEASURES = ("mAP at .5", "mean mAP .1 to .7")
Ways = Mapping[str, DetectionSettings]


class Score(TypedDict):
    """One run under one way of detection."""

    row: str
    seed: int
    way: str
    mAP: list[float]  # at tIoU .1 to .9, over the judged classes
    top1: float | None  # share of the test videos whose most probable class is one of theirs
    attention: list[float] | None  # 10 %, mean and 90 % of the mean attention over all test snippets
    collapse: list[str]  # why its attention counts as collapsed; empty if it does not


class Scored(NamedTuple):
    score: Score
    drawn: np.ndarray  # (R+1, 2): MEASURES on each draw of the test videos (wsal.significance)


@dataclass(frozen=True)
class Judge:
    """The test videos, and the classes by which detections in them are judged (None: all)."""

    truth: Mapping[str, AnnotatedVideo]
    features: Mapping[str, VideoFeatures]
    judged: tuple[str, ...] | None
    draws: np.ndarray  # (R+1, V) of significance.video_draws

    def precision(self, detections: Mapping[str, Sequence[Instance]]) -> tuple[list[float], np.ndarray]:
        """The mAP at tIoU .1 to .9, and MEASURES on each draw (R+1, 2)."""
        per_class = evaluate(self.truth, detections, THUMOS_TIOUS)["per_class"]
        kept = [each for label, each in per_class.items() if self.judged is None or label in self.judged]
        drawn = drawn_mAP(self.truth, detections, THUMOS_TIOUS[AVERAGED], self.draws, self.judged)
        return np.mean(kept, axis=0).tolist(), np.stack([drawn[:, HALF], drawn.mean(axis=1)], axis=1)


@dataclass
class Scoring:
    """The stage of core.workers that detects with a run and judges it: a task is (row, seed, its folder)."""

    folder: Path
    judge: Judge
    ways: Mapping[str, Ways]  # row -> its ways of detection

    def setup(self) -> None:
        torch.set_num_threads(1)

    def process(self, task: tuple[str, int, str]) -> list[Scored]:
        row, seed, run = task
        trained, judge = load_checkpoint(self.folder / run / CHECKPOINT), self.judge
        readouts = {name: read_video(trained, each) for name, each in judge.features.items()}
        best = {name: trained.classes[readout.probability[1:].argmax()] for name, readout in readouts.items()}
        top1 = float(np.mean([label in judge.truth[name].labels for name, label in best.items()]))
        attention = np.concatenate([readout.mean_attention() for readout in readouts.values()])
        low, high = np.quantile(attention, [0.1, 0.9]).tolist()
        spread, verdict = [low, float(attention.mean()), high], collapse(self.folder / run)
        scored = []
        for way, settings in self.ways[row].items():
            found = {name: detect_video(readout, trained.classes, settings) for name, readout in readouts.items()}
            mAP, drawn = judge.precision(found)
            score = Score(row=row, seed=seed, way=way, mAP=mAP, top1=top1, attention=spread, collapse=verdict)
            scored.append(Scored(score, drawn))
        return scored


@dataclass
class Ceiling:
    """The stage that trains on the true segments, and judges that: a task is its settings with a seed."""

    folder: Path
    judge: Judge
    ways: Sequence[str]  # names of the tables in which the row stands
    classes: tuple[str, ...]
    training: Sequence[tuple[AnnotatedVideo, VideoFeatures]]
    data: str  # sha256 of the training videos, their segments and features

    def setup(self) -> None:
        torch.set_num_threads(1)

    def process(self, task: SupervisedSettings) -> list[Scored]:
        path = self.folder / f"supervised-{task.seed}.safetensors"
        model = fit_once(path, self.training, self.classes, task, self.data)
        found = {name: detect_supervised(model, each, self.classes) for name, each in self.judge.features.items()}
        return reference(self.judge, SUPERVISED, task.seed, found, self.ways)


def whole_videos(judge: Judge, ways: Sequence[str]) -> list[Scored]:
    """The trivial row: each test video as one detection of each of its labels."""
    found = {name: whole_video(judge.truth[name], features) for name, features in judge.features.items()}
    return reference(judge, WHOLE, 0, found, ways)


def reference(
    judge: Judge, row: str, seed: int, found: Mapping[str, Sequence[Instance]], ways: Sequence[str]
) -> list[Scored]:
    """The score of a row whose detections are the same in every table."""
    mAP, drawn = judge.precision(found)
    blank = Score(row=row, seed=seed, way="", mAP=mAP, top1=None, attention=None, collapse=[])
    return [Scored({**blank, "way": way}, drawn) for way in ways]


def collapse(run: Path) -> list[str]:
    """Why the attention of a run's streams does not separate snippets, by the last row of its curves."""
    rows = read_curves(run / CURVES)
    reasons = collapse_warnings(rows)
    for stream, level in {row["stream"]: row["attention_mean"] for row in rows}.items():
        if not LEVEL_RANGE[0] <= level <= LEVEL_RANGE[1]:
            reasons.append(f"the mean of the {stream} attention is {level:.3f}")
    return reasons


def in_workers(stage, tasks: Sequence, workers: int) -> Iterator:
    """The value of each task, in order of completion. Raises PlusmvError for one that failed."""
    for outcome in map_unordered(stage, tasks, "inline" if min(workers, len(tasks)) < 2 else "processes", workers):
        if outcome.error is not None:
            raise PlusmvError(outcome.error)
        yield outcome.value
