"""Our tensors in the layouts that others publish, for tests of the way back."""

import os
import re
import struct
from pathlib import Path

import numpy as np
import torch

from plusmv.features.i3d_layers import LOGITS
from plusmv.features.tensorflow_bundle import MAGIC

THEIRS = {
    "weight": ("params", "Conv_0", "kernel"),
    "bias": ("params", "Conv_0", "bias"),
    "beta": ("params", "BatchNorm_0", "bias"),
    "mean": ("batch_stats", "BatchNorm_0", "mean"),
    "variance": ("batch_stats", "BatchNorm_0", "var"),
}


def flax_checkpoint(tensors: dict[str, np.ndarray]) -> dict:
    """{unit/part: array} -> {"params": {"Mixed_3b": {"Branch_0/Conv3d_0a_1x1": {"Conv_0": {"kernel": ...}}}}, ...}."""
    checkpoint: dict = {}
    for name, array in tensors.items():
        unit, part = name.rsplit("/", 1)
        top, layer, leaf = THEIRS[part]
        if part == "weight":
            array = array.reshape(*array.shape, *(1,) * (5 - array.ndim)).transpose(2, 3, 4, 1, 0)
        elif top == "batch_stats":
            array = array.reshape(1, 1, 1, 1, -1)
        place = checkpoint.setdefault(top, {})
        for step in (*unit.split("/", 1), layer):
            place = place.setdefault(step, {})
        place[leaf] = array
    return checkpoint


def torch_state(tensors: dict[str, np.ndarray], layout: str) -> dict[str, torch.Tensor]:
    """{unit/part: array} -> the state dict of piergiaj's or of hassony2's port, batch norm's scale of one included."""
    state = {}
    for name, array in tensors.items():
        unit, part = name.rsplit("/", 1)
        theirs, norm = _torch_unit(unit, layout)
        tensor = torch.from_numpy(array.copy())
        if unit == LOGITS:
            state[f"{theirs}.conv3d.{part}"] = tensor.view(*tensor.shape, 1, 1, 1) if part == "weight" else tensor
        elif part == "weight":
            state[f"{theirs}.conv3d.weight"] = tensor
            state[f"{theirs}.{norm}.weight"] = torch.ones(len(tensor))
            state[f"{theirs}.{norm}.num_batches_tracked"] = torch.tensor(7)
        else:
            leaf = {"beta": "bias", "mean": "running_mean", "variance": "running_var"}[part]
            state[f"{theirs}.{norm}.{leaf}"] = tensor
    return state


def _torch_unit(unit: str, layout: str) -> tuple[str, str]:
    block = re.fullmatch(r"(Mixed_\w\w)/Branch_(\d)/Conv3d_0([ab])_.*", unit)
    if layout == "piergiaj":
        if unit == LOGITS:
            return "logits", ""
        if block is None:
            return unit, "bn"
        mixed, branch, letter = block.groups()
        return f"{mixed}.b{branch}{'' if branch == '0' else letter}", "bn"
    if unit == LOGITS:
        return "conv3d_0c_1x1", ""
    if block is None:
        return unit.lower(), "batch3d"
    mixed, branch, letter = block.groups()
    place = {"0": "", "3": ".1"}.get(branch, f".{'ab'.index(letter)}")
    return f"{mixed.lower()}.branch_{branch}{place}", "batch3d"


def tensorflow_files(prefix: Path, stream: str, tensors: dict[str, np.ndarray]) -> Path:
    """Write {unit/part: array} as a TensorFlow checkpoint, two files; returns <prefix>.index."""
    top = {"rgb": "RGB", "flow": "Flow"}[stream]
    entries, data = {b"": _field(1, 1)}, b""
    for name, array in tensors.items():
        unit, part = name.rsplit("/", 1)
        unit = unit.replace("Mixed_5b/Branch_2/Conv3d_0b_3x3", "Mixed_5b/Branch_2/Conv3d_0a_3x3")
        if part == "weight":
            array = array.reshape(*array.shape, *(1,) * (5 - array.ndim)).transpose(2, 3, 4, 1, 0)
        leaf = {"weight": "conv_3d/w", "bias": "conv_3d/b"}.get(part) or (
            "batch_norm/" + {"beta": "beta", "mean": "moving_mean", "variance": "moving_variance"}[part]
        )
        content = np.ascontiguousarray(array, "<f4").tobytes()
        shape = b"".join(_field(2, _field(1, size)) for size in array.shape)
        entry = _field(1, 1) + _field(2, shape) + _field(4, len(data)) + _field(5, len(content))
        entries[f"{top}/inception_i3d/{unit}/{leaf}".encode()] = entry
        data += content
    Path(f"{prefix}.data-00000-of-00001").write_bytes(data)
    index = Path(f"{prefix}.index")
    index.write_bytes(_table(dict(sorted(entries.items()))))
    return index


def _table(entries: dict[bytes, bytes], keys_a_block: int = 50) -> bytes:
    """A LevelDB table: blocks of keys that share beginnings, a block about them, and the footer."""
    table, handles, names = b"", {}, list(entries)
    for start in range(0, len(names), keys_a_block):
        part = names[start : start + keys_a_block]
        block = _block({name: entries[name] for name in part})
        handles[part[-1]] = _varint(len(table)) + _varint(len(block))
        table += block + bytes(5)
    ends = []
    for block in (_block({}), _block(handles)):
        ends.append(_varint(len(table)) + _varint(len(block)))
        table += block + bytes(5)
    return table + b"".join(ends).ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def _block(entries: dict[bytes, bytes]) -> bytes:
    content, before = b"", b""
    for name, value in entries.items():
        shared = len(os.path.commonprefix([before, name]))  # noqa: RUF071 (bytes, no paths)
        content += _varint(shared) + _varint(len(name) - shared) + _varint(len(value)) + name[shared:] + value
        before = name
    return content + struct.pack("<II", 0, 1)


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    content = b""
    while value > 127:
        content += bytes([value & 127 | 128])
        value >>= 7
    return content + bytes([value])
