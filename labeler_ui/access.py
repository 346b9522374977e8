"""Who decides, and the pass that a page shows with every request: another site's page in the same browser has none.

Without a password file (review.passwords; PLUSMV_PASSWORDS names it) whoever reaches the labeler may take any name.
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

HEADER = "X-Plusmv-Pass"


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


def pass_for(workspace: Workspace, name: str) -> str:
    """What this annotator's page shows with its requests: good for as long as the name's password stays."""
    file = password_file()
    line = people(file).get(name, "") if file else ""
    signed = workspace.keyed_hash(f"labeler pass\0{name}\0{line}")
    return f"{base64.urlsafe_b64encode(name.encode()).decode().rstrip('=')}.{signed}"


def cookie_name(workspace: Workspace) -> str:
    """The cookie that carries the pass for pictures and films; cookies know no ports, so each workspace has its own."""
    return f"plusmv_{workspace.keyed_hash('labeler cookie')[:12]}"


def annotator_of(workspace: Workspace, request: Request, by_cookie: bool = False) -> str:
    """Whose pass the request shows. Raises Refused where it shows none that is good."""
    shown = (request.cookies.get(cookie_name(workspace)) if by_cookie else request.headers.get(HEADER)) or ""
    try:
        encoded = shown.partition(".")[0]
        name = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError:
        name = ""
    file = password_file()
    if not name or (file and name not in people(file)) or not hmac.compare_digest(shown, pass_for(workspace, name)):
        raise Refused("this request shows no pass; open the labeler's page (again)")
    return name
