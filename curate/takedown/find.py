"""What a takedown is of: from the url, post, uploader or sha256 to posts, to clips, and to what names them.

An id, link or content that a post which stays has too is that post's as well: it is neither tombstoned nor removed.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, or_, select
from sqlalchemy.orm import Session

from plusmv.core.text import bounded_line, printable
from plusmv.core.workspace import Workspace
from plusmv.curate.crawl.letter_case import post_name, uploader_name
from plusmv.curate.crawl.tombstones import TombstoneKey, canonical_url
from plusmv.curate.sources.registry import known_platforms
from plusmv.curate.takedown.links import parsed, plain, post_of
from plusmv.curate.takedown.names import contents_here
from plusmv.curate.takedown.subject import Subject
from plusmv.db.models import Clip, Post, Tombstone
from plusmv.db.taken_down import keyed

Kind = Literal["url", "post", "uploader", "sha256"]
SQL_IN_LIMIT = 500
READ_AT_ONCE = 5000  # rows
COLUMNS = (
    Post.id,
    Post.platform,
    Post.platform_id,
    Post.identity,
    Post.origin,
    Post.url,
    Post.clip_id,
    Post.uploader_hash,
)
PostRow = Row[*tuple[Any, ...]]


@dataclass
class Found:
    """What a request concerns: rows of the catalog, what is tombstoned, and what must be found nowhere."""

    tombstones: list[TombstoneKey]
    posts: list[int] = field(default_factory=list)
    clips: dict[int, str] = field(default_factory=dict)  # those that go: id -> sha256
    kept: list[int] = field(default_factory=list)  # clips that other posts hold
    behind: set[str] = field(default_factory=set)  # contents taken down before, of which files are still here
    subject: Subject = field(default_factory=Subject)


def find(session: Session, workspace: Workspace, kind: Kind, value: str) -> Found:
    """What the catalog knows of a request. The subject is empty where it knows nothing, but for a content."""
    found = Found(_given(kind, value))
    uploaders = _uploader_forms(session, workspace, value) if kind == "uploader" else {}
    rows = list(_concerned(session, kind, value, uploaders))
    found.posts = [row.id for row in rows]
    _find_clips(session, found, {row.clip_id for row in rows if row.clip_id is not None})
    if kind == "sha256":
        found.subject.contents.add(value)
        found.clips |= {
            row.id: row.sha256 for row in session.execute(select(Clip.id, Clip.sha256).where(Clip.sha256 == value))
        }
    for name in {uploaders[row.uploader_hash] for row in rows if row.uploader_hash in uploaders}:
        platform, _, who = name.partition(":")
        found.subject.uploaders.add(platform, who.removeprefix("@"))
        found.tombstones.append(("uploader", uploader_name(name.replace(":@", ":", 1))))
    for row in rows:
        _add_row(found.subject, row)
    if rows:
        _leave_to_others(session, found.subject, set(found.posts))
    found.tombstones += list(_tombstones(found.subject, rows))
    found.behind = _left_behind(session, workspace)
    found.subject.contents |= {*found.clips.values(), *found.behind}
    found.tombstones += [("sha256", sha256) for sha256 in found.subject.contents]
    return found


def _left_behind(session: Session, workspace: Workspace) -> set[str]:
    """Contents here that were taken down in another workspace of the same catalog: it has forgotten whose they were."""
    hashed = {keyed(workspace, "sha256", content): content for content in contents_here(workspace)}
    dead: set[str] = set()
    for some in _parts(sorted(hashed)):
        buried = select(Tombstone.keyed_hash).where(Tombstone.kind == "sha256", Tombstone.keyed_hash.in_(some))
        dead |= {hashed[name] for name in session.scalars(buried)}
    for some in _parts(sorted(dead)):
        dead -= set(session.scalars(select(Clip.sha256).where(Clip.sha256.in_(some))))
    return dead


def _given(kind: Kind, value: str) -> list[TombstoneKey]:
    """What is tombstoned of a request whatever is known of it."""
    if kind == "url":
        known = post_of(value)
        return [("url", canonical_url(value)), ("url", plain(value)), *([("post", known)] if known else [])]
    names = [value, bounded_line(value, 500), printable(value, 500)]
    if kind == "post":
        names.append(post_name(value))
    if kind == "uploader":  # an id without its platform may be one that its platform spells in lower case
        names += [uploader_name(value), uploader_name(value.replace(":@", ":", 1))]
        names += [] if ":" in value else [value.removeprefix("@"), value.removeprefix("@").casefold()]
    return [(kind, name) for name in dict.fromkeys(names) if name]


def _concerned(session: Session, kind: Kind, value: str, uploaders: dict[str, str]) -> Iterator[PostRow]:
    """The posts that a request is of."""
    if kind == "uploader":
        for some in _parts(sorted(uploaders)):
            yield from session.execute(select(*COLUMNS).where(Post.uploader_hash.in_(some)))
    elif kind == "sha256":
        yield from session.execute(select(*COLUMNS).join(Clip).where(Clip.sha256 == value))
    else:
        candidates, is_one = _by_url(value) if kind == "url" else _by_id(value)
        wanted = select(*COLUMNS).where(candidates).execution_options(yield_per=READ_AT_ONCE)
        yield from filter(is_one, session.execute(wanted))


def _by_id(value: str) -> tuple[ColumnElement[bool], Callable[[PostRow], bool]]:
    """(a condition that every post meets which is meant, whether one is). An id may itself have a colon in it."""
    names = list(
        dict.fromkeys((bounded_line(value, 500), printable(value, 500)))
    )  # as platforms' ids are kept, and paths

    def is_one(row: PostRow) -> bool:
        pairs = [(row.platform, row.platform_id), *([_split(row.origin)] if row.origin else [])]
        full = {post_name(form) for name in names for form in (name, *(f"{platform}:{name}" for platform, _ in pairs))}
        return any(post_name(f"{platform}:{who}") in full for platform, who in pairs)

    columns = Post.platform_id, Post.origin
    tails = {tail for name in names for tail in (name, name.partition(":")[2]) if tail}
    return or_(*(column.iendswith(tail, autoescape=True) for tail in tails for column in columns)), is_one


def _by_url(value: str) -> tuple[ColumnElement[bool], Callable[[PostRow], bool]]:
    """As _by_id: the same link but for what sharing adds to it, or another form of a link to the post."""
    given, known = plain(value), post_of(value)
    name = known.partition(":")[2] if known else re.split(r"[/?]", given.rstrip("/"))[-1]

    full = post_name(known or "")

    def is_one(row: PostRow) -> bool:
        if row.url and plain(row.url) == given:
            return True
        names = {f"{row.platform}:{row.platform_id}", row.origin or ""}
        return bool(full) and full in set(map(post_name, names))

    columns = (Post.url, Post.platform_id, Post.origin)
    return or_(*(column.icontains(name, autoescape=True) for column in columns)), is_one


def _uploader_forms(session: Session, workspace: Workspace, value: str) -> dict[str, str]:
    """{keyed hash: "platform:id"} of all that an uploader's id may be stored as, of rows of earlier versions too."""
    origins = session.scalars(select(Post.origin).where(Post.origin.is_not(None)).distinct())
    platforms = {origin.partition(":")[0] for origin in origins if origin}
    platforms |= {*known_platforms(), "", *session.scalars(select(Post.platform).distinct())}
    spelled = {value, value.casefold(), value.lower(), value.upper()}
    spelled |= {name.removeprefix("@") for name in spelled} | {f"@{name}" for name in spelled}
    forms = {form for name in spelled for form in (name, *(f"{platform}:{name}" for platform in platforms))}
    platform, colon, who = value.partition(":")
    if colon:
        forms |= {f"{p}:{w}" for p in (platform, platform.casefold(), platform.capitalize())
                  for w in (who, who.casefold(), who.lower(), who.upper(), who.removeprefix("@"))}  # fmt: skip
    forms |= {uploader_name(form) for form in forms}
    meant = {uploader_name(name) for name in (value, value.replace(":@", ":", 1))}
    meant |= {uploader_name(f"{p}:{name}") for p in platforms for name in (value, value.removeprefix("@"))}
    same = (form for form in forms if uploader_name(form.replace(":@", ":", 1)) in meant or form == value)
    return {workspace.keyed_hash(form): form for form in same}


def _add_row(subject: Subject, row: PostRow) -> None:
    subject.posts.add(row.platform, row.platform_id)
    if row.origin:
        subject.posts.add(*_split(row.origin))
    if row.url:
        subject.links.add(plain(row.url))


def _leave_to_others(session: Session, subject: Subject, posts: set[int]) -> None:
    """Take from the subject what posts that stay have too; their links to it are theirs."""
    words = {name for _, name in subject.posts} | {
        re.split(r"[/?&=#]+", link.rstrip("/"))[-1] for link in subject.links
    }
    columns = (Post.id, Post.platform, Post.platform_id, Post.origin, Post.url)
    for row in session.execute(select(*columns).execution_options(yield_per=READ_AT_ONCE)):
        if row.id in posts:
            continue
        if subject.posts.has(row.platform_id, row.platform):
            subject.posts.discard(row.platform, row.platform_id)
        if row.origin and subject.posts.has_full(row.origin):
            subject.posts.discard(*_split(row.origin))
        if row.url and not words.isdisjoint(re.split(r"[/?&=#]+", row.url)):
            link = parsed(row.url)
            subject.links.discard(plain(row.url))
            if link is not None and subject.links_to(link):
                subject.others.add(link.canonical)


def _tombstones(subject: Subject, rows: Iterable[PostRow]) -> Iterator[TombstoneKey]:
    """What posts are tombstoned under besides what was asked for. A path in a folder may be others' id too."""
    for row in rows:
        if not row.identity and subject.posts.has(row.platform_id, row.platform):
            yield "post", post_name(f"{row.platform}:{row.platform_id}")
        if row.origin and subject.posts.has_full(row.origin):
            yield "post", row.origin
            yield "post", post_name(row.origin)
        if row.url and plain(row.url) in subject.links:
            yield "url", canonical_url(row.url)


def _find_clips(session: Session, found: Found, clips: set[int]) -> None:
    """Of the posts' clips those that no other post holds go."""
    gone = set(found.posts)
    for some in _parts(sorted(clips)):
        others = select(Post.clip_id, Post.id).where(Post.clip_id.in_(some))
        held = {row.clip_id for row in session.execute(others) if row.id not in gone}
        found.kept += sorted(set(some) & held)
        going = session.execute(select(Clip.id, Clip.sha256).where(Clip.id.in_(set(some) - held)))
        found.clips |= {row.id: row.sha256 for row in going}


def _split(name: str) -> tuple[str, str]:
    platform, _, rest = name.partition(":")
    return platform, rest


def _parts(ids: Sequence[Any]) -> Iterator[list[Any]]:
    return (list(ids[start : start + SQL_IN_LIMIT]) for start in range(0, len(ids), SQL_IN_LIMIT))
