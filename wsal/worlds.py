"""Worlds that experiments run in: training and test videos, their features, and the classes by which they are judged.

    in-scene   composed of real clips: a source's own clips end to end; borders within a scene
    cut        composed of real clips: among foreign clips, rare actions on purpose; recognition, borders at cuts
    simulated  features drawn at random on a real or drawn timeline; no video was seen
    rendered   the videos of `plusmv demo`
    own        your annotations and features

A setting that lifts one world and lowers another is no gain. Say what a number's world is wherever it stands.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from plusmv.core.annotations import AnnotatedVideo, read_annotations, same_word
from plusmv.core.errors import BadInput
from plusmv.features.feature_files import VideoFeatures
from plusmv.features.published import parse_layout
from plusmv.wsal import composed, simulation
from plusmv.wsal.datasets import labels_of, read_dataset
from plusmv.wsal.feature_source import FeatureProvider, FeatureSource

Videos = dict[str, AnnotatedVideo]
SEED = 0  # of the foreign pieces in `cut`


@dataclass(frozen=True)
class World:
    """What an experiment's rows are trained on and judged by."""

    name: str
    words: str  # what its features are
    timeline: str  # where its annotations come from
    training: Videos
    test: Videos
    features: FeatureProvider
    judged: tuple[str, ...] | None = None  # classes whose mean AP is the mAP; None: all
    left_out: Mapping[str, str] = field(default_factory=dict)  # clip of which nothing is composed -> why


class ComposedWorld(NamedTuple):
    """How a world is composed where nothing else is said: of UCF101's clips, as far as the folder has them."""

    train_sources: str
    test_sources: str
    actions: tuple[str, ...]  # (): all
    judged: tuple[str, ...]  # (): all
    most: Mapping[str, int]  # action -> sources that it has in training


COMPOSED = {
    "in-scene": ComposedWorld(
        "1-11", "12-16", ("BasketballDunk", "CricketBowling", "Surfing"),
        ("BasketballDunk", "CricketBowling"), {},
    ),  # Surfing fills nine tenths of its clips, so that it has hardly any borders to judge
    "cut": ComposedWorld(
        "1-5", "12-16", (), (),
        {"HorseRace": 3, "CricketBowling": 2, "PizzaTossing": 2, "BasketballDunk": 1, "Archery": 1},
    ),
}  # fmt: skip
WORLDS = (*COMPOSED, "simulated", "rendered", "own")


@dataclass(frozen=True)
class HeldFeatures:
    """A wsal.feature_source.FeatureProvider of features in memory."""

    features: Mapping[str, VideoFeatures]
    left_out: Mapping[str, str] = field(default_factory=dict)  # id -> why it has none

    def read_all(self, videos: Iterable[AnnotatedVideo]) -> tuple[dict[str, VideoFeatures], dict[str, str]]:
        ids = [video.id for video in videos]
        usable = {name: self.features[name] for name in ids if name in self.features}
        return usable, {name: self.left_out.get(name, "there are no features") for name in ids if name not in usable}


def held(world: World) -> HeldFeatures:
    """The features of all its videos, read once."""
    return HeldFeatures(*world.features.read_all([*world.training.values(), *world.test.values()]))


def composed_world(
    kind: str,
    data: Path,
    train_sources: str | None = None,
    test_sources: str | None = None,
    actions: Sequence[str] = (),
    judged: Sequence[str] = (),
    most: Iterable[str] = (),
    layout: str | None = None,
) -> World:
    """Composed of the clips in a folder with real.csv, features/ and, where segments are known, segments.json.

    What is not given is as COMPOSED has it, as far as the folder's actions have those names. most: "Action=N".
    """
    usual, clips = COMPOSED[kind], composed.read_clips(data / "real.csv")
    known = {clip.label for clip in clips if clip.is_action}
    chosen = composed.of_actions(clips, [*actions] or [name for name in usual.actions if name in known] or None)
    segments = data / "segments.json"
    material, lacking = composed.read_material(
        chosen, data / "features", segments if segments.exists() else None, parse_layout(layout)
    )
    sources = {
        "training": composed.parse_sources(train_sources or usual.train_sources),
        "test": composed.parse_sources(test_sources or usual.test_sources),
    }
    usable = [clip for clip in chosen if clip.id in material.features]
    rare = composed.parse_most(most) or usual.most
    pairs = list(composed.compose("cut" if kind == "cut" else "in-scene", usable, material, sources, rare, SEED))
    videos = {video.id: video for video, _ in pairs}
    labels = {label for video in videos.values() for label in labels_of(video)}
    scored = tuple(judged) or tuple(name for name in usual.judged if name in labels)
    if set(scored) - labels:
        raise BadInput(f"no video has the class {', '.join(sorted(set(scored) - labels))} to be judged by")
    return World(
        kind, "composed of real clips, at feature level",
        f"{kind}, sources {train_sources or usual.train_sources} to train on, {test_sources or usual.test_sources}"
        " to test on",
        subset_of(videos, "training"), subset_of(videos, "test"),
        HeldFeatures({video.id: features for video, features in pairs}), scored or None, lacking,
    )  # fmt: skip


def rendered_world(demo: Path) -> World:
    """The videos that `plusmv demo` rendered and extracted into its --home."""
    path = demo / "world" / "annotations.json"
    if not path.is_file():
        raise BadInput(f"{demo} is no folder of `plusmv demo`: it has no world/annotations.json")
    videos = read_annotations(path)
    training, test = (subset_of(videos, subset) for subset in ("validation", "test"))
    source = FeatureSource((demo / "video-features",))
    return World("rendered", "rendered videos", "rendered", training, test, source)


def annotated_world(
    kind: str, path: Path | None, source: FeatureSource | None, subsets: tuple[str, str], width: int, seed: int
) -> World:
    """One's own annotations and features ("own"), or features simulated on those or a drawn timeline ("simulated")."""
    if kind not in ("simulated", "own"):
        raise BadInput(f"unknown world {kind!r}; use {', '.join(WORLDS)}")
    if kind == "own" and path is None:
        raise BadInput("features of one's own need their annotations: --annotations FILE")
    if kind == "simulated" and source is not None:
        raise BadInput("simulated features are drawn; leave --features away, or use --world own")
    known = read_dataset(path) if path else simulation.drawn_timeline(seed)
    training, test = (subset_of(known, subset) for subset in subsets)
    timeline = str(path or "drawn")
    if source is not None:
        return World(kind, str([str(folder) for folder in source.folders]), timeline, training, test, source)
    labels = sorted({label for video in known.values() for label in labels_of(video)})
    drawn = simulation.SimulatedFeatures(simulation.World(simulation.Simulation(width, seed), labels))
    return World(kind, f"SIMULATED, width {width}, seed {seed}", timeline, training, test, drawn)


def subset_of(videos: Videos, subset: str) -> Videos:
    """The videos of a subset. Raises BadInput for none."""
    chosen = {name: video for name, video in videos.items() if same_word(video.subset, subset)}
    if not chosen:
        raise BadInput(f"the annotations have no video of subset {subset!r}")
    return chosen
