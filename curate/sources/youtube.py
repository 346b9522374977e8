"""The source `youtube`: the official Data API v3 lists (newest first, under 4 minutes), yt-dlp fetches the files.

A search costs 100 units of the day's 10,000, a look at 50 videos' lengths and licences one; both are counted in the
catalog before they are made.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from plusmv.core.parsing import moment_or_none
from plusmv.core.text import bounded, bounded_line
from plusmv.curate.sources.accounts import Quota
from plusmv.curate.sources.base import (
    ChangedFormat,
    Cursor,
    EmptyPage,
    FoundPost,
    LoginWall,
    MediaFile,
    Page,
    QuotaSpent,
    RateLimited,
    Source,
    SourceContext,
    SourceOptions,
)
from plusmv.curate.sources.credentials import key
from plusmv.curate.sources.http import Web
from plusmv.curate.sources.redact import redact_personal_data
from plusmv.curate.sources.ytdlp_client import VERSION, YtDlp

API = "https://www.googleapis.com/youtube/v3"
UNITS, WINDOW = 10_000, timedelta(days=1)  # Google's default for a project, a day
SEARCH_COST, LOOK_COST, PAGE = 100, 1, 50
SPENT = "Google admits 10,000 units a day, a page of 50 videos costs 101"
LENGTH = re.compile(r"P(?:([0-9]{1,9})D)?T?(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})S)?")
LICENCES = {"creativeCommon": "CC BY", "youtube": "YouTube standard licence"}


class YouTubeSource(Source):
    """Videos under a hashtag. licence: "creativeCommon" lists those alone. quota: of this key, over WINDOW."""

    name = platform = "youtube"
    platforms = (platform,)
    tool = VERSION

    def __init__(self, web: Web, secret: str, quota: Quota, ytdlp: YtDlp, licence: str | None = None):
        self._web, self._quota, self._ytdlp, self._licence = web, quota, ytdlp, licence
        self._headers = {"X-Goog-Api-Key": secret}  # in no URL, so in no log
        self.account = f"youtube:{secret}"

    @classmethod
    def open(cls, options: SourceOptions, context: SourceContext) -> "YouTubeSource":
        secret = key("PLUSMV_YOUTUBE_KEY", "--source youtube")
        quota = Quota(context.catalog, context.workspace, f"youtube:{secret}", WINDOW)
        return cls(Web(context.rate_limiter), secret, quota, YtDlp.open(options, context), options.licence)

    def query(self, tag: str) -> dict:
        return {"q": f"#{tag}", "order": "date", "videoDuration": "short"} | (
            {"videoLicense": self._licence} if self._licence else {}
        )

    def search(self, tag: str, cursor: Cursor | None = None) -> Iterator[Page]:
        """Pages of 50, newest first."""
        if cursor is not None and cursor.get("page") is None:
            return
        token, first = (cursor or {}).get("page"), cursor is None
        while True:
            options = self.query(tag) | {"part": "snippet", "type": "video", "maxResults": PAGE}
            answer = self._ask("search", options | ({"pageToken": token} if token else {}), SEARCH_COST)
            posts = self._posts(answer)
            if not posts and first:
                raise EmptyPage(f"YouTube lists no short video under #{tag}")
            token, first = answer.get("nextPageToken"), False
            yield Page(tuple(self._with_lengths(posts)), {"page": token})
            if not token:
                return

    def look(self, post: FoundPost) -> FoundPost:
        return replace(self._ytdlp.look(post), licence=post.licence, taken_at=post.taken_at)

    def download(self, post: FoundPost, file: MediaFile) -> None:
        self._ytdlp.download(post, file)

    def _posts(self, answer: dict) -> list[FoundPost]:
        try:
            posts = [self._post(item["id"]["videoId"], item["snippet"]) for item in answer["items"]]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ChangedFormat(f"the search API's answer lacks {error!s:.60}; plusmv may need an update") from error
        return sorted(posts, key=lambda post: post.taken_at.timestamp() if post.taken_at else 0.0, reverse=True)

    def _post(self, video: str, snippet: dict) -> FoundPost:
        video = bounded_line(str(video), 100)
        texts = (bounded(str(snippet.get(name) or ""), 2500) for name in ("title", "description"))
        channel = snippet.get("channelId")
        return FoundPost(
            self.platform,
            video,
            url=f"https://www.youtube.com/watch?v={video}",
            uploader=f"youtube:{bounded_line(str(channel), 200)}" if channel else None,
            caption="\n".join(filter(None, texts)),
            taken_at=moment_or_none(snippet.get("publishedAt")),
            complete=False,
        )

    def _with_lengths(self, posts: list[FoundPost]) -> list[FoundPost]:
        """Seconds and licences, 50 videos a call."""
        if not posts:
            return posts
        options = {"part": "contentDetails,status", "id": ",".join(post.platform_id for post in posts)}
        items = self._ask("videos", options, LOOK_COST).get("items")
        if not isinstance(items, list):
            raise ChangedFormat("the videos API answers without 'items'; plusmv may need an update")
        known = {str(item.get("id")): item for item in items if isinstance(item, dict)}
        try:
            return [_filled(post, known.get(post.platform_id, {})) for post in posts]
        except (AttributeError, TypeError, ValueError) as error:
            raise ChangedFormat("the videos API answers in another form; plusmv may need an update") from error

    def _ask(self, path: str, options: dict, cost: int) -> dict[str, Any]:
        self._quota.spend(path, cost, UNITS, SPENT)
        status, answer = self._web.json(f"{API}/{path}", options, self._headers)
        if not isinstance(answer, dict):
            raise ChangedFormat(f"the API answers {status} with no object; plusmv may need an update")
        if "error" in answer:
            raise _meaning(answer["error"] if isinstance(answer["error"], dict) else {}, status)
        return answer


def _meaning(error: dict, status: int) -> Exception:
    listed = error.get("errors")
    several = listed if isinstance(listed, list) else []
    reasons = [str(one.get("reason", "")) for one in several if isinstance(one, dict)]
    text = bounded_line(f"{error.get('message', '')} {' '.join(reasons)}", 150)
    if any("quota" in reason or "dailyLimit" in reason for reason in reasons):
        return QuotaSpent(f"Google says that the day's quota is used up ({text}); it is renewed at midnight Pacific")
    if any("rateLimit" in reason for reason in reasons):
        return RateLimited(f"YouTube asks for a pause ({text})")
    if "API key" in text or status in (401, 403):
        return LoginWall(f"YouTube refuses the key ({text}); make a new PLUSMV_YOUTUBE_KEY")
    return ChangedFormat(f"YouTube answers {status} ({text}); plusmv may need an update")


def _filled(post: FoundPost, item: dict) -> FoundPost:
    found = (item.get(name) for name in ("contentDetails", "status"))
    details, status = (part if isinstance(part, dict) else {} for part in found)
    length = LENGTH.fullmatch(str(details.get("duration", "")))
    parts = [int(part or 0) for part in length.groups()] if length else []
    seconds = sum(part * unit for part, unit in zip(parts, (86400, 3600, 60, 1), strict=True)) if parts else 0
    licence = status.get("license")
    return replace(
        post,
        seconds=float(seconds) or None,
        licence=LICENCES.get(str(licence), bounded_line(str(licence or "unknown"), 200)),
        raw=redact_personal_data({"details": details, "status": status}),
    )
