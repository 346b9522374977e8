"""What one fingerprint is to another: the same pictures, an edited copy, a part, or another moment of the same scene.

Two clips may also only share something, such as an intro, while each goes on in its own way: neither is part of the
other.

Pictures that look alike only nominate a pair. Keypoints say where one lies in the other (a crop, a frame, bars, an
overlay), and then a copy also *moves* alike there, at one offset and speed (motion). A pair's answer depends on
these two clips alone, never on what else is in the catalog. Arrays in, plain values out.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from plusmv.curate.duplicates import keypoints, motion, stills
from plusmv.curate.duplicates.fingerprint import HASH_FPS, LUMA_FPS, Fingerprint
from plusmv.curate.duplicates.keypoints import Placing
from plusmv.curate.duplicates.limits import SHORTEST_S
from plusmv.curate.duplicates.motion import WHOLE, Run, Shared
from plusmv.curate.duplicates.orientation import ORIENTATIONS, UPRIGHT, Orientation
from plusmv.curate.duplicates.pdq import BITS, hamming
from plusmv.db.models import DuplicateEdge, EdgeKind

LOOKS = 90  # bits of 256 between two pictures up to which they may be the same one whole
SAME_SCENE = 40  # median bits between the shorter clip's pictures and the nearest of the longer one's
SAME_PLACE = 30  # keypoints that agree on one placing, for the same scene
INLIERS = 6  # keypoints that must agree for a placing to be tried
PICTURES = 12  # of each clip, evenly, among which the pair that shares most keypoints is sought
ROUGH_PICTURES, ROUGH_POINTS = 2400, 24  # of a longer clip, among which the place to look closer is sought
ROWS = 64  # keypoints compared at a time
TRIED = 3  # such pairs, of which the placing with most inliers counts
LEAST_SHARED = 0.15  # of each side of the smaller picture
SAME_SIZE = 0.1  # logarithm of the ratio of two pictures' sides up to which they may be framed alike
SCALE_S = 0.5  # seconds of evidence at which the score is 1 - 1/e
COPY = 0.5  # score that a copy, a part or what is shared must have: .35 s of evidence
SURE = 0.7  # score from which a copy is grouped without asking: .6 s
SURE_CORRELATION = 0.75  # and of the changes: another take of what repeats itself gathers evidence too, only slower
AGAINST = 0.25  # weight of what overlaps and moves otherwise
SHARED_CORRELATION = 0.8  # of the changes for SHORTEST_S, from which the same was shown whatever else moves otherwise
COPY_COVERS = 0.6  # share of the longer clip that a copy covers; what covers less is a part
INSIDE = 0.8  # share of the shorter clip that lies in the other in a copy or part; of less, the two only share it
WINDOW_S = 60.0  # of a longer video, around where it looks most like the other, that is aligned


@dataclass(frozen=True)
class Alignment:
    """How clip a lies on clip b: t_b = speed * t_a + offset_s, seconds.

    mirror, turn: a's pictures, mirrored and then turned clockwise by so many degrees, are shown as b's are.
    score: 0 to 1 from the seconds for which both move alike, whatever the kind. overlap_s: seconds of b that are a's.
    correlation: of the changes there; 0 where only a still picture is shared (duplicates.stills). inliers: keypoints
    that agree on where one picture lies in the other.
    """

    kind: EdgeKind
    offset_s: float = 0.0
    speed: float = 1.0
    mirror: bool = False
    turn: int = 0
    score: float = 1.0
    overlap_s: float = 0.0
    correlation: float = 0.0
    inliers: int = 0

    def inverse(self) -> "Alignment":
        """How b lies on a."""
        return replace(
            self,
            offset_s=-self.offset_s / self.speed + 0.0,
            speed=1 / self.speed,
            turn=Orientation(self.mirror, self.turn).inverse.turn,
            overlap_s=self.overlap_s / self.speed,
        )


@dataclass(frozen=True)
class _Guess:
    """One way in which a's pictures may lie in b's, and when they look most alike (seconds of a, of b). a: turned."""

    way: Orientation
    a: Fingerprint
    shared: Shared
    inliers: int
    bits: int
    at: tuple[float, float]


def is_sure(how: Alignment | DuplicateEdge) -> bool:
    """Whether two clips are grouped without asking a person."""
    sure = how.score >= SURE and how.correlation >= SURE_CORRELATION
    return how.kind == EdgeKind.EXACT or (how.kind == EdgeKind.COPY and sure)


def bucket(clip: Fingerprint) -> Literal["static", "featureless"] | None:
    """Why a clip is like no other by its hashes: featureless (black, one colour) or static; None where it may be."""
    if not clip.usable.any():
        return "featureless"
    return None if motion.moves(clip.luma) else "static"


def compare(a: Fingerprint, b: Fingerprint) -> Alignment | None:
    """What a is to b, None where they are different.

    Static clips match only where every decoded picture is the same, featureless ones never.
    """
    if not (a.usable.any() and b.usable.any()):
        return None
    if np.array_equal(a.digest, b.digest):
        return Alignment(EdgeKind.EXACT, overlap_s=b.seconds, correlation=1.0)
    if bucket(a) or bucket(b):
        return None
    guesses: list[_Guess] = []
    highest = 0.0
    for ways in (ORIENTATIONS[:2], ORIENTATIONS[2:]):  # few copies are turned: that is tried where nothing else fits
        new = [guess for way in ways for guess in _guesses(way.of(a), b, way)]
        found = max((_aligned(guess, b) for guess in new), key=lambda one: one.score, default=None)
        if found is not None and found.score >= COPY:
            way = Orientation(found.mirror, found.turn)
            return replace(found, inliers=max(guess.inliers for guess in new if guess.way == way))
        guesses, highest = guesses + new, max(highest, found.score if found is not None else 0.0)
    return _same_still(guesses, b) or _same_scene(guesses, b, highest)


def _same_still(guesses: Sequence[_Guess], b: Fingerprint) -> Alignment | None:
    """Clips that have a still picture in common, such as an end card, while both go on otherwise."""
    found = [(stills.shared(guess.a, b), guess.way) for guess in guesses if guess.bits <= LOOKS]
    still, way = max(found, key=lambda one: one[0].seconds if one[0] else 0.0, default=(None, UPRIGHT))
    if still is None:
        return None
    return Alignment(
        EdgeKind.SHARED, still.offset_s, mirror=way.mirror, turn=way.turn, score=COPY, overlap_s=still.seconds
    )


def _same_scene(guesses: Sequence[_Guess], b: Fingerprint, score: float) -> Alignment | None:
    likest = max(guesses, key=lambda guess: (guess.inliers, -guess.bits), default=None)
    if likest is None or (likest.inliers < SAME_PLACE and not _look_alike(likest.a, b)):
        return None
    way = likest.way
    return Alignment(EdgeKind.SAME_SCENE, mirror=way.mirror, turn=way.turn, score=score, inliers=likest.inliers)


def _guesses(a: Fingerprint, b: Fingerprint, way: Orientation) -> Iterator[_Guess]:
    """The whole picture on the whole, where they look alike, and the placing that most keypoints agree on. a: turned"""
    rows_a, rows_b = np.flatnonzero(a.usable), np.flatnonzero(b.usable)
    bits = hamming(a.hashes[rows_a], b.hashes[rows_b])
    row, column = divmod(int(bits.argmin()), bits.shape[1])
    seconds = rows_a[row] / HASH_FPS, rows_b[column] / HASH_FPS
    whole = _Guess(way, a, Shared(WHOLE, WHOLE), 0, int(bits[row, column]), seconds)
    if whole.bits <= LOOKS:
        yield whole
    best = None
    for i, j in _alike(a, b):
        placing = keypoints.place(a.keypoints(i), b.keypoints(j))
        if placing is not None and placing.inliers >= max(INLIERS, best.inliers + 1 if best else 0):
            shared = _shared(placing, a.size.astype(float), b.size.astype(float))
            if shared is not None:
                best = _Guess(way, a, shared, placing.inliers, BITS, (i / HASH_FPS, j / HASH_FPS))
    if best is not None:
        yield best
        if whole.bits > LOOKS and _is_panned(best.shared):
            yield replace(whole, at=best.at)


def _alike(a: Fingerprint, b: Fingerprint) -> list[tuple[int, int]]:
    """The pairs of pictures of a and b that share the most keypoints, at most TRIED.

    Of longer clips a few keypoints of all pictures say first where to look.
    """
    near_a, near_b = _spread_over(a, PICTURES), _spread_over(b, PICTURES)
    if max(len(a.counts), len(b.counts)) > 2 * PICTURES:
        rough_a, rough_b = _spread_over(a, ROUGH_PICTURES), _spread_over(b, ROUGH_PICTURES)
        best = _sharing(a, b, rough_a, rough_b, ROUGH_POINTS)[:1]
        for i, j in best:
            near_a, near_b = _around(a, i), _around(b, j)
    pairs = _sharing(a, b, near_a, near_b, keypoints.COUNT)
    return pairs[:TRIED]


def _spread_over(clip: Fingerprint, most: int) -> np.ndarray:
    """At most so many of its pictures, evenly."""
    return np.unique(np.linspace(0, len(clip.counts) - 1, most).round().astype(int))


def _around(clip: Fingerprint, picture: int) -> np.ndarray:
    first = max(min(picture - PICTURES // 2, len(clip.counts) - PICTURES), 0)
    return np.arange(first, min(first + PICTURES, len(clip.counts)))


def _sharing(a: Fingerprint, b: Fingerprint, of_a: np.ndarray, of_b: np.ndarray, most: int) -> list[tuple[int, int]]:
    """The pairs of these pictures that share keypoints, those that share most first. most: keypoints of a picture."""
    words_a, pictures_a = _words_of(a, of_a, most)
    words_b, pictures_b = _words_of(b, of_b, most)
    if not (len(words_a) and len(words_b)):
        return []
    starts_a, starts_b = (np.flatnonzero(np.diff(pictures, prepend=-1)) for pictures in (pictures_a, pictures_b))
    near = np.empty((len(words_a), len(starts_b)), bool)
    for first in range(0, len(words_a), ROWS):  # a two-hour video has some hundred thousand words
        distance = np.bitwise_count(words_a[first : first + ROWS, None] ^ words_b[None, :])
        near[first : first + ROWS] = np.minimum.reduceat(distance, starts_b, axis=1) <= keypoints.NEAR - 2
    counts = np.add.reduceat(near.astype(int), starts_a, axis=0)  # (pictures of a, pictures of b)
    order = np.argsort(-counts, axis=None, kind="stable")[:TRIED]
    places = [np.unravel_index(int(place), counts.shape) for place in order]
    return [
        (int(pictures_a[starts_a[i]]), int(pictures_b[starts_b[j]])) for i, j in places if counts[i, j] >= INLIERS - 2
    ]


def _words_of(clip: Fingerprint, chosen: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """(words, picture of each) of the chosen pictures, the first `most` of each."""
    picture = np.repeat(np.arange(len(clip.counts)), clip.counts)
    rank = np.arange(len(picture)) - np.repeat(np.cumsum(clip.counts, dtype=int) - clip.counts, clip.counts)
    kept = np.isin(picture, chosen) & (rank < most)
    return clip.words[kept], picture[kept]


def _shared(placing: Placing, size_a: np.ndarray, size_b: np.ndarray) -> Shared | None:
    """What both pictures show, as shares of their sides; None where it is too little."""
    low = np.maximum(0, -placing.shift / placing.scale)
    high = np.minimum(size_a, (size_b - placing.shift) / placing.scale)
    if (high - low < LEAST_SHARED * np.minimum(size_a, size_b / placing.scale)).any():
        return None
    low_b, high_b = placing.scale * low + placing.shift, placing.scale * high + placing.shift
    in_a, in_b = (*(low / size_a), *(high / size_a)), (*(low_b / size_b), *(high_b / size_b))
    return Shared(in_a, in_b)


def _is_panned(shared: Shared) -> bool:
    """Whether one picture lies in the other at its own size but aside: maybe the same framing, a moment later in a pan.

    Of a clip trimmed by a fraction of a hash's step no picture is hashed at the same moment as the original's.
    """
    sides = np.array([shared.in_a, shared.in_b])
    across, down = (sides[:, 2:] - sides[:, :2]).T
    return bool(np.abs(np.log([across[0] / across[1], down[0] / down[1]])).max() < SAME_SIZE)


def _look_alike(a: Fingerprint, b: Fingerprint) -> bool:
    distances = hamming(a.hashes[a.usable > 0], b.hashes[b.usable > 0])
    nearest = distances.min(axis=1 if len(distances) <= distances.shape[1] else 0)
    return float(np.median(nearest)) <= SAME_SCENE


def _aligned(guess: _Guess, b: Fingerprint) -> Alignment:
    """The best alignment under one guess; a SAME_SCENE of score 0 where nothing moves alike."""
    a, way = guess.a, guess.way
    start_a, luma_a = _window(a.luma, guess.at[0])
    start_b, luma_b = _window(b.luma, guess.at[1])
    cells_a = motion.cells(luma_a, guess.shared.in_a)
    cells_b = motion.cells(luma_b, guess.shared.in_b)
    runs = motion.runs(cells_a, cells_b)
    if not runs:
        return Alignment(EdgeKind.SAME_SCENE, mirror=way.mirror, turn=way.turn, score=0.0, inliers=guess.inliers)
    against, covered_a = motion.extend(cells_a, cells_b, runs)
    evidence = sum(run.evidence_s for run in runs)
    best = _shifted(runs[0], start_a, start_b)
    if len(luma_a) < len(a.luma) or len(luma_b) < len(b.luma):
        covered_a = _whole_overlap(guess, b, best)
    overlap = min(covered_a * best.speed, b.seconds)
    kind = _kind(covered_a / a.seconds, overlap / b.seconds)
    if kind != EdgeKind.SHARED or not _is_the_same(best):  # clips that share an end card move otherwise before it
        evidence -= AGAINST * against
    return Alignment(
        kind=kind,
        offset_s=round(best.offset_s, 3) + 0.0,
        speed=round(best.speed, 4),
        mirror=way.mirror,
        turn=way.turn,
        score=round(1 - math.exp(-max(evidence, 0.0) / SCALE_S), 4),
        overlap_s=round(overlap, 3),
        correlation=round(best.correlation, 4),
        inliers=guess.inliers,
    )


def _kind(share_a: float, share_b: float) -> EdgeKind:
    """Of two clips that share a moment but each go on differently, neither is a part."""
    shorter, longer = max(share_a, share_b), min(share_a, share_b)
    if shorter < INSIDE:
        return EdgeKind.SHARED
    return EdgeKind.COPY if longer >= COPY_COVERS else EdgeKind.PART


def _is_the_same(run: Run) -> bool:
    """Whether so much moves so alike for so long as it hardly does in another take of one scene."""
    return run.correlation >= SHARED_CORRELATION and run.stop_s - run.start_s >= SHORTEST_S - 1 / LUMA_FPS


def _window(luma: np.ndarray, at: float) -> tuple[float, np.ndarray]:
    """(second at which it begins, pictures) of at most WINDOW_S around a moment."""
    most = round(WINDOW_S * LUMA_FPS)
    if len(luma) <= most:
        return 0.0, luma
    first = int(np.clip(round(at * LUMA_FPS) - most // 2, 0, len(luma) - most))
    return first / LUMA_FPS, luma[first : first + most]


def _shifted(run: Run, start_a: float, start_b: float) -> Run:
    """A run of two windows on the clocks of the whole clips."""
    return replace(
        run,
        start_s=run.start_s + start_a,
        stop_s=run.stop_s + start_a,
        offset_s=run.offset_s + start_b - run.speed * start_a,
    )


def _whole_overlap(guess: _Guess, b: Fingerprint, best: Run) -> float:
    """Seconds of a that stand in b along the alignment, beyond the window that was searched."""
    a = guess.a
    start_a, luma_a = _between(a.luma, -best.offset_s / best.speed, (b.seconds - best.offset_s) / best.speed)
    start_b, luma_b = _between(b.luma, best.offset_s, best.offset_s + best.speed * a.seconds)
    cells_a = motion.cells(luma_a, guess.shared.in_a)
    cells_b = motion.cells(luma_b, guess.shared.in_b)
    return motion.extend(cells_a, cells_b, [_shifted(best, -start_a, -start_b)])[1]


def _between(luma: np.ndarray, start_s: float, stop_s: float) -> tuple[float, np.ndarray]:
    """(second at which it begins, pictures) from one second until another, and a second more on both sides."""
    first = max(math.floor(start_s - 1), 0) * LUMA_FPS
    return first / LUMA_FPS, luma[first : max(math.ceil(stop_s + 1) * LUMA_FPS, first)]
