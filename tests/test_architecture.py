"""The architecture that a reader relies on: import directions, package files, commands with help and documentation."""

import ast
import graphlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from plusmv.cli import app
from tests.conftest import ROOT

PACKAGES = ("core", "db", "features", "curate", "wsal", "labeler_ui", "demo")
MAY_IMPORT = {  # one way, and files instead of imports between curation and training
    "core": set(),
    "db": {"core"},
    "features": {"core"},
    "wsal": {"core", "features"},
    "curate": {"core", "db", "features"},
    "labeler_ui": {"core", "db", "curate"},
    "demo": {"core"},
}
WITHIN_CURATE = {
    "sources": set(),
    "crawl": {"sources"},
    "takedown": {"crawl", "sources"},
    "duplicates": set(),
    "ranking": set(),
    "review": {"duplicates", "ranking"},
    "report": {"review", "duplicates", "ranking"},
    "dataset": {"review", "duplicates", "ranking"},
}
CORE_BEYOND_STDLIB = {"commandline.py": {"rich", "typer"}, "workspace.py": {"filelock"}}
LONGEST = 350  # lines of a file
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Dotted names of every import in a file, those inside functions too: "numpy", "plusmv.curate.crawl.records"."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def rooms(path: Path, depth: int) -> set[str]:
    """What stands at `depth` of the names of ours that a file imports: 1 a package, 2 a package within it."""
    ours = [name.split(".") for name in imported(path) if name.startswith("plusmv.")]
    return {name[depth] for name in ours if depth == 1 or name[1] == "curate"}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package):
    for path in sources(package):
        beyond = rooms(path, 1) - {package} - MAY_IMPORT[package]
        assert not beyond, f"{path.relative_to(ROOT)} imports {beyond}"


@pytest.mark.parametrize("package", WITHIN_CURATE)
def test_imports_within_curate_go_one_way(package):
    for path in sources(f"curate/{package}"):
        beyond = rooms(path, 2) - {package} - WITHIN_CURATE[package]
        assert not beyond, f"{path.relative_to(ROOT)} imports {beyond}"


def test_curate_is_its_packages():
    assert {path.name for path in (ROOT / "curate").iterdir()} - {"__pycache__"} == {"__init__.py", *WITHIN_CURATE}


def test_no_module_imports_itself_through_others():
    """No circle among the modules, those of the same package included; imports inside functions are left out."""
    arrows = {}
    for package in PACKAGES:
        for path in sources(package):
            name = ".".join(("plusmv", *path.relative_to(ROOT).with_suffix("").parts))
            arrows[name] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    graph = {name: _targets(body) & {*arrows} for name, body in arrows.items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def _targets(body: list[ast.stmt]) -> set[str]:
    found = set()
    for node in body:
        if isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_everything_goes_by_one_name():
    """Only `plusmv.wsal`, never `wsal`: other people's packages have such names, and a module must not load twice."""
    for folder in (*PACKAGES, "plusmv", "tests", "benchmarks"):
        for path in sources(folder):
            bare = {name.partition(".")[0] for name in imported(path)} & {*PACKAGES}
            assert not bare, f"{path.relative_to(ROOT)} imports {bare} without plusmv"
    for package in PACKAGES:
        assert (ROOT / "plusmv" / package).resolve() == ROOT / package


@pytest.mark.parametrize("path", sources("core"), ids=lambda path: path.name)
def test_core_needs_only_the_standard_library(path):
    beyond = {name.partition(".")[0] for name in imported(path)} - {"plusmv"} - set(sys.stdlib_module_names)
    assert beyond <= CORE_BEYOND_STDLIB.get(path.name, set())


@pytest.mark.parametrize("package", PACKAGES)
def test_init_files_hold_a_docstring_at_most(package):
    for path in sources(package):
        if path.name == "__init__.py":
            body = ast.parse(path.read_text(encoding="utf-8")).body
            assert all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body), path
            assert len(body) <= 1


def test_no_file_is_too_long():
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in (*PACKAGES, "plusmv", "tests", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".py", ".js"} and not path.is_symlink()
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST
    }  # fmt: skip
    assert long == {}


def test_every_module_says_what_it_is():
    silent = [
        str(path.relative_to(ROOT))
        for package in (*PACKAGES, "tests", "benchmarks")
        for path in sources(package)
        if path.name != "__init__.py" and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_help_loads_nothing_heavy():
    heavy = {"torch", "sqlalchemy", "cv2", "av", "streamlit", "matplotlib"}
    code = "import sys\nfrom plusmv.cli import app\napp(['--help'], standalone_mode=False)\n"
    code += f"assert not {heavy} & {{*sys.modules}}"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_training_and_features_never_load_the_catalog():
    code = (
        "import sys, pkgutil, importlib\n"
        "from plusmv import features, wsal\n"
        "for package in (wsal, features):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "assert 'sqlalchemy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_models_and_the_labeler_load_no_torch():
    code = "import sys, plusmv.db.models, plusmv.labeler_ui.streamlit_app; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def commands() -> list[str]:
    """Every command, those of groups by both words: "train", "features compact"."""
    door = typer.main.get_command(app)
    named = {name: door.get_command(None, name) for name in door.list_commands(None)}
    groups = {name: list(command.commands) for name, command in named.items() if hasattr(command, "commands")}
    return [part for name in named for part in ([f"{name} {sub}" for sub in groups.get(name, [])] or [name])]


@pytest.mark.parametrize("command", commands())
def test_every_command_has_help_and_is_documented(command):
    shown = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="plusmv")
    assert shown.exit_code == 0
    assert f"plusmv {command}" in shown.stdout
    assert "--json" in shown.stdout or command == "label"
    assert f"plusmv {command}" in "".join(page.read_text(encoding="utf-8") for page in PAGES)


def plusmv(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "plusmv", *arguments],
        cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_version_quiet_and_verbose(tmp_path):
    assert re.fullmatch(r"plusmv \d+\.\d+\.\d+\n", plusmv("--version").stdout)
    quiet = plusmv("--quiet", "--home", str(tmp_path), "export", "--json")
    assert quiet.returncode == 0 and quiet.stderr == "" and quiet.stdout
    after = plusmv("export", "--home", str(tmp_path), "--json", "-q")
    assert (after.returncode, after.stderr, after.stdout) == (0, "", quiet.stdout)
    assert plusmv("features", "verify", "--features", str(tmp_path), "-vv", "-q").returncode == 0
    failed = plusmv("-q", "evaluate", "--ground-truth", "none.json", "--detections", "none.json")
    assert failed.returncode == 2 and "none.json" in failed.stderr
    assert plusmv("-vv", "--home", str(tmp_path), "report", "--json").returncode == 0


def test_home_before_and_after_the_command(tmp_path, monkeypatch):
    """The workspace option means the same in both places: the catalog appears there, and nowhere else."""
    monkeypatch.chdir(tmp_path)
    for name, arguments in {"a": ("--home", "a", "report", "--json"), "b": ("report", "--home", "b", "--json")}.items():
        shown = CliRunner().invoke(app, arguments)
        assert shown.exit_code == 0, shown.stderr
        assert (tmp_path / name / "catalog.db").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_command_without_a_workspace_takes_home_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments in (("--home", "a", "weights", "--json"), ("weights", "--home", "b", "--json")):
        shown = CliRunner().invoke(app, arguments)
        assert shown.exit_code == 0, shown.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_users_error_is_one_line_and_exit_2(tmp_path):
    missing = ("evaluate", "--ground-truth", "none.json", "--detections", "none.json", "--subset", "test")
    shown = plusmv(*missing, cwd=tmp_path)
    assert shown.returncode == 2
    assert shown.stdout == ""
    assert shown.stderr.count("\n") == 1
    assert "none.json" in shown.stderr
    assert "Traceback" in plusmv(*missing, "--debug", cwd=tmp_path).stderr


def test_a_file_that_cannot_be_written_is_one_line_and_exit_2(tmp_path):
    (tmp_path / "taken").write_text("a file where a folder should be")
    for arguments in (("report", "--home", "taken"), ("report", "--html", "taken/report.html")):
        shown = plusmv(*arguments, cwd=tmp_path)
        assert (shown.returncode, shown.stderr.count("\n")) == (2, 1), shown.stderr
        assert "taken" in shown.stderr


def test_ctrl_c_says_what_to_do_and_exits_130(tmp_path):
    """A command that waits for a file which never ends is stopped as a terminal would."""
    os.mkfifo(tmp_path / "d.csv")
    command = [sys.executable, "-m", "plusmv", "decide", "--from", str(tmp_path / "d.csv"), "--home", str(tmp_path)]
    running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    with open(tmp_path / "d.csv", "wb"):  # returns once the command has opened its end
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "the same command again" in told


def test_the_architecture_page_names_every_file():
    """docs/architecture.md lists every source file with a clause, and no file that is gone."""
    tree = re.search(r"```text\n(.*?)```", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.S)[1]
    named = set(re.findall(r"^\s*([\w./]+\.py)\s+\S", tree, re.M))
    there = {str(path.relative_to(ROOT)) for package in PACKAGES for path in sources(package)
             if path.name != "__init__.py" and "migrations" not in path.parts} | {"plusmv/cli.py"}  # fmt: skip
    assert named == there


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 170


def test_no_path_of_a_machine_and_no_index_in_any_file():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    forbidden = re.compile("|".join(("/work" + "/", "/root" + "/", "py" + r"pi\.org", "python" + "hosted")))
    found = []
    for name in filter(None, tracked.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".txt", ".csv", ".json", ".html", ""} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{name}: {match}" for match in forbidden.findall(text)]
    assert found == []


SCRIPTS = [
    path for path in sorted((ROOT / "benchmarks").glob("*.py")) if "__main__" in path.read_text(encoding="utf-8")
]


@pytest.mark.slow
def test_every_benchmark_finds_the_packages():
    """Each loads as a script does, its own folder first on the path; in one process, for most of them load torch."""
    code = f"import runpy, sys; sys.path[0] = {str(ROOT / 'benchmarks')!r}\n"
    code += f"for script in {[*map(str, SCRIPTS)]!r}: print(script); runpy.run_path(script, run_name='loaded')"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", timeout=300)
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
