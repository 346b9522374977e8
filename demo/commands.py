"""The command `demo`: the whole way, once, on a small rendered world."""

from pathlib import Path
from typing import Annotated

import typer

from plusmv.core.commandline import Home, Json, emit, say
from plusmv.core.locks import one_command

app = typer.Typer(rich_markup_mode=None)
HOME = Path("plusmv-demo")


@app.command()
def demo(
    seed: Annotated[int, typer.Option(min=0, help="Decides the rendered world.")] = 0,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Go the whole way on a small rendered world: crawl, dedup, decide, extract, train without and with +MV, evaluate.

    No platform is contacted. Ends with report.html in the workspace. The same command again goes on where it was.
    """
    from plusmv.demo.report import write_report
    from plusmv.demo.walk import WalkSettings, walk
    from plusmv.demo.world import WorldSettings

    with one_command(home, "a demo"):
        run = walk(home, WalkSettings(WorldSettings(seed=seed)), say)
        path = write_report(run)
    emit(run.result(path), as_json, f"the report: {path.resolve()}")
