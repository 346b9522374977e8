"""The workspace: whole files or none, addresses by content, keyed hashes of people's ids."""

import json
import multiprocessing
import os
import subprocess
import sys

import pytest

from plusmv.core.errors import BadInput, Missing
from plusmv.core.workspace import (
    Workspace,
    atomic_path,
    remove_stale_parts,
    sha256_of,
    write_bytes,
    write_json,
)

SHA256 = "ab" * 32


def test_an_address_is_made_of_the_content(tmp_path):
    workspace = Workspace(tmp_path)
    assert workspace.media(SHA256, ".mp4") == tmp_path / "media" / "ab" / f"{SHA256}.mp4"
    assert workspace.media(SHA256, "") == tmp_path / "media" / "ab" / SHA256
    assert workspace.preview(SHA256) == tmp_path / "previews" / "ab" / f"{SHA256}.mp4"


@pytest.mark.parametrize(
    ("sha256", "suffix"),
    [
        ("../../etc/passwd", ".mp4"),
        (SHA256.upper(), ".mp4"),
        (SHA256 + "\n", ".mp4"),
        (SHA256, "./../x"),
        (SHA256, ".MP4"),
    ],
)
def test_what_is_no_address_is_refused(tmp_path, sha256, suffix):
    with pytest.raises(ValueError, match="not a content address"):
        Workspace(tmp_path).media(sha256, suffix)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "-option", "a b", "a\n", "x" * 102])
def test_a_run_cannot_be_called_like_a_path(tmp_path, name):
    with pytest.raises(BadInput, match="run name"):
        Workspace(tmp_path).run(name)


def test_runs_lie_in_one_folder(tmp_path):
    assert Workspace(tmp_path).run("bm+mv_0.1") == tmp_path / "runs" / "bm+mv_0.1"


def test_writing_replaces_the_whole_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "result.json"
    write_json(path, {"AP": 0.1})
    write_json(path, {"AP": 1 / 3})
    assert json.loads(path.read_text()) == {"AP": 1 / 3}
    assert list(path.parent.iterdir()) == [path]


def test_an_error_while_writing_keeps_the_old_file(tmp_path):
    path = tmp_path / "result"
    write_bytes(path, b"old")
    with pytest.raises(RuntimeError), atomic_path(path) as part:
        part.write_bytes(b"half of the ne")
        raise RuntimeError("killed here")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "result.json", {"AP": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_parts_of_dead_processes_are_removed_and_those_of_living_ones_stay(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from plusmv.core.workspace import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as part:\n"
        "    part.write_bytes(b'half'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "deep" / "features.safetensors")], check=False)
    stale = list(tmp_path.rglob("*"))
    assert len(stale) == 2  # the folder and the part
    with atomic_path(tmp_path / "mine.json") as mine:
        mine.write_bytes(b"half")
        assert remove_stale_parts(tmp_path) == 1
        assert mine.exists()
    assert {path.name for path in tmp_path.rglob("*")} == {"deep", "mine.json"}
    assert remove_stale_parts(tmp_path / "absent") == 0


def test_parts_of_a_file_are_removed_and_those_beside_stay(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    own, other = (tmp_path / f".{name}.{ended.pid}-0badcafe.part.bin" for name in ("hashes.bin", "other.bin"))
    own.touch()
    other.touch()
    assert remove_stale_parts(tmp_path / "hashes.bin") == 1
    assert not own.exists() and other.exists()


def test_users_files_that_look_like_parts_stay(tmp_path):
    (tmp_path / ".my.part").touch()
    (tmp_path / "notes.part").touch()
    assert remove_stale_parts(tmp_path) == 0
    assert len(list(tmp_path.iterdir())) == 2


def test_sha256_of_a_file(tmp_path):
    (tmp_path / "empty").touch()
    assert sha256_of(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_keyed_hash_is_the_workspaces_own(tmp_path):
    one, other = Workspace(tmp_path / "one"), Workspace(tmp_path / "other")
    one.make_key()
    other.make_key()
    assert one.keyed_hash("instagram:42") == Workspace(tmp_path / "one").keyed_hash("instagram:42")
    assert one.keyed_hash("instagram:42") != other.keyed_hash("instagram:42")
    assert one.keyed_hash("instagram:42") != one.keyed_hash("instagram:43")
    assert (one.home / "uploader.key").stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_made_by_the_way_and_half_a_one_is_never_used(tmp_path):
    workspace = Workspace(tmp_path)
    with pytest.raises(Missing):
        workspace.keyed_hash("somebody")
    for content in (b"", b"k" * 31):
        workspace.key_file.write_bytes(content)
        workspace.make_key()
        with pytest.raises(BadInput):
            workspace.keyed_hash("somebody")
        assert workspace.key_file.read_bytes() == content


def _hash(home: str, queue) -> None:
    Workspace(home).make_key()
    queue.put(Workspace(home).keyed_hash("somebody"))


def test_processes_that_start_at_once_share_one_key(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_hash, args=(tmp_path, queue)) for _ in range(3)]
    for process in processes:
        process.start()
    hashes = {queue.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert len(hashes) == 1
    assert os.listdir(tmp_path) == ["uploader.key"]


def test_a_full_disk_names_the_file_and_leaves_what_was_there(tmp_path):
    (tmp_path / "model").write_text("before")
    with pytest.raises(OSError, match="No space left") as caught, atomic_path(tmp_path / "model") as part:
        part.symlink_to("/dev/full")
        part.write_bytes(b"after")
    assert caught.value.filename == str(tmp_path / "model")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_what_evaluates_and_reads_needs_no_fcntl():
    """Windows has none: evaluation, features and the workspace are imported without it."""
    code = (
        "import sys\nfor name in ('fcntl', 'pwd', 'resource', 'termios'):\n    sys.modules[name] = None\n"
        "import filelock\n"
        "import plusmv.wsal.evaluate, plusmv.core.workspace, plusmv.features.feature_files, plusmv.wsal.diagnose"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
