"""A workspace: where a user's files are on disk, and how they are written.

Files are written by rename after fsync, so that a reader sees a whole file or none, even if the writer is killed.
"""

import contextlib
import errno
import functools
import glob
import hashlib
import hmac
import json
import os
import re
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from plusmv.core.errors import BadInput, Refused

SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Workspace:
    """The folder given by `--home` (env PLUSMV_HOME)."""

    home: Path

    @property
    def catalog(self) -> Path:
        return self.home / "catalog.db"

    @property
    def features(self) -> Path:
        return self.home / "features"

    @property
    def exports(self) -> Path:
        return self.home / "exports"

    def media(self, sha256: str, suffix: str) -> Path:
        """The path of this content: media/ab/<sha256><suffix>."""
        return self._by_content("media", sha256, suffix)

    def preview(self, sha256: str) -> Path:
        """The path of a small H.264 copy that every browser plays."""
        return self._by_content("previews", sha256, ".mp4")

    def run(self, name: str) -> Path:
        """The folder of one training run. Raises BadInput for a name that is not a plain file name."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,100}", name):
            raise BadInput(f"run name {name!r} must be letters, digits, '.', '_', '+' or '-', a letter or digit first")
        return self.home / "runs" / name

    def keyed_hash(self, value: str) -> str:
        """HMAC-SHA256 of a person's id under this workspace's key, which never enters the catalog."""
        return hmac.digest(self._key(), value.encode(errors="surrogatepass"), "sha256").hex()

    def _by_content(self, folder: str, sha256: str, suffix: str) -> Path:
        if not SHA256.fullmatch(sha256) or not re.fullmatch(r"(\.[a-z0-9]{1,8})?", suffix):
            raise ValueError(f"not a content address: {sha256!r} {suffix!r}")
        return self.home / folder / sha256[:2] / f"{sha256}{suffix}"

    def _key(self) -> bytes:
        path = os.path.join(self.home, "uploader.key")
        try:
            facts = os.stat(path)
        except FileNotFoundError:
            _make_key(Path(path))
            facts = os.stat(path)
        return _bytes_of(path, facts.st_ino, facts.st_mtime_ns)


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".uploader.key.{os.getpid()}-{secrets.token_hex(4)}.part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(32))
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(part, path)  # atomic, and the first of two processes wins
    part.unlink()


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a hidden path beside `path`; on a clean exit what was written there is fsynced and renamed into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno == errno.ENOSPC and not error.filename:
            error.filename = str(path)  # writing to a full disk fails without a name
        raise
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file by rename after fsync."""
    with atomic_path(path) as part:
        part.write_bytes(content)


def write_private(path: Path, content: bytes) -> None:
    """Write a whole file, as `write_bytes` does, that nobody but its owner can ever read."""
    with atomic_path(path) as part, open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def write_json(path: Path, value: object) -> None:
    """Write JSON by rename after fsync; floats keep full precision, NaN raises ValueError."""
    write_bytes(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


@contextlib.contextmanager
def exclusive_folder(folder: Path) -> Iterator[None]:
    """Lock a folder, which is created, for this process; Refused for a second one. A killed process holds no lock."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise Refused(
            f"another process is using {folder}; wait until it has ended, or choose another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


def remove_stale_parts(path: Path) -> int:
    """Remove the `.part` files that killed processes left below a folder, or beside a file. Returns how many."""
    beside = f".{glob.escape(path.name[:100])}.*.part*"
    removed = 0
    for part in path.rglob(".*.part*") if path.is_dir() else path.parent.glob(beside):
        if is_stale_part(part):
            part.unlink(missing_ok=True)
            removed += 1
    return removed


def is_stale_part(path: Path, unsigned: bool = False) -> bool:
    """Whether a killed process left this `.part` file. unsigned: what to say of one whose name has no process in it."""
    writer = re.search(r"^\..*\.(\d+)-[0-9a-f]{8}\.part", path.name)
    return not _alive(int(writer[1])) if writer else unsigned


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_content(media: Path) -> None:
    """Raise BadInput where a media file is not the content that it is named by. One that is not there is not judged."""
    if media.is_file() and sha256_of(media) != media.stem:
        raise BadInput(f"{media} is not what was downloaded: its sha256 is another; remove it and crawl it again")


@functools.lru_cache(maxsize=8)
def _bytes_of(path: str, inode: int, changed: int) -> bytes:
    """A small file's content, read once for as long as it is the same file."""
    return Path(path).read_bytes()


def _alive(pid: int) -> bool:
    if sys.platform == "win32":  # signal 0 does not exist there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
