"""Checkpoints: one safetensors file per run, with everything needed to use it. No pickles."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from plusmv.core.errors import BadInput, Missing, one_line
from plusmv.core.workspace import write_bytes
from plusmv.wsal.model import StreamModel
from plusmv.wsal.settings import Settings

FORMAT, PREVIOUS_FORMAT = "plusmv checkpoint 3", "plusmv checkpoint 2"


@dataclass(frozen=True)
class Checkpoint:
    """A trained run: its models, and what it was trained with and on."""

    settings: Settings
    classes: tuple[str, ...]  # class c of the models is classes[c - 1]; 0 is the background
    models: dict[str, StreamModel]  # one for each view of its settings, see wsal.views
    fingerprint: str  # of settings and training data
    data: str  # sha256 over classes, targets and features of the training data
    code: str  # version of the distribution and hash of the code that trained it
    recipes: tuple[str, ...]  # recipe hashes of the features, () if unknown
    weights: dict[str, str]  # stream -> the networks that made its features, also of streams not trained on
    stride: int  # of the features, frames
    videos: int
    microvideos: int


class CheckpointMetadata(TypedDict):
    """The JSON in a checkpoint file's metadata, under "plusmv": a Checkpoint without its models."""

    format: str
    settings: dict[str, Any]  # see wsal.settings
    classes: list[str]
    fingerprint: str
    data: str
    code: str
    recipes: list[str]
    weights: dict[str, str]
    stride: int
    videos: int
    microvideos: int


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write atomically: the previous checkpoint survives a full disk."""
    tensors = {f"{s}.{name}": t for s, model in checkpoint.models.items() for name, t in model.state_dict().items()}
    write_tensors(path, tensors, _metadata(checkpoint))


def _metadata(checkpoint: Checkpoint) -> CheckpointMetadata:
    return {
        "format": FORMAT,
        "settings": checkpoint.settings.to_json(),
        "classes": list(checkpoint.classes),
        "fingerprint": checkpoint.fingerprint,
        "data": checkpoint.data,
        "code": checkpoint.code,
        "recipes": list(checkpoint.recipes),
        "weights": checkpoint.weights,
        "stride": checkpoint.stride,
        "videos": checkpoint.videos,
        "microvideos": checkpoint.microvideos,
    }


def load_checkpoint(path: Path, device: torch.device | None = None) -> Checkpoint:
    """A checkpoint with its models on the device (default: the CPU).

    Raises Missing for a missing file, BadInput for one that is not a plusmv checkpoint.
    """
    tensors, metadata = read_tensors(path)
    try:
        if not isinstance(metadata, dict):
            raise ValueError("its metadata are no object")
        format_name = metadata.pop("format")
        if format_name not in (FORMAT, PREVIOUS_FORMAT):
            raise ValueError("not a plusmv checkpoint")
        settings = Settings.from_json(metadata.pop("settings"))
        metadata |= {name: tuple(metadata[name]) for name in ("classes", "recipes")}
        if format_name == PREVIOUS_FORMAT:
            tensors = _convert_previous(tensors, settings)
        models = {v: _model(v, tensors, len(metadata["classes"]), settings).to(device) for v in settings.views}
        return Checkpoint(settings, models=models, **metadata)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadInput(f"cannot use the checkpoint {path}: {one_line(error)}; train again") from error


def _convert_previous(tensors: Mapping[str, Tensor], settings: Settings) -> dict[str, Tensor]:
    """Format 2 stored a stream's linear maps as rows of one matrix: hidden layer, C+1 classes, two clusters."""
    converted = {}
    for stream in settings.streams:
        old = {name.removeprefix(f"{stream}."): t for name, t in tensors.items() if name.startswith(f"{stream}.")}
        hidden, classifier, clusters = old["weight"].split(
            [n := len(old["hidden_bias"]), len(old["weight"]) - n - 2, 2]
        )
        new = {
            "hidden.weight": hidden,
            "hidden.bias": old["hidden_bias"],
            "attention.weight": old["attention_weight"][None],
            "attention.bias": old["attention_bias"],
            "classifier.weight": classifier,
            "clusters.weight": clusters,
        } | ({"classifier.bias": old["bias"]} if "bias" in old else {})
        expected = StreamModel(hidden.shape[1], len(classifier) - 1, settings).method.state_dict()
        for name, tensor in expected.items():  # without a background class the first row is left out
            converted[f"{stream}.method.{name}"] = new[name][len(new[name]) - len(tensor) :]
        converted |= {f"{stream}.{name}": old[name] for name in ("mean", "scale")}
    return converted


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, object]) -> None:
    """Write one safetensors file atomically, with metadata as JSON under "plusmv"."""
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()}, {"plusmv": json.dumps(metadata)})
    write_bytes(
        path, content
    )  # not save_file: it writes to a memory map, and a full disk kills the process with SIGBUS


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a file of write_tensors. Raises Missing or BadInput."""
    if not path.is_file():
        raise Missing(
            f"there is no checkpoint {path}; train one with `plusmv train`, or name it with --run or --checkpoint"
        )
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["plusmv"])  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"cannot read {path}: {one_line(error)}; remove it, and train again") from error


def _model(view: str, tensors: Mapping[str, Tensor], classes: int, settings: Settings) -> StreamModel:
    state = {name.removeprefix(f"{view}."): tensor for name, tensor in tensors.items() if name.startswith(f"{view}.")}
    model = StreamModel(len(state["mean"]), classes, settings)
    model.load_state_dict(state)
    return model.eval()
