"""The source `graph`: Instagram's official hashtag API, for a business account with an app that was reviewed.

At most 30 different tags in 7 days, which the catalog counts before it asks; only posts of the last 24 hours; no name
or id of the uploader. The link to a file stands in the listing, so a post is downloaded from its page or not at all.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from plusmv.core.errors import BadInput
from plusmv.core.parsing import moment_or_none, whole_number
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
    PostFailed,
    QuotaSpent,
    RateLimited,
    Reason,
    Source,
    SourceContext,
    SourceOptions,
)
from plusmv.curate.sources.credentials import key
from plusmv.curate.sources.http import Web
from plusmv.curate.sources.redact import redact_personal_data
from plusmv.db.models import PostState, ReasonCode

API = "https://graph.facebook.com/v21.0"
TAGS, WINDOW = 30, timedelta(days=7)  # Meta's limit for one account
PAGE = 50  # Meta's largest
FIELDS = "id,media_type,media_url,permalink,caption,timestamp"
SHORTCODE = re.compile(r"instagram\.com/(?:p|reel|tv)/([A-Za-z0-9_-]{5,40})")
LIMITED, DENIED, NO_TAG, TAGS_SPENT = (4, 17, 32, 613), (10, 102, 190, 200), 24, 18  # Meta's error codes


class GraphSource(Source):
    """Recent posts under a hashtag. quota: of this account, over WINDOW."""

    name, platform, tool = "graph", "instagram", "graph v21.0"
    platforms = (platform,)

    def __init__(self, web: Web, token: str, user: str, quota: Quota, max_bytes: int | None = None):
        if not user.isdecimal():
            raise BadInput("PLUSMV_GRAPH_USER must be the number of the Instagram business account")
        self._web, self._user, self._quota, self._max_bytes = web, user, quota, max_bytes
        self._headers = {"Authorization": f"Bearer {token}"}
        self.account = f"graph:{user}"

    @classmethod
    def open(cls, options: SourceOptions, context: SourceContext) -> "GraphSource":
        token, user = key("PLUSMV_GRAPH_TOKEN", "--source graph"), key("PLUSMV_GRAPH_USER", "--source graph")
        quota = Quota(context.catalog, context.workspace, f"graph:{user}", WINDOW)
        return cls(Web(context.rate_limiter), token, user, quota, options.max_bytes)

    def query(self, tag: str) -> dict:
        return {"tag": tag, "order": "recent"}

    def search(self, tag: str, cursor: Cursor | None = None) -> Iterator[Page]:
        """Pages of 50, newest first."""
        if cursor is not None and cursor.get("after") is None:
            return
        hashtag, after, first = self._hashtag(tag), (cursor or {}).get("after"), cursor is None
        while True:
            options = {"user_id": self._user, "fields": FIELDS, "limit": PAGE} | ({"after": after} if after else {})
            answer = self._ask(f"{hashtag}/recent_media", options)
            found = answer.get("data")
            if not isinstance(found, list) or not all(isinstance(one, dict) and one.get("id") for one in found):
                raise ChangedFormat("the hashtag API answers without 'data'; plusmv may need an update")
            if not found and first:
                raise EmptyPage(f"the hashtag API lists nothing under #{tag} (it knows the last 24 hours only)")
            try:
                after, posts = _next(answer), tuple(map(self._post, found))
            except (AttributeError, TypeError, ValueError) as error:
                raise ChangedFormat("the hashtag API answers in another form; plusmv may need an update") from error
            first = False
            yield Page(posts, {"after": after if found else None})
            if not found or not after:
                return

    def look(self, post: FoundPost) -> FoundPost:
        raise PostFailed("its link has expired; the next crawl of the tag gives a new one", ReasonCode.LINK_EXPIRED)

    def download(self, post: FoundPost, file: MediaFile) -> None:
        self._web.download(post.locator, file, self._max_bytes)

    def _hashtag(self, tag: str) -> str:
        """The API's id of a tag. A tag that was asked for within the window does not count again."""
        if not self._quota.has(f"hashtag {tag}"):
            self._quota.spend(f"hashtag {tag}", 1, TAGS, "Instagram admits 30 different tags in 7 days")
        answer = self._ask("ig_hashtag_search", {"user_id": self._user, "q": tag})
        try:
            return str(whole_number(answer["data"][0]["id"]))
        except (KeyError, IndexError, TypeError, BadInput) as error:
            raise ChangedFormat("the hashtag search answers without an id; plusmv may need an update") from error

    def _ask(self, path: str, options: dict) -> dict[str, Any]:
        status, answer = self._web.json(f"{API}/{path}", options, self._headers)
        if not isinstance(answer, dict):
            raise ChangedFormat(f"the hashtag API answers {status} with no object; plusmv may need an update")
        if "error" in answer:
            raise _meaning(answer["error"] if isinstance(answer["error"], dict) else {}, status)
        return answer

    def _post(self, found: dict) -> FoundPost:
        link, url = found.get("media_url"), str(found.get("permalink") or "")
        code = SHORTCODE.search(url)
        post = FoundPost(
            self.platform,
            code[1] if code else bounded_line(str(found["id"]), 500),
            url=bounded_line(url, 2000) or None,
            caption=bounded(str(found.get("caption") or ""), 5000),
            taken_at=moment_or_none(found.get("timestamp")),
            raw=redact_personal_data(found),
            locator=str(link or ""),
            is_video=found.get("media_type") == "VIDEO",
        )
        if not post.is_video:
            kind = str(found.get("media_type")).casefold()[:20]
            return post.ended(PostState.FILTERED, Reason(ReasonCode.NOT_VIDEO, f"is {kind}, not a single video"))
        if not link:
            text = "the API gives no link to its file (licensed sound, or downloads off)"
            return post.ended(PostState.FILTERED, Reason(ReasonCode.NO_LINK, text))
        return post


def _meaning(error: dict, status: int) -> Exception:
    code, text = error.get("code"), bounded_line(str(error.get("message", "")), 150)
    if code in LIMITED:
        return RateLimited(f"the hashtag API asks for a pause ({text}); come back in an hour")
    if code == TAGS_SPENT:
        return QuotaSpent(f"the account has asked for 30 different tags in 7 days ({text})")
    if code == NO_TAG:
        return EmptyPage(f"there is no such hashtag ({text})")
    if code in DENIED or status in (401, 403):
        return LoginWall(f"the hashtag API refuses the token ({text}); make a new PLUSMV_GRAPH_TOKEN")
    return ChangedFormat(f"the hashtag API answers {status}, code {code!r:.20} ({text})")


def _next(answer: dict) -> str | None:
    after = ((answer.get("paging") or {}).get("cursors") or {}).get("after")
    return str(after) if after else None
