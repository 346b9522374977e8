"""Who gets into the labeler: over ASGI, with the gate and the real routes, without Streamlit."""

import asyncio
import html
import json
import os
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from plusmv.core.workspace import Workspace
from plusmv.curate.review import passwords
from plusmv.labeler_ui import access, gate, link, sessions, sign_in
from plusmv.labeler_ui.gate import Gate
from plusmv.labeler_ui.routes import ROUTES
from plusmv.labeler_ui.tries import A_MINUTE, FREE, LONGEST_WAIT_S, Tries
from tests.test_labeler import fill_workspace

PORT = 8931
HOST = f"127.0.0.1:{PORT}"
OURS = f"http://{HOST}"
NAVIGATION = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}


def page(request: Request) -> Response:
    """Stands for Streamlit's pages."""
    return PlainTextResponse(f"a page for {access.annotator_of(request)}")


def fails(_request: Request) -> Response:
    raise RuntimeError("a bug")


async def stream(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


PAGES = [
    Route("/", page),
    Route("/grid", page),
    Route("/fails", fails),
    Route("/_stcore/health", lambda _: Response("ok")),
]
APP = Starlette(
    routes=[*sign_in.SIGN_IN_ROUTES, *ROUTES, *PAGES, WebSocketRoute("/_stcore/stream", stream)],
    middleware=[Middleware(Gate)],
)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


def ask(path: str, method: str = "GET", body: bytes = b"", server: str = "127.0.0.1", **headers: Any) -> Answer:
    """What the labeler answers. headers: `Sec_Fetch_Site` for Sec-Fetch-Site; Host is ours unless it is given."""
    path, _, query = path.partition("?")
    sent = {"host": HOST} | {name.replace("_", "-").lower(): value for name, value in headers.items()}
    scope = {
        "type": "websocket" if method == "WS" else "http", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": query.encode(), "root_path": "", "scheme": "http", "http_version": "1.1",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items() if value is not None],
        "server": (server, PORT), "client": ("127.0.0.1", 5), "extensions": {"websocket.http.response": {}}, "subprotocols": [],
    }  # fmt: skip
    if method == "WS":
        del scope["method"]
    got: list[dict[str, Any]] = []
    coming = [{"type": "websocket.connect"} if method == "WS" else {"type": "http.request", "body": body}]

    async def receive() -> dict[str, Any]:
        return coming.pop(0) if coming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        got.append(message)

    try:
        asyncio.run(APP(scope, receive, send))
    except RuntimeError as error:
        assert str(error) == "a bug"
    if got[0]["type"] == "websocket.accept":
        return Answer(101, {}, "")
    answered = {name.decode(): value.decode("latin-1") for name, value in got[0]["headers"]}
    return Answer(
        got[0]["status"], answered, b"".join(part.get("body", b"") for part in got[1:]).decode("utf-8", "replace")
    )


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Workspace:
    return fill_workspace(tmp_path_factory.mktemp("gate") / "home", clips=1)


@pytest.fixture
def workspace(filled, tmp_path, monkeypatch) -> Workspace:
    for name in ("PLUSMV_DB", "PLUSMV_PASSWORDS", "PLUSMV_OVERLAP", "PLUSMV_ALLOW_HOST", "PLUSMV_OPEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PLUSMV_HOME", str(filled.home))
    monkeypatch.setenv("PLUSMV_ANNOTATOR", "ann")
    monkeypatch.setattr(sign_in, "TRIES", Tries())
    return filled


def cookie(workspace: Workspace, name: str = "ann", host: str = HOST) -> str:
    return f"{access.cookie_name(host)}={sessions.start(workspace, name, access.password_file())}"


def clip(workspace: Workspace) -> str:
    return next(path.stem for path in (workspace.home / "media").rglob("*.mp4"))


@pytest.mark.parametrize("host", [
    "evil.example", f"evil.example:{PORT}", "127.0.0.1:9999", "localhost:9999", "127.0.0.1",
    f"127.0.0.1.evil.example:{PORT}", f"localhost.:{PORT}", f"[::2]:{PORT}", f"10.0.0.9:{PORT}", f"x@127.0.0.1:{PORT}", "", None,
])  # fmt: skip
def test_a_host_that_is_not_ours_gets_nothing(workspace, host):
    shown = {"Host": host, "Cookie": cookie(workspace, host=host or "")}
    for path in ("/", "/grid", "/_stcore/health", f"/clips/{clip(workspace)}", "/labeler/sign-in"):
        assert ask(path, **shown).status == 421, path
    assert ask("/labeler/work", "POST", b"{}", **shown, Origin=f"http://{host}").status == 421
    assert ask("/_stcore/stream", "WS", **shown, Origin=f"http://{host}").status == 421


@pytest.mark.parametrize("host", [HOST, f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}"])
def test_this_machine_is_ours_by_all_its_names(workspace, host):
    assert ask("/grid", Host=host, Cookie=cookie(workspace, host=host)).text == "a page for ann"


def test_the_address_that_was_reached_and_allowed_names_are_ours(workspace, monkeypatch):
    lan, proxy = f"192.168.1.5:{PORT}", "labeler.example"
    assert ask("/_stcore/health", server="192.168.1.5", Host=lan).status == 200
    assert ask("/_stcore/health", server="::ffff:192.168.1.5", Host=lan).status == 200
    assert ask("/_stcore/health", server="evil.example", Host=f"evil.example:{PORT}").status == 421
    monkeypatch.setenv("PLUSMV_ALLOW_HOST", f"{proxy} other.example:9000")
    shown = {"Host": proxy, "Cookie": cookie(workspace, host=proxy)}
    assert ask("/labeler/work", "POST", b"{}", Origin=f"https://{proxy}", **shown).status == 200
    assert ask("/_stcore/health", Host=f"{proxy}:{PORT}").status == 200
    assert ask("/_stcore/health", Host="other.example:9000").status == 200
    assert ask("/_stcore/health", Host="other.example").status == 421


@pytest.mark.parametrize("origin", [
    None, "null", "", "http://evil.example", f"http://evil.example:{PORT}", "http://127.0.0.1:9999", "http://127.0.0.1",
    f"http://localhost:{PORT}", f"{OURS}/", f"{OURS}.evil.example", f"file://{HOST}",
])  # fmt: skip
def test_what_has_effects_comes_from_our_own_origin_alone(workspace, origin):
    shown = {"Cookie": cookie(workspace), "Origin": origin}
    for path in ("/labeler/work", "/labeler/decisions", "/labeler/later", "/labeler/sign-out", "/labeler/sign-in"):
        assert ask(path, "POST", b"{}", **shown).status == 403, path
    assert ask("/_stcore/stream", "WS", **shown).status == 403
    assert ask("/_stcore/upload_file/1/2", "PUT", **shown).status == 403
    if origin is not None:
        assert ask(f"/clips/{clip(workspace)}", **shown).status == 403
    assert ask("/grid", Cookie=shown["Cookie"]).text == "a page for ann"  # and the session is as it was


def test_our_own_pages_get_what_they_ask_for(workspace):
    shown = {"Cookie": cookie(workspace), "Origin": OURS, "Sec_Fetch_Site": "same-origin"}
    assert ask("/labeler/work", "POST", b"{}", **shown).status == 200
    assert ask("/_stcore/stream", "WS", **shown).status == 101
    assert ask(f"/clips/{clip(workspace)}", **shown).status == 200


@pytest.mark.parametrize("shown", ["", "plusmv_session_8931=", "plusmv_session_8931=x", "plusmv_session_8930={token}"])
def test_nothing_is_shown_or_done_without_a_session(workspace, shown):
    token = cookie(workspace).partition("=")[2]
    headers = {"Origin": OURS, "Cookie": shown.format(token=token) or None}
    for path in (
        f"/clips/{clip(workspace)}",
        f"/previews/{clip(workspace)}",
        f"/stills/{clip(workspace)}",
        "/references/x/0",
    ):
        assert ask(path, **headers).status == 403, path
    assert ask("/grid", **headers).status == 403
    assert ask("/_stcore/stream", "WS", **headers).status == 403
    refused = ask("/labeler/work", "POST", b"{}", **headers, Content_Type="application/json")
    assert refused.status == 403 and json.loads(refused.text)["error"]
    assert ask("/_stcore/health", **headers).status == 200


def test_another_page_can_embed_no_media_and_frame_no_page(workspace):
    shown = {"Cookie": cookie(workspace)}
    for site in ("cross-site", "same-site"):  # another site, and another port of this machine
        for path in (
            f"/clips/{clip(workspace)}",
            f"/previews/{clip(workspace)}",
            f"/stills/{clip(workspace)}",
            "/references/x/0",
        ):
            assert ask(path, Sec_Fetch_Site=site, **shown).status == 403
            assert ask(path, Sec_Fetch_Site=site, **shown, **NAVIGATION).status == 403
        framed = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}
        assert ask("/grid", Sec_Fetch_Site=site, **shown, **framed).status == 403
        followed = ask("/grid", Sec_Fetch_Site=site, **shown, **NAVIGATION)
        assert followed.status == 200 and "url=/grid" in followed.text  # a link leads in, by a page of our own


@pytest.mark.parametrize("path", ["/", "/fails", "/labeler/sign-in", "/_stcore/health", "/nothing", "/clips/x"])
def test_every_answer_carries_the_policy(workspace, path):
    for shown in ({"Cookie": cookie(workspace)}, {}, {"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        headers = ask(path, **shown).headers
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy and "unsafe-eval" not in policy
        assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert (headers["x-frame-options"], headers["cross-origin-resource-policy"]) == ("DENY", "same-origin")


def test_the_link_gets_in_once_and_the_next_one_is_printed(workspace, capsys, monkeypatch):
    monkeypatch.setattr(sign_in, "LINK", link.Link())
    assert ask("/labeler/open?token=").status == 403  # none is offered yet
    sign_in.LINK.offer(OURS, workspace.home / "labeler")
    first = printed(capsys)
    assert ask("/labeler/open?token=x").status == ask("/labeler/open").status == 403
    assert ask(first, Host="evil.example").status == 421
    opened = ask(first, Sec_Fetch_Site="cross-site", **NAVIGATION)
    given = opened.headers["set-cookie"]
    assert opened.status == 200 and "HttpOnly" in given and "samesite=strict" in given.lower()
    assert ask("/grid", Cookie=given.partition(";")[0]).text == "a page for ann"
    assert ask(first).status == 403
    second = printed(capsys)
    assert second != first and ask(second).status == 200


def test_the_browser_is_led_by_a_private_file(workspace, tmp_path, capsys, monkeypatch):
    program, told = tmp_path / "browser", tmp_path / "told"
    program.write_text(f'#!/bin/sh\necho "$@" > {told}.part && mv {told}.part {told}\n')
    program.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(program))
    monkeypatch.setenv("PLUSMV_OPEN", "1")
    monkeypatch.setattr(sign_in, "LINK", link.Link())
    sign_in.LINK.offer(OURS, workspace.home / "labeler")
    file = workspace.home / "labeler" / link.OPENER
    assert file.stat().st_mode & 0o777 == 0o600
    until = time.monotonic() + 20
    while not told.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert told.read_text().strip() == file.as_uri()  # no token where other users can read it
    url = printed(capsys)
    assert html.unescape(re.search(r"url=([^\"]*)", file.read_text())[1]).endswith(url)
    assert ask(url).status == 200 and not file.exists()


def printed(capsys) -> str:
    """The path of the link that was printed last."""
    return re.findall(rf"{OURS}(/labeler/open\?token=\S+)", capsys.readouterr().out)[-1]


def test_where_there_is_no_catalog_the_link_stays_good_and_nothing_is_made(workspace, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sign_in, "LINK", link.Link())
    monkeypatch.setenv("PLUSMV_HOME", str(tmp_path / "none"))
    sign_in.LINK.offer(OURS, tmp_path / "none" / "labeler")
    url = printed(capsys)
    assert ask(url).status == 503 and not (tmp_path / "none").exists()
    monkeypatch.setenv("PLUSMV_HOME", str(workspace.home))
    assert ask(url).status == 200


def test_a_session_is_a_private_file_that_holds_no_token(workspace):
    token = cookie(workspace).partition("=")[2]
    files = list((workspace.home / "labeler").rglob("*.json"))
    assert files and all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert not any(token in file.read_text() + file.name for file in files)
    assert sessions.annotator_of(workspace, token, None) == "ann"
    for odd in ("", "../../catalog", files[0].stem, token[:-1], token + "x", "\ud800", "é"):
        assert sessions.annotator_of(workspace, odd, None) is None


def test_sessions_end_and_their_files_go(workspace, tmp_path):
    home = Workspace(tmp_path / "home")
    used = sessions.start(home, "ann", None)
    file = next((home.home / "labeler" / "sessions").iterdir())
    almost = time.time() - sessions.IDLE_S + 60
    os.utime(file, (almost, almost))
    assert sessions.annotator_of(home, used, None) == "ann"
    assert file.stat().st_mtime > almost + 60  # being used, it lasts
    os.utime(file, (almost - 120, almost - 120))
    assert sessions.annotator_of(home, used, None) is None
    old = sessions.start(home, "ann", None)
    (other,) = (home.home / "labeler" / "sessions").iterdir()  # the first is gone
    other.write_text(json.dumps(json.loads(other.read_text()) | {"made": time.time() - sessions.LONGEST_S - 1}))
    assert sessions.annotator_of(home, old, None) is None
    for broken in ("", "[]", "{}", '{"made": "x"}', "[" * 100_000):
        other.write_text(broken)
        assert sessions.annotator_of(home, old, None) is None


def test_who_signs_out_is_out(workspace):
    shown = cookie(workspace)
    out = ask("/labeler/sign-out", "POST", Origin=OURS, Cookie=shown)
    assert out.status == 200 and "Max-Age=0" in out.headers["set-cookie"]
    assert ask("/grid", Cookie=shown).status == 403


def test_a_page_of_before_somebody_else_signed_in_records_nothing(workspace):
    body = b'{"annotator": "ann"}'
    assert ask("/labeler/work", "POST", body, Cookie=cookie(workspace, "ann"), Origin=OURS).status == 200
    assert ask("/labeler/work", "POST", body, Cookie=cookie(workspace, "bob"), Origin=OURS).status == 403


def post(name: str, password: str = "", to: str = "/", **headers: Any) -> Answer:
    body = urlencode({"name": name, "password": password, "to": to}).encode()
    return ask("/labeler/sign-in", "POST", body, **({"Origin": OURS} | headers))


def test_without_passwords_who_is_in_may_take_another_name_and_nobody_else(workspace):
    shown = cookie(workspace)
    assert post("bob").status == 403
    switched = post("<b>bob</b>", to="/grid", Cookie=shown)
    assert (switched.status, switched.headers["location"]) == (303, "/grid")
    assert ask("/grid", Cookie=switched.headers["set-cookie"].partition(";")[0]).text == "a page for <b>bob</b>"
    assert ask("/grid", Cookie=shown).status == 403
    named = ask("/labeler/sign-in", Cookie=cookie(workspace, "<b>bob</b>")).text
    assert "&lt;b&gt;bob" in named and "<b>bob" not in named


@pytest.fixture
def people(workspace, tmp_path, monkeypatch):
    """Ann and Bob have passwords."""
    file = tmp_path / "passwords"
    passwords.set_password(file, "ann", "long ago")
    passwords.set_password(file, "bob", "far away")
    monkeypatch.setenv("PLUSMV_PASSWORDS", str(file))
    return file


def test_with_passwords_only_those_in_the_file_get_in(workspace, people, capsys, monkeypatch):
    assert post("ann", "far away").status == post("cat", "long ago").status == 403
    assert post("ann", "short").status == post("", "long ago").status == 400
    entered = post("ann", "long ago", to="//evil.example/")
    assert (entered.status, entered.headers["location"]) == (303, "/")
    shown = entered.headers["set-cookie"].partition(";")[0]
    assert ask("/grid", Cookie=shown).text == "a page for ann"
    assert "ecure" not in entered.headers["set-cookie"]
    monkeypatch.setenv("PLUSMV_ALLOW_HOST", "labeler.example")
    encrypted = post("ann", "long ago", Host="labeler.example", Origin="https://labeler.example")
    assert "Secure" in encrypted.headers["set-cookie"]
    assert ask("/labeler/open?token=x").status == 303  # no link goes around them


def test_a_session_ends_with_the_password_it_was_started_with(workspace, people, monkeypatch):
    shown, other = cookie(workspace, "ann"), cookie(workspace, "bob")
    passwords.set_password(people, "ann", "long since")
    assert ask("/grid", Cookie=shown).status == 403
    assert ask("/grid", Cookie=other).text == "a page for bob"
    people.write_text("".join(line for line in people.open() if not line.startswith("bob:")))
    assert ask("/grid", Cookie=other).status == 403
    assert ask("/grid", Cookie=cookie(workspace, "bob")).status == 403
    monkeypatch.delenv("PLUSMV_PASSWORDS")
    without = cookie(workspace, "ann")
    assert ask("/grid", Cookie=without).status == 200
    monkeypatch.setenv("PLUSMV_PASSWORDS", str(people))
    assert ask("/grid", Cookie=without).status == 403
    people.chmod(0o644)
    assert ask("/grid", Cookie=shown).status == 503


def test_a_name_waits_after_five_wrong_passwords(workspace, people):
    for _ in range(FREE):
        assert post("ann", "far away").status == 403
    slowed = post("ann", "long ago")
    assert slowed.status == 429 and int(slowed.headers["retry-after"]) > 0
    assert post("bob", "far away").status == 303


def test_waits_grow_and_end_and_the_right_password_ends_them():
    now = [0.0]
    tries = Tries(lambda: now[0])
    waits = []
    for _ in range(12):
        waits.append(tries.begin("ann"))
        now[0] += waits[-1]
        if waits[-1]:
            assert tries.begin("ann") == 0.0
    assert waits[:FREE] == [0.0] * FREE and waits[FREE:] == sorted(waits[FREE:]) and waits[FREE] > 0
    assert max(waits) == LONGEST_WAIT_S
    tries.right("ann")
    assert tries.begin("ann") == 0.0


def test_all_names_together_have_sixty_tries_a_minute():
    now = [0.0]
    tries = Tries(lambda: now[0])
    assert [tries.begin(str(each)) for each in range(A_MINUTE)] == [0.0] * A_MINUTE
    assert tries.begin("ann") == 60.0
    now[0] = 61.0
    assert tries.begin("ann") == 0.0


@pytest.mark.parametrize("body", [b"\xff=\x00", b"&" * 10_000, b"name=" + b"x" * 20_000, b"=;=;", b"name=a%0Ab"])
def test_a_form_that_is_none_gets_a_reason(workspace, people, body):
    assert ask("/labeler/sign-in", "POST", body, Origin=OURS).status == 400


def test_the_gate_is_around_the_labeler_itself():
    from plusmv.labeler_ui.streamlit_app import app

    assert [each.cls for each in app._user_middleware] == [Gate]
    assert not any(path.startswith(("/clips", "/labeler/work")) for path in gate.OPEN_PATHS)
