"""The commands from found posts to a curated data set: crawl, dedup, extract, label, decide, report and export."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from core.commandline import HOME, Database, Home, Json, bar, counts, emit, say, table, track
from core.errors import BadInput
from core.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from curate.crawl_records import Target
    from curate.source_folder import FolderSource
    from db.session import Catalog

app = typer.Typer(rich_markup_mode=None)
SHOWN = 20  # failures listed for a person; --json lists all

Workers = Annotated[int | None, typer.Option(min=1, help="Worker processes (default: one a core).")]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Try again what failed before; otherwise it is left.")
]


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
        result = Crawl(catalog, workspace, folder, limits, retry_failed, dry_run, advance).run(targets, workers)
    met = [name for name in ENDINGS if result["totals"][name] or name in ("downloaded", "known")]
    columns = ("tag", "action", "found", *met)
    rows = [[run[name] for name in columns] for run in result["runs"]]
    title = "dry run: nothing was written" if dry_run else f"crawled {path}"
    emit(result, as_json, [table(title, columns, rows), counts(result["totals"], ("found", *ENDINGS))])
    _say_failures([(failure["post"], failure["reason"]) for failure in result["failures"]], "--retry-failed")
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


@app.command()
def dedup(
    retry_failed: RetryFailed = False,
    workers: Workers = None,
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Fingerprint what is new, and find exact and near duplicates among all clips.

    exact: the same bytes. copy: edited from the other. part: lies in the other. same-scene: another moment.
    """
    from curate.duplicates import find_duplicates
    from db.session import open_catalog

    workspace = Workspace(home)
    result = find_duplicates(open_catalog(workspace, db), workspace, workers, retry_failed, track)
    columns = ("a", "b", "kind", "offset_s", "speed", "mirror", "score")
    rows = [[_named(pair["a"]), _named(pair["b"]), *(pair[name] for name in columns[2:])] for pair in result["pairs"]]
    told = f"{len(result['pairs'])} pairs, {len(result['groups'])} groups"
    sums = counts(result, ("clips", "fingerprinted", "skipped", "failed"))
    emit(result, as_json, [table("duplicates", columns, rows), sums, told])
    _say_failures([(_named(failure), failure["reason"]) for failure in result["failures"]], "--retry-failed")


def _named(side: dict) -> str:
    return ", ".join(side["posts"]) or side["sha256"][:12]


@app.command()
def extract(
    video: Annotated[Path | None, typer.Option(help="One video, instead of the catalog's clips.")] = None,
    videos: Annotated[
        Path | None, typer.Option(help="Every video of a folder, instead of the catalog's clips.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="--video: the feature file to write; --videos: the folder for <stem>.safetensors."),
    ] = None,
    streams: Annotated[str, typer.Option(help="rgb, flow or both, separated by a comma.")] = "rgb,flow",
    stride: Annotated[int, typer.Option(min=1, help="Frames between snippets of 16.")] = 16,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    flow_init: Annotated[
        Literal["cross-modality"] | None, typer.Option(help="Make the flow network of the RGB one's weights.")
    ] = None,
    random_weights: Annotated[
        bool,
        typer.Option("--random-weights", help="Untrained networks, only to try things; every feature file says so."),
    ] = False,
    retry_failed: RetryFailed = False,
    workers: Workers = None,
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Extract I3D features of every kept or undecided clip of the catalog, or of --video, or of --videos.

    What has its features already, by the same recipe and weights, is skipped; failed clips stay failed until
    --retry-failed.
    """
    from curate.extraction import Video, extract_clips, extract_videos, folder_videos, summary
    from db.session import open_catalog
    from features.pipeline import Extractor
    from features.recipe import Recipe

    wanted = tuple(part.strip() for part in streams.split(",") if part.strip())
    extractor = Extractor(Recipe(stride=stride), wanted, device, flow_init, random_weights)
    if video is not None and videos is not None:
        raise BadInput("give one of --video and --videos")
    if (video or videos) is not None and out is None:
        raise BadInput("say where the features go: --out")
    if video is not None:
        if out.suffix != ".safetensors":
            raise BadInput(f"a feature file ends in .safetensors, not {out.name}")
        outcomes = extract_videos(extractor, [Video(out.stem, video, out)], 1, track)
    elif videos is not None:
        outcomes = extract_videos(extractor, folder_videos(videos, out), workers, track)
    else:
        workspace = Workspace(home)
        outcomes = extract_clips(open_catalog(workspace, db), workspace, extractor, retry_failed, workers, track)
    result = summary(outcomes)
    if not result["clips"]:
        say("the catalog has no kept or undecided clip: take some in with plusmv crawl")
    rows = [[clip["id"], clip["state"], clip["snippets"]] for clip in result["clips"]]
    told = f"{len(rows)} clips = {result['done']} done + {result['skipped']} skipped + {result['failed']} failed"
    emit(result, as_json, [table("features", ("id", "state", "snippets"), rows), told])
    again = "the same command" if video or videos else "--retry-failed"
    _say_failures([(clip["id"], clip["reason"]) for clip in result["clips"] if clip["state"] == "failed"], again)


@app.command()
def label(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the page is served on this machine.")] = 8501,
    annotator: Annotated[str | None, typer.Option(help="Who decides (default: the login name).")] = None,
    home: Home = HOME,
    db: Database = None,
) -> None:
    """Review clips in the browser: keep, mis-tagged, duplicate, unusable, undo. Same as `streamlit run labeler_ui`."""
    import importlib.util
    import os
    import subprocess
    import sys

    environment = os.environ | {"PLUSMV_HOME": str(home.resolve())}
    environment |= {"PLUSMV_DB": db} if db else {}
    environment |= {"PLUSMV_ANNOTATOR": annotator} if annotator else {}
    folder = importlib.util.find_spec("labeler_ui").submodule_search_locations[0]
    command = [sys.executable, "-m", "streamlit", "run", folder, "--server.port", str(port)]
    raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)


@app.command()
def decide(
    file: Annotated[
        Path,
        typer.Option("--from", help="CSV: clip (sha256 or post id), action, verdict, annotator[, seconds, reason]."),
    ],
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Record decisions in bulk: keep and mistagged of a clip under an action, duplicate and unusable of a clip.

    All lines or none. A clip that shows another action takes two lines: mistagged here, keep there. Lines that were
    recorded before, and not undone, are skipped.
    """
    from curate.decisions import decide_from_csv
    from db.session import open_catalog

    result = decide_from_csv(open_catalog(Workspace(home), db), file)
    emit(result, as_json, counts(result, ("rows", "recorded", "skipped")))


@app.command()
def report(
    html: Annotated[Path | None, typer.Option(help="Also write the report as a page.")] = None,
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Say for each action what became of its clips, which share was kept, and how long deciding took."""
    from core.workspace import write_bytes
    from curate import report as reporting
    from db.session import open_catalog

    result = reporting.report(open_catalog(Workspace(home), db))
    if html is not None:
        write_bytes(html, reporting.html_page(result).encode())
    rows = {**result["actions"], "all actions": result["totals"]}
    lines = [[name, *reporting.cells(row)] for name, row in rows.items()]
    heads = ("action", *reporting.COLUMNS[:-1], "s/clip")
    emit(result, as_json, table("clips per action", heads, lines))


@app.command()
def export(home: Home = HOME, db: Database = None, as_json: Json = False) -> None:
    """Write the kept clips as a weakly labelled data set: exports/microvideos.json, for `plusmv train --mv`."""
    from curate.export import export_microvideos
    from db.session import open_catalog

    workspace = Workspace(home)
    result = export_microvideos(open_catalog(workspace, db), workspace)
    left_out = " + ".join(f"{count} {why}" for why, count in result["left_out"].items())
    told = f"{result['clips']} clips with {result['labels']} labels in {result['path']}; left out: {left_out}"
    rows = result["per_action"].items()
    emit(result, as_json, [table("exported", ("action", "clips"), rows), told])
    if not result["clips"]:
        say("no clip is kept yet: judge some with plusmv label or plusmv decide")


def _say_failures(failures: "Sequence[tuple[str, str]]", again: str) -> None:
    for name, reason in failures[:SHOWN]:
        say(f"failed: {name}: {reason}")
    if len(failures) > SHOWN:
        say(f"... and {len(failures) - SHOWN} more; --json lists them all")
    if failures:
        say(f"the rest went on; {again} tries these again")
