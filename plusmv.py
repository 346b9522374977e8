"""The front door: joins the command groups of the packages, nothing else. Run `plusmv --help`."""

import copy
import importlib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
import typer.core

from core.commandline import say
from core.errors import PlusmvError

COMMANDS = {
    "demo": "demo.commands",
    "crawl": "curate.crawl_commands",
    "recheck": "curate.crawl_commands",
    "takedown": "curate.crawl_commands",
    "dedup": "curate.duplicate_commands",
    "leaks": "curate.duplicate_commands",
    "weights": "features.commands",
    "extract": "curate.extract_command",
    "classify": "features.commands",
    "features": "features.commands",
    "rank": "curate.rank_command",
    "previews": "curate.label_commands",
    "label": "curate.label_commands",
    "decide": "curate.commands",
    "report": "curate.commands",
    "export": "curate.commands",
    "train": "wsal.training_commands",
    "detect": "wsal.detection_commands",
    "evaluate": "wsal.evaluation_commands",
    "diagnose": "wsal.evaluation_commands",
    "plot": "wsal.detection_commands",
    "experiment": "wsal.experiment_commands",
    "simulate": "wsal.experiment_commands",
}


class FrontDoor(typer.core.TyperGroup):
    """Loads a module of commands only when one of them is asked for."""

    def list_commands(self, ctx):
        return list(COMMANDS)

    def get_command(self, ctx, name):
        if name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[name])
        command = typer.main.get_group(module.app).commands[name]
        if not any(parameter.name == "home" for parameter in command.params):
            command.params.append(self._home_unused())
        return command

    def _home_unused(self):
        """--home for a command that needs no workspace: whoever calls many commands may give it to each."""
        home = copy.copy(next(parameter for parameter in self.params if parameter.name == "home"))
        home.expose_value, home.hidden = False, True
        return home


app = typer.Typer(
    cls=FrontDoor, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, no_args_is_help=True
)


@app.callback()
def plusmv(
    home: Annotated[Path | None, typer.Option(help="The workspace (default plusmv-data, env PLUSMV_HOME).")] = None,
    db: Annotated[
        str | None, typer.Option(help="Catalog URL (default: the workspace's SQLite, env PLUSMV_DB).")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """plusmv: temporal action localization from video-level labels, and from curated social microvideos.

    From tagged clips to detections: crawl, dedup, label, extract, export, train --mv, detect, evaluate.
    `plusmv demo` shows the whole way on a small rendered world.
    """
    for name, value in {"PLUSMV_HOME": home, "PLUSMV_DB": db}.items():
        if value is not None:
            os.environ[name] = str(value)


def main() -> None:
    """Run a command: errors a user can cause are one line and exit 2, Ctrl-C is 130."""
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(args=arguments, prog_name="plusmv", standalone_mode=True)
    except PlusmvError as error:
        if debug:
            raise
        say(f"plusmv: {error}")
        sys.exit(2)
    except OSError as error:  # a full disk, a folder that may not be written, a file in a folder's place
        if debug:
            raise
        say(f"plusmv: cannot use {error.filename or 'a file'}: {error.strerror or error}; mend that and try again")
        sys.exit(2)
    except SystemExit as end:
        if end.code == 130:  # what Typer makes of Ctrl-C
            say("plusmv: stopped; the same command again goes on where it was")
        raise


if __name__ == "__main__":
    main()
