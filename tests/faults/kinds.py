"""The kinds of fault: each starts a stage's command, meets it at a random moment, and lets it end.

A kind returns how its commands ended. What it broke for a time (a disk, a database, a byte) it mends itself, so that
what is left to do afterwards is the same command again.
"""

import contextlib
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import psycopg

from tests.faults.stages import STAGES, Stage
from tests.faults.starter import Running
from tests.faults.world import Finished, World, may_mount

LOCKED_S = 1.5  # for how long a catalog is locked at most: commands wait for it
SMALL_ROOM = 200_000  # bytes that a full disk has left beyond what the stage needs, at most
DROP_CONNECTIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'world'"


@dataclass
class Met:
    """What happened. landed: the command was still running. damaged: (file, place of the byte, what it was)."""

    ended: list[Finished]
    landed: bool = True
    damaged: tuple[Path, int, int] | None = None
    note: str = ""


@dataclass(frozen=True)
class Setting:
    """What a fault meets: a world that stands before the stage at this place, and what chance chose for it."""

    world: World
    place: int
    chance: Random
    other: Stage | None = None  # a second command
    room: int | None = None  # bytes that are left on the disk

    @property
    def stage(self) -> Stage:
        return STAGES[self.place]

    def started(self) -> tuple[Running, bool]:
        """The stage's command at a random moment of its life, and whether it was still running then."""
        running = self.world.start(self.stage)
        moment = self.chance.random() * self.world.seconds[self.place] * 1.05
        return running, running.wait(moment) is None


Kind = Callable[[Setting], Met]


def kinds_of(place: int) -> dict[str, Kind]:
    """{name: kind} of those that can meet the stage at this place."""
    stage = STAGES[place]
    kinds: dict[str, Kind] = {
        "SIGKILL": partial(signalled, signal.SIGKILL),
        "SIGTERM": partial(signalled, signal.SIGTERM),
        "SIGINT": partial(signalled, signal.SIGINT),
        "full disk": full_disk,
        "same command": two_at_once,
        "other command": two_at_once,
    }
    if stage.catalog:
        kinds |= {"dropped database": dropped, "locked database": locked}
    if stage.network:
        kinds["cut connection"] = cut
    if stage.flips:
        kinds["flipped byte"] = flipped
    return kinds


def others(place: int) -> list[Stage]:
    """Commands that may run beside a stage's: those of earlier stages, and a takedown."""
    there = [stage for number, stage in enumerate(STAGES) if number < place or (stage.name == "takedown" and place > 1)]
    return [stage for stage in there if stage.arguments and stage is not STAGES[place]] or [STAGES[1]]


def room_on_disk(world: World, place: int, chance: Random) -> int:
    """Bytes that a disk has left which gets full: less than the stage needs, as a rule."""
    return round(chance.random() ** 2 * (world.grown[place] * 1.1 + SMALL_ROOM)) + 4096


def signalled(number: signal.Signals, given: Setting) -> Met:
    """A signal; Ctrl-C goes to the workers too, as a terminal sends it, the others to them now and then."""
    running, landed = given.started()
    running.signal(number, group=number == signal.SIGINT or given.chance.random() < 0.3)
    return Met([given.world.finish(running)], landed)


def full_disk(given: Setting) -> Met:
    """A disk of its own with a little room, or else files that may not grow further."""
    running = given.world.start(given.stage, largest_file=None if may_mount() else given.room)
    ended = given.world.finish(running)
    given.world.make_room()
    return Met([ended], landed=ended.code != 0, note=f"{given.room} bytes")


def cut(given: Setting) -> Met:
    """One answer of the platform ends in its middle."""
    given.world.server.cut_in = given.chance.randint(1, 12)
    ended = given.world.run(given.stage)
    return Met([ended], landed=given.world.server.cut_in <= 0)


def two_at_once(given: Setting) -> Met:
    """The same command, or another one, starts while the first is running."""
    first, landed = given.started()
    second = given.world.start(given.other or given.stage)
    return Met([given.world.finish(first), given.world.finish(second)], landed)


def dropped(given: Setting) -> Met:
    """The server ends the command's connections, or SQLite's file is away until the command has ended."""
    world = given.world
    running, landed = given.started()
    if world.database:
        for _ in range(given.chance.choice((1, 1, 3))):
            world.database_command(DROP_CONNECTIONS)
            time.sleep(given.chance.random() * 0.2)
        return Met([world.finish(running)], landed)
    away = world.base / "away"
    shutil.rmtree(away, ignore_errors=True)
    away.mkdir()
    _move_catalog(world.home, away)
    ended = world.finish(running)
    for path in world.home.glob("catalog.db*"):  # what a command may have made in its place
        path.unlink()
    _move_catalog(away, world.home)
    return Met([ended], landed)


def _move_catalog(source: Path, target: Path) -> None:
    for path in sorted(source.glob("catalog.db*"), reverse=True):
        with contextlib.suppress(FileNotFoundError):
            shutil.move(path, target / path.name)


def locked(given: Setting) -> Met:
    """Somebody else writes for a while: the command waits."""
    running, landed = given.started()
    with _lock(given.world):
        running.wait(given.chance.random() * LOCKED_S)
    return Met([given.world.finish(running)], landed)


@contextlib.contextmanager
def _lock(world: World) -> Iterator[None]:
    if world.database:
        with psycopg.connect(world.database) as connection:
            connection.execute("LOCK TABLE clips, posts, decisions, tombstones IN ACCESS EXCLUSIVE MODE")
            yield
        return
    with contextlib.closing(sqlite3.connect(world.home / "catalog.db", timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def flipped(given: Setting) -> Met:
    """A bit of a file that the stage reads is another than was written."""
    chance, folder = given.chance, given.world.folder
    path = chance.choice([path for pattern in given.stage.flips for path in sorted(folder.glob(pattern))])
    content = bytearray(path.read_bytes())
    where = chance.randrange(len(content))
    was = content[where]
    content[where] = was ^ (1 << chance.randrange(8))
    path.write_bytes(content)
    ended = given.world.run(given.stage)
    return Met([ended], damaged=(path, where, was), note=f"byte {where} of {path.relative_to(folder)}")
