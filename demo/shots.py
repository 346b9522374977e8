"""The script of one rendered video: which motion from which frame to which, and where the actor is.

An untrimmed video is gap, instance, gap, instance, ..., gap. In the gaps the actor waits, walks or gets ready in the
same scenery, so that the place alone does not tell when the action happens.
"""

from dataclasses import dataclass, replace

import numpy as np

from plusmv.demo.motions import ACTS, WALKING

FPS = 25
Random = np.random.Generator
BEFORE = {  # what happens before an attempt, at the place where it begins
    "GolfSwing": ("hold_club", "golf_waggle", "golf_waggle", "tie_shoe", "walk"),
    "CleanAndJerk": ("hands_on_hips", "stand", "stretch", "walk", "walk"),
    "HighJump": ("stand", "stretch", "hands_on_hips", "walk", "tie_shoe"),
    "JavelinThrow": ("carry_javelin", "carry_javelin", "stretch", "walk", "stand"),
}
AFTER = {  # and after it, where it ended
    "GolfSwing": ("hold_club", "walk", "cheer"),
    "CleanAndJerk": ("cheer", "hands_on_hips", "walk"),
    "HighJump": ("lying",),
    "JavelinThrow": ("stand", "cheer", "walk"),
}
SHORTEST_GAP, SHORTEST_SHOT = 22, 18  # frames


@dataclass(frozen=True)
class Shot:
    """`frames` frames of one motion. `cut` begins a new camera position; `label` marks an instance of the action."""

    motion: str  # of demo.motions: an action of ACTS or a way of waiting of IDLE; "" is an empty scene
    frames: int
    at: float = 0.0  # stage x where the motion begins
    backwards: bool = False  # walking to the left
    cut: bool = False
    label: str | None = None


def plan_shots(rng: Random, action: str, frames: int, instances: int, empty: bool = False) -> tuple[Shot, ...]:
    """A video of exactly `frames` frames with as many instances of the action as fit, up to `instances`.

    empty: nobody is there (only without instances).
    """
    if empty:
        return (Shot("", frames // 2, at=-0.6), Shot("", frames - frames // 2, at=0.4, cut=True))
    act = ACTS[action]
    lengths = [round(rng.uniform(*act.seconds) * FPS) for _ in range(instances)]
    while lengths and sum(lengths) + SHORTEST_GAP * (len(lengths) + 1) > frames:
        lengths.pop()
    spare = frames - sum(lengths) - SHORTEST_GAP * (len(lengths) + 1)
    shares = rng.dirichlet(np.full(len(lengths) + 1, 2.0)) * spare
    gaps = [SHORTEST_GAP + int(share) for share in shares]
    gaps[-1] += frames - sum(lengths) - sum(gaps)
    shots: list[Shot] = []
    for index, gap in enumerate(gaps):
        shots += _gap(rng, action, gap, after=index > 0)
        if index < len(lengths):
            shots.append(Shot(action, lengths[index], act.start, cut=act.start != act.end, label=action))
    return (replace(shots[0], cut=True), *shots[1:])


def segments(shots: tuple[Shot, ...]) -> tuple[tuple[float, float], ...]:
    """(start, end) in seconds of every labelled shot."""
    ends = np.cumsum([shot.frames for shot in shots])
    return tuple(
        (float(end - shot.frames) / FPS, float(end) / FPS) for shot, end in zip(shots, ends, strict=True) if shot.label
    )


def _gap(rng: Random, action: str, frames: int, after: bool) -> list[Shot]:
    """The shots between two instances: first where the one ended, then where the next will begin."""
    shots = []
    for index, length in enumerate(_pieces(rng, frames)):
        late = after and index == 0
        motion = str(rng.choice((AFTER if late else BEFORE)[action]))
        place = ACTS[action].end if late else ACTS[action].start
        shots.append(_shot(rng, motion, length, place, cut=not late and bool(index == 1 or rng.random() < 0.4)))
    return shots


def _pieces(rng: Random, frames: int) -> list[int]:
    """Cut a gap into shots of about two seconds."""
    count = max(1, min(round(frames / (2.2 * FPS)), frames // SHORTEST_SHOT))
    edges = np.linspace(0, frames, count + 1)
    edges[1:-1] += rng.uniform(-6, 6, count - 1)
    return np.diff(np.round(edges)).astype(int).tolist()


def _shot(rng: Random, motion: str, frames: int, place: float, cut: bool) -> Shot:
    """A waiting shot around a place; who walks arrives there."""
    if motion != "walk":
        return Shot(motion, frames, place, cut=cut)
    backwards = bool(rng.random() < 0.5)
    way = WALKING * frames / FPS
    return Shot(motion, frames, place + (way if backwards else -way), backwards, cut)
