"""What all commands share: common options, results on stdout, progress and messages on stderr.

The only module of `core` that imports more than the standard library (typer and rich); only `commands.py` files and
the entry point import it.
"""

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from plusmv.core.errors import BadInput
from plusmv.core.outcome import Ended, falls_short

Home = Annotated[
    Path, typer.Option("--home", envvar="PLUSMV_HOME", help="The workspace: catalog, media, features, exports, runs.")
]
Database = Annotated[
    str | None,
    typer.Option(
        "--db",
        envvar="PLUSMV_DB",
        help="Catalog URL (default: SQLite in the workspace), such as postgresql://user@host/name.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout, everything else on stderr.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Worker processes (default: one per core).")]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Retry what failed before; by default it is skipped.")
]
LAYOUT_HELP = "What they hold where it is not certain: rgb, flow, joint or transposed; both: rgb,transposed."
FeatureLayout = Annotated[str | None, typer.Option("--layout", help=f"Of feature arrays of others. {LAYOUT_HELP}")]
NATIVE = "native"  # --feature-fps: each video's own
HOME = Path("plusmv-data")
SECONDS_A_LINE = 30.0  # between lines of progress where stderr is not a terminal
SHOWN = 20  # failures listed for a person; --json lists all

T = TypeVar("T")


def _console(on_stderr: bool = False, width: int | None = None) -> Console:
    """A console that prints names from outside literally: no markup, no emoji codes, no highlighting."""
    return Console(stderr=on_stderr, width=width, soft_wrap=True, highlight=False, markup=False, emoji=False)


stderr = _console(on_stderr=True)


def say(text: str) -> None:
    """Print a message for the user, on stderr."""
    stderr.print(text)


def emit(result: Any, as_json: bool, text: str | Table | Sequence[str | Table] = ()) -> None:
    """Print a command's result: as one JSON document, or as the text and tables given."""
    if as_json:
        sys.stdout.write(json.dumps(result, indent=1, allow_nan=False) + "\n")
        return
    console = _console(width=None if sys.stdout.isatty() else 200)
    for part in [text] if isinstance(text, str | Table) else text:
        console.print(part)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A plain table: first column left, the others right."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        made.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in rows:
        made.add_row(*("" if cell is None else f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row))
    return made


@contextlib.contextmanager
def bar(total: int | None, description: str) -> Iterator[Callable[..., None]]:
    """Progress on stderr, with remaining time: a bar where that is a terminal, else a line every half minute.

    Call the yielded function with how many more are done and, optionally, a note to show.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn(), TextColumn("{task.fields[note]}"))  # fmt: skip
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task(description, total=total, note="")
        lines = _Lines(total, description)

        def advance(done: int, note: str = "") -> None:
            progress.update(task, advance=done, note=note)
            if not stderr.is_terminal:
                lines.advance(done, note)

        yield advance


class _Lines:
    """Progress for a log: a line every SECONDS_A_LINE."""

    def __init__(self, total: int | None, description: str):
        self.total, self.description, self.done = total, description, 0
        self.started = self.printed = time.monotonic()

    def advance(self, done: int, note: str) -> None:
        self.done += done
        now = time.monotonic()
        if now - self.printed < SECONDS_A_LINE or self.done == self.total:
            return
        self.printed = now
        left = "" if not self.total else f" of {self.total}"
        if self.total:
            seconds = (now - self.started) / max(self.done, 1) * (self.total - self.done)
            note = ", ".join(part for part in (note, f"about {seconds / 60:.0f} min left") if part)
        say(f"{self.description}: {self.done}{left}" + (f", {note}" if note else ""))


@contextlib.contextmanager
def bars(description: str) -> Iterator[Callable[[str, int, int | None], None]]:
    """One bar per name, with count and remaining time (only where stderr is a terminal).

    Call the yielded function with a name, how many more are done, and the total (None if unknown).
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn(), TimeRemainingColumn())  # fmt: skip
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:

        def advance(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(f"{description} {name}"[:60].replace("[", "("), total=total)
            progress.advance(tasks[name], done)

        yield advance


def track(items: Iterable[T], total: int | None, description: str) -> Iterator[T]:
    """Yield the items and show progress."""
    with bar(total, description) as advance:
        for item in items:
            yield item
            advance(1)


def parse_rate(text: str) -> float | None:
    """--feature-fps: frames per second, or None for "native", each video's own. Raises BadInput for anything else."""
    if text.strip().casefold() == NATIVE:
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0.1 <= rate <= 1e6:
        raise BadInput(f"--feature-fps must be frames per second, at least 0.1, or {NATIVE}; not {text!r:.40}")
    return rate


def counts(result: Mapping[str, Any], names: Sequence[str]) -> str:
    """ "12 found = 10 downloaded + 2 known": the counts that must add up, the first being the sum of the rest."""
    return f"{result[names[0]]} {names[0]} = " + " + ".join(f"{result[name]} {name}" for name in names[1:])


def say_failures(failures: Sequence[tuple[str, str]], again: str) -> None:
    """List what failed and why, and how to retry it."""
    for name, reason in failures[:SHOWN]:
        say(f"failed: {name}: {reason}")
    if len(failures) > SHOWN:
        say(f"... and {len(failures) - SHOWN} more; --json lists them all")
    if failures:
        say(f"everything else finished; retry these with {again}")


class Strictness:
    """Whether --strict was given; the entry point sets it for each command."""

    on = False


def conclude(ended: Ended, what: str) -> None:
    """End with exit code 1 and a last line where a command achieved nothing, or less than half of what it was asked.

    With --strict, where anything failed. Called last, after the result is printed. what: the items, such as "videos".
    """
    if not falls_short(ended, Strictness.on):
        return
    achieved = ended["done"] + ended["skipped"]
    asked = achieved + ended["failed"]
    fall_short(f"{achieved} of {asked} {what} done, {ended['failed']} not" if asked else f"there were no {what}")


def fall_short(why: str) -> NoReturn:
    """End with exit code 1: the command did what it could, which is not what was asked."""
    stderr.quiet = False  # said whatever was asked for, as an error is
    say(f"plusmv: fell short: {why}")
    raise typer.Exit(1)
