"""Training a stack of models of one stream in one pass over the features: the steps, and what is kept.

The runs of a stack see the same videos in the same order and may differ in seeds and loss weights. A method is written
as one model; torch.func.vmap applies it to all of the stack, whose parameters have a leading axis M. So a run ends near
where it would end alone (rounding differs), and a run that was stopped anywhere ends in the same bits: all randomness
follows from the seeds, and what is kept on disk holds everything else.
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
from plusmv.features.feature_files import STREAMS
from plusmv.wsal.checkpoints import read_tensors, write_tensors
from plusmv.wsal.curves import averages
from plusmv.wsal.methods.method import Method
from plusmv.wsal.model import StreamModel
from plusmv.wsal.packing import Packed
from plusmv.wsal.settings import Settings

CPU = torch.device("cpu")
KEEP_SECONDS = 10.0  # at most this much work is lost to a kill

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
    """What a stack trains on: the features of one stream, and the labels."""

    stream: str
    features: list[np.ndarray]  # (T, d) float32 each
    targets: np.ndarray  # (videos, C+1) float32
    microvideo: np.ndarray  # (videos,) bool


class _Objective(nn.Module):
    """A method's loss terms and attention as the forward of one module, which functional_call can apply."""

    def __init__(self, method: Method):
        super().__init__()
        self.method = method

    def forward(self, videos: Packed) -> tuple[dict[str, Tensor], Tensor]:
        readout = self.method(videos.features)
        return self.method.losses(readout, videos), readout.attention


class Stack:
    """M models, their optimiser, and the curves so far."""

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
        """Each loss term, not yet weighted, (M, B), and the attention (M, N)."""
        state = self.parameters | self.buffers
        if self.template.method.stackable and len(self.settings) > 1:
            return vmap(lambda one: functional_call(self.objective, one, (videos,)), randomness="same")(state)
        each = [
            functional_call(self.objective, {name: tensor[index] for name, tensor in state.items()}, (videos,))
            for index in range(len(self.settings))
        ]
        terms = {name: torch.stack([found[name] for found, _ in each]) for name in each[0][0]}
        return terms, torch.stack([attention for _, attention in each])

    def step(self, videos: Packed) -> None:
        """One step of every model on the same packed videos."""
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
        """The models as they are now, each by itself, on the CPU."""
        found = []
        for index in range(len(self.settings)):
            model = copy.deepcopy(self.template)
            model.settings = self.settings[index]
            model.method.settings = self.settings[index].own
            state = {name: tensor[index].detach() for name, tensor in (self.parameters | self.buffers).items()}
            model.load_state_dict({"mean": model.mean, "scale": model.scale} | state)
            found.append(model.cpu())
        return found

    def close_row(self, stream: str) -> None:
        """Turn what was seen since the last row into a row of each model's curves.

        Raises BadInput once a loss is NaN or infinite: nothing that such a run ends in can be used.
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
        """Everything that the next step depends on, and the metrics since the last row."""
        found = {f"model.{name}": tensor.detach() for name, tensor in (self.parameters | self.buffers).items()}
        states = self.optimiser.state_dict()["state"]
        for index, name in enumerate(self.parameters):
            found |= {f"adam.{key}.{name}": tensor for key, tensor in states.get(index, {}).items()}
        return {name: tensor.cpu() for name, tensor in (found | self.seen.tensors()).items()}

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor], places: Sequence[int]) -> None:
        """Take up what `tensors` kept; model i of this stack was model places[i] of that one."""
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

    def add(self, found: dict[str, Tensor], attention: Tensor, videos: Packed) -> None:
        within = videos.spread_within(attention)
        for name, term in (found if within is None else found | {"attention_within": within}).items():
            self.terms.setdefault(name, []).append(term)
        self.attention.append(attention)

    def rows(self) -> list[dict[str, float]]:
        """For each model the mean of each term, and the attention's mean and quantiles."""
        terms = {name: torch.stack(values).cpu().double().mean(0).tolist() for name, values in self.terms.items()}
        attention = torch.cat(self.attention, dim=1).cpu().numpy()
        return [
            {name: values[index] for name, values in terms.items()} | averages(attention[index])
            for index in range(len(attention))
        ]

    def tensors(self) -> dict[str, Tensor]:
        if not self.attention:
            return {}
        found = {f"seen.{name}": torch.stack(values) for name, values in self.terms.items()}
        return found | {"seen.attention": torch.cat(self.attention, dim=1)}

    @classmethod
    def of(cls, tensors: dict[str, Tensor], places: Sequence[int]) -> "MetricsBuffer":
        if "seen.attention" not in tensors:
            return cls()
        kept = {n.removeprefix("seen."): t for n, t in tensors.items() if n.startswith("seen.")}
        attention = kept.pop("attention")[list(places)]
        return cls({name: list(values[:, list(places)]) for name, values in kept.items()}, [attention])


def initial_model(videos: StreamVideos, settings: Settings) -> StreamModel:
    """A centred model with random weights that follow from seed and stream, whatever ran before."""
    width, classes = videos.features[0].shape[1], videos.targets.shape[1] - 1
    with torch.random.fork_rng(devices=[]):
        sequence = np.random.SeedSequence([settings.seed, STREAMS.index(videos.stream)])
        torch.manual_seed(int(sequence.generate_state(1)[0]))
        model = StreamModel(width, classes, settings)
    if settings.centre:
        model.centre(*map(torch.from_numpy, snippet_statistics(videos.features)))
    return model


def snippet_statistics(features: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (d,) float32 over all snippets, video by video: no second copy of the features."""
    count = sum(map(len, features))
    mean = sum(video.sum(axis=0, dtype=np.float64) for video in features) / count
    square = sum(((video - mean) ** 2).sum(axis=0) for video in features) / count
    return mean.astype(np.float32), np.sqrt(square).astype(np.float32)


def video_order(microvideo: np.ndarray, settings: Settings) -> np.ndarray:
    """(steps, batch) indices of videos: shuffled passes over all of them, from the seed alone.

    With `mv_ratio` that share of the videos seen are microvideos, which otherwise, being many and short, are most.
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
    """The packed videos of each step, centred once; single videos stay packed."""

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
            self.features[index] = self.single[index].features  # one copy is enough
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
    """Train the stack to its last step; goes on from what `progress` kept. None if asked to stop: then it is kept.

    fingerprints: of each run's settings and data, which identify it. on_step: called with the steps done after each;
    returns whether to stop. Raises Refused if `progress` is of other runs.
    """
    stack = Stack(videos, settings, device)
    _resume(progress, fingerprints, stack)
    feed = BatchFeed(videos, stack.template, settings[0])
    steps, a_pass = settings[0].steps, -(-len(videos.features) // settings[0].batch)
    interval = max(1, min(a_pass, steps // 20))
    kept = time.monotonic()
    with torch.random.fork_rng():
        while stack.done < steps:
            torch.manual_seed(settings[0].order * steps + stack.done)  # of dropout and the like, in whatever process
            stack.step(feed.at(stack.done))
            if stack.done % interval == 0 or stack.done == steps:
                stack.close_row(videos.stream)
            stopping = on_step(stack.done)
            if stopping or stack.done == steps or time.monotonic() - kept >= keep_seconds:
                _keep(progress, fingerprints, stack)
                kept = time.monotonic()
            if stopping and stack.done < steps:
                return None
    return stack


def _keep(progress: Path, fingerprints: Sequence[str], stack: Stack) -> None:
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
    """Load what was kept into the stack; nothing where nothing was."""
    if not progress.exists():
        return
    tensors, facts = read_tensors(progress)
    if facts.get("format") != PROGRESS:
        raise Refused(f"{progress} was left by another version of plusmv; remove it to start this training again")
    known = set(fingerprints) & set(facts["runs"])
    if known and len(known) < len(fingerprints):
        counts = f"{len(facts['runs'])} and not {len(fingerprints)}"
        raise Refused(
            f"{progress.parent} holds an unfinished training of other runs, {counts}; "
            "finish it first as it was asked for, choose another --run, or remove that folder"
        )
    if not known:
        then = Settings.from_json(facts["settings"][0])
        raise Refused(other_run(progress.parent, then, stack.settings[0], "an unfinished run"))
    places = [facts["runs"].index(fingerprint) for fingerprint in fingerprints]
    stack.load(tensors, places)
    stack.done = facts["step"]
    stack.rows = [facts["rows"][fingerprint] for fingerprint in fingerprints]


def other_run(folder: Path, then: Settings, now: Settings, kind: str = "a run") -> str:
    """In one line, how what lies in a run's folder differs from what was asked for."""
    before, after = then.to_json(), now.to_json()
    changed = [f"{name} was {before.get(name)}, now {after[name]}" for name in after if before.get(name) != after[name]]
    difference = f"settings ({'; '.join(changed)})" if changed else "training data"
    return f"{folder} holds {kind} with other {difference}; choose another --run, or remove that folder"
