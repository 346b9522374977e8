"""The diagnosis: each type of error made once by hand, what it costs, and what is missed."""

import json

import numpy as np
import pytest

from plusmv.core.annotations import read_annotations, read_detections
from plusmv.wsal.diagnose import BINS, ERRORS, TRUE, diagnose
from plusmv.wsal.evaluate import evaluate
from tests.test_evaluate import found, truth


def shares(result) -> dict[str, float]:
    """Of all detections looked at."""
    total = sum(row["detections"] for row in result["profile"])
    return {kind: sum(row[kind] * row["detections"] for row in result["profile"]) / total for kind in (TRUE, *ERRORS)}


def test_each_type_of_error_is_what_it_is_called():
    annotations = truth(a=[("Jump", 0, 10), ("Throw", 50, 60)])
    detections = found(a=[
        ("Jump", 0, 10, 9.0),  # true
        ("Jump", 1, 10, 8.0),  # the same instance again
        ("Jump", 50, 60, 7.0),  # a throw
        ("Jump", 6, 14, 6.0),  # tIoU 4/14
        ("Jump", 56, 64, 5.0),  # tIoU 4/14 with a throw
        ("Jump", 80, 90, 4.0),  # nothing there
        ("Jump", 9.5, 30, 3.0),  # hardly touches
    ])  # fmt: skip
    result = diagnose(annotations, detections)
    expected = dict(zip((TRUE, *ERRORS), (1, 1, 1, 1, 1, 2), strict=True))
    assert shares(result) == pytest.approx({kind: count / 7 for kind, count in expected.items()})
    assert [row["detections"] for row in result["profile"]] == [1] * 7 + [0] * 3
    assert result["profile"][0][TRUE] == 1


def test_of_equal_overlaps_an_instance_of_the_own_class_counts():
    annotations = truth(a=[("CliffDiving", 0, 10), ("Diving", 0, 10)])
    result = diagnose(annotations, found(a=[("Diving", 0, 10, 2.0), ("Diving", 0, 10, 1.0)]))
    assert shares(result)["double detection"] == 0.5


def test_an_ambiguous_segment_is_no_class_to_be_wrong_about():
    annotations = truth(a=[("Jump", 0, 10), ("Ambiguous", 50, 60)])
    result = diagnose(annotations, found(a=[("Jump", 50, 60, 2.0)]))
    assert shares(result)["background"] == 1
    assert result["true_instances"] == 1


def test_the_cost_of_a_type_is_the_ap_that_its_removal_gains():
    annotations = truth(a=[("Jump", 0, 10)])
    detections = found(a=[("Jump", 80, 90, 2.0), ("Jump", 0, 10, 1.0)])
    result = diagnose(annotations, detections)
    assert result["mAP"] == 0.5
    assert result["impact"]["background"] == 0.5
    assert result["impact"]["localization"] == 0


def test_only_the_best_ten_times_g_detections_are_looked_at():
    annotations = truth(a=[("Jump", 0, 10)])
    detections = found(a=[("Jump", 80, 90, -float(rank)) for rank in range(30)])
    assert diagnose(annotations, detections)["detections"] == 10


def test_missed_instances_are_grouped():
    annotations = truth(
        a=[("Jump", 0, 2), ("Jump", 20, 26), ("Jump", 40, 70)], b=[("Jump", 0, 120)], c=[("Jump", 5, 5)]
    )
    result = diagnose(annotations, found(a=[("Jump", 20, 26, 1.0)]))
    by_length = {group["group"]: (group["true"], group["missed"]) for group in result["false_negatives"]["length"]}
    assert by_length == {"up to 3": (1, 1), "3 to 6": (1, 0), "6 to 12": (0, 0), "12 to 18": (0, 0), "over 18": (2, 2)}
    coverage = [group["true"] for group in result["false_negatives"]["coverage"]]
    assert coverage == [1, 0, 1, 0, 1]  # 2 %, 6 %, 30 %; 120 s of 100 s belong nowhere
    assert [group["true"] for group in result["false_negatives"]["instances"]] == [2, 3, 0, 0]
    assert result["missed"] == 0.8
    notes = " | ".join(result["notes"])
    assert "no extent" in notes
    assert "longer than their video" in notes


def test_several_thresholds_are_averaged():
    annotations = truth(a=[("Jump", 0, 10)])
    detections = found(a=[("Jump", 0, 6, 1.0)])
    result = diagnose(annotations, detections, (0.5, 0.7), BINS["activitynet"])
    assert (result["mAP"], result["missed"], result["detections"]) == (0.5, 0.5, 1)
    assert shares(result)["localization"] == 0.5


def test_nothing_found_is_all_missed():
    result = diagnose(truth(a=[("Jump", 0, 10)]), {})
    assert (result["missed"], result["mAP"], result["detections"]) == (1.0, 0.0, 0)


def test_published_detections(shared):
    annotations = read_annotations(shared / "thumos14" / "stpn_gt.json", "test")
    detections = read_detections(shared / "thumos14" / "stpn_results.json")
    result = diagnose(annotations, detections)
    assert result["mAP"] == pytest.approx(evaluate(annotations, detections)["mAP"][4], abs=1e-3)
    assert sum(group["true"] for group in result["false_negatives"]["length"]) == 3311
    for row in result["profile"]:
        assert sum(row[kind] for kind in (TRUE, *ERRORS)) == pytest.approx(1)
    assert np.isfinite(list(result["impact"].values())).all()
    json.dumps(result, allow_nan=False)
