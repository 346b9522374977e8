"""Choose the demo's centring length on its training videos alone, and print how every length does there.

Run: .venv/bin/python benchmarks/demo_centring.py [HOME [LENGTH ...]]
(default plusmv-demo, a finished `plusmv demo`, of which features and annotations are read, and all LENGTHS)

The training videos are held out a third at a time, one video of each action in each third: a run learns from the
others, with the demo's own steps and seeds, without and with the microvideos, and detects in that third. The length
with the highest mean mAP over tIoU .1 to .9, seeds and both arms is the demo's. No test video is read.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from plusmv.core.annotations import MICROVIDEO_SUBSET, AnnotatedVideo, Instance, read_annotations, unannotated
from plusmv.demo.walk import ARMS, WalkSettings
from plusmv.demo.world import ACTIONS
from plusmv.wsal.checkpoints import Checkpoint
from plusmv.wsal.curves import collapse_warnings, read_curves
from plusmv.wsal.detect import DetectionSettings, detect_video, read_video
from plusmv.wsal.evaluate import evaluate
from plusmv.wsal.feature_source import FeatureSource
from plusmv.wsal.settings import Settings
from plusmv.wsal.train import CURVES, train_together
from plusmv.wsal.training_set import load_training_set

LENGTHS = (0.4, 0.8, 1.6, 3.2, 8.0, 16.0)


def main(home: Path, lengths: Sequence[float]) -> None:
    videos = read_annotations(home / "world" / "annotations.json", "validation")
    clips = read_annotations(home / "exports" / "microvideos.json", MICROVIDEO_SUBSET)
    source, walk = FeatureSource((home / "video-features", home / "features")), WalkSettings()
    runs = {
        f"{length:g}-{seed}": Settings(streams=walk.streams, steps=walk.steps, seed=seed, centre=length)
        for length in lengths
        for seed in walk.seeds
    }
    scores: dict[str, list[float]] = {f"{length:g}": [] for length in lengths}
    print(f"rendered data, {len(videos)} training videos, a third held out at a time; mAP in %, sd over the seeds")
    for arm in ARMS:
        found, collapsed = held_out_detections(videos, clips if ARMS[arm] else {}, source, runs)
        for length, chosen in scores.items():
            mine = [run for run in runs if run.startswith(f"{length}-")]
            results = [evaluate(videos, found[run]) for run in mine]
            chosen += [result["average_mAP"] for result in results]
            halves = 100 * np.array([result["mAP"][4] for result in results])
            print(
                f"{arm}, length {length}: mean {100 * np.mean(chosen[-len(mine) :]):.1f}, at .5 {halves.mean():.1f} ±"
                f" {halves.std(ddof=1):.1f}; {sum(collapsed[run] for run in mine)} of {3 * len(mine)} runs collapsed"
            )
    means = {length: 100 * np.mean(values) for length, values in scores.items()}
    print("both arms: " + ", ".join(f"{length} has {mean:.1f}" for length, mean in means.items()))
    print(f"chosen: {max(means, key=means.get)}")


def held_out_detections(
    videos: Mapping[str, AnnotatedVideo],
    clips: Mapping[str, AnnotatedVideo],
    source: FeatureSource,
    runs: Mapping[str, Settings],
) -> tuple[dict[str, dict[str, list[Instance]]], dict[str, int]]:
    """For each run the detections in every video, by a model that has not seen it; and how many models collapsed."""
    found: dict[str, dict[str, list[Instance]]] = {run: {} for run in runs}
    collapsed = dict.fromkeys(runs, 0)
    names, third = list(videos), len(ACTIONS)  # the world's videos go round the actions
    for start in range(0, len(names), third):
        held_out = names[start : start + third]
        training = load_training_set({n: v for n, v in videos.items() if n not in held_out}, source, None, clips)
        with tempfile.TemporaryDirectory() as folder:
            for run, trained in train_together(training, runs, Path(folder)).items():
                collapsed[run] += bool(collapse_warnings(read_curves(Path(folder) / run / CURVES)))
                for name in held_out:
                    found[run][name] = detections(trained, source, name)
    return found, collapsed


def detections(trained: Checkpoint, source: FeatureSource, video: str) -> list[Instance]:
    """What the run finds in one video, with the demo's detection settings."""
    return detect_video(read_video(trained, source.read(unannotated(video))), trained.classes, DetectionSettings())


if __name__ == "__main__":
    home, *lengths = sys.argv[1:] or ["plusmv-demo"]
    main(Path(home), [float(length) for length in lengths] or LENGTHS)
