"""yt-dlp's requests and programs: one polite handler for all it asks, and no program that could ask by itself.

Every request keeps the crawl's rate limiter and a least speed, goes to public addresses by http and https only, and has
its redirects checked; a page stays within PAGE_BYTES. ffmpeg, aria2c, rtmpdump, curl and whatever else yt-dlp may find
on PATH would make requests of their own, without any of that: they are never started. What yt-dlp itself can fetch
(files, plain and AES-128 HLS, DASH, Smooth Streaming) is chosen; a video that has nothing else fails by that name.
"""

import contextlib
import errno
import functools
import io
import os
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import yt_dlp
from yt_dlp.networking._requests import RequestsRH
from yt_dlp.networking.common import Response
from yt_dlp.networking.exceptions import HTTPError, RequestError
from yt_dlp.utils import Popen

from plusmv.core.errors import PlusmvError
from plusmv.core.least_speed import LeastSpeed
from plusmv.core.limits import MB, PAGE_BYTES
from plusmv.core.text import bounded_line
from plusmv.curate.sources.base import Checkpoint, LoginWall, NeedsProgram, PageTooLarge
from plusmv.curate.sources.http import allowed_url, refuse_private_peer
from plusmv.curate.sources.rate_limit import RateLimiter, retry_after
from plusmv.curate.sources.ytdlp_errors import ADVICE, CONFIRM
from plusmv.features.connections import LEAST_SPEED, keep_least_speed

LONGEST_ERROR = 1 << 20  # bytes of an error's page
FORMATS = "b[ext=mp4]/b/bv*[ext=mp4]/bv*"  # sound is not needed; one file, so that no program has to join two
NATIVE = {  # protocols that yt-dlp fetches by our handler alone; not websockets, which have a client of their own
    "http", "https", "m3u8", "m3u8_native", "http_dash_segments", "http_dash_segments_generator", "ism",
}  # fmt: skip
HELPERS = {"deno", "node", "bun", "qjs", "dbus-send", "kwallet-query", "security"}  # JavaScript; browsers' keyrings


class PoliteYtDlp(yt_dlp.YoutubeDL):
    """yt-dlp with one handler for all its requests."""

    def __init__(self, rate_limiter: RateLimiter, parameters: dict, least_speed: LeastSpeed = LEAST_SPEED):
        self.rate_limiter, self._least_speed = rate_limiter, least_speed
        _forbid_programs()
        super().__init__(parameters | {"external_downloader": {"default": "native"}, "format": FORMATS})
        self.format_selector: Any = _among_native(self.build_format_selector(FORMATS))

    def build_request_director(self, handlers, preferences=None):
        handler = functools.partial(_PoliteRH, rate_limiter=self.rate_limiter, least_speed=self._least_speed)
        return super().build_request_director([handler])


def _among_native(usual: Callable[[dict], Iterator[dict]]) -> Callable[[dict], Iterator[dict]]:
    """yt-dlp's choice of a format, among those that it fetches itself. Raises NeedsProgram where there is none."""

    def choose(context: dict) -> Iterator[dict]:
        formats = [one for one in context["formats"] if one.get("protocol") in NATIVE]
        if context["formats"] and not formats:
            protocols = {bounded_line(str(one.get("protocol")), 40) for one in context["formats"]}
            raise NeedsProgram(f"its video comes by {', '.join(sorted(protocols)[:5])} only")
        return usual(context | {"formats": formats})

    return choose


def _forbid_programs() -> None:
    """Let every way of yt-dlp to start a program go through `_start`, in all its modules and extractors."""
    if Popen.__init__ is not _start:
        Popen.__init__ = _start


_start_unchecked = Popen.__init__


def _start(self: Any, args: Any, *remaining: Any, **options: Any) -> None:
    """Start a helper that gets no link. Raises PermissionError, for yt-dlp "not installed", for any other program."""
    words = [os.fsdecode(word) for word in args] if isinstance(args, list | tuple) else []
    name = os.path.basename(words[0]).casefold().removesuffix(".exe") if words else ""
    if name not in HELPERS or options.get("shell") or options.get("executable") or any("://" in w for w in words):
        raise PermissionError(errno.EPERM, "plusmv starts no program for yt-dlp", name or "a shell")
    _start_unchecked(self, args, *remaining, **options)


class _PoliteRH(RequestsRH):
    RH_NAME = "plusmv"

    def __init__(self, *, rate_limiter: RateLimiter, least_speed: LeastSpeed, **options):
        super().__init__(**options)
        self.rate_limiter, self._least_speed = rate_limiter, least_speed

    def _create_instance(self, *arguments, **options):
        session = super()._create_instance(*arguments, **options)
        session.hooks["response"].append(_check_answer)
        for adapter in {id(adapter): adapter for adapter in session.adapters.values()}.values():
            keep_least_speed(adapter, self._least_speed)
        return session

    def _send(self, request):
        host = urlsplit(request.url).hostname or ""
        with _refusals():
            allowed_url(request.url)
        self.rate_limiter.wait(host)
        try:
            answer = super()._send(request)
            answer._real_read = functools.partial(_read, answer._real_read)
            return answer
        except HTTPError as error:
            answer = error.response
            if error.status == 429:
                self.rate_limiter.after_429(host, retry_after(answer.headers.get("Retry-After")), 1)
            body = answer.read(LONGEST_ERROR)  # extractors read it too: they get it again
            again = HTTPError(Response(io.BytesIO(body), answer.url, answer.headers, error.status, error.reason))
            again.body = body
            raise again from error


def _read(unbounded: Callable[[int], bytes], most: int | None = None) -> bytes:
    """Some bytes of an answer, or all of a page. Raises RequestError for a page that is too large."""
    if most is not None:
        return unbounded(most)
    content = bytearray()
    while block := unbounded(1 << 20):
        content += block
        if len(content) > PAGE_BYTES:
            cause = PageTooLarge(f"a page has more than {PAGE_BYTES / MB:g} MB, the most that is read of one")
            raise RequestError(str(cause), cause=cause)
    return bytes(content)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Raise our refusals as yt-dlp's, with ours as the cause."""
    try:
        yield
    except PlusmvError as error:
        raise RequestError(str(error), cause=error) from error


def _check_answer(response, *_, **__) -> None:
    """Who has answered, and where a redirect leads."""
    with _refusals():
        refuse_private_peer(response, response.url)
    target = response.headers.get("Location")
    if response.is_redirect and target:
        url = urljoin(response.url, target)
        with _refusals():
            allowed_url(url)
        if re.search(r"/(accounts/)?(login|signin)\b", url):
            raise RequestError("login", cause=LoginWall(f"{_host(url)} sends to its login page; {ADVICE}"))
        if CONFIRM.search(urlsplit(url).path):
            raise RequestError("checkpoint", cause=Checkpoint(f"{_host(url)} wants a person to confirm something"))


def _host(url: str) -> str:
    return bounded_line(urlsplit(url).hostname or "", 100)
