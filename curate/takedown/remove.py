"""Takedown: what somebody wants gone goes everywhere, and a tombstone sees to it that no crawl brings it back.

First the tombstones, then files, then rows, then freed pages: killed in between, the same command again finishes. A
post's media stay while another post that was not named holds them. What is searched for afterwards, over the whole
workspace, is found nowhere; the tombstone itself is a keyed hash (curate.crawl.tombstones).
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict

from safetensors import SafetensorError, safe_open
from sqlalchemy import ColumnElement, Row, String, Text, cast, delete, or_, select, text, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from plusmv.core.errors import BadInput, PlusmvError
from plusmv.core.text import bounded_line
from plusmv.core.workspace import SHA256, Workspace
from plusmv.curate.crawl.tombstones import TombstoneKey, add_tombstones, canonical_url, keyed
from plusmv.curate.sources.registry import known_platforms
from plusmv.curate.takedown.scrub import Word, cut_from, scrub, without, words_of
from plusmv.db.models import (
    TAKEN_DOWN,
    Base,
    Clip,
    CrawlRun,
    Decision,
    Export,
    FeatureFile,
    Fingerprint,
    Post,
    Sighting,
    Tombstone,
)
from plusmv.db.session import Catalog
from plusmv.db.taken_down import shut_out_writers
from plusmv.features import shards

KINDS = ("url", "post", "uploader", "sha256")
SQL_IN_LIMIT = 500
HASH_FILES = ("hashes.bin", "hashes.tables")  # curate.duplicates.hash_store
FREE_TEXT = (  # columns in which people and programs write what they like
    Post.caption,
    Post.reason,
    Post.raw,
    Decision.reason,
    Clip.error,
    Fingerprint.error,
    FeatureFile.error,
    CrawlRun.cursor,
    Tombstone.reason,
)


@dataclass
class _Concerned:
    """What a request concerns."""

    posts: list[int] = field(default_factory=list)
    clips: dict[int, tuple[str, str]] = field(default_factory=dict)  # those that go: id -> sha256, suffix
    kept: list[int] = field(default_factory=list)  # clips that other posts hold
    names: list[TombstoneKey] = field(default_factory=list)  # what is tombstoned
    words: set[str] = field(default_factory=set)  # what must be found nowhere


class TakedownResult(TypedDict):
    """What `plusmv takedown --json` prints."""

    posts: int
    clips: int
    clips_kept: int  # that other posts hold
    tombstones: int  # new ones
    removed: list[str]  # files, relative to the workspace
    rewritten: list[str]
    checkpoints: list[str]  # runs that were, or may have been, trained on it


def take_down(
    catalog: Catalog,
    workspace: Workspace,
    kind: str,
    value: str,
    reason: str = "",
    warn: Callable[[str], None] = lambda text: None,
) -> TakedownResult:
    """Remove everything of a url, post, uploader or sha256.

    value: a post or an uploader is an id, or platform:id. Checkpoints are left. Raises BadInput for an invalid value.
    """
    value = _checked(kind, value)
    with catalog.writing() as session:
        shut_out_writers(session)
        found = _find(session, workspace, kind, value)
        tombstones = add_tombstones(
            session, workspace, found.names, "" if value in reason else bounded_line(reason, 500)
        )
    checkpoints = _trained_on(catalog, workspace, [sha256 for sha256, _ in found.clips.values()])
    removed = list(_remove_files(workspace, found.clips.values()))
    words = words_of(found.words)
    files = scrub(workspace, words)
    with catalog.writing() as session:
        shut_out_writers(session)
        _remove_rows(session, workspace, found)
        _remove_words(session, words)
    if not overwrite_freed(catalog):
        warn("the catalog is in use: freed pages are not overwritten yet; run the same command when nothing else runs")
    return {
        "posts": len(found.posts),
        "clips": len(found.clips),
        "clips_kept": len(found.kept),
        "tombstones": tombstones,
        "removed": sorted({*removed, *files["removed"]}),
        "rewritten": files["rewritten"],
        "checkpoints": checkpoints,
    }


def overwrite_freed(catalog: Catalog, seconds: float = 10.0) -> bool:
    """Rebuild the catalog's file so that nothing deleted is left in it. False where somebody else keeps it busy."""
    if catalog.engine.dialect.name == "postgresql":
        tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
        with catalog.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"VACUUM (FULL) {tables}"))
        return True
    deadline = time.monotonic() + seconds
    pooled = catalog.engine.raw_connection()
    sqlite: Any = pooled.driver_connection
    try:
        sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        sqlite.execute("VACUUM")
        while sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True
    except Exception as error:
        raise PlusmvError(
            f"cannot overwrite the catalog's freed pages ({error}); run the same command again"
        ) from error
    finally:
        pooled.close()


def _checked(kind: str, value: str) -> str:
    value = value.strip()
    if kind == "sha256":
        value = value.casefold()
        if not SHA256.fullmatch(value):
            raise BadInput("--sha256 takes the 64 hex digits that a clip is known by")
    if not value or not value.isprintable() or len(value) > 2000:
        raise BadInput(f"--{kind} needs the {kind} to take down")
    return value


def _find(session: Session, workspace: Workspace, kind: str, value: str) -> _Concerned:
    found = _Concerned(names=[(kind, canonical_url(value) if kind == "url" else value)], words={value})
    columns = (Post.id, Post.platform, Post.platform_id, Post.identity, Post.origin, Post.url, Post.clip_id)
    rows = session.execute(select(*columns).where(_is_concerned(session, workspace, kind, value))).all()
    if kind == "url":
        rows = [row for row in rows if canonical_url(row.url) == canonical_url(value)]
        found.words |= {canonical_url(value)}
    platforms = known_platforms()
    for row in rows:
        found.posts.append(row.id)
        found.names += _names_of_row(row)
        found.words |= {row.platform_id, *filter(None, (row.origin, row.url))}
        found.words |= {part for part in (row.origin or "").split(":", 1) if part and part not in platforms}
    if kind in ("post", "uploader") and ":" in value:
        found.words.add(value.partition(":")[2])
    _find_clips(session, found, {row.clip_id for row in rows if row.clip_id})
    if kind == "sha256":
        for clip in session.scalars(select(Clip).where(Clip.sha256 == value)):
            found.clips[clip.id] = (clip.sha256, clip.suffix)
    found.names += [("sha256", sha256) for sha256, _ in found.clips.values()]
    found.words |= {sha256 for sha256, _ in found.clips.values()}
    return found


def _is_concerned(session: Session, workspace: Workspace, kind: str, value: str) -> ColumnElement[bool]:
    """Which posts a request is about, as a condition."""
    if kind == "url":
        tail = canonical_url(value).rpartition("/")[2] or canonical_url(value)
        return Post.url.contains(tail, autoescape=True)
    if kind == "sha256":
        return Post.clip_id.in_(select(Clip.id).where(Clip.sha256 == value))
    if kind == "post":
        platform, _, name = value.partition(":")
        named = (Post.platform == platform) & (Post.platform_id == name)
        return or_(Post.platform_id == value, Post.origin == value, named,
                   Post.origin.endswith(f":{value}", autoescape=True))  # fmt: skip
    origins = session.scalars(select(Post.origin).where(Post.origin.is_not(None)).distinct())
    platforms = {origin.partition(":")[0] for origin in origins if origin}
    platforms |= {*known_platforms(), "", *session.scalars(select(Post.platform).distinct())}
    forms = {
        value,
        *(f"{platform}:{value.lstrip('@')}" for platform in platforms),
        *(f"{p}:{value}" for p in platforms),
    }
    return Post.uploader_hash.in_({workspace.keyed_hash(form) for form in forms})


def _names_of_row(row: Row[*tuple[Any, ...]]) -> Iterator[TombstoneKey]:
    """What a post is tombstoned under besides what was asked for. A path in a folder may be others' id too."""
    if not row.identity:
        yield "post", f"{row.platform}:{row.platform_id}"
    if row.origin:
        yield "post", row.origin
    if row.url:
        yield "url", canonical_url(row.url)


def _find_clips(session: Session, found: _Concerned, clips: set[int]) -> None:
    """Of the posts' clips those that no other post holds go."""
    gone = set(found.posts)
    for clip_id in sorted(clips):
        if set(session.scalars(select(Post.id).where(Post.clip_id == clip_id))) - gone:
            found.kept.append(clip_id)
        else:
            row = session.get_one(Clip, clip_id)
            found.clips[clip_id] = (row.sha256, row.suffix)


def _remove_files(workspace: Workspace, clips: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Media, previews, features and the array of hashes. Names are given back without the content's address."""
    clips = list(clips)
    for name in HASH_FILES if clips else ():  # made again from the catalog by the next dedup
        if (workspace.home / name).is_file():
            (workspace.home / name).unlink()
            yield name
    for sha256, suffix in clips:
        beside = [workspace.media(sha256, suffix), workspace.preview(sha256)]
        for folder in ("media", "previews"):
            beside += (workspace.home / folder / sha256[:2]).glob(f"*{sha256}*")
        beside += workspace.features.rglob(f"*{sha256}*")
        for path in dict.fromkeys(beside):
            if path.is_file():
                path.unlink(missing_ok=True)
                yield path.relative_to(workspace.home).as_posix().replace(sha256, "...").replace(f"/{sha256[:2]}/", "/")
    if packed := shards.remove(workspace.features, [sha256 for sha256, _ in clips]):  # after the files that are packed
        yield f"{workspace.features.name}/{shards.FOLDER} ({len(packed)} clips)"


def _remove_rows(session: Session, workspace: Workspace, found: _Concerned) -> None:
    for some in _parts(found.posts):
        session.execute(delete(Sighting).where(Sighting.post_id.in_(some)))
        session.execute(delete(Post).where(Post.id.in_(some)))
    for some in _parts(found.kept):
        session.execute(update(Decision).where(Decision.clip_id.in_(some)).values(reason=""))
    _unlist(session, workspace, {sha256 for sha256, _ in found.clips.values()})
    for some in _parts(list(found.clips)):
        for table in reversed(Base.metadata.sorted_tables):  # whatever refers to a clip, also what is yet to come
            for column in table.columns:
                if (
                    any(key.column.table is Clip.__table__ for key in column.foreign_keys)
                    and table is not Post.__table__
                ):
                    session.execute(delete(table).where(column.in_(some)))
        session.execute(delete(Clip).where(Clip.id.in_(some)))


def _remove_words(session: Session, words: Sequence[Word]) -> None:
    """Leave of texts and metadata what is none of the words; searched are those that hold no other (a link its id)."""
    for word in words:
        if any(other.text in word.text for other in words if other is not word):
            continue
        around = [other for other in words if word.text in other.text]
        for column in FREE_TEXT:
            _remove_from(session, column, word, around)


def _remove_from(session: Session, column: InstrumentedAttribute[Any], word: Word, around: Sequence[Word]) -> None:
    """A cursor that names a word goes as a whole: its search begins anew."""
    model, is_text = column.class_, isinstance(column.type, String | Text)
    named = (column if is_text else cast(column, Text)).icontains(word.text, autoescape=True)
    for row_id, value in session.execute(select(model.id, column).where(named)).all():
        left = cut_from(value, around) if is_text else without(value, around)
        if left != value:
            left = None if column is CrawlRun.cursor else left
            session.execute(update(model).where(model.id == row_id).values({column: left}))


def _unlist(session: Session, workspace: Workspace, contents: set[str]) -> None:
    """In the lists of what was exported a tombstone stands in a content's place: the next export says that it left."""
    for export in session.scalars(select(Export)) if contents else ():
        if contents & set(export.clips):
            export.clips = [
                f"{TAKEN_DOWN}{keyed(workspace, 'sha256', clip)}" if clip in contents else clip for clip in export.clips
            ]


def _trained_on(catalog: Catalog, workspace: Workspace, contents: Sequence[str]) -> list[str]:
    """Runs with microvideos that are not older than the first export that had one of these contents."""
    if not contents:
        return []
    with catalog.reading() as session:
        exports = session.execute(select(Export.clips, Export.exported_at)).all()
    dates = [moment for clips, moment in exports if set(contents) & set(clips)]
    runs = []
    for path in sorted((workspace.home / "runs").glob("*/*.safetensors")):
        written = path.stat().st_mtime + timedelta(days=1).total_seconds()  # clocks are not compared more exactly
        if dates and _microvideos(path) and written >= min(dates).timestamp():
            runs.append(path.parent.name)
    return list(dict.fromkeys(runs))


def _microvideos(path: Path) -> int:
    """How many microvideos a run was trained on, as its file says; 1 where it cannot be read."""
    try:
        with safe_open(path, "numpy") as file:
            return int(json.loads((file.metadata() or {}).get("plusmv", "{}")).get("microvideos", 0))
    except (ValueError, TypeError, OSError, SafetensorError):
        return 1


def _parts(ids: Sequence[int]) -> Iterator[list[int]]:
    return (list(ids[start : start + SQL_IN_LIMIT]) for start in range(0, len(ids), SQL_IN_LIMIT))
