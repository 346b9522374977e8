"""The contradictions page in a real browser: numbers choose, Enter records once, undo brings the clip back."""

import time

import pytest
from sqlalchemy import select

from plusmv.core.workspace import Workspace
from plusmv.db.models import Action, CrawlRun, Post, Sighting
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
from tests.test_labeler import fill_workspace

LOOK_S = 0.7  # before Enter counts on a clip that has just appeared


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Workspace:
    """Three clips of GolfSwing that another tag found for Dive."""
    made = fill_workspace(tmp_path_factory.mktemp("template"), clips=3, seconds=1.0)
    catalog = open_catalog(made)
    with catalog.writing() as session:
        dive = session.scalar(select(Action.id).where(Action.name == "Dive"))
        run = CrawlRun(source="folder", tag="dive", action_id=dive)
        session.add(run)
        session.flush()
        for post in session.scalars(select(Post)):
            session.add(Sighting(post_id=post.id, action_id=dive, tag="dive", run_id=run.id))
    catalog.close()
    return made


def verdicts(workspace: Workspace) -> list[tuple]:
    """(content, action's name, verdict) of every decision, sorted within a request."""
    rows = decided(workspace, "sha256, action_id, verdict")
    return sorted((sha256, {1: "GolfSwing", 2: "Dive", None: None}[action], said) for sha256, action, said in rows)


def test_which_actions_are_right_by_keys_alone(labeler: Labeler, workspace: Workspace):
    page = labeler.open("contradictions")
    first = page.shown()
    time.sleep(LOOK_S)
    page.tab.keyboard.press("Enter")  # nothing was said yet
    wait_until(lambda: "by number, or 0" in page.text(".toast"), "the page asks")
    assert page.shown() == first
    page.tab.keyboard.press("1")
    assert page.tab.locator(".choice.chosen").inner_text().splitlines()[1].endswith("Dive")
    for _ in range(4):
        page.tab.keyboard.down("Enter")  # held down: once
    page.tab.keyboard.up("Enter")
    wait_until(lambda: page.shown() != first, "the next clip")
    page.acknowledged()
    made = [(first, "Dive", "keep"), (first, "GolfSwing", "mistagged")]
    assert verdicts(workspace) == made
    second = page.shown()
    page.press("u")
    page.acknowledged()
    assert (second, None, "unusable") in verdicts(workspace)
    page.press("z")
    assert page.shown() == second
    page.press("s")
    third = page.shown()
    time.sleep(LOOK_S)
    page.tab.keyboard.press("a")
    page.press("Enter")
    page.acknowledged()
    assert {(third, "Dive", "keep"), (third, "GolfSwing", "keep")} < set(verdicts(workspace))
    assert page.shown() == second  # put off, now the last
    page.tab.reload()
    wait_until(lambda: page.root.count() and page.shown() == second, "the same clip after a reload", seconds=40)
    page.tab.keyboard.press("z")  # an answer of before the reload
    wait_until(lambda: (third, "Dive", "undo") in verdicts(workspace), "it is taken back")
