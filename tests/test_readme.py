"""The commands of README and docs, run one after the other as they stand, on a small world of the names they use.

The `bash` fences crawl platforms: test_platform_crawl.py and test_official_apis.py run such crawls over loopback.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plusmv.features.weights import keep, random_weights
from tests.conftest import ROOT
from tests.small_videos import make_video

TAGS = ("golfswing", "diving")
NEEDS_A_BROWSER = "label"  # tests/browser.py runs it


DOCS = sorted((ROOT / "docs").glob("*.md"), key=lambda page: page.name != "features.md")  # its features are read later


def commands_of(page: Path) -> list[str]:
    """Every line of a page's shell blocks that starts with plusmv, without its remark."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    return [line.partition("  #")[0].strip() for line in "\n".join(blocks).splitlines() if line.startswith("plusmv ")]


README_COMMANDS = commands_of(ROOT / "README.md")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A folder of what the commands name, and weights that need no network."""
    folder = tmp_path_factory.mktemp("readme")
    for number, tag in enumerate(TAGS):
        make_video(folder / "clips" / tag / "one.mp4", seed=number, seconds=1)
        make_video(folder / "clips" / tag / "two.mp4", seed=10 + number, seconds=1)
    make_video(folder / "clip.mp4", seed=20, seconds=2)
    database = {}
    for number, (label, subset) in enumerate(
        [("GolfSwing", "validation"), ("Diving", "validation"), ("Diving", "test")]
    ):
        make_video(folder / "thumos14" / f"video_{number}.mp4", seed=30 + number, seconds=2)
        annotations = [{"label": label, "segment": [0.2, 1.1]}]
        database[f"video_{number}"] = {"subset": subset, "duration": 2.0, "fps": 10, "annotations": annotations}
    (folder / "thumos14.json").write_text(json.dumps({"database": database}))
    lines = [f"{tag}/one.mp4,{action},keep,me\n" for tag, action in zip(TAGS, ("GolfSwing", "Diving"), strict=True)]
    (folder / "published").mkdir()
    np.save(folder / "published" / "video_0.npy", np.zeros((3, 2048), np.float32))
    (folder / "decisions.csv").write_text("clip,action,verdict,annotator\n" + "".join(lines))
    return folder


@pytest.fixture(scope="module")
def environment(world) -> dict[str, str]:
    """Random weights stand where the fetched ones would, so that the same loading code runs without a network."""
    weights = world / "weights"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLUSMV_WEIGHTS", str(weights))
        keep("rgb", random_weights("rgb").tensors, {"origin": "random, for a test", "licence": "none"})
    unset = {"PLUSMV_HOME", "PLUSMV_DB"}
    return {name: value for name, value in os.environ.items() if name not in unset} | {"PLUSMV_WEIGHTS": str(weights)}


def test_the_readme_has_commands():
    assert len(README_COMMANDS) > 10


@pytest.mark.parametrize("line", README_COMMANDS)
def test_readme_command(line, world, environment):
    """In the README's order: each finds what the ones before have made."""
    run(line, world, environment)


def run(line: str, world: Path, environment: dict[str, str]) -> None:
    _, command, *arguments = shlex.split(line)
    if command == NEEDS_A_BROWSER:
        return
    done = subprocess.run(
        [sys.executable, "-m", "plusmv", command, *arguments],
        cwd=world, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.strip()


def test_readme_python(world, environment):
    """The README's Python, on what its commands have made."""
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=world, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "(3, 1024)" in done.stdout


def test_what_the_commands_left(world):
    exported = json.loads((world / "plusmv-data" / "exports" / "microvideos.json").read_text())
    assert len(exported["database"]) == len(TAGS)
    assert (world / "plusmv-data" / "runs" / "mv" / "checkpoint.safetensors").is_file()
    assert set(json.loads((world / "detections.json").read_text())["results"]) == {"video_2"}
    assert (world / "clip.json").is_file()
    assert (world / "clip.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_the_commands_of_a_docs_page(page, world, environment):
    """After the README's, whose files and runs they may use."""
    if not (world / "plusmv-data" / "runs" / "mv").is_dir():
        for line in README_COMMANDS:
            run(line, world, environment)
    for line in commands_of(page):
        run(line, world, environment)
