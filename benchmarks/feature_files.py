"""Reading 10,000 clips' features, loose and compacted: time, equality, and whether a flipped byte is found.

Run: .venv/bin/python benchmarks/feature_files.py [COUNT]   (random numbers stand for features: two streams, T = 16)
"""

import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from plusmv.features import conversion
from plusmv.features.feature_files import SUFFIX, VideoFeatures, read_features, write_features

ROUNDS = 3


def seconds_to_read(folder: Path, ids: list[str]) -> float:
    start = time.process_time()
    for video_id in ids:
        read_features([folder], video_id)
    return time.process_time() - start


def main(count: int) -> None:
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="plusmv-files-") as name:
        folder = Path(name)
        ids = [f"clip{index:06d}" for index in range(count)]
        pool = generator.standard_normal((64, 16, 1024)).astype(np.float32)
        for index, video_id in enumerate(ids):
            streams = {"rgb": pool[index % 64] + index / count, "flow": pool[(index * 7) % 64]}
            write_features(folder / f"{video_id}{SUFFIX}", VideoFeatures(video_id, streams, 25.0, frames=256))
        random.Random(0).shuffle(ids)
        sample = ids[:: max(1, count // 500)]
        before = {video_id: read_features([folder], video_id).streams for video_id in sample}
        loose = min(seconds_to_read(folder, ids) for _ in range(ROUNDS))
        start = time.perf_counter()
        packed = sum(outcome.state == "done" for outcome in conversion.compact(folder))
        took = time.perf_counter() - start
        shards = len(list((folder / "shards").glob("*.json")))
        compacted = min(seconds_to_read(folder, ids) for _ in range(ROUNDS))
        equal = all(
            np.array_equal(array, read_features([folder], video_id).streams[stream])
            for video_id, streams in before.items()
            for stream, array in streams.items()
        )
        print(f"{packed} of {count} files packed in {took:.0f} s into {shards} shards")
        print(f"reading in random order: loose {1e6 * loose / count:.0f} us a clip, compacted "
              f"{1e6 * compacted / count:.0f} us: {loose / compacted:.2f} times as fast; equal: {equal}")  # fmt: skip
        shard = folder / "shards" / f"000001{SUFFIX}"
        content = bytearray(shard.read_bytes())
        content[len(content) // 2] ^= 4
        shard.write_bytes(content)
        damaged = [failure["id"] for failure in conversion.verify(folder)["failures"]]
        print(f"one bit flipped in a shard: verify names {damaged}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
