"""Faults at random moments through every stage of a small real run; benchmarks/faults.py runs as many as one likes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plusmv.core.workspace import Workspace
from plusmv.db.session import open_catalog
from plusmv.features.feature_files import write_features
from tests.conftest import ROOT
from tests.faults.state import Watcher, differences, end_state
from tests.faults.trial import Trials
from tests.faults.world import World
from tests.simulated import simulated_videos

FAULTS = 12  # of the slow test, on each database


@pytest.fixture(scope="module")
def world(request, tmp_path_factory):
    database = request.getfixturevalue("cluster") if request.param == "postgresql" else None
    with World(tmp_path_factory.mktemp("faults") / "base", database) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("world", ["sqlite", "postgresql"], indirect=True)
def test_after_any_fault_the_same_command_again_ends_as_if_nothing_had_happened(world):
    trials = Trials(world)
    results = [trials.run(seed) for seed in range(FAULTS)]
    assert [result for result in results if result.differences] == []
    assert sum(result.landed for result in results) > FAULTS // 3


def features(folder: Path) -> None:
    for name, each in simulated_videos(3, "test", 0, width=8, snippets=4)[1].items():
        write_features(folder / f"{name}.safetensors", each)


def test_an_import_that_is_killed_goes_on_and_nothing_is_there_twice(tmp_path):
    """One fault, by hand, through the parts that the harness is made of: starter, watcher and state."""
    (tmp_path / "home").mkdir()
    (tmp_path / "published").mkdir()
    features(tmp_path / "published")
    catalog = open_catalog(Workspace(tmp_path / "home"))
    line = [sys.executable, "-m", "plusmv", "features", "import", "--from", "published", "--to", "imported"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    with Watcher(tmp_path) as watcher:
        killed = subprocess.Popen(line, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
        while not list((tmp_path / "imported").glob("*.safetensors")) and killed.poll() is None:
            time.sleep(0.002)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        subprocess.run(line, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL)
    first = end_state(tmp_path, catalog)
    subprocess.run(line, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert differences(end_state(tmp_path, catalog), first) == []
    assert len(first["features"]["imported"]) == 3
    assert watcher.partial == set()
    catalog.close()


def test_the_comparison_sees_what_it_is_there_for(tmp_path):
    """A file in part, an id in two places, a part that was left, a row too many: none goes unseen."""
    from plusmv.db.models import Action
    from plusmv.features.shards import pack

    folder = tmp_path / "imported"
    (tmp_path / "home").mkdir()
    features(folder)
    catalog = open_catalog(Workspace(tmp_path / "home"))
    before = end_state(tmp_path, catalog)
    with Watcher(tmp_path) as watcher:
        whole = next(folder.glob("*.safetensors")).read_bytes()
        (folder / "half.safetensors").write_bytes(whole[:-10])
        time.sleep(0.1)
    assert watcher.partial == {"imported/half.safetensors"}
    (folder / "half.safetensors").unlink()
    name = next(folder.glob("*.safetensors")).stem
    each = simulated_videos(3, "test", 0, width=8, snippets=4)[1][name].streams
    pack(folder, {name: (each, {})})
    (folder / ".left.1-00000000.part").write_bytes(b"")
    with catalog.writing() as session:
        session.add(Action(name="Run"))
    found = differences(end_state(tmp_path, catalog), before)
    assert any("stands 2 times" in line for line in found)
    assert any("was left behind" in line for line in found)
    assert any(line.startswith("actions: 1 row(s) too many") for line in found)
    catalog.close()
