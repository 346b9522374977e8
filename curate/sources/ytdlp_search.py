"""The source `ytdlp`: whatever yt-dlp can search or list, by a template with {tag}, {action} and {limit}.

A search lists ids only; the look at each new video tells the rest. yt-dlp has no search by date of upload on YouTube
any more, so "newest" is what the site's own tag page or search puts first.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import quote

from plusmv.core.errors import BadInput
from plusmv.curate.sources.base import (
    ANY_PLATFORM,
    Cursor,
    EmptyPage,
    FoundPost,
    MediaFile,
    Page,
    RateLimited,
    Source,
    SourceContext,
    SourceOptions,
    TransientError,
    Unreachable,
)
from plusmv.curate.sources.http import persistent
from plusmv.curate.sources.ytdlp_client import VERSION, YtDlp

PAGE = 20  # posts, saved in one transaction
QUERIES = {  # what --query may be called by
    "youtube": "ytsearch{limit}:#{tag}",
    "youtube-hashtag": "https://www.youtube.com/hashtag/{tag}",
    "youtube-shorts": "https://www.youtube.com/hashtag/{tag}/shorts",
    "dailymotion": "https://www.dailymotion.com/search/{tag}/videos",
    "bilibili": "bilisearch{limit}:{tag}",
    "niconico": "nicosearchdate{limit}:{tag}",
}
UNLIMITED = 100  # {limit} where no --limit is given
T = TypeVar("T")


class YtDlpSource(Source):
    """Posts of the sites that yt-dlp knows. template: a name of QUERIES, or one of one's own.

    actions: (tag, action) for {action}. Raises BadInput for a template that cannot be filled.
    """

    name, tool = "ytdlp", VERSION
    platforms = ("youtube", "tiktok", "dailymotion", "vimeo", "bilibili", "niconico", "facebook", "x")
    rechecks = (ANY_PLATFORM,)

    def __init__(
        self, ytdlp: YtDlp, template: str, limit: int | None = None, actions: tuple[tuple[str, str], ...] = ()
    ):
        self.ytdlp, self.template, self.limit = ytdlp, template, limit
        self.actions, self.account = dict(actions), ytdlp.account
        self._text("tag")

    @classmethod
    def open(cls, options: SourceOptions, context: SourceContext) -> "YtDlpSource":
        ytdlp = YtDlp.open(options, context)
        return cls(ytdlp, options.query or "youtube-shorts", options.limit, options.actions)

    def query(self, tag: str) -> dict:
        return {"query": self._text(tag)}

    def search(self, tag: str, cursor: Cursor | None = None) -> Iterator[Page]:
        """Pages in the site's order. A cursor counts; what is new meanwhile makes some posts come twice, as known."""
        query, done = self._text(tag), (cursor or {}).get("posts", 0)
        rest: Iterator[FoundPost] | None = None

        def next_page() -> list[FoundPost]:
            nonlocal rest
            entries, rest = rest or self.ytdlp.entries(query, done), None  # after an error: from where we stood
            posts = [post for _, post in zip(range(PAGE), entries, strict=False)]
            rest = entries
            return posts

        while True:
            posts = self._persist(next_page)
            if not posts:
                if not done:
                    raise EmptyPage(f"{query[:200]} lists nothing: look at it in a browser, or try another --query")
                return
            done += len(posts)
            yield Page(tuple(posts), {"posts": done})

    def look(self, post: FoundPost) -> FoundPost:
        return self.ytdlp.look(post)

    def download(self, post: FoundPost, file: MediaFile) -> None:
        self.ytdlp.download(post, file)

    def _persist(self, call: Callable[[], T]) -> T:
        try:
            return persistent(self.ytdlp.rate_limiter, self.name, call)
        except TransientError as error:
            kind = RateLimited if error.limited else Unreachable
            raise kind(f"{error}; try again later, the same command goes on from here") from error

    def _text(self, tag: str) -> str:
        template = QUERIES.get(self.template, self.template)
        linked = "://" in template
        action = self.actions.get(tag, tag)
        values = {"tag": tag, "action": action, "limit": str(self.limit or UNLIMITED)}
        values = {name: quote(value, safe="") if linked else value for name, value in values.items()}
        try:
            text = template.format_map(values)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise BadInput(f"--query {template[:100]!r}: only {{tag}}, {{action}} and {{limit}} are known") from error
        if not ("{tag}" in template or "{action}" in template) or text.startswith("-"):
            names = ", ".join(QUERIES)
            raise BadInput(f"--query needs {{tag}} or {{action}} in it, or one of the names {names}")
        return text
