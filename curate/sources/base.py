"""What a crawl asks of a place that has posts. A new place is one file with a class of these four functions.

Two families of errors: SearchAborted ends the search under a tag, the cursor stays where it was; PostFailed ends one
post. Each class has a name that is printed first, so that four different walls are never one "0 new".
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import BinaryIO, Protocol

from plusmv.core.errors import PlusmvError
from plusmv.db.models import PostState


@dataclass(frozen=True, slots=True)
class FoundPost:
    """Something a source lists under a tag. `uploader` is a person's id as given: only its keyed hash is stored."""

    platform: str
    platform_id: str
    identity: str = ""  # tells posts of one platform_id apart, where content or place can change under it
    origin: str | None = None
    url: str | None = None
    uploader: str | None = None  # "platform:id"
    caption: str = ""
    taken_at: datetime | None = None
    licence: str = "unknown"
    state: PostState = PostState.FOUND  # FILTERED, FAILED or GONE where the listing itself tells, with a reason
    reason: str | None = None
    retryable: bool = False
    seconds: float | None = None  # where the source tells before the download
    bytes: int | None = None
    is_video: bool = True  # pictures are filtered, and do not count towards a limit of posts
    raw: dict | None = None  # what the platform said of it (curate.sources.redact.redact_personal_data)
    former: str | None = None  # the identity under which it stands where only its metadata were taken in
    locator: str = ""  # where the source itself finds the media; not stored
    complete: bool = True  # False: look() tells more than the listing did

    @property
    def key(self) -> tuple[str, str, str]:
        """What a post is known by."""
        return self.platform, self.platform_id, self.identity

    def ended(self, state: PostState, reason: str, retryable: bool = False) -> "FoundPost":
        """This post, settled without a download."""
        return replace(self, state=state, reason=reason, retryable=retryable)


@dataclass(frozen=True)
class Page:
    """Posts in the source's order, and where the search goes on after them (JSON)."""

    posts: tuple[FoundPost, ...]
    cursor: dict


class Source(Protocol):
    """A place that has posts under tags. `search`, `look` and `download` talk to it; `look` and `download` in threads.

    account: whose credentials are used; one process at a time uses them. "" where none are.
    tool: what talks to the place, with its version, for the provenance of every run.
    """

    name: str
    tool: str
    account: str

    def query(self, tag: str) -> dict:
        """What is searched, as JSON: a run that was cut short goes on from its cursor only where this is the same."""
        ...

    def search(self, tag: str, cursor: dict | None) -> Iterator[Page]:
        """The pages under a tag, from where `cursor` says. Raises SearchAborted."""
        ...

    def look(self, post: FoundPost) -> FoundPost:
        """The post as its own page has it now, with a fresh locator. Raises PostGone, PostFailed or SearchAborted."""
        ...

    def download(self, post: FoundPost, file: BinaryIO) -> None:
        """Write the post's media into `file`. Raises PostFailed, or another PlusmvError, with the reason."""
        ...


class SearchAborted(PlusmvError):
    """The search cannot go on now. The cursor stays; the same command goes on from it."""

    name = "stopped"
    everywhere = False  # True: other tags would meet the same

    def __init__(self, text: str):
        super().__init__(f"{self.name}: {text}")


class LoginWall(SearchAborted):
    """The platform asks for a login."""

    name, everywhere = "login wall", True


class Checkpoint(SearchAborted):
    """The platform wants a person to confirm something."""

    name, everywhere = "checkpoint", True


class ChangedFormat(SearchAborted):
    """An answer that is not of the form that is known."""

    name = "changed format"


class EmptyPage(SearchAborted):
    """A tag, or the middle of one, with no posts at all: what broken or blocked tag pages look like."""

    name = "empty page"


class RateLimited(SearchAborted):
    """Too many requests, and waiting did not help."""

    name, everywhere = "rate limit", True


class QuotaSpent(SearchAborted):
    """An official API's quota is used up, by our own count."""

    name, everywhere = "quota spent", True


class Unreachable(SearchAborted):
    """No answer, after several tries."""

    name, everywhere = "unreachable", True


class PostFailed(PlusmvError):
    """One post's media cannot be had."""

    retryable = True


class PostGone(PostFailed):
    """The post is not there any more."""


class LinkExpired(PostFailed):
    """The link to the media is not valid any more; a fresh look gives a new one."""


class TransientError(PostFailed):
    """A hiccup: the same again may work. retry_after: seconds that the platform asks for; limited: it was a 429."""

    def __init__(self, text: str, retry_after: float | None = None, limited: bool = False):
        super().__init__(text)
        self.retry_after, self.limited = retry_after, limited


class NotVideo(PostFailed):
    """What came is no video, and trying again does not help."""

    retryable = False


class TooLarge(PostFailed):
    """More bytes than the limit: the post is filtered."""
