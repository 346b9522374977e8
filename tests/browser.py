"""The labeler in a real browser: one Streamlit server and one Chromium a module, a workspace of its own for each test.

A module has a fixture `template`, a workspace that each test gets a copy of, and imports the fixtures at the end of
this file. PLUSMV_HOME of the module's server is a symbolic link that points at the running test's copy. Tabs are signed
in by a session that is put into the workspace; tests/test_gate_browser.py gets in as people do.
"""

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plusmv.core.workspace import Workspace
from plusmv.labeler_ui import access, sessions
from tests.conftest import ROOT

SWITCHES = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
SERVED: dict[int, tuple[Workspace, str]] = {}  # by port: the workspace, and who decides
LOCAL = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")


def chromium() -> str | None:
    """The browser of this machine."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def serving(
    home: Path,
    annotator: str = "ann",
    port: int = 0,
    overlap: float = 0.0,
    db: str | None = None,
    said: Path = Path(os.devnull),
) -> Iterator[tuple[subprocess.Popen, int]]:
    """`streamlit run labeler_ui` from the clone as a person would: the server and its port. said: what it prints."""
    port = port or free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLUSMV_D")}
    command = [sys.executable, "-m", "streamlit", "run", "labeler_ui", "--server.port", str(port)]
    environment |= {"PLUSMV_HOME": str(home), "PLUSMV_ANNOTATOR": annotator, "PLUSMV_OVERLAP": str(overlap)}
    environment |= {"PLUSMV_DB": db} if db else {}
    with said.open("w") as output:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.DEVNULL)
    SERVED[port] = Workspace(home), annotator
    try:
        wait_until(lambda: server.poll() is None and answers(port), "the server answers", seconds=60)
        yield server, port
    finally:
        server.kill()
        server.wait()


def signed_in(port: int) -> dict[str, str]:
    """The headers of a request from one of the pages that are served there, by the annotator of `serving`."""
    workspace, annotator = SERVED[port]
    host = f"127.0.0.1:{port}"
    cookie = f"{access.cookie_name(host)}={sessions.start(workspace, annotator, None)}"
    return {"Host": host, "Origin": f"http://{host}", "Cookie": cookie}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


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

    def __init__(self, browser: Any, port: int, path: str = ""):
        self.tab = browser.new_page()
        name, _, token = signed_in(port)["Cookie"].partition("=")
        cookie = {"name": name, "value": token, "url": f"http://127.0.0.1:{port}", "sameSite": "Strict"}
        self.tab.context.add_cookies([{**cookie, "httpOnly": True}])
        self.tab.set_viewport_size({"width": 1280, "height": 720})
        self.asked: list[str] = []
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.on("websocket", lambda channel: self.asked.append(channel.url))
        self.root = self.tab.locator(".plusmv")
        self.address = f"http://127.0.0.1:{port}/{path}"

    def open(self) -> "Page":
        """Go there, and wait for clips that play."""
        self.tab.goto(self.address)
        self.ready()
        return self

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


@dataclass(frozen=True)
class Labeler:
    """The module's server, and the browser's tabs."""

    server: subprocess.Popen
    port: int
    home: Path
    tabs: Any

    def page(self, path: str = "") -> Page:
        """A tab that has not gone there yet."""
        return Page(self.tabs, self.port, path)

    def open(self, path: str = "") -> Page:
        """A tab with clips that play."""
        return self.page(path).open()

    def serve(self, workspace: Workspace) -> None:
        """Serve this workspace from now on, to a browser that knows nothing."""
        link = self.home.with_suffix(".new")
        link.symlink_to(workspace.home)
        link.replace(self.home)
        blank = self.tabs.new_page()
        blank.goto(f"http://127.0.0.1:{self.port}/_stcore/health")
        blank.evaluate("localStorage.clear()")
        blank.close()


def copied(template: Workspace, home: Path) -> Workspace:
    """A copy of a workspace that nobody is writing to."""
    shutil.copytree(template.home, home, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    return Workspace(home)


@contextlib.contextmanager
def launched(*switches: str) -> Iterator[Any]:
    """Chromium with further switches; skips where it or playwright is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = chromium()
    if program is None:
        pytest.skip("no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*SWITCHES, *switches])
        yield browser
        browser.close()


@pytest.fixture(scope="module", name="browser")
def launched_browser() -> Iterator[Any]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module", name="module_labeler")
def running_labeler(browser: Any, template: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labeler]:
    home = tmp_path_factory.mktemp("served") / "home"
    home.symlink_to(template.home)
    tabs = browser.new_context()  # one, so that Streamlit's scripts are fetched once
    with serving(home) as (server, port):
        yield Labeler(server, port, home, tabs)
    tabs.close()


@pytest.fixture(name="workspace")
def copied_workspace(template: Workspace, tmp_path: Path) -> Workspace:
    return copied(template, tmp_path / "home")


@pytest.fixture(name="labeler")
def labeler_on_workspace(module_labeler: Labeler, workspace: Workspace) -> Iterator[Labeler]:
    module_labeler.serve(workspace)
    yield module_labeler
    for tab in module_labeler.tabs.pages:
        tab.close()
