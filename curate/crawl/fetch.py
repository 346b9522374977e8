"""Fetching one post's media, in a thread: a look at its page where the listing tells too little, limits and tombstones
before the download, retries with a fresh link where one has expired.

A post's own trouble is a value: it ends failed, filtered or gone, with the reason. What stops the whole search (a login
wall, a full disk) is raised.
"""

import errno
import functools
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from plusmv.core.errors import PlusmvError, Refused
from plusmv.core.workspace import Workspace
from plusmv.curate.crawl.media import Received, receive
from plusmv.curate.crawl.records import SettledPost
from plusmv.curate.crawl.results import Ending
from plusmv.curate.sources.base import (
    FoundPost,
    LinkExpired,
    PostFailed,
    PostGone,
    Reason,
    SearchAborted,
    Source,
    TooLarge,
    reason_of,
)
from plusmv.curate.sources.http import persistent
from plusmv.curate.sources.rate_limit import RateLimiter
from plusmv.db.models import PostState, ReasonCode

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
ATTEMPTS = 3  # of one download


@dataclass(frozen=True)
class Limits:
    """What to take. None: no limit."""

    posts: int | None = None  # videos for each tag, the source's first ones
    min_seconds: float | None = None
    max_seconds: float | None = None
    max_bytes: int | None = None

    def violation(self, seconds: float | None, size: int | None = None) -> Reason | None:
        """Why a clip of this length and size is filtered; None where it is not, or where neither is known yet."""
        if seconds is not None and self.min_seconds is not None and seconds < self.min_seconds:
            text = f"lasts {seconds:.2f} s, under the limit of {self.min_seconds} s"
            return Reason(ReasonCode.TOO_SHORT, text, self.min_seconds)
        if seconds is not None and self.max_seconds is not None and seconds > self.max_seconds:
            text = f"lasts {seconds:.2f} s, over the limit of {self.max_seconds} s"
            return Reason(ReasonCode.TOO_LONG, text, self.max_seconds)
        if size is not None and self.max_bytes is not None and size > self.max_bytes:
            return TooLarge(size, self.max_bytes).reason
        return None

    def still_set(self, code: ReasonCode | None, limit: float | None) -> bool:
        """Whether a clip that was filtered for this reason met the very limit that is set now."""
        limits = {
            ReasonCode.TOO_SHORT: self.min_seconds,
            ReasonCode.TOO_LONG: self.max_seconds,
            ReasonCode.TOO_LARGE: self.max_bytes,
        }
        return code is not None and limit is not None and limits.get(code) == limit


@dataclass(frozen=True)
class Fetched:
    """A post as it is known after fetching: either its media have come in, or it has ended without."""

    post: FoundPost
    received: Received | None = None
    settled: SettledPost | None = None


@dataclass(frozen=True)
class Fetcher:
    """Fetches posts of one source. is_tombstoned: whether a post was taken down."""

    workspace: Workspace
    source: Source
    limits: Limits
    rate_limiter: RateLimiter
    is_tombstoned: Callable[[FoundPost], bool]

    def fetch(self, post: FoundPost) -> Fetched:
        """Raises SearchAborted, rate_limiter.Stopped, or PlusmvError where nothing more can be written."""
        best = [post]  # the post as it is known so far, also when an error comes
        try:
            return self._fetch(best)
        except PostGone as error:
            return _ended(best[0], "gone", error.reason)
        except TooLarge as error:
            return _ended(best[0], "filtered", error.reason, retryable=True)
        except PostFailed as error:
            return _ended(best[0], "failed", error.reason, error.retryable)
        except SearchAborted:
            raise
        except PlusmvError as error:
            return _ended(best[0], "failed", reason_of(error), retryable=not isinstance(error, Refused))
        except OSError as error:
            if error.errno in FULL_DISK:
                raise PlusmvError(f"cannot write media: {error.strerror}; make room and crawl again") from error
            reason = Reason(ReasonCode.UNREADABLE, f"{error.strerror or error}")
            return _ended(best[0], "failed", reason, retryable=True)

    def _fetch(self, best: list[FoundPost]) -> Fetched:
        if not best[0].complete:
            best[0] = self._look(best[0])
            if best[0].state != PostState.FOUND:
                return Fetched(best[0], settled=SettledPost.as_listed(best[0]))
            if self.is_tombstoned(best[0]):
                return _ended(best[0], "tombstoned", None)
        if violation := self.limits.violation(best[0].seconds, best[0].bytes):
            return _ended(best[0], "filtered", violation, retryable=True)
        try:
            return Fetched(best[0], self._download(best[0]))
        except LinkExpired:
            best[0] = self._look(best[0])
            return Fetched(best[0], self._download(best[0]))

    def _look(self, post: FoundPost) -> FoundPost:
        return persistent(self.rate_limiter, post.platform, functools.partial(self.source.look, post), ATTEMPTS)

    def _download(self, post: FoundPost) -> Received:
        host = urlsplit(post.locator).hostname if "://" in post.locator else None
        write = functools.partial(self.source.download, post)
        return persistent(
            self.rate_limiter, host or post.platform, functools.partial(receive, self.workspace, write), ATTEMPTS
        )


def _ended(post: FoundPost, ending: Ending, reason: Reason | None, retryable: bool = False) -> Fetched:
    return Fetched(post, settled=SettledPost(post, ending, reason, retryable))
