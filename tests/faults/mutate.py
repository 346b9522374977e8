"""Small valid inputs made hostile: bytes anywhere, and what each format can lie about.

`hostile(chance, seeds, kind)` gives one input. Kinds: "json", "lines", "csv", "text", "npy", "npz", "safetensors",
"packed" (compressed JSON) and "binary"; each also gets what can be done to any bytes.
"""

import gzip
import io
import json
import lzma
import struct
import zipfile
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

DEEP = 100_000
BLOCK = 16 << 20  # zeros, which compress to next to nothing
DIGITS = "9" * 5000  # more than int() takes
WHOLE = (
    b"",
    b"\0",
    b" ",
    b"\n",
    b"null",
    b"[]",
    b"{}",
    b"0",
    b"NaN",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\0}\0",
    b'"',
    b"{",
    b"[" * DEEP,
    b'{"a":' * DEEP,
    b"[" * DEEP + b"]" * DEEP,
    DIGITS.encode(),
    b"-" + DIGITS.encode(),
    b"\0" * 4096,
    b"\x80\x04.",
    b"PK\x05\x06" + b"\0" * 18,
    b"\x93NUMPY\x01\x00\xff\xff",
    b"\xff" * 64,
    b"<html></html>",
    b"a" * 300_000,
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**31,
    2**63,
    2**64,
    -(2**63),
    10**400,
    "",
    "0",
    "\0",
    "\ud800",
    "a" * 100_000,
    "..",
    "../../x",
    "/",
    "%",
    "nan",
    "1e999",
    DIGITS,
    "\u202e",
    "\U0001f600",
    [],
    {},
    [[]],
    [None],
    {"": None},
    [{}] * 50,
    float("nan"),
    float("inf"),
    float("-inf"),
    -0.0,
    1e308,
    5e-324,
    "2019-13-45",
    "https://127.0.0.1/",
    "file:///x",
)
CELLS = (
    "",
    '"',
    '""',
    '"a',
    "a,b",
    "\0",
    "a\nb",
    "a\r",
    "x" * 200_000,
    DIGITS,
    "1e999",
    "nan",
    "\ufeff",
    "'",
    ";",
    "\t",
    "=1+1",
    "\u2028",
    "..",
    "keep",
    "-1",
)


def hostile(chance: Random, seeds: Sequence[bytes], kind: str) -> bytes:
    """One hostile input of this kind, made of one of the seeds."""
    seed = chance.choice(seeds)
    if chance.random() < 0.05:
        return chance.choice(WHOLE)
    changed = SHAPED.get(kind, _bytes)(chance, seed) if chance.random() < 0.7 else _bytes(chance, seed)
    return _bytes(chance, changed) if chance.random() < 0.15 else changed


def _bytes(chance: Random, seed: bytes) -> bytes:
    """One to four changes that need to know nothing of a format."""
    content = bytearray(seed)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        start = chance.randrange(len(content) + 1)
        length = min(len(content) - start, chance.choice((1, 1, 2, 4, 8, 64, 1024)))
        what = chance.randrange(7)
        if what == 0 and length:
            content[start] ^= 1 << chance.randrange(8)
        elif what == 1:
            del content[start:]
        elif what == 2:
            del content[start : start + length]
        elif what == 3:
            content[start:start] = content[start : start + length] * chance.choice((1, 1, 50))
        elif what == 4:
            content[start : start + length] = bytes(chance.randrange(256) for _ in range(length))
        elif what == 5:
            content[start : start + 4] = struct.pack("<I", chance.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1)))
        else:
            content[start : start + 8] = struct.pack("<Q", chance.choice((0, 1, 2**40, 2**63 - 1, 2**64 - 1)))
    return bytes(content)


def _json(chance: Random, seed: bytes) -> bytes:
    """Values of other kinds, deep ones, keys that come twice or are missing."""
    try:
        tree = json.loads(seed)
    except ValueError:
        return _bytes(chance, seed)
    for _ in range(chance.choice((1, 1, 2, 3))):
        tree = _changed(chance, tree)
    text = json.dumps(tree)
    if chance.random() < 0.15 and "null" in text:
        deep = chance.choice(
            ("[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP, DIGITS, "1" + "0" * 5000 + ".5", "[1,]")
        )
        text = text.replace("null", deep, 1)
    if chance.random() < 0.1 and '": ' in text:
        text = text.replace("{", '{"id": 1, "id": 2, ', 1)
    return text.encode()


def _changed(chance: Random, tree: Any) -> Any:
    """The tree with one node replaced, left out, renamed or doubled."""
    if isinstance(tree, dict) and tree and chance.random() < 0.85:
        name = chance.choice([*tree])
        what = chance.random()
        if what < 0.08:
            return {key: value for key, value in tree.items() if key != name}
        if what < 0.14:
            return {
                (chance.choice(("", "\0", "..", "a" * 5000, "\ud800")) if key == name else key): value
                for key, value in tree.items()
            }
        return tree | {name: _changed(chance, tree[name])}
    if isinstance(tree, list) and tree and chance.random() < 0.85:
        place = chance.randrange(len(tree))
        what = chance.random()
        if what < 0.1:
            return tree[:place] + tree[place + 1 :]
        if what < 0.2:
            return tree + [tree[place]] * chance.choice((1, 300))
        return [*tree[:place], _changed(chance, tree[place]), *tree[place + 1 :]]
    return chance.choice(VALUES)


def _lines(chance: Random, seed: bytes) -> bytes:
    """JSON lines, one of them changed."""
    lines = seed.split(b"\n")
    place = chance.randrange(len(lines))
    lines[place] = _json(chance, lines[place])
    return b"\n".join(lines)


def _csv(chance: Random, seed: bytes) -> bytes:
    """Cells that break rows, headers that lie, other ends of lines."""
    rows = [line.split(",") for line in seed.decode("utf-8", "replace").splitlines()]
    for _ in range(chance.choice((1, 1, 2, 3))):
        row = chance.choice(rows)
        place = chance.randrange(len(row) or 1)
        what = chance.random()
        if what < 0.6 and row:
            row[place] = chance.choice(CELLS)
        elif what < 0.75:
            row.append(chance.choice(CELLS))
        elif what < 0.85 and len(row) > 1:
            del row[place]
        else:
            rows[0].append(chance.choice(rows[0] or [""]))
    text = chance.choice(("\n", "\n", "\n", "\r\n", "\r", "\n\n")).join(",".join(row) for row in rows)
    return text.encode(chance.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16")), "surrogatepass")


def _npy(chance: Random, seed: bytes) -> bytes:
    """An array's header that lies: shapes, kinds of number, expressions that are deep or no literals."""
    shape = chance.choice(
        (
            "(1, 1024)",
            "(-1, 1024)",
            f"({10**9}, 1024)",
            f"({2**62}, 4)",
            "(0, 0)",
            "()",
            "(1,)*9",
            "(1, 2, 3, 4)",
            "(" * 500 + ")" * 500,
            "[" * 5000,
            DIGITS,
            "(True, 2)",
            "(1.5, 2)",
            "None",
        )
    )
    kind = chance.choice(
        (
            "'<f4'",
            "'<f2'",
            "'|O'",
            "'<c16'",
            "'<M8[s]'",
            "'<U100000'",
            "'|V9'",
            "[('a', '<f4')]",
            "'x'",
            "None",
            "'<i8'",
        )
    )
    header = (
        f"{{'descr': {kind}, 'fortran_order': {chance.choice(('False', 'True', '1'))}, 'shape': {shape}, }}\n".encode()
    )
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) % 65536) + header + seed[128:]


def _npz(chance: Random, seed: bytes) -> bytes:
    """An archive of such arrays, of bombs, of names that come twice or climb, of lengths that lie."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(seed)) as there, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in there.namelist():
            content, what = there.read(name), chance.random()
            if what < 0.4:
                content = _npy(chance, content)
            elif what < 0.5:
                content = content[:128] + bytes(BLOCK * chance.choice((1, 4)))
            elif what < 0.6:
                name = chance.choice(("../x.npy", "rgb.npy", " ", "a" * 60_000, "rgb", "x.npy"))
            archive.writestr(name, content)
    packed = bytearray(made.getvalue())
    if chance.random() < 0.3:
        for mark in (b"PK\x01\x02", b"PK\x03\x04"):
            at = packed.find(mark)
            packed[at + 20 : at + 28] = struct.pack("<II", *(chance.choice((0, 1, 2**32 - 1, 2**31)) for _ in range(2)))
    return bytes(packed)


def _safetensors(chance: Random, seed: bytes) -> bytes:
    """A header that lies, of a length that lies."""
    (length,) = struct.unpack("<Q", seed[:8])
    header = _json(chance, seed[8 : 8 + length])
    told = chance.choice((len(header), len(header), len(header), len(header), 0, 2**32, 2**63, len(header) + 5))
    return struct.pack("<Q", told) + header + seed[8 + length :]


def _packed(chance: Random, seed: bytes) -> bytes:
    """Compressed JSON: of hostile JSON, cut short, or of far more than it says."""
    pack = gzip if seed[:2] == b"\x1f\x8b" else lzma
    what = chance.random()
    if what < 0.1:
        return pack.compress(b" " * (BLOCK * 4) + b"{}")
    packed = pack.compress(_json(chance, pack.decompress(seed)))
    return packed[: chance.randrange(len(packed))] if what < 0.3 else packed


SHAPED: dict[str, Callable[[Random, bytes], bytes]] = {
    "json": _json,
    "lines": _lines,
    "csv": _csv,
    "npy": _npy,
    "npz": _npz,
    "safetensors": _safetensors,
    "packed": _packed,
}
