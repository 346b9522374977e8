"""`plusmv rank` as a user runs it: counts that add up, words to stop by, errors of one line."""

import json

import pytest
from click.testing import Result
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.core.errors import BadInput
from plusmv.core.workspace import Workspace
from plusmv.db.session import open_catalog
from tests.test_ranking import fill, judge, table


def plusmv(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PLUSMV_WEIGHTS", str(tmp_path / "weights"))
    workspace = Workspace(tmp_path / "home")
    catalog = open_catalog(workspace)
    clips = fill(catalog, 10, workspace)
    judge(catalog, clips["GolfSwing"][:6:2], "GolfSwing", "keep")
    catalog.close()
    next(workspace.features.iterdir()).unlink()
    return workspace.home


def test_the_table_and_its_json(home):
    shown = plusmv("rank", "--quota", 3, "--home", home, "--json")
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    golf = found["actions"]["GolfSwing"]
    assert (golf["clips"], golf["undecided"], golf["kept"]) == (10, 7, 3)
    assert (golf["stop"], golf["words"]) == ("quota", "quota filled: 3 kept, 3 wanted")
    assert 0 < golf["expected_good_at_least"] < golf["expected_good"] < 1
    assert set(golf["signals"]) == {"neighbours"}
    totals = found["totals"]
    assert totals["undecided"] == totals["ranked"] + totals["without_features"]
    assert totals["clips"] == 20
    shown = plusmv("rank", "--home", home)
    assert "go on: about" in shown.stdout
    assert "undecided = " in shown.stdout
    assert "GolfSwing: no kinetics signal" in shown.stderr
    assert "1 clips without features: run plusmv extract" in shown.stderr


def test_a_trainers_scores_come_in(home, tmp_path):
    with pytest.raises(BadInput, match=r"cannot read .*none\.csv"):
        CliRunner().invoke(app, ["rank", "--home", str(home), "--scores", "none.csv"], catch_exceptions=False)
    names = [path.stem for path in (home / "features").iterdir()]
    table(tmp_path / "f.csv", [(name, "GolfSwing", 0.5) for name in names])
    found = json.loads(plusmv("rank", "--scores", tmp_path / "f.csv", "--home", home, "--json").stdout)
    assert found["actions"]["GolfSwing"]["signals"]["trainer"] >= 9


def test_an_empty_workspace_names_the_next_command(tmp_path):
    shown = plusmv("rank", "--home", tmp_path / "empty", "--json")
    assert json.loads(shown.stdout)["actions"] == {}
    assert "plusmv crawl" in shown.stderr


def test_actions_of_ones_own_name_their_kinetics_classes(home, tmp_path):
    (tmp_path / "own.csv").write_text("action,tags,kinetics\nGolfSwing,golf,golf juggling\n")
    with pytest.raises(BadInput, match="Kinetics-400 has no class 'golf juggling'"):
        CliRunner().invoke(
            app, ["rank", "--home", str(home), "--actions", str(tmp_path / "own.csv")], catch_exceptions=False
        )
