"""The labeler's entry: `streamlit run labeler_ui` (or `plusmv label`) serves its pages, clips and decisions.

PLUSMV_HOME names the workspace (default ./plusmv-data), PLUSMV_DB a catalog elsewhere, PLUSMV_ANNOTATOR who decides
(default: the login name), PLUSMV_PASSWORDS a file of names and passwords, PLUSMV_OVERLAP the share of clips that two
people judge, PLUSMV_ALLOW_HOST further names of this machine; PLUSMV_OPEN opens a browser. Streamlit recognises the
`st.App` below and serves its routes beside the pages.
"""

import asyncio
import contextlib
import gc
import importlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from plusmv.core.errors import PlusmvError
from plusmv.labeler_ui import access
from plusmv.labeler_ui.connection import connect
from plusmv.labeler_ui.contradiction_routes import CONTRADICTION_ROUTES
from plusmv.labeler_ui.duplicate_routes import DUPLICATE_ROUTES
from plusmv.labeler_ui.gate import Gate
from plusmv.labeler_ui.link import LINK
from plusmv.labeler_ui.routes import ROUTES
from plusmv.labeler_ui.sign_in import SIGN_IN_ROUTES


@contextlib.asynccontextmanager
async def _warm(_app: st.App) -> AsyncIterator[None]:
    """Load what the first page needs before the server answers."""
    _send_at_once()
    await asyncio.to_thread(_load)
    if not access.password_file():
        LINK.offer(_address(), access.workspace().home / "labeler")
    yield


def _address() -> str:
    """Where a browser on this machine finds the pages."""
    address = str(st.get_option("server.address") or "")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(address, address)
    return f"http://{f'[{host}]' if ':' in host else host}:{st.get_option('server.port')}"


def _send_at_once() -> None:
    """Set TCP_NODELAY: else each answer waits 40 ms for an acknowledgement on a connection that is kept alive.

    asyncio sees to that where it knows a socket for TCP, and Streamlit binds one that does not say so (uvicorn #3149).
    """
    for held in gc.get_objects():
        if issubclass(type(held), socket.socket) and held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            with contextlib.suppress(OSError):  # of another family
                held.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _load() -> None:
    for name in (
        "plusmv.labeler_ui.review_page",
        "pandas",
    ):  # Streamlit asks of what a page tells its piece if it is a table
        importlib.import_module(name)
    with contextlib.suppress(PlusmvError):  # the page shows it
        connect()
    gc.freeze()  # Streamlit collects garbage after every run of a page, and what is loaded here is not garbage


app = st.App(
    Path(__file__).with_name("main_page.py"),
    routes=[*SIGN_IN_ROUTES, *ROUTES, *DUPLICATE_ROUTES, *CONTRADICTION_ROUTES],
    middleware=[Middleware(Gate)],
    lifespan=_warm,
)
