"""Takedown by what the catalog knows: names that steer nothing, letter case, shared links, searches, kills, flow."""

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.core.text import printable
from plusmv.core.workspace import Workspace
from plusmv.curate.crawl.tombstones import tombstoned
from plusmv.curate.sources.base import FoundPost
from plusmv.curate.takedown.remove import take_down
from plusmv.db.models import Base, CrawlRun, Post, Tombstone
from plusmv.db.people import SEARCHED, held_by, holds, must_say
from plusmv.db.session import open_catalog
from plusmv.features.conversion import verify
from plusmv.features.feature_files import list_features
from plusmv.features.flow_cache import FlowCache, known_caches, note_cache
from tests.takedown_world import ToyPost, write_rows, write_world
from tests.test_takedown_property import contents, tables


def post(number: int, name: str, uploader: str = "instagram:ann", **others) -> ToyPost:
    media = b"media %d" % number
    url = f"https://www.instagram.com/p/{name}/"
    content = hashlib.sha256(media).hexdigest()
    return replace(ToyPost(number, "instagram", name, uploader, url, content, media), **others)


POSTS = [post(0, "Cab0"), post(1, "Cab1", "instagram:rgb"), post(2, "CAB1", "instagram:Bob_1")]


@pytest.fixture
def world(migrated, tmp_path):
    """(catalog, workspace) of POSTS."""
    workspace = Workspace(shutil.copytree(migrated, tmp_path / "home"))
    catalog = open_catalog(workspace)
    write_world(workspace, POSTS, POSTS)
    write_rows(catalog, workspace, POSTS)
    yield catalog, workspace
    catalog.close()


@pytest.mark.parametrize("name", ["safetensors", "annotations", "rgb2", "golf", "%", "_", "..", "features", "a"])
@pytest.mark.parametrize("kind", ["uploader", "post"])
def test_an_id_that_nobody_knows_touches_nothing_but_is_remembered(world, kind, name):
    catalog, workspace = world
    before = contents(workspace.home), tables(catalog)
    result = take_down(catalog, workspace, kind, f"instagram:{name}")
    assert (contents(workspace.home), tables(catalog)) == before
    assert (result["known"], result["removed"], result["rewritten"]) == (False, [], [])
    assert result["tombstones"] > 0
    with catalog.reading() as session:
        found = FoundPost("instagram", name if kind == "post" else "C", uploader=f"instagram:{name}")
        assert tombstoned(session, workspace, [found]) == {found.key}


def test_another_workspace_of_the_catalog_loses_what_was_taken_down_in_the_first(world, tmp_path):
    catalog, workspace = world
    other = Workspace(shutil.copytree(workspace.home, tmp_path / "other"))
    take_down(catalog, workspace, "uploader", "instagram:rgb")
    result = take_down(catalog, other, "uploader", "instagram:rgb")
    assert (result["known"], result["posts"]) == (True, 0)
    (media,) = (post.content for post in POSTS if post.uploader == "instagram:rgb")
    files = [path for path in other.home.rglob("*") if path.is_file() and not path.name.startswith("catalog.db")]
    assert not [path for path in files if media in path.name or media.encode() in path.read_bytes()]
    assert verify(other.features)["failures"] == []
    assert list_features([other.features]) == list_features([workspace.features])


def test_the_command_says_that_nothing_is_known(world):
    _, workspace = world
    done = CliRunner().invoke(app, ["takedown", "--uploader", "nobody", "--home", str(workspace.home), "--json"])
    assert (done.exit_code, json.loads(done.stdout)["known"]) == (0, False)


def test_uploader_rgb_takes_its_posts_and_leaves_every_stream(world):
    catalog, workspace = world
    assert take_down(catalog, workspace, "uploader", "instagram:rgb")["posts"] == 1
    assert verify(workspace.features)["failures"] == []
    assert list_features([workspace.features]) == {"0", "rgb", POSTS[0].content, POSTS[2].content}
    with np.load(workspace.home / "arrays" / "each.npz") as left:
        assert "rgb" in left.files
    assert (workspace.run("rgb") / "checkpoint.safetensors").is_file()


@pytest.mark.parametrize(
    ("kind", "value", "number"),
    [
        ("uploader", "instagram:BOB_1", 2),
        ("uploader", "Instagram:@bob_1", 2),
        ("uploader", "bOb_1", 2),
        ("post", "Instagram:Cab1", 1),  # Instagram tells posts apart by case
        ("post", "CAB1", 2),
    ],
)
def test_letter_case_is_ignored_where_the_platform_ignores_it(world, kind, value, number):
    catalog, workspace = world
    assert take_down(catalog, workspace, kind, value)["posts"] == 1
    with catalog.reading() as session:
        assert number + 1 not in set(session.scalars(select(Post.id)))
        others = [FoundPost("instagram", "C", uploader=f"instagram:{name}") for name in ("bob_1", "Bob_1", "BOB_1")]
        assert tombstoned(session, workspace, others) == ({others[0].key} if kind == "uploader" else set())


@pytest.mark.parametrize("name", ["golf/two  spaces.mp4", "golf/ lead.mp4", "golf/line\nbreak.mp4", "golf/a:b%_.mp4"])
def test_a_file_of_a_folder_is_found_by_its_name(world, name):
    catalog, workspace = world
    with catalog.writing() as session:
        kept = {"platform": "folder", "platform_id": printable(name, 500), "identity": "ab" * 32}
        session.execute(update(Post).where(Post.id == 1).values(kept))
    assert take_down(catalog, workspace, "post", f"folder:{name}")["posts"] == 1


def test_an_uploader_of_an_older_catalog_is_found_as_it_was_spelled(world):
    catalog, workspace = world
    with catalog.writing() as session:
        spelled = {"uploader_hash": workspace.keyed_hash("instagram:Old_One")}
        session.execute(update(Post).where(Post.id == 1).values(spelled))
    assert take_down(catalog, workspace, "uploader", "instagram:Old_One")["posts"] == 1


@pytest.mark.parametrize(
    "query",
    [
        {"query": "https://www.instagram.com/rgb/", "limit": 1},
        {"query": "ytsearch5:rgb", "limit": 1},
        {"path": "/clips/rgb", "limit": 1},
        {"list": "rgb.txt", "limit": 1},
    ],
)
def test_a_search_for_it_is_forgotten(world, query):
    catalog, workspace = world
    with catalog.writing() as session:
        session.execute(update(CrawlRun).values(query=json.dumps(query), cursor={"after": "rgb", "posts": 1}))
    take_down(catalog, workspace, "uploader", "instagram:rgb")
    with catalog.reading() as session:
        assert set(session.scalars(select(CrawlRun.query))) == {'{"limit": 1}'}
        assert not any(session.scalars(select(CrawlRun.cursor)))


def test_a_search_that_has_the_id_as_a_word_stays(world):
    catalog, workspace = world
    query = json.dumps({"path": "/clips", "tag": "rgb", "order": "rgb", "posts": 5})
    with catalog.writing() as session:
        session.execute(update(CrawlRun).values(query=query, cursor={"posts": 100, "tag": "rgb"}))
    take_down(catalog, workspace, "uploader", "instagram:rgb")
    with catalog.reading() as session:
        assert set(session.scalars(select(CrawlRun.query))) == {query}
        assert all(cursor == {"posts": 100, "tag": "rgb"} for cursor in session.scalars(select(CrawlRun.cursor)))


def test_words_lose_links_and_contents_and_a_caption_that_is_the_id(world):
    catalog, workspace = world
    of_one = {"caption": "@rgb", "reason": f"as {POSTS[1].content}, see {POSTS[1].url}?igsh=1", "licence": "rgb"}
    with catalog.writing() as session:
        session.execute(update(Post).where(Post.id == 1).values(of_one))
        session.execute(update(Post).where(Post.id == 3).values(caption="an rgb stream", raw={"tags": ["rgb"]}))
    take_down(catalog, workspace, "uploader", "instagram:rgb")
    with catalog.reading() as session:
        left = session.execute(select(Post.caption, Post.reason, Post.licence).order_by(Post.id)).all()
    assert [tuple(row) for row in left] == [("", "as , see ", "rgb"), ("an rgb stream", None, "unknown")]


def test_a_shared_link_finds_its_post_and_stays_while_another_post_has_it(migrated, tmp_path):
    posts = [post(0, "Cab0"), post(1, "Cab1", url="https://www.instagram.com/p/Cab0/"), post(2, "Cab2")]
    workspace = Workspace(shutil.copytree(migrated, tmp_path / "home"))
    catalog = open_catalog(workspace)
    write_rows(catalog, workspace, posts)
    list_of = workspace.home / "links.txt"
    list_of.write_text("".join(f"{one.url}\n" for one in posts[1:]))
    assert take_down(catalog, workspace, "post", "instagram:Cab0")["posts"] == 1
    assert list_of.read_text() == "".join(f"{one.url}\n" for one in posts[1:])
    assert take_down(catalog, workspace, "url", "http://m.instagram.com/reel/Cab2?igsh=MWQ1&utm_source=x")["posts"] == 1
    assert list_of.read_text() == f"{posts[1].url}\n"
    with catalog.reading() as session:
        still = FoundPost("instagram", "Cab1", url=posts[1].url)
        assert tombstoned(session, workspace, [still]) == set()


@pytest.mark.slow
def test_a_killed_takedown_is_finished_by_the_same_command(world, tmp_path):
    catalog, workspace = world
    command = [sys.executable, "-c", KILLED, str(workspace.home)]
    expected = Workspace(tmp_path / "expected")
    for steps in (1, 2, 4, 6):
        assert subprocess.run([*command, str(steps)], check=False).returncode == -9
    assert take_down(catalog, workspace, "uploader", "instagram:rgb")["posts"] == 1
    write_world(expected, [POSTS[0], POSTS[2]], POSTS)
    assert contents(workspace.home) == contents(expected.home)


KILLED = """
import os, signal, sys
from pathlib import Path
from plusmv.core.workspace import Workspace
from plusmv.curate.takedown.remove import take_down
from plusmv.db.session import open_catalog

left = int(sys.argv[2])

def count(event, arguments):
    global left
    if event in ("os.rename", "os.remove"):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

workspace = Workspace(Path(sys.argv[1]))
catalog = open_catalog(workspace)
sys.addaudithook(count)
take_down(catalog, workspace, "uploader", "instagram:rgb")
"""


def test_kept_flow_goes_with_its_video_wherever_it_lies(world, tmp_path):
    catalog, workspace = world
    noted, given = tmp_path / "noted", tmp_path / "given"
    note_cache(workspace.home, noted)
    note_cache(workspace.home, noted)
    assert known_caches(workspace.home) == [noted]
    frames = np.zeros((2, 4, 4, 3), np.uint8)
    for folder in (noted, given, workspace.home / "flow"):
        for video in (POSTS[1].content, POSTS[2].content, "rgb"):
            FlowCache(folder, "s").levels(video, frames, lambda: np.zeros((1, 4, 4, 2), np.uint8))
    (noted / "ab").mkdir()
    (noted / "ab" / f"ab{'0' * 30}.png").write_bytes(b"flow of an earlier version, whose nobody can say")
    take_down(catalog, workspace, "uploader", "instagram:rgb", flow_caches=[given])
    for folder in (noted, given, workspace.home / "flow"):
        assert sorted(path.parent.name for path in folder.rglob("*.png")) == sorted([POSTS[2].content, "rgb"])


def test_ids_with_colons_and_odd_letters_are_met_as_they_are(migrated, tmp_path):
    odd = ["x:y", "a\nb", "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}", "100%", "'; --"]
    posts = [post(n, f"C{n}", f"instagram:{name}") for n, name in enumerate(odd)]
    workspace = Workspace(shutil.copytree(migrated, tmp_path / "home"))
    catalog = open_catalog(workspace)
    write_rows(catalog, workspace, posts)
    for name in odd:
        assert take_down(catalog, workspace, "uploader", f"instagram:{name}")["posts"] == 1
    with catalog.reading() as session:
        assert not session.scalars(select(Post.id)).all()


def test_a_reason_that_names_it_is_not_kept_and_others_are(world):
    catalog, workspace = world
    take_down(catalog, workspace, "uploader", "instagram:a", "asked by a person")
    take_down(catalog, workspace, "uploader", "instagram:rgb", "asked by instagram:rgb")
    with catalog.reading() as session:
        assert set(session.scalars(select(Tombstone.reason))) == {"asked by a person", ""}


def test_every_column_of_text_json_or_bytes_says_what_of_people_it_may_hold():
    silent = [
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if must_say(column) and held_by(column) is None
    ]
    assert silent == []
    searched = {f"{t.name}.{c.name}" for t in Base.metadata.sorted_tables for c in t.columns
                if (held_by(c) or set()) & SEARCHED}  # fmt: skip
    assert {"posts.caption", "posts.raw", "crawl_runs.query", "crawl_runs.cursor", "decisions.reason"} <= searched
    with pytest.raises(ValueError, match="holds"):
        holds("secrets")
