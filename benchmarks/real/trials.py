"""Trials on worlds composed of real clips: folds over the *training* sources and seeds, all trained at once.

    .venv/bin/python benchmarks/real/trials.py --data ../shared/real [--world cut] [--relative] [--prior 0.01]

A first look at a candidate takes half a minute a world on one core; what wins is then run by `plusmv train` at full
width. The runs of all folds and seeds are padded to one tensor, since their data differ (wsal.stack needs the same
data). One stream, RGB; the method's four losses (Eq. 1 to 11) written out again, pooling by the attention's mass.
`--data` is a folder with real.csv, segments.json and features/, as `plusmv compose` takes them. Prints mAP in % at
tIoU .1 .3 .5 .7 for each way of detection, and the sd at .5 over folds and seeds. Composed of real clips.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from plusmv.core.annotations import AnnotatedVideo, read_annotations
from plusmv.features.feature_files import VideoFeatures, read_features
from plusmv.wsal.composed import ClipFeatures, compose, read_clips
from plusmv.wsal.detect import DetectionSettings, VideoReadout, detect_video
from plusmv.wsal.evaluate import evaluate
from plusmv.wsal.packing import gaussian

SOURCES, FOLDS, SEEDS, HIDDEN, CENTRE = range(1, 12), 4, 2, 256, 8.0  # sources 12 to 16 are the test's
IN_SCENE, JUDGED = ("BasketballDunk", "CricketBowling", "Surfing"), ("BasketballDunk", "CricketBowling")
MOST = {"Surfing": 5, "HorseRace": 3, "CricketBowling": 2, "PizzaTossing": 2, "BasketballDunk": 1, "Archery": 1}
TIOUS = (0.1, 0.3, 0.5, 0.7)
WAYS = {
    "attention (paper)": DetectionSettings(),
    "T-CAM (STPN)": DetectionSettings(proposals="tcam"),
    "two-sided": DetectionSettings(proposals="two-sided", overlap=0.4),
}
Videos = list[tuple[AnnotatedVideo, VideoFeatures]]


@dataclass
class Fold:
    """One run: its training videos as centred features and targets, its held-out videos, its seed."""

    training: list[Tensor]  # (T, d) each
    targets: Tensor  # (V, C+1)
    held_out: Videos
    classes: tuple[str, ...]
    shift: np.ndarray  # (d,)
    scale: np.ndarray  # (d,)
    relative: bool
    seed: int

    def centred(self, features: VideoFeatures) -> Tensor:
        return torch.from_numpy(((view(features, self.relative) - self.shift) * self.scale).astype(np.float32))


def view(features: VideoFeatures, relative: bool) -> np.ndarray:
    """(T, d) features, or what of them changes within the video."""
    x = features.streams["rgb"]
    return x - x.mean(0) if relative else x


def make_fold(training: Videos, held_out: Videos, relative: bool, seed: int) -> Fold:
    classes = tuple(sorted({label for video, _ in training for label in video.labels}))
    snippets = np.concatenate([view(features, relative) for _, features in training])
    deviation = snippets.std(0)
    scale = np.where(deviation > 1e-6, CENTRE / math.sqrt(len(deviation)) / np.maximum(deviation, 1e-6), 0)
    targets = torch.zeros(len(training), len(classes) + 1)
    for row, (video, _) in enumerate(training):
        for label in video.labels:
            targets[row, 1 + classes.index(label)] = 1 / len(video.labels)
    fold = Fold([], targets, held_out, classes, snippets.mean(0), scale, relative, seed)
    fold.training = [fold.centred(features) for _, features in training]
    return fold


def folds(data: Path, world: str, relative: bool) -> list[Fold]:
    clips = read_clips(data / "real.csv")
    if world == "in-scene":
        clips = [clip for clip in clips if clip.label in IN_SCENE]
    features = {clip.id: read_features([data / "features"], clip.id) for clip in clips}
    material = ClipFeatures(features, read_annotations(data / "segments.json"))
    made = []
    for number in range(FOLDS):
        held_out = [source for source in SOURCES if source % FOLDS == number]
        sources = {"training": [source for source in SOURCES if source not in held_out], "test": held_out}
        composed = list(compose("cut" if world == "cut" else "in-scene", clips, material, sources,
                                MOST if world == "cut" else None, seed=number))  # fmt: skip
        training, test = ([pair for pair in composed if pair[0].subset == subset] for subset in ("training", "test"))
        made += [make_fold(training, test, relative, FOLDS * seed + number) for seed in range(SEEDS)]
    return made


def initial(runs: list[Fold]) -> dict[str, Tensor]:
    """Weights of every run, with a leading axis M; as nn.Linear draws them."""
    d, outputs = runs[0].training[0].shape[1], len(runs[0].classes) + 1
    shapes = {"hidden": (d, HIDDEN), "hidden_bias": (1, HIDDEN), "attention": (HIDDEN, 1), "attention_bias": (1, 1),
              "classifier": (d, outputs), "clusters": (d, 2)}  # fmt: skip
    made: dict[str, list[Tensor]] = {name: [] for name in shapes}
    for run in runs:
        draws = torch.Generator().manual_seed(run.seed)
        for name, shape in shapes.items():
            bound = 1 / math.sqrt(HIDDEN if name.startswith("attention") else d)
            made[name].append((2 * torch.rand(shape, generator=draws) - 1) * bound)
    return {name: torch.stack(each).requires_grad_() for name, each in made.items()}


def outputs(weights: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """The attention's logits (M, T) and the T-CAM (M, T, C+1) of snippets x (M, T, d)."""
    hidden = (torch.bmm(x, weights["hidden"]) + weights["hidden_bias"]).relu()
    logits = (torch.bmm(hidden, weights["attention"]) + weights["attention_bias"])[..., 0]
    return logits, torch.bmm(x, weights["classifier"])


def smoothed(signal: Tensor, mask: Tensor) -> Tensor:
    """G(1) * signal (M, T), edge values repeated within each video's own length."""
    kernel = gaussian(1.0).to(signal)
    radius, count = len(kernel) // 2, signal.shape[1]
    places = torch.arange(-radius, count + radius).clamp(min=0).expand(len(signal), -1)
    padded = signal.gather(1, torch.minimum(places, mask.sum(1, keepdim=True).long() - 1))
    return torch.stack([kernel[tap] * padded[:, tap : tap + count] for tap in range(len(kernel))]).sum(0)


def loss(weights: dict[str, Tensor], x: Tensor, mask: Tensor, target: Tensor, prior: float) -> Tensor:
    """Eq. 11 of M videos, one a run: (M,); plus prior x the mean squared logit of the attention."""
    logits, tcam = outputs(weights, x)
    foreground, background = logits.sigmoid() * mask, (-logits).sigmoid() * mask

    def pooled(share: Tensor, values: Tensor) -> Tensor:
        return (share[..., None] * values).sum(1) / share.sum(1, keepdim=True).clamp_min(1e-8)

    def mean(signal: Tensor) -> Tensor:
        return (signal * mask).sum(1) / mask.sum(1)

    p = tcam.detach().softmax(-1)
    strongest = smoothed(p.masked_fill((target == 0)[:, None], 0).amax(-1), mask)
    any_action = smoothed(1 - p[..., 0], mask)
    clusters = [torch.bmm(pooled(share, x)[:, None], weights["clusters"])[:, 0] for share in (foreground, background)]
    terms = -(target * pooled(foreground, tcam).log_softmax(-1)).sum(-1)
    terms = terms - 0.1 * pooled(background, tcam).log_softmax(-1)[:, 0]
    terms = terms + 0.1 * mean((foreground - strongest).abs() + (foreground - any_action).abs())
    terms = terms - 0.1 * (clusters[0].log_softmax(-1)[:, 0] + clusters[1].log_softmax(-1)[:, 1])
    return terms + prior * mean(logits.square())


def train(runs: list[Fold], steps: int, lr: float, prior: float) -> dict[str, Tensor]:
    weights = initial(runs)
    optimiser = torch.optim.Adam(weights.values(), lr=lr, fused=True)
    draws = [np.random.default_rng([run.seed, 1]) for run in runs]
    orders = [np.concatenate([each.permutation(len(run.training)) for _ in range(-(-steps // len(run.training)))])
              for each, run in zip(draws, runs, strict=True)]  # fmt: skip
    for step in range(steps):
        videos = [run.training[order[step]] for run, order in zip(runs, orders, strict=True)]
        x = torch.nn.utils.rnn.pad_sequence(videos, batch_first=True)
        mask = torch.arange(x.shape[1])[None] < torch.tensor([[len(video)] for video in videos])
        target = torch.stack([run.targets[order[step]] for run, order in zip(runs, orders, strict=True)])
        optimiser.zero_grad()
        loss(weights, x, mask.float(), target, prior).sum().backward()
        optimiser.step()
    return {name: tensor.detach() for name, tensor in weights.items()}


def read(run: Fold, weights: dict[str, Tensor], features: VideoFeatures) -> VideoReadout:
    logits, tcam = outputs(weights, run.centred(features)[None])
    attention = logits.sigmoid()
    probability = ((attention[..., None] * tcam).sum(1) / attention.sum(1, keepdim=True)).softmax(-1)
    return VideoReadout(features.seconds(), probability[0].numpy(), {"rgb": attention[0].numpy()},
                        {"rgb": tcam[0].numpy()}, features=features.streams)  # fmt: skip


def scores(run: Fold, weights: dict[str, Tensor], judged: tuple[str, ...]) -> dict[str, np.ndarray]:
    """{way of detection: mAP in % at TIOUS over the judged classes}."""
    truth = {video.id: video for video, _ in run.held_out}
    readouts = {video.id: read(run, weights, features) for video, features in run.held_out}
    found = {}
    for way, settings in WAYS.items():
        detections = {name: detect_video(readout, run.classes, settings) for name, readout in readouts.items()}
        per_class = evaluate(truth, detections, TIOUS)["per_class"]
        found[way] = 100 * np.mean([per_class[label] for label in judged or run.classes], axis=0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "real")
    parser.add_argument("--world", choices=("in-scene", "cut"), action="append")
    parser.add_argument("--relative", action="store_true", help="take each video's mean off its features")
    parser.add_argument("--prior", type=float, default=0.0, help="weight of the mean squared logit of the attention")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--lr", type=float, default=1e-4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for world in options.world or ("in-scene", "cut"):
        runs = folds(options.data, world, options.relative)
        weights = train(runs, options.steps, options.lr, options.prior)
        each = [{name: tensor[index : index + 1] for name, tensor in weights.items()} for index in range(len(runs))]
        judged = JUDGED if world == "in-scene" else ()
        table = [scores(run, one, judged) for run, one in zip(runs, each, strict=True)]
        print(f"{world}, composed of real clips: {FOLDS} folds of training sources x {SEEDS} seeds")
        for way in WAYS:
            values = np.array([row[way] for row in table])
            numbers = "  ".join(f"{value:4.1f}" for value in values.mean(0))
            print(f"  {way:20} {numbers}   sd at .5: {values[:, 2].std():.1f}", flush=True)


if __name__ == "__main__":
    main()
