"""I3D: TensorFlow's padding against its definition, batch norm folded against not folded, and the shapes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from plusmv.features.i3d import (
    EPSILON,
    FirstUnit,
    Unit,
    build,
    fastest_dtype,
    feature,
    fold,
    max_pool_same,
    same_padding,
)
from plusmv.features.i3d_layers import tensor_shapes
from plusmv.features.weights import random_weights

torch.set_num_threads(1)  # other tests run on the other cores


@pytest.fixture(scope="module")
def tensors():
    return random_weights("rgb").tensors


def windows_same(x: np.ndarray, axis: int, width: int, step: int) -> list[np.ndarray]:
    """TensorFlow's definition, by windows: window i of ceil(n/s) starts at i*s - front and is cut at the borders."""
    size = x.shape[axis]
    outputs = -(-size // step)
    front = max((outputs - 1) * step + width - size, 0) // 2
    spans = [(max(i * step - front, 0), min(i * step - front + width, size)) for i in range(outputs)]
    return [np.take(x, range(*span), axis) for span in spans]


@pytest.mark.parametrize("shape", [(4, 6, 6), (5, 7, 8), (1, 3, 2), (9, 28, 27)])
@pytest.mark.parametrize(
    ("kernel", "stride"),
    [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2)), ((3, 3, 3), (1, 1, 1))],
)
def test_max_pool_is_tensorflows(shape, kernel, stride):
    x = np.random.default_rng(0).random((1, 2, *shape), np.float32)
    expected = x
    for axis in range(3):  # a box's maximum is the maximum along each axis in turn
        cut = windows_same(expected, axis + 2, kernel[axis], stride[axis])
        expected = np.stack([window.max(axis=axis + 2) for window in cut], axis=axis + 2)
    np.testing.assert_array_equal(max_pool_same(torch.from_numpy(x), kernel, stride), expected)


@pytest.mark.parametrize("sizes", [(16, 8, 8), (7, 9, 10), (2, 5, 3)])
@pytest.mark.parametrize(("width", "stride"), [(7, 2), (3, 1), (1, 1)])
def test_convolution_is_tensorflows(sizes, width, stride):
    """A kernel of ones sums its window, so the expectation needs no padding at all: only where windows lie."""
    x = np.random.default_rng(1).random((1, 1, *sizes), np.float32)
    expected = x.astype(np.float64)
    for axis in range(3):
        cut = windows_same(expected, axis + 2, width, stride)
        expected = np.stack([window.sum(axis=axis + 2) for window in cut], axis=axis + 2)
    if stride == 2:
        unit = FirstUnit(torch.ones(1, 1, width, width, width), torch.zeros(1))
        x = x.transpose(0, 2, 3, 4, 1)  # the channels come last
    else:
        unit = Unit(torch.ones(1, 1, width, width, width), torch.zeros(1))
    np.testing.assert_allclose(unit(torch.from_numpy(x)), expected, rtol=1e-4)


@pytest.mark.parametrize("shape", [(16, 10, 12), (3, 7, 9), (1, 1, 1)])
def test_levels_stand_for_the_unit_interval(shape):
    """Bytes and the float32 values they stand for give the same, at the padded borders too."""
    generator = np.random.default_rng(2)
    unit = FirstUnit(torch.from_numpy(generator.standard_normal((4, 2, 7, 7, 7), np.float32)), torch.arange(4.0))
    levels = torch.from_numpy(generator.integers(0, 256, (2, *shape, 2), dtype=np.uint8))
    plain = levels.float() * (2 / 255) - 1
    front = [side for pair in reversed(same_padding(shape, (7, 7, 7), (2, 2, 2))) for side in pair]
    weight = unit.weight.unflatten(1, (2, 2)).permute(0, 2, 3, 4, 5, 1).flatten(4)[..., :7] * (255 / 2)
    bias = unit.bias - weight.sum(dim=(1, 2, 3, 4)) / 255
    expected = F.conv3d(F.pad(plain.permute(0, 4, 1, 2, 3), front), weight, bias, 2).relu()
    torch.testing.assert_close(unit(levels), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(unit(plain), expected, rtol=1e-4, atol=1e-4)


def test_same_padding_is_asymmetric_behind():
    assert same_padding((16, 224, 79), (7, 7, 7), (2, 2, 2)) == [(2, 3), (2, 3), (3, 3)]
    assert same_padding((1, 2, 3), (1, 1, 1), (2, 2, 2)) == [(0, 0)] * 3


def test_folded_batch_norm_is_batch_norm(tensors):
    unit = "Mixed_3b/Branch_1/Conv3d_0b_3x3"
    generator = torch.Generator().manual_seed(0)
    width = len(tensors[f"{unit}/beta"])
    norm = {part: torch.rand(width, generator=generator) for part in ("beta", "mean", "variance")}
    weight = torch.from_numpy(tensors[f"{unit}/weight"])
    x = torch.rand(1, weight.shape[1], 4, 5, 5, generator=generator)
    plain = F.conv3d(x, weight, padding=1)
    expected = F.batch_norm(plain, norm["mean"], norm["variance"], None, norm["beta"], eps=EPSILON).relu()
    known = {f"{unit}/{part}": value.numpy() for part, value in norm.items()} | {f"{unit}/weight": weight.numpy()}
    torch.testing.assert_close(Unit(*fold(known, unit))(x), expected, rtol=1e-4, atol=1e-5)


def test_a_snippet_gives_one_feature_and_the_fastest_way_the_same(tensors):
    frames = np.random.default_rng(0).integers(0, 256, (16, 224, 224, 3), dtype=np.uint8)
    exact = feature(build(tensors, dtype=torch.float32), frames)
    assert exact.shape == (1, 1024)
    assert exact.dtype == np.float32
    assert exact.std() > 0
    fast = feature(build(tensors, dtype=fastest_dtype()), frames)  # bfloat16 where the processor has it
    cosine = (exact * fast).sum() / np.linalg.norm(exact) / np.linalg.norm(fast)
    assert cosine > 0.9999


def test_any_length_is_taken_in_one_pass(tensors):
    network = build(tensors)
    for length, positions in ((1, 1), (33, 4)):  # three halvings with SAME padding, then pairs
        assert feature(network, np.zeros((length, 224, 224, 3), np.uint8)).shape == (positions, 1024)


def test_the_table_is_the_published_network():
    shapes = tensor_shapes(3)
    assert len(shapes) == 57 * 4 + 2  # the checkpoint's 230 tensors
    assert sum(int(np.prod(shape)) for name, shape in shapes.items() if name.endswith("/weight")) == 12_682_304
