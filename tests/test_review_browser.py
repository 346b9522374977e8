"""The review page in a real browser: keys and clicks, bursts of them, undo, reload, clips that cannot be played."""

import contextlib
import sqlite3
import time
import uuid

import pytest

from plusmv.core.workspace import Workspace
from plusmv.curate.duplicates.rulings import rulings
from plusmv.curate.review import entries, group_actions
from plusmv.curate.review.leases import ClipAction
from plusmv.db.models import CrawlRun, Post, Sighting
from plusmv.db.session import open_catalog
from tests.browser import (  # noqa: F401
    LOCAL,
    Labeler,
    Page,
    copied_workspace,
    decided,
    labeler_on_workspace,
    launched_browser,
    locked,
    running_labeler,
    serving,
    wait_until,
)
from tests.test_labeler import fill_workspace, judged

NOTE_KEYS = """() => {
  window.seen = [];
  const root = [...document.querySelectorAll("*")].map((e) => e.shadowRoot?.querySelector(".plusmv")).find(Boolean);
  window.addEventListener("keydown", () => window.seen.push(root.dataset.shown), true);
}"""


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Workspace:
    """Forty clips of GolfSwing."""
    return fill_workspace(tmp_path_factory.mktemp("template"), clips=40, seconds=1.0)


def test_three_clips_by_key_and_all_undone(labeler: Labeler, workspace: Workspace):
    page = labeler.open()
    first = page.shown()
    for key in "kmu":
        page.press(key)
    page.acknowledged()
    assert judged(workspace) == [(1, "keep"), (2, "mistagged"), (3, "unusable")]
    for _ in range(3):
        page.press("z")
    page.acknowledged()
    assert judged(workspace)[3:] == [(3, "undo"), (2, "undo"), (1, "undo")]
    assert page.shown() == first
    assert [address for address in page.asked if not address.startswith(LOCAL)] == []


@pytest.mark.slow
def test_a_burst_of_keys_lands_on_the_clips_that_were_on_screen(labeler: Labeler, workspace: Workspace):
    page = labeler.open()
    page.tab.evaluate(NOTE_KEYS)
    for key in "kmdukmdukmkmkmdukmdukmdukmdukm":
        page.tab.keyboard.press(key)
        time.sleep(0.05)
    on_screen = page.tab.evaluate("window.seen")
    page.acknowledged()
    assert [sha256 for sha256, _ in decided(workspace)] == on_screen
    assert len(set(on_screen)) == 30


def test_a_held_key_and_a_double_click_count_once(labeler: Labeler, workspace: Workspace):
    page = labeler.open()
    page.tab.keyboard.down("k")
    for _ in range(5):
        page.tab.keyboard.down("k")  # the browser repeats it
    page.tab.keyboard.up("k")
    page.tab.get_by_role("button", name="Mis-tagged").dblclick()
    page.acknowledged()
    assert judged(workspace) == [(1, "keep"), (2, "mistagged")]


def test_the_right_action_is_named_by_typing_and_undone_with_the_rest(labeler: Labeler, workspace: Workspace):
    page = labeler.open()
    page.tab.keyboard.press("M")
    page.tab.keyboard.type("div")
    page.press("Enter")
    page.tab.keyboard.press("U")
    page.tab.keyboard.type("k a still picture")  # letters are typed, not decided by
    page.press("Enter")
    page.acknowledged()
    rows = decided(workspace, "clip_id, action_id, verdict, decisions.reason, how")
    assert [row[:3] for row in rows] == [(1, 1, "mistagged"), (1, 2, "keep"), (2, None, "unusable")]
    assert rows[2][3:] == ("k a still picture", "single")
    page.press("z")
    page.press("z")
    page.acknowledged()
    assert [verdict for _, verdict in judged(workspace)][3:] == ["undo"] * 3


def tag_again(workspace: Workspace, clip: int) -> None:
    """The clip was found by a tag of Dive too, and comes first, as that action's."""
    with open_catalog(workspace).writing() as session:
        run, post = CrawlRun(source="folder", tag="dive", action_id=2), session.get_one(Post, clip)
        session.add(run)
        session.flush()
        session.add(Sighting(post_id=post.id, action_id=2, tag="dive", run_id=run.id))


@pytest.mark.slow
def test_a_clip_is_not_asked_about_under_the_action_that_it_was_said_to_show(labeler: Labeler, workspace: Workspace):
    tag_again(workspace, 2)
    page = labeler.open()
    for keys in ("M", *"golf"):
        page.tab.keyboard.press(keys)
    page.press("Enter")
    for _ in range(38):
        page.press("k")
    page.tab.keyboard.press("k")
    page.acknowledged()
    assert page.shown() == page.text(".toast") == ""
    assert judged(workspace) == [
        (2, "mistagged"),
        (2, "keep"),
        *((clip, "keep") for clip in range(1, 41) if clip != 2),
    ]
    for _ in range(40):
        page.tab.keyboard.press("z")
    page.acknowledged()
    assert [verdict for _, verdict in judged(workspace)][41:] == ["undo"] * 41
    assert decided(workspace)[0][0] == page.shown()


def test_undo_goes_on_from_another_pages_act_to_what_was_said_of_the_same_clip(labeler: Labeler, workspace: Workspace):
    request_id = str(uuid.uuid4())
    with open_catalog(workspace).writing() as session:
        for clip_id in (1, 2):
            entries.record(session, entries.Entry(str(uuid.uuid4()), ClipAction(clip_id, 1), "keep"), "ann")
        act = group_actions.DuplicateReview(request_id, keep=1, remove=(2,), duplicates=(1, 2))
        group_actions.record(session, act, "ann")
    page = labeler.open()
    page.press("z")
    removed = page.shown()
    page.tab.keyboard.press("z")  # the keep of the same clip
    page.press("z")
    page.acknowledged()
    assert page.text(".toast") == ""
    assert removed != page.shown()
    rows = [(1, "keep"), (2, "keep"), (2, "duplicate"), (2, "undo"), (2, "undo"), (1, "undo")]
    assert judged(workspace) == rows
    with open_catalog(workspace).reading() as session:
        assert rulings(session) == {}
    for _ in range(2):
        page.press("m")
    page.acknowledged()
    assert judged(workspace)[6:] == [(1, "mistagged"), (2, "mistagged")]


@pytest.mark.slow
def test_what_is_of_no_use_is_not_asked_about_under_its_other_action(labeler: Labeler, workspace: Workspace):
    tag_again(workspace, 2)
    page = labeler.open()
    twice = page.shown()  # Dive comes first
    page.press("d")
    for _ in range(39):
        page.press("k")
    page.acknowledged()
    assert page.shown() == page.text(".toast") == ""
    rows = decided(workspace)
    assert (rows[0], len(rows)) == ((twice, "duplicate"), 40)
    for _ in range(40):
        page.press("z")
    for _ in range(40):  # nothing is said of the clip as a whole any more
        page.press("k")
    wait_until(lambda: page.shown() == twice, "the clip comes under its other action too")


@pytest.mark.slow
def test_where_one_was_after_a_reload_and_what_was_put_off_comes_last(labeler: Labeler, workspace: Workspace):
    page = labeler.open()
    put_off = page.shown()
    page.press("s")
    page.press("k")
    at = page.shown()
    page.tab.reload()
    page.ready()
    assert page.shown() == at
    page.press("z")  # a decision of before the reload
    page.press("k")
    for _ in range(38):
        page.press("k")
    assert page.shown() == put_off


def test_a_clip_without_media_says_so_and_can_be_set_aside(browser, labeler: Labeler, workspace: Workspace):
    media = sorted((workspace.home / "media").rglob("*.mp4"))
    for path in media:
        if path.stem in {sha256 for (sha256,) in first_clips(workspace, 1)}:
            path.unlink()
    page = Page(browser, labeler.port)  # whose browser has not cached the clip
    page.tab.goto(page.address)
    wait_until(lambda: page.root.count() and "crawl it again" in page.root.inner_text(), "the reason shows", 40)
    page.press("u")
    page.ready()
    page.acknowledged()
    assert judged(workspace) == [(1, "unusable")]


def first_clips(workspace: Workspace, count: int) -> list[tuple[str]]:
    with contextlib.closing(sqlite3.connect(workspace.catalog)) as catalog:
        return catalog.execute("SELECT sha256 FROM clips ORDER BY id LIMIT ?", (count,)).fetchall()


@pytest.mark.slow
def test_what_the_browser_cannot_decode_shows_a_picture_a_reason_and_then_a_copy(
    labeler: Labeler, workspace: Workspace
):
    page = labeler.page()
    page.tab.route("**/clips/*", lambda route: route.fulfill(body=b"no film", content_type="video/mp4"))
    page.open()
    assert "a copy is being made" in page.text(".why")
    assert f"stills/{page.shown()}" in page.tab.locator("video.on").get_attribute("poster")
    page.press("k")
    page.acknowledged()


@pytest.mark.slow
def test_back_from_the_grid_keys_land_on_the_clip_on_screen(labeler: Labeler, workspace: Workspace):
    page = labeler.open()
    page.press("k")
    at = page.shown()
    page.tab.get_by_role("link", name="Grid").click()
    page.tab.locator("figure").first.wait_for()
    page.tab.go_back()
    wait_until(lambda: page.root.get_attribute("data-shown") == at, "the clip is back")
    page.press("m")
    page.acknowledged()
    assert judged(workspace) == [(1, "keep"), (2, "mistagged")]
