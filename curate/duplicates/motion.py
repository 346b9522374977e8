"""How long two clips move alike, cell by cell, at one offset and speed: what tells a copy from another take.

The luma of both is averaged over the same 16 x 16 cells of what they share (keypoints say where that is), and its
change over half a second, less the whole picture's, is scaled to a length of about 1 where anything moves. The products
of two clips' changes are near 1 along a copy's alignment and near 0 elsewhere, whatever the contrast. The alignment is
the run of moments at one offset and speed whose products most exceed CHANCE: its excess in seconds is the evidence. A
run, because of a stitched clip only a part is a copy. Arrays in, plain values out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plusmv.curate.duplicates.fingerprint import CELLS, LUMA_FPS

GRID = 16  # cells a side of what two pictures share
LAG = LUMA_FPS // 2  # motion is the change over half a second
STILL = 0.5  # luma steps (root mean square over cells) at which a change counts half: noise and coding reach it
MOVED = 6.0  # luma steps by which one cell of a clip that is not a still changes at some time; coding makes 1 to 2
CHANCE = 0.4  # product that other moments of a scene reach
SPEEDS = np.exp(np.linspace(np.log(0.8), np.log(1.25), 11))  # steps of 4.5 %, 1 among them
FINER = np.exp(np.linspace(-0.0223, 0.0223, 5))  # around the best of SPEEDS
SPEED_SECONDS = 2.0  # of the shorter clip; on less, one speed fits about as well as another
SPEED_GAIN = 1.02  # by which the evidence at another speed must beat that at the first
AGAIN = 0.6  # seconds of evidence that a further run, of halves swapped, must have
RUNS = 4
OTHERWISE = -0.12  # mean excess of half a second in which the two move each in its own way


@dataclass(frozen=True)
class Shared:
    """What two pictures share, as intervals of each picture's own sides: (left, top, right, bottom), 0 to 1."""

    in_a: tuple[float, float, float, float]
    in_b: tuple[float, float, float, float]


WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Run:
    """Moments of a, from start_s until stop_s, that stand in b: t_b = speed * t_a + offset_s."""

    evidence_s: float
    correlation: float
    start_s: float
    stop_s: float
    speed: float
    offset_s: float


def cells(luma: np.ndarray, interval: Sequence[float]) -> np.ndarray:
    """(M, 256) float32: luma (M, 24, 24) averaged over 16 x 16 cells of the part that the interval says."""
    pictures = luma.astype(np.float32)
    across, down = _averages(interval[0], interval[2]), _averages(interval[1], interval[3])
    return (down @ pictures @ across.T).reshape(len(luma), GRID * GRID)


def _averages(start: float, stop: float) -> np.ndarray:
    """(16, 24): the share of each of 24 cells in each sixteenth of the interval."""
    edges = np.linspace(start, stop, GRID + 1) * CELLS
    inner = np.arange(CELLS)
    weights = np.minimum(edges[1:, None], inner + 1) - np.maximum(edges[:-1, None], inner)
    weights = np.maximum(weights, 0)
    return (weights / np.maximum(weights.sum(1, keepdims=True), 1e-9)).astype(np.float32)


def at_speed(values: np.ndarray, speed: float) -> np.ndarray:
    """The values (M, ...) as they would be sampled if each second lasted `speed` seconds."""
    if speed == 1.0:
        return values
    place = np.arange(int((len(values) - 1) * speed + 1e-6) + 1) / speed
    before = np.minimum(place.astype(int), len(values) - 1)
    after = np.minimum(before + 1, len(values) - 1)
    share = (place - before)[:, None].astype(np.float32)
    return values[before] * (1 - share) + values[after] * share


def changes(values: np.ndarray) -> np.ndarray:
    """(M - 4, 256) float32, of length 0 to 1: how the cells change over half a second, each moment weighing alike."""
    change = values[LAG:] - values[:-LAG]
    change = change - change.mean(axis=1, keepdims=True)
    power = (change**2).mean(axis=1, keepdims=True)
    return change / np.sqrt(GRID * GRID * (power + STILL**2))


def moves(luma: np.ndarray) -> bool:
    """Whether anything changes: luma (M, 24, 24). False for a still, or what is shorter than half a second."""
    values = luma.reshape(len(luma), -1).astype(np.float32)
    change = values[LAG:] - values[:-LAG]
    change -= change.mean(axis=1, keepdims=True)
    return bool((np.abs(change) >= MOVED).any())


def runs(a: np.ndarray, b: np.ndarray) -> list[Run]:
    """Where a moves as b does: the best run and what else of a and b fits at its speed. a, b: cells of what they share.

    [] where nothing does. Further runs are those of halves swapped or of pieces left out.
    """
    if min(len(a), len(b)) <= LAG:
        return []
    speeds = SPEEDS if min(len(a), len(b)) >= SPEED_SECONDS * LUMA_FPS else np.ones(1)
    best = _best_run(a, b, speeds)
    if best is None:
        return []
    if len(speeds) > 1:
        best = _best_run(a, b, best.speed * FINER[[2, 1, 3, 0, 4]]) or best
    found, free_a, free_b = [best], np.ones(len(a)), np.ones(len(b))
    while len(found) < RUNS:
        _use(free_a, found[-1].start_s, found[-1].stop_s)
        _use(free_b, *(found[-1].speed * t + found[-1].offset_s for t in (found[-1].start_s, found[-1].stop_s)))
        more = _best_run(a, b, np.array([best.speed]), free_a, free_b)
        if more is None or more.evidence_s < AGAIN:
            break
        found.append(more)
    return found


def extend(a: np.ndarray, b: np.ndarray, found: Sequence[Run]) -> tuple[float, float]:
    """(seconds of evidence against, seconds of a covered) of runs of one speed between the cells of two clips.

    A run goes on through moments in which nothing moves, until the two clearly move otherwise. Against: what overlaps
    at the first run's offset, moves otherwise and is in none of the runs.
    """
    covered = np.zeros(len(a), bool)
    against = 0.0
    for number, run in enumerate(found):
        excess, first = _along(a, b, run)
        start = int(np.clip(round(run.start_s * run.speed * LUMA_FPS) - first, 0, max(len(excess) - 1, 0)))
        stop = int(np.clip(round(run.stop_s * run.speed * LUMA_FPS) - LAG - first, start + 1, max(len(excess), 1)))
        start, stop = _quiet_before(excess[:start]), stop + _quiet_after(excess[stop:])
        clock = 1 / run.speed
        covered[round((first + start) * clock) : round((first + stop + LAG) * clock)] = True
        if number == 0:
            line, line_first, line_clock = excess, first, clock
    for t, value in enumerate(line):
        moment = min(round((line_first + t + LAG / 2) * line_clock), len(covered) - 1)
        against -= min(value, 0.0) * (not covered[moment])
    return against / LUMA_FPS, float(covered.sum()) / LUMA_FPS


def _along(a: np.ndarray, b: np.ndarray, run: Run) -> tuple[np.ndarray, int]:
    """(excess at each moment of the overlap, the first one's sample on a's clock at the run's speed)."""
    moves_a, moves_b = changes(at_speed(a, run.speed)), changes(b)
    offset = round(run.offset_s * LUMA_FPS)
    first, last = max(0, -offset), min(len(moves_a), len(moves_b) - offset)
    t = np.arange(first, max(last, first))
    own, other = moves_a[t], moves_b[t + offset]
    return (own * other).sum(1) - CHANCE * 0.5 * ((own**2).sum(1) + (other**2).sum(1)), first


def _quiet_after(excess: np.ndarray) -> int:
    """How many moments pass before half a second clearly moves otherwise."""
    if len(excess) < LAG:
        return len(excess)
    means = np.convolve(excess, np.ones(LAG) / LAG, mode="valid")
    otherwise = np.flatnonzero(means < OTHERWISE)
    return int(otherwise[0]) if len(otherwise) else len(excess)


def _quiet_before(excess: np.ndarray) -> int:
    return len(excess) - _quiet_after(excess[::-1])


def _use(free: np.ndarray, start_s: float, stop_s: float) -> None:
    free[max(round(start_s * LUMA_FPS), 0) : max(round(stop_s * LUMA_FPS), 0)] = 0


def _best_run(
    a: np.ndarray, b: np.ndarray, speeds: np.ndarray, free_a: np.ndarray | None = None, free_b: np.ndarray | None = None
) -> Run | None:
    """The run of most evidence; the speed nearest to 1 unless another one is better by SPEED_GAIN."""
    moves_b = changes(b)
    if free_b is not None:
        moves_b = moves_b * np.minimum(free_b[LAG:], free_b[:-LAG])[:, None]
    best, highest = None, 0.0
    for speed in speeds[np.argsort(np.abs(np.log(speeds)), kind="stable")]:
        moves_a = changes(at_speed(a, speed))
        if free_a is not None:
            free = at_speed(free_a[:, None].astype(np.float32), speed)[:, 0]
            moves_a = moves_a * np.minimum(free[LAG:], free[:-LAG])[:, None]
        if not len(moves_a):
            continue
        found = _best_diagonal(moves_a, moves_b)
        if found is not None and found[0] > highest * SPEED_GAIN:
            highest = found[0]
            best = _run(*found, float(speed))
    return best


def _run(evidence: float, correlation: float, offset: int, first: int, last: int, speed: float) -> Run:
    """From samples of b's clock to seconds of a's."""
    scale = 1 / (LUMA_FPS * speed)
    return Run(evidence / LUMA_FPS, correlation, first * scale, (last + 1 + LAG) * scale, speed, offset / LUMA_FPS)


def _best_diagonal(a: np.ndarray, b: np.ndarray) -> tuple[float, float, int, int, int] | None:
    """(evidence, correlation, offset, first, last) of the best run of a (n, 256) in b (m, 256), None where none is."""
    n, m = len(a), len(b)
    power_a, power_b = (a**2).sum(1), (b**2).sum(1)
    products = a @ b.T
    excess = products - CHANCE * 0.5 * (power_a[:, None] + power_b[None, :])
    lined = np.full((n, n + m - 1), -np.inf, np.float32)  # [t, offset + n - 1]
    for t in range(n):
        lined[t, n - 1 - t : n - 1 - t + m] = excess[t]
    run, first = np.zeros(n + m - 1, np.float32), np.zeros(n + m - 1, int)
    top, top_first, top_last = run.copy(), first.copy(), first.copy()
    for t in range(n):
        fresh = run <= 0
        first[fresh] = t
        run = np.where(fresh, 0, run) + lined[t]
        better = run > top
        top[better], top_first[better], top_last[better] = run[better], first[better], t
    place = int(top.argmax())
    if top[place] <= 0:
        return None
    offset, start, stop = place - (n - 1), int(top_first[place]), int(top_last[place])
    steps = np.arange(start, stop + 1)
    weight = np.sqrt(power_a[steps].sum() * power_b[steps + offset].sum())
    return float(top[place]), float(products[steps, steps + offset].sum() / weight), offset, start, stop
