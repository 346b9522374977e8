"""Data sets in others' formats: what is read equals what stands there, and what cannot be read is one line."""

import json

import numpy as np
import pytest

from plusmv.core.annotations import Instance
from plusmv.core.errors import BadInput
from plusmv.wsal.datasets import (
    AMBIGUOUS,
    CLASS_NUMBERS,
    labels_of,
    load_detections,
    read_ambiguous,
    read_dataset,
    thumos_text,
    write_thumos_text,
)

SEGMENTS = {"video_test_0000004": [[0.2, 1.1], [11.4, 12.2]], "video_validation_0000051": [[67.5, 75.9]]}


def wtalc(folder, **replaced) -> None:
    """W-TALC's arrays, the lists pickled as numpy does."""
    arrays = {
        "videoname": np.array(list(SEGMENTS), dtype="S"),
        "subset": np.array([b"test", b"validation"]),
        "duration": np.array([[33.7], [169.8]]),
        "segments": np.array([*SEGMENTS.values(), None], dtype=object)[:2],
        "labels": np.array([["CricketBowling", "CricketShot"], ["Billiards"], None], dtype=object)[:2],
    } | replaced
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def test_w_talc_arrays_are_read_without_running_their_pickles(tmp_path):
    wtalc(tmp_path)
    videos = read_dataset(tmp_path)
    assert videos["video_test_0000004"].instances == (
        Instance("CricketBowling", 0.2, 1.1), Instance("CricketShot", 11.4, 12.2))  # fmt: skip
    assert (videos["video_test_0000004"].subset, videos["video_test_0000004"].duration) == ("test", 33.7)
    assert list(read_dataset(tmp_path, "validation")) == ["video_validation_0000051"]
    with pytest.raises(BadInput, match="no video of subset 'x'; it has test, validation"):
        read_dataset(tmp_path, "x")


class Dangerous:
    def __reduce__(self):
        return (open, ("dangerous.txt", "w"))


def test_a_pickle_that_asks_for_more_than_lists_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wtalc(tmp_path, segments=np.array([Dangerous(), None], dtype=object))
    with pytest.raises(BadInput, match=r"asks for .*open, which no annotation needs"):
        read_dataset(tmp_path)
    assert not (tmp_path / "dangerous.txt").exists()


@pytest.mark.parametrize("replaced, words", [
    ({"segments": np.zeros(5)}, "differ in length"),
    ({"segments": np.array([[[1]], [[1, 2]], None], dtype=object)[:2]}, r"not \[start, end\] pairs with a label"),
    ({"duration": np.array([np.nan, 1])}, "not finite"),
])  # fmt: skip
def test_arrays_that_do_not_fit_are_refused(tmp_path, replaced, words):
    wtalc(tmp_path, **replaced)
    with pytest.raises(BadInput, match=words):
        read_dataset(tmp_path)
    (tmp_path / "labels.npy").write_bytes(b"no array")
    with pytest.raises(BadInput, match="cannot read"):
        read_dataset(tmp_path)


@pytest.fixture
def official(tmp_path):
    """The two official folders, one in the other as they are unpacked."""
    validation, test = tmp_path / "TH14_val" / "annotation", tmp_path / "TH14_test" / "annotations" / "annotation"
    for folder in (validation, test):
        folder.mkdir(parents=True)
    (validation / "Diving_val.txt").write_text(
        "video_validation_0000001  72.80 76.40\nvideo_validation_0000001 1.0  2.5\n"
    )
    (validation / "CliffDiving_val.txt").write_text("video_validation_0000001  72.80 76.40\n\n")
    (test / "Diving_test.txt").write_text("video_test_0000007  3.0 4.0\n")
    (test / "Ambiguous_test.txt").write_text("video_test_0000007  8.0 9.0\nvideo_test_0000009  0.0 1.0\n")
    return tmp_path


def test_official_text_folders(official):
    videos = read_dataset(official)
    assert videos["video_validation_0000001"].instances == (
        Instance("Diving", 1.0, 2.5), Instance("CliffDiving", 72.8, 76.4), Instance("Diving", 72.8, 76.4))  # fmt: skip
    assert videos["video_validation_0000001"].duration == 0.0
    assert set(read_dataset(official, "test")) == {"video_test_0000007", "video_test_0000009"}
    assert videos["video_test_0000007"].labels == (AMBIGUOUS, "Diving")
    assert labels_of(videos["video_test_0000007"]) == ("Diving",)
    ambiguous = official / "TH14_test" / "annotations" / "annotation" / "Ambiguous_test.txt"
    assert read_ambiguous(ambiguous)["video_test_0000009"] == (Instance(AMBIGUOUS, 0.0, 1.0),)


@pytest.mark.parametrize("text, words", [("v 1", "2 columns instead of 3"), ("v 1 x", "not a finite number"),
                                         ("v 1 inf", "not a finite number")])  # fmt: skip
def test_a_line_that_is_no_instance_is_named(tmp_path, text, words):
    (tmp_path / "Diving_val.txt").write_text(f"v 1 2\n{text}\n")
    with pytest.raises(BadInput, match=f"line 2: .*{words}"):
        read_dataset(tmp_path)


def test_a_folder_of_neither_kind_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds neither"):
        read_dataset(tmp_path)


def test_detections_go_through_the_thumos_text_and_back(tmp_path):
    found = {"video_test_0000004": (Instance("Diving", 0.0, 1.5, -0.25), Instance("GolfSwing", 2.125, 3.0, 1 / 3))}
    write_thumos_text(tmp_path / "d.txt", found)
    assert (tmp_path / "d.txt").read_text().splitlines()[0] == "video_test_0000004 0.000 1.500 26 -0.25"
    assert load_detections(tmp_path / "d.txt") == found
    with pytest.raises(BadInput, match="not a THUMOS14 class"):
        thumos_text({"v": [Instance("Surfing", 0, 1, 1.0)]})
    (tmp_path / "d.txt").write_text("v 0 1 27 0.5\n")
    with pytest.raises(BadInput, match="unknown THUMOS14 class '27'"):
        load_detections(tmp_path / "d.txt")


def test_the_classes_are_thumos14s(shared):
    videos = read_dataset(shared / "thumos14" / "thumos14.json")
    assert {label for video in videos.values() for label in video.labels} == set(CLASS_NUMBERS)


def test_activitynets_own_json_is_read_with_its_subsets(tmp_path):
    database = {"a": {"subset": "training", "duration": 9, "annotations": [{"label": "Surfing", "segment": [1, 2]}]},
                "b": {"subset": "testing", "duration": 9, "annotations": []}}  # fmt: skip
    content = {"version": "VERSION 1.3", "taxonomy": [{"nodeName": "Surfing"}], "database": database}
    (tmp_path / "activity_net.v1-3.min.json").write_text(json.dumps(content))
    videos = read_dataset(tmp_path / "activity_net.v1-3.min.json", "training")
    assert labels_of(videos["a"]) == ("Surfing",)
