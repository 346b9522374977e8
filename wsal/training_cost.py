"""What a training took: seconds, and the most memory that its process held."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from plusmv.core.errors import BadInput
from plusmv.core.reading import read_json
from plusmv.core.workspace import write_json

COST = "cost.json"  # beside the runs that were trained together


class Cost(TypedDict):
    """None where it is not known: a training that was interrupted, a system without /proc."""

    seconds: float | None
    peak_mb: float | None  # resident memory of the process, torch and features included


@contextlib.contextmanager
def measured(folder: Path, resumed: bool) -> Iterator[None]:
    """Write what the block took into folder / COST; of a resumed training the seconds are not known."""
    _forget_peak()
    started = time.perf_counter()
    yield
    seconds = None if resumed else round(time.perf_counter() - started, 2)
    write_json(folder / COST, Cost(seconds=seconds, peak_mb=_peak()))


def read_cost(folder: Path) -> Cost:
    """What the trainings in a folder took."""
    try:
        entry = read_json(folder / COST)
        return Cost(seconds=entry["seconds"], peak_mb=entry["peak_mb"])
    except (BadInput, OSError, TypeError, KeyError):
        return Cost(seconds=None, peak_mb=None)


def together(costs: list[Cost]) -> Cost:
    """Of several trainings: their seconds in sum, their peak at most."""
    seconds, peaks = [cost["seconds"] for cost in costs], [cost["peak_mb"] for cost in costs]
    known = [second for second in seconds if second is not None]
    peak = max((each for each in peaks if each is not None), default=None)
    return Cost(seconds=round(sum(known), 2) if len(known) == len(seconds) else None, peak_mb=peak)


def _forget_peak() -> None:
    """From now on the kernel counts the peak anew (proc(5): clear_refs)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def _peak() -> float | None:
    with contextlib.suppress(OSError, IndexError):
        status = Path("/proc/self/status").read_text()
        return round(int(status.partition("VmHWM:")[2].split()[0]) / 1024, 1)
    return None
