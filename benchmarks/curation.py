"""Print what curating 2,000 clips costs and yields, by a simulated curator on simulated clips: minutes, purity, recall.

Run: .venv/bin/python benchmarks/curation.py [--seeds 5]

The paper's way (each clip alone), a grid of 24, and a grid ordered by suspicion with ranking.signals's own functions,
ranked again after every page and stopped by its rule: the least suspicious clips come first, and a rest that is nearly
all wrong is left. The curator's seconds and error rates are assumptions
(benchmarks/curator.py), fixed before any method ran, and varied in the second table; the clips are simulated
(benchmarks/simulated_tags.py). Nothing of this was measured on people.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from benchmarks.curator import Curator, Person
from benchmarks.simulated_tags import CLIPS, NAMES, TaggedClips, area_under_curve, tagged_clips
from plusmv.curate.ranking.rank import GUESS, SAMPLE_OF_OTHERS
from plusmv.curate.ranking.signals import (
    PRIOR_RATE,
    SIGNALS,
    Combination,
    combine,
    expected_good,
    neighbour_suspicion,
    neighbours,
    normal_scores,
)
from plusmv.curate.ranking.stopping import GOOD

PAGE = 24


@dataclass(frozen=True)
class Way:
    """How the clips are gone through."""

    name: str
    grid: bool = True
    signals: tuple[str, ...] = ()  # none: as they were crawled
    first: Literal["good", "wrong"] = "good"  # which end of the order comes first
    stop: float | None = None  # by curate.ranking.stopping's rule: at a rest of which this share is wrong, or good
    doubt: Literal["", "own", "both"] = ""  # looked at alone: where in doubt; only where suspicion disagrees as well


PRIOR = ("kinetics", "neighbours")
WAYS = (
    Way("the paper's way: each alone", grid=False),
    Way("grid only"),
    Way("grid, doubtful tiles alone", doubt="own"),
    Way("grid + suspicion, no trainer", signals=PRIOR, stop=GOOD, doubt="both"),
    Way("grid + suspicion", signals=SIGNALS, stop=GOOD, doubt="both"),
    Way("  without a look at doubtful tiles", signals=SIGNALS, stop=GOOD),
    Way("  without the stop rule", signals=SIGNALS, doubt="both"),
    Way("  stopped at 85 % of the rest", signals=SIGNALS, stop=0.85, doubt="both"),
    Way("  most suspicious first", signals=SIGNALS, first="wrong", stop=GOOD, doubt="both"),
)
PEOPLE = {
    "as assumed": Person(),
    "a glance errs twice as often": Person(glance_error=0.10),
    "a tile is marked by one key, 0.5 s": Person(mark_s=0.5),
}


@dataclass(frozen=True)
class Outcome:
    minutes: float
    purity: float  # good among the kept
    recall: float  # kept among the good
    unseen: float  # share of clips that nobody looked at
    unseen_right: float  # of those, how many ended as they should


def curate(way: Way, clips: TaggedClips, person: Person, seed: int) -> Outcome:
    """Go through all clips, action by action."""
    curator = Curator(person, clips.wrong, how_wrong_they_look(clips), seed)
    kept, unseen = np.zeros(len(clips.wrong), dtype=bool), np.zeros(len(clips.wrong), dtype=bool)
    for action in range(len(NAMES)):
        own = np.flatnonzero(clips.action == action)
        if way.grid:
            called, seen = through_grid(way, clips, curator, own)
        else:
            called, seen = curator.look_alone(own, clips.wrong[own].mean()), np.ones(len(own), dtype=bool)
        kept[own], unseen[own] = ~called, ~seen
    good = ~clips.wrong
    return Outcome(
        curator.seconds / 60,
        float(good[kept].mean()),
        float(kept[good].mean()),
        float(unseen.mean()),
        float((kept == good)[unseen].mean()) if unseen.any() else np.nan,
    )


def through_grid(way: Way, clips: TaggedClips, curator: Curator, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An action page by page: (n,) called wrong, (n,) seen."""
    wrong, rest = np.full(len(own), np.nan), False  # decisions so far, and what the others are taken for in the end
    while np.isnan(wrong).any():
        page = np.flatnonzero(np.isnan(wrong))
        suspicion = np.full(len(own), 0.5)
        if way.signals:
            combination, scores = ranked(way.signals, clips, own, wrong)
            _, lower, upper = expected_good(combination, scores[page])
            if way.stop is not None and (upper <= 1 - way.stop if way.first == "good" else lower >= way.stop):
                rest = way.first == "good"  # left, or kept without a look
                break
            suspicion = combination.probability_wrong(scores)
            page = page[np.argsort(suspicion[page] * (1 if way.first == "good" else -1), kind="stable")]
        page = page[:PAGE]
        marked, doubtful = curator.glance(own[page])
        if way.doubt == "both":
            doubtful &= marked != (suspicion[page] > 0.5)
        if way.doubt:
            share = (marked.sum() + 1) / (len(page) + 2)
            marked[doubtful] = curator.look_alone(own[page[doubtful]], share)
        curator.mark(marked)
        wrong[page] = marked
    return np.where(np.isnan(wrong), rest, wrong == 1), np.isfinite(wrong)


def ranked(
    signals: tuple[str, ...], clips: TaggedClips, own: np.ndarray, wrong: np.ndarray
) -> tuple[Combination, np.ndarray]:
    """The combination for an action and its clips' scores, given the decisions so far, as ranking.rank makes them."""
    others = np.flatnonzero(clips.action != clips.action[own[0]])[:: (len(NAMES) - 1) * CLIPS // SAMPLE_OF_OTHERS]
    guessed = np.isnan(wrong)
    around = neighbours(
        np.concatenate([own, others]),
        clips.pooled[np.concatenate([own, others])],
        np.concatenate([np.where(guessed, PRIOR_RATE, wrong), np.ones(len(others))]),
        np.concatenate([np.where(guessed, GUESS, 1.0), np.full(len(others), GUESS)]),
    )
    found = {
        "kinetics": clips.kinetics[own],
        "neighbours": neighbour_suspicion(around, clips.pooled[own], own),
        "trainer": clips.trainer[own],
    }
    names = [name for name in signals if np.isfinite(found[name]).any()]
    scores = normal_scores(np.stack([found[name] for name in names], axis=1))
    return combine(scores, wrong, names), scores


def how_wrong_they_look(clips: TaggedClips) -> np.ndarray:
    """(N,) mean 0, spread 1 among the good and among the wrong clips of each action: the trainer's own errors."""
    looks = np.zeros(len(clips.wrong))
    for action in range(len(NAMES)):
        for wrong in (False, True):
            some = (clips.action == action) & (clips.wrong == wrong)
            looks[some] = normal_scores(clips.trainer[some, None])[:, 0]
    return looks


def main(seeds: int) -> None:
    torch.set_num_threads(1)
    worlds = list(made(seeds))
    print(f"SIMULATED curator and clips: {len(worlds[0].wrong)} clips of {len(NAMES)} actions, retention "
          f"{1 - max(rates(worlds[0])):.0%} to {1 - min(rates(worlds[0])):.0%}, mean {1 - worlds[0].wrong.mean():.0%}; "
          f"mean ± sd over {seeds} seeds")  # fmt: skip
    areas(worlds)
    for title, person in PEOPLE.items():
        print(f"\n{title}\n{'':36} {'minutes':>12} {'purity %':>12} {'recall %':>12} {'unseen %':>9} {'right %':>8}")
        for way in WAYS if person == Person() else WAYS[:5]:
            report(way.name, [curate(way, clips, person, seed) for seed, clips in enumerate(worlds)])


def made(seeds: int) -> Iterator[TaggedClips]:
    for seed in range(seeds):
        print(f"making the clips of seed {seed} ...", file=sys.stderr)
        yield tagged_clips(seed)


def rates(clips: TaggedClips) -> list[float]:
    return [float(clips.wrong[clips.action == action].mean()) for action in range(len(NAMES))]


def areas(worlds: list[TaggedClips]) -> None:
    """How well each signal and their combination order an action's clips, before any decision and with half decided."""

    def over(suspicion: Callable[[TaggedClips, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> str:
        each = []
        for clips in worlds:
            for action in range(len(NAMES)):
                own = np.flatnonzero(clips.action == action)
                values, asked = suspicion(clips, own)
                if np.isfinite(values).any():
                    each.append(area_under_curve(values[asked], clips.wrong[own[asked]]))
        return f"{np.mean(each):.2f}"

    def combined(signals: tuple[str, ...], decided: int) -> Callable:
        def suspicion(clips: TaggedClips, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            wrong = np.full(len(own), np.nan)
            wrong[:decided] = clips.wrong[own[:decided]]
            combination, scores = ranked(signals, clips, own, wrong)
            return combination.probability_wrong(scores), np.arange(decided, len(own))

        return suspicion

    everything = np.arange(10**6)
    print("area under the ROC curve within an action:",
          "kinetics", over(lambda clips, own: (clips.kinetics[own], everything[: len(own)])),
          "trainer", over(lambda clips, own: (clips.trainer[own], everything[: len(own)])),
          "neighbours, none decided", over(combined(("neighbours",), 0)),
          "half decided", over(combined(("neighbours",), 50)),
          "all three, none decided", over(combined(SIGNALS, 0)),
          "half decided", over(combined(SIGNALS, 50)))  # fmt: skip


def report(name: str, outcomes: list[Outcome]) -> None:
    def cell(values: list[float], factor: float = 1) -> str:
        return f"{np.mean(values) * factor:5.1f} ± {np.std(values, ddof=min(1, len(values) - 1)) * factor:3.1f}"

    blind = np.nanmean([each.unseen_right for each in outcomes]) if any(each.unseen for each in outcomes) else np.nan
    print(f"{name:36} {cell([each.minutes for each in outcomes]):>12} "
          f"{cell([each.purity for each in outcomes], 100):>12} {cell([each.recall for each in outcomes], 100):>12} "
          f"{np.mean([each.unseen for each in outcomes]) * 100:9.1f} {blind * 100:8.1f}")  # fmt: skip


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=5)
    main(arguments.parse_args().seeds)
