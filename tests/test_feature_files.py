"""Feature files: what we write is what we read, others' formats read alike, and bad ones give one line."""

import io
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from plusmv.core.errors import BadInput, Missing, PlusmvError
from plusmv.features.feature_files import VideoFeatures, list_features, read_features, write_features
from plusmv.features.published import ArrayLayout


def made(count: int = 3, width: int = 8) -> dict[str, np.ndarray]:
    values = np.arange(count * width * 2, dtype=np.float32).reshape(2, count, width) / 16
    return {"rgb": values[0], "flow": values[1]}


def test_what_is_written_is_read(tmp_path):
    notes = {"source": "ü.mp4"}
    features = VideoFeatures("v", made(), 25.0, 16, 8, 35, 1.4, "0123abcd", {"rgb": "i3d", "flow": "random"}, notes)
    write_features(tmp_path / "v.safetensors", features)
    read = read_features([tmp_path], "v")
    for name, array in made().items():
        np.testing.assert_array_equal(read.streams[name], array)
        assert read.streams[name].dtype == np.float32
    assert replace(read, streams={}) == replace(features, streams={})
    assert read.count == 3
    np.testing.assert_allclose(read.seconds(), [[0, 0.64], [0.32, 0.96], [0.64, 1.28]])


def test_published_formats_read_alike(tmp_path):
    for folder in ("joined", "archive", "apart/rgb", "apart/flow"):
        (tmp_path / folder).mkdir(parents=True)
    np.save(tmp_path / "joined" / "v.npy", np.hstack(list(made().values())).astype(np.float64))
    np.savez(tmp_path / "archive" / "v.npz", **made())
    for name, array in made().items():
        np.save(tmp_path / "apart" / name / "v.npy", array)
    for folder in ("joined", "archive", "apart"):
        read = read_features([tmp_path / folder], "v", feature_fps=30, feature_stride=4, layout=ArrayLayout("joint"))
        assert (read.fps, read.stride, read.recipe, read.frames) == (30, 4, None, None)
        for name, array in made().items():
            np.testing.assert_array_equal(read.streams[name], array)
        assert list_features([tmp_path / folder]) == {"v"}


def test_one_stream_alone_and_the_first_folder_wins(tmp_path):
    for folder, value in (("a", 1), ("b", 2)):
        (tmp_path / folder / "rgb").mkdir(parents=True)
        np.save(tmp_path / folder / "rgb" / "v.npy", np.full((2, 4), value))
    read = read_features([tmp_path / "a", tmp_path / "b"], "v")
    assert set(read.streams) == {"rgb"}
    assert read.streams["rgb"].max() == 1


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.full((2, 4), np.nan), "NaN"),
        (np.full((2, 4), 1e300), "too large"),
        (np.zeros((0, 4)), "at least one snippet"),
        (np.zeros((2, 5)), "same width"),
        (np.zeros((2, 4, 1)), r"\(2, 4, 1\)"),
        (np.zeros(4), r"\(4,\)"),
        (np.array([["a", "b"]]), "numbers"),
    ],
)
def test_useless_arrays_are_refused_with_the_reason(tmp_path, array, reason):
    np.save(tmp_path / "v.npy", array)
    with pytest.raises(BadInput, match=reason):
        read_features([tmp_path], "v", layout=ArrayLayout("joint"))


def test_files_that_contradict_themselves_are_refused(tmp_path):
    np.savez(tmp_path / "unequal.npz", rgb=np.zeros((3, 4)), flow=np.zeros((2, 4)))
    np.savez(tmp_path / "strange.npz", audio=np.zeros((3, 4)))
    save_file({"rgb": np.zeros((3, 4), np.float16)}, tmp_path / "misfit.safetensors", {"frames": "100"})
    save_file({"rgb": np.zeros((3, 4), np.float16)}, tmp_path / "rateless.safetensors", {"fps": "fast"})
    for video_id, reason in {
        "unequal": "differ",
        "strange": "neither",
        "misfit": "100 frames make 6",
        "rateless": "fps is 'fast'",
    }.items():
        with pytest.raises(BadInput, match=reason):
            read_features([tmp_path], video_id)


def test_pickles_are_never_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    np.save(tmp_path / "v.npy", np.array([[Hostile()]]), allow_pickle=True)
    np.savez(tmp_path / "w.npz", rgb=np.array([[Hostile()]]))
    for video_id in ("v", "w"):
        with pytest.raises(BadInput):
            read_features([tmp_path], video_id)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".npy", ".npz"])
@pytest.mark.parametrize("damage", ["empty", "text", "cut"])
def test_damaged_files_are_refused(tmp_path, suffix, damage):
    path = tmp_path / f"v{suffix}"
    whole = io.BytesIO()
    if suffix == ".safetensors":
        write_features(path, VideoFeatures("v", made(), 25.0))
    elif suffix == ".npy":
        np.save(path, np.zeros((20, 40)))
    else:
        np.savez(whole, **made())
        path.write_bytes(whole.getvalue())
    path.write_bytes({"empty": b"", "text": b"hello", "cut": path.read_bytes()[:-40]}[damage])
    with pytest.raises(BadInput, match="v"):
        read_features([tmp_path], "v")


HEADERS = {
    "npy": b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr':'<f4','fortran_order':False,'shape':((".ljust(117) + b"\n",
    "deep": {"__metadata__": {"notes": "[" * 100_000}},
    "dtype": {"rgb": {"dtype": "F8_E4M3", "shape": [1, 4], "data_offsets": [0, 4]}},
    "recipe": {"__metadata__": {"recipe": "[1]"}, "rgb": {"dtype": "F16", "shape": [1, 2], "data_offsets": [0, 4]}},
    "weights": {
        "__metadata__": {"weights": '{"rgb": [1]}'},
        "rgb": {"dtype": "F16", "shape": [1, 2], "data_offsets": [0, 4]},
    },
}


@pytest.mark.parametrize("hostile", HEADERS)
def test_hostile_headers_are_one_line(tmp_path, hostile):
    header = HEADERS[hostile]
    if isinstance(header, bytes):
        (tmp_path / "v.npy").write_bytes(header + bytes(100))
    else:
        text = json.dumps(header).encode()
        content = len(text).to_bytes(8, "little") + text + bytes(4 if "rgb" in header else 0)
        (tmp_path / "v.safetensors").write_bytes(content)
    with pytest.raises(BadInput) as caught:
        read_features([tmp_path], "v")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("video_id", ["../v", "/etc/v", "a/b", "..", "", "a\\b", "a\0", "v" * 300])
def test_ids_that_climb_are_refused(tmp_path, video_id):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "v.npy", np.zeros((2, 4)))
    with pytest.raises(BadInput, match="not a valid file name"):
        read_features([tmp_path / "in"], video_id)


def test_what_is_not_there_is_missing(tmp_path):
    with pytest.raises(Missing, match="extract them"):
        read_features([tmp_path], "v")
    with pytest.raises(Missing, match="no feature folder"):
        list_features([tmp_path / "none"])
    (tmp_path / ".v.safetensors.1-00000000.part.safetensors").write_bytes(b"half")
    assert list_features([tmp_path]) == set()


def test_nothing_unreadable_is_written(tmp_path):
    for streams in ({}, {"rgb": np.full((2, 4), 1e6)}, {"rgb": np.zeros((0, 4))}):
        with pytest.raises(PlusmvError):
            write_features(tmp_path / "v.safetensors", VideoFeatures("v", streams, 25.0))
    assert list(tmp_path.iterdir()) == []
