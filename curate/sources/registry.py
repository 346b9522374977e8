"""Which source a crawl takes its posts from: made from the command's options, with the credentials that it needs."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plusmv.core.errors import BadInput
from plusmv.core.workspace import Workspace
from plusmv.curate.sources.base import Source
from plusmv.curate.sources.credentials import cookies_of_browser, cookies_of_file, key, private_bytes
from plusmv.curate.sources.rate_limit import RateLimiter
from plusmv.db.session import Catalog

NAMES = ("folder", "instagram", "ytdlp", "urls", "graph", "youtube")


@dataclass(frozen=True)
class SourceOptions:
    """What the command line says of a source; each reads what concerns it."""

    path: Path | None = None
    manifest: Path | None = None
    query: str | None = None
    licence: str | None = None
    browser: str | None = None  # whose cookies to take
    limit: int | None = None
    max_bytes: int | None = None
    metadata_only: bool = False
    actions: tuple[tuple[str, str], ...] = ()  # (tag, action)


def open_source(
    name: str, options: SourceOptions, rate_limiter: RateLimiter, catalog: Catalog, workspace: Workspace
) -> Source:
    """The source of that name. Raises BadInput or Missing where an option or a credential is missing."""
    if name == "folder":
        return _folder(options, workspace)
    if options.manifest is not None:
        raise BadInput("--manifest goes with --source folder")
    if name == "instagram":
        from plusmv.curate.sources.instagram import InstagramSource

        return InstagramSource(rate_limiter, _instagram_cookies(options), options.max_bytes)
    if name == "graph":
        from plusmv.curate.sources.accounts import Quota
        from plusmv.curate.sources.graph import WINDOW, GraphSource
        from plusmv.curate.sources.http import Web

        token, user = key("PLUSMV_GRAPH_TOKEN", "--source graph"), key("PLUSMV_GRAPH_USER", "--source graph")
        quota = Quota(catalog, workspace, f"graph:{user}", WINDOW)
        return GraphSource(Web(rate_limiter), token, user, quota, options.max_bytes)
    return _by_ytdlp(name, options, rate_limiter, catalog, workspace)


def _folder(options: SourceOptions, workspace: Workspace) -> Source:
    from plusmv.curate.sources.folder import FolderSource

    if options.path is None:
        raise BadInput("--source folder needs the directory of clips: --path DIR")
    return FolderSource(
        options.path, options.manifest, options.max_bytes, workspace.home, metadata_only=options.metadata_only
    )


def _by_ytdlp(
    name: str, options: SourceOptions, rate_limiter: RateLimiter, catalog: Catalog, workspace: Workspace
) -> Source:
    from plusmv.curate.sources.ytdlp_client import YtDlp

    file = os.environ.get("PLUSMV_COOKIES")
    cookies = private_bytes(Path(file)).decode("utf-8", "replace") if file else None
    ytdlp = YtDlp(rate_limiter, cookies, options.browser, options.max_bytes)
    account = f"ytdlp:{options.browser or file}" if options.browser or file else ""
    if name == "urls":
        from plusmv.curate.sources.urls import UrlsSource

        if options.path is None:
            raise BadInput("--source urls needs the list of links: --path FILE")
        return UrlsSource(options.path, ytdlp, account)
    if name == "youtube":
        from plusmv.curate.sources.accounts import Quota
        from plusmv.curate.sources.http import Web
        from plusmv.curate.sources.youtube import WINDOW, YouTubeSource

        secret = key("PLUSMV_YOUTUBE_KEY", "--source youtube")
        quota = Quota(catalog, workspace, f"youtube:{secret}", WINDOW)
        return YouTubeSource(Web(rate_limiter), secret, quota, ytdlp, options.licence)
    from plusmv.curate.sources.ytdlp_search import YtDlpSource

    return YtDlpSource(ytdlp, options.query or "youtube-shorts", options.limit, options.actions, account)


def _instagram_cookies(options: SourceOptions) -> dict[str, str] | None:
    if options.browser:
        return cookies_of_browser(options.browser, "instagram.com")
    file = os.environ.get("PLUSMV_INSTAGRAM_SESSION")
    return cookies_of_file(Path(file), "instagram.com") if file else None


def lookers(
    options: SourceOptions, rate_limiter: RateLimiter, catalog: Catalog, workspace: Workspace
) -> Callable[[str], Source | None]:
    """Who can look at posts of a platform: made when it is first asked for."""
    made: dict[str, Source | None] = {}

    def find(platform: str) -> Source | None:
        name = platform if platform in ("folder", "instagram") else "ytdlp"
        if name not in made:
            possible = name != "folder" or options.path is not None
            made[name] = open_source(name, options, rate_limiter, catalog, workspace) if possible else None
        return made[name]

    return find
