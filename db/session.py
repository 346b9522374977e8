"""Opening a catalog, a workspace's embedded SQLite file or a PostgreSQL database: its schema is brought up to date."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from plusmv.core.errors import BadInput, PlusmvError
from plusmv.core.workspace import Workspace
from plusmv.db import migrate
from plusmv.db.key_check import bind_key, require_key

BUSY_TIMEOUT_S = 30


@dataclass(frozen=True)
class Catalog:
    """An open catalog: `with catalog.writing() as session:` commits at the end and rolls back on an error.

    Raises PlusmvError where the catalog is locked, damaged, full or gone, and then nothing of the transaction is in it.
    """

    engine: Engine

    @contextlib.contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that may write. On SQLite it waits its turn at the start, so that it never fails half-way."""
        with _one_line(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that only reads: one consistent view, never waiting for a writer."""
        engine = self.engine.execution_options(reading=True)
        if engine.dialect.name == "postgresql":
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        with _one_line(), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        self.engine.dispose()


def open_catalog(workspace: Workspace, url: str | None = None, needs_key: bool = False) -> Catalog:
    """Open the workspace's SQLite catalog, or the one at `url`, making or migrating its schema.

    needs_key: the command hashes people or looks up what was taken down. Raises BadInput for a URL that is none, a file
    that is no catalog, or has lost what it held, or a server that does not answer; with needs_key also where the
    workspace's key is not this catalog's, or Missing (db.key_check).
    """
    file = workspace.catalog if url is None else _sqlite_file(url)
    make = file is None or not file.exists() or not _in_use(workspace)
    if url is None:
        _make(workspace.home)
        url = f"sqlite:///{workspace.catalog.absolute()}"  # not resolve(), which fails over a circle of links
    try:
        engine = create_engine(url)
    except ValueError as error:
        raise BadInput(f"cannot use the catalog URL {_safe(url)}: its port is no number of at most 5 digits") from error
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise BadInput(f"cannot use the catalog URL {_safe(url)}: {_first_line(error)}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif engine.dialect.name != "postgresql":
        raise BadInput(f"the catalog URL {_safe(url)} names neither SQLite nor PostgreSQL")
    try:
        migrate.upgrade(engine, make)
    except migrate.NoTables as error:
        raise BadInput(
            f"the catalog {_safe(url)} is empty, but there are clips beside it: restore it from a backup, or remove it"
            " to begin a new one"
        ) from error
    except (DBAPIError, UnicodeDecodeError) as error:  # SQLite names a damaged table by its damaged name
        reason = _first_line(error.orig if isinstance(error, DBAPIError) else error)
        raise BadInput(f"cannot open the catalog {_safe(url)}: {reason}") from error
    except migrate.UnknownRevision as error:
        raise PlusmvError(f"the catalog {_safe(url)} was made by a newer plusmv ({error}); update plusmv") from error
    catalog = Catalog(engine)
    bind_key(catalog, workspace)
    if needs_key:
        with catalog.reading() as session:
            require_key(session, workspace)
    return catalog


def _in_use(workspace: Workspace) -> bool:
    """Whether the workspace holds what a catalog must have told of."""
    folders = (workspace.home / name for name in ("media", "previews", "features"))
    return any(path.is_file() and not path.name.startswith(".") for each in folders for path in each.rglob("*"))


def _make(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make the workspace {home}: {error.strerror}; name another with --home") from error


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except IntegrityError:  # two processes wrote the same: the caller's to settle
        raise
    except (DBAPIError, PoolTimeout) as error:
        cause = _first_line(getattr(error, "orig", None) or error)
        raise PlusmvError(f"the catalog does not answer ({cause}); nothing was recorded, try again") from error


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where sqlite3 guesses (also around DDL)
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten: a takedown leaves nothing to read
    cursor.execute("PRAGMA synchronous = FULL")  # a decision that was acknowledged outlives a power cut
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _safe(url: str) -> str:
    """The URL without its password; the path alone for SQLite."""
    try:
        made = make_url(url)
    except (ArgumentError, ValueError):
        return repr(re.sub(r"//[^/]*@", "//", url)[:80])
    return str(Path(made.database or "")) if made.drivername == "sqlite" else made.render_as_string(hide_password=True)


def _sqlite_file(url: str) -> Path | None:
    """The file of an SQLite catalog; None where it is on a server or in memory."""
    try:
        made = make_url(url)
    except (ArgumentError, ValueError):  # create_engine reports it
        return None
    is_file = made.get_backend_name() == "sqlite" and made.database and made.database != ":memory:"
    return Path(made.database) if is_file and made.database else None


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0]
