"""Fuzzing of one parser: hostile inputs, by number, each in a child process that may neither hang nor take memory.

Right is an answer or one of core.errors. A case is its number: `case(parser, number)` gives the same bytes again.
"""

import contextlib
import functools
import json
import mmap
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from random import Random

from plusmv.core.errors import PlusmvError
from tests.faults.mutate import hostile
from tests.faults.parsers import PARSERS, Parser

MEMORY = 1 << 30  # bytes that a case may take
SECONDS = 10.0  # that a case may take
LOADING = 60.0  # that a process may take before its first
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Finding:
    """A case that went wrong: what happened, and where (findings of one `where` are one)."""

    parser: str
    number: int
    what: str
    where: str


def case(parser: Parser, number: int) -> bytes:
    """The bytes of a case; the first ones are the seeds themselves."""
    seeds = _seeds(parser)
    return seeds[number] if number < len(seeds) else hostile(Random(f"{parser.name} {number}"), seeds, parser.kind)


@functools.cache
def _seeds(parser: Parser) -> list[bytes]:
    return parser.seeds()


def read(parser: Parser, content: bytes) -> None:
    """Put the bytes where the parser reads them, and read them. Raises what the parser raises."""
    folder = Path(tempfile.mkdtemp(prefix="plusmv-fuzz-"))
    try:
        path = folder / parser.file
        path.write_bytes(content)
        if parser.private:
            path.chmod(0o600)
        parser.read(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def verdict(parser: Parser, number: int, content: bytes) -> Finding | None:
    """What went wrong with a case, in this process; None where it was read, or refused by name."""
    try:
        read(parser, content)
    except PlusmvError:
        return None
    except BaseException as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent != HERE]
        where = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "here"
        ours = next((f" from {os.path.basename(frame.filename)}:{frame.lineno}" for frame in reversed(frames)
                     if "site-packages" not in frame.filename and "/lib/python" not in frame.filename), "")  # fmt: skip
        what = f"{type(error).__name__}: {str(error)[:160]!r}"
        return Finding(parser.name, number, f"{what} at {where}{ours}", f"{type(error).__name__} {where}{ours}")
    return None


def in_a_process(inputs: Sequence[tuple[str, bytes]]) -> list[str]:
    """What goes wrong with these inputs of (parser, bytes), a line each; read in a process of their own."""
    sent = json.dumps([(name, content.hex()) for name, content in inputs])
    command = [sys.executable, "-m", "tests.faults.fuzzing"]
    done = subprocess.run(command, input=sent, capture_output=True, text=True, cwd=HERE.parents[1], timeout=LOADING)
    if done.returncode:
        return [f"exit code {done.returncode}: {done.stderr[-2000:]}"]
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Read the inputs that stdin names, one after the other; the last line of stdout says what went wrong."""
    parsers = {parser.name: parser for parser in PARSERS}
    sent = [(parsers[name], bytes.fromhex(content)) for name, content in json.load(sys.stdin)]
    found = [verdict(parser, number, content) for number, (parser, content) in enumerate(sent)]
    print("\n" + json.dumps([f"{each.parser} {each.number}: {each.what}" for each in found if each]), flush=True)
    os._exit(0)  # whatever threads are left


class Fuzzing:
    """Cases of one parser for some seconds, from a first number on. Iterate: findings; `tried` counts the cases."""

    def __init__(self, parser: Parser, seconds: float, first: int = 0):
        self.parser, self.seconds, self.first, self.tried = parser, seconds, first, 0

    def __iter__(self) -> Iterator[Finding]:
        left, number = self.seconds, self.first
        while left > 0:
            clock = _Clock()
            ours, theirs = Pipe(duplex=False)
            child = os.fork()
            if child == 0:
                _work(self.parser, number, left, clock, theirs)
            theirs.close()
            try:
                yield from _watched(ours, clock)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            stopped, began, ready = clock.read()
            self.tried += stopped - number
            left -= began - ready
            if code != 0:
                what = f"no end within {SECONDS:.0f} s" if code == -9 else f"the process died (exit code {code})"
                yield Finding(self.parser.name, stopped, what, what)
                left -= SECONDS * (code == -9)
                self.tried += 1
            elif left > 0:
                return
            number = stopped + 1


class _Clock:
    """What a child says of itself, read by its parent: the case's number, when it began, when the first one did."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 24)
        self.write(0, time.monotonic() + LOADING, time.monotonic() + LOADING)

    def read(self) -> tuple[int, float, float]:
        return struct.unpack("<qdd", self._shared[:])

    def write(self, number: int, began: float, ready: float) -> None:
        self._shared[:] = struct.pack("<qdd", number, began, ready)


def _watched(pipe, clock: _Clock) -> Iterator[Finding]:
    """Findings of a child, until it ends or a case takes too long."""
    while True:
        if pipe.poll(0.2):
            try:
                yield pipe.recv()
            except EOFError:
                time.sleep(0.05)  # it is ending: let it say how
                return
        elif time.monotonic() - clock.read()[1] > SECONDS:
            return


def _work(parser: Parser, number: int, seconds: float, clock: _Clock, pipe) -> None:
    """The child: cases one after the other. Never returns."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(quiet, stream)
    own = Path(tempfile.mkdtemp(prefix="plusmv-fuzz-"))
    tempfile.tempdir = str(own)  # whatever a case leaves goes with the process
    code = 70  # unless it gets to the end: what makes the cases may fail too
    try:
        with contextlib.suppress(Exception):
            read(parser, _seeds(parser)[0])  # loads what is loaded once
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        ready = time.monotonic()
        while (began := time.monotonic()) < ready + seconds:
            clock.write(number, began, ready)
            finding = verdict(parser, number, case(parser, number))
            if finding is not None:
                pipe.send(finding)
            number += 1
        clock.write(number, began, ready)
        code = 0
    finally:
        shutil.rmtree(own, ignore_errors=True)
        os._exit(code)


if __name__ == "__main__":
    main()
