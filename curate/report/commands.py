"""`plusmv report`: retention, pace, purity and agreement."""

from pathlib import Path
from typing import Annotated

import typer

from plusmv.core.commandline import HOME, Database, Home, Json, emit, table
from plusmv.core.workspace import Workspace

app = typer.Typer(rich_markup_mode=None)


@app.command()
def report(
    html: Annotated[Path | None, typer.Option(help="Also write the report as a page.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write a row an action as CSV.")] = None,
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Report for each action what became of its clips, the share kept, and the seconds a decision took.

    Then the purity of the kept clips by a random audit, the annotators' agreement, and each one's decisions.
    """
    from plusmv.core.workspace import write_bytes
    from plusmv.curate.report import summary as reporting
    from plusmv.curate.report.page import html_page
    from plusmv.db.session import open_catalog

    result = reporting.report(open_catalog(Workspace(home), db))
    if html is not None:
        write_bytes(html, html_page(result).encode())
    if csv is not None:
        write_bytes(csv, reporting.csv_text(result).encode())
    rows = {**result["actions"], "all actions": result["totals"]}
    lines = [[name, *reporting.cells(row)] for name, row in rows.items()]
    heads = ("action", *reporting.COLUMNS[:-1], "s/clip")
    emit(result, as_json, [table("clips per action", heads, lines), *reporting.sentences(result)])
