"""The built wheel: one top-level name, and it works beside other people's packages named core, db and features."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = ("core", "db", "features", "curate", "wsal", "labeler_ui", "demo")
BUILD = "import sys; from setuptools.build_meta import build_wheel; print(build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this tree, built by the build backend in a copy."""
    pytest.importorskip("setuptools", minversion="77")
    copy = tmp_path_factory.mktemp("build") / "clone"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in (*FOLDERS, "plusmv"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    out = copy.parent / "wheel"
    out.mkdir()
    subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=copy, check=True, capture_output=True, timeout=300)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A folder with a core, db and features of its own, and an environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in ("core", "db", "features"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("MINE = True\n")
    installed = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    path = os.pathsep.join((str(installed), os.environ["PYTHONPATH"]))
    return folder, os.environ | {"PYTHONPATH": path, "PLUSMV_HOME": str(folder / "home")}


def run(elsewhere, *arguments: str) -> str:
    folder, environment = elsewhere
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_wheel_has_one_top_level_name(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"plusmv"}
    for needed in (
        "db/migrations/script.py.mako",
        "features/kinetics400.csv",
        "labeler_ui/assets/queue_page.js",
        "labeler_ui/assets/sign_in.html",
    ):
        assert f"plusmv/{needed}" in names


def test_it_works_beside_other_packages_of_the_same_names(elsewhere):
    code = "from plusmv.wsal.evaluate import evaluate; import core, plusmv; print(core.MINE, plusmv.__file__)"
    shown = run(elsewhere, "-c", code)
    assert shown.startswith("True")
    assert str(ROOT) not in shown
    assert "plusmv demo" in run(elsewhere, "-m", "plusmv", "demo", "--help")


@pytest.mark.slow
def test_the_labeler_of_the_wheel_answers(elsewhere):
    folder, environment = elsewhere
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "plusmv", "label", "--port", str(port), "--no-open"]
    with subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True) as serving:
        try:
            assert status(f"http://127.0.0.1:{port}/labeler/sign-in", serving) == 200
        finally:
            os.killpg(serving.pid, 15)


def status(url: str, serving: subprocess.Popen) -> int:
    """The status of the first answer; waits until the server listens."""
    until = time.monotonic() + 90
    while time.monotonic() < until and serving.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return answer.status
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"nothing answers at {url}")
