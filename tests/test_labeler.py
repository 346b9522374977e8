"""The review page without a browser: its queries, its words, and that a decision counts once the catalog has it."""

import contextlib
import sqlite3
import time
from pathlib import Path

import pytest
from sqlalchemy import select
from streamlit.testing.v1 import AppTest

from core.actions import Action as ActionFacts
from core.errors import Missing, Refused
from core.workspace import Workspace, sha256_of
from curate import decisions
from db import session as db_session
from db.models import Action, Clip, CrawlRun, Decision, FileState, Post, PostState, Sighting
from db.queries import save_actions
from db.session import open_catalog


from labeler_ui.connection import connect

from tests.conftest import ROOT
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
    monkeypatch.delenv("PLUSMV_DB", raising=False)
    monkeypatch.setenv("PLUSMV_ANNOTATOR", "ann")
    monkeypatch.setattr(db_session, "BUSY_TIMEOUT_S", 0.2)
    return fill_workspace(tmp_path / "home", clips=3)


def open_page() -> AppTest:
    page = AppTest.from_file(str(ROOT / "labeler_ui" / "review_page.py"), default_timeout=20).run()
    assert not page.exception
    return page


def press(page: AppTest, key: str, after: float = 0.35) -> AppTest:
    """Click the button whose key begins with `key`, `after` seconds from now."""
    time.sleep(after)
    next(button for button in page.button if button.key.startswith(key)).click().run()
    assert not page.exception
    return page


def on_screen(page: AppTest) -> int:
    """The clip id that the Keep button is bound to."""
    return int(next(button.key for button in page.button if button.key.startswith("keep-")).split("-")[1])


def test_a_press_decides_the_clip_on_screen_and_the_next_one_comes(workspace):
    page = open_page()
    assert on_screen(page) == 1
    assert on_screen(press(page, "keep-")) == 2
    assert on_screen(press(page, "unusable-")) == 3
    assert judged(workspace) == [(1, "keep"), (2, "unusable")]
    with connect().reading() as session:
        first, second = session.scalars(select(Decision).order_by(Decision.id))
    assert (first.annotator, first.action_id, second.action_id) == ("ann", 1, None)
    assert 0.3 < first.seconds < 20


def test_undo_goes_back_to_the_first_decision(workspace):
    page = press(press(press(open_page(), "keep-"), "mistagged-"), "duplicate-")
    assert "Every clip is decided" in page.success[0].value
    assert [on_screen(press(page, "undo-last-")) for _ in range(3)] == [3, 2, 1]
    assert judged(workspace)[3:] == [(3, "undo"), (2, "undo"), (1, "undo")]
    assert next(button for button in page.button if button.key.startswith("undo-last-")).disabled


def test_an_earlier_decision_is_undone_by_its_own_button(workspace):
    page = press(press(open_page(), "keep-"), "keep-")
    assert on_screen(press(page, "undo-1")) == 1
    assert judged(workspace)[2:] == [(1, "undo")]


def test_a_double_click_decides_one_clip(workspace):
    page = press(press(open_page(), "keep-"), "keep-", after=0)
    assert judged(workspace) == [(1, "keep")]
    assert on_screen(page) == 2
    assert "too quickly" in page.toast[0].value


def test_later_puts_a_clip_to_the_end(workspace):
    page = press(open_page(), "later-")
    seen = [on_screen(page)]
    for _ in range(2):
        seen.append(on_screen(press(page, "keep-")))
    assert seen == [2, 3, 1]


def test_two_tabs_never_decide_a_clip_twice(workspace):
    first, second = open_page(), open_page()
    press(first, "keep-")
    press(second, "mistagged-")
    assert judged(workspace) == [(1, "keep")]
    assert "decided already" in second.toast[0].value
    assert on_screen(second) == 2


def test_a_locked_catalog_loses_nothing(workspace):
    page = open_page()
    with contextlib.closing(sqlite3.connect(workspace.catalog, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        press(page, "keep-")
    assert "locked" in page.error[0].value
    assert on_screen(page) == 1
    assert judged(workspace) == []
    assert on_screen(press(page, "keep-")) == 2
    assert judged(workspace) == [(1, "keep")]


def test_a_catalog_that_is_gone_takes_no_decision(workspace):
    page = open_page()
    away = workspace.catalog.rename(workspace.home / "away.db")
    press(page, "keep-")
    assert "there is no catalog" in page.error[0].value.replace("\\", "")
    assert not workspace.catalog.exists()
    away.rename(workspace.catalog)
    time.sleep(0.35)
    page.button[0].click().run()
    assert (on_screen(page), judged(workspace)) == (1, [])


def test_another_catalog_in_its_place_takes_no_decision_meant_for_the_first(workspace, tmp_path):
    page = open_page()
    other = fill_workspace(tmp_path / "other", clips=2)
    other.catalog.replace(workspace.catalog)
    press(page, "keep-")
    assert "replaced" in page.error[0].value
    assert judged(workspace) == []


def test_a_clip_whose_media_is_gone_says_so_and_can_be_set_aside(workspace):
    with connect().reading() as session:
        clip = session.get_one(Clip, 1)
    workspace.media(clip.sha256, clip.suffix).unlink()
    page = open_page()
    assert any(
        "cannot be played" in each.proto.body and "crawl it again" in each.proto.body for each in page.get("html")
    )
    assert on_screen(press(page, "unusable-")) == 2


def test_where_there_is_nothing_to_label_the_page_names_the_next_command(tmp_path, monkeypatch):
    monkeypatch.setenv("PLUSMV_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("PLUSMV_DB", raising=False)
    assert "crawl clips first" in open_page().error[0].value
    assert not (tmp_path / "none").exists()
    open_catalog(Workspace(tmp_path / "none")).close()
    assert "plusmv crawl" in open_page().info[0].value


def test_queue_order_filter_later_and_scope(catalog):
    with catalog.writing() as session:
        actions = save_actions(session, ACTIONS)
        golf, dive = actions["GolfSwing"], actions["Dive"]
        clips = [add_clip(session, golf, digit * 64) for digit in "abc"]
        both = Pair(clips[0].id, dive.id)
        post = session.scalar(select(Post).where(Post.clip_id == clips[0].id))
        run = session.scalar(select(CrawlRun))
        session.add(Sighting(post_id=post.id, action_id=dive.id, tag="dive", run_id=run.id))
    of_golf = [Pair(clip.id, golf.id) for clip in clips]
    with catalog.writing() as session:
        assert review_queue.upcoming(session, None, [], 9) == [both, *of_golf]
        assert review_queue.upcoming(session, golf.id, of_golf[:1], 2) == of_golf[1:]
        assert review_queue.card(session, both).tags == ("dive",)
        whole = review_queue.judge(session, both, "unusable", "ann", 2.0)
        assert review_queue.upcoming(session, None, of_golf[1:2], 9) == [of_golf[2], of_golf[1]]
        with pytest.raises(Refused):
            review_queue.judge(session, of_golf[0], "keep", "bob", None)
        kept = review_queue.judge(session, of_golf[1], "keep", "ann", 4.0)
        progress = review_queue.progress(session)
        assert {each.action: (each.decided, each.total) for each in progress.values()} == {
            "Dive": (1, 1),
            "GolfSwing": (2, 3),
        }
        made = review_queue.last_decisions(session, "ann", 9)
        assert ([each.id for each in made], review_queue.pace(made)) == ([kept.id, whole.id], 3.0)
        with pytest.raises(Refused):
            review_queue.undo_last(session, "ann", whole.id)
        assert review_queue.undo_last(session, "ann", kept.id).undoes_id == kept.id
        assert review_queue.undecided_pair(session, *of_golf[1]) == of_golf[1]
        assert decisions.last_decision(session, "ann").id == whole.id


def test_what_people_wrote_is_shown_as_text(workspace):
    with connect().reading() as session:
        card = review_queue.card(session, Pair(1, 1))
    card.post.caption = "<img src=x onerror=alert(1)>"
    card.post.origin = "<b>"
    shown = card_html.facts(card) + card_html.not_playing("<script>")
    assert "<img" not in shown and "<b>" not in shown and "<script>" not in shown
    assert "&lt;img src=x" in shown and "#golfswing" in shown


def test_a_preview_is_made_once_and_again_after_it_was_removed(workspace):
    source = make_video(workspace.home / "old.avi", 9, codec="mpeg4")
    clip = Clip(sha256=sha256_of(source), suffix=".avi", bytes=1, state=FileState.DONE)
    files = PlayableFiles(workspace)
    with pytest.raises(Missing):
        files.path(clip)
    media = workspace.media(clip.sha256, ".avi")
    media.parent.mkdir(parents=True, exist_ok=True)
    source.rename(media)
    files.prepare([clip, clip])
    made = files.path(clip)
    written = made.stat().st_mtime_ns
    assert files.path(clip).stat().st_mtime_ns == written
    made.unlink()
    assert files.path(clip).is_file()
