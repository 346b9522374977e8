"""Manifests: checked as a whole before anything is taken, read row by row."""

import tracemalloc

import pytest

from plusmv.core.errors import BadInput
from plusmv.curate.sources.manifest import Manifest


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1: the column 'file' is missing"),
        (b"file,tag\n", "has no rows"),
        (b"file,colour\na,b\n", "unknown column 'colour'"),
        (b"file,tag,tag\na,b,c\n", "named twice"),
        (b"file,tag\na.mp4,b\n,c\n", "line 3: a row needs a file and a tag"),
        (b"file,tag\na.mp4,b,c\n", "line 2: 3 cells under 2 columns"),
        (b"file,tag\na.mp4,##\n", "line 2: invalid tag '##'"),
        (b"file,tag\na.mp4,caf\xe9\n", "line 2 is not UTF-8"),
        (b"\xff\xfef\x00i\x00l\x00e\x00", "line 1 is not UTF-8"),
        (b'file,tag\n"a.mp4,b\n', "line 2"),
        (b"file,tag\n" + b"x" * (1 << 20) + b",b\n", "line 2"),
    ],
)
def test_a_csv_that_cannot_be_used(tmp_path, content, words):
    path = tmp_path / "manifest.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        Manifest(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no rows"),
        (b'{"file": "a", "tag": "b"}\n{"file": "a", "tag": "b", "color": 1}\n', "line 2: unknown column 'color'"),
        (b'{"file": "a"}', "line 1: the column 'tag' is missing"),
        (b'{"file": "a", "tag": ["b"]}', "line 1 is not a flat JSON object"),
        (b'\n{"file": "a", "tag"', "line 2 is not JSON"),
        (b'["a", "b"]', "line 1 is not a flat JSON object"),
        (b'{"file": "caf\xe9", "tag": "b"}', "line 1 is not UTF-8"),
    ],
)
def test_a_jsonl_that_cannot_be_used(tmp_path, content, words):
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        Manifest(path)
    assert words in str(caught.value)


def test_manifests_as_spreadsheets_write_them(tmp_path):
    """A byte order mark, Windows line ends, cells over several lines, empty lines; rows are found again by place."""
    path = tmp_path / "manifest.csv"
    path.write_bytes('\ufefffile,tag,caption\r\na.mp4,golf,"one\r\ntwo"\r\n\r\nb.mp4,Ｇolf,"é, ü"\r\nc.mp4,x,'.encode())
    manifest = Manifest(path)
    assert manifest.tags() == ("golf", "x")
    assert [row["file"] for row in manifest.rows("golf")] == ["a.mp4", "b.mp4"]
    assert next(manifest.rows("golf", 1))["caption"] == "é, ü"
    assert next(manifest.rows("golf"))["caption"].splitlines() == ["one", "two"]


def test_memory_does_not_grow_with_the_rows(tmp_path):
    """100,000 rows cost their places in the file, not their text."""
    path = tmp_path / "manifest.jsonl"
    row = '{"file": "%d.mp4", "tag": "golf", "caption": "' + "x" * 200 + '"}\n'
    with open(path, "w") as file:
        file.writelines(row % number for number in range(100_000))
    tracemalloc.start()
    manifest = Manifest(path)
    used, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 100_000 * 20
    assert peak < 100_000 * 40
    assert next(manifest.rows("golf", 99_999))["file"] == "99999.mp4"
