"""Training: separate streams, whole videos, a fixed number of steps; many runs in one pass.

The result is the model after the last step: nothing is selected on a test set. Runs that differ only in seed and loss
weights are trained as one stack (wsal.stack), each stream in a worker of its own. A run that was stopped (Ctrl-C,
SIGTERM) or killed and then resumed ends in the same bits.
"""

import contextlib
import hashlib
import importlib.metadata
import inspect
import json
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any

import torch

from plusmv.core.errors import Missing, PlusmvError, Refused
from plusmv.core.locks import one_command
from plusmv.core.outcome import Ended
from plusmv.core.workers import map_unordered
from plusmv.core.workspace import remove_stale_parts, write_bytes
from plusmv.wsal.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from plusmv.wsal.curves import CurveRow, collapse_warnings, curves_csv, read_curves
from plusmv.wsal.methods.find import find_method
from plusmv.wsal.model import StreamModel
from plusmv.wsal.settings import Settings
from plusmv.wsal.stack import CPU, KEEP_SECONDS, StreamVideos, other_run, train_stack
from plusmv.wsal.training_set import TrainingSet

Task = tuple[int, StreamVideos]
CHECKPOINT, CURVES = "checkpoint.safetensors", "curves.csv"


class TrainResult(Ended):
    """What `plusmv train --json` prints; done counts the videos trained on, failed those left out."""

    run: str
    checkpoint: str  # path
    finished_before: bool
    videos: int  # trained on
    microvideos: int  # of them
    left_out: dict[str, str]  # video -> why it takes no part
    classes: list[str]
    settings: dict[str, Any]  # shared ones and the method's own, see wsal.settings
    code: str  # version of the distribution and hash of the code that trained it
    last: dict[str, CurveRow]  # stream -> last row of its curves
    warnings: list[str]


class StopSignal:
    """Progress of a training and the request to stop it, shared by its processes."""

    def __init__(self, most_tasks: int = 64):
        self.steps = RawArray("q", most_tasks)  # done, by task
        self.requested = RawArray("b", 1)

    def stop(self) -> None:
        """Save the progress after the current step and end."""
        self.requested[0] = 1

    @property
    def stopping(self) -> bool:
        return bool(self.requested[0])

    @property
    def done(self) -> int:
        """Steps done, summed over streams and stacks."""
        return sum(self.steps)


def train(
    training: TrainingSet,
    settings: Settings,
    folder: Path,
    workers: int = 1,
    watch: StopSignal | None = None,
    keep_seconds: float = KEEP_SECONDS,
    device: torch.device = CPU,
) -> Checkpoint:
    """Train one run into its folder: checkpoint and curves. See `train_together`."""
    return train_together(training, {"": settings}, folder, workers, watch, keep_seconds, device)[""]


def train_together(
    training: TrainingSet,
    runs: Mapping[str, Settings],
    folder: Path,
    workers: int = 1,
    watch: StopSignal | None = None,
    keep_seconds: float = KEEP_SECONDS,
    device: torch.device = CPU,
) -> dict[str, Checkpoint]:
    """Train many runs in as few passes over the features as their settings allow; each into folder / name.

    A finished run with the same settings and data is kept. Raises Refused for a folder with a run of other
    settings or data, or one in which another process trains; KeyboardInterrupt or SystemExit after a signal, once the
    progress is saved. workers: processes; 1 trains in this one.
    """
    with one_command(folder, "a training"):
        return _train_together(training, runs, folder, workers, watch or StopSignal(), keep_seconds, device)


def _train_together(
    training: TrainingSet,
    runs: Mapping[str, Settings],
    folder: Path,
    workers: int,
    watch: StopSignal,
    keep_seconds: float,
    device: torch.device,
) -> dict[str, Checkpoint]:
    digest = training.digest()
    fingerprints = {name: _fingerprint(digest, settings) for name, settings in runs.items()}
    finished = _finished(folder, runs, fingerprints)
    stacks = _stacks({name: settings for name, settings in runs.items() if name not in finished})
    stage = _Training(runs, fingerprints, stacks, folder, watch, keep_seconds, device)
    tasks = [(index, training.of_stream(view)) for index, names in enumerate(stacks) for view in runs[names[0]].views]
    with _stopped_by_signals(watch):
        trained = dict(_run_tasks(stage, tasks, workers))
    for index, names in enumerate(stacks):
        for place, name in enumerate(names):
            views = {view: trained[index, view] for view in runs[name].views}
            finished[name] = _finish(training, runs[name], fingerprints[name], digest, views, place, folder / name)
    if finished:
        for progress in folder.glob("progress-*.safetensors"):
            progress.unlink()
    return {name: finished[name] for name in runs}


@dataclass
class _Training:
    """The stage of core.workers that trains stacks: a task is the stack's index and the one view that it needs."""

    runs: Mapping[str, Settings]
    fingerprints: Mapping[str, str]
    stacks: Sequence[Sequence[str]]
    folder: Path
    watch: StopSignal
    keep_seconds: float
    device: torch.device

    def setup(self) -> None:
        torch.set_num_threads(1)  # the matrices are small, and one thread makes the result independent of the machine
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the parent handles it and requests a stop

    def process(self, task: Task) -> tuple[list[dict], list[list[dict]]] | None:
        """Parameters and curves of each model of the stack; None if stopped."""
        index, videos = task
        stream, names = videos.stream, self.stacks[index]
        place = sum(len(self.runs[stack[0]].views) for stack in self.stacks[:index])
        place += self.runs[names[0]].views.index(stream)

        def on_step(done: int) -> bool:
            self.watch.steps[place % len(self.watch.steps)] = done
            return self.watch.stopping

        stack = train_stack(
            videos,
            [self.runs[name] for name in names],
            [self.fingerprints[name] for name in names],
            self.folder / f"progress-{index}-{stream}.safetensors",
            self.keep_seconds,
            on_step,
            self.device,
        )
        if stack is None:
            return None
        return [{n: t.numpy() for n, t in model.state_dict().items()} for model in stack.models()], stack.rows


def _run_tasks(stage: _Training, tasks: Sequence[Task], workers: int) -> Iterator:
    """((index, view), value) of all tasks; ends early once a stop is requested."""
    if workers == 1 or len(tasks) < 2:
        with _one_thread():
            for task in tasks:
                value = stage.process(task)
                if value is None:
                    return
                yield (task[0], task[1].stream), value
        return
    for outcome in map_unordered(stage, tasks, workers=workers):
        if outcome.error:
            raise PlusmvError(outcome.error)
        if outcome.value is not None:
            yield (outcome.task[0], outcome.task[1].stream), outcome.value


def _stacks(runs: Mapping[str, Settings]) -> list[list[str]]:
    """Names of the runs that can be trained together, in the order given."""
    stacks: dict[tuple, list[str]] = {}
    for name, settings in runs.items():
        stacks.setdefault(settings.shared(), []).append(name)
    return list(stacks.values())


def _finished(folder: Path, runs: Mapping[str, Settings], fingerprints: Mapping[str, str]) -> dict[str, Checkpoint]:
    found = {}
    remove_stale_parts(folder)
    for name, settings in runs.items():
        with contextlib.suppress(Missing):
            found[name] = load_checkpoint(folder / name / CHECKPOINT)
            if found[name].fingerprint != fingerprints[name]:
                raise Refused(other_run(folder / name, found[name].settings, settings))
    return found


def _finish(
    training: TrainingSet,
    settings: Settings,
    fingerprint: str,
    digest: str,
    views: Mapping[str, tuple],
    place: int,
    folder: Path,
) -> Checkpoint:
    """Write curves and checkpoint of one run; views: the stage's value for each; place: the run's in its stack."""
    models, rows = {}, []
    for view, (states, curves) in views.items():
        state = {name: torch.from_numpy(array) for name, array in states[place].items()}
        models[view] = StreamModel(len(state["mean"]), len(training.classes), settings)
        models[view].load_state_dict(state)
        models[view].eval()
        rows += curves[place]
    write_bytes(folder / CURVES, curves_csv(rows).encode())
    checkpoint = Checkpoint(
        settings,
        training.classes,
        models,
        fingerprint,
        digest,
        code_version(settings.method),
        training.recipes,
        training.weights,
        training.stride,
        len(training.videos),
        sum(video.microvideo for video in training.videos),
    )
    save_checkpoint(folder / CHECKPOINT, checkpoint)
    return checkpoint


def train_result(folder: Path, training: TrainingSet, trained: Checkpoint, finished_before: bool) -> TrainResult:
    """The result of the finished run in a folder, with the last rows of its curves and warnings about them."""
    rows = read_curves(folder / CURVES)
    return {
        "done": trained.videos,
        "skipped": 0,
        "failed": len(training.left_out),
        "run": folder.name,
        "checkpoint": str(folder / CHECKPOINT),
        "finished_before": finished_before,
        "videos": trained.videos,
        "microvideos": trained.microvideos,
        "left_out": training.left_out,
        "classes": list(trained.classes),
        "settings": trained.settings.to_json(),
        "code": trained.code,
        "last": {row["stream"]: row for row in rows},
        "warnings": collapse_warnings(rows, trained.settings),
    }


def code_version(method: str) -> str:
    """The distribution's version, and a hash over the modules that determine a trained model."""
    digest = hashlib.sha256()
    for name in ("model", "packing", "settings", "stack", "train", "views"):
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    digest.update(Path(inspect.getfile(find_method(method))).read_bytes())
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return f"{importlib.metadata.version('plusmv')}+{digest.hexdigest()[:12]}"
    return f"unknown+{digest.hexdigest()[:12]}"


def _fingerprint(digest: str, settings: Settings) -> str:
    return hashlib.sha256(json.dumps([settings.to_json(), digest], sort_keys=True).encode()).hexdigest()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _stopped_by_signals(watch: StopSignal) -> Iterator[None]:
    """On Ctrl-C or SIGTERM finish the current step, save, and end the program; on a second Ctrl-C end at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread receives signals
        return
    received: list[int] = []

    def handle(number: int, frame: object) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)
        watch.stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if watch.stopping:
        if signal.SIGTERM in received:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt
