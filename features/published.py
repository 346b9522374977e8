"""Features as others publish them: read as they are, and written for tools that read nothing else.

`<id>.npy` (T, 2d) with RGB first, `<id>.npz` with `rgb` and/or `flow`, and `rgb/<id>.npy` beside `flow/<id>.npy`. None
says how it was made, nor at which rate, so the caller gives it.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from plusmv.core.errors import BadInput, one_line
from plusmv.core.workspace import write_bytes
from plusmv.features.i3d_layers import STREAMS

Layout = Literal["npy", "npz", "folders"]


@dataclass(frozen=True)
class Published:
    """One video's arrays, unchecked, and where they were."""

    path: Path
    streams: dict[str, np.ndarray]


def find(folder: Path, video_id: str) -> Published | None:
    """A video's published arrays, if the folder has any. Raises BadInput where they cannot be read."""
    joined, archive = folder / f"{video_id}.npy", folder / f"{video_id}.npz"
    apart = {name: folder / name / f"{video_id}.npy" for name in STREAMS}
    if joined.is_file():
        return Published(joined, _halves(_load(joined), joined))
    if archive.is_file():
        return Published(archive, _load_archive(archive))
    if any(path.is_file() for path in apart.values()):
        streams = {name: _load(path) for name, path in apart.items() if path.is_file()}
        return Published(folder / "*" / f"{video_id}.npy", streams)
    return None


def ids(folder: Path) -> set[str]:
    """Ids of the videos that have published arrays there."""
    paths = [path for path in folder.iterdir() if path.suffix in (".npy", ".npz")]
    paths += [path for name in STREAMS for path in folder.glob(f"{name}/*.npy")]
    return {path.stem for path in paths if not path.name.startswith(".")}  # hidden: half-written


def write(folder: Path, video_id: str, streams: dict[str, np.ndarray], layout: Layout) -> Path:
    """Write one video's (T, d) float32 arrays in a published layout. Raises BadInput where it lacks a stream."""
    if layout == "folders":
        for name, array in streams.items():
            write_bytes(folder / name / f"{video_id}.npy", _npy(array))
        return folder
    if layout == "npz":
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **streams)
        write_bytes(folder / f"{video_id}.npz", content.getvalue())
        return folder / f"{video_id}.npz"
    if set(streams) != set(STREAMS):
        raise BadInput(
            f"{video_id} has no {' and '.join(set(STREAMS) - set(streams))}; choose the layout npz or folders"
        )
    write_bytes(folder / f"{video_id}.npy", _npy(np.hstack([streams[name] for name in STREAMS])))
    return folder / f"{video_id}.npy"


def _npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def _load(path: Path) -> np.ndarray:
    try:
        with open(path, "rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)  # np.load would take an archive too
    except Exception as error:  # numpy evaluates the header as Python, so also tokenize's and the parser's kinds
        raise _unreadable(path, error) from error


def _load_archive(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in STREAMS if name in archive}
    except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds for damaged archives
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> BadInput:
    return BadInput(f"cannot read the features in {path}: {one_line(error)}")


def _halves(array: np.ndarray, path: Path) -> dict[str, np.ndarray]:
    if array.ndim != 2 or array.shape[1] % 2 or not array.shape[1]:
        shape = f"{array.dtype} of shape {array.shape}"
        raise BadInput(f"{path} is {shape}; a .npy file must be (T, 2d): RGB, then flow, of the same width")
    return dict(zip(STREAMS, np.split(array, 2, axis=1), strict=True))
