"""Review and grid in a real browser: keys and clicks, bursts of them, reload, kill -9, a locked catalog, two people."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plusmv.core.workspace import Workspace
from plusmv.curate.duplicates.rulings import rulings
from plusmv.curate.review import entries, group_actions
from plusmv.curate.review.leases import ClipAction
from plusmv.db.models import CrawlRun, Post, Sighting
from plusmv.db.session import open_catalog
from plusmv.labeler_ui import access
from tests.conftest import ROOT
from tests.test_labeler import fill_workspace, judged

SWITCHES = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
LOCAL = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")
NOTE_KEYS = """() => {
  window.seen = [];
  const root = [...document.querySelectorAll("*")].map((e) => e.shadowRoot?.querySelector(".plusmv")).find(Boolean);
  window.addEventListener("keydown", () => window.seen.push(root.dataset.shown), true);
}"""


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = chromium()
    if program is None:
        pytest.skip("no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=list(SWITCHES))
        yield launched
        launched.close()


def chromium() -> str | None:
    """The browser of this machine."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def serving(
    home: Path, annotator: str = "ann", port: int = 0, overlap: float = 0.0, db: str | None = None
) -> Iterator[tuple[subprocess.Popen, int]]:
    """`streamlit run labeler_ui` from the clone as a person would: the server and its port."""
    with socket.create_server(("127.0.0.1", port)) as free:
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLUSMV_D")}
    command = [sys.executable, "-m", "streamlit", "run", "labeler_ui", "--server.port", str(port)]
    environment |= {"PLUSMV_HOME": str(home), "PLUSMV_ANNOTATOR": annotator, "PLUSMV_OVERLAP": str(overlap)}
    environment |= {"PLUSMV_DB": db} if db else {}
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: server.poll() is None and answers(port), "the server answers", seconds=60)
        yield server, port
    finally:
        server.kill()
        server.wait()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).status == 200
    return False


def wait_until(holds: Callable[[], object], what: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds} s in vain: {what}"
        time.sleep(0.02)


@contextlib.contextmanager
def locked(workspace: Workspace) -> Iterator[None]:
    """Another process is writing into the catalog."""
    with contextlib.closing(sqlite3.connect(workspace.catalog, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        yield


class Page:
    """A page of the labeler in a tab, and the addresses it asked for."""

    def __init__(self, browser, port: int, path: str = ""):
        self.tab = browser.new_page()
        self.tab.set_viewport_size({"width": 1280, "height": 720})
        self.asked: list[str] = []
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.on("websocket", lambda channel: self.asked.append(channel.url))
        self.tab.goto(f"http://127.0.0.1:{port}/{path}")
        self.root = self.tab.locator(".plusmv")
        self.ready()

    def ready(self) -> None:
        """Wait for clips that play."""
        playing = "root => [...root.querySelectorAll('.on, figure video')].some(v => v.readyState >= 2 && !v.paused)"
        self.root.wait_for()
        wait_until(lambda: self.root.evaluate(playing), "clips play", seconds=40)

    def shown(self) -> str:
        """The content on screen."""
        return self.root.get_attribute("data-shown")

    def page(self) -> list[str]:
        """The contents of the grid."""
        return (self.root.get_attribute("data-page") or "").split()

    def text(self, part: str) -> str:
        return self.tab.locator(part).inner_text()

    def press(self, key: str) -> None:
        """Press a key, and wait for what comes next."""
        before = self.shown()
        self.tab.keyboard.press(key)
        wait_until(lambda: self.shown() != before, f"the clip changes after {key}")

    def acknowledged(self) -> None:
        wait_until(lambda: "pending" not in self.text(".pending"), "the catalog has all decisions")


def decided(workspace: Workspace, columns: str = "sha256, verdict") -> list[tuple]:
    """Rows of the decisions, with their clips' contents, as another process reads them."""
    with contextlib.closing(sqlite3.connect(workspace.catalog)) as catalog:
        found = f"SELECT {columns} FROM decisions JOIN clips ON clips.id = clip_id ORDER BY decisions.id"
        return catalog.execute(found).fetchall()


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return fill_workspace(tmp_path / "home", clips=40, seconds=1.0)


def test_three_clips_by_key_and_all_undone(browser, workspace):
    with serving(workspace.home) as (_, port):
        page = Page(browser, port)
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
        page.tab.close()


def test_a_burst_of_keys_lands_on_the_clips_that_were_on_screen(browser, workspace):
    with serving(workspace.home) as (_, port):
        page = Page(browser, port)
        page.tab.evaluate(NOTE_KEYS)
        for key in "kmdukmdukmkmkmdukmdukmdukmdukm":
            page.tab.keyboard.press(key)
            time.sleep(0.05)
        on_screen = page.tab.evaluate("window.seen")
        page.acknowledged()
        page.tab.close()
    assert [sha256 for sha256, _ in decided(workspace)] == on_screen
    assert len(set(on_screen)) == 30


def test_a_held_key_and_a_double_click_count_once(browser, workspace):
    with serving(workspace.home) as (_, port):
        page = Page(browser, port)
        page.tab.keyboard.down("k")
        for _ in range(5):
            page.tab.keyboard.down("k")  # the browser repeats it
        page.tab.keyboard.up("k")
        page.tab.get_by_role("button", name="Mis-tagged").dblclick()
        page.acknowledged()
        assert judged(workspace) == [(1, "keep"), (2, "mistagged")]
        page.tab.close()


def test_the_right_action_is_named_by_typing_and_undone_with_the_rest(browser, workspace):
    with serving(workspace.home) as (_, port):
        page = Page(browser, port)
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
        page.tab.close()


def tag_again(workspace: Workspace, clip: int) -> None:
    """The clip was found by a tag of Dive too, and comes first, as that action's."""
    with open_catalog(workspace).writing() as session:
        run, post = CrawlRun(source="folder", tag="dive", action_id=2), session.get_one(Post, clip)
        session.add(run)
        session.flush()
        session.add(Sighting(post_id=post.id, action_id=2, tag="dive", run_id=run.id))


def test_a_clip_is_not_asked_about_under_the_action_that_it_was_said_to_show(browser, workspace):
    tag_again(workspace, 2)
    with serving(workspace.home) as (_, port):
        page = Page(browser, port)
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
        page.tab.close()


def test_undo_goes_on_from_another_pages_act_to_what_was_said_of_the_same_clip(browser, workspace):
    request_id = str(uuid.uuid4())
    with open_catalog(workspace).writing() as session:
        for clip_id in (1, 2):
            entries.record(session, entries.Entry(str(uuid.uuid4()), ClipAction(clip_id, 1), "keep"), "ann")
        review = group_actions.DuplicateReview(request_id, keep=1, remove=(2,), duplicates=(1, 2))
        group_actions.record(session, review, "ann")
    with serving(workspace.home) as (_, port):
        page = Page(browser, port)
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
        page.tab.close()


def test_what_is_of_no_use_is_not_asked_about_under_its_other_action(browser, workspace):
    tag_again(workspace, 2)
    with serving(workspace.home) as (_, port):
        page = Page(browser, port)
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
        page.tab.close()


def test_where_one_was_after_a_reload_and_what_was_put_off_comes_last(browser, workspace):
    with serving(workspace.home) as (_, port):
        page = Page(browser, port)
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
        page.tab.close()


def test_acknowledged_decisions_outlive_kill_9_and_the_others_are_sent_again(browser, workspace):
    with serving(workspace.home) as (server, port):
        page = Page(browser, port)
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


def test_pending_decisions_outlive_a_reload(browser, workspace):
    with serving(workspace.home) as (server, port):
        page = Page(browser, port)
        server.send_signal(signal.SIGSTOP)
        page.press("k")
        page.press("m")
        server.send_signal(signal.SIGCONT)
        page.tab.reload()
        page.ready()
        wait_until(lambda: len(judged(workspace)) == 2, "the decisions are recorded")
        assert judged(workspace) == [(1, "keep"), (2, "mistagged")]
        page.tab.close()


def test_after_a_reload_what_is_pending_goes_first_and_is_not_shown_again(browser, workspace):
    with serving(workspace.home) as (_, port):
        page = Page(browser, port)
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
        page.tab.close()


def test_one_entry_that_cannot_be_recorded_holds_nothing_up(browser, workspace):
    with serving(workspace.home) as (_, port):
        page = Page(browser, port)
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
        page.tab.close()


def test_what_is_pending_waits_for_its_own_annotator(browser, workspace):
    def pending(page: Page) -> int:
        return page.tab.evaluate("Object.keys(localStorage).filter((key) => /\\d{17}$/.test(key)).length")

    context = browser.new_context()  # one browser's storage for all its tabs
    with serving(workspace.home, "ann lee") as (server, port):
        page = Page(context, port)
        server.kill()
        page.press("m")
        page.tab.close()
    with serving(workspace.home, "ann", port=port):
        page = Page(context, port)
        page.press("k")
        page.acknowledged()
        assert (pending(page), decided(workspace, "verdict, annotator")) == (1, [("keep", "ann")])
        page.tab.close()
    with serving(workspace.home, "ann lee", port=port):
        page = Page(context, port)
        wait_until(lambda: len(judged(workspace)) == 2, "the other annotator's decision is recorded")
        page.acknowledged()
        assert decided(workspace, "verdict, annotator")[1:] == [("mistagged", "ann lee")]
        assert pending(page) == 0
    context.close()


def test_the_progress_page_sends_what_is_pending(browser, workspace):
    context = browser.new_context()
    with serving(workspace.home) as (server, port):
        page = Page(context, port)
        server.kill()
        page.press("k")
        page.tab.close()
    with serving(workspace.home, port=port):
        context.new_page().goto(f"http://127.0.0.1:{port}/progress")
        wait_until(lambda: judged(workspace) == [(1, "keep")], "the decision is recorded")
    context.close()


def test_a_locked_catalog_is_waited_for(browser, workspace):
    with serving(workspace.home) as (_, port):
        page = Page(browser, port)
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
        page.tab.close()


def test_two_people_never_decide_the_same_clip(browser, workspace):
    with serving(workspace.home, "ann") as (_, port), serving(workspace.home, "bob") as (_, other):
        ann, bob = Page(browser, port), Page(browser, other)
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


def test_a_clip_without_media_says_so_and_can_be_set_aside(browser, workspace):
    media = sorted((workspace.home / "media").rglob("*.mp4"))
    for path in media:
        if path.stem in {sha256 for (sha256,) in first_clips(workspace, 1)}:
            path.unlink()
    with serving(workspace.home) as (_, port):
        page = Page.__new__(Page)
        page.tab = browser.new_page()
        page.tab.goto(f"http://127.0.0.1:{port}/")
        page.root = page.tab.locator(".plusmv")
        wait_until(lambda: page.root.count() and "crawl it again" in page.root.inner_text(), "the reason shows", 40)
        page.press("u")
        page.ready()
        page.acknowledged()
        assert judged(workspace) == [(1, "unusable")]
        page.tab.close()


def test_what_the_browser_cannot_decode_shows_a_picture_a_reason_and_then_a_copy(browser, workspace):
    with serving(workspace.home) as (_, port):
        page = Page.__new__(Page)
        page.tab = browser.new_page()
        page.tab.route("**/clips/*", lambda route: route.fulfill(body=b"no film", content_type="video/mp4"))
        page.tab.goto(f"http://127.0.0.1:{port}/")
        page.root = page.tab.locator(".plusmv")
        page.ready()
        assert "a copy is being made" in page.text(".why")
        assert f"stills/{page.shown()}" in page.tab.locator("video.on").get_attribute("poster")
        page.press("k")
        page.acknowledged()
        page.tab.close()


def test_back_from_the_grid_keys_land_on_the_clip_on_screen(browser, workspace):
    with serving(workspace.home) as (_, port):
        page = Page(browser, port)
        page.press("k")
        at = page.shown()
        page.tab.get_by_role("link", name="Grid").click()
        page.tab.locator("figure").first.wait_for()
        page.tab.go_back()
        wait_until(lambda: page.root.get_attribute("data-shown") == at, "the clip is back")
        page.press("m")
        page.acknowledged()
        assert judged(workspace) == [(1, "keep"), (2, "mistagged")]
        page.tab.close()


def first_clips(workspace: Workspace, count: int) -> list[tuple[str]]:
    with contextlib.closing(sqlite3.connect(workspace.catalog)) as catalog:
        return catalog.execute("SELECT sha256 FROM clips ORDER BY id LIMIT ?", (count,)).fetchall()


def test_grid_only_the_wrong_ones_are_touched(browser, workspace):
    with serving(workspace.home) as (_, port):
        page = Page(browser, port, "grid")
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
        page.tab.close()


def test_a_grid_that_is_done_says_so_and_undo_brings_its_last_page_back(browser, workspace):
    with serving(workspace.home) as (_, port):
        page, errors = Page(browser, port, "grid"), []
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
        page.tab.close()


def test_enter_belongs_to_a_link_that_was_reached_by_tab(browser, workspace):
    with serving(workspace.home) as (_, port):
        page = Page(browser, port, "grid")
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
        page.tab.close()


def test_marks_of_the_page_after_it_outlive_an_undo(browser, workspace):
    with serving(workspace.home) as (_, port):
        page = Page(browser, port, "grid")
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
        page.tab.close()


def test_files_are_sent_by_content_address_to_the_page_alone_and_only_here(workspace):
    media = next(path for path in (workspace.home / "media").rglob("*.mp4"))
    whole = media.read_bytes()
    cookie = f"{access.cookie_name(workspace)}={access.pass_for(workspace, 'ann')}"
    with serving(workspace.home) as (_, port):
        part = get(port, f"/clips/{media.stem}", Range="bytes=10-29", Cookie=cookie)
        assert (part.status, part.read()) == (206, whole[10:30])
        assert get(port, f"/clips/{media.stem}", Cookie=cookie).read() == whole
        assert get(port, f"/stills/{media.stem}", Cookie=cookie).read(3) == b"\xff\xd8\xff"
        assert get(port, f"/clips/{media.stem}").status == 403
        assert get(port, f"/clips/{media.stem}", Cookie=cookie[:-1]).status == 403
        for unknown in ("0" * 64, media.stem.upper(), media.stem[:-1], f"{media.stem}.mp4"):
            assert get(port, f"/clips/{unknown}", Cookie=cookie).status == 404
        for climbing in ("..%2Fcatalog.db", "%2e%2e/catalog.db", "../../catalog.db", "%00", "..%2F..%2Fetc%2Fpasswd"):
            for folder in ("clips", "previews", "stills", "references/x"):
                assert get(port, f"/{folder}/{climbing}", Cookie=cookie).read(6) not in (b"SQLite", b"root:x")
        for path in ("decisions", "work", "later"):
            assert (
                get(port, f"/labeler/{path}", "POST", Cookie=cookie).status == 403
            )  # the cookie alone decides nothing
        table = Path("/proc/net/tcp")
        if table.exists():
            listening = [line.split()[1] for line in table.read_text().splitlines() if f":{port:04X} " in line]
            assert {address.partition(":")[0] for address in listening} == {"0100007F"}
            assert f":{port:04X} " not in Path("/proc/net/tcp6").read_text()


def test_requests_that_are_none_get_a_reason(workspace):
    shown = {access.HEADER: access.pass_for(workspace, "ann")}
    with serving(workspace.home) as (_, port):
        for body in (b"", b"[]", b"{", b"{}", b'{"entries": 1}'):
            answer = get(port, "/labeler/decisions", "POST", body, **shown)
            assert (answer.status, b"error" in answer.read()) == (400, True)
        assert get(port, "/labeler/work", "POST", b"{}" + b" " * (2 << 20), **shown).status == 400
        odd_work = (
            b'{"place": {"page": 1}}', b'{"place": {"action_id": []}}', b'{"place": {"second_id": "x"}}',
            b'{"count": NaN}', b'{"count": 1e999}', b'{"action": %d}' % 2**70, b'{"search": "\\ud800"}',
        )  # fmt: skip
        for odd in odd_work:
            assert get(port, "/labeler/work", "POST", odd, **shown).status == 400, odd
        assert get(port, "/labeler/later", "POST", b'{"clip": 9999, "action": 1}', **shown).status == 409  # taken down
        for odd in (b'{"entries": [1]}', b'{"entries": [{"id": "x"}]}'):
            answer = get(port, "/labeler/decisions", "POST", odd, **shown)
            assert (answer.status, b"refused" in answer.read()) == (200, True)
    assert judged(workspace) == []


def get(port: int, path: str, method: str = "GET", body: bytes | None = None, **headers: str):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, headers)
    return connection.getresponse()
