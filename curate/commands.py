"""The commands about what the catalog holds: extract, label, decide, report and export."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from core.commandline import (
    HOME,
    Database,
    Home,
    Json,
    RetryFailed,
    Workers,
    counts,
    emit,
    say,
    say_failures,
    table,
    track,
)
from core.errors import BadInput
from core.workspace import Workspace

app = typer.Typer(rich_markup_mode=None)


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
    if out is not None:
        (out.parent if video else out).mkdir(parents=True, exist_ok=True)
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
    if video is not None and result["failed"]:
        raise BadInput(result["clips"][0]["reason"])
    if not result["clips"]:
        say("the catalog has no kept or undecided clip: take some in with plusmv crawl")
    rows = [[clip["id"], clip["state"], clip["snippets"]] for clip in result["clips"]]
    told = f"{len(rows)} clips = {result['done']} done + {result['skipped']} skipped + {result['failed']} failed"
    emit(result, as_json, [table("features", ("id", "state", "snippets"), rows), told])
    again = "the same command" if video or videos else "--retry-failed"
    say_failures([(clip["id"], clip["reason"]) for clip in result["clips"] if clip["state"] == "failed"], again)


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
    changed = result["changes"]
    since = f"since the last export: {len(changed['added'])} added, {len(changed['left'])} left"
    since += f", {changed['taken_down']} taken down" * bool(changed["taken_down"])
    emit(result, as_json, [table("exported", ("action", "clips"), rows), told, since])
    if not result["clips"]:
        say("no clip is kept yet: judge some with plusmv label or plusmv decide")
