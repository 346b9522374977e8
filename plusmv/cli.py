"""Command-line entry point: joins the command groups of the packages, each loaded when it is asked for."""

import copy
import importlib
import importlib.metadata
import logging
import os
import sys
import tomllib
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import typer.core

from plusmv.core import commandline
from plusmv.core.errors import PlusmvError

COMMANDS = {
    "demo": "plusmv.demo.commands",
    "crawl": "plusmv.curate.crawl.commands",
    "recheck": "plusmv.curate.crawl.commands",
    "takedown": "plusmv.curate.takedown.commands",
    "dedup": "plusmv.curate.duplicates.commands",
    "leaks": "plusmv.curate.duplicates.commands",
    "weights": "plusmv.features.commands",
    "extract": "plusmv.curate.dataset.commands",
    "classify": "plusmv.features.commands",
    "features": "plusmv.features.commands",
    "rank": "plusmv.curate.ranking.commands",
    "previews": "plusmv.curate.review.commands",
    "label": "plusmv.curate.review.commands",
    "decide": "plusmv.curate.review.commands",
    "report": "plusmv.curate.report.commands",
    "export": "plusmv.curate.dataset.commands",
    "train": "plusmv.wsal.training_commands",
    "detect": "plusmv.wsal.detection_commands",
    "evaluate": "plusmv.wsal.evaluation_commands",
    "diagnose": "plusmv.wsal.evaluation_commands",
    "plot": "plusmv.wsal.detection_commands",
    "experiment": "plusmv.wsal.experiment_commands",
    "simulate": "plusmv.wsal.simulation_command",
    "compose": "plusmv.wsal.compose_command",
}
COMMON_OPTIONS = {"home", "quiet", "verbose", "strict"}  # accepted before and after the command


class LazyCommands(typer.core.TyperGroup):
    """Loads a module of commands only when one of them is asked for."""

    def list_commands(self, ctx):
        return list(COMMANDS)

    def get_command(self, ctx, name):
        if name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[name])
        group = typer.main.get_group(module.app)
        self._add_common_options(group)
        return group.commands[name]

    def _add_common_options(self, group: typer.core.TyperGroup) -> None:
        """Accept --home, -q and -v after each command too; one that needs no workspace ignores --home."""
        common = [p for p in self.params if isinstance(p, typer.core.TyperOption) and p.name in COMMON_OPTIONS]
        for command in group.commands.values():
            own = {parameter.name for parameter in command.params}
            for option in map(copy.copy, common):
                if option.name not in own:
                    option.expose_value, option.hidden = False, option.name == "home"
                    command.params.append(option)
            if isinstance(command, typer.core.TyperGroup):
                self._add_common_options(command)


app = typer.Typer(cls=LazyCommands, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            number = importlib.metadata.version("plusmv")
        except importlib.metadata.PackageNotFoundError:  # a checkout that was never installed
            number = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["version"]
        typer.echo(f"plusmv {number}")
        raise typer.Exit()


def _set_quiet(context: typer.Context, quiet: bool) -> None:
    given_before = context.parent is not None and commandline.stderr.quiet
    commandline.stderr.quiet = quiet or given_before


def _set_strict(context: typer.Context, strict: bool) -> None:
    given_before = context.parent is not None and commandline.Strictness.on
    commandline.Strictness.on = strict or given_before


def _set_verbose(verbose: int) -> None:
    if verbose:
        logging.basicConfig(format="%(name)s: %(message)s")
        logging.getLogger().setLevel(logging.DEBUG if verbose > 1 else logging.INFO)


@app.callback()
def plusmv(
    home: Annotated[Path | None, typer.Option(help="The workspace (default plusmv-data, env PLUSMV_HOME).")] = None,
    db: Annotated[
        str | None, typer.Option(help="Catalog URL (default: the workspace's SQLite, env PLUSMV_DB).")
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", callback=_set_quiet, help="Print results and errors only, no progress.")
    ] = False,
    verbose: Annotated[
        int,
        typer.Option(
            *("--verbose", "-v"),
            count=True,
            callback=_set_verbose,
            show_default=False,
            help="Log to stderr; -vv logs in detail.",
        ),
    ] = 0,
    strict: Annotated[
        bool,
        typer.Option("--strict", callback=_set_strict, help="Exit 1 where anything failed, not only where most did."),
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
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
    """Run a command. Exit codes: 0 done, 1 fell short, 2 an error that the user can fix, 130 Ctrl-C."""
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(args=arguments, prog_name="plusmv", standalone_mode=True)
    except PlusmvError as error:
        if debug:
            raise
        _fail(str(error))
    except OSError as error:  # a full disk, a folder that may not be written, a file in a folder's place
        if debug:
            raise
        _fail(f"cannot access {error.filename or 'a file'}: {error.strerror or error}; fix it and retry")
    except SystemExit as end:
        if end.code == 130:  # what Typer makes of Ctrl-C
            commandline.say("plusmv: stopped; the same command again goes on where it was")
        raise


def _fail(message: str) -> NoReturn:
    commandline.stderr.quiet = False  # an error is said whatever was asked for
    commandline.say(f"plusmv: {message}")
    sys.exit(2)
