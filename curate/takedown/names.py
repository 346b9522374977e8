"""Files that are called by a content, and what killed processes left: found by their names, never opened.

A file's or folder's name that has a content's sha256 in it is that content's: media, previews, features, pictures,
kept flow. Whose the hidden `.part` and `.incoming` files of a dead process are nobody can say, so all of them go.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from plusmv.core.errors import PlusmvError
from plusmv.core.workspace import Workspace, is_stale_part, sha256_of
from plusmv.curate.takedown.subject import CONTENT, Subject
from plusmv.features.feature_files import list_features

BY_CONTENT = ("media", "previews")  # folders whose files lie under their content's address
CATALOG = {"catalog.db", "catalog.db-wal", "catalog.db-shm", "catalog.db-journal"}  # a copy of it is a file like others
HASH_FILES = ("hashes.bin", "hashes.tables")  # made again from the catalog by the next dedup


def is_ours(path: Path) -> bool:
    """Whether a file or folder is this program's own: locks, keys, sessions. Nothing of strangers stands in it."""
    name = path.name
    own = name in {"uploader.key", "open-labeler.html", "sessions", *CATALOG} or name.startswith(".uploader.key.")
    return own or name.endswith((".lock", "-holder"))


def other_files(workspace: Workspace) -> Iterator[Path]:
    """Every file that neither is ours nor lies under a content's address; links to folders at the top are followed."""
    for top in sorted(workspace.home.iterdir()) if workspace.home.is_dir() else ():
        if is_ours(top) or top.name in BY_CONTENT:
            continue
        if top.is_file():
            yield top
        for folder, below, names in os.walk(top):
            below[:] = sorted(name for name in below if not is_ours(Path(name)))
            yield from (Path(folder, name) for name in sorted(names) if not is_ours(Path(name)))


def contents_here(workspace: Workspace) -> set[str]:
    """The contents by which media, previews and features of the workspace are called, in shards too."""
    names = {path.name for top in BY_CONTENT for path in (workspace.home / top).glob("??/*")}
    with contextlib.suppress(PlusmvError):  # a damaged shard is told of by who cleans it
        names |= set(list_features([workspace.features])) if workspace.features.is_dir() else set()
    return {content for name in names for content in map(str.casefold, CONTENT.findall(name))}


def remove_named(workspace: Workspace, subject: Subject, leftovers: bool) -> Iterator[str]:
    """Remove what is called by the subject's contents; yields names, without contents.

    leftovers: also what dead processes left, and the hashes made of the catalog.
    """
    for path in [*_addressed(workspace, subject), *_elsewhere(workspace, subject, leftovers)]:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            yield shown(path.relative_to(workspace.home).as_posix())
        for folder in path.relative_to(workspace.home).parents:
            if subject.names_content(folder.name):
                with contextlib.suppress(OSError):  # not empty yet
                    (workspace.home / folder).rmdir()
    for name in HASH_FILES if subject.contents and leftovers else ():
        if (workspace.home / name).is_file():
            (workspace.home / name).unlink()
            yield name


def shown(path: str) -> str:
    """A path as it is told: without contents."""
    name = CONTENT.sub("...", path)
    return name if name == path else "/".join(part for part in name.split("/") if len(part) != 2)


def _addressed(workspace: Workspace, subject: Subject) -> Iterator[Path]:
    for top in BY_CONTENT:
        for folder in {workspace.home / top / content[:2] for content in subject.contents}:
            if folder.is_dir():
                yield from (path for path in sorted(folder.iterdir()) if subject.names_content(path.name))


def _incoming(workspace: Workspace) -> list[Path]:
    """What dead crawls were downloading."""
    found = (workspace.home / "media").glob(".incoming*")
    return sorted(path for path in found if path.is_file() and is_stale_part(path, unsigned=True))


def _elsewhere(workspace: Workspace, subject: Subject, leftovers: bool) -> Iterator[Path]:
    for path in _incoming(workspace):
        if leftovers or sha256_of(path) in subject.contents:
            yield path
    for path in other_files(workspace):
        if (leftovers and is_stale_part(path)) or subject.names_content(path.relative_to(workspace.home).as_posix()):
            yield path
