"""Reading others' checkpoints: arrays come out, nothing else is made or run."""

import os
import pickle

import numpy as np
import pytest

from core.errors import BadInput
from features.checkpoint import from_flax, unpickle
from features.i3d_layers import tensor_shapes
from tests.flax_checkpoint import flax_checkpoint


class Hostile:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


def test_arrays_of_both_numpy_generations_are_read():
    content = pickle.dumps({"a": {"b": np.arange(3, dtype=np.float32)}}, protocol=4)
    for module in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
        old = content.replace(b"\x8c\x16numpy._core.multiarray", b"\x8c" + bytes([len(module)]) + module)
        # The frame's length is written before it: let pickle do without.
        old = old[:2] + old[11:] if old[2:3] == b"\x95" else old
        np.testing.assert_array_equal(unpickle(old)["a"]["b"], [0, 1, 2])


def test_nothing_hostile_runs(tmp_path):
    ran = tmp_path / "ran"
    for hostile in (
        Hostile(os.mkdir, str(ran)),
        Hostile(eval, f"__import__('os').mkdir({str(ran)!r})"),
        Hostile(getattr, np.ndarray, "tofile"),
        {"params": [Hostile(os.system, f"mkdir {ran}")]},
        np.array([Hostile(os.mkdir, str(ran))], dtype=object),
    ):
        with pytest.raises(BadInput, match="not run"):
            unpickle(pickle.dumps(hostile))
    assert not ran.exists()


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps({"a": np.zeros(9)})[:-20], b"\x80\x04\x95\xff"])
def test_damaged_pickles_are_refused(content):
    with pytest.raises(BadInput, match="no readable pickle"):
        unpickle(content)


def test_flax_names_and_layouts_become_ours():
    tensors = {
        name: np.random.default_rng(index).random(shape, np.float32)
        for index, (name, shape) in enumerate(tensor_shapes(2).items())
    }
    read = from_flax(flax_checkpoint(tensors), channels=2)
    assert read.keys() == tensors.keys()
    assert all((read[name] == array).all() for name, array in tensors.items())


def test_another_network_is_refused():
    tensors = {name: np.zeros(shape, np.float32) for name, shape in tensor_shapes(3).items()}
    with pytest.raises(BadInput, match="Conv3d_1a_7x7"):
        from_flax(flax_checkpoint(tensors), channels=2)
    tensors.pop("Mixed_4c/Branch_0/Conv3d_0a_1x1/mean")
    with pytest.raises(BadInput, match="Mixed_4c/Branch_0/Conv3d_0a_1x1/BatchNorm_0/mean is missing"):
        from_flax(flax_checkpoint(tensors), channels=3)
    for nonsense in ([1, 2], {"params": np.zeros(3)}, None):
        with pytest.raises(BadInput, match="no I3D"):
            from_flax(nonsense, channels=3)
