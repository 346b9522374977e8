"""docs/schemas: written from the types, one for every --json, and true of what commands print and write."""

import csv
import importlib.util
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import typer
from safetensors import safe_open
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.core.annotations import write_annotations
from plusmv.core.workspace import Workspace
from tests.conftest import ROOT
from tests.simulated import simulated_videos, write_simulated
from tests.small_videos import make_video

FOLDER = ROOT / "docs" / "schemas"
OPEN = ("CurveRow", "curves row")  # further columns: the terms of the method's loss
_spec = importlib.util.spec_from_file_location("write_schemas", ROOT / "docs" / "write_schemas.py")
write_schemas = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(write_schemas)


def test_the_committed_schemas_are_what_the_types_give():
    fresh = {name: write_schemas.as_text(made) for name, made in write_schemas.schemas().items()}
    assert {path.name for path in FOLDER.glob("*.json")} == set(fresh)
    outdated = [name for name, text in fresh.items() if (FOLDER / name).read_text(encoding="utf-8") != text]
    assert not outdated, "run docs/write_schemas.py"


def test_every_command_with_json_has_a_schema():
    asked = set(_commands_with_json(typer.main.get_command(app), ()))
    assert asked == {command for command in write_schemas.RESULTS if "--" not in command}


def _commands_with_json(command, names):
    if any("--json" in parameter.opts for parameter in command.params):
        yield " ".join(names)
    if hasattr(command, "list_commands"):
        for name in command.list_commands(None):
            yield from _commands_with_json(command.get_command(None, name), (*names, name))


def test_a_result_that_differs_from_its_schema_is_found():
    row = {"id": "v", "label": "Dive", "score": 0.5}
    check("scores-row", row)
    for wrong in ({"id": "v"}, row | {"more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            check("scores-row", wrong)


def test_curation(tmp_path):
    clips, home, decisions = tmp_path / "clips", tmp_path / "home", tmp_path / "decisions.csv"
    make_video(clips / "diving" / "a.mp4", 1)
    make_video(clips / "diving" / "b.mp4", 2)
    (clips / "diving" / "bad.mp4").write_bytes(b"no video")
    (clips / "manifest.csv").write_text("file,tag\ndiving/a.mp4,diving\ndiving/b.mp4,diving\ndiving/bad.mp4,diving\n")
    check_rows("manifest-row", clips / "manifest.csv")
    crawled = run("crawl", "--source", "folder", "--path", clips, "--workers", 1, home=home)
    assert crawled["totals"]["failed"] == 1
    run("dedup", "--workers", 1, home=home)
    decisions.write_text("clip,action,verdict,annotator,seconds,reason\ndiving/a.mp4,Diving,keep,me,2.5,\n")
    check_rows("decisions-row", decisions)
    run("decide", "--from", decisions, home=home)
    run("report", home=home)
    run("export", home=home)
    check("annotations", json.loads((home / "exports" / "microvideos.json").read_text()))


def test_training_and_evaluation(tmp_path):
    training, training_features = simulated_videos(3, "validation", 1)
    test, test_features = simulated_videos(2, "test", 2)
    annotations, features = tmp_path / "annotations.json", tmp_path / "features"
    write_annotations(annotations, [*training.values(), *test.values()])
    check("annotations", json.loads(annotations.read_text()))
    write_simulated(features, training_features | test_features)
    home, data = tmp_path / "home", ("--annotations", annotations, "--features", features)
    run("train", *data, "--steps", 2, home=home)
    folder = Workspace(home).run("bm")
    check_rows("curves-row", folder / "curves.csv")
    check("checkpoint-metadata", json.loads(metadata_of(folder / "checkpoint.safetensors")["plusmv"]))
    run("detect", *data, "--subset", "test", "--run", "bm", home=home)
    check("detect", json.loads((folder / "detections.json").read_text()))
    scores = tmp_path / "scores.csv"
    run("detect", *data, "--run", "bm", "--scores", scores, home=home, schema="detect-scores")
    check_rows("scores-row", scores)
    found = ("--ground-truth", annotations, "--detections", folder / "detections.json", "--subset", "test")
    run("evaluate", *found)
    run("diagnose", *found, "--out", tmp_path / "diagnosis")
    check("diagnosis", json.loads((tmp_path / "diagnosis" / "diagnosis.json").read_text()))


def test_folders_of_features(tmp_path, monkeypatch):
    monkeypatch.setenv("PLUSMV_WEIGHTS", str(tmp_path / "weights"))
    run("weights")
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    np.save(theirs / "a.npy", np.ones((3, 16), np.float32))
    np.save(theirs / "bad.npy", np.full((3, 16), np.nan, np.float32))
    assert run("features import", "--from", theirs, "--to", ours, "--layout", "joint")["failed"] == 1
    metadata = metadata_of(ours / "a.safetensors")
    check("feature-metadata", {name: text if name == "xxh3" else json.loads(text) for name, text in metadata.items()})
    run("features compact", "--features", ours)
    check("shard-index", json.loads((ours / "shards" / "000001.json").read_text()))
    run("features verify", "--features", ours)
    run("features export", "--features", ours, "--to", tmp_path / "out")


def metadata_of(path: Path) -> dict[str, str]:
    with safe_open(path, framework="numpy") as file:
        return file.metadata()


def run(command: str, *arguments, home: Path | None = None, schema: str = "") -> dict:
    """Run a command with --json and check what it prints; returns that."""
    where = () if home is None else ("--home", home)
    done = CliRunner().invoke(app, [*command.split(), *map(str, arguments), *map(str, where), "--json"])
    assert done.exit_code == 0, done.output + repr(done.exception)
    printed = json.loads(done.stdout)
    check(schema or write_schemas.file_name(command).removesuffix(".json"), printed)
    return printed


def check(name: str, value: object) -> None:
    """Validate against a committed schema; keys that the schema does not name fail too, but for OPEN."""
    schema = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.validate(value, _closed(schema))


def check_rows(name: str, path: Path) -> None:
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            check(name, {column: _number_or_text(name, column, cell) for column, cell in row.items()})


def _number_or_text(name: str, column: str, cell: str) -> object:
    """A cell as its schema means it: CSV knows text alone."""
    columns = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["properties"]
    wanted = columns.get(column, {})
    return cell if wanted.get("type") == "string" or cell == "" else json.loads(cell)


def _closed(schema):
    """The schema with no further keys allowed where it names some."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(each) for name, each in schema.items()}
    names_keys = schema.get("type") == "object" and "properties" in schema and schema.get("title") not in OPEN
    return {"additionalProperties": False} | closed if names_keys else closed
