"""Migrations over a catalog that has rows: one in every table of the first schema outlives them all, on both sides."""

from datetime import UTC, datetime

import pytest
from alembic import command
from sqlalchemy import MetaData, Table, select

from plusmv.db import migrate

pytestmark = pytest.mark.postgres

MOMENT = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
VALUES = {int: 1, float: 0.5, bool: True, datetime: MOMENT, bytes: b"\0\1", dict: ["a"]}


@pytest.fixture
def old(catalog):
    """A catalog as the first migration left it, and its tables."""
    migrate.downgrade(catalog.engine)
    with migrate._alone(catalog.engine) as connection:
        command.upgrade(migrate._config(connection), "0001")
    tables = MetaData()
    tables.reflect(catalog.engine)
    return catalog.engine, [table for table in tables.sorted_tables if table.name != "alembic_version"]


def a_row(table) -> dict:
    """A value in every column, but for what must be one of a few words."""
    row = {column.name: VALUES.get(column.type.python_type, f"{column.name}"[:8]) for column in table.columns}
    return row | {name: None for name in row if name == "undoes_id"}


def test_rows_of_the_first_schema_outlive_the_migrations(old):
    engine, tables = old
    with engine.begin() as connection:
        for table in tables:
            connection.execute(table.insert(), a_row(table))
        before = {table.name: connection.execute(select(table)).mappings().one() for table in tables}
    migrate.upgrade(engine)
    assert migrate.drift(engine) == []
    with engine.connect() as connection:
        for table in tables:
            assert connection.execute(select(table)).mappings().one() == before[table.name]
        if engine.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


REASONS = {  # stored by earlier versions -> state, code, limit
    "lasts 0.40 s, under the limit of 1.0 s": ("filtered", "too-short", 1.0),
    "lasts 90.00 s, over the limit of 15.0 s": ("filtered", "too-long", 15.0),
    "has more than 5.1 MB, over the limit of 5 MB": ("filtered", "too-large", 5e6),
    "its name has no video's suffix; name it in a manifest to take it": ("filtered", "not-video", None),
    "is image, no single video": ("filtered", "not-video", None),
    "'file:///etc/passwd' is refused: only http and https links are followed": ("failed", "refused", None),
    "vod.dmcdn.net answers 500 Internal Server Error": ("failed", "no-answer", None),
    "the link to the media answers 403": ("failed", "link-expired", None),
    "a link leads out of the folder; copy the file into it": ("failed", "outside-folder", None),
    "the file has another content now, or the folder is another": ("gone", "changed", None),
    "Video not found or has been deleted": ("gone", "deleted", None),
    "a sentence of nobody": ("failed", "other", None),
}


def test_stored_sentences_get_their_codes(catalog):
    """Migrated from sentences to codes, and back without a loss."""
    engine = catalog.engine
    migrate.downgrade(engine, "0006")
    posts = Table("posts", MetaData(), autoload_with=engine)
    plain = {"identity": "", "caption": "", "licence": "unknown", "found_at": MOMENT, "retryable": False}
    with engine.begin() as connection:
        for number, (reason, (state, _, _)) in enumerate(REASONS.items(), start=1):
            about = {"id": number, "platform": "x", "platform_id": str(number), "state": state, "reason": reason}
            connection.execute(posts.insert(), plain | about)
    migrate.upgrade(engine)
    assert migrate.drift(engine) == []
    posts = Table("posts", MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        columns = (posts.c.reason, posts.c.state, posts.c.reason_code, posts.c.reason_limit)
        assert {row[0]: tuple(row[1:]) for row in connection.execute(select(*columns))} == REASONS
    migrate.downgrade(engine, "0006")
    with engine.connect() as connection:
        assert set(connection.scalars(select(posts.c.reason))) == set(REASONS)
