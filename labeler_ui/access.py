"""Who decides, and the pass that a page shows with every request: another site's page in the same browser has none.

Without a password file whoever reaches the labeler may decide under any name. A password file holds a line a person,
`name:salt:hash` (scrypt), and has mode 0600; PLUSMV_PASSWORDS names it.
"""

import base64
import getpass
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from starlette.requests import Request

from core.errors import BadInput, Missing, Refused
from core.workspace import Workspace, atomic_path
from curate.text import bounded_line

HEADER = "X-Plusmv-Pass"


def default_annotator() -> str:
    """PLUSMV_ANNOTATOR, else the login name."""
    try:
        return os.environ.get("PLUSMV_ANNOTATOR") or getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return "curator"


def password_file() -> Path | None:
    """The file of names and passwords, None where names are taken on trust."""
    named = os.environ.get("PLUSMV_PASSWORDS")
    return Path(named) if named else None


def checked_name(name: str) -> str:
    """A name that decisions can be kept under. Raises BadInput for none."""
    plain = bounded_line(name, 200)
    if not plain or plain != name.strip():
        raise BadInput("your name must be one line of 1 to 200 characters")
    return plain


def set_password(file: Path, name: str, password: str) -> None:
    """Write a person's line anew. Raises BadInput for a name or password that cannot be kept."""
    name = checked_name(name)
    if ":" in name or len(password) < 4:
        raise BadInput("a name must be without ':', and a password have at least 4 characters")
    lines = _lines(file) if file.exists() else {}
    salt = secrets.token_hex(16)
    lines[name] = f"{salt}:{_scrypt(password, salt)}"
    with atomic_path(file) as part, open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as private:
        private.writelines(f"{each}:{line}\n" for each, line in lines.items())


def is_password(file: Path, name: str, password: str) -> bool:
    """Whether this is the person's password; it takes as long for an unknown name."""
    salt, _, kept = _lines(file).get(name, "00:none").partition(":")
    return hmac.compare_digest(_scrypt(password, salt), kept)


def pass_for(workspace: Workspace, name: str) -> str:
    """What this annotator's page shows with its requests: good for as long as the name's password stays."""
    file = password_file()
    line = _lines(file).get(name, "") if file else ""
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
    if not name or (file and name not in _lines(file)) or not hmac.compare_digest(shown, pass_for(workspace, name)):
        raise Refused("this request shows no pass; open the labeler's page (again)")
    return name


def _lines(file: Path) -> dict[str, str]:
    """{name: salt:hash}"""
    try:
        if file.stat().st_mode & 0o077:
            raise BadInput(f"others may read {file}; chmod 600 it")
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise Missing(f"there is no password file {file}; make it with plusmv label --set-password NAME") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the password file {file}: {error}") from error
    return {name: line for name, _, line in (each.partition(":") for each in lines) if line}


def _scrypt(password: str, salt: str) -> str:
    return hashlib.scrypt(password.encode(), salt=salt.encode(), n=2**14, r=8, p=1).hex()
