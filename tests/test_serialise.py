"""The same content is the same bytes, whatever the order and the process; safetensors' own reader reads them."""

import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load

from plusmv.features import shards
from plusmv.features.feature_files import VideoFeatures, write_features
from plusmv.features.serialise import safetensors_bytes

ARRAYS = {
    "rgb": np.arange(6, dtype=np.float16).reshape(2, 3),
    "flow": np.arange(3, dtype=np.float32),
    "a/ü": np.array([], np.float64).reshape(0, 2),
    "flags": np.array([True, False]),
    "numbers": np.array(7, np.int64),
    "bytes": np.arange(5, dtype=np.uint8),
}
METADATA = {name: name.upper() for name in "fedcba"}


def test_what_is_written_is_read_by_safetensors():
    read = load(safetensors_bytes(ARRAYS, METADATA))
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)


def test_the_order_of_names_does_not_matter():
    turned = dict(reversed(ARRAYS.items())), dict(reversed(METADATA.items()))
    assert safetensors_bytes(ARRAYS, METADATA) == safetensors_bytes(*turned)


def features(turned: bool = False) -> VideoFeatures:
    order = reversed if turned else list
    streams = dict(order([("rgb", np.ones((1, 4), np.float32)), ("flow", np.zeros((1, 4), np.float32))]))
    notes, weights = dict(order([("x", "1"), ("y", "2")])), dict(order([("rgb", "a"), ("flow", "b")]))
    return VideoFeatures("v", streams, 25.0, weights=weights, notes=notes, settings=dict(order([("p", 1), ("q", [2])])))


def test_feature_files_of_the_same_content_are_the_same_bytes(tmp_path):
    for name, turned in (("a", False), ("b", True)):
        write_features(tmp_path / name / "v.safetensors", features(turned))
    first, second = ((tmp_path / name / "v.safetensors").read_bytes() for name in "ab")
    assert first == second


def test_shards_of_the_same_content_are_the_same_bytes(tmp_path):
    entries = {name: ({"rgb": ARRAYS["rgb"]}, {"id": f'"{name}"'} | METADATA) for name in "abc"}
    for name, held in (("one", entries), ("two", dict(reversed(entries.items())))):
        shards._write(tmp_path / name / "000001.safetensors", held)
    for name in ("000001.safetensors", "000001.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_every_process_writes_the_same_bytes(tmp_path):
    program = "import sys; from tests.test_serialise import *; write_features(sys.argv[1], features())"
    for seed in "12":
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / seed / "v.safetensors")],
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
    assert (tmp_path / "1" / "v.safetensors").read_bytes() == (tmp_path / "2" / "v.safetensors").read_bytes()


def test_what_the_format_has_no_letters_for_is_refused():
    with pytest.raises(KeyError):
        safetensors_bytes({"words": np.array(["a"])}, {})
