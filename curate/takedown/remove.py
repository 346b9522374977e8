"""Takedown: what somebody wants gone goes everywhere, and a tombstone sees to it that no crawl brings it back.

First the tombstones, then files, then rows (and, in their transaction, what was written meanwhile), then freed pages:
killed in between, the same command again finishes. A post's media stay while another post that was not
named holds them. Where the catalog knows nothing of a request, its tombstone is kept and nothing else is touched.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict, get_args

from safetensors import SafetensorError, safe_open
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from plusmv.core.errors import BadInput, PlusmvError
from plusmv.core.text import bounded_line
from plusmv.core.workspace import SHA256, Workspace
from plusmv.curate.crawl.tombstones import add_tombstones
from plusmv.curate.takedown.files import clean_files, clean_shards
from plusmv.curate.takedown.find import Found, Kind, find
from plusmv.curate.takedown.flow import remove_flow
from plusmv.curate.takedown.names import remove_named
from plusmv.curate.takedown.rows import clean_rows, remove_rows
from plusmv.db.models import Base, Export
from plusmv.db.session import Catalog
from plusmv.db.taken_down import shut_out_writers

KINDS: tuple[Kind, ...] = get_args(Kind)


class TakedownResult(TypedDict):
    """What `plusmv takedown --json` prints."""

    known: bool  # whether the catalog knew anything of it; if not, nothing but the tombstone was touched
    posts: int
    clips: int
    clips_kept: int  # that other posts hold
    tombstones: int  # new ones
    removed: list[str]  # files, relative to the workspace
    rewritten: list[str]
    left: list[str]  # files that name it in a format that is not followed: for you to look at
    checkpoints: list[str]  # runs that were, or may have been, trained on it


def take_down(
    catalog: Catalog,
    workspace: Workspace,
    kind: str,
    value: str,
    reason: str = "",
    warn: Callable[[str], None] = lambda text: None,
    flow_caches: Sequence[Path] = (),
) -> TakedownResult:
    """Remove everything of a url, post, uploader or sha256.

    value: a post or an uploader is an id, or platform:id. flow_caches: folders of `extract --flow-cache` beside those
    that the workspace knows. Checkpoints are left. Raises BadInput for an invalid value.
    """
    kind, value = _checked(kind, value)
    with catalog.writing() as session:
        shut_out_writers(session)
        found = find(session, workspace, kind, value)
        tombstones = add_tombstones(session, workspace, found.tombstones, _fit_to_keep(reason, value, found))
    result: TakedownResult = {"known": bool(found.posts or found.clips), "posts": len(found.posts),
                              "clips": len(found.clips), "clips_kept": len(found.kept), "tombstones": tombstones,
                              "removed": [], "rewritten": [], "left": [], "checkpoints": []}  # fmt: skip
    if found.subject:
        _remove(catalog, workspace, found, flow_caches, result)
    if not overwrite_freed(catalog):
        warn("the catalog is in use: freed pages are not overwritten yet; run the same command when nothing else runs")
    return result


def _remove(
    catalog: Catalog, workspace: Workspace, found: Found, flow_caches: Sequence[Path], result: TakedownResult
) -> None:
    """Everything but the tombstones, told in the result."""
    result["checkpoints"] = _trained_on(catalog, workspace, found.subject.contents)
    leftovers = bool(found.posts or found.clips or found.behind)
    removed = [*remove_named(workspace, found.subject, leftovers)]
    removed += remove_flow(workspace, found.subject.contents, flow_caches)
    files = clean_files(workspace, found.subject)
    packed = list(clean_shards(workspace, found.subject))  # after the loose files, which somebody may be packing
    shards = {path.relative_to(workspace.home).as_posix(): count for path, count in packed}
    with catalog.writing() as session:
        shut_out_writers(session)
        remove_rows(session, workspace, found.posts, list(found.clips), found.kept, found.subject)
        clean_rows(session, found.subject)
        removed += remove_named(workspace, found.subject, leftovers)  # and what was written in between
    removed += files.removed
    result["removed"] = sorted([*removed, *(f"{path} ({count} clips)" for path, count in shards.items() if count)])
    result["rewritten"] = sorted(files.rewritten)
    result["left"] = sorted({*files.left, *(path for path, count in shards.items() if count is None)})
    result["known"] = result["known"] or bool(result["removed"] or result["rewritten"])


def overwrite_freed(catalog: Catalog, seconds: float = 10.0) -> bool:
    """Rebuild the catalog's file so that nothing deleted is left in it. False where somebody else keeps it busy.

    Raises PlusmvError where the database ends it.
    """
    try:
        if catalog.engine.dialect.name == "postgresql":
            return _rebuild_tables(catalog)
        return _rebuild_file(catalog, time.monotonic() + seconds)
    except (DBAPIError, sqlite3.Error) as error:
        cause = bounded_line(str(getattr(error, "orig", None) or error), 200)
        raise PlusmvError(
            f"cannot overwrite the catalog's freed pages ({cause}); run the same command again"
        ) from error


def _rebuild_tables(catalog: Catalog) -> bool:
    tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
    with catalog.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM (FULL) {tables}"))
    return True


def _rebuild_file(catalog: Catalog, deadline: float) -> bool:
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
    finally:
        pooled.close()


def _checked(kind: str, value: str) -> tuple[Kind, str]:
    value = value.strip()
    if kind == "sha256":
        value = value.casefold()
        if not SHA256.fullmatch(value):
            raise BadInput("--sha256 takes the 64 hex digits that a clip is known by")
    if kind not in KINDS or not bounded_line(value, 2000) or len(value) > 2000:
        raise BadInput(f"--{kind} needs the {kind} to take down, in at most 2000 characters")
    return kind, value


def _fit_to_keep(reason: str, value: str, found: Found) -> str:
    """The reason, or nothing where it names what was taken down."""
    reason = bounded_line(reason, 500)
    names = value.casefold() in (word.strip(",.;:!?()'\"") for word in reason.casefold().split())
    return "" if names or reason.casefold() == value.casefold() or found.subject.cut_from(reason) != reason else reason


def _trained_on(catalog: Catalog, workspace: Workspace, contents: Collection[str]) -> list[str]:
    """Runs with microvideos that are not older than the first export that had one of these contents."""
    if not contents:
        return []
    with catalog.reading() as session:
        exports = session.execute(select(Export.clips, Export.exported_at)).all()
    dates = [moment for clips, moment in exports if not set(contents).isdisjoint(clips)]
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
