"""What an evaluation says besides its scores: each unusual thing of the files is named, usual files have no note."""

from dataclasses import replace

import pytest

from plusmv.core.annotations import read_annotations, read_detections
from plusmv.wsal.diagnose import diagnose
from plusmv.wsal.evaluate import evaluate
from plusmv.wsal.evaluation_notes import means_no_action
from tests.test_evaluate import found, truth


def notes(annotations, detections) -> list[str]:
    return evaluate(annotations, detections, [0.5])["notes"]


def test_usual_files_have_no_note():
    annotations = truth(a=[("Jump", 0, 10)], b=[("Run", 90, 100.04)])  # durations are 100 s
    assert notes(annotations, found(a=[("Jump", 0, 10, 1.0)], b=[("Run", 90, 100.04, 0.5)])) == []


@pytest.mark.parametrize("label", ["Background", "bg", "BG", "no action", "No_Action", "none"])
def test_a_label_that_means_no_action_is_named_and_still_scored_as_the_official_code_does(label):
    annotations = truth(a=[("Jump", 0, 10)], b=[(label, 0, 100)])
    result = evaluate(annotations, found(a=[("Jump", 0, 10, 1.0)], b=[("Jump", 0, 1, 0.1)]), [0.5])
    assert result["per_class"] == {"Jump": [1.0], label: [0.0]}
    (note,) = result["notes"]
    assert repr(label) in note
    assert means_no_action(label)
    assert not any(map(means_no_action, ("Jump", "Bungee", "背景", "NonStop")))


def test_segments_after_the_end_of_their_video_are_counted_on_both_sides():
    annotations = truth(a=[("Jump", 0, 250)], b=[("Jump", 0, 10)])
    detections = found(a=[("Jump", 0, 3000, 1.0)], b=[("Jump", 0, 3000, 0.9), ("Jump", 0, 9, 0.5)])
    true, detected = notes(annotations, detections)
    assert "1 of 2 true instances" in true and "frames" not in true
    assert "2 of 3 detections" in detected and "frames" in detected


def test_names_that_nearly_fit_are_named_with_what_they_nearly_fit():
    annotations = truth(abc=[("Jump", 0, 10)], d=[("High Jump", 0, 10), ("high_jump", 0, 10)])
    detections = found(**{"v_abc": [("jump ", 0, 10, 1.0)], "D.mp4": [("Jump", 0, 10, 2.0)]})
    said = " | ".join(notes(annotations, detections))
    for named in ("'jump ' for 'Jump'", "'v_abc' for 'abc'", "'D.mp4' for 'd'", "'High Jump', 'high_jump'"):
        assert named in said


def test_what_repeats_or_begins_too_early_is_counted():
    annotations = truth(a=[("Jump", 0, 10), ("Jump", 0, 10)])
    said = notes(annotations, found(a=[("Jump", -1, 10, 1.0), ("Jump", 0, 10, 0.5)]))
    assert [note.split()[0] for note in said] == ["1", "1"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("gt", "frames"), ["2 of 2 detections end after"]),
        (("gt_frames", "exact"), ["1 of 3 true instances end after"]),
        (("gt_bg", "exact"), ["no detection: c", "'Background'"]),
        (("gt", "case"), ["Jump , run", "'Jump ' for 'Jump', 'run' for 'Run'"]),
        (("gt", "ext"), ["no detection: a, b", "1 detections lie in 1 videos", "'a.mp4' for 'a'"]),
        (("gt", "vprefix"), ["no detection: a, b", "2 detections lie in 2 videos", "'v_a' for 'a', 'v_b' for 'b'"]),
        (("gt", "timeorder"), ["no detection: b", "1 detections end where they start"]),
        (("gt_double", "exact"), ["1 true instances repeat"]),
        (("gt", "empty"), ["no detection: a, b"]),
        (("gt", "exact"), []),
    ],
)
def test_files_that_once_went_wrong(shared, names, words):
    folder = shared / "cases" / "eval"
    said = notes(*(read(folder / f"{name}.json") for read, name in zip(READ, names, strict=True)))
    assert len(said) == len(words)
    for note, word in zip(said, words, strict=True):
        assert word in note


def test_detections_in_frames_are_told_without_durations_too():
    bare = {name: replace(video, duration=0.0) for name, video in truth(a=[("Jump", 0, 10)]).items()}
    assert notes(bare, found(a=[("Jump", 0, 12, 1.0)])) == []
    (note,) = notes(bare, found(a=[("Jump", 0, 250, 1.0)]))
    assert "1 of 1 detections" in note and "frames" in note


def test_the_diagnosis_has_the_notes_of_the_evaluation(shared):
    folder = shared / "cases" / "eval"
    for names in (("gt", "frames"), ("gt_bg", "exact"), ("gt", "case"), ("gt", "vprefix"), ("gt", "timeorder")):
        files = [read(folder / f"{name}.json") for read, name in zip(READ, names, strict=True)]
        assert set(notes(*files)) <= set(diagnose(*files)["notes"])


READ = (read_annotations, read_detections)


def test_a_tiou_equal_to_the_threshold_reaches_it(shared):
    folder = shared / "cases" / "eval"
    scored = evaluate(read_annotations(folder / "gt.json"), read_detections(folder / "exact.json"))["per_class"]
    assert scored == {"Jump": [1.0] * 7 + [0.0] * 2, "Run": [0.5] * 3 + [0.0] * 6}  # at .1 to .9
