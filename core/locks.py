"""Locks between processes: what may happen once at a time in a folder, and who is refused or waits meanwhile.

`one_command` is for the length of a command: a second one on the same folder is Refused, with a line that names the
first. `one_change` is for a moment: whoever rewrites what another process may be rewriting waits its turn. The system
gives a lock back when its process ends, however that ends. Reading takes no lock. docs/scale.md has a table.

A folder's lock is taken before a transaction of the catalog, never within one: so no two wait for each other.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from plusmv.core.errors import PlusmvError, Refused

COMMAND, CHANGE = ".lock", ".change.lock"  # hidden: no listing of features, runs or exports has them
CHANGE_SECONDS = 600.0  # how long a change is waited for: the largest shard or hash file takes a fraction


@contextlib.contextmanager
def one_command(folder: Path, what: str) -> Iterator[None]:
    """Let this process alone do `what` ("plusmv train") in a folder, which is created. Raises Refused for a second."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / COMMAND
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise Refused(
            f"{_holder(path)} is at work in {folder}; wait until it has ended, or choose another folder"
        ) from error
    try:
        with contextlib.suppress(OSError):  # Windows lets nobody write into a locked file
            path.write_text(f"{what} (process {os.getpid()})", encoding="utf-8")
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def one_change(folder: Path, of: str = "", seconds: float = CHANGE_SECONDS) -> Iterator[None]:
    """Wait until no other process changes this folder, which is created, then shut the others out.

    of: the name of the one file that is changed, where not the folder. Not to be nested on one folder. Raises
    PlusmvError where that takes longer than `seconds`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / (f".{of}{CHANGE}" if of else CHANGE), timeout=seconds, poll_interval=0.02)
    try:
        lock.acquire()
    except Timeout as error:
        raise PlusmvError(
            f"another process has been changing {folder / of} for {seconds:.0f} s; try again later"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    """Who wrote its name into a lock's file."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8").strip() or "another process"
    return "another process"
