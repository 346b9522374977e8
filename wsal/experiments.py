"""Experiments: many runs in one pass, each scored on the test set once, after its last step; mean and sd over seeds.

The ablation is the paper's Table 1: L_fg with every choice of L_bg, L_guide and L_cluster, and STPN's row where wanted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch

from plusmv.core.annotations import AnnotatedVideo
from plusmv.core.errors import BadInput, PlusmvError
from plusmv.core.workers import map_unordered
from plusmv.features.feature_files import VideoFeatures
from plusmv.wsal.checkpoints import Checkpoint, load_checkpoint
from plusmv.wsal.curves import collapse_warnings, read_curves
from plusmv.wsal.detect import DetectionSettings, detect_video, read_video
from plusmv.wsal.evaluate import THUMOS_TIOUS, evaluate
from plusmv.wsal.methods.find import find_method
from plusmv.wsal.settings import Settings
from plusmv.wsal.train import CHECKPOINT, CURVES

WAYS = {  # of making proposals; the table names its own
    "attention > 0 to .5 (the paper)": DetectionSettings(),
    "attention > 0 to 1": DetectionSettings(thresholds=tuple(step / 40 for step in range(40))),
    "attention x sigmoid(T-CAM) > .05 (STPN)": DetectionSettings(proposals="tcam"),
}
COLUMNS = tuple(f".{step}" for step in range(1, 10))  # tIoU
ORDER_NOTE = "stacked runs share the order of the videos, so the sd, over initial weights only, leaves it out"


@dataclass(frozen=True)
class Score:
    """One run under one way of making proposals."""

    row: str
    seed: int
    way: str
    mAP: list[float]  # at tIoU .1 to .9
    top1: float  # share of the test videos whose most probable class is one of theirs
    attention: list[float]  # 10 %, mean and 90 % of the mean attention over all test snippets


def ablation_rows(base: Settings, others: Sequence[Settings] = ()) -> dict[str, Settings]:
    """Row name -> settings: every choice of the weighted terms of base's method, in the paper's order, then others."""
    weights = find_method(base.method).WEIGHTS
    rows = {}
    for chosen in sorted(product((False, True), repeat=len(weights)), key=sum):
        names = [name for name, wanted in zip(weights, chosen, strict=True) if wanted]
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
    """Detect with one run in every video, once for each way of making proposals."""
    readouts = {name: read_video(trained, found) for name, found in features.items()}
    best = {name: trained.classes[readout.probability[1:].argmax()] for name, readout in readouts.items()}
    top1 = float(np.mean([label in truth[name].labels for name, label in best.items()]))
    attention = np.concatenate([readout.mean_attention() for readout in readouts.values()])
    low, high = np.quantile(attention, [0.1, 0.9]).tolist()
    spread = [low, float(attention.mean()), high]
    scores = []
    for way, settings in WAYS.items():
        found = {name: detect_video(readout, trained.classes, settings) for name, readout in readouts.items()}
        scores.append(Score(row, seed, way, evaluate(truth, found, THUMOS_TIOUS)["mAP"], top1, spread))
    return scores


def score_all(
    folder: Path,
    tasks: Sequence[tuple[str, int]],
    truth: Mapping[str, AnnotatedVideo],
    features: Mapping[str, VideoFeatures],
    workers: int = 1,
) -> Iterator[list[Score]]:
    """The scores of every (row, seed) trained into `folder`, as they come."""
    engine = "inline" if workers == 1 else "processes"
    for outcome in map_unordered(_Scoring(folder, truth, features), tasks, engine, workers):
        if outcome.value is None:
            raise PlusmvError(outcome.error)
        yield outcome.value


def summarised(scores: Sequence[Score], rows: Sequence[str]) -> list[dict]:
    """One entry a way of making proposals, its rows with mean and sd (over seeds, n - 1) of mAP, top-1, attention."""
    tables = []
    for way in WAYS:
        entries = []
        for row in rows:
            mine = [asdict(score) for score in scores if (score.row, score.way) == (row, way)]
            entries.append({"row": row, "seeds": len(mine)} | {
                name: {"mean": _mean(mine, name), "sd": _deviation(mine, name)} for name in ("mAP", "top1", "attention")
            })  # fmt: skip
        tables.append({"proposals": way, "rows": entries})
    return tables


def collapsed(folder: Path, tasks: Sequence[tuple[str, int]]) -> list[str]:
    """What the curves of the runs say of attentions that tell no snippet from another."""
    found = []
    for row, seed in tasks:
        warnings = collapse_warnings(read_curves(folder / run_name(row, seed) / CURVES))
        found += [f"{row}, seed {seed}: {warning}" for warning in warnings]
    return found


def as_markdown(result: dict) -> str:
    """The tables of an experiment, for a LOG: mAP in %, mean ± sd."""
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


def _mean(scores: Sequence[dict], name: str) -> object:
    return np.mean([score[name] for score in scores], axis=0).tolist()


def _deviation(scores: Sequence[dict], name: str) -> object:
    if len(scores) < 2:
        return None  # one seed says nothing of the spread
    return np.std([score[name] for score in scores], axis=0, ddof=1).tolist()
