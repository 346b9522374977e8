"""Print the statistics that the simulated features were set by: what linear probes see in them, before any method.

Run: .venv/bin/python benchmarks/simulation.py [ANNOTATIONS]
(default ../shared/thumos14/thumos14.json where it is at hand, else a drawn timeline)
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from plusmv.core.annotations import AnnotatedVideo, read_annotations
from plusmv.features.feature_files import VideoFeatures
from plusmv.wsal.evaluate import interpolated_average_precision
from plusmv.wsal.simulation import Simulation, World, drawn_timeline

SHARED = Path(__file__).resolve().parents[2] / "shared" / "thumos14" / "thumos14.json"


def main(annotations: Path) -> None:
    torch.manual_seed(0)
    known = read_annotations(annotations) if annotations.is_file() else drawn_timeline()
    classes = sorted({label for video in known.values() for label in video.labels})
    world = World(Simulation(), classes)
    train, test = ([v for v in known.values() if v.subset == subset] for subset in ("validation", "test"))
    features = {video.id: world.features(video) for video in known.values()}
    true, unseen = (np.concatenate([inside(v, features[v.id], classes) for v in some]) for some in (train, test))
    share = unseen.any(axis=1).mean()
    print(f"simulated, width {world.simulation.width}; {share:.0%} of the test snippets show an action")
    probability = []
    for stream in ("rgb", "flow"):
        arrays, others = ([features[v.id].streams[stream] for v in some] for some in (train, test))
        mean, deviation = np.concatenate(arrays).mean(axis=0), np.concatenate(arrays).std(axis=0)
        arrays, others = ([(a - mean) / deviation for a in some] for some in (arrays, others))
        background = np.concatenate([~true.any(axis=1, keepdims=True), true], axis=1)
        probability.append(probe(np.concatenate(arrays), background, np.concatenate(others))[:, 1:])
        tags = np.array([[label in v.labels for label in classes] for v in train])
        guess = probe(np.stack([a.mean(0) for a in arrays]), tags, np.stack([a.mean(0) for a in others])).argmax(1)
        within = np.mean(np.concatenate([(a - a.mean(0)) ** 2 for a in arrays]))
        top1 = np.mean([classes[g] in v.labels for g, v in zip(guess, test, strict=True)])
        print(
            f"{stream}: linear probe of snippets on true segments {mean_ap(probability[-1], unseen):.2f} mAP, of whole"
        )
        print(f"  videos {top1:.2f} top-1; {1 - within:.2f} of the variance between videos; neighbours correlate by"
              f" {correlation(arrays):.2f}")  # fmt: skip
    print(f"both: linear probe of snippets {mean_ap(sum(probability), unseen):.2f} mAP")


def inside(video: AnnotatedVideo, features: VideoFeatures, classes: Sequence[str]) -> np.ndarray:
    """(T, C) whether the middle of the snippet shows the class."""
    middle, true = features.seconds().mean(axis=1), np.zeros((features.count, len(classes)), dtype=bool)
    for instance in video.instances:
        true[(middle >= instance.start) & (middle < instance.end), classes.index(instance.label)] = True
    return true


def probe(features: np.ndarray, targets: np.ndarray, unseen: np.ndarray, steps: int = 150) -> np.ndarray:
    """Multinomial logistic regression with weight decay: probabilities of the unseen rows."""
    x, y = torch.from_numpy(features).float(), torch.from_numpy(targets / targets.sum(axis=1, keepdims=True)).float()
    layer = torch.nn.Linear(x.shape[1], y.shape[1])
    torch.nn.init.zeros_(layer.weight)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = -(y * layer(x).log_softmax(-1)).sum(1).mean() + 1e-3 * layer.weight.square().sum()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        return layer(torch.from_numpy(unseen).float()).softmax(-1).numpy()


def mean_ap(probability: np.ndarray, true: np.ndarray) -> float:
    """Over the classes, AP of the snippets."""
    order = np.argsort(-probability, axis=0)
    return float(np.mean([interpolated_average_precision(true[order[:, c], c], int(true[:, c].sum()))
                          for c in range(true.shape[1])]))  # fmt: skip


def correlation(arrays: Sequence[np.ndarray]) -> float:
    """Mean over the videos of the correlation between neighbouring snippets, around the data set's mean."""
    pairs = [(a[1:], a[:-1]) for a in arrays if len(a) > 2]
    return float(np.mean([(x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum()) for x, y in pairs]))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED)
