"""Who is signed in: the session token that a page sends with every request; another site in the browser has none.

Without a password file (review.passwords; PLUSMV_PASSWORDS names it) whoever reaches the labeler may sign in under any
name.
"""

import base64
import getpass
import hmac
import os
from pathlib import Path

from starlette.requests import Request

from plusmv.core.errors import Refused
from plusmv.core.workspace import Workspace
from plusmv.curate.review.passwords import checked_name, people

HEADER = "X-Plusmv-Token"


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
    """The file of names and passwords, None where names are taken on trust."""
    named = os.environ.get("PLUSMV_PASSWORDS")
    return Path(named) if named else None


def session_token(workspace: Workspace, name: str) -> str:
    """The token of this annotator's page, valid for as long as the name's password stays."""
    file = password_file()
    line = people(file).get(name, "") if file else ""
    signed = workspace.keyed_hash(f"labeler session\0{name}\0{line}")
    return f"{base64.urlsafe_b64encode(name.encode()).decode().rstrip('=')}.{signed}"


def cookie_name(workspace: Workspace) -> str:
    """The cookie that carries the token for media files; cookies know no ports, so each workspace has its own."""
    return f"plusmv_{workspace.keyed_hash('labeler cookie')[:12]}"


def annotator_of(workspace: Workspace, request: Request, by_cookie: bool = False) -> str:
    """Whose token the request carries. Raises Refused where it carries no valid one."""
    token = (request.cookies.get(cookie_name(workspace)) if by_cookie else request.headers.get(HEADER)) or ""
    try:
        encoded = token.partition(".")[0]
        name = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError:
        name = ""
    file = password_file()
    if (
        not name
        or (file and name not in people(file))
        or not hmac.compare_digest(token, session_token(workspace, name))
    ):
        raise Refused("the session token is missing or not valid; reload the labeler's page")
    return name
