"""safetensors files that are the same bytes for the same content: its own writer shuffles the metadata of every call.

The format is an 8-byte length, a JSON header padded to 8 bytes, and the arrays one after the other.
"""

import json
from collections.abc import Mapping

import numpy as np

LETTERS = {"f": "F", "i": "I", "u": "U"}  # numpy's kind of number -> the format's


def safetensors_bytes(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """A whole safetensors file, in the order of names, widest numbers first so that each array lies aligned."""
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    parts: list[bytes] = []
    offset = 0
    for name, array in sorted(arrays.items(), key=lambda entry: (-entry[1].itemsize, entry[0])):
        parts.append(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        end = offset + array.nbytes
        header[name] = {"dtype": _dtype(array), "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def _dtype(array: np.ndarray) -> str:
    if array.dtype.kind == "b":
        return "BOOL"
    return f"{LETTERS[array.dtype.kind]}{8 * array.itemsize}"
