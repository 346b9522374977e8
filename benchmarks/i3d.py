"""CPU seconds per 16-frame snippet of the I3D RGB network on one core, and how near the fast way is to the exact one.

Run: .venv/bin/python benchmarks/i3d.py (untrained weights: speed does not depend on them).
"""

import time

import numpy as np
import torch

from features.i3d import build, fastest_dtype, feature
from features.weights import random_weights

REPEATS = 5


def seconds(network, frames: np.ndarray) -> float:
    """The least CPU time of several runs: other work on the machine only ever adds."""
    taken = []
    for _ in range(REPEATS):
        start = time.process_time()
        feature(network, frames)
        taken.append(time.process_time() - start)
    return min(taken)


def main() -> None:
    torch.set_num_threads(1)
    tensors = random_weights("rgb").tensors
    frames = np.random.default_rng(0).integers(0, 256, (16, 224, 224, 3), dtype=np.uint8)
    networks = {
        "float32, plain layout": build(tensors, dtype=torch.float32).to(memory_format=torch.contiguous_format),
        "float32, channels last": build(tensors, dtype=torch.float32),
        "bfloat16, channels last": build(tensors, dtype=torch.bfloat16),
    }
    exact = feature(networks["float32, plain layout"], frames)[0]
    print(f"this machine's choice: {fastest_dtype()}")
    for name, network in networks.items():
        made = feature(network, frames)[0]
        cosine = made @ exact / np.linalg.norm(made) / np.linalg.norm(exact)
        print(f"{name:24} {seconds(network, frames):.3f} cpu-s/snippet, cosine {cosine:.6f}")


if __name__ == "__main__":
    main()
