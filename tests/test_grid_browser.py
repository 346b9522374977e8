"""The grid in a real browser: marks, ranges, accepted pages and their undo."""

import contextlib
import sqlite3
import time

import pytest

from plusmv.core.workspace import Workspace
from tests.browser import (  # noqa: F401
    Labeler,
    Page,
    copied_workspace,
    decided,
    labeler_on_workspace,
    launched_browser,
    running_labeler,
    wait_until,
)
from tests.test_labeler import fill_workspace, judged


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Workspace:
    """Forty clips of GolfSwing."""
    return fill_workspace(tmp_path_factory.mktemp("template"), clips=40, seconds=1.0)


def test_grid_only_the_wrong_ones_are_touched(labeler: Labeler, workspace: Workspace):
    page = labeler.open("grid")
    wait_until(lambda: page.root.get_attribute("data-ready") == "true", "all 24 play", seconds=60)
    first = page.page()
    assert len(first) == 24
    page.tab.keyboard.press("3")
    page.tab.locator("figure").nth(4).click()
    page.tab.locator("figure").nth(7).click(modifiers=["Shift"])
    page.tab.locator("figure").nth(6).dblclick()  # once: unmarked
    page.tab.keyboard.press("u")
    page.tab.keyboard.type("12")
    page.tab.reload()  # in the middle of a page
    page.ready()
    wait_until(lambda: page.page() == first, "the same page is back")
    assert page.tab.locator("figure[data-mark=mistagged]").count() == 4
    time.sleep(0.8)
    page.tab.keyboard.press("Enter")
    page.tab.keyboard.press("Enter")  # too soon for a page that nobody has looked at
    wait_until(lambda: page.page() != first, "the next page shows")
    page.acknowledged()
    rows = {sha256: (verdict, how) for sha256, verdict, how in decided(workspace, "sha256, verdict, how")}
    wrong = {first[index] for index in (2, 4, 5, 7)}
    assert rows == {
        sha256: ("mistagged", "marked in grid")
        if sha256 in wrong
        else ("unusable", "marked in grid")
        if sha256 == first[11]
        else ("keep", "accepted in grid")
        for sha256 in first
    }
    page.tab.keyboard.press("z")
    wait_until(lambda: page.page() == first, "the page is back")
    page.acknowledged()
    assert [verdict for _, verdict in judged(workspace)][24:] == ["undo"] * 24
    assert page.tab.locator("figure[data-mark=mistagged]").count() == 4


@pytest.mark.slow
def test_a_preview_that_ends_before_its_clip_says_so(browser, labeler: Labeler, workspace: Workspace):
    with contextlib.closing(sqlite3.connect(workspace.catalog)) as catalog, catalog:
        catalog.execute("UPDATE clips SET duration = 75.2 WHERE id = 3")  # a preview holds 60 seconds
    page = Page(browser, labeler.port, "grid").open()  # whose browser has not cached the clips
    wait_until(lambda: page.root.get_attribute("data-ready") == "true", "all 24 play", seconds=60)
    notes = page.tab.locator("figure .note").all_inner_texts()
    assert [index for index, note in enumerate(notes) if "60" in note and "75" in note] == [2]
    assert sum(map(bool, notes)) == 1
    page.tab.close()


@pytest.mark.slow
def test_a_grid_that_is_done_says_so_and_undo_brings_its_last_page_back(labeler: Labeler, workspace: Workspace):
    page, errors = labeler.open("grid"), []
    page.tab.on("pageerror", lambda error: errors.append(error))
    for count in (24, 40):
        time.sleep(0.8)
        page.tab.keyboard.press("Enter")
        wait_until(lambda count=count: len(judged(workspace)) == count, "the page is accepted")
    wait_until(lambda: "Nothing is left" in page.text(".question"), "the grid says that it is done")
    page.tab.keyboard.press("Enter")
    page.tab.keyboard.press("z")
    wait_until(lambda: len(page.page()) == 16, "the last page is back")
    page.acknowledged()
    assert [verdict for _, verdict in judged(workspace)][40:] == ["undo"] * 16
    assert errors == []


@pytest.mark.slow
def test_enter_belongs_to_a_link_that_was_reached_by_tab(labeler: Labeler, workspace: Workspace):
    page = labeler.open("grid")
    time.sleep(0.8)
    while page.tab.evaluate("document.activeElement.innerText") != "Review":
        page.tab.keyboard.press("Tab")
    page.tab.keyboard.press("Enter")
    page.tab.get_by_role("button", name="Keep").wait_for()
    assert judged(workspace) == []
    page.tab.get_by_role("link", name="Grid").click()  # and keeps the focus of the click
    page.tab.locator("figure").first.wait_for()
    time.sleep(0.8)
    page.tab.keyboard.press("Enter")
    wait_until(lambda: len(judged(workspace)) == 24, "the page is accepted")


@pytest.mark.slow
def test_marks_of_the_page_after_it_outlive_an_undo(labeler: Labeler, workspace: Workspace):
    page = labeler.open("grid")
    first, wrong = page.page(), page.tab.locator("figure[data-mark=mistagged]")
    page.tab.keyboard.press("5")
    time.sleep(0.8)
    page.tab.keyboard.press("Enter")
    wait_until(lambda: page.page() != first, "the next page shows")
    page.tab.keyboard.press("i")
    assert wrong.count() == 16
    page.tab.keyboard.press("z")
    wait_until(lambda: page.page() == first and wrong.count() == 1, "the first page is back")
    page.acknowledged()
    page.tab.reload()
    page.ready()
    wait_until(lambda: page.page() == first and wrong.count() == 1, "also after a reload")
    time.sleep(0.8)
    page.tab.keyboard.press("Enter")
    wait_until(lambda: page.page() != first and wrong.count() == 16, "and so is the second")
