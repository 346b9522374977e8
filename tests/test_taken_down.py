"""Taken down while a command worked on it: whatever was about to be written of it, nothing of it stays."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from plusmv.core.workers import Outcome
from plusmv.core.workspace import Workspace, sha256_of
from plusmv.curate.crawl.tombstones import add_tombstones
from plusmv.curate.dataset.export import export_microvideos
from plusmv.curate.dataset.extract import extract_clips
from plusmv.curate.duplicates.detect import find_duplicates
from plusmv.curate.ranking.rank import rank
from plusmv.curate.review.decisions import decide
from plusmv.curate.review.previews import make_previews, previews_result
from plusmv.curate.takedown.remove import take_down
from plusmv.db.models import (
    Action,
    Base,
    Clip,
    CrawlRun,
    FeatureFile,
    FileState,
    Post,
    PostState,
    Sighting,
    Tombstone,
)
from plusmv.db.session import Catalog
from plusmv.db.taken_down import still_there, unchanged
from plusmv.features.feature_files import VideoFeatures, write_features
from plusmv.features.pipeline import Extractor
from tests.small_videos import make_video

RGB = Extractor(streams=("rgb",), random_weights=True)


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> list[Path]:
    """Two copies of one another; browsers play neither, so both get a preview."""
    folder = tmp_path_factory.mktemp("videos")
    return [make_video(folder / f"{kbps}.mp4", 1, seconds=1, codec=kbps) for kbps in ("mpeg4", "mpeg2video")]


@pytest.fixture
def workspace(catalog, tmp_path) -> Workspace:
    return Workspace(tmp_path / "home")


def take_in(catalog: Catalog, workspace: Workspace, videos: list[Path]) -> list[str]:
    """Clips as a crawl leaves them, each kept by somebody; the last one is doomed."""
    with catalog.writing() as session:
        action = Action(name="golf")
        session.add(action)
        session.flush()
        run = CrawlRun(source="folder", tag="golf", action_id=action.id)
        session.add(run)
        session.flush()
        contents = [_take_in(session, workspace, video, action, run) for video in videos]
    return contents


def _take_in(session, workspace: Workspace, video: Path, action: Action, run: CrawlRun) -> str:
    sha256 = sha256_of(video)
    media = workspace.media(sha256, ".mp4")
    media.parent.mkdir(parents=True, exist_ok=True)
    media.write_bytes(video.read_bytes())
    clip = Clip(sha256=sha256, suffix=".mp4", bytes=1, duration=1.0, fps=10.0, state=FileState.DONE)
    session.add(clip)
    session.flush()
    post = Post(platform="folder", platform_id=video.stem, clip_id=clip.id, state=PostState.DOWNLOADED)
    session.add(post)
    session.flush()
    session.add(Sighting(post_id=post.id, action_id=action.id, tag="golf", run_id=run.id))
    decide(session, clip.id, "keep", "me", action.id)
    return sha256


@dataclass(frozen=True)
class Interrupted(Catalog):
    """A catalog where another command comes just before the writing transaction of that number."""

    number: int = 1
    what: Callable[[], object] = list
    begun: list[int] = field(default_factory=list)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Session]:
        self.begun.append(1)
        if len(self.begun) == self.number:
            self.what()
        with super().writing() as session:
            yield session


def extract(
    catalog: Catalog, workspace: Workspace, number: int, what: Callable[[], object], error: str | None = None
) -> dict[str, int]:
    """Everything about an extraction but the networks' work, after which the other command comes."""
    with catalog.reading() as session:
        contents = list(session.scalars(select(Clip.sha256).order_by(Clip.id)))

    def made(outcomes, total, text) -> Iterator[Outcome]:
        for place, sha256 in enumerate(contents, start=1):
            if place == number:
                what()
            features = VideoFeatures(sha256, {"rgb": np.ones((1, 4), np.float32)}, 25.0, recipe=RGB.recipe_hash())
            task = workspace.media(sha256, ".mp4"), sha256
            yield Outcome(task, None if error else features, error)

    states = [outcome.state for outcome in extract_clips(catalog, workspace, RGB, watch=made)]
    return {state: states.count(state) for state in states}


def failed_extract(catalog: Catalog, workspace: Workspace, number: int, what: Callable[[], object]) -> dict[str, int]:
    return extract(catalog, workspace, number, what, "it does not decode")


def previews(catalog: Catalog, workspace: Workspace, number: int, what: Callable[[], object]) -> dict[str, int]:
    clips, _, outcomes = make_previews(Interrupted(catalog.engine, number, what), workspace, workers=1)
    told = previews_result(clips, outcomes)
    return {state: told[state] for state in ("done", "skipped", "failed") if told[state]}


def export(catalog: Catalog, workspace: Workspace, number: int, what: Callable[[], object]) -> dict[str, int]:
    return {"done": export_microvideos(Interrupted(catalog.engine, number, what), workspace)["clips"], "skipped": 1}


def dedup(catalog: Catalog, workspace: Workspace, number: int, what: Callable[[], object]) -> dict[str, int]:
    result = find_duplicates(Interrupted(catalog.engine, number, what), workspace, workers=1)
    return {"done": result["fingerprinted"], "skipped": result["skipped"]}  # of what is there: the clip with its id too


def ranked(catalog: Catalog, workspace: Workspace, number: int, what: Callable[[], object]) -> dict[str, int]:
    with catalog.reading() as session:
        for sha256 in session.scalars(select(Clip.sha256)):
            features = VideoFeatures(sha256, {"rgb": np.ones((2, 4), np.float32)}, 25.0)
            write_features(workspace.features / f"{sha256}.safetensors", features)
    rank(Interrupted(catalog.engine, number, what), workspace)
    return {"done": 1, "skipped": 1}


def traces(workspace: Workspace, sha256: str) -> list[Path]:
    """Files that name a content or lie under its name."""
    files = [path for path in workspace.home.rglob("*") if path.is_file() and not path.name.startswith("catalog.db")]
    return [path for path in files if sha256 in path.name or sha256.encode() in path.read_bytes()]


def rows_of(catalog: Catalog, clip_id: int) -> set[str]:
    """The tables that have a row of a clip."""
    with catalog.reading() as session:
        return {
            table.name
            for table in Base.metadata.sorted_tables
            for column in table.columns
            if any(key.column.table is Clip.__table__ for key in column.foreign_keys)
            and session.execute(select(column).where(column == clip_id)).first()
        }


CASES = [
    (extract, 2),
    pytest.param(failed_extract, 2, marks=pytest.mark.slow),
    (export, 1),
    (previews, 2),
    (ranked, 1),
    (dedup, 2),  # before the second fingerprint
    pytest.param(dedup, 3, marks=pytest.mark.slow),  # before the first one's edges
    pytest.param(dedup, 4, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("writer", "number"), CASES)
def test_what_is_taken_down_while_it_is_worked_on_is_not_written(catalog, workspace, videos, writer, number):
    """And SQLite gives the clip's id to the next one: nothing of the old one is written under it."""
    stays, goes = take_in(catalog, workspace, videos)
    new = []

    def takedown() -> None:
        take_down(catalog, workspace, "sha256", goes)
        with catalog.writing() as session:
            clip = Clip(sha256="ab" * 32, suffix=".mp4", bytes=1, state=FileState.DONE)
            session.add(clip)
            session.flush()
            new.append(clip.id)

    told = writer(catalog, workspace, number, takedown)
    done = "failed" if writer is failed_extract else "done"
    assert told == {done: 1, "skipped": 1}
    assert traces(workspace, goes) == []
    assert rows_of(catalog, new[0]) == set()
    assert traces(workspace, stays)


@pytest.mark.postgres
@pytest.mark.parametrize("writer", [extract, export, pytest.param(previews, marks=pytest.mark.slow)])
def test_what_a_takedown_has_begun_is_not_written_either(catalog, workspace, videos, writer):
    """It sets its tombstones first; killed before the rest, the same command again finds all there is."""
    _, goes = take_in(catalog, workspace, videos)

    def begun() -> None:
        with catalog.writing() as session:
            add_tombstones(session, workspace, [("sha256", goes)], "")

    assert writer(catalog, workspace, 1 if writer is export else 2, begun) == {"done": 1, "skipped": 1}
    media = workspace.media(goes, ".mp4")
    assert [path for path in traces(workspace, goes) if path != media] == []


@pytest.mark.postgres
def test_without_the_key_it_is_the_rows_that_tell(catalog, workspace, videos):
    stays, goes = take_in(catalog, workspace, videos)
    with catalog.writing() as session:
        add_tombstones(session, workspace, [("sha256", goes)], "")
        assert set(still_there(session, workspace, [stays, goes])) == {stays}
    workspace.key_file.unlink()
    with catalog.writing() as session:
        there = still_there(session, workspace, [stays, goes, "ab" * 32])
        assert set(there) == {stays, goes}
        assert unchanged(session, {there[stays]: stays, there[goes]: "ab" * 32}) == {there[stays]}
        assert session.scalar(select(Tombstone.id)) and session.scalar(select(FeatureFile.id)) is None
