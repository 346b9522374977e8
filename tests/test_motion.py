"""curate.duplicates.motion: runs at one offset and speed in random walks of cells, and how far they go on."""

import numpy as np
import pytest

from plusmv.curate.duplicates.fingerprint import CELLS, LUMA_FPS
from plusmv.curate.duplicates.motion import GRID, WHOLE, at_speed, cells, extend, moves, runs


def walk(seed, seconds):
    """(M, 24, 24) float: each cell wanders smoothly by some ten steps a second."""
    steps = np.random.default_rng(seed).normal(0, 6, (round(seconds * LUMA_FPS), CELLS, CELLS))
    return 128 + np.cumsum(steps, axis=0)


def shown(luma):
    return cells(luma, WHOLE)


def test_a_copy_is_one_run_from_end_to_end():
    luma = walk(1, 5)
    (run,) = runs(shown(luma), shown(0.6 * luma + 30))
    assert (run.start_s, run.stop_s, run.offset_s, run.speed) == (0, pytest.approx(5, abs=0.2), 0, 1)
    assert run.correlation > 0.99 and run.evidence_s > 2


def test_other_walks_have_no_evidence():
    most = [sum(run.evidence_s for run in runs(shown(walk(1, 5)), shown(walk(seed, 5)))) for seed in range(2, 8)]
    assert max(most) < 0.2


@pytest.mark.parametrize("speed", [0.8, 1.1, 1.25])
def test_speed_and_offset_are_found(speed):
    luma = walk(3, 8)
    later = at_speed(luma.reshape(len(luma), -1), speed).reshape(-1, CELLS, CELLS)[8:]
    found = runs(shown(luma), shown(later))[0]
    assert found.speed == pytest.approx(speed, rel=0.015)
    assert found.offset_s == pytest.approx(-1.0, abs=0.15)


def test_halves_swapped_are_two_runs_and_cover_all():
    luma = walk(5, 6)
    a, b = shown(luma), shown(np.concatenate([luma[24:], luma[:24]]))
    found = runs(a, b)
    assert sorted(round(run.offset_s) for run in found) == [-3, 3]
    against, covered = extend(a, b, found)
    assert covered == pytest.approx(6, abs=0.3) and against < 0.3


def test_what_goes_on_differently_is_not_covered_and_counts_against():
    start = walk(6, 4)
    first, second = (np.concatenate([start, start[-1] + walk(seed, 3) - 128]) for seed in (7, 8))
    found = runs(shown(first), shown(second))
    against, covered = extend(shown(first), shown(second), found)
    assert covered == pytest.approx(4, abs=0.6)
    assert against > 0.5


def test_a_run_goes_on_where_nothing_moves():
    luma = np.concatenate([walk(9, 3), np.repeat(walk(9, 3)[-1:], 24, axis=0)])
    found = runs(shown(luma), shown(luma + 5))
    assert extend(shown(luma), shown(luma + 5), found)[1] == pytest.approx(6, abs=0.2)


def test_cells_average_what_the_interval_says():
    luma = np.arange(CELLS * CELLS, dtype=float).reshape(1, CELLS, CELLS)
    assert cells(luma, WHOLE).shape == (1, GRID * GRID)
    assert cells(luma, WHOLE).mean() == pytest.approx(luma.mean())
    assert cells(luma, (0.5, 0, 1, 0.5)).mean() == pytest.approx(luma[0, :12, 12:].mean())


def test_stills_do_not_move():
    noisy = 90 + np.random.default_rng(0).normal(0, 1, (40, CELLS, CELLS))
    assert not moves(noisy) and not moves(walk(1, 0.4)) and moves(walk(1, 2))
