"""The commands of README and docs, run as they stand, one after the other, on a small world of the names they use.

Each different line runs once: README's first, whose files and runs the pages then find. Platforms are played over
loopback (tests/platform_server.py). What cannot run here is listed in NOT_RUN, which is exact.
"""

import contextlib
import io
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from plusmv.cli import COMMANDS, app
from plusmv.core.actions import THUMOS14
from plusmv.features.feature_files import VideoFeatures, write_features
from plusmv.features.weights import keep, random_weights
from tests.browser import answers, free_port, wait_until
from tests.conftest import ROOT
from tests.platform_server import playing
from tests.platform_sites import Platform
from tests.small_videos import make_video

TAGS = ("golfswing", "diving")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
LANGUAGES = {"sh", "bash", "python", "csv", "text"}
SERVERS = ("plusmv label", "streamlit run")

NOT_RUN = {  # command: why not, or what runs it
    "make demo": "test_walk.py takes the same way on a smaller world",
    "make test": "this is it",
    "make docs": "needs the docs extra; whoever changes docs runs it",
    "pip install -c constraints.txt .": "needs a package index; test_wheel.py builds and installs the wheel",
    "docker build -t plusmv .": "no Docker in tests",
    'docker run --rm -v "$PWD:/workspace" plusmv --help': "no Docker in tests",
    ".venv/bin/pre-commit install": "would change the clone; its hooks are what `make lint` runs",
}
SLOW = (  # forty trainings and more; and what other tests of `make test` run too
    "plusmv experiment",
    "streamlit run",
    "plusmv crawl --source instagram",
    "plusmv crawl --source urls",
    'plusmv crawl --source ytdlp --query "https',
    "plusmv crawl --source ytdlp --query youtube-shorts --action GolfSwing",
)


def fences(page: Path) -> list[tuple[str, str]]:
    """(language, content) of a page's fenced blocks, those in lists too."""
    blocks = re.findall(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", page.read_text(encoding="utf-8"), re.S | re.M)
    return [(language, re.sub(rf"^{indent}", "", content, flags=re.M)) for indent, language, content in blocks]


def commands_of(page: Path) -> list[str]:
    """Every line of a page's shell blocks, without its remark."""
    lines = "\n".join(content for language, content in fences(page) if language in ("sh", "bash")).splitlines()
    return [command for line in lines if (command := re.split(r"(?:^|\s\s+)# ", line)[0].strip())]


def once_each() -> list[tuple[Path, str]]:
    """(page, command) of each different command, at its first place."""
    first: dict[str, Path] = {}
    for page in PAGES:
        for command in commands_of(page):
            first.setdefault(command, page)
    return [(page, command) for command, page in first.items()]


RUN = [
    pytest.param(page, command, id=f"{page.stem}: {command}", marks=[pytest.mark.slow] * command.startswith(SLOW))
    for page, command in once_each()
    if command.startswith("plusmv ") and not command.startswith(SERVERS)
]
SERVED = [
    pytest.param(command, marks=[pytest.mark.slow] * command.startswith(SLOW))
    for _, command in once_each()
    if command.startswith(SERVERS)
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The working folder, with what the commands name in it; random weights stand where the fetched ones would."""
    folder = tmp_path_factory.mktemp("readme")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path])
        patch.setenv("PLUSMV_WEIGHTS", str(folder / "weights"))
        for name in ("PLUSMV_HOME", "PLUSMV_DB"):
            patch.delenv(name, raising=False)
        keep("rgb", random_weights("rgb").tensors, {"origin": "random, for a test", "licence": "none"})
        _write_clips(folder)
        _write_benchmark(folder)
        _write_composable(folder)
        yield folder
    sys.modules.pop("my_method", None)  # the pages' own method; another test has another one of this name


def _write_clips(folder: Path) -> None:
    """Clips by tag, a manifest and decisions of them, a list of links, and a video to search."""
    for number, tag in enumerate(TAGS):
        make_video(folder / "clips" / tag / "one.mp4", seed=number, seconds=1)
        make_video(folder / "clips" / tag / "two.mp4", seed=10 + number, seconds=1)
    make_video(folder / "clip.mp4", seed=20, seconds=1.4)
    posts = [{"file": f"{tag}/one.mp4", "tag": tag, "platform": "own", "platform_id": tag} for tag in TAGS]
    (folder / "posts.jsonl").write_text("".join(json.dumps(post) + "\n" for post in posts))
    lines = [f"{tag}/one.mp4,{action},keep,me\n" for tag, action in zip(TAGS, ("GolfSwing", "Diving"), strict=True)]
    (folder / "decisions.csv").write_text("clip,action,verdict,annotator\n" + "".join(lines))


def _write_benchmark(folder: Path) -> None:
    """Three annotated videos, the features that somebody else published of them, and the same as ActivityNet's."""
    database = {}
    for number, (label, subset) in enumerate(
        [("GolfSwing", "validation"), ("Diving", "validation"), ("Diving", "test")]
    ):
        make_video(folder / "thumos14" / f"video_{number}.mp4", seed=30 + number, seconds=1.4)
        annotations = [{"label": label, "segment": [0.2, 1.1]}]
        database[f"video_{number}"] = {"subset": subset, "duration": 1.4, "fps": 10, "annotations": annotations}
    (folder / "thumos14.json").write_text(json.dumps({"database": database}))
    as_subset = {"validation": "training", "test": "validation"}
    renamed = {name: entry | {"subset": as_subset[entry["subset"]]} for name, entry in database.items()}
    (folder / "activitynet.json").write_text(json.dumps({"database": renamed}))
    for published in ("published", "activitynet-published"):
        (folder / published).mkdir()
        for number, name in enumerate(database):
            arrays = np.random.default_rng(number).random((3, 2048), np.float32)
            np.save(folder / published / f"{name}.npy", arrays)


def _write_composable(folder: Path) -> None:
    """Clips of two actions from three sources with features, and the true segment of one of them."""
    lines = ["id,class,source,role"]
    for source, label in itertools.product((1, 2, 3), ("Diving", "GolfSwing")):
        lines.append(f"{label}{source},{label},g{source},action")
        rgb = np.random.default_rng(source).random((4, 8), np.float32)
        clip = VideoFeatures(f"{label}{source}", {"rgb": rgb}, 25.0, duration=2.56)
        write_features(folder / "clip-features" / f"{clip.id}.safetensors", clip)
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")
    segment = {"label": "Diving", "segment": [0.5, 2.0]}
    database = {"Diving1": {"subset": "clip", "duration": 2.56, "fps": 25.0, "annotations": [segment]}}
    (folder / "segments.json").write_text(json.dumps({"database": database}))


@pytest.fixture
def platform(films, world, tmp_path, monkeypatch):
    """The platforms with a clip under each tag that a page searches for, accounts on them, and a workspace apart."""
    platform = Platform(films)
    for tag in sorted({tag for action in THUMOS14 for tag in action.tags} | {"golf", "highdive"}):
        platform.publish(tag, 1)
    (world / "links.txt").write_text(f"https://clips.example/v/{platform.tags['golfswing'][0].code} golfswing\n")
    session = tmp_path / "session.json"
    session.write_text('{"sessionid": "s", "ds_user_id": "1", "csrftoken": "c"}')
    session.chmod(0o600)
    with playing(platform, tmp_path) as server:
        keys = {"INSTAGRAM_SESSION": str(session), "GRAPH_TOKEN": "token", "GRAPH_USER": "17", "YOUTUBE_KEY": "key"}
        for name, value in (keys | {"HOME": "crawled"}).items():
            monkeypatch.setenv(f"PLUSMV_{name}", value)
        yield server
        assert server.refused == []


def goes_to_a_platform(command: str) -> bool:
    return "crawl --source" in command and "--source folder" not in command


def test_every_command_runs_but_those_listed():
    """A new command runs, or stands in NOT_RUN with its reason; and none hides in a block that is no shell's."""
    known = {param.values[1] for param in RUN} | {param.values[0] for param in SERVED}
    assert {command for _, command in once_each()} - known == {*NOT_RUN}
    for page in PAGES:
        for language, content in fences(page):
            assert language in LANGUAGES, f"{page.name}: {language}"
            if language not in ("sh", "bash"):
                assert not re.search(r"^(\$ |plusmv |make |pip |docker |streamlit )", content, re.M), page.name
    assert len(RUN) > 30


def test_every_option_named_on_a_page_exists():
    """In the running text too, where nothing runs."""
    door = typer.main.get_command(app)
    found = {option for parameter in door.params for option in parameter.opts}
    for name in COMMANDS:
        command = door.get_command(None, name)
        for each in (command, *getattr(command, "commands", {}).values()):
            found |= {option for parameter in each.params for option in (*parameter.opts, *parameter.secondary_opts)}
    found |= {"--help", "--install-completion"}
    for page in PAGES:
        spans = re.findall(r"`([^`\n]*--[^`\n]*)`", page.read_text(encoding="utf-8"))
        spans = [span for span in spans if "benchmarks/" not in span]  # a script's own options
        named = {option for span in spans for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", span)}
        assert named <= found, page.name


@pytest.mark.parametrize("page, command", RUN)
def test_command(page, command, world, request):
    """README's in its order, then the pages': each finds what the ones before have made."""
    write_files_of(page, world)
    arguments = tuple(shlex.split(command)[1:])
    if goes_to_a_platform(command):
        request.getfixturevalue("platform")
        arguments += ("--pause", "0")
    if arguments[0] in ("train", "experiment") and "--steps" not in arguments:
        arguments += ("--steps", "10")  # whether it runs, not what it learns
    done = CliRunner().invoke(app, arguments, prog_name="plusmv")
    assert done.exit_code == 0, f"{done.exception!r}\n{done.stderr}"
    assert done.stdout.strip()


def write_files_of(page: Path, world: Path) -> None:
    """The files that a page shows: actions, decisions, and Python that opens with its file's name."""
    for language, content in fences(page):
        named = re.match(r'"""(\w+\.py)', content)
        if language == "csv":
            (world / f"{'actions' if content.startswith('action,') else 'decisions'}.csv").write_text(content)
        elif language == "python" and named:
            (world / named[1]).write_text(content)


PYTHON = {block: page for page in reversed(PAGES) for language, block in fences(page) if language == "python"}


@pytest.mark.parametrize("block", [pytest.param(block, id=page.stem) for block, page in PYTHON.items()])
def test_python(block, world):
    """The pages' Python, on what the commands have made."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "a page", "exec"), {"__name__": "page"})
    if "print(" in block:
        assert "(2, 1024)" in printed.getvalue()


@pytest.mark.parametrize("command", SERVED)
def test_the_labeler_answers(command, world):
    """Started as it stands, but for the port; `streamlit run` from the clone."""
    port = free_port()
    _, *words = shlex.split(command)
    module, option = ("plusmv", "--port") if command.startswith("plusmv") else ("streamlit", "--server.port")
    server = subprocess.Popen(
        [sys.executable, "-m", module, *words, option, str(port)],
        cwd=world if module == "plusmv" else ROOT,
        env=os.environ | {"PLUSMV_HOME": str(world / "plusmv-data"), "BROWSER": "true"},  # a program that does nothing
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        wait_until(lambda: server.poll() is None and answers(port), f"{command} answers", seconds=60)
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def test_what_the_commands_left(world):
    exported = json.loads((world / "plusmv-data" / "exports" / "microvideos.json").read_text())
    assert len(exported["database"]) == len(TAGS)
    assert (world / "plusmv-data" / "runs" / "mv" / "checkpoint.safetensors").is_file()
    assert set(json.loads((world / "detections.json").read_text())["results"]) == {"video_2"}
    assert (world / "clip.json").is_file()
    assert (world / "clip.png").stat().st_size > 10_000
