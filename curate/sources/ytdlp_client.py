"""yt-dlp (2026.10) as this project uses it: what a page lists, what a video is, and its file.

All its requests go through one handler, and it starts no program (sources.ytdlp_network). Errors come out by what they
mean (sources.ytdlp_errors). No name or path of the outside decides where a file lies: one file with pictures is enough.
"""

import contextlib
import io
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import yt_dlp
from yt_dlp.utils import PagedList

from plusmv.core.least_speed import LeastSpeed
from plusmv.core.parsing import moment_or_none, positive
from plusmv.core.text import bounded, bounded_line
from plusmv.curate.sources.base import (
    ChangedFormat,
    FoundPost,
    MediaFile,
    NeedsProgram,
    PostFailed,
    PostKey,
    Reason,
    SourceContext,
    SourceOptions,
    TooLarge,
)
from plusmv.curate.sources.credentials import private_bytes
from plusmv.curate.sources.rate_limit import RateLimiter
from plusmv.curate.sources.redact import redact_personal_data
from plusmv.curate.sources.ytdlp_errors import post_error, search_error, translated
from plusmv.curate.sources.ytdlp_network import PoliteYtDlp
from plusmv.db.models import PostState, ReasonCode
from plusmv.features.connections import LEAST_SPEED

VERSION = f"yt-dlp {yt_dlp.version.__version__}"
HOPS = 4  # links from a query to the list it means
HEAVY = {"formats", "requested_formats", "requested_downloads", "thumbnails", "subtitles", "automatic_captions",
         "http_headers", "heatmap", "chapters", "entries", "fragments"}  # fmt: skip


class YtDlp:
    """One for all threads of a crawl. cookies: the content of a cookies.txt; browser: whose cookies to take.

    account: whose credentials it uses; "" where none.
    """

    def __init__(
        self,
        rate_limiter: RateLimiter,
        cookies: str | None = None,
        browser: str | None = None,
        max_bytes: int | None = None,
        account: str = "",
        least_speed: LeastSpeed = LEAST_SPEED,
    ):
        self.account, self._least_speed = account, least_speed
        self.rate_limiter, self._cookies, self._browser, self._max_bytes = rate_limiter, cookies, browser, max_bytes
        self._own = threading.local()
        self._infos: dict[PostKey, dict] = {}  # between look and download

    @classmethod
    def open(cls, options: SourceOptions, context: SourceContext) -> "YtDlp":
        """With the cookies of the browser that is named, or of the file PLUSMV_COOKIES."""
        file = os.environ.get("PLUSMV_COOKIES")
        cookies = private_bytes(Path(file)).decode("utf-8", "replace") if file else None
        account = f"ytdlp:{options.browser or file}" if options.browser or file else ""
        return cls(context.rate_limiter, cookies, options.browser, options.max_bytes, account)

    def identify(self, url: str) -> tuple[str, str, str]:
        """(platform, id, identity) that a link's post is known by, asked of nobody.

        A site that yt-dlp knows gives its own id; another link is known by itself.
        """
        for key, extractor in self._ydl()._ies.items():
            if key != "Generic" and extractor.suitable(url):
                with contextlib.suppress(Exception):  # an extractor whose links carry no id
                    if found := extractor.get_temp_id(url):
                        return key.casefold()[:80], bounded_line(str(found), 500), ""
        parts = urlsplit(url)
        return "web", bounded_line(f"{parts.hostname or ''}{parts.path}{'?' * bool(parts.query)}{parts.query}", 500), ""

    def entries(self, query: str, start: int = 0) -> Iterator[FoundPost]:
        """The videos that a search or page lists, from the start-th on; each costs nothing but its page.

        Raises SearchAborted, TransientError, BadInput for a query that no site answers, or Refused.
        """
        with translated(search_error):
            listed = self._listed(query)
            for entry in _from(listed, start):
                self.rate_limiter.check()
                if isinstance(entry, dict) and (entry.get("url") or entry.get("webpage_url")):
                    yield self._entry(entry)

    def look(self, post: FoundPost) -> FoundPost:
        """The post as its own page has it. Raises PostGone, PostFailed, TransientError, SearchAborted or Refused."""
        with translated(post_error):
            info = self._ydl().extract_info(post.url, download=False)
        for _ in range(HOPS):  # a page that is a list of one
            if info and info.get("_type") == "playlist":
                first = next(iter(info.get("entries") or ()), None)
                info = first if isinstance(first, dict) else None
        if not info or not (info.get("url") or info.get("formats") or info.get("requested_formats")):
            raise PostFailed("its page shows no video", ReasonCode.NOT_VIDEO)
        if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming"):
            return post.ended(PostState.FILTERED, Reason(ReasonCode.LIVE, "is live"), retryable=True)
        self._infos[post.key] = info
        return _filled(post, info)

    def download(self, post: FoundPost, file: MediaFile) -> None:
        """The file of a post that was looked at, written by yt-dlp beside `file` under a name of ours."""
        info = self._infos.get(post.key)
        if info is None:
            self.look(post)
            info = self._infos[post.key]
        ydl, beside = self._ydl(), Path(f"{file.name}.download")
        ydl.params["outtmpl"]["default"] = str(beside).replace("%", "%%")
        try:
            with translated(post_error):
                ydl.process_ie_result(ydl.sanitize_info(info), download=True)
            with _written(beside) as made:
                shutil.copyfileobj(made, file, 1 << 20)
            self._infos.pop(post.key, None)
        finally:
            for left in beside.parent.glob(f"{beside.name}*"):
                left.unlink(missing_ok=True)

    def _listed(self, query: str) -> Any:
        """What extract_info gives as entries, after the links that lead there."""
        ydl, url = self._ydl(), query
        for _ in range(HOPS):
            found = ydl.extract_info(url, download=False, process=False)
            kind = (found or {}).get("_type", "video")
            if kind in ("url", "url_transparent"):
                url = found["url"]
            elif kind in ("playlist", "multi_video"):
                return found.get("entries") or ()
            else:
                return [found] if found else ()
        raise ChangedFormat(f"{query[:100]} leads from page to page; yt-dlp may need an update")

    def _entry(self, entry: dict) -> FoundPost:
        url = str(entry.get("webpage_url") or entry["url"])
        key = entry.get("ie_key") or entry.get("extractor_key")
        known = bool(key and entry.get("id") and key != "Generic")
        platform, name, identity = (
            (str(key).casefold()[:80], bounded_line(str(entry["id"]), 500), "") if known else self.identify(url)
        )
        post = FoundPost(platform, name, identity, url=bounded_line(url, 2000), complete=False)
        return _filled(post, entry)

    def _ydl(self) -> "PoliteYtDlp":
        if not hasattr(self._own, "ydl"):
            self._own.ydl = PoliteYtDlp(self.rate_limiter, self._parameters(), self._least_speed)
        return self._own.ydl

    def _parameters(self) -> dict:
        def watch(progress: dict) -> None:
            self.rate_limiter.check()
            size = max(progress.get("total_bytes") or 0, progress.get("downloaded_bytes") or 0)
            if self._max_bytes is not None and size > self._max_bytes:
                raise TooLarge(int(size), self._max_bytes)

        return {
            "quiet": True, "no_warnings": True, "noprogress": True, "logger": _Silent(), "cachedir": False,
            "extract_flat": "in_playlist", "lazy_playlist": True,
            "format_sort": ["res:720", "proto"],
            "outtmpl": {"default": "-"}, "nopart": True, "updatetime": False, "continuedl": False, "overwrites": True,
            "retries": 0, "extractor_retries": 0, "fragment_retries": 3, "file_access_retries": 0,
            "skip_unavailable_fragments": False, "socket_timeout": 60, "fixup": "never", "progress_hooks": [watch],
            "enable_file_urls": False, "allow_playlist_files": False, "ignore_no_formats_error": False,
            "compat_opts": {"no-certifi"} if os.environ.get("SSL_CERT_FILE") else set(),
            "cookiefile": io.StringIO(self._cookies) if self._cookies else None,
            "cookiesfrombrowser": (self._browser,) if self._browser else None,
        }  # fmt: skip


class _Silent:
    def debug(self, message):
        pass

    info = warning = error = debug


def _from(entries: Any, start: int) -> Iterator[Any]:
    """Entries from the start-th on; pages before it are not asked for where yt-dlp can count them."""
    if not isinstance(entries, PagedList):
        yield from islice(entries, start, None)
        return
    while True:
        try:
            entry = entries[start]
        except IndexError:
            return
        yield entry
        start += 1


def _filled(post: FoundPost, info: dict) -> FoundPost:
    """The post with what yt-dlp's information says."""
    uploader = next((info[n] for n in ("channel_id", "uploader_id", "channel", "uploader") if info.get(n)), None)
    texts = [bounded(str(info.get(name) or ""), 2500) for name in ("title", "description")]
    return replace(
        post,
        uploader=f"{post.platform}:{bounded_line(str(uploader), 200)}" if uploader else post.uploader,
        caption="\n".join(dict.fromkeys(filter(None, texts))) or post.caption,
        taken_at=moment_or_none(info.get("timestamp") or None)
        or moment_or_none(info.get("upload_date"))
        or post.taken_at,
        licence=bounded_line(str(info.get("license") or ""), 200) or post.licence,
        seconds=positive(info.get("duration")) or post.seconds,
        bytes=int(positive(info.get("filesize")) or 0) or post.bytes,
        raw=redact_personal_data({k: v for k, v in info.items() if k not in HEAVY and not k.startswith("_")})
        or post.raw,
        complete=post.complete or bool(info.get("formats") or info.get("requested_formats")),
    )


@contextlib.contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    try:
        with open(path, "rb") as file:
            yield file
    except FileNotFoundError as error:
        raise NeedsProgram("yt-dlp wrote no single file") from error
