"""Feature files: one per video, ours and the field's, loose or packed in shards; `read_features` hides which.

Ours is `<id>.safetensors`: a (T, d) array per stream, metadata that says how it was made, and a checksum over both.
`shards/` holds many of them in one file (features.shards); what others publish is read as it is (features.published).
No pickle anywhere.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np
import xxhash
from safetensors import safe_open
from safetensors.numpy import save

from plusmv.core.errors import BadInput, Missing, one_line
from plusmv.core.limits import ARRAY_BYTES
from plusmv.core.parsing import parse_json
from plusmv.core.reading import too_large
from plusmv.core.workspace import write_bytes
from plusmv.features import published, shards
from plusmv.features.i3d_layers import STREAMS
from plusmv.features.published import ArrayLayout
from plusmv.features.shards import SUFFIX, Entry
from plusmv.features.snippets import SNIPPET_LENGTH, snippet_count, snippet_seconds

FORMAT = "plusmv features 2"
LONGEST_ID = 240  # bytes; file systems allow 255, with the suffix
NumberFormat = Literal["float16", "float32"]


class FeatureMetadata(TypedDict):
    """The metadata of a feature file; each value is stored as JSON text, but the checksum as it is."""

    format: Literal["plusmv features 2"]
    id: str
    fps: float
    length: int
    stride: int
    frames: NotRequired[int]
    duration: NotRequired[float]
    recipe: NotRequired[str]
    weights: dict[str, str]
    notes: dict[str, str]
    settings: dict[str, Any]  # features.recipe.Recipe.settings
    xxh3: str  # over arrays and metadata, in hex


class NoFeatures(Missing):
    """No folder holds features of the video."""


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
    settings: dict[str, Any] = field(default_factory=dict)  # the recipe, spelled out (Recipe.settings)

    @property
    def count(self) -> int:
        """T, the number of snippets."""
        return len(next(iter(self.streams.values())))

    def seconds(self) -> np.ndarray:
        """(T, 2) float64: where each snippet starts and ends."""
        return snippet_seconds(self.count, self.fps, self.length, self.stride, self.duration)


def write_features(path: Path, features: VideoFeatures, number_format: NumberFormat = "float16") -> None:
    """Write one video's features by rename after fsync. Raises BadInput for what could not be read back."""
    path = Path(path)
    with np.errstate(over="ignore"):
        streams = _checked(features, path).streams
        arrays = {name: array.astype(number_format, "C") for name, array in streams.items()}
    for name, array in arrays.items():
        _check_finite(array, name, path)
    known = {name: value for name, value in vars(features).items() if name != "streams" and value is not None}
    metadata = {name: json.dumps(value) for name, value in ({"format": FORMAT} | known).items()}
    write_bytes(path, save(arrays, metadata | {"xxh3": checksum(arrays, metadata)}))


def checksum(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    """xxh3-128, in hex, of the arrays and of all metadata but the checksum itself."""
    digest = xxhash.xxh3_128()
    for name in sorted(metadata):
        if name != "xxh3":
            digest.update(f"{name}\0{metadata[name]}\0".encode(errors="surrogatepass"))
    for name in sorted(arrays):
        digest.update(f"{name}\0{arrays[name].dtype}\0{arrays[name].shape}\0".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def read_features(
    folders: Sequence[Path],
    video_id: str,
    feature_fps: float = 25.0,
    feature_stride: int = SNIPPET_LENGTH,
    layout: ArrayLayout = published.UNSAID,
) -> VideoFeatures:
    """Read one video's features from the first folder that has them, whatever their format.

    feature_fps (0: not known), feature_stride: what to assume of files that do not say; layout: what arrays of others
    are. Raises NoFeatures where no folder has it, published.UnclearLayout where layout has to say more, BadInput where
    the id is not a file name or the file cannot be used (T = 0, NaN, a wrong checksum, ...).
    """
    _check_id(video_id)
    assumed = VideoFeatures(video_id, {}, feature_fps, stride=feature_stride)
    for folder in map(Path, folders):
        loose = folder / f"{video_id}{SUFFIX}"
        if loose.is_file():
            return _decoded(_entry(loose), assumed, loose)
        packed = shards.find(folder, video_id)
        if packed is not None:
            return _decoded(packed.entry, assumed, packed.path)
        others = published.find(folder, video_id, layout)
        if others is not None:
            return _checked(replace(assumed, streams=others.streams), others.path)
    looked = ", ".join(map(str, folders)) or "no folder"
    raise NoFeatures(f"no features of {video_id} in {looked}; extract them, or name their folder with --features")


def list_features(folders: Sequence[Path]) -> set[str]:
    """Ids of the videos that have features in any folder. Raises Missing for a folder that is not there."""
    ids: set[str] = set()
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise Missing(f"there is no feature folder {folder}")
        ids.update(loose_ids(folder), shards.ids(folder), published.ids(folder))
    return ids


def ids_without_rate(folders: Sequence[Path]) -> set[str]:
    """Ids of the videos whose features, as `read_features` finds them, are published arrays, which state no rate."""
    theirs: set[str] = set()
    for folder in reversed([*map(Path, folders)]):  # the first folder counts
        theirs = (theirs | published.ids(folder)) - loose_ids(folder) - shards.ids(folder)
    return theirs


def no_rate(unknown: Sequence[str]) -> BadInput:
    """The error of videos whose frames per second nothing states."""
    more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
    return BadInput(
        f"the annotations state no fps of {', '.join(unknown[:3])}{more}, nor do their features; add it, or give the"
        " frames per second of all: --feature-fps 25"
    )


def loose_ids(folder: Path) -> set[str]:
    """Ids of the videos with a file of ours to themselves."""
    names = (path.name for path in folder.iterdir() if path.suffix == SUFFIX)
    return {name.removesuffix(SUFFIX) for name in names if not name.startswith(".")}  # hidden: half-written


def _check_id(video_id: str) -> None:
    """Raise BadInput for an id that is not a plain file name."""
    climbs = video_id in ("", ".", "..") or any(character in video_id for character in "/\\\0")
    if climbs or len(video_id.encode(errors="surrogatepass")) > LONGEST_ID:
        raise BadInput(f"video id {video_id!r} is not a valid file name, so it has no feature file")


def verified_entry(path: Path) -> Entry:
    """Arrays and metadata of a loose file as they are stored. Raises BadInput where they could not be used."""
    entry = _entry(path)
    _decoded(entry, VideoFeatures(path.name.removesuffix(SUFFIX), {}, 25.0), path)
    return entry


def _entry(path: Path) -> Entry:
    try:
        if path.stat().st_size > ARRAY_BYTES:
            raise too_large(str(path), ARRAY_BYTES)
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except BadInput:
        raise
    except Exception as error:  # safetensors raises half a dozen kinds for damaged or hostile files
        raise BadInput(f"cannot read the features in {path}: {one_line(error)}") from error


def _decoded(entry: Entry, assumed: VideoFeatures, path: Path) -> VideoFeatures:
    """A stored entry as features. Raises BadInput where it is damaged or contradicts itself."""
    arrays, stored = entry
    ours = "xxh3" in stored or FORMAT in stored.get("format", "")  # one flipped bit leaves the other
    if ours and stored.get("xxh3") != checksum(arrays, stored):
        raise BadInput(f"the features of {assumed.id} in {path} are damaged (wrong checksum); extract them again")
    metadata = {name: _parsed(text, path) for name, text in stored.items()}
    streams = {name: array for name, array in arrays.items() if name in STREAMS}
    known = {name: value for name, value in metadata.items() if name in vars(assumed) and name not in ("id", "streams")}
    features = _checked(replace(assumed, streams=streams, **known), path)
    if features.frames is not None:
        fitting = snippet_count(features.frames, features.length, features.stride)
        if fitting != features.count:
            raise BadInput(f"{path} has {features.count} snippets, but its {features.frames} frames make {fitting}")
    return features


def _parsed(text: str, path: Path) -> Any:
    """A metadata value: JSON as we write it, else the text itself."""
    try:
        return parse_json(text, f"the metadata of {path}")
    except BadInput as error:
        if isinstance(error.__cause__, json.JSONDecodeError):
            return text
        raise


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
    if features.fps == 0:
        raise BadInput(f"{path} does not say its frames per second, nor do the annotations; give --feature-fps")
    for name, kinds, optional in (
        ("fps", (int, float), False),
        ("length", int, False),
        ("stride", int, False),
        ("frames", int, True),
        ("duration", (int, float), True),
    ):
        value = getattr(features, name)
        if not (value is None and optional) and not (isinstance(value, kinds) and 0 < value < float("inf")):
            raise BadInput(f"{path}: its {name} is {value!r}, which is not a positive number")
    for name in ("weights", "notes", "settings"):
        if not isinstance(getattr(features, name), dict):
            raise BadInput(f"{path}: its {name} are not a JSON object")
    labels = [features.recipe or "", *features.weights.values()]
    if not all(isinstance(label, str) for label in labels):
        raise BadInput(f"{path}: its recipe and its weights' names must be text")


def _shape(array: np.ndarray) -> str:
    return f"{array.dtype} of shape {array.shape}"
