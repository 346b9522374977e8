"""I3D weights as we keep them: safetensors that say where they are from, checked against their own hash when loaded.

Also the two stand-ins that are used only when asked for by name: flow weights made of RGB ones, and random ones.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open

from plusmv.core.errors import BadInput, Missing
from plusmv.core.workspace import write_bytes
from plusmv.features.i3d_layers import CHANNELS, FIRST, LOGITS, tensor_shapes
from plusmv.features.serialise import safetensors_bytes


@dataclass(frozen=True)
class Weights:
    """One network's tensors (numpy, named as in i3d_layers) and the label by which feature files name them."""

    name: str
    label: str
    tensors: dict[str, np.ndarray]


def weights_path(name: str) -> Path:
    """Where converted weights lie: in PLUSMV_WEIGHTS, by default the user's cache folder. All workspaces share them."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("PLUSMV_WEIGHTS") or cache / "plusmv") / f"i3d_{name}.safetensors"


def kept_names() -> set[str]:
    """Names of all weights that are kept."""
    found = weights_path("x").parent.glob("i3d_*.safetensors")
    return {path.stem.removeprefix("i3d_") for path in found}


def load(name: str, stream: str | None = None) -> Weights:
    """Load kept weights, for a stream if one is given.

    Raises Missing with the command that gets them, BadInput where the file is damaged or of the other stream.
    """
    path = weights_path(name)
    if not path.is_file():
        remedy = f"get them with: plusmv weights {name}"
        if name == "flow":
            remedy += (
                "; or leave flow out with --streams rgb, or make them of the RGB ones with --flow-init cross-modality"
            )
        raise Missing(f"the I3D {name} weights are not in {path.parent}; {remedy}")
    tensors, metadata = read_kept(path)
    channels = tensors[f"{FIRST}/weight"].shape[1] if f"{FIRST}/weight" in tensors else None
    if stream is not None and channels != CHANNELS[stream]:
        raise BadInput(f"the weights {name} are no {stream} network: its first layer takes {channels} channels")
    return Weights(name, f"i3d_{name} from {metadata['origin']}, tensors {metadata['tensors_sha256'][:16]}", tensors)


def keep(name: str, tensors: Mapping[str, np.ndarray], provenance: Mapping[str, str]) -> Path:
    """Write weights to where `load` finds them, by rename; provenance: origin, licence and source hash, all text."""
    content = safetensors_bytes(tensors, {**provenance, "tensors_sha256": tensors_sha256(tensors)})
    write_bytes(weights_path(name), content)
    return weights_path(name)


def read_kept(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and metadata of a kept file. Raises BadInput where it is not what was written."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # a damaged header can name a number format that numpy lacks, among others
        raise BadInput(f"cannot read the weights in {path}: {error}; delete the file and fetch it again") from error
    if metadata.get("tensors_sha256") != tensors_sha256(tensors):
        raise BadInput(f"the weights in {path} are damaged; delete the file and fetch it again")
    return tensors, metadata


def tensors_sha256(tensors: Mapping[str, np.ndarray]) -> str:
    """Hash of names, shapes and values: the same whatever file the weights came in."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}\n".encode())
        digest.update(np.ascontiguousarray(tensors[name]).data)
    return digest.hexdigest()


def cross_modality(rgb: Weights) -> Weights:
    """Flow weights made of RGB ones: the first convolution averaged over its inputs and repeated for two.

    Wang et al. 2016 (TSN) start a flow network like this; here nothing is trained after it, so the label says so.
    """
    first = "Conv3d_1a_7x7/weight"
    mean = rgb.tensors[first].mean(axis=1, keepdims=True)
    return Weights("flow", f"cross-modality from {rgb.label}", {**rgb.tensors, first: np.repeat(mean, 2, axis=1)})


def random_weights(name: str, seed: int = 0) -> Weights:
    """Untrained weights (He normal, batch norm that changes nothing), always labelled so."""
    generator = np.random.default_rng(seed)
    tensors = {}
    for tensor, shape in tensor_shapes(CHANNELS[name]).items():
        if tensor.endswith("/weight"):
            spread = np.float32(np.sqrt(2 / np.prod(shape[1:])))
            tensors[tensor] = generator.standard_normal(shape, np.float32) * spread
        else:
            tensors[tensor] = np.full(shape, tensor.endswith("/variance"), np.float32)
    return Weights(name, f"random (untrained, seed {seed})", tensors)


def last_layer(weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """The classifier: weight (400, 1024) and bias (400,)."""
    return weights.tensors[f"{LOGITS}/weight"], weights.tensors[f"{LOGITS}/bias"]
