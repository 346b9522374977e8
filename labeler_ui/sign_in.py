"""Signing in and out: by the one-time link where the labeler was started, or by name and password.

A session is a cookie that scripts cannot read (HttpOnly) and that other sites' requests do not carry (SameSite=Strict).
"""

import html
import math
import re
from pathlib import Path
from string import Template
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from plusmv.core.errors import BadInput, PlusmvError, Refused
from plusmv.curate.review.passwords import checked_name, is_password
from plusmv.labeler_ui import access, sessions
from plusmv.labeler_ui.connection import connect
from plusmv.labeler_ui.json_routes import read_body
from plusmv.labeler_ui.link import LINK
from plusmv.labeler_ui.tries import Tries

PATH, LINK_PATH, OUT_PATH = "/labeler/sign-in", "/labeler/open", "/labeler/sign-out"
BODY = 1 << 14  # most bytes of a form
TRIES = Tries()
PAGE = Template((Path(__file__).with_name("assets") / "sign_in.html").read_text(encoding="utf-8"))
USED = "This link was used already, or is not the latest. The next one is printed where the labeler was started."
NO_SESSION = "Open the link that <code>plusmv label</code> printed where it was started. Each link works once."


def show_sign_in(request: Request) -> Response:
    """GET /labeler/sign-in: the form, or how to get in without passwords; who is signed in can sign out here."""
    return page(request.scope[access.SIGNED_IN])


async def sign_in(request: Request) -> Response:
    """POST /labeler/sign-in: name, password where there are some, and the page to go to; starts a session."""
    who, to = request.scope[access.SIGNED_IN], "/"
    try:
        sent = await _form(request)
        to = _page_path(sent.get("to", to))
        name = checked_name(sent.get("name", ""))
        wait = await run_in_threadpool(_check, who, name, sent.get("password", ""))
        if wait:
            after = f"Too many tries: wait {math.ceil(wait)} seconds."
            return page(who, to, after, 429, {"Retry-After": str(math.ceil(wait))})
        response = RedirectResponse(to, 303)
        await run_in_threadpool(_start_session, request, response, name)
        return response
    except PlusmvError as error:
        return page(who, to, str(error), 403 if isinstance(error, Refused) else 400)


def open_link(request: Request) -> Response:
    """GET /labeler/open?token=...: the first visit. Goes on from a page of our own, so that the cookie goes with it."""
    if access.password_file():
        return RedirectResponse(PATH, 303)
    try:
        connect()  # what cannot be opened does not spend the link
        name = access.default_annotator()
        if request.method != "GET" or not LINK.spend(request.query_params.get("token", "")):
            return page(request.scope[access.SIGNED_IN], problem=USED, status=403)
        response = HTMLResponse(continue_at("/"))
        _start_session(request, response, name)
        return response
    except PlusmvError as error:
        return page(None, problem=str(error), status=503)


def sign_out(request: Request) -> Response:
    """POST /labeler/sign-out: ends the session, in every tab."""
    host = request.headers["host"]
    sessions.end(access.workspace(), access.session_token(host, request.cookies))
    response = page(None, problem="You are signed out.")
    response.delete_cookie(access.cookie_name(host), httponly=True, samesite="strict")
    return response


def page(
    who: str | None, to: str = "/", problem: str = "", status: int = 200, headers: dict[str, str] | None = None
) -> HTMLResponse:
    """The page to sign in or out. who: the annotator that is signed in; to: the page to go to then."""
    with_passwords = access.password_file() is not None
    shown = PAGE.substitute(
        problem=html.escape(problem),
        signed_in=f'Signed in as <b>{html.escape(who)}</b>. <a href="/">Go on labeling</a>, or switch:' if who else "",
        explanation="" if who or with_passwords else NO_SESSION,
        out_hidden="" if who else "hidden",
        form_hidden="" if who or with_passwords else "hidden",
        password_hidden="" if with_passwords else "hidden disabled",
        to=html.escape(_page_path(to)),
    )
    return HTMLResponse(shown, status, {"Cache-Control": "no-store", **(headers or {})})


def continue_at(path: str) -> str:
    """A page that goes on to one of ours by itself: a browser does not send a strict cookie where another site led."""
    return f'<!doctype html><meta http-equiv="refresh" content="0; url={html.escape(path)}"><title>plusmv</title>'


def _check(who: str | None, name: str, password: str) -> float:
    """0 where this person may sign in, else seconds to wait. Raises PlusmvError for the wrong password."""
    file = access.password_file()
    if file is None:  # whoever is in may take another name
        if who is None:
            raise Refused("open the link that plusmv label printed")
        return 0.0
    wait = TRIES.begin(name)
    if not wait:
        if not is_password(file, name, password):
            raise Refused("Wrong name or password.")
        TRIES.right(name)
    return wait


def _start_session(request: Request, response: Response, name: str) -> None:
    host, workspace = request.headers["host"], connect().workspace
    sessions.end(workspace, access.session_token(host, request.cookies))
    response.set_cookie(
        access.cookie_name(host),
        sessions.start(workspace, name, access.password_file()),
        max_age=int(sessions.LONGEST_S),
        secure=request.headers.get("origin", "").startswith("https:"),
        httponly=True,
        samesite="strict",
    )


def _page_path(path: str) -> str:
    """One of our own pages, whatever was asked for."""
    return path if re.fullmatch(r"/[a-z]{0,40}", path) else "/"


async def _form(request: Request) -> dict[str, str]:
    body = await read_body(request, BODY)
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError as error:
        raise BadInput("the form cannot be read") from error
    return {name: values[-1] for name, values in fields.items()}


SIGN_IN_ROUTES = [
    Route(PATH, show_sign_in),
    Route(PATH, sign_in, methods=["POST"]),
    Route(LINK_PATH, open_link),
    Route(OUT_PATH, sign_out, methods=["POST"]),
]
