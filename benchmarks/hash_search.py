"""Print what asking for one more clip costs among many, against a plain scan of the array's bytes, and a self-join.

Run: .venv/bin/python benchmarks/hash_search.py [--million]   (a million clips: 6 GB of disk and 8 GB of memory)

The hashes are random, called synthetic, 14 of PDQ and 7 x 24 of keypoints a clip, as of 7 s. Each time is the best of
several, because others may use the machine.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from plusmv.curate.duplicates.candidates import BATCH, HashIndex
from plusmv.curate.duplicates.hash_store import POINTS, mapped, pack, write_array

PDQ_PICTURES, POINT_PICTURES = 14, 7
JOINED = 2_000


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        for clips in (JOINED, 10_000, 100_000, *((1_000_000,) if "--million" in sys.argv else ())):
            report_search(Path(scratch), clips)


def self_join(index: HashIndex) -> Iterator[tuple[int, set[int]]]:
    ids = index.clip_ids.tolist()
    for first in range(0, len(ids), BATCH):
        some = ids[first : first + BATCH]
        yield from zip(some, index.candidates([index.hashes_of(clip_id) for clip_id in some]), strict=True)


def synthetic(clips: int) -> Iterator[np.ndarray]:
    """Records of random hashes, called synthetic: each as long as those of 7 s."""
    draws = np.random.default_rng(1)
    for number in range(clips):
        words = draws.integers(1, 2**64, PDQ_PICTURES * 4 + POINT_PICTURES * POINTS, np.uint64, endpoint=False)
        yield pack(number, words[: PDQ_PICTURES * 4].reshape(-1, 4), words[PDQ_PICTURES * 4 :].reshape(-1, POINTS))


def report_search(scratch: Path, clips: int) -> None:
    path = scratch / f"{clips}.bin"
    write_array(path, synthetic(clips))
    begun = time.perf_counter()
    index = HashIndex(mapped(path))
    tables = time.perf_counter() - begun
    new = index.hashes_of(clips // 2)
    searches, scans = [], []
    for _ in range(5):
        begun = time.perf_counter()
        index.candidates([new])
        searches.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        np.bitwise_xor.reduce(index.array.words)
        scans.append(time.perf_counter() - begun)
    search, scan, size = min(searches), min(scans), index.array.words.nbytes
    print(f"{clips:>9,} clips (synthetic hashes, {size / 1e6:.0f} MB): one more takes {search * 1e3:.1f} ms")
    floor = f"{scan * 1e3:.1f} ms ({size / scan / 1e9:.0f} GB/s)"
    print(f"{'':>9}  a plain scan of the bytes {floor}: ratio {search / scan:.2f}")
    print(f"{'':>9}  tables made in {tables:.1f} s")
    if clips == JOINED:
        joins = []
        for _ in range(3):
            begun, busy = time.perf_counter(), time.process_time()
            nominated = sum(len(found) for _, found in self_join(index))
            joins.append((time.perf_counter() - begun + tables, time.process_time() - busy + tables))
        wall, cpu = min(joins)
        print(f"{clips:>9,} clips: whole self-join {wall:.2f} s ({cpu:.2f} s of one core), {nominated} nominated")
    for file in path.parent.glob(f"{clips}.*"):
        file.unlink()


if __name__ == "__main__":
    main()
