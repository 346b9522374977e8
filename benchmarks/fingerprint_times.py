"""How fast videos are fingerprinted, against real time and decoding alone, for benchmarks/bench_duplicates.py."""

import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2

from plusmv.core.errors import BadInput
from plusmv.core.workers import map_unordered
from plusmv.curate.duplicates.fingerprint import fingerprint_video
from plusmv.features.decode import probe

MOST_360P = 360


class TimeStage:
    """A worker's part: only the fingerprint, as `plusmv dedup` makes it; its seconds of video."""

    def setup(self) -> None:
        cv2.setNumThreads(1)

    def process(self, path: Path) -> float:
        return fingerprint_video(path).seconds


def report_fingerprinting(paths: list[Path], workers: int) -> None:
    """Times real time by so many workers, and against decoding alone for what is larger than 360p."""
    small, large = [], []
    for path in paths:
        try:
            (small if min(_sides(path)) <= MOST_360P else large).append(path)
        except BadInput:
            continue
    begun, seconds = None, 0.0
    for outcome in map_unordered(TimeStage(), small * 3, workers=workers):
        if begun is not None:  # the workers' start is no part of it
            seconds += outcome.value or 0.0
        begun = begun or time.perf_counter()
    times = seconds / (time.perf_counter() - begun)
    print(f"fingerprinting {len(small)} clips up to 360p, decode included: {times:.0f} x real time, {workers} workers")
    cv2.setNumThreads(1)
    for path in large:
        alone, whole = (min(_cpu_seconds(job, path) for _ in range(5)) for job in (_decode, fingerprint_video))
        size = "x".join(map(str, _sides(path)))
        print(f"  {path.name} {size}: {alone / whole:.2f} of the speed of decoding alone")


def _decode(path: Path) -> None:
    """Every frame decoded, by one thread as in a worker, and thrown away."""
    with av.open(str(path), metadata_errors="ignore") as container:
        container.streams.video[0].thread_count = 1
        for _ in container.decode(video=0):
            pass


def _cpu_seconds(job: Callable[[Path], object], path: Path) -> float:
    begun = time.process_time()
    job(path)
    return time.process_time() - begun


def _sides(path: Path) -> tuple[int, int]:
    facts = probe(path)
    return facts.width, facts.height
