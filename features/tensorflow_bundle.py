"""TensorFlow checkpoints without TensorFlow: an index, which is a LevelDB table, and data files of plain arrays.

Format: tensorflow/core/util/tensor_bundle and LevelDB's table format. Only what DeepMind's I3D needs: uncompressed
blocks, float32 tensors, little-endian.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from plusmv.core.errors import BadInput

MAGIC = 0xDB4775248B80FB57
FOOTER = 48  # bytes
FLOAT32 = 1  # of TensorFlow's DataType
LARGEST = 1 << 30  # bytes of a checkpoint; the real ones have 50 million


def read_bundle(index: Path) -> dict[str, np.ndarray]:
    """Every float32 tensor of a checkpoint by name; index: the path that ends in .index.

    Raises BadInput where a file is missing, damaged or cut short.
    """
    index = Path(index)
    try:
        entries = {name: entry for name, entry in _entries(whole(index)) if entry.get(1) == FLOAT32}
        if sum(entry.get(5, 0) for entry in entries.values()) > LARGEST:  # many may share few bytes
            raise ValueError("it names more bytes than any I3D checkpoint has")
        return {name: _tensor(index, entry) for name, entry in entries.items()}
    except (IndexError, struct.error, ValueError, OverflowError, UnicodeDecodeError, TypeError) as error:
        raise BadInput(f"{index} is no TensorFlow checkpoint index, or damaged ({error})") from error


def whole(path: Path) -> bytes:
    """A checkpoint file's bytes. Raises BadInput where it cannot be read, or is too large to be one."""
    if path.exists() and not path.is_file():  # a pipe or a device may never end
        raise BadInput(f"cannot read {path}: it is not a regular file")
    try:
        if path.stat().st_size > LARGEST:
            raise BadInput(f"{path} is too large to be an I3D checkpoint")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _entries(table: bytes) -> Iterator[tuple[str, dict]]:
    """(tensor name, its BundleEntryProto by field number) of a LevelDB table."""
    footer = table[-FOOTER:]
    if len(footer) < FOOTER or struct.unpack("<Q", footer[-8:])[0] != MAGIC:
        raise ValueError("its end is missing")
    _, place = _handle(footer, 0)  # of the block about blocks, which says nothing that is needed
    (offset, size), _ = _handle(footer, place)
    for _, handle in _block(table, offset, size):
        (offset, size), _ = _handle(handle, 0)
        for key, value in _block(table, offset, size):
            if key:  # the empty key is the header
                yield key.decode(), _message(value)


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block; a key shares its beginning with the one before."""
    content = table[offset : offset + size]
    if len(content) < size or table[offset + size] != 0:
        raise ValueError("a block is cut short or compressed")
    end = size - 4 - 4 * struct.unpack("<I", content[-4:])[0]
    place, key = 0, b""
    while place < end:
        shared, place = _varint(content, place)
        own, place = _varint(content, place)
        length, place = _varint(content, place)
        key = key[:shared] + content[place : place + own]
        yield key, content[place + own : place + own + length]
        place += own + length


def _tensor(index: Path, entry: dict) -> np.ndarray:
    """One tensor's numbers from its data file. Fields: 2 shape, 3 shard, 4 offset, 5 size."""
    dims = [_message(dim).get(1, 0) for dim in _message(entry.get(2, b""), repeated=True).get(2, [])]
    size, offset = entry.get(5, 0), entry.get(4, 0)
    if any(dim < 0 for dim in dims) or size != 4 * int(np.prod(dims, dtype=object)) or size > LARGEST:
        raise ValueError("a tensor's size does not fit its shape")
    pattern = f"{_escaped(index.stem)}.data-{entry.get(3, 0):05d}-of-*"
    path = next((path for path in index.parent.glob(pattern) if path.is_file()), None)
    if path is None:
        raise BadInput(f"beside {index} there is no {pattern}; a TensorFlow checkpoint is two files")
    with open(path, "rb") as file:
        file.seek(offset)
        content = file.read(size)
    if len(content) < size:
        raise BadInput(f"{path} is cut short: it ends inside a tensor")
    return np.frombuffer(content, "<f4").reshape(dims)


def _escaped(name: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


def _message(content: bytes, repeated: bool = False) -> dict:
    """A protocol buffer's fields by number: integers, bytes; repeated: lists of bytes for field 2."""
    fields: dict = {}
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        number, kind = tag >> 3, tag & 7
        value: int | bytes
        if kind == 0:
            value, place = _varint(content, place)
        elif kind == 2:
            length, place = _varint(content, place)
            value, place = content[place : place + length], place + length
        elif kind in (1, 5):
            width = 8 if kind == 1 else 4
            value, place = content[place : place + width], place + width
        else:
            raise ValueError(f"a field of kind {kind}")
        if repeated and number == 2:
            fields.setdefault(2, []).append(value)
        else:
            fields[number] = value
    return fields


def _handle(content: bytes, place: int) -> tuple[tuple[int, int], int]:
    offset, place = _varint(content, place)
    size, place = _varint(content, place)
    return (offset, size), place


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return value, place
        if shift > 63:
            raise ValueError("a number without end")
