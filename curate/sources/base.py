"""What a source of posts is. A new source is one file with a subclass of Source, and its line in sources.registry.

Two families of errors: SearchAborted ends the search under a tag, the cursor stays where it was; PostFailed ends one
post. Each SearchAborted has a name that is printed first, so that four different walls are never one "0 new"; each
PostFailed has a reason with a code.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from plusmv.core.errors import PlusmvError, Refused
from plusmv.db.models import PostState, ReasonCode

if TYPE_CHECKING:
    from plusmv.core.workspace import Workspace
    from plusmv.curate.sources.rate_limit import RateLimiter
    from plusmv.db.session import Catalog

ANY_PLATFORM = "*"  # in Source.rechecks: every platform that no other source names there
Cursor = dict[str, Any]  # where a search goes on; JSON
PostKey = tuple[str, str, str]  # platform, platform_id, identity


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a post was not downloaded: a code to test for, and words to read.

    limit: seconds or bytes, where the code says that a clip is too short, too long or too large.
    """

    code: ReasonCode
    text: str
    limit: float | None = None


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
    state: PostState = PostState.FOUND  # FILTERED, FAILED or GONE where the listing itself shows it, with a reason
    reason: Reason | None = None
    retryable: bool = False
    seconds: float | None = None  # where the source gives it before the download
    bytes: int | None = None
    is_video: bool = True  # pictures are filtered, and do not count towards a limit of posts
    raw: dict | None = None  # the platform's metadata (curate.sources.redact.redact_personal_data)
    former: str | None = None  # the identity under which it stands where only its metadata were taken in
    locator: str = ""  # where the source itself finds the media; not stored
    complete: bool = True  # False: look() finds out more than the listing has

    @property
    def key(self) -> PostKey:
        """What a post is known by."""
        return self.platform, self.platform_id, self.identity

    def ended(self, state: PostState, reason: Reason, retryable: bool = False) -> "FoundPost":
        """This post, settled without a download."""
        return replace(self, state=state, reason=reason, retryable=retryable)


@dataclass(frozen=True)
class Page:
    """Posts in the source's order, and where the search goes on after them (JSON)."""

    posts: tuple[FoundPost, ...]
    cursor: Cursor


@dataclass(frozen=True)
class SourceOptions:
    """The command line's options about sources; each source reads those that concern it."""

    path: Path | None = None
    manifest: Path | None = None
    query: str | None = None
    licence: str | None = None
    browser: str | None = None  # whose cookies to take
    limit: int | None = None
    max_bytes: int | None = None
    metadata_only: bool = False
    actions: tuple[tuple[str, str], ...] = ()  # (tag, action)


@dataclass(frozen=True)
class SourceContext:
    """What sources share with the crawl: its rate limiter, and where leases and quotas are counted."""

    rate_limiter: "RateLimiter"
    catalog: "Catalog"
    workspace: "Workspace"


class MediaFile(Protocol):
    """What a source writes media into."""

    @property
    def name(self) -> str: ...

    def write(self, block: bytes, /) -> int: ...


class Source(ABC):
    """A place that has posts under tags. `search`, `look` and `download` talk to it; the latter two in threads.

    name: as in `--source`. platforms: whose posts it lists, also as manifests name them. rechecks: the platforms whose
    posts `plusmv recheck` looks up with it. any_tag: it can be searched for tags beyond those that `tags` lists.
    tool: what talks to the place, with its version, for the provenance of every run. account: whose credentials are
    used, by one process at a time; "" where none are.
    """

    name: ClassVar[str]
    platforms: ClassVar[tuple[str, ...]]
    rechecks: ClassVar[tuple[str, ...]] = ()
    any_tag: ClassVar[bool] = True
    takes_manifest: ClassVar[bool] = False
    tool: ClassVar[str] = ""
    account: str = ""

    @classmethod
    @abstractmethod
    def open(cls, options: SourceOptions, context: SourceContext) -> Self:
        """The source as the options ask. Raises BadInput or Missing where an option or a credential is missing."""

    @classmethod
    def open_for_recheck(cls, options: SourceOptions, context: SourceContext) -> Self | None:
        """The source to look posts up with; None where the options are not enough for it."""
        return cls.open(options, context)

    def tags(self) -> tuple[str, ...]:
        """The tags that it lists itself: crawled where none are given."""
        return ()

    @abstractmethod
    def query(self, tag: str) -> dict[str, Any]:
        """What is searched, as JSON: a run that was cut short goes on from its cursor only where this is the same."""

    @abstractmethod
    def search(self, tag: str, cursor: Cursor | None = None) -> Iterator[Page]:
        """The pages under a tag, from where `cursor` says. Raises SearchAborted."""

    @abstractmethod
    def look(self, post: FoundPost) -> FoundPost:
        """The post as its own page has it now, with a fresh locator. Raises PostGone, PostFailed or SearchAborted."""

    @abstractmethod
    def download(self, post: FoundPost, file: MediaFile) -> None:
        """Write the post's media into `file`. Raises PostFailed, or another PlusmvError, with the reason."""

    def can_look_up(self, post: FoundPost, sha256: str | None) -> bool:
        """Whether `look` can find a post of the catalog, whose clip has this hash, again."""
        return bool(post.url)


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
    """One post's media cannot be had. code: why, where the class does not say it already."""

    retryable = True
    code = ReasonCode.OTHER
    limit: float | None = None

    def __init__(self, text: str, code: ReasonCode | None = None):
        super().__init__(text)
        self.code = code or self.code

    @property
    def reason(self) -> Reason:
        return Reason(self.code, str(self), self.limit)


class PostGone(PostFailed):
    """The post is not there any more."""

    code = ReasonCode.DELETED


class LinkExpired(PostFailed):
    """The link to the media is not valid any more; a fresh look gives a new one."""

    code = ReasonCode.LINK_EXPIRED


class TransientError(PostFailed):
    """A hiccup: the same again may work. retry_after: seconds that the platform asks for; limited: it was a 429."""

    code = ReasonCode.NO_ANSWER

    def __init__(self, text: str, retry_after: float | None = None, limited: bool = False):
        super().__init__(text)
        self.retry_after, self.limited = retry_after, limited


class NotVideo(PostFailed):
    """What came is not a video, and trying again does not help."""

    retryable = False
    code = ReasonCode.NOT_VIDEO


class NeedsProgram(PostFailed):
    """Media that only another program could fetch, which would make requests that nobody checks."""

    code = ReasonCode.NEEDS_PROGRAM

    def __init__(self, text: str):
        super().__init__(f"{text}; that takes a program such as ffmpeg, and plusmv gives no program a stranger's link")


class PageTooLarge(PostFailed):
    """A page that is more than a page may be."""

    code = ReasonCode.TOO_LARGE


class TooLarge(PostFailed):
    """More bytes than the limit: the post is filtered. at_least: the download was ended before its size was known."""

    code = ReasonCode.TOO_LARGE

    def __init__(self, size: int, limit: int, at_least: bool = False):
        words = "more than " * at_least
        super().__init__(f"has {words}{size / 1e6:.1f} MB, over the limit of {limit / 1e6:g} MB")
        self.limit = limit


def reason_of(error: PlusmvError) -> Reason:
    """Why the post that an error ended was not downloaded."""
    if isinstance(error, PostFailed):
        return error.reason
    return Reason(ReasonCode.REFUSED if isinstance(error, Refused) else ReasonCode.OTHER, str(error))
