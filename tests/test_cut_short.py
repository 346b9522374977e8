"""What is missing of a file that was cut short is said alike by all that read it, and counted alike."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.core.errors import BadInput
from plusmv.curate.crawl.media import inspect
from plusmv.features.cut_short import Lengths, in_words
from plusmv.features.decode import DEFAULT_LIMITS, lengths
from plusmv.features.decode_stage import DecodeStage
from plusmv.features.feature_files import VideoFeatures, read_features, write_features
from plusmv.features.recipe import Recipe
from tests.small_videos import make_counter
from tests.test_media import index_first


@pytest.fixture
def cut(tmp_path):
    whole = make_counter(tmp_path / "whole.mp4", frames=100)
    index_first(whole, tmp_path / "cut.mp4")
    content = (tmp_path / "cut.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: content.index(b"mdat") + (len(content) - content.index(b"mdat")) // 2])
    return tmp_path / "cut.mp4"


def test_a_whole_file_lacks_nothing_and_little_is_not_counted(tmp_path):
    assert lengths(make_counter(tmp_path / "v.mp4")).cut_short is None
    assert Lengths(promised=10, there=9.1).cut_short is None
    assert Lengths(promised=0, there=9).cut_short is None  # Matroska promises nothing
    assert Lengths(promised=10, there=8.9).cut_short == {"seconds": 8.9, "promised": 10}


def test_crawl_and_features_count_the_same_seconds(cut):
    found = lengths(cut).cut_short
    assert found["promised"] == pytest.approx(4)
    assert 0 < found["seconds"] < 3.5
    with pytest.raises(BadInput) as caught:
        inspect(cut)
    assert in_words(found) in str(caught.value)
    *_, decoded = DecodeStage(Recipe(), DEFAULT_LIMITS).process((cut, "cut"))
    assert (decoded.promised, decoded.frames / 25) == (found["promised"], pytest.approx(found["seconds"], abs=0.05))


def test_a_feature_file_keeps_what_was_missing(tmp_path):
    arrays = {"rgb": np.ones((1, 2), np.float32)}
    for name, promised in (("whole", None), ("cut", 6.0)):
        write_features(
            tmp_path / f"{name}.safetensors", VideoFeatures(name, arrays, 25.0, duration=3.44, promised=promised)
        )
    assert read_features([tmp_path], "whole").cut_short is None
    assert read_features([tmp_path], "cut").cut_short == {"seconds": 3.44, "promised": 6.0}


@pytest.mark.slow
def test_extract_says_what_is_missing_at_first_and_again(cut, tmp_path):
    arguments = ["extract", "--video", str(cut), "--out", str(tmp_path / "f.safetensors"), "--streams", "rgb"]
    for state in ("done", "skipped"):
        result = CliRunner().invoke(app, [*arguments, "--random-weights", "--json"])
        (clip,) = json.loads(result.stdout)["clips"]
        assert (clip["state"], clip["cut_short"]["promised"]) == (state, pytest.approx(4))
        assert in_words(clip["cut_short"]) in result.stderr


def test_the_truncated_file_of_the_cases(cases):
    assert lengths(cases / "truncated.mp4").cut_short == {
        "seconds": pytest.approx(86 / 25),
        "promised": pytest.approx(6),
    }
