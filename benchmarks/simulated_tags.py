"""Simulated clips under 20 tags, some mis-tagged, and what signals say of them: for benchmarks/curation.py.

Everything here is simulated (wsal.simulation), no video was seen. A clip lasts 6 to 15 s. A good one shows its tag's
action once or twice. Of the mis-tagged ones 40 % show nothing in particular, 30 % the tag's scenery without the action
(the golfer talks), 30 % another action. The trainer's scores are those of a real wsal run, trained on 200 simulated
videos of the same world, of THUMOS14's statistics. Kinetics is a linear classifier of RGB means, fitted to 20 trimmed
clips of each of 58 classes, among them our actions' as core.actions has them (Billiards has none, cricket's are one).
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plusmv.core.actions import THUMOS14
from plusmv.core.annotations import AnnotatedVideo, Instance
from plusmv.curate.ranking.signals import kinetics_suspicion
from plusmv.features.feature_files import VideoFeatures
from plusmv.wsal.detect import label_scores, read_video
from plusmv.wsal.settings import Settings
from plusmv.wsal.simulation import SimulatedFeatures, Simulation, World, drawn_timeline
from plusmv.wsal.train import train
from plusmv.wsal.training_set import load_training_set

NAMES = tuple(action.name for action in THUMOS14)
OTHERS = tuple(f"other action {number}" for number in range(40))
CLIPS = 100  # of an action
RETENTION = 0.15 + 0.74 * np.linspace(0, 1, len(NAMES)) ** 1.5  # 15 to 89 %, mean 45 %, as in the paper
MISTAGGED = {"nothing": 0.4, "scenery": 0.3, "another": 0.3}
SHOTS = 20  # clips of a Kinetics class
STEPS = 1200  # of the trainer


@dataclass(frozen=True)
class TaggedClips:
    """All clips of one seed. Arrays of N = 20 x CLIPS, action by action."""

    action: np.ndarray  # (N,) index into NAMES
    wrong: np.ndarray  # (N,) bool, the truth
    pooled: np.ndarray  # (N, d) both streams' means and spreads
    kinetics: np.ndarray  # (N,) suspicion, NaN for Billiards
    trainer: np.ndarray  # (N,) suspicion


def tagged_clips(seed: int) -> TaggedClips:
    """Draw clips, train the trainer and fit Kinetics: about a minute."""
    draws = np.random.default_rng([seed, 7])
    world = World(Simulation(seed=seed), (*NAMES, *OTHERS))
    action = np.repeat(np.arange(len(NAMES)), CLIPS)
    wrong = np.concatenate([draws.permutation(CLIPS) >= round(CLIPS * share) for share in RETENTION])
    features = [
        world.features(a_clip(draws, f"clip {number}", NAMES[index], _content(draws, is_wrong)))
        for number, (index, is_wrong) in enumerate(zip(action, wrong, strict=True))
    ]
    pooled = np.stack([pool(each) for each in features])
    return TaggedClips(
        action, wrong, pooled, kinetics_like(world, draws, features, action), trained(world, seed, features, action)
    )


def a_clip(draws: np.random.Generator, name: str, tag: str, content: str = "good") -> AnnotatedVideo:
    """A clip of 6 to 15 s. An instance behind its end gives it the scenery of a class without the action."""
    duration = draws.uniform(6, 15)
    if content == "nothing":
        return AnnotatedVideo(name, "", duration, 25.0, ())
    if content == "scenery":
        return AnnotatedVideo(name, "", duration, 25.0, (Instance(tag, duration + 10, duration + 11),))
    if content == "another":
        tag = draws.choice([other for other in (*NAMES, *OTHERS) if other != tag])
    starts = np.sort(draws.uniform(0, duration - 2, draws.integers(1, 3)))
    instances = tuple(Instance(tag, start, start + draws.uniform(1.5, 3.5)) for start in starts)
    return AnnotatedVideo(name, "", duration, 25.0, instances)


def pool(features: VideoFeatures) -> np.ndarray:
    """Means and standard deviations over the snippets, as curate.ranking.pooled_features makes them."""
    arrays = [features.streams[stream] for stream in sorted(features.streams)]
    return np.concatenate([*(array.mean(axis=0) for array in arrays), *(array.std(axis=0) for array in arrays)])


def trained(world: World, seed: int, features: Sequence[VideoFeatures], action: np.ndarray) -> np.ndarray:
    """Minus the top-3 T-CAM of the clip's tag, by a run trained on 200 simulated THUMOS14 videos: (N,)."""
    videos = {name: video for name, video in drawn_timeline(seed).items() if video.subset == "validation"}
    training = load_training_set(videos, SimulatedFeatures(world))
    with tempfile.TemporaryDirectory() as folder:
        run = train(training, Settings(lr=3e-4, steps=STEPS, seed=seed), Path(folder))
    columns = [run.classes.index(NAMES[index]) for index in action]
    return -np.array([label_scores(read_video(run, each), 0.5)[c] for each, c in zip(features, columns, strict=True)])


def kinetics_like(
    world: World, draws: np.random.Generator, features: Sequence[VideoFeatures], action: np.ndarray
) -> np.ndarray:
    """Log-odds against the tag's classes, by a ridge classifier of RGB means: (N,), NaN where a tag has no class."""
    classes = sorted({name for fact in THUMOS14 for name in fact.kinetics}) + list(OTHERS)
    shows = {name: fact.name for fact in THUMOS14 for name in fact.kinetics} | {name: name for name in OTHERS}
    labels = np.repeat(np.arange(len(classes)), SHOTS)
    clips = [
        world.features(a_clip(draws, f"kinetics {number}", shows[classes[label]]))
        for number, label in enumerate(labels)
    ]
    x = np.stack([clip.streams["rgb"].mean(axis=0) for clip in clips])
    middle, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
    x = (x - middle) / spread
    y = np.eye(len(classes))[labels] - 1 / len(classes)
    weights = np.linalg.solve(x.T @ x + len(x) * 0.1 * np.eye(x.shape[1]), x.T @ y)
    logits = (np.stack([each.streams["rgb"].mean(axis=0) for each in features]) - middle) / spread @ weights * 10
    found = np.full(len(action), np.nan)
    for index, fact in enumerate(THUMOS14):
        if fact.kinetics:
            ours = action == index
            found[ours] = kinetics_suspicion(logits[ours], [classes.index(name) for name in fact.kinetics])
    return found


def _content(draws: np.random.Generator, is_wrong: bool) -> str:
    return str(draws.choice(list(MISTAGGED), p=list(MISTAGGED.values()))) if is_wrong else "good"


def area_under_curve(suspicion: np.ndarray, wrong: np.ndarray) -> float:
    """Probability that a wrong clip is more suspicious than a good one."""
    there = np.isfinite(suspicion)
    bad, good = suspicion[there & wrong], suspicion[there & ~wrong]
    return float(((bad[:, None] > good).mean() + (bad[:, None] >= good).mean()) / 2)
