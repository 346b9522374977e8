"""Real commands without their start-up time: one process loads plusmv once and forks for each command.

What is forked is a process of its own, in a session of its own, that can be signalled, killed and starved as any other.
`Starter` is the client; `python -m tests.faults.starter FD` is the process, which ends with its client.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "plusmv.cli:main"
MESSAGE = 1 << 18  # bytes at most
HEAVY = ("av", "cv2", "instaloader", "matplotlib.pyplot", "pandas", "psycopg", "scipy", "starlette.applications",
         "torch", "uvicorn", "yt_dlp")  # fmt: skip


class Running:
    """One command that was started. `output` is the file of its stdout and stderr."""

    def __init__(self, starter: "Starter", pid: int, output: Path):
        self._starter, self.pid, self.output = starter, pid, output
        self.started = time.monotonic()

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        self._starter.listen(0.0)
        return self._starter.ended.get(self.pid)

    def wait(self, seconds: float) -> int | None:
        """Its exit code, or None if it is still running after so many seconds."""
        deadline = time.monotonic() + seconds
        while (code := self._starter.ended.get(self.pid)) is None and (left := deadline - time.monotonic()) > 0:
            self._starter.listen(left)
        return code if code is not None else self.poll()

    def signal(self, number: int, group: bool = False) -> None:
        """Send a signal, to its workers too with `group`, as a terminal does."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")


class Starter:
    """The client: `with Starter() as starter: starter.start([...], ...)`. For one thread at a time."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "tests.faults.starter", str(theirs.fileno())]
        quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | quiet, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        theirs.close()
        self.ended: dict[int, int] = {}
        self._started: list[int] = []

    def __enter__(self) -> "Starter":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self._process.wait()

    def start(
        self,
        arguments: Sequence[str],
        output: Path,
        environment: Mapping[str, str],
        folder: Path,
        entry: str = COMMAND,
        largest_file: int | None = None,
    ) -> Running:
        """Run `entry` with these arguments in a new process. largest_file: bytes after which its writes fail."""
        request = {"arguments": [*arguments], "output": str(output), "environment": {**environment},
                   "folder": str(folder), "entry": entry, "largest_file": largest_file}  # fmt: skip
        self._channel.send(json.dumps(request).encode())
        while not self._started:
            self.listen(60.0)
        return Running(self, self._started.pop(), output)

    def listen(self, seconds: float) -> None:
        """Take in what the process tells, waiting so long for the first of it."""
        while select.select([self._channel], [], [], seconds)[0]:
            message = self._channel.recv(MESSAGE)
            if not message:
                raise RuntimeError("the process that starts the commands has ended")
            told = json.loads(message)
            if "started" in told:
                self._started.append(told["started"])
            else:
                self.ended[told["ended"]] = told["code"]
            seconds = 0.0


def _load() -> None:
    from plusmv.cli import COMMANDS

    for module in sorted({*COMMANDS.values()}):
        importlib.import_module(module)
    for module in HEAVY:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    for package in ("core", "db", "features", "curate", "wsal"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts and path.name != "__init__.py":
                importlib.import_module(".".join(("plusmv", *path.relative_to(ROOT).with_suffix("").parts)))
    import torch

    torch.set_num_threads(1)


def _serve(channel: socket.socket) -> dict[str, Any] | None:
    """Fork for each request and tell of each end. Returns the request in the forked process, None at the end."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    while True:
        ready = select.select([channel, woken], [], [])[0]
        if woken in ready:
            os.read(woken, 1024)
            _tell_ends(channel)
        if channel in ready:
            message = channel.recv(MESSAGE)
            if not message:
                return None
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for handle in (woken, waker):
                    os.close(handle)
                channel.close()
                return json.loads(message)
            channel.send(json.dumps({"started": pid}).encode())


def _tell_ends(channel: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError, BrokenPipeError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            channel.send(json.dumps({"ended": ended[0], "code": os.waitstatus_to_exitcode(ended[1])}).encode())


def _become(request: dict[str, Any]) -> None:
    """Make of this forked process the one that a shell would have started."""
    os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(output, stream)
    if request["largest_file"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"], resource.RLIM_INFINITY))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["plusmv", *request["arguments"]]
    module, _, name = request["entry"].partition(":")
    _exit_with(getattr(importlib.import_module(module), name))


def _exit_with(command: Callable[[], None]) -> NoReturn:
    """Run it and end as Python does, but for taking all that is loaded apart, which takes a second."""
    code: object = 0
    try:
        command()
    except SystemExit as end:
        code = 0 if end.code is None else end.code
    except KeyboardInterrupt:  # before or after what the command line sees of it, as while Python itself starts
        code = 130
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as good as gone
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    _load()
    gc.freeze()  # what is loaded is shared with the forked processes for as long as nobody counts it
    request = _serve(channel)
    if request is not None:
        _become(request)


if __name__ == "__main__":
    main()
