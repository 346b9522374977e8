"""Sessions: who is signed in. The browser keeps a random token, the workspace a file named by the token's hash.

So every process that serves the workspace knows them, restarts keep them, and who reads the workspace cannot use one.
"""

import contextlib
import hashlib
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

from plusmv.core.workspace import Workspace, write_private
from plusmv.curate.review.passwords import people

IDLE_S = 12 * 3600.0  # a session that nobody uses ends
LONGEST_S = 7 * 24 * 3600.0  # and so does every other
NOTED_S = 60.0  # how often the time of the last use is written


def start(workspace: Workspace, annotator: str, passwords: Path | None) -> str:
    """A new session of this person; its token. Sessions that have ended are removed."""
    folder = _folder(workspace)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in folder.glob("[0-9a-f]*.json"):  # others are being written
        if _read(file) is None:
            file.unlink(missing_ok=True)
    token = secrets.token_urlsafe(32)
    session = {"annotator": annotator, "made": time.time(), "password": _password(annotator, passwords)}
    write_private(_file(workspace, token), json.dumps(session).encode())
    return token


def annotator_of(workspace: Workspace, token: str, passwords: Path | None) -> str | None:
    """Whose session this is; None where it has ended, or the person's password is another by now.

    Raises PlusmvError where the passwords cannot be read.
    """
    file = _file(workspace, token)
    session = _read(file)
    if session is None or not token:
        return None
    annotator = str(session.get("annotator"))
    password = _password(annotator, passwords)
    if password is None or session.get("password") != password:
        return None
    with contextlib.suppress(OSError):  # signed out at this moment
        if time.time() - file.stat().st_mtime > NOTED_S:
            os.utime(file)
    return annotator


def end(workspace: Workspace, token: str) -> None:
    """Nobody is signed in by this token any more."""
    _file(workspace, token).unlink(missing_ok=True)


def _read(file: Path) -> dict[str, Any] | None:
    """What the file says of a session; None where that has ended, or the file is none of ours."""
    try:
        session: dict[str, Any] = json.loads(file.read_bytes())
        lasts = time.time() - file.stat().st_mtime < IDLE_S and time.time() - session["made"] < LONGEST_S
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return session if lasts else None


def _password(annotator: str, passwords: Path | None) -> str | None:
    """What ties a session to the password it was started with: None where the file has no such person."""
    if passwords is None:
        return "none is asked for"
    line = people(passwords).get(annotator)
    return line and hashlib.sha256(line.encode()).hexdigest()


def _file(workspace: Workspace, token: str) -> Path:
    return _folder(workspace) / f"{hashlib.sha256(token.encode(errors='replace')).hexdigest()}.json"


def _folder(workspace: Workspace) -> Path:
    return workspace.home / "labeler" / "sessions"
