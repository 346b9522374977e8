"""Takedown in files: each format loses what is the subject's, and keeps everything else byte for byte."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from plusmv.core.workspace import Workspace
from plusmv.curate.takedown.files import clean_files
from plusmv.curate.takedown.names import remove_named
from plusmv.curate.takedown.subject import Subject
from plusmv.features.feature_files import VideoFeatures, read_features, write_features

CONTENT, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    (tmp_path / "notes").mkdir()
    return Workspace(tmp_path)


def subject_of(*, posts=("instagram:Cabc",), uploaders=("instagram:rgb",), links=(), contents=(CONTENT,)) -> Subject:
    subject = Subject(contents=set(contents), links=set(links))
    for kind, names in ((subject.posts, posts), (subject.uploaders, uploaders)):
        for name in names:
            kind.add(*name.split(":", 1))
    return subject


def cleaned(workspace: Workspace, name: str, content: bytes, subject: Subject | None = None) -> bytes | None:
    path = workspace.home / "notes" / name
    path.write_bytes(content)
    clean_files(workspace, subject or subject_of())
    return path.read_bytes() if path.exists() else None


def test_json_loses_the_subjects_records_and_nothing_else(workspace):
    kept = {"id": "Cother", "uploader": "instagram:ann", "caption": "rgb is what Cabc says", "n": 1e-07, "é": "\u2028"}
    posts = [
        kept,
        {"id": "Cabc", "caption": "mine"},
        {"platform": "instagram", "uploader": "RGB", "caption": "mine"},
        {"owner": {"id": "rgb"}, "caption": "mine"},
        {"clip": CONTENT, "score": 0.5},
    ]
    for layout in ({"indent": 1}, {"indent": 4, "ensure_ascii": False}, {"separators": (",", ":")}, {}):
        text, left = (json.dumps({"version": "1", "rows": rows}, **layout) for rows in (posts, [kept]))
        assert cleaned(workspace, "posts.json", text.encode()) == left.encode()


@pytest.mark.parametrize(
    "value",
    [
        {"streams": ["rgb", "flow"], "rgb": {"d": 1024}, "method": "rgb", "annotations": [], "text": "an rgb stream"},
        {"id": 0, "uploader": "youtube:rgb", "n": [0, 1]},
        {"platform": "youtube", "uploader": "rgb", "id": "Cabc"},
        {"posts": 0, "users": 0, "channel": "rgb", "post": "cabc"},
        {"link": "https://www.instagram.com/p/rgb/", "other": "https://www.instagram.com/p/Cabcd/"},
        {"link": "https://elsewhere.example/p/Cabc/"},
    ],
)
def test_what_only_has_the_id_as_a_word_stays(workspace, value):
    content = json.dumps(value).encode()
    subject = subject_of(posts=("instagram:Cabc", "instagram:0", "instagram:annotations"))
    assert cleaned(workspace, "settings.json", content, subject) == content


@pytest.mark.parametrize(
    "link",
    [
        "https://www.instagram.com/p/Cabc/",
        "http://instagram.com/reel/Cabc?igsh=MWQ1",
        "instagram.com/rgb/p/Cxyz/",
        "https://www.instagram.com/RGB",
        "https://site.example/watch/7?utm_source=x",
    ],
)
def test_a_link_names_it_in_any_field(workspace, link):
    subject = subject_of(links=("site.example/watch/7",))
    assert json.loads(cleaned(workspace, "a.json", json.dumps({"seen": ["x", link]}).encode(), subject)) == {
        "seen": ["x"]
    }
    assert cleaned(workspace, "list.txt", f"https://a.example/1 golf\n{link} golf\n".encode(), subject) == (
        b"https://a.example/1 golf\n"
    )


def test_csv_rows_go_with_the_line_breaks_in_their_cells(workspace):
    head = b"\xef\xbb\xbfplatform,uploader,caption\r\n"
    rows = [b'instagram,ann,"two\r\nlines, rgb"\r\n', b'instagram,rgb,"my\r\nthree\r\nlines"\r\n', b"youtube,rgb,x\r\n"]
    assert cleaned(workspace, "rows.csv", head + b"".join(rows)) == head + rows[0] + rows[2]
    assert cleaned(workspace, "rows.csv", head + b"instagram,ann,rgb\r\n") == head + b"instagram,ann,\r\n"


def test_a_table_of_clips_loses_those_named_by_their_posts(workspace):
    """As `plusmv decide` takes them: by content or by the post's id."""
    head, other = b"clip,action,verdict\n", b"Cother,GolfSwing,keep\n"
    rows = (b"Cabc,GolfSwing,keep\n", f"{CONTENT},GolfSwing,keep\n".encode(), b"instagram:Cabc,GolfSwing,keep\n")
    assert cleaned(workspace, "decisions.csv", head + b"".join(rows) + other) == head + other


@pytest.mark.parametrize("named", [CONTENT, "instagram:Cabc", "https://www.instagram.com/p/Cabc/"])
def test_words_that_name_it_are_cut_from_a_cell_or_text_with_others(workspace, named):
    rows = [["id", "notes"], ["Cother", f"see\n{named}\nplease, rgb"]]
    left = [rows[0], ["Cother", "see\n\nplease, rgb"]]
    table, wanted = io.StringIO(newline=""), io.StringIO(newline="")
    csv.writer(table, lineterminator="\n").writerows(rows)
    csv.writer(wanted, lineterminator="\n").writerows(left)
    assert cleaned(workspace, "notes.csv", table.getvalue().encode()) == wanted.getvalue().encode()
    texts = [json.dumps([{"id": "Cother", "notes": row[1][1]}]).encode() for row in (rows, left)]
    assert cleaned(workspace, "notes.json", texts[0]) == texts[1]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_table_as_windows_writes_it_is_read(workspace, encoding):
    mark = "\ufeff".encode(encoding)
    head, gone, kept = (text.encode(encoding) for text in ("id,notes\r\n", "Cabc,é\r\n", "Cother,é\r\n"))
    assert cleaned(workspace, "rows.csv", mark + head + gone + kept) == mark + head + kept
    assert cleaned(workspace, "rows.csv", mark + head + kept) == mark + head + kept


def test_json_lines_go_one_by_one(workspace):
    lines = [
        b'{"file": "a.mp4", "caption": "\xe2\x80\xa8"}\n',
        b'{"file": "b.mp4", "platform_id": "Cabc"}\n',
        b"{oops\n",
    ]
    assert cleaned(workspace, "rows.jsonl", b"".join(lines)) == lines[0] + lines[2]


@pytest.mark.parametrize(("suffix", "pack", "unpack"), [
    (".gz", gzip.compress, gzip.decompress), (".xz", lzma.compress, lzma.decompress),
    (".bz2", bz2.compress, bz2.decompress)])  # fmt: skip
def test_packed_files_are_looked_into(workspace, suffix, pack, unpack):
    rows = b'{"id": "Cother"}\n{"id": "Cabc"}\n'
    assert unpack(cleaned(workspace, f"rows.jsonl{suffix}", pack(rows))) == b'{"id": "Cother"}\n'
    untouched = pack(b'{"streams": ["rgb"]}')
    assert cleaned(workspace, f"settings.json{suffix}", untouched) == untouched


def test_members_of_a_zip_go_one_by_one(workspace):
    path = workspace.home / "notes" / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{CONTENT}.txt", "x")
        archive.writestr("posts.json", '[{"id": "Cabc"}, {"id": "b"}]')
        archive.writestr("rgb.txt", "rgb")
    clean_files(workspace, subject_of())
    with zipfile.ZipFile(path) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "posts.json": b'[{"id": "b"}]', "rgb.txt": b"rgb"}  # fmt: skip


def test_arrays_called_by_the_content_or_listing_it_go(workspace):
    path = workspace.home / "notes" / "pooled.npz"
    np.savez(path, ids=np.array([OTHER, CONTENT, "x"]), means=np.arange(6).reshape(3, 2), rgb=np.ones(5))
    np.savez_compressed(workspace.home / "notes" / "by_id.npz", **{CONTENT: np.ones(2), OTHER: np.ones(3)})
    np.save(workspace.home / "notes" / "ids.npy", np.array([CONTENT, OTHER]))
    save_file(
        {f"{CONTENT}/rgb": np.ones(2), f"{OTHER}/rgb": np.ones(3)}, workspace.home / "notes" / "by_id.safetensors"
    )
    clean_files(workspace, subject_of())
    with np.load(path) as left:
        assert left["ids"].tolist() == [OTHER, "x"]
        assert left["means"].tolist() == [[0, 1], [4, 5]]
        assert len(left["rgb"]) == 5
    with np.load(workspace.home / "notes" / "by_id.npz") as left:
        assert left.files == [OTHER]
    assert np.load(workspace.home / "notes" / "ids.npy").tolist() == [OTHER]
    assert list(load_file(workspace.home / "notes" / "by_id.safetensors")) == [f"{OTHER}/rgb"]


def test_arrays_of_one_content_say_so_in_a_single_text(workspace):
    np.savez(workspace.home / "notes" / "one.npz", id=np.array(CONTENT), rgb=np.ones(5))
    np.savez(workspace.home / "notes" / "other.npz", id=np.array(OTHER), rgb=np.ones(5))
    assert clean_files(workspace, subject_of()).removed == ["notes/one.npz"]
    assert (workspace.home / "notes" / "other.npz").is_file()


def test_each_list_of_ids_is_heard(workspace):
    path = workspace.home / "notes" / "pooled.npz"
    np.savez(path, clip=np.array([OTHER, CONTENT, "x"]), uploader=np.array(["instagram:rgb", "b", "c"]), n=np.arange(3))
    clean_files(workspace, subject_of())
    with np.load(path) as left:
        assert left["n"].tolist() == [2]


def test_arrays_of_a_stream_called_as_the_uploader_stay(workspace):
    features = VideoFeatures(OTHER, {"rgb": np.ones((1, 4), np.float32)}, 25.0, frames=16)
    workspace.features.mkdir()
    write_features(workspace.features / f"{OTHER}.safetensors", features)
    write_features(workspace.features / "mine.safetensors", features)
    np.savez(workspace.features / "pub.npz", rgb=np.ones((1, 4)))
    before = {path: path.read_bytes() for path in workspace.features.iterdir()}
    clean_files(workspace, subject_of())
    assert before == {path: path.read_bytes() for path in workspace.features.iterdir()}


def test_a_feature_files_checksum_stays_right(workspace):
    workspace.features.mkdir()
    path = workspace.features / "v1.safetensors"
    notes = {"cut from": CONTENT, "by": "hand"}
    write_features(path, VideoFeatures("v1", {"rgb": np.ones((1, 4), np.float32)}, 25.0, frames=16, notes=notes))
    assert clean_files(workspace, subject_of()).rewritten == ["features/v1.safetensors"]
    assert read_features([workspace.features], "v1").notes == {"by": "hand"}


def test_what_is_called_by_the_content_goes_and_what_dead_processes_left(workspace):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone = [f"media/ab/{CONTENT}.mp4", f"media/ab/.{CONTENT}.x.part", f"previews/ab/{CONTENT}.mp4",
            f"features/{CONTENT.upper()}.npz", f"features/rgb/{CONTENT}.npy", f"flow/{CONTENT}/a.png",
            f"media/.incoming.{ended.pid}-00000000.part", f"exports/.microvideos.json.{ended.pid}-00000000.part.json",
            "hashes.bin"]  # fmt: skip
    stay = [f"media/cd/{OTHER}.mp4", f"media/.incoming.{os.getpid()}-00000000.part", "media/.lock", "flow/b/b.png",
            f"sessions/{CONTENT}", "crawl-holder", "uploader.key"]  # fmt: skip
    for name in (*gone, *stay):
        (workspace.home / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace.home / name).write_text("x")
    told = list(remove_named(workspace, subject_of(), leftovers=True))
    assert len(told) == len(gone)
    assert not any(CONTENT in name.casefold() for name in told)
    left = {path.relative_to(workspace.home).as_posix() for path in workspace.home.rglob("*") if path.is_file()}
    assert left == set(stay)
    assert not (workspace.home / "flow" / CONTENT).exists()


def test_what_is_not_followed_is_named(workspace):
    (workspace.home / "notes" / "run.yaml").write_text(f"clip: {CONTENT}\n")
    (workspace.home / "notes" / "broken.json").write_text('{"seen": "instagram:Cabc"')
    (workspace.home / "notes" / "prose.yaml").write_text("an rgb stream\n")
    with zipfile.ZipFile(workspace.home / "notes" / "packed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run.yaml", f"clip: {CONTENT}\n")
    with tarfile.open(workspace.home / "notes" / "packed.tar.gz", "w:gz") as archive:
        archive.add(workspace.home / "notes" / "run.yaml", "run.yaml")
    (workspace.home / "catalog.db.bak").write_bytes(b"SQLite\0" + CONTENT.encode())
    done = clean_files(workspace, subject_of())
    assert sorted(done.left) == ["catalog.db.bak", "notes/broken.json", "notes/packed.tar.gz", "notes/packed.zip",
                                 "notes/run.yaml"]  # fmt: skip
    assert done.removed == done.rewritten == []


def test_an_export_that_names_it_goes_as_a_whole(workspace):
    workspace.exports.mkdir()
    (workspace.exports / "microvideos.json").write_text(json.dumps({"database": {CONTENT: {}, OTHER: {}}}))
    (workspace.exports / "other.json").write_text(json.dumps({"database": {OTHER: {}}, "annotations": "rgb"}))
    done = clean_files(workspace, subject_of())
    assert done.removed == ["exports/microvideos.json"]
    assert [path.name for path in workspace.exports.iterdir()] == ["other.json"]


def test_detections_lose_the_content_alone(workspace):
    left = {"version": "1", "results": {OTHER: [{"label": "rgb", "score": 0.5, "segment": [0.0, 1.5]}]}}
    both = {"version": "1", "results": {CONTENT: [], **left["results"]}}
    text = (json.dumps(left, indent=1) + "\n").encode()
    assert cleaned(workspace, "detections.json", (json.dumps(both, indent=1) + "\n").encode()) == text


def test_a_rewritten_file_keeps_its_mode(workspace):
    path = Path(workspace.home / "notes" / "private.json")
    path.write_text(json.dumps([CONTENT, "x"]))
    path.chmod(0o600)
    clean_files(workspace, subject_of())
    assert (json.loads(path.read_text()), path.stat().st_mode & 0o777) == (["x"], 0o600)
