"""Work over many tasks: every task comes back once, whatever happens to its worker."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from plusmv.core.errors import BadInput, Missing, PlusmvError
from plusmv.core.workers import Outcome, map_unordered
from tests.conftest import ROOT


def ctrl_c_held() -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


HELD_AT_IMPORT = ctrl_c_held()  # in a worker: before any of our code ran there


class Square:
    """Squares numbers; negative ones are bad input, and zero is a bug."""

    def setup(self) -> None:
        self.ready = True

    def process(self, task: int) -> float:
        assert self.ready
        if task < 0:
            raise BadInput(f"{task} is negative")
        return task * task / (1 if task else task)


class Dying:
    """Kills its own process: at every attempt, or only at the first one of each task."""

    def __init__(self, folder: Path, always: bool):
        self.folder, self.always = folder, always

    def setup(self) -> None:
        """Nothing."""

    def process(self, task: int) -> int:
        attempts = self.folder / str(task)
        with open(attempts, "a") as file:
            file.write("x")
        if task % 2 and (self.always or attempts.stat().st_size == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return attempts.stat().st_size


class Sleepy:
    """Sleeps for as many seconds as the task says; leaves its process id."""

    def __init__(self, folder: Path | None = None):
        self.folder = folder

    def setup(self) -> None:
        if self.folder is not None:
            (self.folder / str(os.getpid())).touch()

    def process(self, task: float) -> float:
        time.sleep(task)
        return task


class Unready:
    """Its setup fails: by an error, or by death."""

    def __init__(self, error: Exception | None):
        self.error = error

    def setup(self) -> None:
        if self.error is None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise self.error

    def process(self, task: int) -> int:
        return task


def values(outcomes) -> dict:
    return {outcome.task: outcome.value for outcome in outcomes}


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_an_error_is_a_value_and_the_rest_goes_on(engine):
    outcomes = {o.task: o for o in map_unordered(Square(), [3, -1, 0, 5], engine, workers=2)}
    assert outcomes[3] == Outcome(3, 9.0)
    assert outcomes[5] == Outcome(5, 25.0)
    assert outcomes[-1].error == "-1 is negative"
    assert outcomes[0].error.startswith("ZeroDivisionError: division by zero (test_workers.py:")


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="steam"):
        next(map_unordered(Square(), [1], "steam"))


def test_no_task_starts_no_worker(tmp_path):
    assert list(map_unordered(Sleepy(tmp_path), iter(()))) == []
    assert list(tmp_path.iterdir()) == []


def test_a_killed_worker_costs_its_task_one_retry(tmp_path):
    outcomes = list(map_unordered(Dying(tmp_path, always=False), range(6), workers=2))
    assert {o.task: o.value for o in outcomes} == {0: 1, 1: 2, 2: 1, 3: 2, 4: 1, 5: 2}
    assert len(outcomes) == 6


def test_a_task_that_kills_two_workers_is_a_failure(tmp_path):
    outcomes = {o.task: o for o in map_unordered(Dying(tmp_path, always=True), range(4), workers=2)}
    assert sorted(outcomes) == [0, 1, 2, 3]
    assert outcomes[1].error == "the worker process died (exit code -9), twice"
    assert outcomes[2].value == 1
    assert (tmp_path / "1").read_text() == "xx"


def test_a_task_over_the_time_limit_is_a_failure_and_the_rest_goes_on():
    started = time.monotonic()
    outcomes = {o.task: o for o in map_unordered(Sleepy(), [60.0, 0.0, 0.01], workers=2, time_limit=1.0)}
    assert outcomes[60.0].error == "took longer than the limit of 1 s"
    assert outcomes[0.0].value == 0.0
    assert outcomes[0.01].value == 0.01
    assert time.monotonic() - started < 30


def test_a_failing_setup_is_the_callers_error():
    with pytest.raises(Missing, match="fetch them"):
        list(map_unordered(Unready(Missing("no weights; fetch them")), [1], workers=1))
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        list(map_unordered(Unready(ZeroDivisionError()), [1], workers=1))


def test_workers_that_die_while_starting_are_not_started_for_ever():
    with pytest.raises(PlusmvError, match="while starting"):
        list(map_unordered(Unready(None), range(100), workers=2))


def test_tasks_are_drawn_only_as_workers_become_free():
    drawn = []

    def endless():
        for number in range(1_000_000):
            drawn.append(number)
            yield number

    outcomes = map_unordered(Square(), endless(), workers=2)
    assert [next(outcomes).error for _ in range(10)].count(None) == 9  # all but the division by zero
    outcomes.close()
    assert len(drawn) <= 10 + 2 + 1  # answered, in hand, one looked at ahead


def alive(folder: Path) -> list[int]:
    """Those of the processes that left their ids which still run."""
    return [int(path.name) for path in folder.iterdir() if Path("/proc", path.name).exists()]


def test_leaving_early_leaves_no_process(tmp_path):
    outcomes = map_unordered(Sleepy(tmp_path), [0.0, 60.0, 60.0], workers=2)
    assert next(outcomes).value == 0.0
    outcomes.close()
    assert len(list(tmp_path.iterdir())) >= 1
    assert alive(tmp_path) == []


class Listening:
    def setup(self) -> None: ...

    def process(self, task: int) -> tuple[bool, bool]:
        return HELD_AT_IMPORT, ctrl_c_held()


def test_a_worker_never_sees_ctrl_c_and_its_parent_does():
    """A terminal sends it to both, at any moment: a worker that is still starting would print a traceback."""
    assert {outcome.value for outcome in map_unordered(Listening(), [1, 2, 3], workers=2)} == {(True, True)}
    assert not ctrl_c_held()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_stopping_the_program_leaves_no_process(tmp_path, by):
    """Ctrl-C, and even SIGKILL of the parent: the workers go as well, whatever they have in hand."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom plusmv.core.workers import map_unordered\n"
        "from tests.test_workers import Sleepy\n"
        "if __name__ == '__main__':\n"
        "    list(map_unordered(Sleepy(Path(sys.argv[1])), [600] * 4, workers=2))\n"
    )
    program = tmp_path / "program.py"
    program.write_text(script)
    folder = tmp_path / "ids"
    folder.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    running = subprocess.Popen([sys.executable, str(program), str(folder)], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(by)
    running.wait(timeout=30)
    while alive(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(list(folder.iterdir())) >= 2
    assert alive(folder) == []


@dataclass
class Counting:
    """Streams 0, 1, ... below the task, says how far it has come, and dies once where it is told to."""

    folder: Path
    dies_at: int = -1

    def setup(self) -> None: ...

    def process(self, task: int):
        for number in range(task):
            if number == self.dies_at and not (self.folder / "died").exists():
                (self.folder / "died").touch()
                os._exit(1)
            if number == 90:
                raise BadInput("ninety is too many")
            (self.folder / "made").write_text(str(number))
            yield np.full(1 << 20, number, np.uint8)  # more than a pipe holds


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_a_stream_comes_in_parts_and_ends_with_its_reason(tmp_path, engine):
    outcomes = list(map_unordered(Counting(tmp_path), [3, 95], engine))
    for task, parts, error in ((3, 3, None), (95, 90, "ninety is too many")):
        *made, last = [outcome for outcome in outcomes if outcome.task == task]
        assert [int(outcome.value[0]) for outcome in made] == list(range(parts))
        assert all(outcome.more for outcome in made)
        assert (last.value, last.error, last.more) == (None, error, False)


def test_a_stream_waits_for_its_reader(tmp_path):
    stream = map_unordered(Counting(tmp_path), [50], workers=1)
    next(stream)
    time.sleep(0.5)
    assert int((tmp_path / "made").read_text()) <= 2
    stream.close()


def test_a_stream_starts_again_after_a_death(tmp_path):
    made = [outcome.value for outcome in map_unordered(Counting(tmp_path, dies_at=2), [4], workers=1) if outcome.more]
    assert [int(value[0]) for value in made] == [0, 1, 0, 1, 2, 3]


def test_streams_feed_another_stage(tmp_path):
    parts = map_unordered(Counting(tmp_path), [5, 6], workers=2)
    sums = map_unordered(Summing(), (outcome.value for outcome in parts if outcome.more), workers=2)
    assert sum(outcome.value for outcome in sums) == (10 + 15) << 20


class Summing:
    def setup(self) -> None: ...

    def process(self, task):
        return int(task.sum())
