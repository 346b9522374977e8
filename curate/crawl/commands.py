"""The commands that talk to sources of posts: crawl and recheck."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from plusmv.core.commandline import HOME, Database, Home, Json, Workers, bars, counts, emit, say, say_failures, table
from plusmv.core.errors import BadInput, PlusmvError
from plusmv.core.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plusmv.curate.crawl.records import RunRecord, Target
    from plusmv.db.session import Catalog

app = typer.Typer(rich_markup_mode=None)
SourceName = Literal["folder", "instagram", "ytdlp", "urls", "graph", "youtube"]
Pause = Annotated[
    float | None,
    typer.Option(min=0, help="Seconds between requests to one host (default: by platform; less than 0.5 is refused)."),
]
Browser = Annotated[
    str | None,
    typer.Option("--cookies-from-browser", help="Take the login from this browser of yours, such as firefox."),
]


@app.command()
def crawl(
    path: Annotated[
        Path | None, typer.Option(help="folder: the directory of clips; urls: the file of links, one a line.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="folder: CSV or JSONL with file (relative to --path), tag[, platform, platform_id, uploader, caption, "
            "taken_at, url, licence]. Default: manifest.csv or .jsonl in the folder; without one the name of a "
            "clip's folder is its tag."
        ),
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag to crawl (repeatable).")] = None,
    action: Annotated[list[str] | None, typer.Option(help="An action, by all of its tags (repeatable).")] = None,
    actions: Annotated[str | None, typer.Option(help='"thumos14", or a CSV of actions of your own.')] = None,
    source: Annotated[SourceName, typer.Option(help="Where the posts are.")] = "folder",
    query: Annotated[
        str | None,
        typer.Option(
            help="ytdlp: youtube, youtube-hashtag, youtube-shorts, dailymotion, bilibili, niconico, or any search or "
            "page that yt-dlp knows, with {tag}, {action}, {limit} in it."
        ),
    ] = None,
    licence: Annotated[
        Literal["creativeCommon"] | None, typer.Option(help="youtube: only videos under this licence.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many videos for each tag, newest first.")] = None,
    min_seconds: Annotated[float | None, typer.Option(min=0, help="Filter shorter clips.")] = None,
    max_seconds: Annotated[float | None, typer.Option(min=0, help="Filter longer clips.")] = None,
    max_megabytes: Annotated[float, typer.Option(min=0, help="Filter larger files.")] = 2000.0,
    metadata_only: Annotated[
        bool, typer.Option("--metadata-only", help="Take posts in without their media; a later crawl fetches those.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed or was gone; otherwise it counts as known.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list: what would be downloaded is counted as such.")
    ] = False,
    pause: Pause = None,
    browser: Browser = None,
    workers: Workers = None,
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Take in clips under action tags. Without --tag, --action or --actions: every tag of the folder or list.

    Every post ends as downloaded, known, filtered, failed, gone or tombstoned. The same command again takes what is
    new, fills gaps, and goes on where it was stopped. Logins and keys: PLUSMV_INSTAGRAM_SESSION, PLUSMV_COOKIES (files
    of mode 0600), PLUSMV_GRAPH_TOKEN with PLUSMV_GRAPH_USER, PLUSMV_YOUTUBE_KEY.
    """
    from plusmv.curate.crawl.crawler import Crawl, Limits
    from plusmv.curate.sources.rate_limit import RateLimiter
    from plusmv.curate.sources.registry import SourceOptions, open_source
    from plusmv.db.session import open_catalog

    workspace, rate_limiter = Workspace(home), RateLimiter(pause)
    max_bytes = int(max_megabytes * 1e6)
    options = SourceOptions(path, manifest, query, licence, browser, limit, max_bytes, metadata_only)
    catalog = open_catalog(workspace, db)
    if source != "folder" and source != "urls":
        targets = _targets(catalog, tag, action, actions)
        options = SourceOptions(**vars(options) | {"actions": tuple((t.tag, t.action.name) for t in targets)})
        place = open_source(source, options, rate_limiter, catalog, workspace)
    else:
        place = open_source(source, options, rate_limiter, catalog, workspace)
        targets = _targets(catalog, tag, action, actions, place.tags(), may_be_else=source == "urls")
    limits = Limits(limit, min_seconds, max_seconds, max_bytes)
    with bars(f"crawl {source}") as advance:

        def saved(run: "RunRecord", posts: int) -> None:
            advance(run.target.tag, posts, limit)

        crawling = Crawl(catalog, workspace, place, limits, retry_failed, dry_run, metadata_only, rate_limiter, saved)
        result = crawling.run(targets, workers)
    _tell(result, f"crawled {path or source}", as_json, dry_run, metadata_only)


def _tell(result: dict, title: str, as_json: bool, dry_run: bool, metadata_only: bool) -> None:
    """The table of tags, the sum, what failed; then the error of a search that stopped, if there was one."""
    from plusmv.curate.crawl.records import ENDINGS

    met = [name for name in ENDINGS if result["totals"][name] or name in ("downloaded", "known")]
    columns = ("tag", "action", "found", *met)
    rows = [[run[name] for name in columns] for run in result["runs"]]
    title = "dry run: nothing was written" if dry_run else f"{title}, metadata only" if metadata_only else title
    emit(result, as_json, [table(title, columns, rows), counts(result["totals"], ("found", *ENDINGS))])
    say_failures([(failure["post"], failure["reason"]) for failure in result["failures"]], "--retry-failed")
    if result["failed_before"]:
        say(f"{result['failed_before']} of the known failed before; --retry-failed tries them again")
    for error in result["errors"][:-1]:
        say(f"#{error['tag']}: {error['reason']}")
    if result["errors"]:
        raise PlusmvError(result["errors"][-1]["reason"])


def _targets(
    catalog: "Catalog",
    tags: "Sequence[str] | None",
    names: "Sequence[str] | None",
    file: str | None,
    there: "tuple[str, ...] | None" = None,
    may_be_else: bool = False,
) -> "list[Target]":
    """there: the tags that the source has, where it can tell; may_be_else: it takes others too."""
    from plusmv.core.actions import actions_named
    from plusmv.curate.crawl import targets as choosing

    if sum(map(bool, (tags, names, file))) > 1:
        raise BadInput("give one of --tag, --action and --actions")
    known = choosing.known_actions(catalog)
    if names:
        targets = choosing.targets_of_actions(names, known)
    elif file:
        chosen = actions_named(file)
        targets = choosing.targets_of_actions([action.name for action in chosen], chosen)
    else:
        if not (tags or there):
            raise BadInput("say what to crawl: --tag golfswing, --action GolfSwing or --actions thumos14")
        targets = choosing.targets_of_tags(tags or there, known)
    return targets if there is None or may_be_else else choosing.there(targets, there)


@app.command()
def recheck(
    path: Annotated[Path | None, typer.Option(help="The directory of clips, to visit the posts of a folder.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many posts, longest unvisited first.")] = None,
    older_than: Annotated[float, typer.Option(min=0, help="Only posts not visited for so many days.")] = 0.0,
    pause: Pause = None,
    browser: Browser = None,
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Visit posts again and mark what vanished as gone. Media and decisions stay: see takedown.

    Posts of a folder are visited with --path; those of a site by the site's own page.
    """
    from datetime import timedelta

    from plusmv.curate.crawl.recheck import OUTCOMES
    from plusmv.curate.crawl.recheck import recheck as visit
    from plusmv.curate.sources.rate_limit import RateLimiter
    from plusmv.curate.sources.registry import SourceOptions, lookers
    from plusmv.db.session import open_catalog

    workspace, rate_limiter = Workspace(home), RateLimiter(pause)
    catalog = open_catalog(workspace, db)
    find = lookers(SourceOptions(path=path, browser=browser), rate_limiter, catalog, workspace)
    with bars("recheck") as advance:
        result = visit(catalog, find, rate_limiter, timedelta(days=older_than), limit, lambda n: advance("", n, limit))
    emit(result, as_json, counts(result, ("posts", *OUTCOMES)))
    for name in result["vanished"][:20]:
        say(f"gone: {name}")
    if result["errors"]:
        raise PlusmvError(result["errors"][0]["reason"])
