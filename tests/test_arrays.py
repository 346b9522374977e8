"""Arrays of strangers: a header may claim anything, an archive unpack to anything; memory stays bounded."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from plusmv.core.errors import BadInput
from plusmv.core.limits import ARRAY_BYTES
from plusmv.features.arrays import read_npy, read_npz
from plusmv.features.feature_files import read_features


def header(shape: tuple, dtype: str = "<f4") -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": dtype, "fortran_order": False, "shape": shape})
    return content.getvalue()


@pytest.fixture
def bounded_memory():
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 << 20


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)),
                                   np.zeros((0, 4)), np.float32(7), np.arange(3, dtype=">i2")])  # fmt: skip
def test_arrays_are_read_as_numpy_reads_them(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", rgb=array)
    for read in (read_npy(tmp_path / "a.npy"), read_npz(tmp_path / "a.npz", ("rgb", "flow"))["rgb"]):
        np.testing.assert_array_equal(read, array)
        assert (read.dtype, read.shape) == (array.dtype, array.shape)


LYING = {
    "more than is there": header((1000, 1024)) + bytes(100),
    "more than memory holds": header((10**9, 10**9)) + bytes(100),
    "more than an integer holds": header((10**30,)) + bytes(100),
    "less than nothing": header((-1, 4)) + bytes(100),
    "objects": header((3,), "|O") + bytes(100),
    "no header": b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 70_000,
    "no array": b"no array",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", LYING)
@pytest.mark.parametrize("name", ["v.npy", "v.npz"])
def test_a_header_that_lies_is_refused_with_bounded_memory(tmp_path, bounded_memory, kind, name):
    if name == "v.npy":
        (tmp_path / name).write_bytes(LYING[kind])
    else:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("rgb.npy", LYING[kind])
    with pytest.raises(BadInput):
        read_features([tmp_path], "v")


def test_an_archive_that_says_gigabytes_is_refused_with_bounded_memory(tmp_path, bounded_memory):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rgb.npy", header((ARRAY_BYTES // 4096 + 1, 1024)) + bytes(1 << 20))
    said, lied = struct.pack("<L", archive.filelist[0].file_size), struct.pack("<L", ARRAY_BYTES + (1 << 20))
    (tmp_path / "v.npz").write_bytes(content.getvalue().replace(said, lied))
    assert (tmp_path / "v.npz").stat().st_size < 1 << 20
    with pytest.raises(BadInput, match="1024 MB"):
        read_features([tmp_path], "v")


@pytest.mark.parametrize("most", [1 << 20, 1 << 30])
def test_an_archive_that_unpacks_to_more_than_it_says_or_may_is_refused(tmp_path, bounded_memory, most):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rgb.npy", header((8192, 1024)) + bytes(8192 * 4096))
    if most > 1 << 20:  # it says that it has less
        said, lied = struct.pack("<L", archive.filelist[0].file_size), struct.pack("<L", 1000)
        content = io.BytesIO(content.getvalue().replace(said, lied))
    (tmp_path / "v.npz").write_bytes(content.getvalue())
    with pytest.raises(BadInput):
        read_npz(tmp_path / "v.npz", ("rgb",), most)


def test_an_archive_with_a_huge_list_of_members_is_refused_with_bounded_memory(tmp_path, bounded_memory):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for number in range(20):
            archive.writestr(f"{number:060000d}", b"")
    (tmp_path / "v.npz").write_bytes(content.getvalue())
    with pytest.raises(BadInput):
        read_features([tmp_path], "v")


@pytest.mark.parametrize("bomb", [b"PK\5\6", b"PK\5\6" + bytes(18), b"PK\3\4" + bytes(200)])
def test_damaged_archives_are_refused(tmp_path, bomb):
    (tmp_path / "v.npz").write_bytes(bomb)
    with pytest.raises(BadInput):
        read_features([tmp_path], "v")
