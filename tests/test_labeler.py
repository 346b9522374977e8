"""The labeler without a browser: its pages, names, counts, films, and one line where something is wrong."""

import contextlib
import re
import sqlite3
import time
from pathlib import Path

import pytest
from sqlalchemy import select
from streamlit.testing.v1 import AppTest

from plusmv.core.actions import Action as ActionFacts
from plusmv.core.errors import BadInput, Missing, PlusmvError
from plusmv.core.workspace import Workspace, sha256_of
from plusmv.curate.review import cards, passwords
from plusmv.curate.review.decisions import decide
from plusmv.curate.review.leases import ClipAction
from plusmv.curate.review.previews import preview
from plusmv.db.models import Action, Clip, CrawlRun, FileState, Post, PostState, Sighting, SuspicionScore
from plusmv.db.queries import save_actions
from plusmv.db.session import open_catalog
from plusmv.labeler_ui import access, clip_files
from plusmv.labeler_ui.bundle import bundle
from plusmv.labeler_ui.clip_files import PlayableFiles
from plusmv.labeler_ui.connection import connect
from plusmv.labeler_ui.counting import Counting
from plusmv.labeler_ui.frame import ASSETS
from tests.small_videos import make_video

ACTIONS = (ActionFacts("GolfSwing", ("golfswing",), "A player swings the club."), ActionFacts("Dive", ("dive",)))


def add_clip(session, action: Action, sha256: str, suffix: str = ".mp4", size: int = 1, caption: str = "") -> Clip:
    """A clip that a post showed under the action's first tag."""
    clip = Clip(sha256=sha256, suffix=suffix, bytes=size, duration=1.0, state=FileState.DONE)
    run = CrawlRun(source="folder", tag=action.tags[0].tag, action_id=action.id)
    post = Post(platform="folder", platform_id=f"{sha256[:6]}{suffix}", identity=sha256, caption=caption, clip=clip)
    post.state = PostState.DOWNLOADED
    session.add_all([run, post])
    session.flush()
    session.add(Sighting(post_id=post.id, action_id=action.id, tag=run.tag, run_id=run.id))
    return clip


def fill_workspace(home: Path, clips: int, **video: object) -> Workspace:
    """A workspace with `clips` small H.264 clips of GolfSwing."""
    workspace = Workspace(home)
    catalog = open_catalog(workspace)
    with catalog.writing() as session:
        golf = save_actions(session, ACTIONS)["GolfSwing"]
        for seed in range(clips):
            made = make_video(home / "made.mp4", seed, **video)
            media = workspace.media(sha256_of(made), ".mp4")
            media.parent.mkdir(parents=True, exist_ok=True)
            add_clip(session, golf, media.stem, size=made.stat().st_size, caption=f"swing {seed} #golf")
            made.rename(media)
    catalog.close()
    return workspace


def judged(workspace: Workspace) -> list[tuple[int, str]]:
    """(clip id, verdict) of every row of decisions, as another process reads them."""
    with contextlib.closing(sqlite3.connect(workspace.catalog)) as connection:
        return connection.execute("SELECT clip_id, verdict FROM decisions ORDER BY id").fetchall()


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setenv("PLUSMV_HOME", str(tmp_path / "home"))
    for name in ("PLUSMV_DB", "PLUSMV_PASSWORDS", "PLUSMV_OVERLAP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PLUSMV_ANNOTATOR", "ann")
    return fill_workspace(tmp_path / "home", clips=3)


PAGE = """
from plusmv.labeler_ui.frame import draw
from plusmv.labeler_ui.{name}_page import {name}
draw({name}, {annotator!r})
"""


def open_page(name: str = "review", annotator: str = "ann") -> AppTest:
    """A page as it is drawn for somebody who is signed in."""
    page = AppTest.from_string(PAGE.format(name=name, annotator=annotator), default_timeout=30).run()
    assert not page.exception
    return page


@pytest.mark.parametrize("name", ["review", "grid"])
def test_pages_offer_the_actions_and_go_on_with_the_one_chosen(workspace, name):
    page = open_page(name)
    choice = page.selectbox[0]
    assert choice.options == ["All actions", "Dive", "GolfSwing"]
    choice.select("GolfSwing").run()
    assert not page.exception
    assert page.session_state["action"] == 1
    assert "ann" in page.sidebar.caption[0].value


@pytest.mark.parametrize("name", ["review", "grid", "duplicates", "contradictions", "unsent"])
def test_a_pages_modules_are_joined_into_one(name):
    script = bundle(ASSETS / f"{name}.js")
    statements = re.findall(r"^(?:import|export)\b.*", script, re.MULTILINE)
    assert statements == [f"export default mount({name.capitalize()});"]
    assert script.count("class Outbox {") == 1


def test_where_there_is_nothing_to_label_the_page_names_the_next_command(tmp_path, monkeypatch):
    monkeypatch.setenv("PLUSMV_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("PLUSMV_DB", raising=False)
    assert "crawl clips first" in open_page().error[0].value
    assert not (tmp_path / "none").exists()


def test_the_annotator_is_called_as_decisions_will_be(workspace, monkeypatch):
    monkeypatch.setenv("PLUSMV_ANNOTATOR", "  ann ")
    assert access.default_annotator() == "ann"
    monkeypatch.setenv("PLUSMV_ANNOTATOR", " ")
    with pytest.raises(BadInput):
        access.default_annotator()


def test_a_name_is_shown_as_it_is(workspace):
    assert "\\<b\\>Bob" in open_page(annotator="<b>Bob</b>").sidebar.caption[0].value


def test_passwords_are_eight_characters_or_more_in_a_private_file(tmp_path):
    file = tmp_path / "passwords"
    passwords.set_password(file, "ann", "long ago")
    passwords.set_password(file, "bob", "far away")
    assert file.stat().st_mode & 0o777 == 0o600
    assert passwords.is_password(file, "ann", "long ago")
    assert not passwords.is_password(file, "ann", "far away") and not passwords.is_password(file, "cat", "long ago")
    for short in ("", "1234567"):
        with pytest.raises(BadInput):
            passwords.set_password(file, "ann", short)
        with pytest.raises(BadInput):
            passwords.is_password(file, "ann", short)
    file.chmod(0o644)
    with pytest.raises(BadInput, match="chmod 600"):
        passwords.is_password(file, "ann", "long ago")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201])
def test_names_that_decisions_cannot_be_kept_under(name):
    with pytest.raises(BadInput):
        passwords.checked_name(name)


def test_a_catalog_that_is_gone_or_another_takes_nothing(workspace, tmp_path):
    connection = connect()
    other = fill_workspace(tmp_path / "other", clips=1)
    other.catalog.replace(workspace.catalog)
    with pytest.raises(Missing, match="replaced"), connection.writing():
        pass
    workspace.catalog.unlink()
    with pytest.raises(Missing, match="there is no catalog"):
        connect()


@pytest.mark.parametrize("overlap", ["-1", "2", "nan", "much"])
def test_a_share_that_is_none_is_one_line(workspace, monkeypatch, overlap, tmp_path):
    fill_workspace(tmp_path / overlap, clips=0)
    monkeypatch.setenv("PLUSMV_HOME", str(tmp_path / overlap))
    monkeypatch.setenv("PLUSMV_OVERLAP", overlap)
    with pytest.raises(PlusmvError, match="share from 0 to 1"):
        connect()


def test_cards_say_what_posts_say(workspace):
    with connect().writing() as session:
        session.add(SuspicionScore(clip_id=1, action_id=1, signal="combined", score=0.25))
        session.get_one(Clip, 2).state = FileState.FAILED
        first, second = cards.cards(session, [ClipAction(1, 1), ClipAction(2, 1), ClipAction(99, 1)])
    assert (first.action, first.tags, first.caption, first.suspicion) == (
        "GolfSwing",
        ("golfswing",),
        "swing 0 #golf",
        0.25,
    )
    assert (second.error, second.suspicion) == ("it cannot be decoded", None)


def test_pictures_of_an_action_are_of_kept_clips_else_of_the_least_suspicious(workspace):
    with connect().writing() as session:
        sha256 = list(session.scalars(select(Clip.sha256).order_by(Clip.id)))
        assert cards.references(session, 1) == []
        for clip_id, score in ((1, 0.9), (2, 0.1), (3, 0.2)):
            session.add(SuspicionScore(clip_id=clip_id, action_id=1, signal="combined", score=score))
        session.flush()
        assert cards.references(session, 1) == [sha256[1], sha256[2]]
        decide(session, 1, "keep", "ann", 1)
        assert cards.references(session, 1) == [sha256[0], sha256[1]]


def test_a_curators_own_pictures_come_by_the_actions_name_and_nothing_else_does(workspace):
    folder = workspace.home / "references" / "GolfSwing"
    folder.mkdir(parents=True)
    (folder / "b.JPG").write_bytes(b"b")
    (folder / "a.png").write_bytes(b"a")
    (folder / "notes.txt").write_text("no picture")
    assert [path.name for path in clip_files.own_pictures(workspace, "GolfSwing")] == ["a.png", "b.JPG"]
    for climbing in ("..", "../..", "GolfSwing/..", "/etc", ""):
        assert clip_files.own_pictures(workspace, climbing) == []


def test_counts_are_of_clips_under_actions(workspace):
    connection = connect()
    with connection.writing() as session:
        decide(session, 1, "keep", "ann", 1)
        decide(session, 2, "unusable", "ann")
        decide(session, 1, "keep", "ann", 2)  # another action than its tag's
    counting = Counting(connection)
    deadline = time.monotonic() + 20
    while counting.all() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert counting.all() == {1: (2, 3), 2: (1, 1)}
    assert (counting.of(1), counting.of(None), counting.of(9)) == ((2, 3), (3, 4), (0, 0))


def test_a_preview_is_made_once_and_again_after_it_was_removed(workspace):
    source = make_video(workspace.home / "old.avi", 9, codec="mpeg4")
    clip = Clip(sha256=sha256_of(source), suffix=".avi", bytes=1, state=FileState.DONE)
    films = PlayableFiles(workspace)
    with pytest.raises(Missing):
        films.path(clip)
    media = workspace.media(clip.sha256, ".avi")
    media.parent.mkdir(parents=True, exist_ok=True)
    source.rename(media)
    films.prepare([clip, clip], preview)
    made = films.path(clip, preview)
    written = made.stat().st_mtime_ns
    assert films.path(clip).stat().st_mtime_ns == written
    made.unlink()
    assert films.path(clip).is_file()
