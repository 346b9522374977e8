"""Extraction: features of what the catalog holds, of one video, or of every video of a folder (features.pipeline).

A feature file that is there, can be read and was made by the same recipe at the same stride is not made again; the file
itself says so, so files of a killed run are adopted.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from plusmv.core.errors import BadInput, Missing, PlusmvError
from plusmv.core.locks import one_change
from plusmv.core.outcome import Ended
from plusmv.core.workers import Outcome
from plusmv.core.workspace import Workspace, remove_stale_parts
from plusmv.db.models import Clip, FeatureFile, FileState, Verdict, now
from plusmv.db.queries import verdicts
from plusmv.db.session import Catalog
from plusmv.db.taken_down import still_there
from plusmv.features.classify import write_snippet_classes
from plusmv.features.conversion import settle
from plusmv.features.cut_short import CutShort
from plusmv.features.decode import VIDEO_SUFFIXES
from plusmv.features.feature_files import (
    SUFFIX,
    NumberFormat,
    OtherVideo,
    VideoFeatures,
    read_features,
    write_features,
)
from plusmv.features.flow_cache import note_cache
from plusmv.features.pipeline import Extractor, extract_all

ExtractionProgress = Callable[  # as core.progress.Progress, of outcomes alone
    [Iterable[Outcome[Any, VideoFeatures]], int, str], Iterable[Outcome[Any, VideoFeatures]]
]


THERE = "its features are there"


@dataclass(frozen=True)
class Video:
    """A video and where its features go."""

    id: str
    path: Path
    out: Path
    snippets: int | None = None  # that its features have, where the catalog knows


@dataclass(frozen=True)
class Extracted:
    """How one video ended: "done", "skipped" (its features are there, or failed before) or "failed", with a reason.

    "done" has a reason where features were there that are another video's, or not those that the catalog knows.
    """

    id: str
    state: Literal["done", "skipped", "failed"]
    reason: str | None = None
    snippets: int | None = None
    cut_short: CutShort | None = None


@dataclass(frozen=True)
class Output:
    """What is written of each video. logits: that many Kinetics-400 classes a snippet go into <id>.kinetics.csv."""

    number_format: NumberFormat = "float16"
    logits: int = 0


Record = Callable[[Extracted, Callable[[], None]], Extracted]


class ExtractedClip(TypedDict):
    id: str
    state: Literal["done", "skipped", "failed"]
    reason: str | None
    snippets: int | None
    cut_short: CutShort | None  # what is there of a video file that was cut short


class ExtractResult(TypedDict):
    """The JSON of `plusmv extract`: counts, and every clip or video by id."""

    done: int
    skipped: int
    failed: int
    clips: list[ExtractedClip]


def ended(result: ExtractResult) -> Ended:
    """The counts, with what is skipped because it failed before (so that it has no snippets) among the failed."""
    before = sum(clip["state"] == "skipped" and clip["snippets"] is None for clip in result["clips"])
    return {"done": result["done"], "skipped": result["skipped"] - before, "failed": result["failed"] + before}


def summary(outcomes: Iterable[Extracted]) -> ExtractResult:
    """The outcomes counted, by id."""
    in_order = sorted(outcomes, key=lambda outcome: outcome.id)
    states = [outcome.state for outcome in in_order]
    return {
        "done": states.count("done"),
        "skipped": states.count("skipped"),
        "failed": states.count("failed"),
        "clips": [
            {
                "id": one.id,
                "state": one.state,
                "reason": one.reason,
                "snippets": one.snippets,
                "cut_short": one.cut_short,
            }
            for one in in_order
        ],
    }


def extract_videos(
    extractor: Extractor,
    videos: Iterable[Video],
    workers: int | None = None,
    watch: ExtractionProgress = lambda outcomes, total, description: outcomes,
    output: Output = Output(),
    record: Record | None = None,
    media: bool = False,
) -> Iterator[Extracted]:
    """Features of videos that have none yet; outcomes in the order in which they come.

    watch: wraps the outcomes of what has to be made, as core.commandline.track does. record: gets an outcome and
    what writes its files; returns the outcome as it then is. media: the videos are a workspace's media, which are
    checked first. Raises Missing where weights are not there.
    """
    recipe = extractor.recipe_hash()
    missing: dict[tuple[Path, str], Video] = {}
    replaced: dict[str, str] = {}
    writer = _Writer(extractor, recipe, output, record)
    for video in videos:
        try:
            there = _features_there(video, recipe, extractor.recipe.stride)
        except OtherVideo as error:
            there, replaced[video.id] = None, f"made again: {error}"
        if there is None:
            missing[video.path, video.id] = video
        else:
            there_already = Extracted(video.id, "skipped", THERE, there.count, there.cut_short)
            yield writer.publish(there_already, video)
    for outcome in watch(extract_all(extractor, list(missing), workers, media=media), len(missing), "extract"):
        video = missing[outcome.task]
        yield writer.publish(_extracted(outcome, replaced.get(video.id)), video, outcome.value)


def _extracted(outcome: Outcome[tuple[Path, str], VideoFeatures], replaced: str | None) -> Extracted:
    """replaced: why features that were there are made again."""
    made = outcome.value
    if made is None:
        return Extracted(outcome.task[1], "failed", outcome.error)
    return Extracted(outcome.task[1], "done", replaced, made.count, made.cut_short)


@dataclass(frozen=True)
class _Writer:
    """Writes the files of outcomes, one process at a time in a folder."""

    extractor: Extractor
    recipe: str
    output: Output
    record: Record | None

    def publish(self, made: Extracted, video: Video, features: VideoFeatures | None = None) -> Extracted:
        """Write what belongs to an outcome, unless another process has done so meanwhile."""
        with one_change(video.out.parent):
            there = None
            if features is not None:
                with contextlib.suppress(OtherVideo):
                    there = _features_there(video, self.recipe, self.extractor.recipe.stride)
            if there is not None:
                made, features = Extracted(made.id, "skipped", THERE, there.count, there.cut_short), None
            if self.record is not None:
                return self.record(made, lambda: self._write(made, video.out, features))
            self._write(made, video.out, features)
            return made

    def _write(self, made: Extracted, out: Path, features: VideoFeatures | None) -> None:
        """The features, and the snippets' Kinetics-400 classes by the features that are there."""
        if features is not None:
            write_features(out, features, self.output.number_format)
        if self.output.logits and made.state != "failed":
            there = read_features([out.parent], out.stem)
            path = out.with_suffix(".kinetics.csv")
            write_snippet_classes(path, there, self.output.logits, self.extractor.rgb_weights)


def folder_videos(folder: Path, out: Path) -> list[Video]:
    """The videos (by suffix) right in a folder, named by their stems, as THUMOS14 and ActivityNet name theirs.

    Raises Missing for a folder without any, BadInput where two would write the same feature file.
    """
    if not folder.is_dir():
        raise Missing(f"there is no folder {folder}; name one with --videos")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES and path.name[0] != ".")
    if not files:
        raise Missing(f"there is no video in {folder}; known suffixes are {' '.join(VIDEO_SUFFIXES)}")
    stems: dict[str, Path] = {}
    for path in files:
        other = stems.setdefault(path.stem, path)
        if other != path:
            raise BadInput(f"{other.name} and {path.name} would share features; rename one of them")
    _tidy(out)
    return [Video(stem, path, out / f"{stem}{SUFFIX}") for stem, path in stems.items()]


def extract_clips(
    catalog: Catalog,
    workspace: Workspace,
    extractor: Extractor,
    retry_failed: bool = False,
    workers: int | None = None,
    watch: ExtractionProgress = lambda outcomes, total, description: outcomes,
    output: Output = Output(),
) -> Iterator[Extracted]:
    """Features of every kept or undecided clip into the workspace, with a row each in the catalog.

    What failed before by the same recipe and stride is skipped, with its reason, unless retry_failed.
    """
    _tidy(workspace.features)
    if extractor.flow_cache is not None:
        note_cache(workspace.home, extractor.flow_cache)
    recipe, stride = extractor.recipe_hash(), extractor.recipe.stride
    clips = _wanted_clips(catalog)
    before = {} if retry_failed else _failures(catalog, recipe, stride)
    known = _snippets_known(catalog, recipe, stride)
    for clip in clips.values():
        if clip.id in before:
            yield Extracted(clip.sha256, "skipped", f"failed before: {before[clip.id]}")
    videos = (
        Video(
            sha256,
            workspace.media(sha256, clip.suffix),
            workspace.features / f"{sha256}{SUFFIX}",
            known.get(clip.id),
        )
        for sha256, clip in clips.items()
        if clip.id not in before
    )

    def record(made: Extracted, write: Callable[[], None]) -> Extracted:
        with catalog.writing() as session:
            clip_id = still_there(session, workspace, [made.id]).get(made.id)
            if clip_id is None:
                return replace(made, state="skipped", reason="it was taken down meanwhile", snippets=None)
            write()
            _save_row(session, made, clip_id, extractor, f"{workspace.features.name}/{made.id}{SUFFIX}")
        return made

    yield from extract_videos(extractor, videos, workers, watch, output, record, media=True)


def _tidy(folder: Path) -> None:
    """What killed processes left."""
    remove_stale_parts(folder)
    with contextlib.suppress(BadInput):  # a damaged shard is for who reads it
        settle(folder)


def _features_there(video: Video, recipe: str, stride: int) -> VideoFeatures | None:
    """A video's features by this very recipe; None where there are none, or unusable ones.

    Raises OtherVideo where they are another video's, or not as many snippets as the catalog knows.
    """
    try:
        features = read_features([video.out.parent], video.out.stem)
    except OtherVideo:
        raise
    except PlusmvError:
        return None
    if (features.recipe, features.stride) != (recipe, stride):
        return None
    if video.snippets not in (None, features.count):
        raise OtherVideo(f"{video.out} has {features.count} snippets, the catalog knows {video.snippets}")
    return features


def _wanted_clips(catalog: Catalog) -> dict[str, Clip]:
    """{sha256: clip} of those that some action keeps or has not decided on."""
    judged = verdicts().subquery("judged")
    wanted = select(judged.c.clip_id).where(or_(judged.c.verdict.is_(None), judged.c.verdict == Verdict.KEEP))
    with catalog.reading() as session:
        clips = session.scalars(select(Clip).where(Clip.id.in_(wanted), Clip.state == FileState.DONE).order_by(Clip.id))
        return {clip.sha256: clip for clip in clips}


def _failures(catalog: Catalog, recipe: str, stride: int) -> dict[int, str]:
    """{clip id: reason} of what this recipe failed on."""
    rows = select(FeatureFile.clip_id, FeatureFile.error).where(
        FeatureFile.recipe == recipe, FeatureFile.stride == stride, FeatureFile.state == FileState.FAILED
    )
    with catalog.reading() as session:
        return {clip_id: error or "" for clip_id, error in session.execute(rows)}


def _snippets_known(catalog: Catalog, recipe: str, stride: int) -> dict[int, int]:
    """{clip id: snippets} of what this recipe has made."""
    rows = select(FeatureFile.clip_id, FeatureFile.snippets).where(
        FeatureFile.recipe == recipe, FeatureFile.stride == stride, FeatureFile.snippets.is_not(None)
    )
    with catalog.reading() as session:
        return {row.clip_id: row.snippets for row in session.execute(rows)}


def _save_row(session: Session, made: Extracted, clip_id: int, extractor: Extractor, path: str) -> None:
    """A clip has one feature file in a workspace: rows of files that this one replaced go."""
    recipe, stride, failed = extractor.recipe_hash(), extractor.recipe.stride, made.state == "failed"
    values = {
        "state": FileState.FAILED if failed else FileState.DONE,
        "error": made.reason if failed else None,
        "snippets": made.snippets,
        "path": None if failed else path,
    }
    this = (FeatureFile.recipe == recipe) & (FeatureFile.stride == stride)
    there = session.scalar(select(FeatureFile).where(FeatureFile.clip_id == clip_id, this))
    if not failed:
        of_path = FeatureFile.path == path
        session.execute(delete(FeatureFile).where(FeatureFile.clip_id == clip_id, of_path, ~this))
    if there is None:
        streams = ",".join(extractor.streams)
        session.add(FeatureFile(clip_id=clip_id, recipe=recipe, stride=stride, streams=streams, **values))
    elif (there.state, there.error, there.snippets) != (values["state"], values["error"], values["snippets"]):
        for name, value in (values | {"written_at": now()}).items():
            setattr(there, name, value)
