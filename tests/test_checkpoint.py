"""Reading others' checkpoints: arrays come out, nothing else is made or run."""

import contextlib
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from plusmv.core.errors import BadInput, one_line
from plusmv.features.checkpoint import flattened, read_checkpoint, recognised
from plusmv.features.i3d import fold
from plusmv.features.i3d_layers import CHANNELS, LOGITS, tensor_shapes
from plusmv.features.pickled_arrays import unpickle
from tests.published_checkpoints import flax_checkpoint, tensorflow_files, torch_state


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
    with pytest.raises(BadInput, match="not a readable pickle"):
        unpickle(content)


@pytest.fixture(scope="module", params=["rgb", "flow"])
def network(request):
    """A stream and tensors of an I3D, every number different."""
    shapes = enumerate(tensor_shapes(CHANNELS[request.param]).items())
    return request.param, {name: np.random.default_rng(i).random(shape, np.float32) for i, (name, shape) in shapes}


def same(read: tuple, stream: str, tensors: dict) -> bool:
    found, ours = read
    return found == stream and ours.keys() == tensors.keys() and all((ours[n] == a).all() for n, a in tensors.items())


def test_flax_names_and_layouts_become_ours(network, tmp_path):
    (tmp_path / "i3d.ckpt").write_bytes(pickle.dumps(flax_checkpoint(network[1])))
    assert same(read_checkpoint(tmp_path / "i3d.ckpt"), *network)


@pytest.mark.parametrize("layout", ["piergiaj", "hassony2"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_pytorch_names_become_ours(network, tmp_path, layout, wrapped):
    state = torch_state(network[1], layout)
    if wrapped:
        state = {"epoch": 3, "state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}
    torch.save(state, tmp_path / "i3d.pt", _use_new_zipfile_serialization=not wrapped)
    assert same(read_checkpoint(tmp_path / "i3d.pt"), *network)


def test_a_scale_of_batch_norm_is_kept(network, tmp_path):
    """PyTorch's batch norm has a scale, DeepMind's has not: what comes after both is the same."""
    _, tensors = network
    state = torch_state(tensors, "piergiaj")
    state["Mixed_3b.b1b.bn.weight"] *= 2
    torch.save(state, tmp_path / "i3d.pt")
    unit = "Mixed_3b/Branch_1/Conv3d_0b_3x3"
    scaled, scaled_bias = fold(read_checkpoint(tmp_path / "i3d.pt")[1], unit)
    plain, plain_bias = fold(tensors, unit)
    beta = torch.from_numpy(tensors[f"{unit}/beta"])
    torch.testing.assert_close(scaled, plain * 2)
    torch.testing.assert_close(scaled_bias - beta, (plain_bias - beta) * 2)


def test_tensorflow_files_become_ours(network, tmp_path):
    stream, tensors = network
    index = tensorflow_files(tmp_path / "model.ckpt", stream, tensors)
    assert same(read_checkpoint(index), stream, tensors)
    assert same(read_checkpoint(tmp_path / "model.ckpt"), stream, tensors)


def test_damaged_tensorflow_files_are_refused(tmp_path):
    tensors = {name: np.zeros(shape, np.float32) for name, shape in tensor_shapes(2).items()}
    index = tensorflow_files(tmp_path / "model.ckpt", "flow", tensors)
    content, data = index.read_bytes(), tmp_path / "model.ckpt.data-00000-of-00001"
    for damaged in (content[:-1], content[:100], b"", b"text" * 50, bytes(200)):
        index.write_bytes(damaged)
        with pytest.raises(BadInput, match="no TensorFlow checkpoint index"):
            read_checkpoint(index)
    generator = np.random.default_rng(0)
    for _ in range(30):
        broken = bytearray(content)
        for place in generator.integers(0, len(broken), 20):
            broken[place] = generator.integers(256)
        index.write_bytes(broken)
        with contextlib.suppress(BadInput):
            read_checkpoint(index)
    index.write_bytes(content)
    data.write_bytes(data.read_bytes()[:-1000])
    with pytest.raises(BadInput, match="cut short"):
        read_checkpoint(index)
    data.unlink()
    with pytest.raises(BadInput, match="two files"):
        read_checkpoint(index)


def test_a_hostile_or_damaged_pytorch_file_runs_nothing(tmp_path):
    ran, path = tmp_path / "ran", tmp_path / "i3d.pt"
    for new in (True, False):
        torch.save({"weight": Hostile(os.mkdir, str(ran))}, path, _use_new_zipfile_serialization=new)
        with pytest.raises(BadInput, match=r"asks for posix\.mkdir\); it was not run") as caught:
            read_checkpoint(path)
        assert "\n" not in str(caught.value)
    torch.save({"weight": torch.zeros(100)}, path)
    with pytest.raises(BadInput, match="known layout"):
        read_checkpoint(path)
    for damaged in (path.read_bytes()[:-30], path.read_bytes()[:50], b"", b"text"):
        path.write_bytes(damaged)
        with pytest.raises(BadInput):
            read_checkpoint(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb/data/0", "w") as member:
        for _ in range(1100):
            member.write(bytes(1 << 20))
    with pytest.raises(BadInput, match="unpacks to more"):
        read_checkpoint(path)
    assert not ran.exists()


def test_networks_of_other_shapes_are_refused():
    tensors = {name: np.zeros(shape, np.float32) for name, shape in tensor_shapes(3).items()}
    del tensors["Mixed_4c/Branch_0/Conv3d_0a_1x1/mean"]
    with pytest.raises(BadInput, match="Mixed_4c/Branch_0/Conv3d_0a_1x1/BatchNorm_0/mean is missing"):
        recognised(flattened(flax_checkpoint(tensors)))
    with pytest.raises(BadInput, match="first convolution"):
        recognised({"Conv3d_1a_7x7.conv3d.weight": np.zeros((64, 5, 7, 7, 7), np.float32)})
    for nonsense in ([1, 2], {"params": np.zeros(3)}, None, {}):
        with pytest.raises(BadInput, match="no I3D"):
            recognised(flattened(nonsense))


@pytest.mark.parametrize("number", [np.nan, np.inf, -1])
def test_numbers_that_cannot_be_are_refused(number):
    tensors = {name: np.zeros(shape, np.float32) for name, shape in tensor_shapes(3).items()}
    tensors["Conv3d_2b_1x1/variance"][3] = number
    with pytest.raises(BadInput, match="Conv3d_2b_1x1/variance holds NaN"):
        recognised(flattened(flax_checkpoint(tensors)))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mixed_4c.branch_1.0.conv3d.weight", lambda tensor: tensor[:5]),
        ("mixed_4c.branch_1.0.conv3d.weight", lambda tensor: tensor.int()),
        ("mixed_4c.branch_1.0.conv3d.weight", lambda tensor: tensor.to_sparse()),
        ("mixed_4c.branch_1.0.conv3d.weight", lambda tensor: tensor.to("meta")),
        ("mixed_4c.branch_1.0.batch3d.weight", lambda tensor: tensor[:7]),
        ("mixed_4c.branch_1.0.batch3d.running_mean", lambda tensor: tensor[0]),
    ],
)
def test_a_pytorch_network_with_one_tensor_amiss_is_refused(tmp_path, name, change):
    state = torch_state({name: np.zeros(shape, np.float32) for name, shape in tensor_shapes(3).items()}, "hassony2")
    torch.save(state | {name: change(state[name])}, tmp_path / "i3d.pt")
    with pytest.raises(BadInput, match=f"no I3D: {name} is missing or not of shape"):
        read_checkpoint(tmp_path / "i3d.pt")


def test_a_file_that_holds_itself_or_more_than_it_is_ends(tmp_path):
    inside: dict = {}
    inside |= {"params": inside, "state_dict": inside, "again": inside}
    deep = b"\x80\x02" + b"}\x8c\x01a" * 50_000 + b"}" + b"s" * 50_000 + b"."
    for content in (pickle.dumps(inside), deep):
        with pytest.raises(BadInput, match="not a readable pickle"):
            recognised(flattened(unpickle(content)))
    torch.save(inside, tmp_path / "i3d.pt")
    with pytest.raises(BadInput, match="no I3D"):
        read_checkpoint(tmp_path / "i3d.pt")
    torch.save({"weight": torch.zeros(1, dtype=torch.float16).expand(1 << 40)}, tmp_path / "i3d.pt")
    with pytest.raises(BadInput, match="unpacks to more"):
        read_checkpoint(tmp_path / "i3d.pt")
    with pytest.raises(BadInput, match="not a regular file"):
        read_checkpoint(tmp_path)
    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(BadInput, match="not a regular file"):
        read_checkpoint(tmp_path / "pipe.pt")


def test_an_error_that_says_nothing_is_told_by_its_kind():
    assert one_line(MemoryError()) == "MemoryError"


def test_a_classifier_of_another_data_set_is_kept_as_it_is(tmp_path):
    tensors = {name: np.zeros(shape, np.float32) for name, shape in tensor_shapes(3).items()}
    tensors |= {f"{LOGITS}/weight": np.zeros((157, 1024), np.float32), f"{LOGITS}/bias": np.zeros(157, np.float32)}
    torch.save(torch_state(tensors, "piergiaj"), tmp_path / "charades.pt")
    assert read_checkpoint(tmp_path / "charades.pt")[1][f"{LOGITS}/weight"].shape == (157, 1024)
