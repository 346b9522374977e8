"""The evaluator: equal to the official one on published detections and to a plain loop, undefined cases defined."""

import json
import time

import numpy as np
import pytest

from core.annotations import AnnotatedVideo, Instance, read_annotations, read_detections
from wsal.evaluate import evaluate, greedy_matches, interpolated_average_precision, temporal_iou


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
    start = time.process_time()
    result = evaluate(annotations, detections)
    assert time.process_time() - start < 1  # 0.07 s where this was written; a plain loop takes 3
    assert result["tiou"] == pytest.approx(golden["thresholds"])
    assert result["mAP"] == pytest.approx(golden["mAP"], abs=1e-9)
    assert result["average_mAP"] == pytest.approx(golden["avg_mAP"], abs=1e-9)
    assert set(result["per_class"]) == set(golden["AP"])
    for label, precision in golden["AP"].items():
        assert result["per_class"][label] == pytest.approx(precision, abs=1e-9)
    assert (result["videos"], result["ground_truth"], result["detections"]) == (210, 3311, 9151)
    assert result["notes"] == ["1 videos have no detection: video_test_0000664"]


def test_matches_equal_a_plain_loop():
    draws = np.random.default_rng(0)
    thresholds = np.array([0.1, 0.5, 0.3, 0.7])
    for _ in range(50):
        overlaps = draws.random((draws.integers(1, 12), draws.integers(1, 6))) * (draws.random() < 0.9)
        expected = np.zeros((len(overlaps), len(thresholds)), dtype=bool)
        for column, threshold in enumerate(thresholds):
            taken = set()
            for row, its in enumerate(overlaps):
                for instance in its.argsort()[::-1]:
                    if its[instance] >= threshold and instance not in taken:
                        taken.add(instance)
                        expected[row, column] = True
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
