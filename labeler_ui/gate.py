"""Who gets in: every request passes here before Streamlit or a route sees it.

Any page in the browser can send requests to this machine, under any name that its owner points here. So a request has
to be meant for us (Host), come from our own pages (Origin, Sec-Fetch-Site), and show a session (access.py, sign_in.py).
"""

import base64
import hashlib
import ipaddress
import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import streamlit
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plusmv.core.errors import PlusmvError
from plusmv.labeler_ui import access, sign_in
from plusmv.labeler_ui.main_page import PAGES

OPEN_PATHS = {"/_stcore/health", *(route.path for route in sign_in.SIGN_IN_ROUTES)}
PAGE_PATHS = {"/", *(f"/{path}" for _, _, path in PAGES), sign_in.PATH}
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def _inline_scripts() -> str:
    """The hashes of the scripts in Streamlit's index.html, for the policy."""
    page = Path(streamlit.__file__).with_name("static") / "index.html"
    scripts = re.findall(r"<script>(.*?)</script>", page.read_text(encoding="utf-8"), re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'" for each in scripts)


POLICY = "; ".join((
    "default-src 'self'",
    f"script-src 'self' blob: {_inline_scripts()}",  # Streamlit makes a blob of a component's script
    "style-src 'self' 'unsafe-inline'",  # Streamlit writes its styles with scripts
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "media-src 'self' blob:",
    "worker-src 'self' blob:",
    "object-src 'none'",
    "frame-src 'none'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'self'",
))  # fmt: skip
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Gate:
    """The ASGI middleware around the labeler: refuses what is not ours, and marks every answer (HEADERS)."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        scope = {**scope, access.SIGNED_IN: None}
        answered = False

        async def marked(message: Message) -> None:
            nonlocal answered
            answered = True
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                message.setdefault("headers", [])
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = _refusal(HTTPConnection(scope), scope)
        if refusal and scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            return await send({"type": "websocket.close", "code": 1008})
        try:
            await (refusal or self._app)(scope, receive, marked)
        except Exception:
            if not answered and scope["type"] == "http":  # else the answer would lack the headers
                await PlainTextResponse("internal error; see the labeler's log\n", 500)(scope, receive, marked)
            raise


def _refusal(request: HTTPConnection, scope: MutableMapping[str, Any]) -> Response | None:
    """What to answer in place of the labeler; None lets the request pass, and notes in its scope who it comes from."""
    hosts = request.headers.getlist("host")
    if len(hosts) != 1 or hosts[0].lower() not in _own_hosts(request):
        return _line(request, "the labeler does not go by this name; to add it: plusmv label --allow-host NAME", 421)
    path = scope["path"]
    if not _is_from_us(request, hosts[0].lower()):
        if path in PAGE_PATHS and _is_navigation(request):  # a link on another site, which sends no cookie of ours
            return HTMLResponse(sign_in.continue_at(path))
        return _line(request, "only the labeler's own pages may ask for this", 403)
    try:
        scope[access.SIGNED_IN] = access.signed_in(request.headers, request.cookies)
    except PlusmvError as error:
        return _line(request, str(error), 503)
    if scope[access.SIGNED_IN] or path in OPEN_PATHS:
        return None
    if path in PAGE_PATHS:
        return sign_in.page(None, path, status=403)
    return _line(request, access.ENDED, 403)


def _own_hosts(request: HTTPConnection) -> set[str]:
    """What a Host may say: this machine, the very address that was connected to, and names that were allowed.

    A page of a stranger's can have none of these in its address, whatever its name is resolved to.
    """
    address, port = request.scope.get("server") or ("", None)
    names = [*LOOPBACK, *_literal(address)]
    further = access.further_hosts()
    with_port = {f"{name}:{port}" for name in (*names, *further)}
    return with_port | set(further) | (set(names) if port in (80, 443) else set())


def _literal(address: str) -> list[str]:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return []
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    return [str(mapped) if mapped.version == 4 else f"[{mapped}]"]


def _is_from_us(request: HTTPConnection, host: str) -> bool:
    """False where another page sent it, or a browser's page may have: what has effects must say where it comes from."""
    origins = request.headers.getlist("origin")
    if origins:
        return len(origins) == 1 and origins[0] in (f"http://{host}", f"https://{host}")
    if request.scope["type"] == "websocket" or request.scope["method"] not in ("GET", "HEAD"):
        return False
    if request.headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
        return True
    return request.scope["path"] == sign_in.LINK_PATH and _is_navigation(request)  # clicked in a terminal or a file


def _is_navigation(request: HTTPConnection) -> bool:
    """A whole page is opened, in no frame."""
    asked = request.headers.get("sec-fetch-mode"), request.headers.get("sec-fetch-dest")
    return request.scope.get("method") == "GET" and asked == ("navigate", "document")


def _line(request: HTTPConnection, reason: str, status: int) -> Response:
    if request.headers.get("content-type", "").startswith("application/json"):
        return JSONResponse({"error": reason}, status_code=status)
    return PlainTextResponse(f"{reason}\n", status_code=status)
