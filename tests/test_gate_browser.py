"""The labeler against other pages in a real browser: another port of this machine, another name, a name turned to us.

The same attack from the labeler's own page succeeds: it is the gate that refuses it elsewhere.
"""

import contextlib
import http.server
import re
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from plusmv.core.workspace import Workspace
from plusmv.labeler_ui.main_page import PAGES
from tests.browser import launched, serving, wait_until
from tests.test_labeler import fill_workspace, judged

pytestmark = pytest.mark.slow
EVIL = "evil.example"  # leads to this machine, as a stranger's name may
ATTACK = """async ({base, sha, id}) => {
  const read = async (asked) => {
    try { const answer = await asked; return [answer.status, await answer.text()]; } catch { return null; }
  };
  const entry = {id, clip: 1, action: 1, verdict: "keep", how: "single", seconds: 1};
  const send = (type, mode) => fetch(`${base}/labeler/decisions`, {method: "POST", mode, credentials: "include",
    headers: {"Content-Type": type}, body: JSON.stringify({entries: [entry]})});
  const play = (url) => new Promise((done) => {
    const video = document.createElement("video");
    video.onloadeddata = () => done(true);
    video.onerror = () => done(false);
    video.src = url;
  });
  const connect = (url) => new Promise((done) => {
    const socket = new WebSocket(url, "streamlit");
    socket.onopen = () => { socket.close(); done(true); };
    socket.onerror = () => done(false);
  });
  const frame = document.createElement("iframe");
  frame.src = `${base}/grid`;
  document.body.append(frame);
  await new Promise((done) => { frame.onload = done; setTimeout(done, 3000); });
  return {
    decided: [await read(send("text/plain", "no-cors")), await read(send("application/json", "cors"))],
    read: await read(fetch(`${base}/clips/${sha}`, {credentials: "include"})),
    entered: await read(fetch(`${base}/labeler/sign-in`, {credentials: "include"})),
    played: await play(`${base}/clips/${sha}`),
    connected: await connect(`${base.replace("http", "ws")}/_stcore/stream`),
  };
}"""


@pytest.fixture(scope="module", name="browser")
def browser_that_takes_the_name_for_us() -> Iterator[Any]:
    own_defence = "LocalNetworkAccessChecks"  # older browsers have none
    with launched(f"--host-resolver-rules=MAP {EVIL} 127.0.0.1", f"--disable-features={own_defence}") as browser:
        yield browser


@contextlib.contextmanager
def another_server() -> Iterator[int]:
    """A server on this machine whose pages are a stranger's: its port."""

    class Blank(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>a stranger's page</title>")

        def log_message(self, *_arguments: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Blank) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module", name="workspace")
def filled(tmp_path_factory) -> Workspace:
    return fill_workspace(tmp_path_factory.mktemp("gate") / "home", clips=3, seconds=1.0)


@pytest.fixture(scope="module", name="labeler")
def served(workspace, browser, tmp_path_factory) -> Iterator[tuple[str, Any]]:
    """The labeler's address, and a browser that came in by the link that was printed."""
    said = tmp_path_factory.mktemp("said") / "output"
    with serving(workspace.home, said=said) as (_, port):
        wait_until(lambda: "token=" in said.read_text(), "the link is printed")
        (link,) = re.findall(r"http\S+token=\S+", said.read_text())
        context = browser.new_context()
        tab = context.new_page()
        tab.goto(link)
        tab.wait_for_url(f"http://127.0.0.1:{port}/")
        tab.close()
        yield f"http://127.0.0.1:{port}", context
        context.close()


def attacked(tab: Any, base: str, workspace: Workspace) -> dict[str, Any]:
    sha256 = next(path.stem for path in (workspace.home / "media").rglob("*.mp4"))
    found = tab.evaluate(ATTACK, {"base": base, "sha": sha256, "id": str(uuid.uuid4())})
    return found | {"framed": [frame.url for frame in tab.frames[1:] if frame.url.startswith(base)]}


def assert_nothing_was_had(found: dict[str, Any], workspace: Workspace) -> None:
    assert judged(workspace) == []
    assert (found["played"], found["connected"], found["framed"]) == (False, False, [])
    for answer in (found["read"], found["entered"], *found["decided"]):
        assert answer is None or answer[0] in (0, 403, 421), answer  # 0: an answer that the page may not read


@pytest.mark.parametrize("host", [EVIL, "127.0.0.1"])
def test_a_page_of_another_origin_gets_nothing(labeler, workspace, host):
    base, context = labeler
    with another_server() as port:
        tab = context.new_page()
        tab.goto(f"http://{host}:{port}/")
        assert_nothing_was_had(attacked(tab, base, workspace), workspace)
        tab.close()


def test_a_name_that_was_turned_to_this_machine_gets_nothing(labeler, workspace):
    base, context = labeler
    there = base.replace("127.0.0.1", EVIL)  # our own server by the stranger's name, so of one origin with the page
    tab = context.new_page()
    tab.route(f"{there}/attack", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    tab.goto(f"{there}/attack")
    found = attacked(tab, there, workspace)
    assert found["read"][0] == 421  # it was this server that answered
    assert_nothing_was_had(found, workspace)
    assert_nothing_was_had(attacked(tab, base, workspace), workspace)
    tab.close()


def test_every_page_works_under_the_policy(labeler):
    base, context = labeler
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    for _, _, path in PAGES:
        tab.goto(f"{base}/{path}")
        tab.locator(".plusmv").first.wait_for(state="attached", timeout=40_000)
        if path == "progress":
            tab.locator("[data-testid=stVegaLiteChart] svg, [data-testid=stVegaLiteChart] canvas").first.wait_for()
    assert [line for line in said if "Content Security Policy" in line or "Refused to" in line] == []
    tab.close()


def test_the_labelers_own_page_may_do_all_of_it(labeler, workspace):
    base, context = labeler
    tab = context.new_page()
    tab.goto(f"{base}/labeler/sign-in")
    found = attacked(tab, base, workspace)
    assert (found["played"], found["connected"], found["read"][0], found["entered"][0]) == (True, True, 200, 200)
    assert [answer[0] for answer in found["decided"]] == [200, 200]
    assert judged(workspace) == [(1, "keep")]
    assert found["framed"] == []  # not even this one
    tab.get_by_role("button", name="Sign out").click()
    tab.get_by_text("You are signed out").wait_for()
    assert tab.goto(f"{base}/grid").status == 403
    tab.close()
