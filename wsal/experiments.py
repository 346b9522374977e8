"""Experiments: many runs in one pass, each evaluated on the test set once, after its last step; mean and sd over seeds.

    ablation   the paper's Table 1: L_fg with every subset of L_bg, L_guide and L_cluster, and rows of other methods
    methods    every method of wsal.methods in its own defaults: same features, seeds and protocol

A seed decides the initial weights and the order of the videos. Runs of one method and order are trained as one stack,
in a folder of their own below the experiment's.
"""

import contextlib
import hashlib
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plusmv.core.errors import BadInput
from plusmv.wsal.detect import DetectionSettings
from plusmv.wsal.experiment_scores import Ceiling, Judge, Scored, Scoring, Ways, in_workers, whole_videos
from plusmv.wsal.methods.find import find_method
from plusmv.wsal.settings import Settings, steps_of
from plusmv.wsal.significance import video_draws
from plusmv.wsal.supervised import SUPERVISED, SupervisedSettings
from plusmv.wsal.train import CHECKPOINT, code_version, train_together
from plusmv.wsal.training_cost import Cost, measured, read_cost, together
from plusmv.wsal.training_set import TrainingSet
from plusmv.wsal.worlds import HeldFeatures, World

EXPERIMENTS = ("ablation", "methods")
TERMS = ("bg", "guide", "cluster")  # of the paper's Table 1; a further regulariser stays as it is in all eight rows
PAPERS, OURS = "attention > 0 to .5 (the paper)", "both sides of the T-CAM (ours)"
STEPS_TO_1 = tuple(step / 40 for step in range(40))
PROPOSAL_VARIANTS = {  # name in the tables -> settings
    PAPERS: DetectionSettings(),
    "attention > 0 to .5, contrast": DetectionSettings(score="contrast"),
    "attention scaled to 0..1 > 0 to 1, contrast": DetectionSettings(
        scaled=True, score="contrast", thresholds=STEPS_TO_1
    ),
    "attention x sigmoid(T-CAM) > .05 (STPN)": DetectionSettings(proposals="tcam"),
    "softmax of the T-CAM, contrast": DetectionSettings(proposals="softmax"),
    OURS: DetectionSettings(proposals="two-sided"),
}
OWN_WAY = "as its paper detects"
ORDER_NOTE = (
    "a seed decides the initial weights and the order of the videos, and the sd is over both;"
    " runs of one method and order are trained as one stack"
)


def ablation_rows(base: Settings, others: Sequence[Settings] = ()) -> dict[str, Settings]:
    """Row name -> settings: every subset of TERMS, in the paper's order, then other methods."""
    weights = find_method(base.method).WEIGHTS
    rows = {}
    for chosen in sorted(product((False, True), repeat=len(TERMS)), key=sum):
        on = [name for name, is_on in zip(TERMS, chosen, strict=True) if is_on]
        rows[" + ".join(["fg", *on])] = base.replaced(**{weights[name]: 0.0 for name in TERMS if name not in on})
    return rows | {find_method(each.method).__name__: each for each in others}


@dataclass(frozen=True)
class Training:
    """What all rows of an experiment have in common: videos, streams, and the shared settings that were given."""

    streams: tuple[str, ...]
    videos: int
    given: Mapping[str, Any]
    epochs: int | None = None
    steps: int | None = None

    def settings(self, method: str, own: Mapping[str, Any]) -> Settings:
        """A method's defaults, over them what its paper needs (TRAINING), over both what was given."""
        needs = find_method(method).TRAINING
        fields = {**needs, **self.given}
        if "steps" not in needs or self.epochs or self.steps:
            fields["steps"] = steps_of(self.videos, fields.get("batch", 1), self.epochs, self.steps)
        return Settings.of(streams=self.streams, method=method, **fields, **own)


def method_ways(method: str) -> Ways:
    """How its own paper detects, and two-sided detection."""
    return {OWN_WAY: DetectionSettings(**find_method(method).DETECTION), OURS: PROPOSAL_VARIANTS[OURS]}


def seeded(rows: Mapping[str, Settings], seeds: int) -> dict[str, Settings]:
    """Run -> settings: each row with each seed, of the initial weights and, unless that is fixed, of the order."""
    if seeds < 1:
        raise BadInput("an experiment needs at least one seed")
    return {
        run_name(row, settings, seed): settings.replaced(seed=seed)
        for row, settings in rows.items()
        for seed in range(seeds)
    }


def run_name(row: str, settings: Settings, seed: int) -> str:
    """The folder of one run, below that of the runs it is trained with: "BM-0/fg+bg-0"."""
    return f"{find_method(settings.method).__name__}-{seed}/{row.replace(' ', '')}-{seed}"


@dataclass
class _Training:
    """The stage of core.workers that trains the runs of one method and order: a task is their folder's name."""

    training: TrainingSet
    runs: Mapping[str, Settings]
    folder: Path
    device: torch.device

    def setup(self) -> None:
        torch.set_num_threads(1)

    def process(self, stack: str) -> None:
        runs = {name.partition("/")[2]: each for name, each in self.runs.items() if name.partition("/")[0] == stack}
        folder = self.folder / stack
        finished = all((folder / name / CHECKPOINT).exists() for name in runs)  # then they are only checked
        taking = contextlib.nullcontext() if finished else measured(folder, any(folder.glob("progress-*")))
        with taking:
            train_together(self.training, runs, folder, device=self.device)


def train_all(
    training: TrainingSet, runs: Mapping[str, Settings], folder: Path, workers: int, device: torch.device
) -> Iterator[None]:
    """Train each stack of runs, in order of completion; finished ones are kept."""
    yield from in_workers(_Training(training, runs, folder, device), stacks_of(runs), workers)


def stacks_of(runs: Iterable[str]) -> list[str]:
    """The folders below which the runs lie, each once."""
    return list(dict.fromkeys(run.partition("/")[0] for run in runs))


def costs(folder: Path, runs: Iterable[str]) -> dict[str, Cost]:
    """Method's name -> what training all of its runs took."""
    of_method: dict[str, list[Cost]] = {}
    for stack in stacks_of(runs):
        of_method.setdefault(stack.rpartition("-")[0], []).append(read_cost(folder / stack))
    return {method: together(each) for method, each in of_method.items()}


@dataclass(frozen=True)
class Plan:
    """What is judged: rows with their settings and ways of detection, and the seeds of each."""

    rows: Mapping[str, Settings]
    ways: Mapping[str, Ways]  # row -> way -> settings
    base: str  # the row that the others are compared with
    seeds: int
    ceiling: SupervisedSettings

    @property
    def tables(self) -> list[str]:
        """Names of the ways, each once."""
        return list(dict.fromkeys(way for ways in self.ways.values() for way in ways))


def ablation(base: Settings, others: Sequence[Settings], seeds: int) -> Plan:
    """The paper's Table 1 under every variant of the proposals."""
    rows = ablation_rows(base, others)
    ways = dict.fromkeys(rows, PROPOSAL_VARIANTS)
    return Plan(rows, ways, " + ".join(["fg", *TERMS]), seeds, _ceiling(base))


def methods(settings: Sequence[Settings], seeds: int) -> Plan:
    """A row for each method; the first is the base."""
    rows = {find_method(each.method).__name__: each for each in settings}
    ways = {name: method_ways(each.method) for name, each in rows.items()}
    return Plan(rows, ways, next(iter(rows)), seeds, _ceiling(settings[0]))


def _ceiling(base: Settings) -> SupervisedSettings:
    return SupervisedSettings(streams=base.streams, steps=base.steps * base.batch)


def judge_all(
    plan: Plan, world: World, features: HeldFeatures, classes: tuple[str, ...], folder: Path, workers: int
) -> Iterator[list[Scored]]:
    """Score every run, the supervised ceiling with every seed, and whole videos; in order of completion."""
    usable, _ = features.read_all(world.test.values())
    learned, _ = features.read_all(world.training.values())
    judge = Judge(world.test, usable, world.judged, video_draws(len(world.test)))
    tasks = [
        (row, seed, run_name(row, settings, seed)) for row, settings in plan.rows.items() for seed in range(plan.seeds)
    ]
    yield whole_videos(judge, plan.tables)
    yield from in_workers(Scoring(folder, judge, plan.ways), tasks, workers)
    pairs = [(world.training[name], each) for name, each in learned.items()]
    stage = Ceiling(folder, judge, plan.tables, classes, pairs, digest_of(world.training, learned))
    seeds = [SupervisedSettings(**vars(plan.ceiling) | {"seed": seed}) for seed in range(plan.seeds)]
    yield from in_workers(stage, seeds, workers)


def digest_of(videos: Mapping[str, Any], features: Mapping[str, Any]) -> str:
    """sha256 over annotations, segments included, and features."""
    digest = hashlib.sha256()
    for name, video in videos.items():
        digest.update(repr(video).encode())
        for stream, array in features[name].streams.items() if name in features else ():
            digest.update(stream.encode() + np.ascontiguousarray(array).data)
    return digest.hexdigest()


def versions(plan: Plan) -> dict[str, str]:
    """What computed a table; for each row's method a hash of its code."""
    codes = {f"code of {row}": code_version(settings.method) for row, settings in plan.rows.items()}
    return {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__, **codes}


def settings_of(plan: Plan) -> dict[str, dict[str, Any]]:
    """Row -> its settings, without the seeds."""
    all_rows = {row: each.to_json() for row, each in plan.rows.items()} | {SUPERVISED: plan.ceiling.to_json()}
    return {row: {name: value for name, value in each.items() if "seed" not in name} for row, each in all_rows.items()}
