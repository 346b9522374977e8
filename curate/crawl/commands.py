"""The commands that talk to sources of posts: crawl and recheck."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from plusmv.core.commandline import (
    HOME,
    Database,
    Home,
    Json,
    Workers,
    bars,
    conclude,
    counts,
    emit,
    say,
    say_failures,
    table,
)
from plusmv.core.errors import BadInput, PlusmvError
from plusmv.core.parsing import LARGEST_FACT
from plusmv.core.workspace import Workspace
from plusmv.curate.sources.registry import SOURCES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plusmv.core.actions import Action
    from plusmv.curate.crawl.results import CrawlResult
    from plusmv.curate.crawl.runs import RunRecord, Target

app = typer.Typer(rich_markup_mode=None)


def _source_name(text: str) -> str:
    """A name of SOURCES, which may have grown since this module was loaded."""
    if text not in SOURCES:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(SOURCES)}")
    return text


SourceName = Annotated[
    str, typer.Option(parser=_source_name, metavar=f"[{'|'.join(SOURCES)}]", help="Where the posts are.")
]
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
    source: SourceName = "folder",
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
    from plusmv.curate.crawl.crawler import Crawl
    from plusmv.curate.crawl.fetch import Limits
    from plusmv.curate.crawl.targets import known_actions, targets_in_source
    from plusmv.curate.sources.base import SourceContext, SourceOptions
    from plusmv.curate.sources.rate_limit import RateLimiter
    from plusmv.curate.sources.registry import open_source
    from plusmv.db.session import open_catalog

    workspace, rate_limiter = Workspace(home), RateLimiter(pause)
    catalog = open_catalog(workspace, db, needs_key=True)
    actions_known, max_bytes = known_actions(catalog), int(min(max_megabytes * 1e6, LARGEST_FACT))
    chosen = _chosen_targets(actions_known, tag, action, actions)
    named = tuple((target.tag, target.action.name) for target in chosen)
    options = SourceOptions(path, manifest, query, licence, browser, limit, max_bytes, metadata_only, named)
    opened = open_source(source, options, SourceContext(rate_limiter, catalog, workspace))
    targets = targets_in_source(chosen, opened, actions_known)
    limits = Limits(limit, min_seconds, max_seconds, max_bytes)
    with bars(f"crawl {source}") as advance:

        def saved(run: "RunRecord", posts: int) -> None:
            advance(run.target.tag, posts, limit)

        crawling = Crawl(catalog, workspace, opened, limits, retry_failed, dry_run, metadata_only, rate_limiter, saved)
        result = crawling.run(targets, workers)
    title = "dry run: nothing was written" if dry_run else f"crawled {path or source}"
    _print_result(result, f"{title}, metadata only" if metadata_only and not dry_run else title, as_json)


def _print_result(result: "CrawlResult", title: str, as_json: bool) -> None:
    """The table of tags, the sum, what failed; then the error of a search that stopped, if there was one."""
    from plusmv.curate.crawl.results import ENDINGS, ended

    met = [name for name in ENDINGS if result["totals"][name] or name in ("downloaded", "known")]
    rows = [[run["tag"], run["action"], run["found"], *(run[name] for name in met)] for run in result["runs"]]
    tags = table(title, ("tag", "action", "found", *met), rows)
    emit(result, as_json, [tags, counts(result["totals"], ("found", *ENDINGS))])
    say_failures([(failure["post"], failure["reason"]) for failure in result["failures"]], "--retry-failed")
    if result["failed_before"]:
        say(f"{result['failed_before']} of the known failed before; --retry-failed tries them again")
    if nobodys := result["totals"]["without_uploader"]:
        say(f"{nobodys} of the clips have no known uploader: takedown --uploader cannot find them")
    for error in result["errors"][:-1]:
        say(f"#{error['tag']}: {error['reason']}")
    if result["errors"]:
        raise PlusmvError(result["errors"][-1]["reason"])
    conclude(ended(result), "posts")


def _chosen_targets(
    known: "Sequence[Action]", tags: "Sequence[str] | None", names: "Sequence[str] | None", file: str | None
) -> "list[Target]":
    """What --tag, --action or --actions ask for; [] where none of them is given."""
    from plusmv.core.actions import actions_named
    from plusmv.curate.crawl.targets import targets_of_actions, targets_of_tags

    if sum(map(bool, (tags, names, file))) > 1:
        raise BadInput("give one of --tag, --action and --actions")
    if names:
        return targets_of_actions(names, known)
    if file:
        chosen = actions_named(file)
        return targets_of_actions([action.name for action in chosen], chosen)
    return targets_of_tags(tags or (), known)


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

    from plusmv.curate.crawl.recheck import OUTCOMES, ended
    from plusmv.curate.crawl.recheck import recheck as visit
    from plusmv.curate.sources.base import SourceContext, SourceOptions
    from plusmv.curate.sources.rate_limit import RateLimiter
    from plusmv.curate.sources.registry import recheck_sources
    from plusmv.db.session import open_catalog

    workspace, rate_limiter = Workspace(home), RateLimiter(pause)
    catalog = open_catalog(workspace, db, needs_key=True)
    context = SourceContext(rate_limiter, catalog, workspace)
    sources = recheck_sources(SourceOptions(path=path, browser=browser), context)
    with bars("recheck") as advance:
        age = timedelta(days=older_than)
        result = visit(catalog, sources, rate_limiter, age, limit, lambda posts: advance("", posts, limit))
    emit(result, as_json, counts(result, ("posts", *OUTCOMES)))
    for name in result["vanished"][:20]:
        say(f"gone: {name}")
    if result["not_visited"] and path is None:
        say("a folder's posts are visited with --path DIR")
    if result["errors"]:
        raise PlusmvError(result["errors"][0]["reason"])
    if result["posts"]:  # else none is due: all were visited before
        conclude(ended(result), "posts")
