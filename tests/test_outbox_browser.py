"""Decisions that the catalog has not acknowledged: reload, kill -9, a locked catalog, and two people at once."""

import signal
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
    locked,
    running_labeler,
    serving,
    wait_until,
)
from tests.test_labeler import fill_workspace, judged


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Workspace:
    """Forty clips of GolfSwing."""
    return fill_workspace(tmp_path_factory.mktemp("template"), clips=40, seconds=1.0)


@pytest.mark.slow
def test_acknowledged_decisions_outlive_kill_9_and_the_others_are_sent_again(browser, workspace):
    with serving(workspace.home) as (server, port):
        page = Page(browser, port).open()
        for _ in range(5):
            page.press("k")
        page.acknowledged()
        server.send_signal(signal.SIGKILL)
        server.wait()
        assert judged(workspace) == [(clip, "keep") for clip in range(1, 6)]
        for _ in range(3):
            page.press("m")
        wait_until(lambda: "3 decisions pending" in page.text(".pending"), "what is not recorded shows")
        assert "does not answer" in page.text(".pending")
    with serving(workspace.home, port=port):
        page.acknowledged()
        assert judged(workspace)[5:] == [(6, "mistagged"), (7, "mistagged"), (8, "mistagged")]
        page.tab.close()


def test_pending_decisions_outlive_a_reload(labeler: Labeler, workspace: Workspace):
    page = labeler.open()
    labeler.server.send_signal(signal.SIGSTOP)
    page.press("k")
    page.press("m")
    labeler.server.send_signal(signal.SIGCONT)
    page.tab.reload()
    page.ready()
    wait_until(lambda: len(judged(workspace)) == 2, "the decisions are recorded")
    assert judged(workspace) == [(1, "keep"), (2, "mistagged")]


@pytest.mark.slow
def test_after_a_reload_what_is_pending_goes_first_and_is_not_shown_again(labeler: Labeler, workspace: Workspace):
    page = labeler.open()
    with locked(workspace):
        for _ in range(3):
            page.press("k")
        page.tab.reload()
        wait_until(lambda: "3 decisions pending" in page.text(".pending"), "what waits is shown")
        page.tab.keyboard.press("m")
    page.ready()
    page.press("m")
    page.press("z")
    page.press("z")  # the newest of before the reload
    page.acknowledged()
    assert page.text(".toast") == ""
    said = [(1, "keep"), (2, "keep"), (3, "keep"), (4, "mistagged"), (4, "undo"), (3, "undo")]
    assert judged(workspace) == said


@pytest.mark.slow
def test_one_entry_that_cannot_be_recorded_holds_nothing_up(labeler: Labeler, workspace: Workspace):
    page = labeler.open()
    with locked(workspace):
        for _ in range(3):
            page.press("k")
        page.tab.evaluate("""() => {
          const [key] = Object.keys(localStorage).filter((key) => /\\d{17}$/.test(key)).sort().slice(1);
          localStorage.setItem(key, JSON.stringify({ ...JSON.parse(localStorage[key]), reason: "x".repeat(2e6) }));
        }""")
        page.tab.reload()
    page.root.wait_for()
    page.acknowledged()
    assert judged(workspace) == [(1, "keep"), (3, "keep")]


@pytest.mark.slow
def test_what_is_pending_waits_for_its_own_annotator(browser, workspace):
    def pending(page: Page) -> int:
        return page.tab.evaluate("Object.keys(localStorage).filter((key) => /\\d{17}$/.test(key)).length")

    context = browser.new_context()  # one browser's storage for all its tabs
    with serving(workspace.home, "ann lee") as (server, port):
        page = Page(context, port).open()
        server.kill()
        page.press("m")
        page.tab.close()
    with serving(workspace.home, "ann", port=port):
        page = Page(context, port).open()
        page.press("k")
        page.acknowledged()
        assert (pending(page), decided(workspace, "verdict, annotator")) == (1, [("keep", "ann")])
        page.tab.close()
    with serving(workspace.home, "ann lee", port=port):
        page = Page(context, port).open()
        wait_until(lambda: len(judged(workspace)) == 2, "the other annotator's decision is recorded")
        page.acknowledged()
        assert decided(workspace, "verdict, annotator")[1:] == [("mistagged", "ann lee")]
        assert pending(page) == 0
    context.close()


@pytest.mark.slow
def test_the_progress_page_sends_what_is_pending(browser, workspace):
    context = browser.new_context()
    with serving(workspace.home) as (server, port):
        page = Page(context, port).open()
        server.kill()
        page.press("k")
        page.tab.close()
    with serving(workspace.home, port=port):
        context.new_page().goto(f"http://127.0.0.1:{port}/progress")
        wait_until(lambda: judged(workspace) == [(1, "keep")], "the decision is recorded")
    context.close()


@pytest.mark.slow
def test_a_locked_catalog_is_waited_for(labeler: Labeler, workspace: Workspace):
    page = labeler.open()
    with locked(workspace):
        for _ in range(4):
            page.press("k")
        wait_until(lambda: "4 decisions pending" in page.text(".pending"), "what waits is shown")
        time.sleep(1)
    page.acknowledged()
    assert judged(workspace) == [(clip, "keep") for clip in range(1, 5)]
    away = workspace.catalog.rename(workspace.home / "away.db")
    page.press("k")
    wait_until(lambda: "there is no catalog" in page.text(".pending"), "the page says what is wrong")
    away.rename(workspace.catalog)
    page.acknowledged()
    assert judged(workspace)[4:] == [(5, "keep")]


@pytest.mark.slow
def test_two_people_never_decide_the_same_clip(browser, workspace):
    with serving(workspace.home, "ann") as (_, port), serving(workspace.home, "bob") as (_, other):
        ann, bob = Page(browser, port).open(), Page(browser, other).open()
        for _ in range(20):
            ann.tab.keyboard.press("k")
            bob.tab.keyboard.press("m")
        wait_until(lambda: len(judged(workspace)) >= 40 or not (ann.shown() and bob.shown()), "all is decided")
        for page in (ann, bob):
            page.acknowledged()
            page.tab.close()
    clips = [clip for clip, _ in judged(workspace)]
    assert len(clips) == len(set(clips)) >= 20
    assert {annotator for (annotator,) in decided(workspace, "annotator")} <= {"ann", "bob"}
