"""The review page in a real browser: keys, playing video, bursts of keys, kill -9, and nothing leaves this machine."""

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
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.workspace import Workspace
from tests.conftest import ROOT
from tests.test_labeler import fill_workspace, judged

SWITCHES = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
LOCAL = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")
NOTE_KEYS = """() => {
  const video = () => [...document.querySelectorAll("*")].map(e => e.shadowRoot?.querySelector("video")).find(Boolean);
  window.seen = [];
  document.addEventListener("keydown", () => window.seen.push(video().src.split("/").pop()), true);
}"""


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=list(SWITCHES))
        yield launched
        launched.close()


@contextlib.contextmanager
def serving(home: Path) -> Iterator[tuple[subprocess.Popen, int]]:
    """`streamlit run labeler_ui` from the clone as a person would: the server and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name != "PLUSMV_DB"}
    command = [sys.executable, "-m", "streamlit", "run", "labeler_ui", "--server.port", str(port)]
    environment |= {"PLUSMV_HOME": str(home), "PLUSMV_ANNOTATOR": "ann"}
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


class Page:
    """The page in a tab, and the addresses it asked for."""

    def __init__(self, browser, port: int):
        self.tab = browser.new_page(viewport={"width": 1280, "height": 720})
        self.asked: list[str] = []
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.on("websocket", lambda channel: self.asked.append(channel.url))
        self.tab.goto(f"http://127.0.0.1:{port}/")
        self.video = self.tab.locator("video")
        self.video.wait_for()

    def sha256(self) -> str:
        return self.video.evaluate("video => video.src.split('/').pop()")

    def press(self, key: str) -> None:
        """Press a key as one who looked at the clip, and wait for what comes next."""
        before = self.sha256()
        time.sleep(0.45)
        self.tab.keyboard.press(key)
        wait_until(lambda: self.sha256() != before, f"the clip changes after {key}")


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return fill_workspace(tmp_path / "home", clips=8, seconds=1.0)


def test_three_clips_by_key_and_one_undone(browser, workspace):
    with serving(workspace.home) as (_, port):
        page = Page(browser, port)
        start = page.video.evaluate("video => video.currentTime")
        playing = "(video, start) => video.readyState >= 2 && !video.paused && video.currentTime > start"
        wait_until(lambda: page.video.evaluate(playing, start), "the clip plays")
        first = page.sha256()
        for key, verdict in {"k": "keep", "m": "mistagged", "u": "unusable"}.items():
            page.press(key)
            wait_until(lambda verdict=verdict: judged(workspace)[-1:] and judged(workspace)[-1][1] == verdict, verdict)
        page.press("z")
        assert judged(workspace) == [(1, "keep"), (2, "mistagged"), (3, "unusable"), (3, "undo")]
        wait_until(lambda: page.video.evaluate(playing, 0.0), "the clip that came back plays")
        page.press("z")
        page.press("z")
        assert page.sha256() == first
        assert [address for address in page.asked if not address.startswith(LOCAL)] == []
        page.tab.close()


def test_a_burst_of_keys_decides_no_clip_unseen(browser, workspace):
    with serving(workspace.home) as (_, port):
        page = Page(browser, port)
        page.tab.evaluate(NOTE_KEYS)
        time.sleep(0.5)
        for _ in range(2):
            for _ in range(8):
                page.tab.keyboard.press("k")
                time.sleep(0.05)
            time.sleep(0.8)
        on_screen = list(dict.fromkeys(page.tab.evaluate("window.seen")))  # as the keys went down
        page.tab.close()
    with contextlib.closing(sqlite3.connect(workspace.catalog)) as catalog:
        decided = catalog.execute("SELECT sha256 FROM decisions JOIN clips ON clips.id = clip_id ORDER BY decisions.id")
        decided = [sha256 for (sha256,) in decided]
    assert decided
    assert decided == on_screen[: len(decided)]


def test_every_acknowledged_decision_outlives_kill_9(browser, workspace):
    with serving(workspace.home) as (server, port):
        page = Page(browser, port)
        for _ in range(2):
            page.press("k")
        page.tab.keyboard.press("k")
        server.send_signal(signal.SIGKILL)
        server.wait()
        page.tab.close()
    assert judged(workspace)[:2] == [(1, "keep"), (2, "keep")]


def test_clips_are_sent_by_content_address_only_and_only_here(workspace):
    media = next(path for path in (workspace.home / "media").rglob("*.mp4"))
    whole = media.read_bytes()
    with serving(workspace.home) as (_, port):
        part = get(port, f"/clips/{media.stem}", Range="bytes=10-29")
        assert (part.status, part.read()) == (206, whole[10:30])
        assert get(port, f"/clips/{media.stem}").read() == whole
        for unknown in ("0" * 64, media.stem.upper(), media.stem[:-1], f"{media.stem}.mp4"):
            assert get(port, f"/clips/{unknown}").status == 404
        for climbing in ("..%2Fcatalog.db", "%2e%2e/catalog.db", "../../catalog.db", "%00"):
            assert get(port, f"/clips/{climbing}").read(6) != b"SQLite"
        table = Path("/proc/net/tcp")
        if table.exists():
            listening = [line.split()[1] for line in table.read_text().splitlines() if f":{port:04X} " in line]
            assert {address.partition(":")[0] for address in listening} == {"0100007F"}
            assert f":{port:04X} " not in Path("/proc/net/tcp6").read_text()


def get(port: int, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=headers)
    return connection.getresponse()
