"""Arrays in a stranger's pickle, made by code of our own.

A pickle is a program, so only dicts, lists, text, numbers and numpy arrays can be made here. numpy's own constructors
are not called either: they believe a state that says of numbers that they are pointers, and follow them (a segmentation
fault, or worse). What a pickle asks numpy for is answered by the stand-ins below, which check sizes and take no flags.
"""

import io
import math
import pickle
import re
from typing import Any

import numpy as np

from plusmv.core.errors import BadInput, one_line

KINDS = re.compile(r"[<>|=]?([biufc][0-9]{1,2}|[SU][0-9]{1,9}|O8?)")  # numbers, text, Python objects


class _Refuses:
    """A class that a pickle can name, and do nothing with but what the subclass allows."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise ValueError("a state where none belongs")


class _ArrayType(_Refuses):
    """For numpy.ndarray, which a pickle only names."""


class _Dtype(_Refuses):
    """For numpy.dtype: its code, then as its state the byte order. Structured types are refused."""

    __slots__ = ("made",)

    def __init__(self, code: Any, align: Any = False, copy: Any = True):
        text = _text(code)
        if not KINDS.fullmatch(text):
            raise ValueError(f"the type {text!r:.40} is none of numbers, text or objects")
        self.made = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        _, order, *parts = state
        if any(part is not None for part in parts[:3]):  # subarray, names, fields
            raise ValueError("a structured type")
        if _text(order) in ("<", ">"):
            self.made = self.made.newbyteorder(_text(order))  # type: ignore[arg-type]


class _Array(_Refuses):
    """For numpy's _reconstruct: an empty array, whose state is its shape, type, order and content."""

    __slots__ = ("made",)

    def __init__(self, kind: Any, shape: Any, code: Any):
        if kind is not _ArrayType:
            raise ValueError("a kind of array that is not numpy's own")
        self.made: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        shape, dtype, in_columns, content = state[-4:]
        count, made = math.prod(shape), dtype.made
        if not all(isinstance(length, int) and length >= 0 for length in shape):
            raise ValueError("a shape that is none")
        if made.hasobject:
            flat = np.empty(_fitting(count, len(content)), dtype=object)
            for place, value in enumerate(content):
                flat[place] = plain(value)
        else:
            raw = content.encode("latin-1") if isinstance(content, str) else bytes(content)
            flat = np.frombuffer(raw, made) if _fitting(count * made.itemsize, len(raw)) else np.empty(count, made)
        self.made = flat.reshape(shape, order="F" if in_columns else "C")


class _Scalar(_Refuses):
    """For numpy's scalar: a number or text of its own."""

    def __new__(cls, dtype: Any, content: Any) -> Any:
        if dtype.made.hasobject:
            raise ValueError("a scalar of Python objects")
        raw = content.encode("latin-1") if isinstance(content, str) else bytes(content)
        return np.frombuffer(raw, dtype.made)[0] if _fitting(dtype.made.itemsize, len(raw)) else dtype.made.type()


class _Bytes(_Refuses):
    """For _codecs.encode and, of none, bytes: so Python 3 writes bytes where the protocol has none."""

    def __new__(cls, text: Any = "", encoding: Any = "latin1") -> Any:
        if encoding != "latin1":
            raise ValueError("bytes in another encoding")
        return text.encode("latin-1")


STAND_INS = {
    ("_codecs", "encode"): _Bytes,
    ("__builtin__", "bytes"): _Bytes,
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): _Dtype,
    **{
        (module, name): stand_in
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")  # numpy 1 and numpy 2
        for name, stand_in in (("_reconstruct", _Array), ("scalar", _Scalar))
    },
}


class _Unpickler(pickle.Unpickler):
    asker, needer = "", ""  # in the words of a refusal

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in STAND_INS:
            raise BadInput(f"{self.asker} asks for {module}.{name}, which no {self.needer} needs; it was not run")
        return STAND_INS[module, name]


def unpickle(
    content: bytes | io.BytesIO, asker: str = "the checkpoint", needer: str = "array", encoding: str = "ASCII"
) -> Any:
    """A pickle of arrays, nested in dicts and lists. Raises BadInput for any other, before anything in it has run.

    asker, needer: who asks for what only something else would need, in the words of a refusal. encoding: of Python 2's
    text, as in pickle.loads.
    """
    reader = _Unpickler(io.BytesIO(content) if isinstance(content, bytes) else content, encoding=encoding)
    reader.asker, reader.needer = asker, needer
    try:
        return plain(reader.load())
    except BadInput:
        raise
    except Exception as error:  # a damaged pickle raises nearly any kind
        raise BadInput(f"{asker} is not a readable pickle of arrays ({one_line(error)})") from error


def plain(value: Any) -> Any:
    """The value with every stand-in replaced by what it made."""
    if isinstance(value, _Array):
        if value.made is None:
            raise ValueError("an array without content")
        return value.made
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    if isinstance(value, _Refuses) or (isinstance(value, type) and issubclass(value, _Refuses)):
        raise ValueError("a part of an array without its array")
    return value


def _fitting(wanted: int, there: int) -> int:
    """The size that is wanted. Raises ValueError where another is there."""
    if wanted != there:
        raise ValueError(f"an array's content has size {there} and not {wanted}")
    return wanted


def _text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)
