"""The evaluator: equal to the official one on published detections and to a plain loop, undefined cases defined."""

import json

import numpy as np
import pytest

from plusmv.core.annotations import AnnotatedVideo, Instance, read_annotations, read_detections
from plusmv.core.errors import BadInput
from plusmv.wsal.datasets import AMBIGUOUS, NOT_IN_210
from plusmv.wsal.evaluate import evaluate, greedy_matches, interpolated_average_precision, temporal_iou


def truth(**videos: list[tuple[str, float, float]]) -> dict[str, AnnotatedVideo]:
    return {
        name: AnnotatedVideo(name, "test", 100.0, 30.0, tuple(Instance(*instance) for instance in instances))
        for name, instances in videos.items()
    }


def found(**videos: list[tuple[str, float, float, float]]) -> dict[str, tuple[Instance, ...]]:
    return {name: tuple(Instance(*detection) for detection in detections) for name, detections in videos.items()}


def test_published_detections_score_as_with_the_official_code(shared):
    folder = shared / "thumos14"
    golden = json.loads((folder / "golden_map.json").read_text())["stpn_results__stpn_gt(210 videos)"]
    annotations = read_annotations(folder / "stpn_gt.json", "test")
    detections = read_detections(folder / "stpn_results.json")
    result = evaluate(annotations, detections)
    assert result["tiou"] == pytest.approx(golden["thresholds"])
    assert result["mAP"] == pytest.approx(golden["mAP"], abs=2e-16)
    assert result["average_mAP"] == pytest.approx(golden["avg_mAP"], abs=2e-16)
    assert set(result["per_class"]) == set(golden["AP"])
    for label, precision in golden["AP"].items():
        assert result["per_class"][label] == pytest.approx(precision, abs=4e-16)
    assert (result["videos"], result["ground_truth"], result["detections"]) == (210, 3311, 9151)
    assert result["notes"] == ["1 videos have no detection: video_test_0000664"]


def test_matches_equal_a_plain_loop():
    draws = np.random.default_rng(0)
    thresholds = np.array([0.1, 0.5, 0.3, 0.7])
    for _ in range(50):
        overlaps = draws.random((draws.integers(1, 12), draws.integers(1, 6))) * (draws.random() < 0.9)
        expected = np.full((len(overlaps), len(thresholds)), -1)
        for column, threshold in enumerate(thresholds):
            taken = set()
            for row, its in enumerate(overlaps):
                for instance in its.argsort()[::-1]:
                    if its[instance] >= threshold and instance not in taken:
                        taken.add(instance)
                        expected[row, column] = instance
                        break
        assert (greedy_matches(overlaps, thresholds) == expected).all()


def test_average_precision_is_the_area_under_the_interpolated_curve():
    hits = np.array([True, False, True, False, False, True])
    precision = np.cumsum(hits) / np.arange(1, 7)
    recall = np.cumsum(hits) / 4
    area = sum((recall[i] - (recall[i - 1] if i else 0)) * precision[i:].max() for i in range(6))
    assert interpolated_average_precision(hits, 4) == pytest.approx(area)
    assert interpolated_average_precision(np.zeros(0, bool), 4) == 0


def test_a_second_detection_of_one_instance_is_false_and_the_next_best_instance_is_taken():
    annotations = truth(a=[("Jump", 0, 10), ("Jump", 5, 15)])
    twice = found(a=[("Jump", 0, 10, -1.0), ("Jump", 0, 10, -2.0)])  # negative scores, a segment at 0 s
    result = evaluate(annotations, twice, [0.3, 0.5])
    assert result["per_class"]["Jump"] == [1.0, 0.5]  # [0, 10] overlaps [5, 15] by 1/3


def test_of_equal_scores_the_later_goes_first():
    annotations = truth(a=[("Jump", 0, 10)])
    right, wrong = ("Jump", 0, 10, 1.0), ("Jump", 50, 60, 1.0)
    assert evaluate(annotations, found(a=[wrong, right]), [0.5])["mAP"] == [1.0]
    tied = evaluate(annotations, found(a=[right, wrong]), [0.5])
    assert tied["mAP"] == [0.5]
    assert any("share their score" in note for note in tied["notes"])


def test_what_the_official_code_leaves_undefined_is_defined_and_named():
    annotations = truth(a=[("Jump", 0, 10), ("Jump", 7, 7)], b=[("Throw", 90, 130)])
    detections = found(a=[("Jump", 0, 10, 2.0), ("Jump", 7, 7, 1.0), ("Fly", 0, 5, 1.0)], z=[("Jump", 0, 10, 3.0)])
    result = evaluate(annotations, detections, [0.5])
    assert result["per_class"] == {"Jump": [0.25], "Throw": [0.0]}  # precision 1/2 at recall 1/2
    assert (result["ground_truth"], result["detections"], result["mAP"]) == (3, 4, [0.125])
    notes = " | ".join(result["notes"])
    for words in ("no detection: b", "without ground truth", "Fly", "1 true instances end where", "1 detections end",
                  "end after their video"):  # fmt: skip
        assert words in notes


def test_no_detections_at_all_score_zero():
    assert evaluate(truth(a=[("Jump", 0, 10)]), {})["average_mAP"] == 0.0
    assert "no true instance" in evaluate(truth(a=[]), {})["notes"][0]


def test_tiou_is_symmetric_and_in_seconds():
    first, second = np.array([[0.0, 1.0], [2.0, 2.0]]), np.array([[0.5, 1.5], [2.0, 2.0], [0.0, 1.0]])
    overlaps = temporal_iou(first, second)
    assert overlaps == pytest.approx(np.array([[1 / 3, 0, 1], [0, 0, 0]]))
    assert (overlaps == temporal_iou(second, first).T).all()


def test_the_thumos_protocol_ignores_false_positives_that_overlap_an_ambiguous_segment():
    annotations = truth(a=[("Jump", 0, 10), (AMBIGUOUS, 20, 30), (AMBIGUOUS, 5, 8)], b=[("Jump", 0, 10)])
    detections = found(a=[("Jump", 29, 40, 3.0), ("Jump", 30, 40, 2.0), ("Jump", 0, 10, 1.0)], b=[("Jump", 1, 10, 0.5)])
    plain = evaluate(annotations, detections, [0.5])
    assert plain["per_class"] == {"Jump": [0.5]}  # precision 1/3, then 2/4, which interpolation gives to both
    assert plain["ground_truth"] == 2
    assert "2 segments in 1 videos are ambiguous; this protocol treats them as background" in plain["notes"][-1]
    ignoring = evaluate(annotations, detections, [0.5], "thumos")  # [29, 40] is ignored, [0, 10] stays a hit
    assert ignoring["per_class"]["Jump"] == [pytest.approx(2 / 3)]
    assert (ignoring["protocol"], ignoring["mAP"]) == ("thumos", [pytest.approx(2 / 3)])
    unmarked = evaluate(truth(a=[("Jump", 0, 10)]), found(a=[("Jump", 0, 10, 1.0)]), [0.5], "thumos")
    assert "no segment is marked ambiguous" in unmarked["notes"][-1]
    with pytest.raises(BadInput, match="unknown protocol 'x'"):
        evaluate({}, {}, protocol="x")


def test_videos_can_be_left_out_with_their_detections(shared):
    folder = shared / "thumos14"
    annotations = read_annotations(folder / "thumos14.json", "test")
    detections = read_detections(folder / "stpn_results.json")
    everything, fewer = evaluate(annotations, detections), evaluate(annotations, detections, without=NOT_IN_210)
    assert (everything["videos"], everything["ground_truth"]) == (212, 3358)
    assert (fewer["videos"], fewer["ground_truth"]) == (210, 3311)
    assert "2 videos were excluded as requested" in fewer["notes"][-1]
    official = evaluate(read_annotations(folder / "stpn_gt.json", "test"), detections)
    assert fewer["mAP"][4] == pytest.approx(official["mAP"][4], abs=2e-3)


def test_a_video_with_several_labels_counts_in_each_class():
    annotations = truth(a=[("CliffDiving", 0, 10), ("Diving", 0, 10)])
    result = evaluate(annotations, found(a=[("Diving", 0, 10, 1.0)]), [0.5])
    assert result["per_class"] == {"CliffDiving": [0.0], "Diving": [1.0]}
