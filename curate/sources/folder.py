"""The source `folder`: a directory of clips with a manifest that says what they are, or tagged by their folders' names.

With a manifest (`manifest.csv` or `manifest.jsonl` in the folder, or one named; see sources.manifest) its rows are the
posts. Without one every file is a post under the name of the folder it lies in, with what a downloader left beside it
(sources.sidecars); what has no video's name, or is left of a download (sources.leftovers), is filtered. Hidden files
are no posts, nor is what lies beside a clip under its name: it belongs to that clip, and may name its post or uploader.
A post is known by folder, path and content. Nothing outside the folder is ever read: a path that climbs out, or a link
that leads out, is a failed post.
"""

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from io import BufferedReader
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from plusmv.core.actions import normalise_tag
from plusmv.core.errors import BadInput, Missing
from plusmv.core.parsing import moment_of
from plusmv.core.text import bounded, bounded_line, printable
from plusmv.curate.sources.base import (
    Cursor,
    FoundPost,
    MediaFile,
    Page,
    PostFailed,
    PostGone,
    Reason,
    Source,
    SourceContext,
    SourceOptions,
    TooLarge,
)
from plusmv.curate.sources.leftovers import leftover_of
from plusmv.curate.sources.manifest import NAMES, Manifest, ManifestRow
from plusmv.curate.sources.sidecars import carousel_of, is_of_ytdlp, sidecar
from plusmv.db.models import PostState, ReasonCode
from plusmv.features.decode import VIDEO_SUFFIXES

PAGE, METADATA_PAGE = 100, 10_000  # posts, saved in one transaction, with and without media
NO_VIDEO = Reason(ReasonCode.NOT_VIDEO, "its name has no video's suffix; name it in a manifest to take it")
LEFTOVER = Reason(ReasonCode.LEFTOVER, "is left of a download that was not finished; name it in a manifest to take it")
ODD_PATH = re.compile(r"//|(^|/)\.(/|$)|/$")


class FolderSource(Source):
    """Clips of one folder. Raises Missing or BadInput for a folder or manifest that cannot be used."""

    name = platform = "folder"
    platforms = rechecks = (platform,)
    any_tag, takes_manifest = False, True

    def __init__(
        self,
        folder: Path,
        manifest: Path | None = None,
        max_bytes: int | None = None,
        skipped: Path | None = None,
        metadata_only: bool = False,
    ):
        """skipped: a folder below that is not searched: the workspace, whose media are not posts.

        metadata_only: no file is opened; a manifest's rows are posts whether or not their files are there.
        """
        if not folder.is_dir():
            raise Missing(f"there is no folder {folder}; name one with --path")
        self.folder = folder.resolve()
        self._folder_hash = hashlib.sha256(os.fsencode(str(self.folder)) + b"\0")
        self.max_bytes, self._metadata_only = max_bytes, metadata_only
        path = manifest or self._own_manifest()
        self.manifest = Manifest(path) if path else None
        self._folders = {} if self.manifest else self._folders_by_tag(skipped and skipped.resolve())

    @classmethod
    def open(cls, options: SourceOptions, context: SourceContext) -> "FolderSource":
        if options.path is None:
            raise BadInput("--source folder needs the directory of clips: --path DIR")
        return cls(options.path, options.manifest, options.max_bytes, context.workspace.home, options.metadata_only)

    @classmethod
    def open_for_recheck(cls, options: SourceOptions, context: SourceContext) -> "FolderSource | None":
        return cls.open(options, context) if options.path is not None else None

    def tags(self) -> tuple[str, ...]:
        """Every tag that has a post here."""
        return self.manifest.tags() if self.manifest else tuple(self._folders)

    def query(self, tag: str) -> dict:
        """What is searched and in which state it is: a folder or manifest that changed is another search."""
        watched = [self.manifest.path] if self.manifest else self._folders.get(tag, [])
        state = hashlib.sha256(repr([(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in watched]).encode())
        return {"path": printable(str(self.folder), 1000), "state": state.hexdigest()[:16], "max_bytes": self.max_bytes}

    def search(self, tag: str, cursor: Cursor | None = None) -> Iterator[Page]:
        """Pages in the manifest's order, or by folder and name."""
        done = cursor["posts"] if cursor else 0
        posts = self._manifest_posts(self.manifest, tag, done) if self.manifest else self._folder_posts(tag, done)
        for page in _pages(posts, METADATA_PAGE if self._metadata_only else PAGE):
            done += len(page)
            yield Page(page, {"posts": done})

    def can_look_up(self, post: FoundPost, sha256: str | None) -> bool:
        """Whether a post of this content was found in this very folder."""
        return sha256 is not None and self._identity(post.platform_id, sha256) == post.identity

    def look(self, post: FoundPost) -> FoundPost:
        """The post, if its file is there and has the same content. Raises PostGone."""
        try:
            with self._open(post.locator or post.platform_id) as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        except PostFailed as error:
            raise PostGone(str(error), error.code) from error
        if self._identity(post.locator or post.platform_id, sha256) != post.identity:
            raise PostGone("the file has another content now, or the folder is another", ReasonCode.CHANGED)
        return post

    def download(self, post: FoundPost, file: MediaFile) -> None:
        """Copy the file. Raises PostFailed where it is not the content that was found any more."""
        digest = hashlib.sha256()
        with self._open(post.locator) as original:
            while block := original.read(1 << 20):
                digest.update(block)
                file.write(block)
        if self._identity(post.locator, digest.hexdigest()) != post.identity:
            raise PostFailed(f"{post.platform_id} changed while it was read; crawl again", ReasonCode.CHANGED)

    def _manifest_posts(self, manifest: Manifest, tag: str, start: int) -> Iterator[FoundPost]:
        for row in manifest.rows(tag, start):
            file = row["file"]
            plain = not ODD_PATH.search(file)  # most are, and a PurePosixPath costs as much as all the rest of a row
            yield self._post(file if plain else str(PurePosixPath(file)), row)

    def _folder_posts(self, tag: str, start: int) -> Iterator[FoundPost]:
        files = (found for folder in self._folders.get(tag, ()) for found in self._files(folder))
        for path, video in islice(files, start, None):
            relative = path.relative_to(self.folder).as_posix()
            row, raw = sidecar(relative if video is None else f"{video}.mp4", self._open)
            if video is not None:
                yield replace(self._filtered(relative, row, LEFTOVER), raw=raw)
            elif _is_named(path):
                yield replace(self._post(relative, row), raw=raw)
            else:
                yield self._filtered(relative, ManifestRow(), NO_VIDEO)

    def _files(self, folder: Path) -> Iterator[tuple[Path, str | None]]:
        """(path, None), or (path, path without suffix of the video that it is a leftover of).

        Files that are called as a video beside them are left out: a.mp4 has a.info.json, a.en.vtt, a.jpg.
        """
        files = _visible_files(folder)
        place = folder.relative_to(self.folder)
        known = {path.name for path in files}
        left = {
            path: base
            for path in files
            if (base := leftover_of(path.name, known, lambda stem: is_of_ytdlp((place / stem).as_posix(), self._open)))
        }
        clips = [path for path in files if _is_named(path) and path not in left]
        stems = {path.stem for path in clips} | {carousel_of(path.name, known) for path in clips} | {*left.values()}
        for path in files:
            if path in left:
                yield path, (place / left[path]).as_posix()
            elif _is_named(path) or not any(path.name[: dot.start()] in stems for dot in re.finditer(r"\.", path.name)):
                yield path, None

    def _filtered(self, relative: str, row: ManifestRow, reason: Reason) -> FoundPost:
        """A file that is no clip, with what is known of it: a takedown of its post or uploader finds it too."""
        post = FoundPost(self.platform, printable(relative, 500), self._identity(relative, ""), locator=relative)
        with contextlib.suppress(PostFailed):
            post = replace(post, **_facts(row))
        return post.ended(PostState.FILTERED, reason)

    def _post(self, relative: str, row: ManifestRow) -> FoundPost:
        """The post at a path: its identity needs the file's content, so every file is read once to be known."""
        unread, shown = self._identity(relative, ""), printable(relative, 500)
        if self._metadata_only:
            with contextlib.suppress(PostFailed):
                return FoundPost(self.platform, shown, unread, locator=relative, **_facts(row))
        post = FoundPost(self.platform, shown, unread, locator=relative)
        try:
            post = replace(post, **_facts(row))
            with self._open(relative) as file:
                size = os.fstat(file.fileno()).st_size
                if self.max_bytes is not None and size > self.max_bytes:
                    raise TooLarge(size, self.max_bytes)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except TooLarge as error:
            return post.ended(PostState.FILTERED, error.reason, retryable=True)
        except PostFailed as error:
            return post.ended(PostState.FAILED, error.reason, retryable=True)
        return replace(post, identity=self._identity(relative, digest), former=unread)

    def _open(self, relative: str) -> BufferedReader:
        """A plain file inside the folder, whatever its path pretends; pipes are not waited for. Raises PostFailed."""
        path = PurePosixPath(relative)
        if path.is_absolute() or ".." in path.parts or "\0" in relative:
            raise PostFailed("the path climbs out of the folder; give one below it", ReasonCode.OUTSIDE_FOLDER)
        try:
            real = (self.folder / relative).resolve()
            if not real.is_relative_to(self.folder):
                raise PostFailed("a link leads out of the folder; copy the file into it", ReasonCode.OUTSIDE_FOLDER)
            handle = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle
            text = f"cannot be read: {getattr(error, 'strerror', None) or error}"
            raise PostFailed(text, ReasonCode.UNREADABLE) from error
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            kind = "folder" if real.is_dir() else "pipe, socket or device"
            raise PostFailed(f"not a plain file but a {kind}", ReasonCode.UNREADABLE)
        return open(handle, "rb")

    def _identity(self, relative: str, sha256: str) -> str:
        """What a post is known by: folder, path and content ("" where it has none)."""
        digest = self._folder_hash.copy()
        digest.update(_bytes_of(f"{relative}\0{sha256}"))
        return digest.hexdigest()

    def _own_manifest(self) -> Path | None:
        found = [self.folder / name for name in NAMES if (self.folder / name).exists()]
        if len(found) > 1:
            raise BadInput(f"{self.folder} has a {' and a '.join(NAMES)}; name one with --manifest")
        return found[0] if found else None

    def _folders_by_tag(self, skipped: Path | None) -> dict[str, list[Path]]:
        """{tag: folders that hold files}: folders are listed once, their files only as they are searched."""
        folders: dict[str, list[Path]] = {}
        for here, below, files in os.walk(self.folder, onerror=_unreadable):
            below[:] = sorted(n for n in below if not n.startswith(".") and Path(here, n) != skipped)
            links = [name for name in below if os.path.islink(os.path.join(here, name))]
            if links or any(not name.startswith(".") for name in files):
                tag = normalise_tag(printable(os.path.basename(here), 300))
                folders.setdefault(tag, []).append(Path(here))
        return folders


def _visible_files(folder: Path) -> list[Path]:
    """Files by name, and links to folders, which are posts that fail rather than ways out."""
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if not e.name.startswith(".") and not e.is_dir(follow_symlinks=False)]
    return [folder / name for name in sorted(names)]


def _is_named(path: Path) -> bool:
    """Whether a file is called as a video, or is a link to a folder."""
    return path.suffix.lower() in VIDEO_SUFFIXES or path.is_dir()


def _bytes_of(name: str) -> bytes:
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:  # JSON can say what no file is called
        return name.encode(errors="surrogatepass")


def _unreadable(error: OSError) -> None:
    raise BadInput(f"cannot list the folder {error.filename}: {error.strerror}") from error


def _facts(row: ManifestRow) -> dict[str, Any]:
    """The fields of a FoundPost that a manifest's row fills."""
    cells = {name: str(text) for name, text in row.items() if text}
    platform, platform_id = (bounded_line(cells.get(name, ""), 200) for name in ("platform", "platform_id"))
    return {
        "origin": f"{platform or 'unknown'}:{platform_id}" if platform_id else None,
        "url": bounded_line(cells["url"], 2000) if "url" in cells else None,
        "uploader": f"{platform}:{cells['uploader']}" if "uploader" in cells else None,
        "caption": bounded(cells.get("caption", ""), 5000),
        "taken_at": _moment(cells["taken_at"]) if "taken_at" in cells else None,
        "licence": bounded_line(cells.get("licence", ""), 200) or "unknown",
    }


def _moment(text: str) -> datetime:
    try:
        return moment_of(text)
    except BadInput as error:
        raise PostFailed(f"taken_at {error}", ReasonCode.BAD_METADATA) from error


def _pages(posts: Iterator[FoundPost], size: int) -> Iterator[tuple[FoundPost, ...]]:
    while page := tuple(islice(posts, size)):
        yield page
