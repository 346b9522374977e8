"""ActivityNet JSON: what is written reads back, what the field writes is read, what cannot be used is named."""

import json
import math

import pytest

from plusmv.core.annotations import (
    AnnotatedVideo,
    Instance,
    detections_json,
    read_annotations,
    read_detections,
    write_annotations,
)
from plusmv.core.errors import BadInput
from plusmv.core.workspace import write_json

VIDEO = {"subset": "test", "duration": 20, "fps": 30, "annotations": [{"label": "Diving", "segment": ["1.5", 4]}]}


def written(tmp_path, content):
    path = tmp_path / "file.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_written_annotations_read_back(tmp_path):
    video = AnnotatedVideo(
        "ab" * 32,
        "microvideo",
        3.16,
        25.0,
        (Instance("CricketShot", 0.0, 3.16, weak=True), Instance("Diving", 1.0, 2.0)),
    )
    write_annotations(tmp_path / "mv.json", [video], version="1")
    assert read_annotations(tmp_path / "mv.json") == {video.id: video}
    assert json.loads((tmp_path / "mv.json").read_text())["version"] == "1"
    assert video.labels == ("CricketShot", "Diving")


def test_segments_may_be_strings_and_times_may_be_missing(tmp_path):
    database = {"a": VIDEO, "b": {"subset": "test"}, "c": {"subset": "training", "annotations": []}}
    videos = read_annotations(written(tmp_path, {"database": database}), "test")
    assert videos["a"].instances == (Instance("Diving", 1.5, 4.0),)
    assert videos["b"] == AnnotatedVideo("b", "test", 0.0, 0.0, ())
    assert "c" not in videos


def test_segments_past_the_end_and_backwards_are_the_readers_to_judge(tmp_path):
    """30 instances of THUMOS14 end after their video or before they start; the evaluation must see them."""
    database = {"a": {**VIDEO, "annotations": [{"label": "Diving", "segment": s} for s in ([19, 25], [5, 4], [-1, 2])]}}
    instances = read_annotations(written(tmp_path, {"database": database}))["a"].instances
    assert [(i.start, i.end) for i in instances] == [(19, 25), (5, 4), (-1, 2)]


def test_all_of_thumos14_is_read(shared):
    videos = read_annotations(shared / "thumos14" / "thumos14.json")
    assert len(videos) == 412
    training = read_annotations(shared / "thumos14" / "thumos14.json", "validation").values()
    assert len(training) == 200
    assert sum(len(video.instances) for video in training) == 3007
    assert len({label for video in training for label in video.labels}) == 20


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "top level"),
        ({}, "no 'database'"),
        ({"database": []}, "no 'database'"),
        ({"database": {}}, "no videos at all"),
        ({"database": {"a": 1}}, "'a' is not an object"),
        ({"database": {"a": {"subset": "train"}}}, "it has train"),
        ({"database": {"a": {**VIDEO, "duration": "long"}}}, "duration of video 'a'"),
        ({"database": {"a": {**VIDEO, "annotations": [5]}}}, "lacks label and segment"),
        ({"database": {"a": {**VIDEO, "annotations": [{"segment": [0, 1]}]}}}, "lacks label"),
        ({"database": {"a": {**VIDEO, "annotations": [{"label": "A", "segment": [0]}]}}}, "lacks label and segment"),
        ({"database": {"a": {**VIDEO, "annotations": [{"label": "A", "segment": "01"}]}}}, "lacks label and segment"),
        ({"database": {"a": {**VIDEO, "annotations": [{"label": "A", "segment": ["x", 1]}]}}}, "segment of video 'a'"),
        ({"database": {"a": {**VIDEO, "annotations": [{"label": "A", "segment": [0, math.nan]}]}}}, "NaN"),
        ({"database": {"a": {**VIDEO, "annotations": [{"label": "A", "segment": [0, 10**400]}]}}}, "finite"),
        ({"database": {"a": {**VIDEO, "annotations": [{"label": "A", "segment": [0, True]}]}}}, "finite"),
        ({"database": {"a": {**VIDEO, "annotations": [{"label": 1, "segment": [0, 1]}]}}}, "not a line of text"),
        ({"database": {"a": {**VIDEO, "annotations": "none"}}}, "not a list"),
    ],
)
def test_annotations_that_cannot_be_used(tmp_path, content, words):
    with pytest.raises(BadInput, match=words) as caught:
        read_annotations(written(tmp_path, content), "test")
    assert "\n" not in str(caught.value)
    assert "file.json" in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(BadInput, match="cannot read"):
        read_annotations(tmp_path / "none.json")
    with pytest.raises(BadInput, match="cannot read"):
        read_detections(tmp_path)
    (tmp_path / "latin.json").write_bytes(b'{"database": "Caf\xe9"}')
    with pytest.raises(BadInput, match="is not JSON"):
        read_annotations(tmp_path / "latin.json")


def test_detections_read_back(tmp_path):
    detections = {"a": (Instance("Diving", 0.0, 2.5, -0.25),), "b": ()}
    write_json(tmp_path / "d.json", detections_json(detections, weights="none"))
    assert read_detections(tmp_path / "d.json") == detections
    assert json.loads((tmp_path / "d.json").read_text())["external_data"] == {"weights": "none"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "no 'results'"),
        ({"results": {"a": [{"label": "A", "segment": [0, 1]}]}}, "lacks label, score and segment"),
        ({"results": {"a": [{"label": "A", "segment": [0, 1], "score": "high"}]}}, "score of video 'a'"),
        ({"results": {"a": {"label": "A"}}}, "not a list"),
    ],
)
def test_detections_that_cannot_be_used(tmp_path, content, words):
    with pytest.raises(BadInput, match=words):
        read_detections(written(tmp_path, content))


def test_a_published_detectors_output_is_read(shared):
    assert sum(map(len, read_detections(shared / "thumos14" / "stpn_results.json").values())) > 1000


@pytest.mark.parametrize(("content", "told"), [
    ('{"database": {"a": {"annotations": []}, "a": {"annotations": []}}}', "'a' occurs twice"),
    ('{"database": {"a": {"annotations": [{"label": "\\ud800", "segment": [0, 1]}]}}}', "not JSON"),
    ('{"database": {"a": {"annotations": [{"label": "\\u001b[31m", "segment": [0, 1]}]}}}', "not a line of text"),
])  # fmt: skip
def test_what_would_be_dropped_or_printed_raw_is_named(tmp_path, content, told):
    with pytest.raises(BadInput, match=told):
        read_annotations(written(tmp_path, content))
