"""Print how fast training, detection and evaluation are, as ratios in one run, on simulated THUMOS14 features.

Run: .venv/bin/python benchmarks/bench_wsal.py [ANNOTATIONS] [--full]
(default ../shared/thumos14/thumos14.json where it is at hand, else a drawn timeline)

What is compared runs in turns, on one thread of one process, in CPU time. --full also
trains 200 videos of real length at width 1,024 for 100 passes, two streams, and prints time and memory.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from plusmv.core.annotations import AnnotatedVideo, Instance, read_annotations, read_detections
from plusmv.wsal.checkpoints import Checkpoint
from plusmv.wsal.detect import DetectionSettings, VideoReadout, detect_video, present_classes, read_video
from plusmv.wsal.evaluate import evaluate
from plusmv.wsal.experiments import ablation_rows, seeded
from plusmv.wsal.settings import Settings
from plusmv.wsal.simulation import SimulatedFeatures, Simulation, World, drawn_timeline
from plusmv.wsal.stack import BatchFeed, Stack, StreamVideos
from plusmv.wsal.training_set import TrainingSet, load_training_set

SHARED = Path(__file__).resolve().parents[2] / "shared" / "thumos14"
BASE = Settings(lr=3e-4, order_seed=0, steps=100_000)
ROUNDS, STEPS = 5, 60


def main(annotations: Path, full: bool) -> None:
    torch.set_num_threads(1)
    known = read_annotations(annotations) if annotations.is_file() else drawn_timeline()
    print(f"simulated features, width 256, timeline: {annotations.name if annotations.is_file() else 'drawn'}")
    classes = sorted({label for video in known.values() for label in video.labels})
    source = SimulatedFeatures(World(Simulation(), classes))
    training = load_training_set({k: v for k, v in known.items() if v.subset == "validation"}, source)
    stacked_against_single(training)
    packed_against_single(source, classes)
    test = {name: video for name, video in known.items() if video.subset == "test"}
    detection_against_loops(training, source, test)
    evaluation()
    if full:
        subprocess.run([sys.executable, __file__, "--train-1024"], check=True)


def seconds_in_turns(jobs: dict[str, Callable[[], None]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median CPU seconds of each job, run in turns."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.process_time()
            job()
            times[name].append(time.process_time() - start)
    return {name: float(np.median(spent)) for name, spent in times.items()}


class Steps:
    """A stack that goes on over the same videos, `count` steps a call."""

    def __init__(self, videos: StreamVideos, settings: Sequence[Settings], count: int = STEPS):
        self.stack, self.count = Stack(videos, settings), count
        self.feed = BatchFeed(videos, self.stack.template, settings[0])
        self()  # buffers and optimiser states

    def __call__(self) -> None:
        for step in range(self.count):
            self.stack.step(self.feed.at(step))
        self.stack.seen = type(self.stack.seen)()


def stacked_against_single(training: TrainingSet) -> None:
    rows, videos = list(ablation_rows(BASE).values()), training.of_stream("rgb")
    everything = list(seeded(ablation_rows(BASE), 5).values())
    spent = seconds_in_turns({
        "one": Steps(videos, rows[-1:]),
        "eight": Steps(videos, rows),
        "forty": Steps(videos, everything),
    })  # fmt: skip
    each = {"one": spent["one"] / STEPS, "eight": spent["eight"] / STEPS / 8, "forty": spent["forty"] / STEPS / 40}
    rates = {name: 1 / seconds for name, seconds in each.items()}
    print(
        f"steps/s of one configuration: {rates['one']:.0f} alone, {rates['eight']:.0f} of 8, {rates['forty']:.0f} of 40"
    )
    print(f"a step of one configuration, alone / in a stack of 8: {each['one'] / each['eight']:.2f} times as fast")
    print(
        f"the whole ablation (8 rows x 5 seeds) against separate runs: {each['one'] / each['forty']:.2f} times as fast"
    )


def packed_against_single(source: SimulatedFeatures, classes: Sequence[str], count: int = 192, batch: int = 16) -> None:
    draws = np.random.default_rng(0)
    durations = draws.uniform(6, 15, count)
    clips = [AnnotatedVideo(f"clip{i}", "", float(d), 25.0, ()) for i, d in enumerate(durations)]
    features = [found.streams["rgb"] for found in source.read_all(clips)[0].values()]
    targets = np.eye(len(classes) + 1, dtype=np.float32)[1 + np.arange(count) % len(classes)]
    videos = StreamVideos("rgb", features, targets, np.zeros(count, bool))
    spent = seconds_in_turns({
        "single": Steps(videos, [BASE], count),
        "packed": Steps(videos, [replace(BASE, batch=batch)], count // batch),
    })  # fmt: skip
    print(
        f"clips of 6-15 s, {batch} packed a step: {spent['single'] / spent['packed']:.1f} times as fast as one by one"
    )


def detection_against_loops(training: TrainingSet, source, test: dict[str, AnnotatedVideo]) -> None:
    models = {}
    for stream in training.streams:
        steps = Steps(training.of_stream(stream), [BASE], 200)
        models[stream] = steps.stack.models()[0].eval()
    trained = Checkpoint(BASE, training.classes, models, "", "", "", training.recipes, {}, 16, len(training.videos), 0)
    features, _ = source.read_all(test.values())
    readouts: dict[str, VideoReadout] = {}

    def read() -> None:
        readouts.update({name: read_video(trained, found) for name, found in features.items()})

    read()
    settings = DetectionSettings()
    fast: dict[str, list] = {}
    slow: dict[str, list] = {}
    jobs = {
        "read": read,
        "fast": lambda: fast.update({n: detect_video(r, trained.classes, settings) for n, r in readouts.items()}),
        "slow": lambda: slow.update({n: plain_detections(r, trained.classes, settings) for n, r in readouts.items()}),
    }
    spent = seconds_in_turns(jobs, 3)
    same = all(kept_set(fast[name]) == kept_set(slow[name]) for name in readouts)
    whole = (spent["read"] + spent["slow"]) / (spent["read"] + spent["fast"])
    print(f"detection in {len(test)} videos: {spent['fast']:.2f} s (and {spent['read']:.2f} s to apply the models);"
          f" plain loops take {spent['slow'] / spent['fast']:.0f} times as long, {whole:.0f} times with the models;"
          f" kept sets {'identical' if same else 'DIFFERENT'}")  # fmt: skip


def kept_set(detections: Sequence) -> set:
    """What non-maximum suppression left, without the scores' last digits."""
    return {(i.label, i.start, i.end) for i in detections}


def plain_detections(readout: VideoReadout, classes: tuple[str, ...], settings: DetectionSettings) -> list:
    """What wsal.detect.detect_video finds with the attention's proposals: Eq. 12 and NMS as written, by loops."""
    attention = readout.mean_attention().tolist()
    shares, seconds, found = readout.shares(settings.rgb_share), readout.seconds.tolist(), []
    lam = {stream: array.tolist() for stream, array in readout.attention.items()}
    for index in present_classes(readout.probability, settings.gate).tolist():
        tcam = {stream: array[:, index].tolist() for stream, array in readout.activation.items()}
        scored = []
        for level in settings.levels.tolist():
            for start, end in plain_runs(attention, level):
                total = 0.0
                for t in range(start, end):
                    for stream, share in shares.items():
                        total += share * lam[stream][t] * tcam[stream][t]
                if seconds[end - 1][1] > seconds[start][0]:
                    scored.append((total / (end - start), seconds[start][0], seconds[end - 1][1]))
        scored.sort(key=lambda each: -each[0])
        kept = []
        for candidate in scored:
            if all(plain_tiou(candidate, better) <= settings.dropping for better in kept):
                kept.append(candidate)
        found += [Instance(classes[index - 1], start, end, score) for score, start, end in kept]
    return sorted(found, key=lambda instance: -instance.score)


def plain_runs(signal: Sequence[float], level: float) -> list[tuple[int, int]]:
    """Maximal runs above a threshold, snippet by snippet."""
    runs, start = [], None
    for t, value in enumerate([*signal, -1.0]):
        if value > level and start is None:
            start = t
        elif value <= level and start is not None:
            runs.append((start, t))
            start = None
    return runs


def plain_tiou(first: tuple, second: tuple) -> float:
    both = max(0.0, min(first[2], second[2]) - max(first[1], second[1]))
    union = (first[2] - first[1]) + (second[2] - second[1]) - both
    return both / union if union > 0 else 0.0


def evaluation() -> None:
    if not (SHARED / "stpn_results.json").is_file():
        print("evaluation skipped: no published detections at hand")
        return
    truth, found = read_annotations(SHARED / "stpn_gt.json"), read_detections(SHARED / "stpn_results.json")
    golden = next(iter(json.loads((SHARED / "golden_map.json").read_text()).values()))
    result = evaluate(truth, found)
    worst = max(np.abs(np.subtract(result["per_class"][name], golden["AP"][name])).max() for name in golden["AP"])
    spent = seconds_in_turns({"evaluate": lambda: evaluate(truth, found) and None}, 10)
    print(
        f"evaluation of the published detections: {spent['evaluate']:.3f} s, {worst:.1e} from the official AP at most"
    )


def train_1024() -> None:
    """200 videos of real length, width 1,024, all losses, two streams, 100 passes: the command's own way."""
    from plusmv.wsal.train import StopSignal, train

    known = read_annotations(SHARED / "thumos14.json") if SHARED.is_dir() else drawn_timeline()
    classes = sorted({label for video in known.values() for label in video.labels})
    source = SimulatedFeatures(World(Simulation(width=1024), classes))
    training = load_training_set({k: v for k, v in known.items() if v.subset == "validation"}, source)
    settings = Settings(streams=training.streams, steps=100 * len(training.videos))
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        train(training, settings, Path(folder), workers=2, watch=StopSignal())
    spent = time.perf_counter() - start
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    theirs, busy = workers.ru_maxrss / 2**20, (workers.ru_utime + workers.ru_stime) / 2
    print(f"{len(training.videos)} videos, width 1,024, two streams, 100 passes: {spent / 60:.1f} minutes, two workers,"
          f" {busy / 60:.1f} minutes of CPU each;"
          f" peak memory {own:.2f} GiB, {theirs:.2f} GiB a worker, {own + 2 * theirs:.2f} GiB in all")  # fmt: skip


if __name__ == "__main__":
    if "--train-1024" in sys.argv:
        train_1024()
    else:
        paths = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
        main(Path(paths[0]) if paths else SHARED / "thumos14.json", "--full" in sys.argv)
