"""Fixtures that many test modules share: the shared real data, where it is at hand, and small real videos."""

import os
import runpy
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from plusmv.core.workspace import Workspace
from plusmv.db.key_check import bind_key
from plusmv.db.session import Catalog, open_catalog
from tests.postgres import empty, throw_away_cluster
from tests.small_videos import make_video

ROOT = Path(__file__).resolve().parents[1]
GUARD = Path(__file__).parent / "guard"
EGRESS = Path(tempfile.mkdtemp(prefix="plusmv-egress-")) / "log"


def pytest_configure() -> None:
    """No process of the suite may talk to another host (tests/guard): this one, and those that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it, and so would what it starts
    EGRESS.touch()
    os.environ["PLUSMV_TEST_EGRESS"] = str(EGRESS)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(GUARD), os.environ.get("PYTHONPATH"))))
    runpy.run_path(str(GUARD / "sitecustomize.py"))


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make test` runs on PostgreSQL what the modules marked so ask of it; `make test-all` the others too."""
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if parameters.get("catalog") == "postgresql" and not item.get_closest_marker("postgres"):
            item.add_marker(pytest.mark.slow)


def pytest_unconfigure() -> None:
    shutil.rmtree(EGRESS.parent, ignore_errors=True)


@pytest.fixture(autouse=True)
def nobody_talks_to_another_host() -> Iterator[None]:
    """Fails the test during which some process of the suite tried to."""
    before = EGRESS.stat().st_size
    yield
    tried = EGRESS.read_text(encoding="utf-8")[before:]
    assert not tried, f"another host was tried:\n{tried}"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips and annotations beside the checkout; skips where it is absent."""
    folder = ROOT.parent / "shared"
    if not (folder / "clips" / "clips.csv").is_file():
        pytest.skip("the real clips of ../shared are not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def cases(shared) -> Path:
    """Small inputs that once went wrong; skips where they are absent."""
    if not (shared / "cases").is_dir():
        pytest.skip("the cases of ../shared are not beside this checkout")
    return shared / "cases"


@pytest.fixture(scope="session")
def films(tmp_path_factory) -> list[bytes]:
    """Contents of a few small real videos, for the platform server."""
    folder = tmp_path_factory.mktemp("films")
    return [make_video(folder / f"{seed}.mp4", seed, seconds=0.4).read_bytes() for seed in range(4)]


@pytest.fixture(scope="session")
def cluster():
    """The URL of a throw-away PostgreSQL server; skips where none is installed."""
    with throw_away_cluster() as url:
        yield url


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Path:
    """A workspace whose catalog is empty and current: copying its file takes 1 ms, migrating a new one 200 ms."""
    home = tmp_path_factory.mktemp("migrated")
    open_catalog(Workspace(home)).close()
    return home


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog(request, tmp_path) -> Iterator[Catalog]:
    """An empty catalog, once on SQLite and once on PostgreSQL."""
    workspace = Workspace(tmp_path / "home")
    if request.param == "postgresql":
        opened = open_catalog(workspace, request.getfixturevalue("cluster"))
        empty(opened)
        bind_key(opened, workspace)
    else:
        shutil.copytree(request.getfixturevalue("migrated"), workspace.home)
        opened = open_catalog(workspace)
    yield opened
    opened.close()
