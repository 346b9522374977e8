"""One vector a clip: mean and spread of its snippets, and whose vectors may be compared."""

import numpy as np
import pytest

from plusmv.core.errors import Missing
from plusmv.core.workspace import Workspace
from plusmv.curate.ranking.pooled_features import Classifier, commonest_kind, read_pooled, vectors
from plusmv.features.feature_files import VideoFeatures, write_features


def write(workspace: Workspace, name: str, recipe: str = "one", **streams: np.ndarray) -> None:
    write_features(workspace.features / f"{name}.safetensors", VideoFeatures(name, streams, 25.0, recipe=recipe))


def test_mean_and_spread_of_each_stream(tmp_path):
    workspace = Workspace(tmp_path)
    rgb, flow = np.array([[1.0, 2.0], [3.0, 2.0]], np.float32), np.array([[0.0], [4.0]], np.float32)
    write(workspace, "a", rgb=rgb, flow=flow)
    pooled = read_pooled(workspace, "a")
    assert pooled.vector.tolist() == [2, 2, 2, 2, 1, 0]  # flow, rgb; flow, rgb
    assert pooled.rgb.tolist() == [2, 2]
    with pytest.raises(Missing):
        read_pooled(workspace, "b")


def test_only_one_kind_is_compared(tmp_path):
    workspace = Workspace(tmp_path)
    one = np.ones((1, 3), np.float32)
    for name, recipe in {"a": "one", "b": "one", "c": "other"}.items():
        write(workspace, name, recipe, rgb=one)
    write(workspace, "d", rgb=one, flow=one)
    pooled = {number: read_pooled(workspace, name) for number, name in enumerate("abcd")}
    ids, stacked = vectors(pooled, commonest_kind(pooled.values()))
    assert (ids.tolist(), stacked.shape) == ([0, 1], (2, 6))
    assert vectors({}, commonest_kind([]))[1].shape == (0, 1)


def test_without_the_weights_nothing_is_classified(tmp_path, monkeypatch):
    monkeypatch.setenv("PLUSMV_WEIGHTS", str(tmp_path / "none"))
    workspace = Workspace(tmp_path)
    write(workspace, "a", rgb=np.ones((1, 1024), np.float32))
    classifier = Classifier()
    assert classifier.logits({1: read_pooled(workspace, "a")})[1].shape == (0, 400)
    assert "plusmv weights rgb" in classifier.why_not
