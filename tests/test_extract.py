"""Extraction of what the catalog holds: resumable, a row for every clip, never made twice by one recipe.

With untrained networks: what is tested here is which files are made, not what is in them (tests of features are).
"""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from plusmv.core.errors import BadInput, Missing
from plusmv.core.workspace import Workspace
from plusmv.curate.crawl.crawler import Crawl
from plusmv.curate.crawl.targets import targets_of_tags
from plusmv.curate.dataset.extract import Video, extract_clips, extract_videos, folder_videos, summary
from plusmv.curate.review.decisions import decide
from plusmv.curate.sources.folder import FolderSource
from plusmv.db.models import Action, Clip, FeatureFile
from plusmv.db.session import Catalog, open_catalog
from plusmv.features.feature_files import VideoFeatures, read_features, write_features
from plusmv.features.pipeline import Extractor
from plusmv.features.recipe import Recipe
from tests.small_videos import make_video

RGB = Extractor(streams=("rgb",), random_weights=True)


@pytest.fixture(scope="module")
def crawled(tmp_path_factory) -> tuple[Catalog, Workspace, list[str]]:
    """Three clips under one tag; the third's media are damaged after the crawl."""
    folder = tmp_path_factory.mktemp("clips") / "diving"
    for number in range(3):
        make_video(folder / f"{number}.mp4", number, seconds=0.4)
    workspace = Workspace(tmp_path_factory.mktemp("home"))
    catalog = open_catalog(workspace)
    Crawl(catalog, workspace, FolderSource(folder)).run(targets_of_tags(["diving"], ()), workers=1)
    with catalog.reading() as session:
        ids = list(session.scalars(select(Clip.sha256).order_by(Clip.id)))
    workspace.media(ids[2], ".mp4").write_bytes(b"damaged since")
    return catalog, workspace, ids


def states(outcomes) -> dict[str, str]:
    return {outcome.id: outcome.state for outcome in outcomes}


def rows(catalog) -> list[tuple]:
    with catalog.reading() as session:
        found = select(Clip.sha256, FeatureFile.state, FeatureFile.snippets, FeatureFile.path, FeatureFile.stride)
        return sorted(map(tuple, session.execute(found.join(Clip, Clip.id == FeatureFile.clip_id))), key=str)


def test_the_whole_life_of_a_workspaces_features(crawled):
    """Made once, failures kept until asked for, files that vanished made again, dropped clips left alone."""
    catalog, workspace, ids = crawled
    paths = [f"features/{sha256}.safetensors" for sha256 in ids]
    made = sorted([*((ids[n], "done", 1, paths[n], 16) for n in (0, 1)), (ids[2], "failed", None, None, 16)], key=str)
    first = list(extract_clips(catalog, workspace, RGB, workers=1))
    assert states(first) == {ids[0]: "done", ids[1]: "done", ids[2]: "failed"}
    features = read_features([workspace.features], ids[0])
    assert features.streams["rgb"].shape == (1, 1024)
    assert features.recipe == RGB.recipe_hash()
    assert rows(catalog) == made

    before = [(path, path.stat().st_mtime_ns) for path in sorted(workspace.features.iterdir())]
    second = {outcome.id: outcome for outcome in extract_clips(catalog, workspace, RGB, workers=1)}
    assert states(second.values()) == dict.fromkeys(ids, "skipped")
    assert second[ids[2]].reason.startswith("failed before: ")
    assert [(path, path.stat().st_mtime_ns) for path in sorted(workspace.features.iterdir())] == before

    (workspace.home / paths[0]).unlink()
    (workspace.home / paths[1]).write_bytes(b"half a file")
    again = states(extract_clips(catalog, workspace, RGB, retry_failed=True, workers=1))
    assert again == {ids[0]: "done", ids[1]: "done", ids[2]: "failed"}
    assert rows(catalog) == made

    with catalog.writing() as session:
        clips = {clip.sha256: clip.id for clip in session.scalars(select(Clip))}
        decide(session, clips[ids[0]], "keep", "me", session.scalar(select(Action.id)))
        decide(session, clips[ids[1]], "duplicate", "me")
        decide(session, clips[ids[2]], "unusable", "me")
    assert states(extract_clips(catalog, workspace, RGB, workers=1)) == {ids[0]: "skipped"}


def test_a_file_made_otherwise_replaces_the_row_and_one_of_a_killed_run_is_adopted(crawled):
    """A feature file was renamed into place, and the process was killed before the row was written."""
    catalog, workspace, ids = crawled
    out = workspace.features / f"{ids[0]}.safetensors"
    denser = Extractor(Recipe(stride=8), ("rgb",), random_weights=True)
    features = VideoFeatures(
        ids[0], {"rgb": np.ones((3, 1024), np.float32)}, 25.0, stride=8, recipe=denser.recipe_hash()
    )
    write_features(out, features)
    (outcome, *_) = extract_clips(catalog, workspace, denser, workers=1)
    assert (outcome.id, outcome.state, outcome.snippets) == (ids[0], "skipped", 3)
    assert [row[1:] for row in rows(catalog) if row[0] == ids[0]] == [("done", 3, f"features/{out.name}", 8)]


def test_missing_weights_are_one_error_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv("PLUSMV_WEIGHTS", str(tmp_path / "none"))
    with pytest.raises(Missing, match="plusmv weights rgb"):
        list(extract_videos(Extractor(streams=("rgb",)), []))
    with pytest.raises(Missing, match="--streams rgb"):
        list(extract_videos(Extractor(streams=("flow",)), []))


def test_the_videos_of_a_folder(tmp_path):
    for name in ("b.mp4", "a.AVI", "notes.txt", ".hidden.mp4"):
        (tmp_path / name).touch()
    assert folder_videos(tmp_path, Path("out")) == [
        Video("a", tmp_path / "a.AVI", Path("out/a.safetensors")),
        Video("b", tmp_path / "b.mp4", Path("out/b.safetensors")),
    ]
    (tmp_path / "b.mkv").touch()
    with pytest.raises(BadInput, match=r"b\.mkv and b\.mp4 would share features"):
        folder_videos(tmp_path, Path("out"))


def test_folders_without_videos(tmp_path):
    with pytest.raises(Missing, match="no video in"):
        folder_videos(tmp_path, tmp_path)
    with pytest.raises(Missing, match="no folder"):
        folder_videos(tmp_path / "none", tmp_path)


def test_the_counts_add_up():
    assert summary([]) == {"done": 0, "skipped": 0, "failed": 0, "clips": []}
