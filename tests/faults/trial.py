"""One fault: a stage meets it, the same command runs again and once more, and the end is compared.

Right is: the end of an undisturbed run, by rows and by files; no file seen in part under its final name; no traceback;
and of a damaged byte either a word or no effect.
"""

import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from tests.faults.kinds import Met, Setting, kinds_of, others, room_on_disk
from tests.faults.stages import NAMES, STAGES, Stage
from tests.faults.state import State, Watcher, differences, end_state
from tests.faults.world import Finished, World, may_mount

ENDS = {0, 1, 2, 130, 143, -2, -9, -15}  # exit codes that a command may have; -11 and -7 are crashes
AGAIN = 2  # runs of the same command after the fault
RETRY = "--retry-failed"
OTHER_DATA = re.compile(r"(\S+) holds a run with other training data")
NOTICED = ("failed:", "damaged", "checksum", "cannot read", "without features:")  # said of damage by what goes on


@dataclass(frozen=True)
class Result:
    """What one seed did. differences: [] where all is right."""

    seed: int
    database: str
    stage: str
    kind: str
    landed: bool
    seconds: float
    differences: list[str]
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class End:
    """What a stage leaves, and the exit code of its last run."""

    state: State
    code: int | None


class Trials:
    """Faults in one world; what undisturbed runs leave is kept."""

    def __init__(self, world: World):
        self.world = world
        self._undisturbed: dict[tuple[int, str, int], list[End]] = {}

    def run(self, seed: int, stages: Sequence[str] = NAMES, kinds: Sequence[str] = ()) -> Result:
        """The fault of this seed: it chooses the stage, the kind and the moment."""
        chance = Random(seed)
        places = [place for place, stage in enumerate(STAGES) if stage.name in stages]
        (place,) = chance.choices(places, [STAGES[place].weight for place in places])
        possible = kinds_of(place)
        name = chance.choice([kind for kind in possible if not kinds or kind in kinds] or [*possible])
        other = chance.choice(others(place)) if name == "other command" else None
        once, wanted = self._ends(place, None, 0), self._ends(place, other, AGAIN)
        began = time.monotonic()
        room = room_on_disk(self.world, place, chance) if name == "full disk" else None
        self.world.restore(place, room if may_mount() else None)
        with Watcher(self.world.folder) as watcher:
            met = possible[name](Setting(self.world, place, chance, other, room))
            found = [line for ended in met.ended for line in _odd_ends(ended, name)]
            found += self._mended(met, once)
            told = any(RETRY in ended.said for ended in met.ended)
            end, odd = self._again(STAGES[place], other, AGAIN, told)
        found += odd + min((_compared(end, each) for each in wanted), key=len)
        damaged = met.damaged and met.damaged[0].relative_to(self.world.folder).as_posix()
        found += [f"{path} was seen in part" for path in sorted(watcher.partial - {damaged})]
        if found:
            found += [f"said: {ended.code}, {ended.said[-400:].strip()}" for ended in met.ended]
        database = "postgresql" if self.world.database else "sqlite"
        note = " ".join(filter(None, (met.note, other and f"beside {other.name}")))
        return Result(seed, database, STAGES[place].name, name, met.landed, time.monotonic() - began, found, note)

    def _mended(self, met: Met, once: list[End]) -> list[str]:
        """Put a damaged byte back. Where the command said nothing of it, it must have had no effect."""
        if met.damaged is None:
            return []
        path, where, was = met.damaged
        noticed = any(ended.code != 0 or _told(ended) for ended in met.ended) or not path.exists()
        if path.exists() and path.stat().st_size > where:
            with open(path, "r+b") as file:
                file.seek(where)
                file.write(bytes([was]))
        return [] if noticed else [f"silent: {line}" for line in differences(self._state(), once[0].state)]

    def _again(self, stage: Stage, other: Stage | None, times: int, told: bool = False) -> tuple[End, list[str]]:
        """Run the command again, and what ran beside it; with --retry-failed where it said so, or `told` to before.

        A run that was trained without a damaged video is removed where training says that it has other data.
        """
        lines, code = [], None
        for _ in range(times):
            for each in (other, stage) if other else (stage,):
                ended = self.world.run(each)
                lines += [f"again: {line}" for line in _odd_ends(ended, "again")]
                if (RETRY in ended.said or (told and each is stage)) and each.arguments:
                    ended = self.world.run(each, RETRY)
                    lines += [f"again: {line}" for line in _odd_ends(ended, "again")]
                run = OTHER_DATA.search(ended.said)
                if run:
                    shutil.rmtree(self.world.folder / run[1])
                    ended = self.world.run(each)
                    lines += [f"again: {line}" for line in _odd_ends(ended, "again")]
                code = ended.code
        return End(self._state(), code), lines

    def _ends(self, place: int, other: Stage | None, again: int) -> list[End]:
        """What undisturbed runs leave: two commands in either order."""
        key = (place, other.name if other else "", again)
        if key not in self._undisturbed:
            stage = STAGES[place]
            orders = [(stage, other), (other, stage)] if other else [(stage,)]
            self._undisturbed[key] = []
            for order in orders:
                self.world.restore(place)
                for each in order:
                    self.world.run(each)
                self._undisturbed[key].append(self._again(stage, other, again)[0])
        return self._undisturbed[key]

    def _state(self) -> State:
        with self.world.catalog() as catalog:
            return end_state(self.world.folder, catalog)


def _compared(found: End, wanted: End) -> list[str]:
    code = [f"again: exit code {found.code} instead of {wanted.code}"] * (found.code != wanted.code)
    return code + differences(found.state, wanted.state)


def _odd_ends(ended: Finished, kind: str) -> list[str]:
    """A command that hung, crashed or fell out of the family of errors."""
    if ended.code is None:
        return [f"it hung: {ended.said[-500:]}"]
    lines = []
    if ended.code not in ENDS:
        lines.append(f"exit code {ended.code}: {ended.said[-300:]}")
    if "Traceback (most recent call last)" in ended.said and kind not in ("SIGKILL", "SIGTERM"):
        lines.append("a traceback: " + ended.said.strip().splitlines()[-1][:400])
    return lines


def _told(ended: Finished) -> bool:
    """Whether a command that ended well said that something failed or is damaged."""
    return any(word in ended.said for word in NOTICED)
