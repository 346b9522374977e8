"""Whether a workspace's uploader.key is the one under which its catalog has hashed people and what was taken down.

A catalog keeps what its key makes of a constant. A new one gets a key, where its workspace has none, and keeps that
from the start. One of an earlier version keeps it for the first key that it is opened with, for it cannot tell; no key
is made for it where anything in it was hashed. From then on a key that is missing, cut short or another one is an error
of the commands that need it, and no new one is made: under it the next crawl would know no tombstone.
"""

import hmac
from typing import TYPE_CHECKING

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from plusmv.core.errors import BadInput, PlusmvError
from plusmv.core.workspace import RESTORE, Workspace
from plusmv.db.models import KeyCheck, Lease, Post, QuotaUse, Tombstone
from plusmv.db.queries import add_if_new

if TYPE_CHECKING:
    from plusmv.db.session import Catalog

ONLY = 1  # the id of the one row
CONSTANT = "plusmv key check"


def bind_key(catalog: "Catalog", workspace: Workspace) -> None:
    """Keep the check of the workspace's key in a catalog that has none; a new catalog's key is made where it lacks."""
    with catalog.reading() as session:
        if session.get(KeyCheck, ONLY) is not None:
            return
        if not _has_hashes(session):
            workspace.make_key()
    try:
        check = _check(workspace)
    except PlusmvError:  # for the commands that need the key
        return
    with catalog.writing() as session:
        if session.get(KeyCheck, ONLY) is None:
            add_if_new(session, KeyCheck(id=ONLY, value=check))


def require_key(session: Session, workspace: Workspace) -> None:
    """Raise Missing or BadInput where the workspace's key is not there, no key, or not this catalog's."""
    check, kept = _check(workspace), session.get(KeyCheck, ONLY)
    if kept is not None and not hmac.compare_digest(kept.value, check):
        raise BadInput(f"{workspace.key_file} is not the key of this catalog; {RESTORE}")


def key_fits(session: Session, workspace: Workspace) -> bool:
    """Whether `require_key` would raise nothing."""
    try:
        require_key(session, workspace)
    except PlusmvError:
        return False
    return True


def _check(workspace: Workspace) -> bytes:
    return bytes.fromhex(workspace.keyed_hash(CONSTANT))


def _has_hashes(session: Session) -> bool:
    people = select(Post.id).where(Post.uploader_hash.is_not(None))
    tables = (select(Tombstone.id), people, select(Lease.name), select(QuotaUse.id))
    return bool(session.scalar(select(or_(*map(exists, tables)))))
