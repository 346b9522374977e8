"""What stands in the workspace's files, in whatever format, and in shards of features, without a takedown's subject.

Media and previews lie under their content's address and are not opened, nor is what a file's name says to be a
content's own. An export that names the subject goes as a whole: `plusmv export` makes it again.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from plusmv.core.errors import PlusmvError
from plusmv.core.workspace import Workspace, atomic_path
from plusmv.curate.takedown import archives
from plusmv.curate.takedown.archives import Cleaned, NotRead
from plusmv.curate.takedown.arrays import SUFFIXES, clean_safetensors, cleaned_arrays
from plusmv.curate.takedown.left import named_in_bytes, still_names
from plusmv.curate.takedown.names import HASH_FILES, other_files, shown
from plusmv.curate.takedown.records import Gone
from plusmv.curate.takedown.subject import CONTENT, Subject
from plusmv.curate.takedown.text_files import cleaned_text
from plusmv.features import shards

DEEPEST = 4  # archives within archives
OF_ONE_CONTENT = re.compile(rf"{CONTENT.pattern}(\.kinetics\.csv|\.safetensors|\.npy|\.npz|\.png)")  # names no other


@dataclass
class FilesDone:
    """What became of the files; paths relative to the workspace, without contents."""

    removed: list[str] = field(default_factory=list)
    rewritten: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # not rewritten although they name the subject


def clean_files(workspace: Workspace, subject: Subject) -> FilesDone:
    """Rid every file of the workspace of the subject; each is written by rename, so a kill leaves it old or new."""
    done = FilesDone()
    for path in list(other_files(workspace)):
        if path.name in HASH_FILES or OF_ONE_CONTENT.fullmatch(path.name) or _is_shard(path):
            continue
        told = shown(path.relative_to(workspace.home).as_posix())
        unread: list[bytes] = []
        try:
            changed = _clean(path, subject, told.startswith("exports/"), unread)
            if changed is not None:
                (done.rewritten if changed else done.removed).append(told)
        except FileNotFoundError:
            continue
        except (NotRead, OSError):
            if path.is_file() and still_names(path, subject):
                done.left.append(told)
                continue
        if path.is_file() and any(named_in_bytes(content, subject) for content in unread):
            done.left.append(told)
    return done


def clean_shards(workspace: Workspace, subject: Subject) -> Iterator[tuple[Path, int | None]]:
    """Take the contents out of every folder of shards: (the folder, how many were there, None where one is damaged)."""
    for folder in sorted({path.parent for path in other_files(workspace) if _is_shard(path)}):
        try:
            yield folder, len(shards.remove(folder.parent, subject.contents))
        except PlusmvError:
            yield folder, None


def cleaned(name: str, content: bytes, subject: Subject, unread: list[bytes], depth: int = 0) -> Cleaned:
    """What is left of a file by its name and bytes: the very same object where nothing names the subject. NotRead.

    unread: gets what was unpacked of it and is in a format that is not followed.
    """
    suffix = PurePosixPath(name).suffix.casefold()
    if depth > DEEPEST:
        raise NotRead
    if suffix in archives.PACKED:
        plain = archives.unpacked(suffix, content)
        try:
            left = cleaned(PurePosixPath(name).stem, plain, subject, unread, depth + 1)
        except NotRead:
            unread.append(plain)
            raise
        return content if left is plain else left if left is None else archives.PACKED[suffix][1](left)
    if suffix in SUFFIXES:
        return cleaned_arrays(name, content, subject)
    return _zip(content, subject, unread, depth) if content[:2] == b"PK" else cleaned_text(name, content, subject)


def _zip(content: bytes, subject: Subject, unread: list[bytes], depth: int) -> Cleaned:
    kept, same = [], True
    for facts, member in archives.members(content):
        left = (
            None if subject.names_content(facts.filename) else _member(facts.filename, member, subject, unread, depth)
        )
        same = same and left is member
        if left is not None:
            kept.append((facts, left))
    if same:
        return content
    return archives.zipped(kept) if kept else None


def _member(name: str, content: bytes, subject: Subject, unread: list[bytes], depth: int) -> Cleaned:
    """One whose format is not followed stays as it is."""
    try:
        return cleaned(name, content, subject, unread, depth + 1)
    except NotRead:
        unread.append(content)
        return content


def _clean(path: Path, subject: Subject, is_export: bool, unread: list[bytes]) -> bool | None:
    """Clean one file: True where it was rewritten, False where it went, None where nothing names the subject."""
    try:
        if path.suffix == ".safetensors" and not is_export:
            return clean_safetensors(path, subject) or None
        content = path.read_bytes()
        left = cleaned(path.name, content, subject, unread)
    except Gone:
        left, content = None, b""
    if left is content:
        return None
    if left is None or is_export:
        path.unlink(missing_ok=True)
        return False
    with atomic_path(path.resolve()) as part:
        part.write_bytes(left)
        shutil.copymode(path, part)
    return True


def _is_shard(path: Path) -> bool:
    return path.parent.name == shards.FOLDER and path.stem.isdecimal() and path.suffix in (shards.SUFFIX, ".json")
