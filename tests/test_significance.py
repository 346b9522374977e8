"""The paired bootstrap: a drawn mAP is the evaluator's on the drawn videos, and what is certain is told from chance."""

from dataclasses import replace

import numpy as np
import pytest

from plusmv.core.annotations import AnnotatedVideo, Instance
from plusmv.wsal.evaluate import evaluate
from plusmv.wsal.significance import difference, drawn_mAP, video_draws

TIOUS = (0.1, 0.5, 0.7)


def some_videos(count: int, seed: int) -> tuple[dict[str, AnnotatedVideo], dict[str, list[Instance]]]:
    """Videos with one to three instances of two classes each, and detections, some of them near an instance."""
    draws = np.random.default_rng(seed)
    truth, detections = {}, {}
    for index in range(count):
        name, starts = f"v{index}", 20.0 * np.arange(draws.integers(1, 4))
        instances = tuple(Instance("Dive" if draws.random() < 0.6 else "Golf", start, start + 8) for start in starts)
        truth[name] = AnnotatedVideo(name, "test", 80.0, 25.0, instances)
        near = [replace(each, start=each.start + 5 * draws.random(), score=draws.random()) for each in instances * 2]
        false = [Instance("Golf", start, start + 6, draws.random()) for start in 70 * draws.random(3)]
        detections[name] = near + false
    return truth, detections


def test_a_drawn_mAP_is_the_evaluators_on_the_videos_drawn_as_often_as_drawn():
    truth, detections = some_videos(6, 0)
    draws = video_draws(6, resamples=20)
    found = drawn_mAP(truth, detections, TIOUS, draws)
    for row, counts in zip(found, draws.astype(int), strict=True):
        copies = [(f"{name}-{copy}", name) for name, n in zip(truth, counts, strict=True) for copy in range(n)]
        drawn_truth = {copy: replace(truth[name], id=copy) for copy, name in copies}
        expected = evaluate(drawn_truth, {copy: detections[name] for copy, name in copies}, TIOUS)["mAP"]
        assert row == pytest.approx(expected, abs=1e-6)
    dive = drawn_mAP(truth, detections, TIOUS, draws, ["Dive"])[0]
    assert dive == pytest.approx(evaluate(truth, detections, TIOUS)["per_class"]["Dive"], abs=1e-6)


def test_what_always_holds_is_significant_and_what_hangs_on_one_video_or_seed_is_not():
    draws = np.random.default_rng(0)
    base = 0.3 + 0.05 * draws.normal(size=(5, 1)) + 0.02 * draws.normal(size=(5, 1001))
    always = difference(base + 0.1, base)
    assert always.value == pytest.approx(0.1) and always.p < 0.01 and always.low > 0.09
    one_seed = base.copy()
    one_seed[2] += 0.5
    assert difference(one_seed, base).p > 0.05
    nothing = difference(base, base)
    assert (nothing.value, nothing.p) == (0, 1)


def test_the_same_draws_serve_every_row():
    assert (video_draws(7) == video_draws(7)).all()
    assert (video_draws(7).sum(axis=1) == 7).all()
