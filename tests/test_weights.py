"""Kept weights: read back as written, damage is seen, and stand-ins are named."""

import numpy as np
import pytest

from plusmv.core.errors import BadInput, Missing
from plusmv.features.i3d_layers import tensor_shapes
from plusmv.features.weights import Weights, cross_modality, keep, last_layer, load, random_weights, weights_path

PROVENANCE = {"origin": "a test", "licence": "MIT"}


@pytest.fixture(autouse=True)
def weights_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PLUSMV_WEIGHTS", str(tmp_path))
    return tmp_path


def test_what_is_kept_is_loaded_and_named_by_its_content(weights_folder):
    tensors = {"a/weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a/beta": np.zeros(2, np.float32)}
    assert keep("rgb", tensors, PROVENANCE) == weights_folder / "i3d_rgb.safetensors"
    first = load("rgb")
    np.testing.assert_array_equal(first.tensors["a/weight"], tensors["a/weight"])
    assert "a test" in first.label
    keep("rgb", {**tensors, "a/beta": np.ones(2, np.float32)}, PROVENANCE)
    assert load("rgb").label != first.label


def test_damage_and_absence_are_said_with_the_remedy():
    with pytest.raises(Missing, match="plusmv weights rgb"):
        load("rgb")
    with pytest.raises(Missing, match="--flow-init cross-modality"):
        load("flow")
    path = keep("rgb", {"a": np.zeros(1000, np.float32)}, PROVENANCE)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    header = b'{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}'  # a format that numpy lacks
    for damaged in (content, content[:-9], b"", b"text", len(header).to_bytes(8, "little") + header + b"0"):
        path.write_bytes(damaged)
        with pytest.raises(BadInput, match="fetch it again"):
            load("rgb")


def test_the_folder_defaults_to_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("PLUSMV_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert weights_path("rgb") == tmp_path / "cache" / "plusmv" / "i3d_rgb.safetensors"


def test_cross_modality_averages_the_first_layer_alone():
    rgb = Weights("rgb", "the RGB ones", random_weights("rgb").tensors)
    flow = cross_modality(rgb)
    first = "Conv3d_1a_7x7/weight"
    assert flow.tensors[first].shape == (64, 2, 7, 7, 7)
    np.testing.assert_allclose(flow.tensors[first][:, 1], rgb.tensors[first].mean(axis=1), rtol=1e-6)
    assert all(flow.tensors[name] is array for name, array in rgb.tensors.items() if name != first)
    assert flow.label == "cross-modality from the RGB ones"


def test_random_weights_fit_the_network_and_are_the_same_each_time():
    made = random_weights("flow")
    assert {name: array.shape for name, array in made.tensors.items()} == tensor_shapes(2)
    assert made.label.startswith("random")
    again = random_weights("flow").tensors
    assert all((array == again[name]).all() for name, array in made.tensors.items())
    assert [array.shape for array in last_layer(made)] == [(400, 1024), (400,)]
