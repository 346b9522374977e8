"""The commands about what the catalog holds: decide, report and export."""

from pathlib import Path
from typing import Annotated

import typer

from core.commandline import (
    HOME,
    Database,
    Home,
    Json,
    counts,
    emit,
    say,
    table,
)
from core.workspace import Workspace

app = typer.Typer(rich_markup_mode=None)


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
    csv: Annotated[Path | None, typer.Option(help="Also write a row an action as CSV.")] = None,
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Say for each action what became of its clips, which share was kept, and how long deciding took.

    Then how pure the kept clips are by a random audit, how far annotators agree, and who decided what.
    """
    from core.workspace import write_bytes
    from curate import report as reporting
    from db.session import open_catalog

    result = reporting.report(open_catalog(Workspace(home), db))
    if html is not None:
        write_bytes(html, reporting.html_page(result).encode())
    if csv is not None:
        write_bytes(csv, reporting.csv_text(result).encode())
    rows = {**result["actions"], "all actions": result["totals"]}
    lines = [[name, *reporting.cells(row)] for name, row in rows.items()]
    heads = ("action", *reporting.COLUMNS[:-1], "s/clip")
    emit(result, as_json, [table("clips per action", heads, lines), *reporting.sentences(result)])


@app.command()
def export(
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Export clips too that stand in a benchmark's test videos.")
    ] = False,
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Write the kept clips as a weakly labelled data set: exports/microvideos.json, for `plusmv train --mv`.

    Refused where a clip stands in a test video that plusmv leaks knows; the card beside it says what was checked.
    """
    from curate.export import export_microvideos
    from db.session import open_catalog

    workspace = Workspace(home)
    result = export_microvideos(open_catalog(workspace, db), workspace, allow_leaks)
    left_out = " + ".join(f"{count} {why}" for why, count in result["left_out"].items())
    told = f"{result['clips']} clips with {result['labels']} labels in {result['path']}; left out: {left_out}"
    rows = result["per_action"].items()
    leaks = result["leaks"]
    check = f"leaks: {leaks['clips']} of {leaks['of']} clips checked against {leaks['videos']} benchmark videos"
    changed = result["changes"]
    since = f"since the last export: {len(changed['added'])} added, {len(changed['left'])} left"
    since += f", {changed['taken_down']} taken down" * bool(changed["taken_down"])
    emit(result, as_json, [table("exported", ("action", "clips"), rows), told, check, since])
    if not result["clips"]:
        say("no clip is kept yet: judge some with plusmv label or plusmv decide")
