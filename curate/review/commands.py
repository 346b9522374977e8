"""Decisions of people: label serves the labeler, previews are made ahead of it, decide takes decisions in bulk."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from plusmv.core.commandline import (
    HOME,
    Database,
    Home,
    Json,
    Workers,
    conclude,
    counts,
    emit,
    say,
    say_failures,
    track,
)
from plusmv.core.errors import BadInput, Missing, Refused
from plusmv.core.workspace import Workspace

app = typer.Typer(rich_markup_mode=None)
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@app.command()
def label(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the pages.")] = 8501,
    address: Annotated[
        str, typer.Option(help="Address to listen on; any other than this machine's own needs --passwords.")
    ] = LOOPBACK[0],
    annotator: Annotated[
        str | None, typer.Option(envvar="PLUSMV_ANNOTATOR", help="Who decides (default: the login name).")
    ] = None,
    overlap: Annotated[
        float,
        typer.Option(
            min=0, max=1, envvar="PLUSMV_OVERLAP", help="Share of the clips that two people judge, for kappa."
        ),
    ] = 0.0,
    passwords: Annotated[
        Path | None,
        typer.Option(envvar="PLUSMV_PASSWORDS", help="File of names and passwords; only the people in it can sign in."),
    ] = None,
    set_password: Annotated[
        str | None,
        typer.Option("--set-password", help="Ask for this person's password, save it in --passwords, exit."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            envvar="PLUSMV_ALLOW_HOST",
            help="Further name or address, maybe with a port, by which browsers reach the labeler, as through a proxy.",
        ),
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Print the link, open no browser.")] = False,
    home: Home = HOME,
    db: Database = None,
) -> None:
    """Review clips in the browser: one by one or in a grid, duplicates, contradictions, progress.

    Same as `streamlit run labeler_ui`. Prints a link that works once, and opens it. Listens on this machine only unless
    --address is given.
    """
    if set_password is not None:
        _set_password(passwords, set_password)
        return
    if address not in LOOPBACK and passwords is None:
        raise Refused(
            f"anyone who reaches {address} could decide: give --passwords FILE, made with --set-password NAME"
        )
    from plusmv.curate.review.passwords import checked_name, people

    _check_key(Workspace(home), db)
    if annotator:
        annotator = checked_name(annotator)
    if passwords is not None and not people(passwords):
        raise BadInput(f"{passwords} is empty: add a person with --set-password NAME")
    environment = os.environ | {"PLUSMV_HOME": os.path.realpath(home), "PLUSMV_OVERLAP": str(overlap)}
    environment |= {"PLUSMV_DB": db} if db else {}
    environment |= {"PLUSMV_ANNOTATOR": annotator} if annotator else {}
    environment |= {"PLUSMV_PASSWORDS": os.path.realpath(passwords)} if passwords else {}
    environment |= {"PLUSMV_ALLOW_HOST": " ".join(_checked_host(host) for host in allow_host or ())}
    environment |= {} if no_open else {"PLUSMV_OPEN": "1"}
    raise typer.Exit(_serve(address, port, environment))


@app.command()
def previews(
    workers: Workers = None,
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Make the small copies that the grid plays ahead of time. Existing ones are kept; run it again to resume."""
    from plusmv.curate.review.previews import make_previews, previews_result
    from plusmv.db.session import open_catalog

    workspace = Workspace(home)
    clips, skipped, outcomes = make_previews(open_catalog(workspace, db), workspace, workers)
    result = previews_result(clips, track(outcomes, clips - skipped, "previews"))
    emit(result, as_json, counts(result, ("clips", "done", "skipped", "failed")))
    say_failures([(failure["clip"], failure["reason"]) for failure in result["failures"]], "the same command")
    conclude(result, "clips")


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
    from plusmv.curate.review.decisions import decide_from_csv
    from plusmv.db.session import open_catalog

    result = decide_from_csv(open_catalog(Workspace(home), db), file)
    emit(result, as_json, counts(result, ("rows", "recorded", "skipped")))
    conclude({"done": result["recorded"], "skipped": result["skipped"], "failed": 0}, "decisions")


def _check_key(workspace: Workspace, db: str | None) -> None:
    """Raises Missing or BadInput where what lies there is no catalog, or its key is none: sessions are signed by it."""
    from plusmv.db.session import open_catalog

    something = os.path.lexists(workspace.catalog) or (os.path.lexists(workspace.home) and not workspace.home.is_dir())
    if db is not None or something:
        open_catalog(workspace, db).close()
        workspace.keyed_hash("")


def _set_password(file: Path | None, name: str) -> None:
    from plusmv.curate.review.passwords import checked_name, set_password

    if file is None:
        raise BadInput("give the file of passwords: --passwords FILE")
    password = typer.prompt(f"Password of {checked_name(name)}", hide_input=True, confirmation_prompt=True, err=True)
    set_password(file, name, password)
    say(f"{name} can sign in with this password: plusmv label --passwords {file}")


def _checked_host(name: str) -> str:
    if not re.fullmatch(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", name.lower()):
        raise BadInput(f"--allow-host {name!r} is no host name or address, such as labeler.example or 10.0.0.7:8501")
    return name.lower()


def _serve(address: str, port: int, environment: dict[str, str]) -> int:
    import importlib.util
    import signal
    import subprocess
    import sys

    spec = importlib.util.find_spec("plusmv.labeler_ui")
    if spec is None or not spec.submodule_search_locations:
        raise Missing("plusmv.labeler_ui is not installed; install plusmv again")
    command = [sys.executable, "-m", "streamlit", "run", spec.submodule_search_locations[0]]
    command += ["--server.port", str(port), "--server.address", address]
    with subprocess.Popen(command, env=environment) as server:
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())  # else it would outlive this process
        try:
            code = server.wait()
            return code if code >= 0 else 128 - code  # ended by a signal, as shells say it
        except KeyboardInterrupt:  # which the server got too
            server.wait()
            raise
