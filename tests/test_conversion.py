"""Features of others become files of ours and the other way round, and the commands count what became of each."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from plusmv.core.errors import BadInput, Refused
from plusmv.core.locks import one_command
from plusmv.features import conversion
from plusmv.features.commands import app
from plusmv.features.feature_files import read_features
from plusmv.features.published import ArrayLayout
from tests.test_feature_files import made, swap
from tests.test_shards import fill

JOINT = ArrayLayout("joint")  # the arrays here are narrower than any network's, so their layout has to be said


@pytest.fixture
def published(tmp_path):
    """A folder of one (T, 2d) array, one archive, and one video in two folders."""
    folder = tmp_path / "theirs"
    for name in ("rgb", "flow"):
        (folder / name).mkdir(parents=True)
        np.save(folder / name / "apart.npy", made()[name])
    np.save(folder / "joined.npy", np.hstack(list(made().values())))
    np.savez(folder / "archive.npz", **made())
    return folder


def test_every_layout_is_taken_over_and_given_out_again(published, tmp_path):
    ours = tmp_path / "ours"
    ended = list(conversion.import_features(published, ours, fps=30, stride=4, layout=JOINT))
    assert {outcome.id: outcome.state for outcome in ended} == dict.fromkeys(["apart", "archive", "joined"], "done")
    assert {
        outcome.state for outcome in conversion.import_features(published, ours, fps=30, stride=4, layout=JOINT)
    } == {"skipped"}
    features = read_features([ours], "joined")
    assert (features.fps, features.stride, features.recipe) == (30, 4, None)
    assert features.notes == {"imported from": "theirs"}
    for layout in ("npy", "npz", "folders"):
        list(conversion.export_features(ours, tmp_path / layout, layout))
        for video_id in ("apart", "archive", "joined"):
            read = read_features([tmp_path / layout], video_id, layout=JOINT)
            for name, array in made().items():
                np.testing.assert_array_equal(read.streams[name], array)
    assert np.load(tmp_path / "npy" / "apart.npy").shape == (3, 16)


def test_what_a_killed_process_left_is_swept(published, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    stale = [tmp_path / folder / f".v.npz.{ended.pid}-0badcafe.part.npz" for folder in ("ours", "out")]
    for part in stale:
        part.parent.mkdir()
        part.touch()
    list(conversion.import_features(published, tmp_path / "ours", fps=30, stride=4, layout=JOINT))
    list(conversion.export_features(tmp_path / "ours", tmp_path / "out", "npz"))
    assert not any(part.exists() for part in stale)


def test_what_lacks_a_stream_fails_alone(tmp_path):
    fill(tmp_path / "rgb only", ["a"])
    (ended,) = conversion.export_features(tmp_path / "rgb only", tmp_path / "out", "npy")
    assert (ended.state, "no flow" in ended.reason) == ("failed", True)
    with pytest.raises(BadInput, match="another folder"):
        list(conversion.export_features(tmp_path / "rgb only", tmp_path / "rgb only", "npz"))


def run(*arguments: str) -> tuple[int, dict]:
    result = CliRunner().invoke(app, ["features", *arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_the_commands_count_what_became_of_each(published, tmp_path):
    np.save(published / "bad.npy", np.full((2, 4), np.nan))
    ours = str(tmp_path / "ours")
    code, told = run("import", "--from", str(published), "--to", ours, "--layout", "joint")
    assert (code, told["clips"], told["done"], told["failed"]) == (0, 4, 3, 1)
    assert "NaN" in told["failures"][0]["reason"]
    assert run("compact", "--features", ours)[1]["done"] == 3
    counted = {"clips": 3, "done": 3, "skipped": 0, "failed": 0, "failures": [], "unidentified": 0}
    assert run("verify", "--features", ours) == (0, counted)
    assert run("export", "--features", ours, "--to", str(tmp_path / "out"))[1]["done"] == 3
    (tmp_path / "ours" / "x.safetensors").write_bytes(b"broken")
    assert run("verify", "--features", ours)[0] == 1


def test_swapped_files_are_named_by_every_command(tmp_path):
    fill(tmp_path / "ours", ["a", "b", "c"])
    swap(tmp_path / "ours", "a", "b")
    ours, to = str(tmp_path / "ours"), str(tmp_path / "out")
    code, told = run("verify", "--features", ours)
    assert (code, told["done"], [failure["id"] for failure in told["failures"]]) == (1, 1, ["a", "b"])
    for told in (
        run("export", "--features", ours, "--to", to, "--layout", "npz")[1],
        run("import", "--from", ours, "--to", to)[1],
        run("compact", "--features", ours)[1],
    ):
        assert (told["done"], [failure["id"] for failure in told["failures"]]) == (1, ["a", "b"])
    assert sorted(path.name for path in (tmp_path / "ours").glob("*.safetensors")) == ["a.safetensors", "b.safetensors"]


def test_verify_counts_what_does_not_say_whose_it_is(published):
    counted = run("verify", "--features", str(published), "--layout", "joint")[1]
    assert (counted["failed"], counted["unidentified"]) == (0, counted["clips"])


def test_of_two_exports_into_one_folder_the_second_is_refused(tmp_path):
    """A video's rgb/ would be of one, its flow/ of the other."""
    fill(tmp_path / "f", ["a"])
    with one_command(tmp_path / "out", "an export"), pytest.raises(Refused):
        list(conversion.export_features(tmp_path / "f", tmp_path / "out", "npz"))
    list(conversion.export_features(tmp_path / "f", tmp_path / "out", "npz"))
