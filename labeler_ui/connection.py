"""The labeler's connection to its catalog: a failure is one line, and nothing is written to a deleted file."""

import contextlib
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from plusmv.core.errors import BadInput, Missing
from plusmv.core.workspace import Workspace
from plusmv.db.session import Catalog, open_catalog
from plusmv.labeler_ui.access import workspace


@dataclass(frozen=True)
class Connection:
    """An open catalog and its workspace. `file` and `inode` tell whether SQLite's file is still the one opened.

    overlap: the share of clips that two people judge independently.
    """

    workspace: Workspace
    catalog: Catalog
    file: Path | None  # None: a server
    inode: int | None
    overlap: float = 0.0

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """A read transaction. Raises PlusmvError where the catalog is locked or missing."""
        with self.catalog.reading() as session:
            self._refuse_if_replaced()
            yield session

    @contextlib.contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction, committed when the block is left. Raises PlusmvError, and then nothing is written."""
        with self.catalog.writing() as session:
            self._refuse_if_replaced()
            yield session
            self._refuse_if_replaced()

    def _refuse_if_replaced(self) -> None:
        """SQLite silently keeps writing into a deleted file, and in another catalog the same ids are other clips."""
        if _inode(self.file) != self.inode:
            raise Missing(f"the catalog {self.file} was replaced by another file; reload the page")


def connect() -> Connection:
    """The catalog that PLUSMV_HOME and PLUSMV_DB name, opened once. Raises Missing where there is none yet."""
    home, url = workspace().home, os.environ.get("PLUSMV_DB") or None
    file = _sqlite_file(home, url)
    return _connection(home, url, file, _inode(file))


@functools.lru_cache(maxsize=4)
def _connection(home: Path, url: str | None, file: Path | None, inode: int | None) -> Connection:
    opened = Workspace(home)
    return Connection(opened, open_catalog(opened, url), file, inode, _overlap())


def _overlap() -> float:
    """PLUSMV_OVERLAP, from 0 (no clip is judged twice) to 1."""
    try:
        overlap = float(os.environ.get("PLUSMV_OVERLAP") or 0)
    except ValueError:
        overlap = -1.0
    if not 0 <= overlap <= 1:
        raise BadInput("PLUSMV_OVERLAP must be a share from 0 to 1")
    return overlap


def _sqlite_file(home: Path, url: str | None) -> Path | None:
    if url is None:
        return Workspace(home).catalog
    try:
        made = make_url(url)
    except (ArgumentError, ValueError):  # open_catalog reports it
        return None
    return Path(made.database) if made.get_backend_name() == "sqlite" and made.database else None


def _inode(file: Path | None) -> int | None:
    try:
        return file.stat().st_ino if file else None
    except OSError as error:
        raise Missing(f"there is no catalog {file}; crawl clips first, or give the right --home") from error
