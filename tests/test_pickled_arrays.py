"""Arrays in a stranger's pickle: numpy's own are read as they are, and nothing that a pickle claims is believed."""

import io
import pickle
import pickletools

import numpy as np
import pytest

from plusmv.core.errors import BadInput
from plusmv.features.pickled_arrays import unpickle

ARRAYS = [
    np.arange(6, dtype="<f4").reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array([1, 2], dtype=">i2"),
    np.array(3.5),
    np.zeros((0, 4), np.float64),
    np.array([True, False]),
    np.array([b"GolfSwing", b""]),
    np.array(["Tauchen", "ü"]),
    np.array([[1.0, 2.0], "x", None, np.arange(3)], dtype=object),
]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_numpys_own_pickles_are_read_as_they_are(array, protocol):
    for module in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
        content = pickle.dumps({"a": [array]}, protocol).replace(b"numpy._core.multiarray", module)
        if protocol == 4 and module == b"numpy.core.multiarray":
            continue  # lengths stand before the names there
        (read,) = unpickle(content)["a"]
        assert read.dtype == array.dtype and read.shape == array.shape
        assert repr(read) == repr(array)  # equality is not defined for arrays within arrays


def test_numpys_scalars_are_read():
    values = [np.float32(1.5), np.int64(-3), np.bool_(True), np.bytes_(b"v_1"), np.str_("w")]
    assert unpickle(pickle.dumps(values, 2)) == values


def test_text_of_python_2_is_bytes_where_it_is_asked_for():
    made = io.BytesIO()
    np.lib.format.write_array(made, np.array([b"video", b"w"], dtype=object), allow_pickle=True)
    made.seek(128)  # past the header of the .npy file
    assert unpickle(made, "it", "annotation", "bytes").tolist() == [b"video", b"w"]


def hostile(dtype: tuple, state: tuple, shape: tuple = (1,)) -> bytes:
    """A pickle whose array has this type and state."""

    class Claims:
        def __init__(self, *parts):
            self.parts = parts

        def __reduce__(self):
            return self.parts

    kind = Claims(np.dtype, dtype[0], dtype[1])
    return pickle.dumps(Claims(np._core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), (1, shape, kind, *state)), 2)


@pytest.mark.parametrize(
    ("dtype", "state"),
    [
        ((("O8",), (3, "|", None, None, None, -1, -1, 0)), (False, b"AAAAAAAA")),  # bytes as pointers
        ((("f8",), (3, "<", None, None, None, -1, -1, 63)), (False, [1, 2, 3])),  # numbers that claim to be pointers
        ((("f8",), (3, "<", None, None, None, 800, 1, 0)), (False, b"12345678" * 2)),  # another size
        ((("V8",), (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)), (False, b"AAAAAAAA")),
    ],
)
def test_a_claim_that_numpy_would_follow_is_refused(dtype, state):
    with pytest.raises(BadInput):
        unpickle(hostile(dtype, state))


def test_sizes_are_held_against_the_content():
    honest = (("f8",), (3, "<", None, None, None, -1, -1, 0))
    for shape in ((10**12,), (-1,), (2, 2), (1.0,)):
        with pytest.raises(BadInput):
            unpickle(hostile(honest, (False, b"12345678"), shape))
    assert unpickle(hostile(honest, (False, b"12345678"))).shape == (1,)


def test_a_stand_in_takes_no_state_of_another_kind_and_leaves_none_behind():
    """BUILD on the function itself would set its attributes for the whole process."""
    content = b"\x80\x02cnumpy._core.multiarray\nscalar\nN}X\x0c\x00\x00\x00__defaults__N s\x86b.".replace(b" ", b"")
    pickletools.dis(content, io.StringIO())
    with pytest.raises(BadInput):
        unpickle(content)
    assert unpickle(pickle.dumps(np.float32(2), 2)) == 2


@pytest.mark.parametrize("what", [np.ndarray, np.dtype("f4")])
def test_a_part_of_an_array_is_none(what):
    with pytest.raises(BadInput):
        unpickle(pickle.dumps([what], 2))
