"""Experiments: many runs in one pass, each evaluated on the test set once, after its last step; mean and sd over seeds.

The ablation is the paper's Table 1: L_fg with every subset of L_bg, L_guide and L_cluster, and rows of other methods.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Generic, TypedDict, TypeVar

import numpy as np
import torch

from plusmv.core.annotations import AnnotatedVideo
from plusmv.core.errors import BadInput, PlusmvError
from plusmv.core.outcome import Ended
from plusmv.core.workers import map_unordered
from plusmv.features.feature_files import VideoFeatures
from plusmv.wsal.checkpoints import Checkpoint, load_checkpoint
from plusmv.wsal.curves import collapse_warnings, read_curves
from plusmv.wsal.detect import DetectionSettings, detect_video, read_video
from plusmv.wsal.evaluate import THUMOS_TIOUS, evaluate
from plusmv.wsal.methods.find import find_method
from plusmv.wsal.settings import Settings
from plusmv.wsal.train import CHECKPOINT, CURVES

PROPOSAL_VARIANTS = {  # name in the tables -> settings
    "attention > 0 to .5 (the paper)": DetectionSettings(),
    "attention > 0 to 1": DetectionSettings(thresholds=tuple(step / 40 for step in range(40))),
    "attention x sigmoid(T-CAM) > .05 (STPN)": DetectionSettings(proposals="tcam"),
    "both sides of the T-CAM (ours)": DetectionSettings(proposals="two-sided", overlap=0.4),
}
COLUMNS = tuple(f".{step}" for step in range(1, 10))  # tIoU
ORDER_NOTE = "stacked runs share the order of the videos, so the sd is over initial weights only"


Value = TypeVar("Value")


class Score(TypedDict):
    """One run under one variant of the proposals."""

    row: str
    seed: int
    way: str  # the variant's name
    mAP: list[float]  # at tIoU .1 to .9
    top1: float  # share of the test videos whose most probable class is one of theirs
    attention: list[float]  # 10 %, mean and 90 % of the mean attention over all test snippets


class MeanAndSd(TypedDict, Generic[Value]):
    """Over the seeds of a row."""

    mean: Value
    sd: Value | None  # with n - 1; None for one seed


class TableRow(TypedDict):
    """One row of an experiment's table."""

    row: str
    seeds: int
    mAP: MeanAndSd[list[float]]  # at tIoU .1 to .9
    top1: MeanAndSd[float]
    attention: MeanAndSd[list[float]]  # 10 %, mean and 90 %


class ScoreTable(TypedDict):
    """The rows of an experiment under one variant of the proposals."""

    proposals: str
    rows: list[TableRow]


class ExperimentResult(Ended):
    """What `plusmv experiment --json` prints and writes as NAME.json; done, failed: videos used, and left out."""

    experiment: str
    features: str  # their folders, or how they were simulated
    timeline: str  # path of the annotations, or "drawn"
    settings: dict[str, Any]  # of the first rows before their losses are switched off, see wsal.settings
    epochs: int
    seeds: int
    training_videos: int
    test_videos: int
    left_out: dict[str, str]  # video -> why it takes no part
    protocol: str
    note: str
    tables: list[ScoreTable]
    warnings: list[str]
    scores: list[Score]


def ablation_rows(base: Settings, others: Sequence[Settings] = ()) -> dict[str, Settings]:
    """Row name -> settings: every subset of the weighted loss terms, in the paper's order, then other methods."""
    weights = find_method(base.method).WEIGHTS
    rows = {}
    for chosen in sorted(product((False, True), repeat=len(weights)), key=sum):
        names = [name for name, is_on in zip(weights, chosen, strict=True) if is_on]
        off = {setting: 0.0 for name, setting in weights.items() if name not in names}
        rows[" + ".join(["fg", *names])] = base.replaced(**off)
    return rows | {find_method(each.method).__name__: each for each in others}


def seeded(rows: Mapping[str, Settings], seeds: int) -> dict[str, Settings]:
    """Run name -> settings: each row with each seed of the initial weights; all share the order of the videos."""
    if seeds < 1:
        raise BadInput("an experiment needs at least one seed")
    return {
        run_name(row, seed): settings.replaced(seed=seed, order_seed=settings.order)
        for row, settings in rows.items()
        for seed in range(seeds)
    }


def run_name(row: str, seed: int) -> str:
    """The folder of one run of an experiment."""
    return f"{row.replace(' ', '')}-{seed}"


@dataclass
class _Scoring:
    """The stage of core.workers that detects and evaluates: a task is (row, seed)."""

    folder: Path
    truth: Mapping[str, AnnotatedVideo]
    features: Mapping[str, VideoFeatures]

    def setup(self) -> None:
        torch.set_num_threads(1)

    def process(self, task: tuple[str, int]) -> list[Score]:
        row, seed = task
        trained = load_checkpoint(self.folder / run_name(row, seed) / CHECKPOINT)
        return score_run(trained, self.truth, self.features, row, seed)


def score_run(
    trained: Checkpoint,
    truth: Mapping[str, AnnotatedVideo],
    features: Mapping[str, VideoFeatures],
    row: str,
    seed: int,
) -> list[Score]:
    """Detect with one run in every video, once for each variant of the proposals."""
    readouts = {name: read_video(trained, each) for name, each in features.items()}
    best = {name: trained.classes[readout.probability[1:].argmax()] for name, readout in readouts.items()}
    top1 = float(np.mean([label in truth[name].labels for name, label in best.items()]))
    attention = np.concatenate([readout.mean_attention() for readout in readouts.values()])
    low, high = np.quantile(attention, [0.1, 0.9]).tolist()
    spread = [low, float(attention.mean()), high]
    scores: list[Score] = []
    for variant, settings in PROPOSAL_VARIANTS.items():
        detections = {name: detect_video(readout, trained.classes, settings) for name, readout in readouts.items()}
        precision = evaluate(truth, detections, THUMOS_TIOUS)["mAP"]
        scores.append(Score(row=row, seed=seed, way=variant, mAP=precision, top1=top1, attention=spread))
    return scores


def score_all(
    folder: Path,
    tasks: Sequence[tuple[str, int]],
    truth: Mapping[str, AnnotatedVideo],
    features: Mapping[str, VideoFeatures],
    workers: int = 1,
) -> Iterator[list[Score]]:
    """The scores of every (row, seed) trained into `folder`, in order of completion."""
    engine = "inline" if workers == 1 else "processes"
    for outcome in map_unordered(_Scoring(folder, truth, features), tasks, engine, workers):
        if outcome.value is None:
            raise PlusmvError(outcome.error)
        yield outcome.value


def summarised(scores: Sequence[Score], rows: Sequence[str]) -> list[ScoreTable]:
    """A table for each variant of the proposals, with mean and sd over the seeds."""
    return [
        {
            "proposals": variant,
            "rows": [_table_row(row, [s for s in scores if (s["row"], s["way"]) == (row, variant)]) for row in rows],
        }
        for variant in PROPOSAL_VARIANTS
    ]


def _table_row(row: str, scores: Sequence[Score]) -> TableRow:
    return {
        "row": row,
        "seeds": len(scores),
        "mAP": _mean_and_sd([score["mAP"] for score in scores]),
        "top1": _mean_and_sd([score["top1"] for score in scores]),
        "attention": _mean_and_sd([score["attention"] for score in scores]),
    }


def _mean_and_sd(values: Sequence[float] | Sequence[list[float]]) -> MeanAndSd[Any]:
    deviation = np.std(values, axis=0, ddof=1).tolist() if len(values) > 1 else None
    return {"mean": np.mean(values, axis=0).tolist(), "sd": deviation}


def collapsed(folder: Path, tasks: Sequence[tuple[str, int]]) -> list[str]:
    """Warnings about runs whose attention does not separate snippets."""
    warnings: list[str] = []
    for row, seed in tasks:
        of_run = collapse_warnings(read_curves(folder / run_name(row, seed) / CURVES))
        warnings += [f"{row}, seed {seed}: {warning}" for warning in of_run]
    return warnings


def as_markdown(result: ExperimentResult) -> str:
    """The tables of an experiment in Markdown: mAP in %, mean ± sd."""
    settings = result["settings"]
    lines = [
        f"Features: {result['features']}. Timeline: {result['timeline']}, {result['training_videos']} training and"
        f" {result['test_videos']} test videos. Streams {' and '.join(settings['streams'])}, {result['epochs']} passes,"
        f" lr {settings['lr']:g}, {settings['batch']} video(s) a step, pooling {settings['pool']},"
        f" centring {settings['centre']:g}, sigma {settings['sigma']:g}, last model, {result['protocol']},"
        f" mean ± sd over {result['seeds']} seeds; {result['note']}.",
    ]
    for entry in result["tables"]:
        lines += [
            "",
            f"Proposals: {entry['proposals']}",
            "",
            f"| losses | {' | '.join(COLUMNS)} | top-1 |",
            "|---" * 11 + "|",
        ]
        for row in entry["rows"]:
            cells = [f"{100 * mean:.1f}" for mean in row["mAP"]["mean"]]
            if row["mAP"]["sd"]:
                cells = [f"{cell} ± {100 * sd:.1f}" for cell, sd in zip(cells, row["mAP"]["sd"], strict=True)]
            lines.append(f"| {row['row']} | {' | '.join(cells)} | {100 * row['top1']['mean']:.1f} |")
    return "\n".join(lines) + "\n"
