"""Training a stack of models of one stream in one pass over the features: the steps, and the saved progress.

The runs of a stack see the same videos in the same order and may differ in seeds and loss weights. A method is written
as one model; torch.func.vmap applies it to the whole stack, whose parameters have a leading axis M. A run's weights are
those of the run alone up to rounding. A run that was stopped and resumed ends in the same bits: all randomness follows
from the seeds, and the progress file holds all other state.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from plusmv.core.errors import BadInput, Refused
from plusmv.wsal.checkpoints import read_tensors, write_tensors
from plusmv.wsal.curves import attention_statistics
from plusmv.wsal.methods.method import Method
from plusmv.wsal.model import StreamModel
from plusmv.wsal.packing import Packed
from plusmv.wsal.settings import Settings
from plusmv.wsal.views import seed_parts

CPU = torch.device("cpu")
KEEP_SECONDS = 10.0  # between saves: at most this much work is lost

PROGRESS = "plusmv progress 2"


class ProgressMetadata(TypedDict):
    """The JSON in the metadata of an unfinished stack's tensors, under "plusmv"."""

    format: str
    runs: list[str]  # fingerprint of each run
    settings: list[dict[str, Any]]  # of each run, see wsal.settings
    step: int
    rows: dict[str, list[dict[str, Any]]]  # fingerprint -> rows of the run's curves, see wsal.curves.CurveRow


@dataclass(frozen=True)
class StreamVideos:
    """The training data of a stack: features of one view of a stream, and labels."""

    stream: str  # or a view of it, see wsal.views
    features: list[np.ndarray]  # (T, d) float32 each
    targets: np.ndarray  # (videos, C+1) float32
    microvideo: np.ndarray  # (videos,) bool


class _Objective(nn.Module):
    """A method's loss terms and attention as the forward of one module, for functional_call."""

    def __init__(self, method: Method):
        super().__init__()
        self.method = method

    def forward(self, videos: Packed) -> tuple[dict[str, Tensor], Tensor]:
        readout = self.method.outputs(videos)
        return self.method.losses(readout, videos), readout.attention


class Stack:
    """M models, their optimiser, and their curves so far."""

    def __init__(self, videos: StreamVideos, settings: Sequence[Settings], device: torch.device = CPU):
        self.settings = list(settings)
        first, *_ = models = [initial_model(videos, each) for each in settings]
        self.template = first.to(device)
        self.objective = _Objective(self.template.method)
        parameters, buffers = stack_module_state([_Objective(model.to(device).method) for model in models])
        self.parameters = {name: tensor.detach().requires_grad_() for name, tensor in parameters.items()}  # (M, ...)
        self.buffers = buffers  # (M, ...)
        self.optimiser = torch.optim.Adam(self.parameters.values(), lr=settings[0].lr, fused=device.type != "mps")
        self.done = 0  # steps
        self.rows: list[list[dict[str, Any]]] = [[] for _ in settings]  # of each model's curves
        self.seen = MetricsBuffer()
        self.weights: dict[str, Tensor] = {}  # loss term -> (M,)

    def terms(self, videos: Packed) -> tuple[dict[str, Tensor], Tensor]:
        """Each unweighted loss term (M, B), and the attention (M, N)."""
        state = self.parameters | self.buffers
        if self.template.method.stackable and len(self.settings) > 1:
            return vmap(lambda one: functional_call(self.objective, one, (videos,)), randomness="same")(state)
        each = []
        for index in range(len(self.settings)):
            torch.manual_seed(torch.initial_seed())  # each model draws what it draws alone, as under vmap
            one = {name: tensor[index] for name, tensor in state.items()}
            each.append(functional_call(self.objective, one, (videos,)))
        terms = {name: torch.stack([one[name] for one, _ in each]) for name in each[0][0]}
        return terms, torch.stack([attention for _, attention in each])

    def step(self, videos: Packed) -> None:
        """One optimiser step of every model on the same packed videos."""
        terms, attention = self.terms(videos)
        weighted = {name: self._weight(name, term) * term.mean(-1) for name, term in terms.items()}  # (M,) each
        self.optimiser.zero_grad()
        torch.stack(list(weighted.values())).sum().backward()
        self.optimiser.step()
        self.done += 1
        self.seen.add({name: term.detach() for name, term in weighted.items()}, attention.detach(), videos)

    def _weight(self, name: str, term: Tensor) -> Tensor:
        if name not in self.weights:
            self.weights[name] = term.new_tensor([each.term_weight(name) for each in self.settings])
        return self.weights[name]

    def models(self) -> list[StreamModel]:
        """The current models, unstacked, on the CPU."""
        models = []
        for index in range(len(self.settings)):
            model = copy.deepcopy(self.template)
            model.settings = self.settings[index]
            model.method.settings = self.settings[index].own
            state = {name: tensor[index].detach() for name, tensor in (self.parameters | self.buffers).items()}
            model.load_state_dict({"mean": model.mean, "scale": model.scale} | state)
            models.append(model.cpu())
        return models

    def close_row(self, stream: str) -> None:
        """Add a row to each model's curves: averages since the row before.

        Raises BadInput for a loss that is not finite: such a run cannot recover.
        """
        for rows, each, row in zip(self.rows, self.settings, self.seen.rows(), strict=True):
            used = [name for name in self.weights if each.term_weight(name)]
            kept = {name: value for name, value in row.items() if name in used or name.startswith("attention_")}
            loss = sum(kept[name] for name in used)
            if not all(map(math.isfinite, (loss, *kept.values()))):
                raise BadInput(
                    "the loss is no longer a finite number; choose a smaller --lr, --centre or --loss-weights"
                )
            rows.append({"stream": stream, "step": self.done, "loss": loss, **kept})
        self.seen = MetricsBuffer()

    def tensors(self) -> dict[str, Tensor]:
        """All state of the training: parameters, optimiser, and the metrics since the last row."""
        state = {f"model.{name}": tensor.detach() for name, tensor in (self.parameters | self.buffers).items()}
        states = self.optimiser.state_dict()["state"]
        for index, name in enumerate(self.parameters):
            state |= {f"adam.{key}.{name}": tensor for key, tensor in states.get(index, {}).items()}
        return {name: tensor.cpu() for name, tensor in (state | self.seen.tensors()).items()}

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor], places: Sequence[int]) -> None:
        """Restore the state in `tensors`; model i of this stack was model places[i] of that one."""
        chosen = list(places)
        for name, tensor in (self.parameters | self.buffers).items():
            tensor.copy_(tensors[f"model.{name}"][chosen])
        states = {}
        for index, name in enumerate(self.parameters):
            keys = {n.split(".")[1]: t for n, t in tensors.items() if n.startswith("adam.") and n.endswith(f".{name}")}
            states[index] = {key: t if key == "step" else t[chosen] for key, t in keys.items()}  # `step` has no axis M
        states = {index: state for index, state in states.items() if state}
        self.optimiser.load_state_dict({"state": states, "param_groups": self.optimiser.state_dict()["param_groups"]})
        self.seen = MetricsBuffer.of(tensors, places)


@dataclass
class MetricsBuffer:
    """Loss terms and attention of the steps since the last row of the curves."""

    terms: dict[str, list[Tensor]] = field(default_factory=dict)  # name, or "attention_within" -> (M,) a step
    attention: list[Tensor] = field(default_factory=list)  # (M, N) a step

    def add(self, terms: dict[str, Tensor], attention: Tensor, videos: Packed) -> None:
        within = videos.spread_within(attention)
        for name, term in (terms if within is None else terms | {"attention_within": within}).items():
            self.terms.setdefault(name, []).append(term)
        self.attention.append(attention)

    def rows(self) -> list[dict[str, float]]:
        """For each model the mean of each term, and the attention's mean and quantiles."""
        terms = {name: torch.stack(values).cpu().double().mean(0).tolist() for name, values in self.terms.items()}
        attention = torch.cat(self.attention, dim=1).cpu().numpy()
        return [
            {name: values[index] for name, values in terms.items()} | attention_statistics(attention[index])
            for index in range(len(attention))
        ]

    def tensors(self) -> dict[str, Tensor]:
        if not self.attention:
            return {}
        state = {f"seen.{name}": torch.stack(values) for name, values in self.terms.items()}
        return state | {"seen.attention": torch.cat(self.attention, dim=1)}

    @classmethod
    def of(cls, tensors: dict[str, Tensor], places: Sequence[int]) -> "MetricsBuffer":
        if "seen.attention" not in tensors:
            return cls()
        kept = {n.removeprefix("seen."): t for n, t in tensors.items() if n.startswith("seen.")}
        attention = kept.pop("attention")[list(places)]
        return cls({name: list(values[:, list(places)]) for name, values in kept.items()}, [attention])


def initial_model(videos: StreamVideos, settings: Settings) -> StreamModel:
    """A centred model with random weights that depend on seed and view only."""
    width, classes = videos.features[0].shape[1], videos.targets.shape[1] - 1
    with torch.random.fork_rng(devices=[]):
        sequence = np.random.SeedSequence([settings.seed, *seed_parts(videos.stream)])
        torch.manual_seed(int(sequence.generate_state(1)[0]))
        model = StreamModel(width, classes, settings)
    if settings.centre:
        model.centre(*map(torch.from_numpy, snippet_statistics(videos.features)))
    return model


def snippet_statistics(features: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (d,) float32 over all snippets, video by video to avoid a copy of the features."""
    count = sum(map(len, features))
    mean = sum(video.sum(axis=0, dtype=np.float64) for video in features) / count
    square = sum(((video - mean) ** 2).sum(axis=0) for video in features) / count
    return mean.astype(np.float32), np.sqrt(square).astype(np.float32)


def video_order(microvideo: np.ndarray, settings: Settings) -> np.ndarray:
    """(steps, batch) indices of videos: shuffled passes over all of them, from the seed alone.

    With `mv_ratio` that share of the indices are microvideos, which are most of the videos otherwise.
    """
    draws, count = np.random.default_rng(settings.order), settings.steps * settings.batch
    if settings.mv_ratio is None or microvideo.all() or not microvideo.any():
        order = _passes(np.arange(len(microvideo)), count, draws)
    else:
        from_micro = draws.random(count) < settings.mv_ratio
        order = np.empty(count, dtype=np.int64)
        order[from_micro] = _passes(np.flatnonzero(microvideo), from_micro.sum(), draws)
        order[~from_micro] = _passes(np.flatnonzero(~microvideo), (~from_micro).sum(), draws)
    return order.reshape(settings.steps, settings.batch)


def _passes(indices: np.ndarray, count: int, draws: np.random.Generator) -> np.ndarray:
    passes = [draws.permutation(indices) for _ in range(-(-int(count) // len(indices)))]
    return np.concatenate([np.zeros(0, dtype=np.int64), *passes])[:count]


class BatchFeed:
    """The packed videos of each step. Features are centred once; packed single videos are cached."""

    def __init__(self, videos: StreamVideos, model: StreamModel, settings: Settings):
        with torch.no_grad():
            device = model.mean.device
            self.features = [model.centred(torch.from_numpy(video).to(device)) for video in videos.features]
        self.targets = torch.from_numpy(videos.targets).to(device)
        self.order = video_order(videos.microvideo, settings)
        self.single: dict[int, Packed] = {}

    def at(self, step: int) -> Packed:
        chosen = self.order[step].tolist()
        if len(chosen) > 1:
            return Packed([self.features[index] for index in chosen], self.targets[chosen])
        (index,) = chosen
        if index not in self.single:
            self.single[index] = Packed([self.features[index]], self.targets[chosen])
            self.features[index] = self.single[index].features  # share the memory
        return self.single[index]


def train_stack(
    videos: StreamVideos,
    settings: Sequence[Settings],
    fingerprints: Sequence[str],
    progress: Path,
    keep_seconds: float = KEEP_SECONDS,
    on_step: Callable[[int], bool] = lambda done: False,
    device: torch.device = CPU,
) -> Stack | None:
    """Train the stack to its last step, resuming from `progress`. None if stopped, with the progress saved.

    fingerprints: of each run's settings and data, which identify it. on_step: called after each step with their number;
    returns whether to stop. Raises Refused if `progress` belongs to other runs.
    """
    stack = Stack(videos, settings, device)
    _resume(progress, fingerprints, stack)
    feed = BatchFeed(videos, stack.template, settings[0])
    steps, a_pass = settings[0].steps, -(-len(videos.features) // settings[0].batch)
    interval = max(1, min(a_pass, steps // 20))
    saved_at = time.monotonic()
    with torch.random.fork_rng():
        while stack.done < steps:
            torch.manual_seed(settings[0].order * steps + stack.done)  # of dropout and the like, in any process
            stack.step(feed.at(stack.done))
            if stack.done % interval == 0 or stack.done == steps:
                stack.close_row(videos.stream)
            stopping = on_step(stack.done)
            if stopping or stack.done == steps or time.monotonic() - saved_at >= keep_seconds:
                _save_progress(progress, fingerprints, stack)
                saved_at = time.monotonic()
            if stopping and stack.done < steps:
                return None
    return stack


def _save_progress(progress: Path, fingerprints: Sequence[str], stack: Stack) -> None:
    rows = dict(zip(fingerprints, stack.rows, strict=True))
    settings = [each.to_json() for each in stack.settings]
    metadata: ProgressMetadata = {
        "format": PROGRESS,
        "runs": list(fingerprints),
        "settings": settings,
        "step": stack.done,
        "rows": rows,
    }
    write_tensors(progress, stack.tensors(), metadata)


def _resume(progress: Path, fingerprints: Sequence[str], stack: Stack) -> None:
    """Load saved progress into the stack, if there is any."""
    if not progress.exists():
        return
    tensors, facts = read_tensors(progress)
    if facts.get("format") != PROGRESS:
        raise Refused(f"{progress} was written by another version of plusmv; remove it to start this training again")
    known = set(fingerprints) & set(facts["runs"])
    if known and len(known) < len(fingerprints):
        counts = f"{len(facts['runs'])} and not {len(fingerprints)}"
        raise Refused(
            f"{progress.parent} holds an unfinished training of other runs, {counts}; "
            "finish it first with its own command, choose another --run, or remove that folder"
        )
    if not known:
        then = Settings.from_json(facts["settings"][0])
        raise Refused(other_run(progress.parent, then, stack.settings[0], "an unfinished run"))
    places = [facts["runs"].index(fingerprint) for fingerprint in fingerprints]
    stack.load(tensors, places)
    stack.done = facts["step"]
    stack.rows = [facts["rows"][fingerprint] for fingerprint in fingerprints]


def other_run(folder: Path, then: Settings, now: Settings, kind: str = "a run") -> str:
    """The message that a run's folder holds other settings or data than requested."""
    before, after = then.to_json(), now.to_json()
    changed = [f"{name} was {before.get(name)}, now {after[name]}" for name in after if before.get(name) != after[name]]
    difference = f"settings ({'; '.join(changed)})" if changed else "training data"
    return f"{folder} holds {kind} with other {difference}; choose another --run, or remove that folder"
