"""Readers of published data sets: ActivityNet JSON, THUMOS14's folders of text files, W-TALC's folders of npy arrays.

    read_dataset(path, subset)   a JSON file, or a folder of either kind, recognised by its files
    load_detections(path)             detections, ActivityNet JSON or (a .txt file) THUMOS text

THUMOS text: one instance a line, `video start end` in a file of its class (`BaseballPitch_val.txt`,
`Ambiguous_test.txt`; columns separated by one or two spaces); detections are `video start end class confidence`, the
class by its number among the 101 of UCF101. The text has no durations, so they are 0 (unknown). W-TALC's arrays of
lists are pickled, and are read by an unpickler that admits numbers, text, lists and arrays, nothing else.
"""

import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from plusmv.core.annotations import AnnotatedVideo, Instance, read_annotations, read_detections, same_word
from plusmv.core.errors import BadInput, one_line
from plusmv.core.limits import LIST_BYTES
from plusmv.core.parsing import finite_number
from plusmv.core.reading import read_bytes
from plusmv.core.workspace import write_bytes
from plusmv.features.arrays import read_npy
from plusmv.features.pickled_arrays import unpickle

AMBIGUOUS = "Ambiguous"  # THUMOS14: not a class; the annotators could not tell whether the action is present
NOT_IN_210 = ("video_test_0000270", "video_test_0001496")  # annotated beyond their end; most papers exclude them
CLASS_NUMBERS = {
    "BaseballPitch": 7, "BasketballDunk": 9, "Billiards": 12, "CleanAndJerk": 21, "CliffDiving": 22,
    "CricketBowling": 23, "CricketShot": 24, "Diving": 26, "FrisbeeCatch": 31, "GolfSwing": 33,
    "HammerThrow": 36, "HighJump": 40,
    "JavelinThrow": 45, "LongJump": 51, "PoleVault": 68, "Shotput": 79, "SoccerPenalty": 85, "TennisSwing": 92,
    "ThrowDiscus": 93, "VolleyballSpiking": 97,
}  # fmt: skip
TIOUS = {  # named sets of tIoU thresholds
    "thumos": "0.1:0.9:0.1",
    "activitynet": "0.5:0.95:0.05",
    "activitynet5": "0.5:0.9:0.1",
}
SUFFIXES = {"_val": "validation", "_test": "test"}
WTALC_FILES = ("videoname", "subset", "duration", "segments", "labels")


def read_dataset(path: Path, subset: str | None = None) -> dict[str, AnnotatedVideo]:
    """Read {id: video} of one subset, or of all. Raises BadInput naming the invalid file, or what is missing.

    Ambiguous instances keep the label "Ambiguous", which is not a class (see `labels_of`).
    """
    if not path.is_dir():
        return read_annotations(path, subset)
    videos = _read_wtalc(path) if (path / "segments.npy").is_file() else _read_text_folder(path)
    chosen = {name: video for name, video in videos.items() if subset is None or same_word(video.subset, subset)}
    if not chosen:
        raise BadInput(
            f"{path} has no video of subset {subset!r}; it has {', '.join(sorted({v.subset for v in videos.values()}))}"
        )
    return chosen


def labels_of(video: AnnotatedVideo) -> tuple[str, ...]:
    """The video's classes: its labels without "Ambiguous"."""
    return tuple(label for label in video.labels if label != AMBIGUOUS)


def load_detections(path: Path) -> dict[str, tuple[Instance, ...]]:
    """Read {id: detections} from ActivityNet JSON, or from THUMOS text where the name ends in .txt."""
    if path.suffix != ".txt":
        return read_detections(path)
    labels: dict[float, str] = {number: name for name, number in CLASS_NUMBERS.items()}
    detections = defaultdict(list)
    for line, words in _lines(path, 5):
        start, end, number, score = _numbers(path, line, words[1:])
        if number not in labels:
            raise BadInput(f"{path}, line {line}: unknown THUMOS14 class {words[3]!r}")
        detections[words[0].removesuffix(".mp4")].append(Instance(labels[number], start, end, score))
    return {video: tuple(instances) for video, instances in detections.items()}


def thumos_number(label: str) -> int:
    """A class's number in the THUMOS text format. Raises BadInput for a label that is not a THUMOS14 class."""
    if label not in CLASS_NUMBERS:
        raise BadInput(f"{label!r} is not a THUMOS14 class, so the THUMOS text format has no number for it")
    return CLASS_NUMBERS[label]


def thumos_text(detections: Mapping[str, Iterable[Instance]]) -> str:
    """Detections as the THUMOS toolkit reads them. Raises BadInput for a label that is not a THUMOS14 class."""
    lines = []
    for video, instances in detections.items():
        for instance in instances:
            number = thumos_number(instance.label)
            lines.append(f"{video} {instance.start:.3f} {instance.end:.3f} {number} {instance.score!r}\n")
    return "".join(lines)


def write_thumos_text(path: Path, detections: Mapping[str, Iterable[Instance]]) -> None:
    """Write detections in the THUMOS text format, atomically."""
    write_bytes(path, thumos_text(detections).encode())


def read_ambiguous(path: Path) -> dict[str, tuple[Instance, ...]]:
    """Read {id: ambiguous instances} from the official `Ambiguous_test.txt`."""
    instances = defaultdict(list)
    for line, words in _lines(path, 3):
        start, end = _numbers(path, line, words[1:])
        instances[words[0].removesuffix(".mp4")].append(Instance(AMBIGUOUS, start, end))
    return {video: tuple(several) for video, several in instances.items()}


def _read_text_folder(folder: Path) -> dict[str, AnnotatedVideo]:
    files = [(p, s) for suffix, s in SUFFIXES.items() for p in sorted(folder.rglob(f"*{suffix}.txt"))]
    if not files:
        raise BadInput(
            f"{folder} holds neither THUMOS14's class files (such as BaseballPitch_val.txt) nor W-TALC's segments.npy"
        )
    instances: dict[str, list[Instance]] = defaultdict(list)
    subsets = {}
    for path, subset in files:
        label = path.stem.rpartition("_")[0]
        for line, words in _lines(path, 3):
            start, end = _numbers(path, line, words[1:])
            instances[words[0]].append(Instance(label, start, end))
            subsets[words[0]] = subset
    return {
        name: AnnotatedVideo(name, subsets[name], 0.0, 0.0, tuple(sorted(several, key=lambda i: (i.start, i.end))))
        for name, several in sorted(instances.items())
    }


def _read_wtalc(folder: Path) -> dict[str, AnnotatedVideo]:
    arrays = (np.atleast_1d(_array(folder / f"{name}.npy")) for name in WTALC_FILES)
    names, subsets, durations, segments, labels = arrays
    if len({len(column) for column in (names, subsets, durations, segments, labels)}) > 1:
        raise BadInput(f"the arrays in {folder} differ in length, so they do not belong to one data set")
    videos = {}
    for name, subset, duration, pairs, texts in zip(names, subsets, durations, segments, labels, strict=True):
        identity = _text(name)
        try:
            instances = tuple(
                Instance(_text(label), float(pair[0]), float(pair[1])) for pair, label in zip(pairs, texts, strict=True)
            )
            seconds = float(np.ravel(duration)[0])
        except (TypeError, ValueError, IndexError) as error:
            raise BadInput(
                f"{folder}: the instances of {identity!r} are not [start, end] pairs with a label each"
            ) from error
        if not np.isfinite([seconds, *(t for i in instances for t in (i.start, i.end))]).all():
            raise BadInput(f"{folder}: the times of {identity!r} are not finite numbers")
        videos[identity] = AnnotatedVideo(identity, _text(subset), seconds, 0.0, instances)
    return videos


def _array(path: Path) -> np.ndarray:
    """A .npy file's array; of objects, as features.pickled_arrays makes them. Raises BadInput for anything else."""
    try:
        content = io.BytesIO(read_bytes(path, LIST_BYTES))
        version = np.lib.format.read_magic(content)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        _, _, dtype = read(content)
        if not dtype.hasobject:
            return read_npy(path, LIST_BYTES)
        return np.ravel(unpickle(content, "it", "annotation", "bytes"))
    except BadInput:
        raise
    except Exception as error:  # a damaged pickle can raise nearly any exception
        raise BadInput(f"cannot read {path}: {one_line(error)}") from error


def _text(value: object) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _lines(path: Path, columns: int) -> Iterable[tuple[int, list[str]]]:
    """(line number, words) of every non-empty line."""
    lines = read_bytes(path, LIST_BYTES).decode(errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        words = line.split()
        if words and len(words) != columns:
            raise BadInput(f"{path}, line {number}: {len(words)} columns instead of {columns}: {line.strip()!r:.80}")
        if words:
            yield number, words


def _numbers(path: Path, line: int, words: Sequence[str]) -> list[float]:
    try:
        return list(map(finite_number, words))
    except BadInput as error:
        raise BadInput(f"{path}, line {line}: {error}") from error
