"""What the catalog's tables are made of: their base, ids, UTC times, choices, and the state that files share."""

import enum
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime, Enum, Integer, MetaData, TypeDecorator
from sqlalchemy.orm import DeclarativeBase

from plusmv.core.errors import PlusmvError

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC datetimes on both sides; SQLite itself would give naive ones back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        if value is None or value.tzinfo is UTC:
            return value
        if value.tzinfo is None:
            raise ValueError(f"a naive datetime reached the catalog: {value}")
        return value.astimezone(UTC)

    def process_result_value(self, value, dialect):
        return value and (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))

    def result_processor(self, dialect, coltype):
        return _read_by(super().result_processor(dialect, coltype))


class Choice(Enum):
    """One of a few words."""

    cache_ok = True

    def result_processor(self, dialect, coltype):
        return _read_by(super().result_processor(dialect, coltype))


def _read_by(process: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    """The same, but what cannot be read is one line: bytes of the catalog's file are others than were written."""

    def read(value: Any) -> Any:
        try:
            return process(value) if process else value
        except (ValueError, LookupError) as error:
            raise PlusmvError(f"the catalog is damaged ({value!r:.80} in it); restore it from a backup") from error

    return process and read


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)


class FileState(enum.StrEnum):
    """Whether a clip decodes, or a feature file was made; FAILED comes with a reason."""

    DONE = "done"
    FAILED = "failed"


def choice(kind: type[enum.StrEnum]) -> Enum:
    """A column that holds one of the words of `kind`."""
    return Choice(kind, native_enum=False, length=16, values_callable=lambda members: [m.value for m in members])


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {datetime: UtcDateTime}


Id = BigInteger().with_variant(Integer, "sqlite")
