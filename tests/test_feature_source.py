"""Features of others at each video's own frame rate, as its annotations state it."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.core.annotations import AnnotatedVideo, Instance, read_annotations, write_annotations
from plusmv.core.commandline import parse_rate
from plusmv.core.errors import BadInput
from plusmv.features.feature_files import VideoFeatures, ids_without_rate, read_features, write_features
from plusmv.wsal.feature_source import FeatureSource

RATES = {"a": 24.0, "v_b": 30.0, "c": 0.0}  # of features as ActionFormer publishes them: a snippet each 4 frames
SECONDS = 100.0


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "theirs").mkdir()
    for video_id, fps in RATES.items():
        np.savez(tmp_path / "theirs" / f"{video_id}.npz", rgb=np.ones((int(SECONDS * (fps or 25) / 4) - 3, 8)))
    return tmp_path / "theirs"


def annotated(*ids: str) -> list[AnnotatedVideo]:
    rates = {video_id.removeprefix("v_"): fps for video_id, fps in RATES.items()}
    return [AnnotatedVideo(name, "Test", SECONDS, rates[name], (Instance("Dive", 0, 9),)) for name in ids]


def test_each_video_has_its_own_rate(folder):
    usable, left_out = FeatureSource((folder,), None, 4).read_all(annotated("a", "b"))
    assert ({name: features.fps for name, features in usable.items()}, left_out) == ({"a": 24.0, "b": 30.0}, {})
    assert set(FeatureSource((folder,), 30.0, 4).read_all(annotated("a", "b"))[1]) == {"a"}


def test_videos_whose_rate_nothing_states_are_named(folder):
    source = FeatureSource((folder,), None, 4)
    with pytest.raises(BadInput, match=r"\bc\b"):
        source.read_all(annotated("a", "b", "c"))
    write_features(folder / "c.safetensors", VideoFeatures("c", {"rgb": np.ones((622, 8), np.float32)}, 25.0, stride=4))
    assert ids_without_rate([folder]) == {"a", "v_b"}
    usable, _ = FeatureSource((folder,), None, 4).read_all(annotated("a", "b", "c"))
    assert usable["c"].fps == 25.0  # as its file says


def test_import_takes_the_rates_of_annotations(folder, tmp_path):
    def imported(*names: str) -> tuple[int, object]:
        write_annotations(tmp_path / "a.json", annotated(*names))
        options = ["--feature-fps", "Native", "--feature-stride", "4", "--annotations", str(tmp_path / "a.json")]
        done = CliRunner().invoke(app, ["features", "import", "--from", str(folder), "--to", str(ours), *options])
        return done.exit_code, done.exception

    ours = tmp_path / "ours"
    assert isinstance(imported("a", "b")[1], BadInput)
    (folder / "c.npz").unlink()
    assert imported("a", "b") == (0, None)
    assert {name: read_features([ours], name).fps for name in ("a", "v_b")} == {"a": 24.0, "v_b": 30.0}


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast", ""])
def test_a_rate_is_a_positive_number_or_native(text):
    with pytest.raises(BadInput):
        parse_rate(text)
    assert (parse_rate(" NATIVE"), parse_rate("29.97")) == (None, 29.97)


def test_a_subset_is_found_in_any_letter_case(tmp_path):
    write_annotations(tmp_path / "a.json", annotated("a"))
    for subset in ("test", "TEST", " Test"):
        assert set(read_annotations(tmp_path / "a.json", subset)) == {"a"}
    with pytest.raises(BadInput):
        read_annotations(tmp_path / "a.json", "testing")
    label = json.loads((tmp_path / "a.json").read_text())["database"]["a"]["annotations"][0]["label"]
    assert label == "Dive"  # a label stays as it is spelled
