"""The catalog's rows without a takedown's subject: its own go with all that refers to them, others lose what names it.

Which columns may name it is said in db.models (db.people.holds); each of them is read once, whatever is taken down.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import JSON, Column, Table, Text, cast, delete, select, update
from sqlalchemy.orm import Session

from plusmv.core.workspace import Workspace
from plusmv.curate.crawl.tombstones import keyed
from plusmv.curate.takedown import records
from plusmv.curate.takedown.records import Gone, Place
from plusmv.curate.takedown.subject import Field, Subject
from plusmv.db.models import TAKEN_DOWN, Base, Clip, Decision, Export, Post
from plusmv.db.people import SEARCHED, held_by

SQL_IN_LIMIT = 500
READ_AT_ONCE = 5000  # rows


def remove_rows(
    session: Session, workspace: Workspace, posts: Sequence[int], clips: Sequence[int], kept: Sequence[int], of: Subject
) -> None:
    """Delete posts and clips by id; words of decisions on clips that others hold are emptied, exports lose contents."""
    for some in _parts(posts):
        delete_with_referrers(session, Post.metadata.tables["posts"], some)
    for some in _parts(kept):
        session.execute(update(Decision).where(Decision.clip_id.in_(some)).values(reason=""))
    _unlist(session, workspace, of.contents)
    for some in _parts(clips):
        delete_with_referrers(session, Clip.metadata.tables["clips"], some)


def delete_with_referrers(session: Session, table: Table, ids: Iterable[Any]) -> None:
    """Delete rows by id, and first every row of any table that refers to them, however many steps away."""
    for some in _parts(sorted(ids)):
        for other in Base.metadata.sorted_tables:
            for column in other.columns:
                if any(key.column.table is table for key in column.foreign_keys):
                    _delete_referring(session, other, column, some)
        session.execute(delete(table).where(table.c.id.in_(some)))


def clean_rows(session: Session, subject: Subject) -> None:
    """Rid the columns that may name anybody of the subject."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            held = held_by(column) or frozenset()
            if held & SEARCHED and column.name != "id":
                _clean_column(session, table, column, _cleaner(column, subject))


def _delete_referring(session: Session, table: Table, column: Column[Any], ids: Sequence[Any]) -> None:
    if "id" not in table.c:  # a table whose key is what it refers to: nothing refers to it
        session.execute(delete(table).where(column.in_(ids)))
        return
    found = set(session.scalars(select(table.c.id).where(column.in_(ids))))
    if column.table is table and any(key.column.table is table for key in column.foreign_keys):
        found -= set(ids)
    if found:
        delete_with_referrers(session, table, found)


def _clean_column(session: Session, table: Table, column: Column[Any], clean: Callable[[Any], Any]) -> None:
    """Read a column once, in parts, and write the values that change."""
    keys = list(table.primary_key.columns)
    text = cast(column, Text) if isinstance(column.type, JSON) else column
    wanted = select(*keys, text).where(text.is_not(None), text != "").execution_options(yield_per=READ_AT_ONCE)
    changed = [(row[:-1], left) for row in session.execute(wanted) if (left := clean(row[-1])) is not row[-1]]
    for key, left in changed:
        of_row = (name == value for name, value in zip(keys, key, strict=True))
        session.execute(update(table).where(*of_row).values({column: left}))


def _cleaner(column: Column[Any], subject: Subject) -> Callable[[Any], Any]:
    """What a value of the column is without the subject: the very same where nothing names it."""
    held = held_by(column) or frozenset()
    if not held & {"search", "metadata"}:
        return lambda text: _words(text, subject, column)
    if "search" in held:  # a row for each run of a crawl
        search = _search if isinstance(column.type, JSON) else _search_text
        return lambda text: search(text, subject)
    may_name = subject.quick_look()
    return lambda text: _metadata(text, subject) if may_name(text) else text


def _words(text: str, subject: Subject, column: Column[Any]) -> str:
    return records.caption(text, subject) if column.name == "caption" else subject.cut_from(text)


def _search_text(text: str, subject: Subject) -> str:
    """A search as JSON text; it is empty where it named nothing but the subject."""
    try:
        searched = json.loads(text)
    except (ValueError, RecursionError):
        searched = text
    left = _left(searched, subject, Field.SEARCH)
    return text if left is searched else json.dumps(left, sort_keys=True) if left is not None else ""


def _search(text: str, subject: Subject) -> Any:
    """A cursor that names the subject goes as a whole: its search begins anew."""
    value = json.loads(text)
    return text if _left(value, subject, Field.SEARCH) is value else None


def _metadata(text: str, subject: Subject) -> Any:
    value = json.loads(text)
    left = _left(value, subject, Field.OTHER)
    return text if left is value else left


def _left(value: Any, subject: Subject, held: Field) -> Any:
    try:
        return records.without(value, subject, Place(held))
    except Gone:
        return None


def _unlist(session: Session, workspace: Workspace, contents: set[str]) -> None:
    """In the lists of what was exported a tombstone stands in a content's place: the next export says that it left."""
    for export in session.scalars(select(Export)) if contents else ():
        if contents.intersection(export.clips):
            export.clips = [
                f"{TAKEN_DOWN}{keyed(workspace, 'sha256', clip)}" if clip in contents else clip for clip in export.clips
            ]


def _parts(ids: Sequence[Any]) -> Iterator[list[Any]]:
    return (list(ids[start : start + SQL_IN_LIMIT]) for start in range(0, len(ids), SQL_IN_LIMIT))
