"""Print how far `plusmv evaluate` is from the official evaluator on published THUMOS14 detections, and its time.

Run: .venv/bin/python benchmarks/evaluate.py [FOLDER]   (default ../shared/thumos14: stpn_gt.json, stpn_results.json of
STPN's public reimplementation, and golden_map.json, what the official code gives on them)
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # else features.py and wsal.py here stand for the packages

import numpy as np

from core.annotations import read_annotations, read_detections
from wsal.evaluate import evaluate

RUNS = 10


def main(folder: Path) -> None:
    if not (folder / "golden_map.json").is_file():
        print(f"skipped: no published detections in {folder}")
        return
    golden = next(iter(json.loads((folder / "golden_map.json").read_text()).values()))
    start = time.perf_counter()
    annotations = read_annotations(folder / "stpn_gt.json", "test")
    detections = read_detections(folder / "stpn_results.json")
    reading = time.perf_counter() - start
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        result = evaluate(annotations, detections)
        times.append(time.process_time() - start)
    differences = [np.subtract(result["per_class"][label], golden["AP"][label]) for label in golden["AP"]]
    print(f"{result['videos']} videos, {result['ground_truth']} true instances, {result['detections']} detections")
    print("mAP at tIoU .1 to .9, %:", " ".join(f"{100 * value:.1f}" for value in result["mAP"]))
    worst = np.abs(differences).max()
    print(f"largest difference from the official AP, {len(differences)} classes x 9 tIoUs: {worst:.1e}")
    print(f"evaluation {np.median(times):.3f} s of CPU time (median of {RUNS}), reading the JSON {reading:.3f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "shared" / "thumos14")
