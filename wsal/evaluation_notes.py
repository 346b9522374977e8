"""What an evaluation should not pass over: unusual content of the ground truth and the detections, a sentence each.

Nothing here changes a score. The file's words are compared without letter case, spacing and punctuation, since that is
how they usually differ when they should not: "run" for "Run", "v_abc.mp4" for "abc".
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from plusmv.core.annotations import AnnotatedVideo, Instance

NO_ACTION = frozenset({
    "background", "bg", "none", "null", "noaction", "nonaction", "noactivity", "noclass", "nolabel", "nothing",
    "negative", "unlabeled", "unlabelled",
})  # fmt: skip
ROUNDING = 0.05  # seconds by which a segment may end after its video: files round durations differently
FAR = 5  # times the last true instance's end; where no duration is stated, this tells frames from seconds
SHOWN = 5  # names that a note lists
Pairs = Sequence[tuple[str, Instance]]  # (video id, instance)


def notes_of(
    ground_truth: Mapping[str, AnnotatedVideo],
    detections: Mapping[str, Sequence[Instance]],
    truth: Mapping[str, Pairs],
    predicted: Mapping[str, Pairs],
) -> list[str]:
    """Notes on both files. truth, predicted: their instances by label, without ambiguous ones."""
    notes = [
        *_missing(ground_truth, detections, truth),
        *_labels(truth, predicted),
        *_times(ground_truth, truth, predicted),
        *_repeats(truth, predicted),
    ]
    return [note for occurs, note in notes if occurs]


def ambiguity_notes(ambiguous: Mapping[str, np.ndarray], protocol: str, excluded: Sequence[str]) -> list[str]:
    """Notes on ambiguous segments ({video: (A, 2)}), and on the videos that were excluded."""
    count = sum(map(len, ambiguous.values()))
    treated = (
        "false positives that overlap one are ignored"
        if protocol == "thumos"
        else "this protocol treats them as background"
    )
    notes = [
        (count, f"{count} segments in {len(ambiguous)} videos are ambiguous; {treated}"),
        (not count and protocol == "thumos", "no segment is marked ambiguous, so this equals the activitynet protocol;"
                                             " --ambiguous takes the official Ambiguous_test.txt"),
        (excluded, f"{len(excluded)} videos were excluded as requested, with their detections: {_listed(excluded)}"),
    ]  # fmt: skip
    return [note for occurs, note in notes if occurs]


def means_no_action(label: str) -> bool:
    """Whether a label names the absence of an action, such as "Background", "bg" or "no action"."""
    return _plain(label) in NO_ACTION


Notes = Iterable[tuple[object, str]]  # (whether it applies, the note)


def _missing(
    ground_truth: Mapping[str, AnnotatedVideo], detections: Mapping[str, Sequence[Instance]], truth: Mapping
) -> Notes:
    """Videos that are in one file only."""
    silent = [video for video in ground_truth if not detections.get(video)]
    unannotated = [video for video in detections if video not in ground_truth and detections[video]]
    count = sum(len(detections[video]) for video in unannotated)
    known = {_plain_id(video): video for video in ground_truth}
    renamed = [f"{video!r} for {known[_plain_id(video)]!r}" for video in unannotated if _plain_id(video) in known]
    yield not truth, "there is no true instance, so there is no class to score"
    yield silent, f"{len(silent)} videos have no detection: {_listed(silent)}"
    yield (
        unannotated,
        f"{count} detections lie in {len(unannotated)} videos without ground truth and count as false positives:"
        f" {_listed(unannotated)}",
    )
    yield renamed, f"{len(renamed)} of these videos may only be named differently: {_listed(renamed)}"


def _labels(truth: Mapping[str, Pairs], predicted: Mapping[str, Pairs]) -> Notes:
    """Labels that are no class, look like none, or are spelled in two ways."""
    unknown = sorted(set(predicted) - set(truth))
    count = sum(len(predicted[label]) for label in unknown)
    known = {_plain(label): label for label in truth}
    misspelt = [f"{label!r} for {known[_plain(label)]!r}" for label in unknown if _plain(label) in known]
    spellings = Counter(map(_plain, truth))
    alike = sorted(repr(label) for label in truth if spellings[_plain(label)] > 1)
    empty = sorted(label for label in truth if means_no_action(label))
    yield unknown, f"{count} detections have labels without any true instance and count in no class: {_listed(unknown)}"
    yield misspelt, f"labels that differ from a class only by case or spacing are not that class: {_listed(misspelt)}"
    yield alike, f"classes that differ only by case or spacing are scored apart: {_listed(alike)}"
    for label in empty:
        without = "" if label in predicted else ", with AP 0 since nothing is detected of it,"
        yield True, f"the label {label!r} is scored{without} as a class like any other; remove it if it means no action"


def _times(
    ground_truth: Mapping[str, AnnotatedVideo], truth: Mapping[str, Pairs], predicted: Mapping[str, Pairs]
) -> Notes:
    """Segments that have no extent, or that their video cannot hold."""
    for what, labelled in (("true instances", truth), ("detections", predicted)):
        pairs = [pair for several in labelled.values() for pair in several]
        flat = sum(instance.end <= instance.start for _, instance in pairs)
        yield flat, f"{flat} {what} end where they start or before and match nothing"
        timed = [(ground_truth[video].duration, i) for video, i in pairs if video in ground_truth]
        timed = [(duration, instance) for duration, instance in timed if duration > 0]
        late = sum(instance.end > duration + ROUNDING for duration, instance in timed)
        unit = "; are they in frames instead of seconds?" if 2 * late > len(timed) else ""
        yield late, f"{late} of {len(timed)} {what} end after their video and are used unchanged{unit}"
        last = max((one.end for pairs in truth.values() for _, one in pairs), default=0.0)
        far = 0 if timed else sum(one.end > FAR * last for _, one in pairs)
        yield (
            2 * far > len(pairs),
            f"{far} of {len(pairs)} {what} end over {FAR} times later than the last true instance of any video; are"
            " they in frames instead of seconds?",
        )
        early = sum(instance.start < 0 for _, instance in pairs)
        yield early, f"{early} {what} start before 0 s and are used unchanged"


def _repeats(truth: Mapping[str, Pairs], predicted: Mapping[str, Pairs]) -> Notes:
    repeated = sum(len(pairs) - len({(v, i.start, i.end) for v, i in pairs}) for pairs in truth.values())
    tied = sum(len(pairs) - len({instance.score for _, instance in pairs}) for pairs in predicted.values())
    yield repeated, f"{repeated} true instances repeat another of their video and class; each has to be found by itself"
    yield tied, f"{tied} detections share their score with another of their class; the later in the file goes first"


def _plain(label: str) -> str:
    """Without case, spacing and punctuation; a label of nothing else stays as it is."""
    return re.sub(r"[\W_]+", "", label.casefold()) or label


def _plain_id(video: str) -> str:
    """A video's id without ActivityNet's prefix, a video's suffix, and case."""
    return re.sub(r"\.(mp4|mkv|webm|avi|mov)$", "", video.casefold()).removeprefix("v_")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
