"""Feature files: one per video, ours and the field's, with no pickle anywhere.

Ours is `<id>.safetensors`: a (T, d) float16 array per stream and metadata that says how it was made. Also read without
conversion: `<id>.npy` (T, 2d) with RGB first, `<id>.npz` with `rgb` and/or `flow`, and `rgb/<id>.npy` beside
`flow/<id>.npy`. Those say nothing of their rate, so the caller does.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from core.errors import BadInput, Missing
from core.workspace import write_bytes
from features.snippets import SNIPPET_LENGTH, snippet_count, snippet_seconds

STREAMS = ("rgb", "flow")
LONGEST_ID = 240  # bytes; file systems allow 255, with the suffix


@dataclass(frozen=True)
class VideoFeatures:
    """One video's features and how they were made. None where a published file does not say."""

    id: str
    streams: dict[str, np.ndarray]  # "rgb", "flow" -> (T, d) float32, the same T
    fps: float  # frames a second that were sampled
    length: int = SNIPPET_LENGTH  # frames a snippet
    stride: int = SNIPPET_LENGTH  # frames between snippets
    frames: int | None = None  # sampled at fps
    duration: float | None = None  # seconds
    recipe: str | None = None  # Recipe.hash: equal means comparable
    weights: dict[str, str] = field(default_factory=dict)  # stream -> name and hash of its network's weights
    notes: dict[str, str] = field(default_factory=dict)  # whatever else should be known, in words

    @property
    def count(self) -> int:
        """T, the number of snippets."""
        return len(next(iter(self.streams.values())))

    def seconds(self) -> np.ndarray:
        """(T, 2) float64: where each snippet starts and ends."""
        return snippet_seconds(self.count, self.fps, self.length, self.stride, self.duration)


def write_features(path: Path, features: VideoFeatures) -> None:
    """Write one video's features as float16, by rename. Raises BadInput for what could not be read back."""
    with np.errstate(over="ignore"):
        arrays = {name: array.astype(np.float16, "C") for name, array in _checked(features, path).streams.items()}
    for name, array in arrays.items():
        _check_finite(array, name, path)
    told = {
        "format": "plusmv features 1",
        "id": features.id,
        "fps": features.fps,
        "length": features.length,
        "stride": features.stride,
        "frames": features.frames,
        "duration": features.duration,
        "recipe": features.recipe,
        "weights": features.weights,
        "notes": features.notes,
    }
    metadata = {name: json.dumps(value) for name, value in told.items() if value is not None}
    write_bytes(Path(path), save(arrays, metadata))


def read_features(
    folders: Sequence[Path], video_id: str, feature_fps: float = 25.0, feature_stride: int = SNIPPET_LENGTH
) -> VideoFeatures:
    """Read one video's features from the first folder that has them.

    feature_fps, feature_stride: what to assume of files that do not say. Raises Missing where no folder has the video,
    BadInput where the id is no file name or the file cannot be used (T = 0, NaN, streams of different lengths, ...).
    """
    climbs = video_id in ("", ".", "..") or any(character in video_id for character in "/\\\0")
    if climbs or len(video_id.encode(errors="surrogatepass")) > LONGEST_ID:
        raise BadInput(f"video id {video_id!r} is no file name, so it has no feature file")
    for folder in map(Path, folders):
        single, array, archive = (folder / f"{video_id}{suffix}" for suffix in (".safetensors", ".npy", ".npz"))
        apart = {name: folder / name / f"{video_id}.npy" for name in STREAMS}
        assumed = VideoFeatures(video_id, {}, feature_fps, stride=feature_stride)
        if single.is_file():
            return _read_safetensors(single, assumed)
        if array.is_file():
            return _checked(replace(assumed, streams=_halves(_load(array), array)), array)
        if archive.is_file():
            return _checked(replace(assumed, streams=_load_archive(archive)), archive)
        if any(path.is_file() for path in apart.values()):
            streams = {name: _load(path) for name, path in apart.items() if path.is_file()}
            return _checked(replace(assumed, streams=streams), folder / "*" / f"{video_id}.npy")
    looked = ", ".join(map(str, folders)) or "no folder"
    raise Missing(f"no features of {video_id} in {looked}; extract them, or name their folder with --features")


def list_features(folders: Sequence[Path]) -> set[str]:
    """Ids of the videos that have a feature file in any folder. Raises Missing for a folder that is not there."""
    ids = set()
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise Missing(f"there is no feature folder {folder}")
        paths = [path for path in folder.iterdir() if path.suffix in (".safetensors", ".npy", ".npz")]
        paths += [path for name in STREAMS for path in folder.glob(f"{name}/*.npy")]
        ids.update(path.stem for path in paths if not path.name.startswith("."))  # hidden: half-written
    return ids


def _read_safetensors(path: Path, assumed: VideoFeatures) -> VideoFeatures:
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = {name: _parsed(text) for name, text in (file.metadata() or {}).items()}
            streams = {name: file.get_tensor(name) for name in file.keys() if name in STREAMS}  # noqa: SIM118
    except Exception as error:  # safetensors and json raise half a dozen kinds for damaged or hostile files
        raise BadInput(f"cannot read the features in {path}: {_one_line(error)}") from error
    known = {name: value for name, value in metadata.items() if name in vars(assumed) and name not in ("id", "streams")}
    features = _checked(replace(assumed, streams=streams, **known), path)
    if features.frames is not None:
        fitting = snippet_count(features.frames, features.length, features.stride)
        if fitting != features.count:
            raise BadInput(f"{path} has {features.count} snippets, but its {features.frames} frames make {fitting}")
    return features


def _parsed(text: str) -> object:
    """A metadata value: JSON as we write it, else the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _load(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:  # numpy evaluates the header as Python, so also tokenize's and the parser's kinds
        raise BadInput(f"cannot read the features in {path}: {_one_line(error)}") from error


def _load_archive(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in STREAMS if name in archive}
    except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds for damaged archives
        raise BadInput(f"cannot read the features in {path}: {_one_line(error)}") from error


def _halves(array: np.ndarray, path: Path) -> dict[str, np.ndarray]:
    if array.ndim != 2 or array.shape[1] % 2 or not array.shape[1]:
        raise BadInput(f"{path} is {_shape(array)}; a .npy file must be (T, 2d): RGB, then flow, of the same width")
    return dict(zip(STREAMS, np.split(array, 2, axis=1), strict=True))


def _checked(features: VideoFeatures, path: Path) -> VideoFeatures:
    """The features as float32. Raises BadInput for anything that training or detection would trip over."""
    if not features.streams:
        raise BadInput(f"{path} holds neither an array 'rgb' nor 'flow'")
    streams = {name: _checked_stream(array, name, path) for name, array in features.streams.items()}
    if len({len(array) for array in streams.values()}) > 1:
        lengths = ", ".join(f"{name} {len(array)}" for name, array in streams.items())
        raise BadInput(f"{path}: the streams differ in snippets ({lengths})")
    _check_settings(features, path)
    return replace(features, streams=streams)


def _checked_stream(array: np.ndarray, name: str, path: Path) -> np.ndarray:
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise BadInput(f"{path}: {name} is {_shape(array)}, but must be (T, d) numbers with at least one snippet")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    _check_finite(array, name, path)
    return array


def _check_finite(array: np.ndarray, name: str, path: Path) -> None:
    if not np.isfinite(array).all():
        raise BadInput(f"{path}: {name} holds NaN, infinite or too large values")


def _check_settings(features: VideoFeatures, path: Path) -> None:
    for name, kinds, optional in (
        ("fps", (int, float), False),
        ("length", int, False),
        ("stride", int, False),
        ("frames", int, True),
        ("duration", (int, float), True),
    ):
        value = getattr(features, name)
        if not (value is None and optional) and not (isinstance(value, kinds) and 0 < value < float("inf")):
            raise BadInput(f"{path}: its {name} is {value!r}, which is no positive number")
    for name in ("weights", "notes"):
        if not isinstance(getattr(features, name), dict):
            raise BadInput(f"{path}: its {name} are no JSON object")
    labels = [features.recipe or "", *features.weights.values()]
    if not all(isinstance(label, str) for label in labels):
        raise BadInput(f"{path}: its recipe and its weights' names must be text")


def _one_line(error: Exception) -> str:
    return " ".join(f"{error or type(error).__name__}".split())


def _shape(array: np.ndarray) -> str:
    return f"{array.dtype} of shape {array.shape}"
