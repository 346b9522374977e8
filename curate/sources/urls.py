"""The source `urls`: a list of links, one a line, looked at and downloaded by yt-dlp.

A line is a link, or a link and a tag: `https://... golfswing`; lines that start with # are remarks. Links without a tag
belong to every tag that is asked for. A link to a site that yt-dlp knows is known by that site's own id, so the same
post found by a search is the same post.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from plusmv.core.actions import normalise_tag
from plusmv.core.errors import BadInput, PlusmvError
from plusmv.core.reading import read_text
from plusmv.core.text import bounded_line, printable
from plusmv.curate.sources.base import (
    Cursor,
    FoundPost,
    MediaFile,
    Page,
    Source,
    SourceContext,
    SourceOptions,
    reason_of,
)
from plusmv.curate.sources.http import allowed_url
from plusmv.curate.sources.ytdlp_client import VERSION, YtDlp
from plusmv.db.models import PostState

PAGE = 20


class UrlsSource(Source):
    """Posts that somebody listed. Raises BadInput with the line at fault."""

    name, tool = "urls", VERSION
    platforms = ("web",)

    def __init__(self, path: Path, ytdlp: YtDlp):
        self._path, self._ytdlp, self.account = path, ytdlp, ytdlp.account
        self._lines, self._state = _read(path)

    @classmethod
    def open(cls, options: SourceOptions, context: SourceContext) -> "UrlsSource":
        if options.path is None:
            raise BadInput("--source urls needs the list of links: --path FILE")
        return cls(options.path, YtDlp.open(options, context))

    def tags(self) -> tuple[str, ...]:
        """Every tag that the list itself names."""
        return tuple(dict.fromkeys(tag for _, tag in self._lines if tag))

    def query(self, tag: str) -> dict:
        return {"list": printable(str(self._path.name), 200), "state": self._state}

    def search(self, tag: str, cursor: Cursor | None = None) -> Iterator[Page]:
        """Pages in the list's order."""
        links = [link for link, own in self._lines if own in (None, tag)]
        for start in range((cursor or {}).get("posts", 0), len(links), PAGE):
            posts = tuple(map(self._post, links[start : start + PAGE]))
            yield Page(posts, {"posts": start + len(posts)})

    def look(self, post: FoundPost) -> FoundPost:
        return self._ytdlp.look(post)

    def download(self, post: FoundPost, file: MediaFile) -> None:
        self._ytdlp.download(post, file)

    def _post(self, link: str) -> FoundPost:
        try:
            allowed_url(link)
        except PlusmvError as error:
            shown = FoundPost("web", bounded_line(link, 500), url=bounded_line(link, 2000))
            return shown.ended(PostState.FAILED, reason_of(error))
        platform, name, identity = self._ytdlp.identify(link)
        return FoundPost(platform, name, identity, url=bounded_line(link, 2000), complete=False)


def _read(path: Path) -> tuple[list[tuple[str, str | None]], str]:
    """([(link, its tag or None)], a hash of the list)."""
    text = read_text(path)
    lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        parts = line.split(None, 1)
        if not parts or parts[0].startswith("#"):
            continue
        try:
            lines.append((parts[0], normalise_tag(parts[1]) if len(parts) > 1 else None))
        except BadInput as error:
            raise BadInput(f"{path} line {number}: {error}") from error
    if not lines:
        raise BadInput(f"{path} holds no links; write one a line")
    return lines, hashlib.sha256(text.encode()).hexdigest()[:16]
