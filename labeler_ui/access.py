"""Who a request or a page comes from, and what the environment says of that: names, passwords, hosts."""

import getpass
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.requests import HTTPConnection

from plusmv.core.errors import Refused
from plusmv.core.workspace import Workspace
from plusmv.curate.review.passwords import checked_name
from plusmv.labeler_ui import sessions

SIGNED_IN = "plusmv.annotator"  # where the gate notes in a request's scope who it comes from
ENDED = "you are signed out, or your session has ended: sign in again and reload this page"


def workspace() -> Workspace:
    """The workspace that PLUSMV_HOME names."""
    return Workspace(Path(os.environ.get("PLUSMV_HOME") or "plusmv-data"))


def default_annotator() -> str:
    """PLUSMV_ANNOTATOR, else the login name. Raises BadInput for a name that no decision can be kept under."""
    named = os.environ.get("PLUSMV_ANNOTATOR")
    if named:
        return checked_name(named)
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return "curator"


def password_file() -> Path | None:
    """The file of names and passwords, None where whoever has the link may take any name."""
    named = os.environ.get("PLUSMV_PASSWORDS")
    return Path(named) if named else None


def further_hosts() -> list[str]:
    """The names from PLUSMV_ALLOW_HOST under which a proxy or the local network reaches the labeler."""
    return os.environ.get("PLUSMV_ALLOW_HOST", "").lower().split()


def cookie_name(host: str) -> str:
    """The session's cookie at a Host, which may end in a port: browsers send the cookies of all ports to each."""
    port = re.search(r":(\d{1,5})$", host)
    return f"plusmv_session_{port[1] if port else 'default'}"


def session_token(host: str, cookies: Mapping[str, str]) -> str:
    """The token of the session that a browser shows, empty where it shows none."""
    return cookies.get(cookie_name(host), "")


def signed_in(headers: Mapping[str, str], cookies: Mapping[str, str]) -> str | None:
    """Whose session the browser shows, None for none that is valid."""
    return sessions.annotator_of(workspace(), session_token(headers.get("host", ""), cookies), password_file())


def annotator_of_page(headers: Mapping[str, str], cookies: Mapping[str, str]) -> str:
    """Who opened the connection that a page is drawn for, if the session lasts. Raises Refused where it does not."""
    name = signed_in(headers, cookies)
    if not name:
        raise Refused(ENDED)
    return name


def annotator_of(request: HTTPConnection) -> str:
    """Who the gate says a request comes from. Raises Refused where that is nobody."""
    name: Any = request.scope.get(SIGNED_IN)
    if not name:
        raise Refused(ENDED)
    return str(name)
