"""Extraction: features of what the catalog holds, of one video, or of every video of a folder (features.pipeline).

A feature file that is there, can be read and was made by the same recipe at the same stride is not made again; the file
itself says so, so files of a killed run are adopted.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

from sqlalchemy import delete, or_, select

from plusmv.core.errors import BadInput, Missing, PlusmvError
from plusmv.core.outcome import Ended
from plusmv.core.workers import Outcome
from plusmv.core.workspace import Workspace, check_content, remove_stale_parts
from plusmv.db.models import Clip, FeatureFile, FileState, Verdict, now
from plusmv.db.queries import verdicts
from plusmv.db.session import Catalog
from plusmv.features.classify import write_snippet_classes
from plusmv.features.decode import VIDEO_SUFFIXES
from plusmv.features.feature_files import SUFFIX, NumberFormat, VideoFeatures, read_features, write_features
from plusmv.features.flow_cache import note_cache
from plusmv.features.pipeline import Extractor, extract_all

ExtractionProgress = Callable[  # as core.progress.Progress, of outcomes alone
    [Iterable[Outcome[Any, VideoFeatures]], int, str], Iterable[Outcome[Any, VideoFeatures]]
]


@dataclass(frozen=True)
class Video:
    """A video and where its features go. by_content: the file is named by its sha256, which is checked first."""

    id: str
    path: Path
    out: Path
    by_content: bool = False


@dataclass(frozen=True)
class Extracted:
    """How one video ended: "done", "skipped" (its features are there, or failed before) or "failed", with a reason."""

    id: str
    state: Literal["done", "skipped", "failed"]
    reason: str | None = None
    snippets: int | None = None


@dataclass(frozen=True)
class Output:
    """What is written of each video. logits: that many Kinetics-400 classes a snippet go into <id>.kinetics.csv."""

    number_format: NumberFormat = "float16"
    logits: int = 0


class ExtractedClip(TypedDict):
    id: str
    state: Literal["done", "skipped", "failed"]
    reason: str | None
    snippets: int | None


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
            {"id": one.id, "state": one.state, "reason": one.reason, "snippets": one.snippets} for one in in_order
        ],
    }


def extract_videos(
    extractor: Extractor,
    videos: Iterable[Video],
    workers: int | None = None,
    watch: ExtractionProgress = lambda outcomes, total, description: outcomes,
    output: Output = Output(),
) -> Iterator[Extracted]:
    """Features of videos that have none yet; outcomes in the order in which they come.

    watch: wraps the outcomes of what has to be made, as core.commandline.track does.
    Raises Missing where weights are not there.
    """
    recipe, missing = extractor.recipe_hash(), {}
    for video in videos:
        there = _snippets_there(video.out, recipe, extractor.recipe.stride)
        if there is None:
            try:
                if video.by_content:
                    check_content(video.path)
                missing[video.path, video.id] = video.out
            except BadInput as error:
                yield Extracted(video.id, "failed", str(error))
        else:
            _write_classes(video.out, extractor, output)
            yield Extracted(video.id, "skipped", "its features are there", there)
    for outcome in watch(extract_all(extractor, list(missing), workers), len(missing), "extract"):
        video_id = outcome.task[1]
        if outcome.value is not None:
            write_features(missing[outcome.task], outcome.value, output.number_format)
            _write_classes(missing[outcome.task], extractor, output)
            yield Extracted(video_id, "done", None, outcome.value.count)
        else:
            yield Extracted(video_id, "failed", outcome.error)


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
    remove_stale_parts(out)
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
    remove_stale_parts(workspace.features)
    if extractor.flow_cache is not None:
        note_cache(workspace.home, extractor.flow_cache)
    recipe, stride = extractor.recipe_hash(), extractor.recipe.stride
    clips = _wanted_clips(catalog)
    before = {} if retry_failed else _failures(catalog, recipe, stride)
    for clip in clips.values():
        if clip.id in before:
            yield Extracted(clip.sha256, "skipped", f"failed before: {before[clip.id]}")
    videos = (
        Video(sha256, workspace.media(sha256, clip.suffix), workspace.features / f"{sha256}{SUFFIX}", by_content=True)
        for sha256, clip in clips.items()
        if clip.id not in before
    )
    for outcome in extract_videos(extractor, videos, workers, watch, output):
        row = FeatureFile(
            clip_id=clips[outcome.id].id,
            recipe=recipe,
            stride=stride,
            streams=",".join(extractor.streams),
            state=FileState.FAILED if outcome.state == "failed" else FileState.DONE,
            error=outcome.reason if outcome.state == "failed" else None,
            snippets=outcome.snippets,
            path=None if outcome.state == "failed" else f"{workspace.features.name}/{outcome.id}{SUFFIX}",
        )
        _save_row(catalog, row)
        yield outcome


def _write_classes(out: Path, extractor: Extractor, output: Output) -> None:
    """The snippets' Kinetics-400 classes, from the features that are there."""
    if output.logits:
        features = read_features([out.parent], out.stem)
        write_snippet_classes(out.with_suffix(".kinetics.csv"), features, output.logits, extractor.rgb_weights)


def _snippets_there(path: Path, recipe: str, stride: int) -> int | None:
    """How many snippets a feature file of this very recipe has; None where there is none, or an unusable one."""
    try:
        features = read_features([path.parent], path.stem)
    except PlusmvError:
        return None
    return features.count if (features.recipe, features.stride) == (recipe, stride) else None


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


def _save_row(catalog: Catalog, row: FeatureFile) -> None:
    """A clip has one feature file in a workspace: rows of files that this one replaced go."""
    this = (FeatureFile.recipe == row.recipe) & (FeatureFile.stride == row.stride)
    with catalog.writing() as session:
        there = session.scalar(select(FeatureFile).where(FeatureFile.clip_id == row.clip_id, this))
        if row.state == FileState.DONE:
            of_path = FeatureFile.path == row.path
            session.execute(delete(FeatureFile).where(FeatureFile.clip_id == row.clip_id, of_path, ~this))
        if there is None:
            session.add(row)
        elif (there.state, there.error) != (row.state, row.error):
            there.state, there.error, there.snippets, there.path = row.state, row.error, row.snippets, row.path
            there.written_at = now()
