"""Peak memory of extracting one long 720p video, over all processes; and kill -9 at random moments, then once more.

Run: .venv/bin/python benchmarks/long_video.py [--minutes 30] [--streams rgb,flow] [--kills 20]
Videos are made on the spot, networks are untrained (memory and files do not depend on the weights).
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np

from plusmv.core.errors import PlusmvError
from plusmv.features.feature_files import SUFFIX, read_features

EXTRACT = [sys.executable, "-m", "plusmv", "extract", "--random-weights", "--device", "cpu"]


def make_video(path: Path, seconds: float, size: tuple[int, int], fps: int = 5) -> Path:
    scenery = np.random.default_rng(0).integers(0, 255, (size[1] // 8, size[0] // 8, 3), np.uint8)
    scenery = scenery.repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = (*size, "yuv420p")
        stream.options = {"preset": "ultrafast", "crf": "30"}
        for index in range(int(seconds * fps)):
            picture = np.roll(scenery, 3 * index, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def resident(root: int) -> int:
    """Bytes that a process and all below it hold; shared pages count once a process."""
    parents, sizes = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                text = (entry / "stat").read_text()
                parents[int(entry.name)] = int(text.rpartition(")")[2].split()[1])
                sizes[int(entry.name)] = int((entry / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except (OSError, IndexError, ValueError):
                continue
    tree = {root}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return sum(sizes.get(pid, 0) for pid in tree)


def memory(folder: Path, minutes: float, streams: str) -> None:
    video = make_video(folder / "long.mp4", minutes * 60, (1280, 720))
    command = [*EXTRACT, "--video", str(video), "--out", str(folder / f"long{SUFFIX}"), "--streams", streams]
    start, peaks = time.monotonic(), []
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        peaks.append(resident(process.pid))
        time.sleep(0.5)
    took = time.monotonic() - start
    count = read_features([folder], "long").count
    half = max(peaks[: len(peaks) // 2])
    print(f"{minutes:g} minutes of 720p, {streams}: {count} snippets in {took:.0f} s; peak memory of all processes "
          f"{max(peaks) / 1e9:.2f} GB (first half {half / 1e9:.2f} GB)")  # fmt: skip


def kills(folder: Path, count: int) -> None:
    videos, out = folder / "videos", folder / "out"
    videos.mkdir()
    for index in range(12):
        make_video(videos / f"v{index}.mp4", 2 + index % 3, (160, 120), 10)
    command = [*EXTRACT, "--videos", str(videos), "--out", str(out), "--streams", "rgb"]
    generator, partial, remade = random.Random(0), 0, 0
    stamps: dict[str, int] = {}
    for _ in range(count):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(generator.uniform(0.5, 9))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for path in out.glob(f"*{SUFFIX}") if out.is_dir() else ():
            if path.name.startswith("."):
                continue  # half-written, and hidden as such
            try:
                read_features([out], path.stem)
            except PlusmvError:
                partial += 1
            remade += stamps.setdefault(path.name, path.stat().st_mtime_ns) != path.stat().st_mtime_ns
        if len(stamps) == 12:
            for path in out.glob(f"v*{SUFFIX}"):
                path.unlink()
            stamps.clear()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    hidden = len(list(out.glob(".*")))
    print(f"{count} kills: {partial} partial files seen, {remade} made twice, {hidden} left over at the end")
    print(f"then: {done.stdout.strip().splitlines()[-1]}; once more: {again.stdout.strip().splitlines()[-1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--streams", default="rgb,flow")
    parser.add_argument("--kills", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="plusmv-long-") as name:
        if arguments.kills:
            kills(Path(name), arguments.kills)
        if arguments.minutes:
            memory(Path(name), arguments.minutes, arguments.streams)


if __name__ == "__main__":
    main()
