"""Takedown: every trace goes, what others hold stays, and no crawl brings it back."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from sqlalchemy import create_engine, func, select, text

from plusmv.core.errors import BadInput
from plusmv.core.workspace import Workspace, sha256_of, write_json
from plusmv.curate.crawl.crawler import Crawl
from plusmv.curate.crawl.targets import targets_of_tags
from plusmv.curate.dataset.export import export_microvideos
from plusmv.curate.duplicates.detect import find_duplicates
from plusmv.curate.review.decisions import decide
from plusmv.curate.review.previews import playable
from plusmv.curate.sources.folder import FolderSource
from plusmv.curate.takedown.remove import take_down
from plusmv.db.models import Action, Base, Clip, Decision, DuplicateEdge, Export, Fingerprint, Post, Sighting, Tombstone
from plusmv.db.session import open_catalog
from plusmv.features.conversion import compact
from plusmv.features.feature_files import VideoFeatures, list_features, read_features, write_features
from tests.small_videos import make_video

PERSON, OTHER = "person_4711", "person_0815"


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """Five clips: three of PERSON, one of which OTHER reposted, and two of OTHER's own."""
    folder = tmp_path_factory.mktemp("clips")
    rows = []
    for number in range(5):
        make_video(folder / f"golf{number}.mp4", number, seconds=1, codec="mpeg4" if number == 0 else "libx264")
        who = PERSON if number < 3 else OTHER
        rows.append({"file": f"golf{number}.mp4", "tag": "golfswing", "platform": "instagram",
                     "platform_id": f"Cabc{number}xyz", "uploader": who, "caption": f"mine, {who}",
                     "url": f"https://www.instagram.com/p/Cabc{number}xyz/"})  # fmt: skip
    (folder / "repost.mp4").write_bytes((folder / "golf2.mp4").read_bytes())
    rows.append({"file": "repost.mp4", "tag": "golfswing", "platform": "instagram", "platform_id": "Crepost99",
                 "uploader": OTHER})  # fmt: skip
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def crawl(catalog, workspace: Workspace, folder: Path) -> dict:
    source = FolderSource(folder)
    return Crawl(catalog, workspace, source).run(targets_of_tags(["golfswing"], ()), workers=1)["totals"]


@pytest.fixture(scope="module")
def prepared(clips, tmp_path_factory) -> Path:
    """A workspace on SQLite where everything was done with those clips."""
    workspace = Workspace(tmp_path_factory.mktemp("prepared") / "home")
    with contextlib.closing(open_catalog(workspace)) as catalog:
        do_everything(catalog, workspace, clips)
    return workspace.home


@pytest.fixture
def home(prepared, tmp_path) -> Workspace:
    return Workspace(shutil.copytree(prepared, tmp_path / "home"))


@pytest.fixture
def catalog(home):
    """The copy's catalog; one test asks for PostgreSQL by itself."""
    opened = open_catalog(home)
    yield opened
    opened.close()


@pytest.fixture
def on_postgresql(cluster, clips, tmp_path):
    """The same on PostgreSQL."""
    engine = create_engine(cluster)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    workspace = Workspace(tmp_path / "home")
    opened = open_catalog(workspace, cluster)
    do_everything(opened, workspace, clips)
    yield opened, workspace
    opened.close()


def do_everything(catalog, workspace: Workspace, clips: Path) -> None:
    assert crawl(catalog, workspace, clips)["downloaded"] == 6
    find_duplicates(catalog, workspace, workers=1)
    with catalog.writing() as session:
        action = session.scalar(select(Action))
        for clip in session.scalars(select(Clip)):
            decide(session, clip.id, "keep", "me", action.id, reason=f"instagram:{PERSON} swings, see "
                   "https://www.instagram.com/p/Cabc0xyz/?igsh=x1, not niconico:sm9")  # fmt: skip
    export_microvideos(catalog, workspace)
    content = sha256_of(clips / "golf0.mp4")
    for video_id, value in ((content, 0), ("other", 1)):
        features = VideoFeatures(video_id, {"rgb": np.full((1, 4), value, np.float32)}, 25.0, frames=16)
        write_features(workspace.features / f"{video_id}.safetensors", features)
    assert len(list(compact(workspace.features))) == 2
    save_file({"rgb": np.zeros((1, 4), np.float32)}, workspace.features / f"{content}.safetensors")
    facts = {"plusmv": json.dumps({"microvideos": 5})}
    for run, more in {"mv": facts, "plain": {"plusmv": json.dumps({"microvideos": 0})}}.items():
        workspace.run(run).mkdir(parents=True)
        save_file({"rgb.w": np.zeros(3, np.float32)}, workspace.run(run) / "checkpoint.safetensors", more)
    write_json(workspace.run("mv") / "detections.json", {"results": {content: [], "other": []}})
    with catalog.reading() as session:
        playable(workspace, session.scalar(select(Clip).where(Clip.sha256 == content)))
    assert workspace.preview(content).is_file()


def traces(workspace: Workspace, *words: str) -> list[str]:
    """Files of the workspace that have one of the words in name or content."""
    found = []
    for path in workspace.home.rglob("*"):
        if path.is_file() and any(w in path.name or w.encode() in path.read_bytes() for w in words):
            found.append(path.relative_to(workspace.home).as_posix())
    return found


def all_text(catalog) -> str:
    """Every row of the catalog as text: what a server's files cannot be searched for."""
    with catalog.reading() as session:
        return repr([session.execute(table.select()).all() for table in Base.metadata.sorted_tables])


def test_an_uploader_leaves_no_trace_and_does_not_come_back(home, catalog, clips):
    check_an_uploader(home, catalog, clips)


def test_on_postgresql_too(on_postgresql, clips):
    catalog, workspace = on_postgresql
    check_an_uploader(workspace, catalog, clips)


def check_an_uploader(home, catalog, clips) -> None:
    contents = [sha256_of(clips / f"golf{number}.mp4") for number in range(3)]
    words = (PERSON, "Cabc0xyz", "Cabc1xyz", "Cabc2xyz", "golf0.mp4", "golf1.mp4", *contents[:2])
    assert traces(home, contents[0])
    result = take_down(catalog, home, "uploader", PERSON)
    assert (result["posts"], result["clips"], result["clips_kept"]) == (3, 2, 1)
    assert result["checkpoints"] == ["mv"]
    assert "exports/microvideos.json" in result["removed"]
    assert set(result["rewritten"]) == {"runs/mv/detections.json"}
    assert {"features/shards (1 clips)", "hashes.bin"} <= set(result["removed"])
    assert list_features([home.features]) == {"other"}
    assert read_features([home.features], "other").streams["rgb"].max() == 1
    assert traces(home, *words) == []
    assert not any(word in all_text(catalog) for word in words)
    with catalog.reading() as session:
        counted = [session.scalar(select(func.count()).select_from(t)) for t in (Post, Clip, Sighting, Fingerprint)]
        assert counted == [3, 3, 3, 3]
        assert session.scalar(select(func.count()).select_from(Tombstone)) > 3
    assert sorted(path.stem for path in (home.home / "media").rglob("*.mp4")) == sorted(
        sha256_of(clips / name) for name in ("golf3.mp4", "golf4.mp4", "repost.mp4")
    )
    again = crawl(catalog, home, clips)
    assert (again["tombstoned"], again["known"], again["downloaded"]) == (3, 3, 0)
    assert traces(home, *words) == []
    assert not any(word in all_text(catalog) for word in words)
    assert " swings, see , not niconico:sm9" in all_text(catalog)


def test_the_next_export_says_what_left(home, catalog, clips):
    content = sha256_of(clips / "golf3.mp4")
    take_down(catalog, home, "sha256", content)
    exported = export_microvideos(catalog, home)
    assert exported["changes"]["taken_down"] == 1
    assert (exported["changes"]["added"], exported["changes"]["left"]) == ([], [])
    assert exported["clips"] == 4
    assert export_microvideos(catalog, home)["changes"] == {"added": [], "left": [], "taken_down": 0}
    assert content not in all_text(catalog)


@pytest.mark.parametrize(
    ("kind", "value", "posts", "gone"),
    [
        ("url", "http://instagram.com/p/Cabc1xyz", 1, 1),
        ("post", "instagram:Cabc1xyz", 1, 1),
        ("post", "Cabc1xyz", 1, 1),
        ("post", "Crepost99", 1, 0),  # its content is PERSON's too
        ("uploader", f"instagram:{OTHER}", 3, 2),
        ("uploader", "nobody", 0, 0),
    ],
)
def test_by_url_post_and_uploader(home, catalog, clips, kind, value, posts, gone):
    result = take_down(catalog, home, kind, value)
    assert (result["posts"], result["clips"]) == (posts, gone)
    again = crawl(catalog, home, clips)
    assert (again["tombstoned"], again["downloaded"]) == (posts, 0)


def test_a_content_takes_every_post_that_shows_it(home, catalog, clips):
    content = sha256_of(clips / "golf2.mp4")
    assert take_down(catalog, home, "sha256", content.upper())["posts"] == 2
    assert traces(home, content) == []
    assert crawl(catalog, home, clips)["tombstoned"] == 2


def test_a_decisions_words_go_though_the_clip_stays(home, catalog):
    take_down(catalog, home, "post", "Cabc2xyz")
    with catalog.reading() as session:
        clip = session.scalar(select(Clip).join(Post).where(Post.origin == "instagram:Crepost99"))
        assert session.scalar(select(Decision.reason).where(Decision.clip_id == clip.id)) == ""


def test_the_same_takedown_again_changes_nothing(home, catalog):
    first = take_down(catalog, home, "uploader", PERSON)
    again = take_down(catalog, home, "uploader", PERSON)
    assert first["tombstones"] > 0
    assert (again["posts"], again["clips"], again["tombstones"], again["removed"]) == (0, 0, 0, [])


def test_what_is_no_name(tmp_path):
    workspace = Workspace(tmp_path)
    for kind, value in (("sha256", "abc"), ("post", "  "), ("url", "\n")):
        with pytest.raises(BadInput):
            take_down(open_catalog(workspace), workspace, kind, value)


def test_nothing_refers_to_what_is_gone(home, catalog):
    take_down(catalog, home, "uploader", f"instagram:{OTHER}")
    with catalog.reading() as session:
        clips = set(session.scalars(select(Clip.id)))
        edges = session.execute(select(DuplicateEdge.a_id, DuplicateEdge.b_id)).all()
        assert {one for edge in edges for one in edge} <= clips
        assert all(
            clip.startswith("tombstone:") or len(clip) == 64
            for e in session.scalars(select(Export))
            for clip in e.clips
        )
