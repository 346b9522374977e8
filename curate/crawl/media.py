"""The media store: every content once, addressed by its sha256. Names and suffixes from the outside are never used.

A file is received beside the store under a hidden name, looked at, and then either settled at its address or dropped;
what a killed process left is swept by core.workspace.remove_stale_parts. Media are settled before the catalog's row is
committed, so a row without media cannot come to be, and media without a row are adopted by the same command again.
"""

import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av

from plusmv.core.errors import BadInput
from plusmv.core.workspace import Workspace
from plusmv.curate.sources.base import MediaFile
from plusmv.features.cut_short import in_words
from plusmv.features.decode import DecodeLimits, lengths, probe, sample_frames

SUFFIXES = {  # FFmpeg's name of a container -> the suffix its media get; others get none
    "avi": ".avi",
    "gif": ".gif",
    "matroska,webm": ".mkv",
    "mpegts": ".ts",
    "mpeg": ".mpg",
    "flv": ".flv",
    "asf": ".wmv",
    "ogg": ".ogv",
}
MEASURED_AT = 64  # pixels: the size at which a video is decoded that does not say how long it is


@dataclass(frozen=True)
class Received:
    """A file that has come in whole, not yet at its address."""

    path: Path
    sha256: str
    bytes: int


@dataclass(frozen=True)
class ClipFacts:
    """What a clip's own bytes say. `fps` and `frames` are None where they do not."""

    suffix: str
    duration: float  # seconds
    fps: float | None
    frames: int | None
    width: int
    height: int
    codec: str


def receive(workspace: Workspace, download: Callable[[MediaFile], None]) -> Received:
    """Let `download` write into a hidden file of the store and hash what it writes. Nothing is left on an error."""
    part = workspace.home / "media" / f".incoming.{os.getpid()}-{secrets.token_hex(4)}.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(part, "xb") as file:
            hashing = _Hashing(file)
            download(hashing)
            file.flush()
            os.fsync(file.fileno())
        return Received(part, hashing.digest.hexdigest(), hashing.written)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def settle(workspace: Workspace, received: Received, suffix: str) -> Path:
    """Move received media to its address; content that is there already is kept as it is."""
    address = workspace.media(received.sha256, suffix)
    address.parent.mkdir(exist_ok=True)
    os.replace(received.path, address)
    handle = os.open(address.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return address


def drop(received: Received) -> None:
    """Forget received media."""
    received.path.unlink(missing_ok=True)


class InspectStage:
    """For core.workers.map_unordered: path -> ClipFacts. Strangers' files are opened here, not in the main process."""

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, path: str) -> ClipFacts:
        return inspect(Path(path))


def inspect(path: Path) -> ClipFacts:
    """What a video says of itself; at least its first frame decodes. Raises BadInput with the reason.

    A file that was cut short still names its whole length. That is a failure where the video stream itself names it;
    of a container's length (Matroska), which may be a longer sound track's, as much counts as the pictures last.
    """
    facts, found = probe(path), lengths(path)
    if found.cut_short is not None:
        raise BadInput(f"{path} is {in_words(found.cut_short)}; get the whole file")
    end = found.there + facts.delay if found.there else facts.duration
    duration = min(facts.duration, end) if facts.duration and end else _measured(path)
    return ClipFacts(_suffix(path), duration, facts.fps, facts.frames, facts.width, facts.height, facts.codec)


def _measured(path: Path) -> float:
    frames = sum(1 for _ in sample_frames(path, short_side=MEASURED_AT, limits=DecodeLimits()))
    return frames / 25.0


def _suffix(path: Path) -> str:
    """The suffix of the container that the bytes are, whatever the file was called."""
    with open(path, "rb") as file, av.open(file, "r", metadata_errors="ignore") as container:
        if "mp4" in container.format.name.split(","):
            return ".mov" if container.metadata.get("major_brand", "qt").strip() == "qt" else ".mp4"
        return SUFFIXES.get(container.format.name, "")


class _Hashing:
    """A file being written that knows the hash of what was written."""

    def __init__(self, file: BinaryIO):
        self._file, self.digest, self.written, self.name = file, hashlib.sha256(), 0, str(file.name)

    def write(self, block: bytes) -> int:
        self.digest.update(block)
        self.written += len(block)
        return self._file.write(block)
