"""Bringing a catalog's schema up to date with Alembic from inside the program: no alembic.ini, no step to remember."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from plusmv.db.models import Base

ADVISORY_LOCK = 7_206_811  # any number, the same for every plusmv: one migration at a time on PostgreSQL


class UnknownRevision(Exception):
    """The catalog's revision is not among ours."""


class NoTables(Exception):
    """The catalog was never made, where one must be."""


def upgrade(engine: Engine, make: bool = True) -> None:
    """Make or migrate the schema in one transaction that shuts out other migrations; nothing to do if current.

    make: False where there must be a schema already; raises NoTables where there is none.
    """
    head = ScriptDirectory.from_config(_config()).get_current_head()
    with engine.connect() as connection:
        if _revision(connection) == head:
            return
    with _alone(engine) as connection:
        revision = _revision(connection)
        if revision is None and not make:
            raise NoTables
        _refuse_unknown(revision)
        command.upgrade(_config(connection), "head")


def downgrade(engine: Engine, revision: str = "base") -> None:
    """Take the schema back to an older revision; data in tables that did not exist there is lost."""
    with _alone(engine) as connection:
        command.downgrade(_config(connection), revision)


def drift(engine: Engine) -> list:
    """What the models say and the migrated schema does not: [] when the migrations are complete."""
    with engine.connect() as connection:
        return compare_metadata(MigrationContext.configure(connection), Base.metadata)


@contextlib.contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction in which no other process migrates; on SQLite every writing transaction is alone (db.session)."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        yield connection


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_unknown(revision: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise UnknownRevision(f"revision {revision}")
