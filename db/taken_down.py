"""What may have been taken down while a command worked on it: whoever writes looks again in the transaction of its row.

A takedown first writes its tombstones, then removes files, then rows. A writer that finds its content still there in a
transaction may write the file and the row within it: a takedown that comes later finds both. SQLite has one writing
transaction at a time; on PostgreSQL a lock on the tombstones keeps the two apart.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from plusmv.core.workspace import Workspace
from plusmv.db.key_check import key_fits
from plusmv.db.models import Clip, Tombstone

SQL_IN_LIMIT = 500  # values in one IN (...)


def shut_out_takedowns(session: Session) -> None:
    """Until this transaction ends no takedown writes; one that does is waited for. Other writers may go on."""
    _lock(session, "SHARE")


def shut_out_writers(session: Session) -> None:
    """For a takedown: until this transaction ends nobody writes who looks whether its content is still there."""
    _lock(session, "EXCLUSIVE")


def unchanged(session: Session, contents: Mapping[int, str]) -> set[int]:
    """Those of these clips ({id: sha256}) that the catalog has, until this transaction ends: for who writes rows.

    An id alone does not tell: SQLite gives that of a clip that is gone to the next.
    """
    there = _clips(session, contents.values())
    return {clip_id for clip_id, sha256 in contents.items() if there.get(sha256) == clip_id}


def still_there(session: Session, workspace: Workspace, contents: Collection[str]) -> dict[str, int]:
    """{sha256: clip id} of those of these contents that the catalog has and no takedown is about: for who writes files.

    Without the catalog's key (db.key_check) the latter cannot be told, but then no takedown runs in this workspace.
    """
    there = _clips(session, contents)
    of_contents = Tombstone.kind == "sha256"
    if session.scalar(select(Tombstone.id).where(of_contents).limit(1)) is None or not key_fits(session, workspace):
        return there
    hashed = {keyed(workspace, "sha256", sha256): sha256 for sha256 in there}
    for some in _parts(hashed):
        for dead in session.scalars(select(Tombstone.keyed_hash).where(of_contents, Tombstone.keyed_hash.in_(some))):
            there.pop(hashed[dead], None)
    return there


def keyed(workspace: Workspace, kind: str, name: str) -> str:
    """A tombstone's hash. The kind is hashed too, so that it cannot be compared with the hash of an uploader's post."""
    return workspace.keyed_hash(f"tombstone:{kind}:{name}")


def _clips(session: Session, contents: Iterable[str]) -> dict[str, int]:
    shut_out_takedowns(session)
    there: dict[str, int] = {}
    for some in _parts(contents):
        there |= dict(session.execute(select(Clip.sha256, Clip.id).where(Clip.sha256.in_(some))).all())
    return there


def _lock(session: Session, mode: str) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"LOCK TABLE tombstones IN {mode} MODE"))


def _parts(values: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(values)
    return (ordered[start : start + SQL_IN_LIMIT] for start in range(0, len(ordered), SQL_IN_LIMIT))
