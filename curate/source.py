"""What a crawl asks of a place that has posts. A new place is one file with a class of these three functions."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import BinaryIO, Protocol

from db.models import PostState


@dataclass(frozen=True)
class FoundPost:
    """Something a source lists under a tag. `uploader` is a person's id as given: only its keyed hash is stored."""

    platform: str
    platform_id: str
    identity: str = ""  # tells posts of one platform_id apart, where content or place can change under it
    origin: str | None = None
    url: str | None = None
    uploader: str | None = None
    caption: str = ""
    taken_at: datetime | None = None
    licence: str = "unknown"
    state: PostState = PostState.FOUND  # FILTERED, FAILED or GONE where the listing itself tells, with a reason
    reason: str | None = None
    retryable: bool = False
    locator: str = ""  # where the source itself finds the media; not stored

    @property
    def key(self) -> tuple[str, str]:
        """What a post is known by, within its platform."""
        return self.platform_id, self.identity

    def ended(self, state: PostState, reason: str, retryable: bool = False) -> "FoundPost":
        """This post, settled without a download."""
        return replace(self, state=state, reason=reason, retryable=retryable)


@dataclass(frozen=True)
class Page:
    """Posts in the source's order, and where the search goes on after them (JSON)."""

    posts: tuple[FoundPost, ...]
    cursor: dict


class Source(Protocol):
    """A place that has posts under tags."""

    name: str
    platform: str

    def query(self, tag: str) -> dict:
        """What is searched, as JSON: a run that was cut short goes on from its cursor only where this is the same."""
        ...

    def search(self, tag: str, cursor: dict | None) -> Iterator[Page]:
        """The pages under a tag, from where `cursor` says."""
        ...

    def download(self, post: FoundPost, file: BinaryIO) -> None:
        """Write the post's media into `file`. Raises PlusmvError with the reason where that cannot be done."""
        ...
