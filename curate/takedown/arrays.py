"""Files of arrays without a takedown's subject: safetensors, npz and npy. Their bytes are never searched.

An entry is called by a content, `<sha256>` or `<sha256>/rgb`, or an array lists ids, and then that row goes from every
array of as many rows. Of a feature file of ours the checksum is kept right.
"""

import io
import json
import struct
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from plusmv.core.workspace import write_bytes
from plusmv.curate.takedown import records
from plusmv.curate.takedown.archives import Cleaned, NotRead, members, zipped
from plusmv.curate.takedown.records import Gone
from plusmv.curate.takedown.subject import Subject
from plusmv.features.feature_files import checksum

SUFFIXES = {".safetensors", ".npz", ".npy"}
HEADER_BYTES = 256 << 20  # longest header of a safetensors file
Arrays = dict[str, np.ndarray]


def cleaned_arrays(name: str, content: bytes, subject: Subject) -> Cleaned:
    """As text_files.cleaned, of a file of arrays. Raises NotRead where it is damaged."""
    suffix = PurePosixPath(name).suffix.casefold()
    if suffix == ".safetensors":
        return _safetensors(content, subject)
    return _npz(content, subject) if suffix == ".npz" else _npy(name, content, subject)


def clean_safetensors(path: Path, subject: Subject) -> bool:
    """Rid a safetensors file of the subject, reading its header alone where that does not name it.

    Returns whether it did. Raises Gone where nothing is left, NotRead where it is damaged.
    """
    header = _header(path)
    if _parts(header, subject) is None:
        return False
    left = _safetensors(path.read_bytes(), subject)
    if left is None:
        raise Gone
    write_bytes(path, left)
    return True


def _header(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        return _parsed_header(file.read(8), file.read)


def _parsed_header(head: bytes, read: Any) -> dict[str, Any]:
    try:
        (length,) = struct.unpack("<Q", head)
        if length > HEADER_BYTES:
            raise NotRead
        header = json.loads(read(length))
    except (struct.error, ValueError, RecursionError) as error:
        raise NotRead from error
    if not isinstance(header, dict):
        raise NotRead
    return header


def _parts(header: Mapping[str, Any], subject: Subject) -> tuple[list[str], dict[str, str]] | None:
    """(names of the tensors that stay, the metadata that does), None where nothing names the subject. Raises Gone."""
    stored = header.get("__metadata__") or {}
    names = [name for name in header if name != "__metadata__"]
    kept = [name for name in names if not _is_subjects(name, subject)]
    metadata = {name: _metadata_value(text, subject) for name, text in stored.items()}
    if "id" in stored and metadata["id"] is None:
        raise Gone  # a feature file of ours under another name
    if len(kept) == len(names) and metadata == stored:
        return None
    return kept, {name: text for name, text in metadata.items() if text is not None}


def _safetensors(content: bytes, subject: Subject) -> Cleaned:
    stream = io.BytesIO(content)
    header = _parsed_header(stream.read(8), stream.read)
    try:
        parts = _parts(header, subject)
        if parts is None:
            return content
        tensors = safetensors.numpy.load(content)
    except Gone:
        return None
    except (SafetensorError, ValueError, KeyError) as error:
        raise NotRead from error
    names, metadata = parts
    arrays = {name: tensors[name] for name in names}
    if not arrays:
        return None
    if "xxh3" in metadata:
        metadata["xxh3"] = checksum(arrays, metadata)
    return safetensors.numpy.save(arrays, metadata)


def _metadata_value(text: str, subject: Subject) -> str | None:
    """A value, JSON text or plain, without the subject; None where it is the subject's."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    try:
        left = records.without(value, subject)
    except Gone:
        return None
    return text if left is value else left if isinstance(left, str) else json.dumps(left)


def _npz(content: bytes, subject: Subject) -> Cleaned:
    entries = list(members(content))
    kept = [(facts, array) for facts, array in entries if not _is_subjects(facts.filename, subject)]
    loaded = {facts.filename: _loaded(array) for facts, array in kept if facts.filename.endswith(".npy")}
    rows = _rows_to_keep({name: array for name, array in loaded.items() if array is not None}, subject)
    if len(kept) == len(entries) and not rows:
        return content
    if not kept:
        return None
    changed = {name: array[rows[len(array)]] for name, array in loaded.items()
               if array is not None and array.ndim and len(array) in rows}  # fmt: skip
    return zipped([(facts, _saved(changed[facts.filename]) if facts.filename in changed else array)
                   for facts, array in kept])  # fmt: skip


def _npy(name: str, content: bytes, subject: Subject) -> Cleaned:
    array = _loaded(content)
    rows = {} if array is None else _rows_to_keep({name: array}, subject)
    return _saved(array[rows[len(array)]]) if array is not None and rows else content


def _rows_to_keep(arrays: Arrays, subject: Subject) -> dict[int, np.ndarray]:
    """{N: (N,) bool of the rows that no list of N ids says to be the subject's}, without lengths of which all stay.

    Raises Gone where a single text says that the whole file is.
    """
    keep: dict[int, np.ndarray] = {}
    for name, array in arrays.items():
        if array.ndim <= 1 and array.dtype.kind in "US":
            field = PurePosixPath(name).stem
            held = records.field_of(field)
            texts = array.astype(str) if array.dtype.kind == "U" else np.char.decode(array, "utf-8", "replace")
            named = np.array([_names(subject, field, str(text), held) for text in texts.ravel()], bool)
            if named.any() and array.ndim == 0:
                raise Gone
            if named.any():
                keep[len(named)] = keep.get(len(named), True) & ~named
    return keep


def _names(subject: Subject, field: str, text: str, held: records.Field) -> bool:
    return subject.named_by(text) or records.names_record(subject, field, text, held, None)


def _is_subjects(name: str, subject: Subject) -> bool:
    """Whether an entry is called by a content, or by a full id."""
    first = name.removesuffix(".npy").rpartition("/")[0] or name.removesuffix(".npy")
    return subject.names_content(name) or subject.named_by(first)


def _loaded(content: bytes) -> np.ndarray | None:
    """An array of numbers or texts; None for others, such as objects, which are never unpickled."""
    try:
        return np.load(io.BytesIO(content), allow_pickle=False)
    except Exception:  # numpy evaluates the header as Python: tokenize's and the parser's kinds too
        return None


def _saved(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()
