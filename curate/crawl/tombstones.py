"""Tombstones: what was taken down and must not come back, known by keyed hashes alone.

A tombstone is of a url, a post, an uploader or a content. Its keyed hash (core.workspace.Workspace.keyed_hash) says
nothing to who lacks the workspace's key; a crawl hashes what it finds and looks whether it is tombstoned.
"""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from plusmv.core.workspace import Workspace
from plusmv.curate.crawl.letter_case import post_name, uploader_name
from plusmv.curate.sources.base import FoundPost, PostKey
from plusmv.db.models import Tombstone, now

SQL_IN_LIMIT = 500  # values in one IN (...)
TombstoneKey = tuple[str, str]  # (kind, what is hashed), such as ("uploader", "instagram:42")


def canonical_url(url: str) -> str:
    """A URL as tombstones know it: host in lower case without "www.", no scheme, fragment or closing slash."""
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return url.strip()
    return f"{host}{parts.path.rstrip('/')}" + (f"?{parts.query}" if parts.query else "")


def tombstone_keys(post: FoundPost, sha256: str | None = None) -> list[TombstoneKey]:
    """All that a post may be tombstoned under. Ids count with and without their platform,
    in any letter case where their platform ignores it.
    """
    ids = [f"{post.platform}:{post.platform_id}", post.platform_id]
    if post.origin:
        ids += [post.origin, post.origin.partition(":")[2]]
    ids += [post_name(name) for name in ids]
    names = [("post", name) for name in dict.fromkeys(ids) if name]
    if post.uploader:
        same = uploader_name(post.uploader)
        full = (post.uploader, same, same.replace(":@", ":", 1))
        names += [("uploader", form) for name in full for form in (name, name.partition(":")[2])]
    if post.url:
        names.append(("url", canonical_url(post.url)))
    return names + ([("sha256", sha256)] if sha256 else [])


def tombstoned(
    session: Session, workspace: Workspace, posts: Sequence[FoundPost], contents: Mapping[PostKey, str] | None = None
) -> set[PostKey]:
    """Keys of those posts that are taken down, by what they are or by their content ({key: sha256})."""
    if session.scalar(select(Tombstone.id).limit(1)) is None:
        return set()
    keys: dict[TombstoneKey, set[PostKey]] = {}
    for post in posts:
        for kind, name in tombstone_keys(post, (contents or {}).get(post.key)):
            keys.setdefault((kind, keyed(workspace, kind, name)), set()).add(post.key)
    hashes = sorted({keyed_hash for _, keyed_hash in keys})
    dead: set[PostKey] = set()
    for start in range(0, len(hashes), SQL_IN_LIMIT):
        some = Tombstone.keyed_hash.in_(hashes[start : start + SQL_IN_LIMIT])
        for row in session.execute(select(Tombstone.kind, Tombstone.keyed_hash).where(some)):
            dead |= keys.get((row.kind, row.keyed_hash), set())
    return dead


def add_tombstones(session: Session, workspace: Workspace, names: Iterable[TombstoneKey], reason: str) -> int:
    """Set the tombstones that are not there yet. Returns how many."""
    rows = {(kind, keyed(workspace, kind, name)) for kind, name in names}
    present = {tuple(row) for row in session.execute(select(Tombstone.kind, Tombstone.keyed_hash))}
    new = [{"kind": kind, "keyed_hash": keyed_hash, "reason": reason, "buried_at": now()}
           for kind, keyed_hash in sorted(rows - present)]  # fmt: skip
    if new:
        session.execute(insert(Tombstone), new)
    return len(new)


def keyed(workspace: Workspace, kind: str, name: str) -> str:
    """A tombstone's hash. The kind is hashed too, so that it cannot be compared with the hash of an uploader's post."""
    return workspace.keyed_hash(f"tombstone:{kind}:{name}")
