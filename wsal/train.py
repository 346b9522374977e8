"""Training (paper Eq. 11): streams apart, one whole video a step, a fixed number of steps, the last model.

Nothing is ever selected on a test set. The order of the videos and the initial weights follow from the seed alone, so a
run that was killed and started again ends in the same bits: its progress file holds model, optimiser and curves.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from core.errors import BadInput, Refused
from core.workspace import remove_stale_parts, write_bytes
from features.feature_files import STREAMS
from wsal.checkpoints import Checkpoint, load_checkpoint, read_tensors, save_checkpoint, write_tensors
from wsal.curves import averages, curves_csv
from wsal.model import StreamModel, terms
from wsal.settings import Settings
from wsal.training_set import TrainingSet, TrainingVideo

CHECKPOINT, CURVES = "checkpoint.safetensors", "curves.csv"
KEEP_SECONDS = 10.0  # at most this much work is lost to a kill
Watch = Callable[[Iterable[int], int, str], Iterable[int]]


def train(
    training: TrainingSet,
    settings: Settings,
    folder: Path,
    watch: Watch = lambda steps, total, description: steps,
    keep_seconds: float = KEEP_SECONDS,
) -> Checkpoint:
    """Train each stream and write checkpoint and curves into the run's folder; goes on where a killed run was.

    A finished run with the same settings and data is returned as it is. Raises Refused if the folder holds a run with
    others. watch: wraps the steps of a stream, as core.commandline.track does.
    """
    remove_stale_parts(folder)
    fingerprint = _fingerprint(training, settings)
    if (folder / CHECKPOINT).exists():
        finished = load_checkpoint(folder / CHECKPOINT)
        _check_same(folder, finished.fingerprint, fingerprint, finished.settings, settings)
        _remove_progress(folder, settings)
        return finished
    models, rows = {}, []
    for stream in settings.streams:
        models[stream], found = train_stream(
            training, stream, settings, _progress(folder, stream), fingerprint, watch, keep_seconds
        )
        rows += found
    write_bytes(folder / CURVES, curves_csv(rows).encode())
    checkpoint = Checkpoint(
        settings,
        training.classes,
        models,
        fingerprint,
        training.recipes,
        training.weights,
        training.stride,
        len(training.videos),
        sum(video.microvideo for video in training.videos),
    )
    save_checkpoint(folder / CHECKPOINT, checkpoint)
    _remove_progress(folder, settings)
    return checkpoint


def train_stream(
    training: TrainingSet,
    stream: str,
    settings: Settings,
    progress: Path,
    fingerprint: str,
    watch: Watch,
    keep_seconds: float,
) -> tuple[StreamModel, list[dict]]:
    """One stream's model after `settings.steps` steps, and its curves: a row about every pass."""
    features = [torch.from_numpy(video.streams[stream]) for video in training.videos]
    targets = [torch.from_numpy(video.target) for video in training.videos]
    model = initial_model(features, len(training.classes), stream, settings)
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.lr, fused=True)
    done, rows = _resume(progress, fingerprint, model, optimiser, settings)
    order = video_order(training.videos, settings)
    interval = max(1, min(len(features), settings.steps // 20))
    seen: list[tuple[dict[str, float], np.ndarray]] = []
    kept = time.monotonic()
    for step in watch(range(done, settings.steps), settings.steps - done, f"train {stream}"):
        seen.append(training_step(model, optimiser, features[order[step]], targets[order[step]]))
        if (step + 1) % interval == 0 or step + 1 == settings.steps:
            rows.append({"stream": stream, "step": step + 1, **averages(seen)})
            seen.clear()
            if time.monotonic() - kept >= keep_seconds or step + 1 == settings.steps:
                _keep(progress, fingerprint, model, optimiser, step + 1, rows, settings)
                kept = time.monotonic()
    return model.eval(), rows


def initial_model(features: list[torch.Tensor], classes: int, stream: str, settings: Settings) -> StreamModel:
    """A centred model with random weights that follow from seed and stream, whatever ran before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.SeedSequence([settings.seed, STREAMS.index(stream)]).generate_state(1)[0]))
        model = StreamModel(features[0].shape[1], classes, settings)
    model.centre(features)
    return model


def training_step(
    model: StreamModel, optimiser: torch.optim.Optimizer, features: torch.Tensor, target: torch.Tensor
) -> tuple[dict[str, float], np.ndarray]:
    """One step on one video. Returns the weighted terms of the loss and the attention (T,) before the step.

    Raises BadInput once the loss is NaN or infinite: nothing that such a run ends in can be used.
    """
    readout = model(features)
    found = terms(model, readout, target)
    values = {name: term.item() for name, term in found.items()}
    if not all(map(math.isfinite, values.values())):
        raise BadInput("the loss is no longer a finite number; choose a smaller --lr, --centre or --loss-weights")
    optimiser.zero_grad()
    sum(found.values()).backward()
    optimiser.step()
    return values, readout.attention.detach().numpy()


def video_order(videos: Sequence[TrainingVideo], settings: Settings) -> np.ndarray:
    """(steps,) indices into `videos`: shuffled passes over all of them, from the seed alone.

    With `mv_ratio` that share of the steps goes to microvideos, which otherwise, being many and short, take most.
    """
    draws = np.random.default_rng(settings.seed)
    micro = np.array([video.microvideo for video in videos])
    if settings.mv_ratio is None or micro.all() or not micro.any():
        return _passes(np.arange(len(videos)), settings.steps, draws)
    from_micro = draws.random(settings.steps) < settings.mv_ratio
    order = np.empty(settings.steps, dtype=np.int64)
    order[from_micro] = _passes(np.flatnonzero(micro), from_micro.sum(), draws)
    order[~from_micro] = _passes(np.flatnonzero(~micro), (~from_micro).sum(), draws)
    return order


def _passes(indices: np.ndarray, count: int, draws: np.random.Generator) -> np.ndarray:
    passes = [draws.permutation(indices) for _ in range(-(-int(count) // len(indices)))]
    return np.concatenate([np.zeros(0, dtype=np.int64), *passes])[:count]


def _fingerprint(training: TrainingSet, settings: Settings) -> str:
    text = json.dumps([settings.to_json(), training.digest()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _progress(folder: Path, stream: str) -> Path:
    return folder / f"progress-{stream}.safetensors"


def _remove_progress(folder: Path, settings: Settings) -> None:
    for stream in settings.streams:
        _progress(folder, stream).unlink(missing_ok=True)


def _check_same(folder: Path, theirs: str, ours: str, then: Settings, now: Settings) -> None:
    if theirs == ours:
        return
    before, after = then.to_json(), now.to_json()
    changed = [f"{name} was {before[name]}, now {after[name]}" for name in after if before[name] != after[name]]
    difference = f"settings ({'; '.join(changed)})" if changed else "training data"
    raise Refused(f"{folder} holds a run with other {difference}; choose another --run, or remove that folder")


def _keep(
    progress: Path, fingerprint: str, model: StreamModel, optimiser, step: int, rows: list[dict], settings
) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": tensor for name, tensor in state.items()}
    facts = {"fingerprint": fingerprint, "settings": settings.to_json(), "step": step, "rows": rows}
    write_tensors(progress, tensors, facts)


def _resume(
    progress: Path, fingerprint: str, model: StreamModel, optimiser, settings: Settings
) -> tuple[int, list[dict]]:
    """Load what was kept into model and optimiser: steps done and curve rows so far, (0, []) for a fresh start."""
    if not progress.exists():
        return 0, []
    tensors, facts = read_tensors(progress)
    _check_same(progress.parent, facts["fingerprint"], fingerprint, Settings.from_json(facts["settings"]), settings)
    model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
    states: dict[int, dict] = {}
    for name, tensor in tensors.items():
        if name.startswith("adam."):
            _, index, field = name.split(".")
            states.setdefault(int(index), {})[field] = tensor
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
    return facts["step"], facts["rows"]
