"""The duplicates page in a real browser: clips play in step, and keys alone settle groups, split, undo and go on."""

import contextlib
import sqlite3
import time

import pytest

from plusmv.core.workspace import Workspace
from plusmv.db.models import Clip, EdgeKind
from plusmv.db.session import open_catalog
from tests.browser import (  # noqa: F401
    Labeler,
    Page,
    copied_workspace,
    decided,
    labeler_on_workspace,
    launched_browser,
    running_labeler,
    serving,
    wait_until,
)
from tests.test_duplicates_page import edge
from tests.test_labeler import fill_workspace

LOOK_S = 0.6  # before Enter counts on a group that has just appeared


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Workspace:
    """Groups of clips 1-3 and 4-5 (5 runs twice as fast, from 0.5 s on, mirrored); 6 is a part of 1, 7 shares a turned
    second with 6."""
    made = fill_workspace(tmp_path_factory.mktemp("template"), clips=7, seconds=3.0)
    catalog = open_catalog(made)
    with catalog.writing() as session:
        clips = {number: session.get_one(Clip, number) for number in range(1, 8)}
        for number, clip in clips.items():
            clip.duration = 9.0 - number
        session.add_all([edge(clips[1], clips[2]), edge(clips[1], clips[3]), edge(clips[2], clips[3])])
        session.add(edge(clips[4], clips[5], speed=2.0, offset_s=0.5, mirror=True, overlap_s=2.0))
        session.add(edge(clips[6], clips[1], EdgeKind.PART, score=0.8))
        session.add(edge(clips[6], clips[7], EdgeKind.SHARED, mirror=True, turn=90, overlap_s=1.0))
    catalog.close()
    return made


def shown(page: Page) -> list[str]:
    return (page.shown() or "").split()


def press(page: Page, *keys: str) -> None:
    """Keys of one who looks at what is on screen first."""
    time.sleep(LOOK_S)
    for key in keys:
        page.tab.keyboard.press(key)


def rulings(workspace: Workspace) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(workspace.catalog)) as catalog:
        return catalog.execute("SELECT kind, a_id, b_id FROM duplicate_rulings ORDER BY id").fetchall()


def verdicts(workspace: Workspace) -> list[tuple]:
    return decided(workspace, "clip_id, verdict, how")


def test_copies_play_in_step_and_groups_are_settled_by_keys_alone(labeler: Labeler, workspace: Workspace):
    page = labeler.open("duplicates")
    first = shown(page)
    assert len(first) == 3
    page.tab.keyboard.press("ArrowRight")
    wait_until(lambda: len(shown(page)) == 2, "the next group")
    assert page.tab.locator("figure").nth(1).locator(".badge").all_inner_texts()[:4] == [
        "copy", "mirrored (shown turned back)", "2.00x", "offset +0.5 s"
    ]  # fmt: skip
    in_step = """root => { const [a, b] = [...root.querySelectorAll("video")];
        const late = Math.abs(2 * a.currentTime + 0.5 - b.currentTime);
        return !a.paused && !b.paused && b.currentTime > 0.7 && late < 0.2; }"""
    wait_until(lambda: page.root.evaluate(in_step), "both show the same moment")
    press(page, "Enter")  # 4 stays; nothing follows, so the end shows
    page.tab.keyboard.press("Enter")
    wait_until(lambda: not shown(page) or shown(page) == first, "what is next")
    page.acknowledged()
    assert verdicts(workspace) == [(5, "duplicate", "duplicates")]
    while shown(page) != first:
        press(page, "ArrowLeft")
    press(page, "3", "k", "Enter")
    page.acknowledged()
    assert rulings(workspace) == [("keep-this", 3, None)]
    assert verdicts(workspace)[1:] == [(1, "duplicate", "duplicates"), (2, "duplicate", "duplicates")]
    page.tab.reload()
    wait_until(lambda: page.root.count() and "Nothing is left" in page.text(".question"), "no group is open")


@pytest.mark.slow
def test_split_no_copies_and_undo_also_of_before_a_reload(labeler: Labeler, workspace: Workspace):
    page = labeler.open("duplicates")
    first = shown(page)
    press(page, "2", "x")
    page.acknowledged()
    assert rulings(workspace) == [("not-duplicate", 1, 2)]
    press(page, "z")
    page.acknowledged()
    assert rulings(workspace)[1:] == [("withdrawn", 1, 2)]
    press(page, "n")
    wait_until(lambda: len(shown(page)) == 2, "the next group")
    page.acknowledged()
    assert sorted(rulings(workspace)[2:]) == [("not-duplicate", *pair) for pair in ((1, 2), (1, 3), (2, 3))]
    page.tab.reload()
    wait_until(lambda: page.root.count() and len(shown(page)) == 2, "the other group alone", seconds=40)
    press(page, "z")
    wait_until(lambda: shown(page) == first, "the group is back")
    page.acknowledged()
    assert sorted(rulings(workspace)[5:]) == [("withdrawn", *pair) for pair in ((1, 2), (1, 3), (2, 3))]


@pytest.mark.slow
def test_a_held_enter_settles_one_group_and_a_focused_button_is_its_own(labeler: Labeler, workspace: Workspace):
    page = labeler.open("duplicates")
    press(page)
    for _ in range(6):
        page.tab.keyboard.down("Enter")
    page.tab.keyboard.up("Enter")
    wait_until(lambda: len(shown(page)) == 2, "the next group")
    page.tab.get_by_role("button", name="None is a copy").focus()
    press(page, "Enter")
    page.acknowledged()
    assert [row[0] for row in verdicts(workspace)] == [2, 3]
    assert rulings(workspace) == [("not-duplicate", 4, 5)]


@pytest.mark.slow
def test_what_is_pending_is_sent_from_another_page_after_the_server_was_killed(browser, workspace):
    with serving(workspace.home) as (server, port):
        page = Page(browser, port, "duplicates").open()
        press(page)
        server.kill()
        server.wait()
        page.tab.keyboard.press("Enter")
        wait_until(lambda: "1 decision pending" in page.text(".pending"), "what is not recorded shows")
    with serving(workspace.home, port=port):
        page.tab.goto(f"http://127.0.0.1:{port}/grid")
        wait_until(lambda: len(verdicts(workspace)) == 2, "the decisions are recorded", seconds=40)
        assert [row[0] for row in verdicts(workspace)] == [2, 3]
        page.tab.close()


def test_a_proposed_pair_and_clips_that_share_something(labeler: Labeler, workspace: Workspace):
    page = labeler.open("duplicates")
    page.tab.get_by_role("combobox").click()
    page.tab.get_by_text("Clips that share").click()
    wait_until(lambda: len(shown(page)) == 2, "two clips")
    turned = page.tab.locator("figure").nth(1)
    assert turned.locator(".badge").all_inner_texts()[:3] == [
        "shares something with the first", "mirrored", "turned 90 degrees"
    ]  # fmt: skip
    assert turned.locator("video").evaluate("video => video.style.transform") == ""  # as it is
    page.tab.get_by_role("combobox").click()
    page.tab.get_by_text("Proposed pairs").click()
    wait_until(lambda: "part of the first" in page.text(".copies"), "a pair")
    press(page, "Enter")
    page.acknowledged()
    assert (verdicts(workspace), rulings(workspace)) == ([(6, "duplicate", "duplicates")], [("duplicate", 1, 6)])


@pytest.mark.slow
def test_after_the_first_of_two_is_removed_the_next_group_is_as_it_was(labeler: Labeler, workspace: Workspace):
    page, errors = labeler.open("duplicates"), []
    page.tab.on("pageerror", lambda error: errors.append(error))
    first = shown(page)
    press(page, "ArrowRight")
    wait_until(lambda: len(shown(page)) == 2, "the group of two")
    press(page, "1", "d")
    page.acknowledged()
    assert [row[0] for row in verdicts(workspace)] == [4]
    wait_until(lambda: shown(page) == [], "the end")
    press(page, "ArrowLeft", "ArrowLeft")
    assert (shown(page), errors) == (first, [])
