"""Features of annotated videos: which videos have usable ones, and why the others are left out."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from plusmv.core.annotations import AnnotatedVideo
from plusmv.core.errors import Missing, PlusmvError
from plusmv.features.feature_files import VideoFeatures, ids_without_rate, no_rate, read_features
from plusmv.features.published import UNSAID, ArrayLayout, UnclearLayout
from plusmv.features.snippets import SNIPPET_LENGTH

SLACK_SNIPPETS = 2  # decoders and containers differ by a frame or two, and the last partial snippet is dropped
SLACK_SHARE = 0.02  # of the duration: containers round frame rates


class FeatureProvider(Protocol):
    """Where the features of annotated videos come from: files, or a simulation."""

    def read_all(self, videos: Iterable[AnnotatedVideo]) -> tuple[dict[str, VideoFeatures], dict[str, str]]: ...


@dataclass(frozen=True)
class FeatureSource:
    """Folders of feature files, and what to assume of files that do not record their sampling or what they hold."""

    folders: tuple[Path, ...]
    fps: float | None = 25.0  # None: each video's own, as annotated
    stride: int = SNIPPET_LENGTH
    layout: ArrayLayout = UNSAID

    def read(self, video: AnnotatedVideo) -> VideoFeatures:
        """One video's features. Raises BadInput or Missing.

        ActivityNet's ids lack the "v_" of its file names, so "v_ID" is tried too.
        """
        assumed = (video.fps if self.fps is None else self.fps, self.stride, self.layout)
        try:
            return read_features(self.folders, video.id, *assumed)
        except Missing:
            with contextlib.suppress(Missing):
                return replace(read_features(self.folders, f"v_{video.id}", *assumed), id=video.id)
            raise

    def check_rates(self, videos: Iterable[AnnotatedVideo]) -> None:
        """Raises BadInput naming the videos whose frames per second are asked of annotations that do not state them."""
        if self.fps is None:
            unknown = [video.id for video in videos if not video.fps and {video.id, f"v_{video.id}"} & self._unstated]
            if unknown:
                raise no_rate(unknown)

    @cached_property
    def _unstated(self) -> set[str]:
        return ids_without_rate(self.folders)

    def read_all(self, videos: Iterable[AnnotatedVideo]) -> tuple[dict[str, VideoFeatures], dict[str, str]]:
        """{id: usable features}, and {id: reason} of the other videos.

        Raises UnclearLayout, a question about all of them, and as `check_rates` does.
        """
        videos = list(videos)
        self.check_rates(videos)
        usable, left_out = {}, {}
        for video in videos:
            try:
                features = self.read(video)
            except UnclearLayout:
                raise
            except PlusmvError as error:
                left_out[video.id] = str(error)
                continue
            reason = duration_mismatch(features, video.duration)
            if reason:
                left_out[video.id] = reason
            else:
                usable[video.id] = replace(features, duration=features.duration or video.duration or None)
        return usable, left_out


def duration_mismatch(features: VideoFeatures, duration: float) -> str | None:
    """Why these features cannot belong to a video of this duration; None if they can or it is unknown (0)."""
    covered = ((features.count - 1) * features.stride + features.length) / features.fps
    slack = SLACK_SNIPPETS * max(features.stride, features.length) / features.fps + SLACK_SHARE * duration
    if not duration or abs(covered - duration) <= slack:
        return None
    return (
        f"its {features.count} snippets cover {covered:.1f} s, but it is annotated as {duration:.1f} s long;"
        " check --feature-fps and --feature-stride, or extract it again"
    )


def summary(left_out: dict[str, str], limit: int = 5) -> list[str]:
    """A line for each of the first videos left out, and how many more there are."""
    lines = [f"left out {video}: {reason}" for video, reason in list(left_out.items())[:limit]]
    return lines + ([f"left out {len(left_out) - limit} more videos"] if len(left_out) > limit else [])
