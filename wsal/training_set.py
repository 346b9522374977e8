"""The training data of a run: features and video-level labels. Segments are never used."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from plusmv.core.annotations import AnnotatedVideo
from plusmv.core.errors import BadInput, Missing, Refused
from plusmv.features.feature_files import STREAMS, VideoFeatures
from plusmv.wsal.class_names import no_microvideo, unknown_labels
from plusmv.wsal.datasets import labels_of
from plusmv.wsal.feature_source import FeatureProvider
from plusmv.wsal.stack import StreamVideos
from plusmv.wsal.views import seen, stream_of


class NoMicrovideos(BadInput):
    """Microvideos were asked for, and none of them can be trained on."""


@dataclass(frozen=True)
class TrainingVideo:
    """One video: its labels as a target distribution, and its features."""

    id: str
    target: np.ndarray  # (C+1,) float32: 1/n for each of its n labels, index 0 the background
    streams: dict[str, np.ndarray]  # stream -> (T, d) float32
    microvideo: bool


@dataclass(frozen=True)
class TrainingSet:
    """Videos in the order of their annotations, and the origin of their features."""

    classes: tuple[str, ...]  # class c of the model is classes[c - 1]
    videos: tuple[TrainingVideo, ...]
    left_out: dict[str, str]  # id -> why it is not trained on
    recipes: tuple[str, ...]  # known recipe hashes; more than one only where mixing was allowed
    unknown_recipes: int  # videos whose features do not record their recipe
    weights: dict[str, str]  # stream -> the networks that made its features, also of streams not trained on
    stride: int  # frames between snippets, of most videos

    @property
    def streams(self) -> tuple[str, ...]:
        return tuple(self.videos[0].streams)

    def of_stream(self, view: str) -> StreamVideos:
        """The training data of the models of one stream, or of a view of it (wsal.views)."""
        return StreamVideos(
            view,
            [seen(video.streams[stream_of(view)], view) for video in self.videos],
            np.stack([video.target for video in self.videos]),
            np.array([video.microvideo for video in self.videos]),
        )

    def digest(self) -> str:
        """sha256 over classes, targets and features: equal for equal training data."""
        digest = hashlib.sha256("\0".join(self.classes).encode())
        for video in self.videos:
            digest.update(f"\0{video.id}\0{video.microvideo}\0".encode() + video.target.tobytes())
            for stream, array in video.streams.items():
                digest.update(stream.encode() + np.ascontiguousarray(array).data)
        return digest.hexdigest()


def load_training_set(
    annotated: Mapping[str, AnnotatedVideo],
    source: FeatureProvider,
    streams: Sequence[str] | None = None,
    microvideos: Mapping[str, AnnotatedVideo] | None = None,
    allow_mixed_recipes: bool = False,
) -> TrainingSet:
    """Load all features at once. The classes are those of `annotated`; microvideos add none.

    streams: which to use (default: all that occur). A video without features, with features that cannot be its own, or
    without a label is left out, with the reason in `left_out`. Raises Missing if none is left, NoMicrovideos if none of
    those is, Refused for features of several recipes, BadInput for features of different widths.
    """
    microvideos = microvideos or {}
    duplicates = set(annotated) & set(microvideos)
    if duplicates:
        raise BadInput(f"video {min(duplicates)!r} is both in the annotations and in the microvideo set; rename one")
    classes = tuple(sorted({label for video in annotated.values() for label in labels_of(video)}))
    by_id = {**annotated, **microvideos}
    features, left_out = source.read_all(by_id.values())
    wanted = tuple(streams) if streams else tuple(s for s in STREAMS if any(s in f.streams for f in features.values()))
    videos = []
    for video_id, available in features.items():
        target = _target(by_id[video_id], classes)
        lacking = [stream for stream in wanted if stream not in available.streams]
        if lacking:
            left_out[video_id] = f"its features have no stream {', '.join(lacking)}; extract it, or choose --streams"
        elif target is None:
            left_out[video_id] = unknown_labels(labels_of(by_id[video_id]), classes)
        else:
            arrays = {stream: available.streams[stream] for stream in wanted}
            videos.append(TrainingVideo(video_id, target, arrays, video_id in microvideos))
    if not videos:
        reason = next(iter(left_out.values()), "the annotations hold no video")
        raise Missing(f"none of {len(by_id)} videos can be trained on: {reason}")
    if microvideos and not any(video.microvideo for video in videos):
        raise NoMicrovideos(no_microvideo(microvideos, classes, left_out))
    used = [features[video.id] for video in videos]
    _check_widths(videos)
    recipes = tuple(sorted({each.recipe for each in used if each.recipe}))
    if len(recipes) > 1 and not allow_mixed_recipes:
        raise Refused(_mixture(used, recipes))
    return TrainingSet(
        classes,
        tuple(videos),
        left_out,
        recipes,
        sum(each.recipe is None for each in used),
        {s: ", ".join(sorted({f.weights[s] for f in used if s in f.weights})) for f in used for s in f.weights},
        int(np.bincount([each.stride for each in used]).argmax()),
    )


def _target(video: AnnotatedVideo, classes: tuple[str, ...]) -> np.ndarray | None:
    """1/n for each of n labels (a CliffDiving is also a Diving). None without a known label."""
    target = np.zeros(len(classes) + 1, dtype=np.float32)
    target[[1 + classes.index(label) for label in labels_of(video) if label in classes]] = 1
    return target / target.sum() if target.any() else None


def _check_widths(videos: Sequence[TrainingVideo]) -> None:
    for stream, first in videos[0].streams.items():
        for video in videos:
            if video.streams[stream].shape[1] != first.shape[1]:
                raise BadInput(
                    f"{stream} features of {video.id} are {video.streams[stream].shape[1]} wide, those of"
                    f" {videos[0].id} {first.shape[1]}; all must come from one network"
                )


def _mixture(used: Sequence[VideoFeatures], recipes: Sequence[str]) -> str:
    """The message that recipes are mixed: two of them, a video of each, and how they differ."""
    one, other = (next(each for each in used if each.recipe == recipe) for recipe in recipes[:2])
    origins = [each.settings | {f"{stream} weights": label for stream, label in each.weights.items()}
            for each in (one, other)]  # fmt: skip
    differing = sorted(
        name for name in origins[0].keys() | origins[1].keys() if origins[0].get(name) != origins[1].get(name)
    )
    differing = [name for name in differing if name != "stride"]
    differ = f", which differ in {', '.join(differing)}" if differing else ""
    names = " and ".join(f"{each.recipe} (such as {each.id})" for each in (one, other))
    return (
        f"features of {len(recipes)} recipes would be mixed: {names}{differ}; a model could tell the sets apart;"
        " extract all with one recipe, or pass --allow-mixed-recipes"
    )
