"""The commands that talk to sources of posts: crawl."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from core.commandline import HOME, Database, Home, Json, Workers, bar, counts, emit, say, say_failures, table
from core.errors import BadInput
from core.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from curate.crawl_records import Target
    from curate.source_folder import FolderSource
    from db.session import Catalog

app = typer.Typer(rich_markup_mode=None)


@app.command()
def crawl(
    path: Annotated[Path | None, typer.Option(help="folder: the directory of clips.")] = None,
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
    source: Annotated[Literal["folder"], typer.Option(help="Where the posts are.")] = "folder",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many posts for each tag.")] = None,
    min_seconds: Annotated[float | None, typer.Option(min=0, help="Filter shorter clips.")] = None,
    max_seconds: Annotated[float | None, typer.Option(min=0, help="Filter longer clips.")] = None,
    max_megabytes: Annotated[float, typer.Option(min=0, help="Filter larger files.")] = 2000.0,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed before; otherwise it counts as known.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list: what would be downloaded is counted as such.")
    ] = False,
    workers: Workers = None,
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Take in clips under action tags. Without --tag, --action or --actions: under every tag of the folder.

    Every post ends as downloaded, known, filtered, failed, gone or tombstoned. The same command again takes what is
    new, and goes on where it was stopped.
    """
    from curate.crawl import Crawl, Limits
    from curate.crawl_records import ENDINGS
    from curate.source_folder import FolderSource
    from db.session import open_catalog

    if path is None:
        raise BadInput("--source folder needs the directory of clips: --path DIR")
    workspace = Workspace(home)
    folder = FolderSource(path, manifest, int(max_megabytes * 1e6), apart_from=home)
    catalog = open_catalog(workspace, db)
    targets = _targets(catalog, folder, tag, action, actions)
    with bar(None, f"crawl {source}") as advance:
        limits = Limits(limit, min_seconds, max_seconds)
        crawl = Crawl(catalog, workspace, folder, limits, retry_failed, dry_run, on_page=lambda run, n: advance(n))
        result = crawl.run(targets, workers)
    met = [name for name in ENDINGS if result["totals"][name] or name in ("downloaded", "known")]
    columns = ("tag", "action", "found", *met)
    rows = [[run[name] for name in columns] for run in result["runs"]]
    title = "dry run: nothing was written" if dry_run else f"crawled {path}"
    emit(result, as_json, [table(title, columns, rows), counts(result["totals"], ("found", *ENDINGS))])
    say_failures([(failure["post"], failure["reason"]) for failure in result["failures"]], "--retry-failed")
    if result["failed_before"]:
        say(f"{result['failed_before']} of the known failed before; --retry-failed tries them again")


def _targets(
    catalog: "Catalog",
    source: "FolderSource",
    tags: "Sequence[str] | None",
    names: "Sequence[str] | None",
    file: str | None,
) -> "list[Target]":
    from curate.targets import actions_named, known_actions, targets_of_actions, targets_of_tags, there

    if sum(map(bool, (tags, names, file))) > 1:
        raise BadInput("give one of --tag, --action and --actions")
    if names:
        return there(targets_of_actions(names, known_actions(catalog)), source.tags())
    if file:
        chosen = actions_named(file)
        return there(targets_of_actions([action.name for action in chosen], chosen), source.tags())
    return there(targets_of_tags(tags or source.tags(), known_actions(catalog)), source.tags())
