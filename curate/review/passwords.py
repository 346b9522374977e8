"""The labeler's password file: a line a person, `name:salt:hash` (scrypt), mode 0600. `plusmv label --set-password`."""

import hashlib
import hmac
import secrets
from pathlib import Path

from plusmv.core.errors import BadInput, Missing
from plusmv.core.locks import one_change
from plusmv.core.text import bounded_line
from plusmv.core.workspace import write_private

SHORTEST = 8  # characters


def checked_name(name: str) -> str:
    """A name that decisions can be kept under. Raises BadInput for none."""
    plain = bounded_line(name, 200)
    if not plain or plain != name.strip():
        raise BadInput("your name must be one line of 1 to 200 characters")
    return plain


def set_password(file: Path, name: str, password: str) -> None:
    """Write a person's line anew. Raises BadInput for a name or password that cannot be kept."""
    name = checked_name(name)
    if ":" in name:
        raise BadInput("a name must be without ':'")
    if len(password) < SHORTEST:
        raise BadInput(f"a password must have at least {SHORTEST} characters")
    salt = secrets.token_hex(16)
    line = f"{salt}:{_scrypt(password, salt)}"
    with one_change(file.parent, file.name):  # somebody else may be adding a person
        lines = people(file) if file.exists() else {}
        lines[name] = line
        write_private(file, "".join(f"{each}:{line}\n" for each, line in lines.items()).encode())


def is_password(file: Path, name: str, password: str) -> bool:
    """Whether this is the person's password; it takes as long for an unknown name. Raises BadInput for a short one."""
    if len(password) < SHORTEST:
        raise BadInput(f"passwords have {SHORTEST} characters or more; set one by plusmv label --set-password NAME")
    salt, _, kept = people(file).get(name, "00:none").partition(":")
    return hmac.compare_digest(_scrypt(password, salt), kept)


def people(file: Path) -> dict[str, str]:
    """{name: salt:hash}. Raises Missing where there is no file, BadInput where others may read it or nobody can."""
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
