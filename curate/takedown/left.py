"""Files that takedown does not rewrite: whether they name its subject all the same, for a person to look at."""

import mmap
import re
from pathlib import Path

from plusmv.curate.takedown.subject import CONTENT, Subject

PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".mp4", ".mkv", ".mov", ".webm"}  # bytes at random
CONTENT_BYTES = re.compile(CONTENT.pattern.encode())


def still_names(path: Path, subject: Subject) -> bool:
    """Whether a content, a link or a full id stands in a file's bytes. Nothing is touched for it."""
    if path.suffix.casefold() in PICTURES or not path.stat().st_size:
        return False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return named_in_bytes(content, subject)


def named_in_bytes(content: bytes | mmap.mmap, subject: Subject) -> bool:
    """Whether a content, a link or a full id stands in bytes of any format."""
    found = {digits.decode().casefold() for digits in set(CONTENT_BYTES.findall(content))}
    return bool(found & subject.contents) or any(content.find(name) >= 0 for name in _full_names(subject))


def _full_names(subject: Subject) -> list[bytes]:
    ids = [f"{platform}:{name}" for some in (subject.posts, subject.uploaders) for platform, name in some if platform]
    return [text.encode(errors="surrogateescape") for text in {*ids, *subject.links}]
