"""Who gets into the labeler: over ASGI, with the gate and the real routes, without Streamlit."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from plusmv.core.errors import Refused
from plusmv.core.workspace import Workspace
from plusmv.labeler_ui import access, gate, sessions, sign_in
from plusmv.labeler_ui.gate import Gate
from plusmv.labeler_ui.routes import ROUTES
from plusmv.labeler_ui.tries import Tries
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
        "server": (server, PORT), "client": ("127.0.0.1", 5), "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
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


@pytest.fixture(name="workspace")
def served_workspace(filled, tmp_path, monkeypatch) -> Workspace:
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
    f"127.0.0.1.evil.example:{PORT}", f"localhost.:{PORT}", f"[::2]:{PORT}", f"10.0.0.9:{PORT}",
    f"x@127.0.0.1:{PORT}", "", None,
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


def test_a_page_is_drawn_for_as_long_as_its_session_lasts(workspace):
    token = cookie(workspace).partition("=")[2]
    connection = {"host": HOST}, {access.cookie_name(HOST): token}
    assert access.annotator_of_page(*connection) == "ann"
    sessions.end(workspace, token)
    for ended in (connection, ({}, {})):
        with pytest.raises(Refused):
            access.annotator_of_page(*ended)


def test_a_page_of_before_somebody_else_signed_in_records_nothing(workspace):
    body = b'{"annotator": "ann"}'
    assert ask("/labeler/work", "POST", body, Cookie=cookie(workspace, "ann"), Origin=OURS).status == 200
    assert ask("/labeler/work", "POST", body, Cookie=cookie(workspace, "bob"), Origin=OURS).status == 403


def test_the_gate_is_around_the_labeler_itself():
    from plusmv.labeler_ui.streamlit_app import app

    assert [each.cls for each in app._user_middleware] == [Gate]
    assert not any(path.startswith(("/clips", "/labeler/work")) for path in gate.OPEN_PATHS)
