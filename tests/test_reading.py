"""Files of strangers, read within bounds: a text or rows, or a BadInput that says why."""

import itertools
import lzma
import os
import threading

import pytest

from plusmv.core.actions import read_actions
from plusmv.core.errors import BadInput
from plusmv.core.limits import MB
from plusmv.core.reading import csv_rows, read_bytes, read_json, read_text, unpacked_xz
from plusmv.core.workspace import Workspace
from plusmv.curate.sources.manifest import Manifest
from plusmv.db.session import open_catalog


def test_no_more_than_the_bound_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 11)
    assert read_bytes(tmp_path / "a", 11) == b"x" * 11
    with pytest.raises(BadInput, match="10 bytes"):
        read_bytes(tmp_path / "a", 10)
    with pytest.raises(BadInput, match="1 MB"):
        read_text("/dev/zero", 1 * MB)


@pytest.mark.parametrize("path", ["none", ".", "a\0b", "loop", "x" * 300])
def test_what_cannot_be_read_is_named(tmp_path, path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(BadInput):
        read_json(tmp_path / path)


def test_what_an_archive_unpacks_to_is_bounded():
    packed = lzma.compress(b" " * (64 * MB))
    assert len(packed) < MB
    with pytest.raises(BadInput, match="1 MB"):
        unpacked_xz(packed, MB, "a")
    for damaged in (packed[:99], b"", b"no xz", packed[:40] + b"\xff" * 40 + packed[80:]):
        with pytest.raises(BadInput):
            unpacked_xz(damaged, 100 * MB, "a")
    assert unpacked_xz(lzma.compress(b"a"), 1, "a") == b"a"


BAD_TABLES = {
    "an unclosed quote in the header": b'a,"b\n1,2\n',
    "an unclosed quote": b'a,b\n1,"2\n' + b"x\n" * 100,
    "a quote in the middle": b'a,b\n1,"2"3\n',
    "a cell without an end": b'a,b\n1,"' + b"2" * 200_000,
    "more cells than columns": b"a,b\n1,2,3\n",
    "a column twice": b"a,b,a\n1,2,3\n",
    "an unknown column": b"a,b,c\n1,2,3\n",
    "a lacking column": b"b\n1\n",
    "nothing": b"",
    "a line without end": b"a,b\n" + b"1" * (MB + 9),
    "another encoding": b"\xff\xfea\x00,\x00b\x00",
}


@pytest.mark.parametrize("kind", BAD_TABLES)
def test_a_table_that_cannot_be_used_is_named_with_its_line(tmp_path, kind):
    path = tmp_path / "a.csv"
    path.write_bytes(BAD_TABLES[kind])
    with pytest.raises(BadInput) as caught:
        list(csv_rows(path, ("a", "b"), ("a",)))
    assert "\n" not in str(caught.value)


def test_a_row_that_never_ends_is_left_with_bounded_memory(tmp_path):
    path = tmp_path / "a.csv"
    with open(path, "wb") as file:
        file.write(b"a\n")
        for _ in range(800_000):
            file.write(b'"line\nline",')
    with pytest.raises(BadInput):
        list(csv_rows(path, (), ()))
    path.write_bytes(b"file,tag\n" + path.read_bytes())
    with pytest.raises(BadInput):
        Manifest(path)


def test_rows_of_a_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeffa,b\r\n\r\n1,"x\r\ny"\r\n2\r\n'.encode())
    assert list(csv_rows(path, (), ("a",))) == [(4, {"a": "1", "b": "x\r\ny"}), (5, {"a": "2", "b": ""})]


def test_a_table_comes_by_a_pipe_too(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    threading.Thread(target=lambda: (tmp_path / "pipe").write_text("a\n1\n"), daemon=True).start()
    assert [row for _, row in csv_rows(tmp_path / "pipe", ("a",), ("a",))] == [{"a": "1"}]


@pytest.mark.parametrize("content", [b'action,"tags\nRun,run\n', b'action,tags\nRun,"run\n'])
def test_actions_with_an_open_quote_are_named(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(BadInput):
        read_actions(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.csv", b'file,"tag\na.mp4,b\n'),
        ("m.jsonl", b"[" * 100_000),
        ("m.jsonl", b'{"file": "a", "tag": ' + b"9" * 5000 + b"}"),
        ("m.jsonl", b'{"file": "a", "tag": "b", "caption": ' + b"[" * 100_000 + b"}"),
    ],
)
def test_a_manifest_that_python_stumbles_over_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput):
        Manifest(tmp_path / name)


def test_a_manifest_of_too_many_tags_is_refused(tmp_path, monkeypatch):
    from plusmv.curate.sources import manifest

    monkeypatch.setattr(manifest, "MANIFEST_TAGS", 10)
    rows = "".join(f"{number}.mp4,tag{number}\n" for number in itertools.islice(itertools.count(), 12))
    (tmp_path / "m.csv").write_text("file,tag\n" + rows)
    with pytest.raises(BadInput):
        Manifest(tmp_path / "m.csv")


def test_a_catalog_that_is_a_circle_of_links_is_named(tmp_path):
    (tmp_path / "catalog.db").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "catalog.db")
    with pytest.raises(BadInput):
        open_catalog(Workspace(tmp_path))
