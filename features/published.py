"""Features as others publish them: read as they are, and written for tools that read nothing else.

`<id>.npy` (T, 2d) with RGB first, `<id>.npz` with `rgb` and/or `flow`, and `rgb/<id>.npy` beside `flow/<id>.npy`. None
says how it was made, nor at which rate, so the caller gives it. What an array holds is never guessed: certain are named
arrays (T, d), and a single one (T, 2048), both streams of I3D; of everything else the user says it (ArrayLayout).
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from plusmv.core.errors import BadInput
from plusmv.core.workspace import write_bytes
from plusmv.features.arrays import read_npy, read_npz
from plusmv.features.i3d_layers import STREAMS

Layout = Literal["npy", "npz", "folders"]
Content = Literal["rgb", "flow", "joint"]
WIDTH, JOINT = 1024, 2048  # of one stream of I3D, and of both
LAYOUTS = "rgb, flow, joint (RGB first, then flow) or transposed (d, T)"


class UnclearLayout(BadInput):
    """An array that could be several things: the message shows its shape, and asks which it is."""


@dataclass(frozen=True)
class ArrayLayout:
    """What the user says of published arrays. With a content named, rows are snippets, unless it is transposed."""

    content: Content | None = None  # of a single array; named ones hold what their names say
    transposed: bool = False
    option: str = "--layout"  # by which the user says it

    @property
    def says_orientation(self) -> bool:
        return self.transposed or self.content is not None


UNSAID = ArrayLayout()


def parse_layout(text: str | None, option: str = "--layout") -> ArrayLayout:
    """ "rgb", "flow", "joint", "transposed", or one of the first three with the last: "rgb,transposed"."""
    words = [word.strip().casefold() for word in (text or "").split(",") if word.strip()]
    named: list[Content] = [content for content in get_args(Content) if content in words]
    if len(named) > 1 or len(words) != len(named) + ("transposed" in words):
        raise BadInput(f"the layout must be {LAYOUTS}, or two such as rgb,transposed; not {text!r:.60}")
    return ArrayLayout(named[0] if named else None, "transposed" in words, option)


@dataclass(frozen=True)
class Published:
    """One video's arrays, unchecked, and where they were."""

    path: Path
    streams: dict[str, np.ndarray]


def find(folder: Path, video_id: str, layout: ArrayLayout = UNSAID) -> Published | None:
    """A video's published arrays, (T, d), if the folder has any.

    Raises BadInput where they cannot be read, UnclearLayout where layout has to say what they are.
    """
    joined, archive = folder / f"{video_id}.npy", folder / f"{video_id}.npz"
    apart = {name: folder / name / f"{video_id}.npy" for name in STREAMS}
    if joined.is_file():
        return Published(joined, _divided(read_npy(joined), joined, layout))
    if archive.is_file():
        return Published(archive, _upright_streams(read_npz(archive, STREAMS), archive, layout))
    if any(path.is_file() for path in apart.values()):
        streams = {name: read_npy(path) for name, path in apart.items() if path.is_file()}
        path = folder / "*" / f"{video_id}.npy"
        return Published(path, _upright_streams(streams, path, layout))
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


def _divided(array: np.ndarray, path: Path, layout: ArrayLayout) -> dict[str, np.ndarray]:
    """A single array's streams."""
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise BadInput(f"{path} is {_shape(array)}; a .npy file must be (T, d) numbers with at least one snippet")
    upright = _upright(array, path, layout)
    content: Content | None = layout.content or ("joint" if upright.shape[1] == JOINT else None)
    if content is None:
        raise _unclear(array, path, layout, "which streams it holds is not certain")
    if content != "joint":
        return {content: upright}
    if upright.shape[1] % 2:
        raise BadInput(f"{path} is {_shape(array)}, so it does not hold two streams of the same width")
    return dict(zip(STREAMS, np.split(upright, 2, axis=1), strict=True))


def _upright_streams(streams: dict[str, np.ndarray], path: Path, layout: ArrayLayout) -> dict[str, np.ndarray]:
    return {name: _upright(array, path, layout) for name, array in streams.items()}


def _upright(array: np.ndarray, path: Path, layout: ArrayLayout) -> np.ndarray:
    """The array as (T, d). Raises UnclearLayout where it may well be (d, T) and nobody says so."""
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        return array  # refused where arrays are checked
    upright = array.T if layout.transposed else array
    rows, columns = (size in (WIDTH, JOINT) for size in upright.shape)
    if rows and not columns and (layout.transposed or not layout.says_orientation):
        turned = "not transposed" if layout.transposed else "transposed"
        raise _unclear(array, path, layout, f"it looks {turned}")
    if rows and columns and not layout.says_orientation:
        raise _unclear(array, path, layout, "both of its sides could be the width")
    return upright


def _unclear(array: np.ndarray, path: Path, layout: ArrayLayout, why: str) -> BadInput:
    """The question what an array is; one that could not be used anyway is not worth it."""
    if not np.isfinite(array).all() or np.abs(array).max() > np.finfo(np.float32).max:
        return BadInput(f"{path} is {_shape(array)} and holds NaN, infinite or too large values")
    return UnclearLayout(f"{path} is {_shape(array)}: {why}; say what it is by {layout.option}: {LAYOUTS}")


def _shape(array: np.ndarray) -> str:
    return f"{array.dtype} of shape {array.shape}"
