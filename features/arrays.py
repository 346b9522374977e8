"""Arrays of strangers: .npy files and .npz archives, whose headers are checked before memory is asked for.

A header may claim any shape, and an archive's member may unpack to a thousand times its size, so both are held against
the file and against ARRAY_BYTES first. No pickle is read.
"""

import io
import os
import struct
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO

import numpy as np

from plusmv.core.errors import BadInput, one_line
from plusmv.core.limits import ARCHIVE_INDEX, ARRAY_BYTES, ARRAY_HEADER
from plusmv.core.reading import too_large

END_OF_ARCHIVE = struct.Struct("<4s4H2LH")  # of a zip file: its last record, but for a comment


def read_npy(path: Path, most: int = ARRAY_BYTES) -> np.ndarray:
    """The array of a .npy file. Raises BadInput where it is damaged, or has more than `most` bytes."""
    try:
        with open(path, "rb") as file:
            return _array(file, os.fstat(file.fileno()).st_size, str(path), most)
    except BadInput:
        raise
    except Exception as error:  # numpy evaluates the header as Python, so also tokenize's and the parser's kinds
        raise BadInput(f"cannot read the array in {path}: {one_line(error)}") from error


def read_npz(path: Path, names: Collection[str], most: int = ARRAY_BYTES) -> dict[str, np.ndarray]:
    """Those of the named arrays that an .npz archive holds. Raises BadInput where it is damaged or unpacks to more."""
    try:
        with open(path, "rb") as file:
            _check_index(file, path)
            with zipfile.ZipFile(file) as archive:
                members = {
                    name: archive.getinfo(f"{name}.npy") for name in names if f"{name}.npy" in archive.NameToInfo
                }
                if sum(member.file_size for member in members.values()) > most:
                    raise too_large(f"what {path} unpacks to", most)
                return {name: _member(archive, member, path, most) for name, member in members.items()}
    except BadInput:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds for damaged archives
        raise BadInput(f"cannot read the arrays in {path}: {one_line(error)}") from error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, most: int) -> np.ndarray:
    with archive.open(member) as packed:
        return _array(packed, member.file_size, f"{member.filename[:60]} in {path}", most)


def _array(file: IO[bytes], size: int, name: str, most: int) -> np.ndarray:
    """The array that starts here and has `size` bytes with its header."""
    header = io.BytesIO(file.read(min(size, ARRAY_HEADER)))
    version = np.lib.format.read_magic(header)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, in_columns, dtype = read(header)
    if dtype.hasobject:
        raise BadInput(f"{name} holds Python objects, which are not read; save it as numbers")
    wanted = dtype.itemsize
    for length in shape:  # Python's integers: numpy's product would overflow
        wanted *= length
    if wanted > most:
        raise too_large(f"{name}, of shape {shape},", most)
    if wanted > size - header.tell():
        raise BadInput(f"{name} is cut short: its shape {shape} needs {wanted} bytes, {size - header.tell()} are there")
    content = bytearray(header.read(wanted))
    content += file.read(wanted - len(content))
    if len(content) < wanted:
        raise BadInput(f"{name} is cut short: {len(content)} of {wanted} bytes are there")
    array = np.frombuffer(content, dtype, count=wanted // dtype.itemsize if dtype.itemsize else 0)
    return array.reshape(shape, order="F" if in_columns else "C")


def _check_index(file: IO[bytes], path: Path) -> None:
    """Raise BadInput for an archive whose list of members would fill the memory."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - END_OF_ARCHIVE.size - (1 << 16)))
    tail = file.read()
    place = tail.rfind(b"PK\5\6")
    if place < 0 or len(tail) - place < END_OF_ARCHIVE.size:
        raise BadInput(f"{path} is not an .npz archive, or it is cut short")
    listed = END_OF_ARCHIVE.unpack_from(tail, place)[5]
    if listed > ARCHIVE_INDEX:
        raise too_large(f"the list of members of {path}", ARCHIVE_INDEX)
    file.seek(0)
