"""Migrations over a catalog that has rows: one in every table of the first schema outlives them all, on both sides."""

from datetime import UTC, datetime

import pytest
from alembic import command
from sqlalchemy import MetaData, select

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
