"""One function through which all work over many clips goes: `map_unordered(stage, work, engine)`.

A stage is a plain picklable object with `setup()`, called once in each worker (load a model, set thread counts), and
`process(task)`, whose value comes back. Workers never write the catalog: the caller gets outcomes and writes idempotent
rows. An error is a value with a reason; a task whose worker dies is retried once; a task over the time limit fails.
Outcomes come in the order in which they finish.

A `process` that is a generator streams: each part comes back as it is made, and a worker waits until its last one was
taken, so that what is held stays bounded however much a task yields. The tasks of one call may be what another call
yields: decoders feed networks like that.
"""

import collections
import contextlib
import multiprocessing
import multiprocessing.connection
import multiprocessing.resource_tracker
import os
import signal
import threading
import time
import traceback
from collections.abc import Generator, Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from plusmv.core.errors import PlusmvError

Task = TypeVar("Task")
Value = TypeVar("Value")
TaskIn = TypeVar("TaskIn", contravariant=True)
ValueOut = TypeVar("ValueOut", covariant=True)
Answer = tuple[Any, str | None, bool]  # what a worker sends back: value, error, and whether more parts follow
ATTEMPTS = 2  # the first, and one retry after a worker's death


class Stage(Protocol[TaskIn, ValueOut]):
    """What one worker does with one task."""

    def setup(self) -> None: ...

    def process(self, task: TaskIn) -> ValueOut: ...


@dataclass(frozen=True)
class Outcome(Generic[Task, Value]):
    """A task with either its value or the reason why there is none.

    A streaming task has an outcome for each part, with `more` set, and a last one without a value. After a worker's
    death its retry yields the parts from the first one again.
    """

    task: Task
    value: Value | None = None
    error: str | None = None
    more: bool = False


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_unordered(
    stage: Stage[Task, Value],
    tasks: Iterable[Task],
    engine: str = "processes",
    workers: int | None = None,
    time_limit: float | None = None,
) -> Generator[Outcome[Task, Value], None, None]:
    """Yield one Outcome per task (a streaming one: one for each part, then the last).

    engine: "processes" (spawned, one task at a time each) or "inline" (this process; no time limit, no protection).
    time_limit: seconds a task, or a part of one, may take before its worker is killed and the task fails.
    Tasks are drawn only as workers become free, so an endless iterable needs no memory.
    """
    if engine == "inline":
        yield from _map_inline(stage, tasks)
    elif engine == "processes":
        count = workers or available_cores()
        if isinstance(tasks, Sized):
            count = min(count, len(tasks))
        yield from _map_processes(stage, iter(tasks), count, time_limit)
    else:
        raise ValueError(f"unknown engine {engine!r}")


def _answers(stage: Stage[Task, Value], task: Task) -> Iterator[Answer]:
    """The answer for each part of a streaming task, then the one for the task."""
    last: Answer
    try:
        made: Any = stage.process(task)
        if isinstance(made, Generator):
            for part in made:
                yield part, None, True
            made = None
        last = made, None, False
    except PlusmvError as error:
        last = None, str(error), False
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        last = None, f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})", False
    yield last


def _map_inline(stage: Stage[Task, Value], tasks: Iterable[Task]) -> Iterator[Outcome[Task, Value]]:
    stage.setup()
    for task in tasks:
        for answer in _answers(stage, task):
            yield Outcome(task, *answer)


def _serve(stage: Stage, pipe: multiprocessing.connection.Connection) -> None:
    """Main loop of a worker process: set up, then answer each task until the pipe closes."""
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, ConnectionError):  # the parent is gone: reset where it left something unread
        try:
            stage.setup()
        except Exception as error:
            reason = error if isinstance(error, PlusmvError) else RuntimeError(traceback.format_exc())
            pipe.send((None, reason, False))
            return
        pipe.send((None, None, False))
        while True:
            for answer in _answers(stage, pipe.recv()):
                pipe.send(answer)


def _exit_with_parent() -> None:
    """Exit once the parent has died, so that a killed command leaves no worker to compete with its next run."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # only the main process has none
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Ctrl-C is the parent's to handle: a process that is started here inherits SIGINT blocked."""
    multiprocessing.resource_tracker.ensure_running()  # its own start would let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker:
    """One spawned process and its current task."""

    def __init__(self, stage: Stage):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(stage, theirs), daemon=True)
        with _sigint_blocked():
            self.process.start()
        theirs.close()
        self.ready = False
        self.limit = self.deadline = float("inf")  # seconds, and the time at which they are over
        self.current: tuple[Any, int] | None = None  # (task, attempts so far)

    def assign(self, task: Any, attempts: int, time_limit: float | None) -> None:
        self.current = (task, attempts + 1)
        self.limit = time_limit or float("inf")
        self.deadline = time.monotonic() + self.limit
        with contextlib.suppress(ConnectionError):  # it died: the next read of the pipe will show that
            self.pipe.send(task)

    def answer(self) -> "Outcome | str":
        """The worker's state: an outcome, "ready", "overdue" or "dead". Raises what the stage's setup raised."""
        if not self.pipe.poll():
            return "overdue"
        try:
            value, error, more = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            return "dead"
        if not self.ready:
            if error is not None:
                raise error
            self.ready = True
            return "ready"
        assert self.current is not None  # a worker answers only what it was given
        task, _ = self.current
        if more:
            self.deadline = time.monotonic() + self.limit
        else:
            self.current, self.deadline = None, float("inf")
        return Outcome(task, value, error, more)

    def stop(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()


def _map_processes(
    stage: Stage[Task, Value], tasks: Iterator[Task], count: int, time_limit: float | None
) -> Iterator[Outcome[Task, Value]]:
    workers: list[_Worker] = []
    retries: collections.deque[tuple[Task, int]] = collections.deque()
    pending = _PeekableTasks(tasks)
    deaths_in_setup = 0
    try:
        while retries or pending.peek() or any(worker.current for worker in workers):
            while len(workers) < count and (retries or pending.peek()):
                workers.append(_Worker(stage))
            for worker in workers:
                if worker.ready and not worker.current and (retries or pending.peek()):
                    worker.assign(*(retries.popleft() if retries else (pending.take(), 0)), time_limit)
            for worker in _due(workers):
                answer = worker.answer()
                if answer == "ready":
                    continue
                if isinstance(answer, Outcome):
                    yield answer
                    continue
                workers.remove(worker)
                worker.stop()
                died = f"the worker process died (exit code {worker.process.exitcode})"
                current = worker.current
                if current is None:
                    deaths_in_setup += 1
                    if deaths_in_setup >= ATTEMPTS:
                        raise PlusmvError(f"{died} while starting; free some memory or use fewer workers")
                elif answer == "overdue":
                    yield Outcome(current[0], error=f"took longer than the limit of {time_limit:g} s")
                elif current[1] < ATTEMPTS:
                    retries.append(current)
                else:
                    yield Outcome(current[0], error=f"{died}, twice")
    finally:
        for worker in workers:
            worker.stop()


def _due(workers: list[_Worker]) -> list[_Worker]:
    """Wait until a worker answers, dies or runs over its deadline; return those that did."""
    nearest = min(worker.deadline for worker in workers)
    patience = None if nearest == float("inf") else max(0.0, nearest - time.monotonic())
    answered = multiprocessing.connection.wait([worker.pipe for worker in workers], patience)
    now = time.monotonic()
    return [worker for worker in workers if worker.pipe in answered or now >= worker.deadline]


class _PeekableTasks(Generic[Task]):
    """An iterator of tasks that can be asked whether there is another one."""

    def __init__(self, tasks: Iterator[Task]):
        self._tasks = tasks
        self._next: list[Task] = []

    def peek(self) -> bool:
        if not self._next:
            self._next.extend(task for _, task in zip(range(1), self._tasks, strict=False))
        return bool(self._next)

    def take(self) -> Task:
        self.peek()
        return self._next.pop()
