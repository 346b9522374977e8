"""Training: the same bits for a seed, also after kill -9; it learns; a finished or foreign run is told apart."""

import importlib.metadata
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from plusmv.core.errors import BadInput, Missing, Refused
from plusmv.core.locks import one_command
from plusmv.wsal.checkpoints import load_checkpoint, read_tensors, save_checkpoint, write_tensors
from plusmv.wsal.curves import collapse_warnings, read_curves
from plusmv.wsal.detect import DetectionSettings, detect_video, read_video
from plusmv.wsal.evaluate import evaluate
from plusmv.wsal.feature_source import FeatureSource
from plusmv.wsal.settings import Settings
from plusmv.wsal.stack import train_stack
from plusmv.wsal.train import CHECKPOINT, CURVES, StopSignal, train, train_together
from plusmv.wsal.training_set import TrainingSet, load_training_set
from tests.conftest import ROOT
from tests.simulated import simulated_videos, write_simulated

QUICK = Settings(steps=40, lr=1e-3)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_simulated(tmp_path_factory.mktemp("features"), simulated_videos(12, "validation", 1)[1])


@pytest.fixture(scope="module")
def training(folder) -> TrainingSet:
    return load_training_set(simulated_videos(12, "validation", 1)[0], FeatureSource((folder,)))


def test_two_runs_of_one_seed_are_bit_equal_and_another_seed_is_not(training, tmp_path):
    for name in ("a", "b"):
        train(training, QUICK, tmp_path / name)
    assert (tmp_path / "a" / CHECKPOINT).read_bytes() == (tmp_path / "b" / CHECKPOINT).read_bytes()
    assert (tmp_path / "a" / CURVES).read_bytes() == (tmp_path / "b" / CURVES).read_bytes()
    other = train(training, replace(QUICK, seed=1), tmp_path / "c")
    same = load_checkpoint(tmp_path / "a" / CHECKPOINT)
    assert not torch.equal(other.models["rgb"].method.hidden.weight, same.models["rgb"].method.hidden.weight)


def test_a_worker_a_stream_and_many_runs_at_once_end_alike(training, tmp_path):
    runs = {"a": QUICK, "b": QUICK.replaced(guide_weight=0.0), "c": replace(QUICK, seed=1, order_seed=0),
            "d": QUICK.replaced(sigma=2.0)}  # fmt: skip  # d cannot be stacked with the others
    train_together(training, runs, tmp_path / "many", workers=2)
    for name, settings in runs.items():
        train(training, settings, tmp_path / name)
        alone, together = (read_tensors(where / name / CHECKPOINT)[0] for where in (tmp_path, tmp_path / "many"))
        weights, others = (torch.cat([found[n].flatten() for n in sorted(found)]) for found in (alone, together))
        assert (weights - others).norm() <= 1e-5 * weights.norm()
    for file in (CHECKPOINT, CURVES):  # alone in its stack: the same bits in whatever process
        assert (tmp_path / "d" / file).read_bytes() == (tmp_path / "many" / "d" / file).read_bytes()
    assert sorted(path.name for path in (tmp_path / "many").iterdir() if path.name != ".lock") == list(runs)


def test_runs_that_are_finished_are_not_trained_again(training, tmp_path):
    runs = {"a": QUICK, "b": QUICK.replaced(guide_weight=0.0)}
    train_together(training, {"a": QUICK}, tmp_path)
    written = (tmp_path / "a" / CHECKPOINT).stat().st_mtime_ns
    watch = StopSignal()
    assert list(train_together(training, runs, tmp_path, watch=watch)) == ["a", "b"]
    assert (tmp_path / "a" / CHECKPOINT).stat().st_mtime_ns == written
    assert watch.done == 2 * QUICK.steps


STOPPED = """
import sys
from pathlib import Path
from tests.conftest import ROOT
from tests.simulated import simulated_videos
from plusmv.wsal.feature_source import FeatureSource
from plusmv.wsal.settings import Settings
from plusmv.wsal.train import StopSignal, train
from plusmv.wsal.training_set import load_training_set

class Told(StopSignal):
    @property
    def stopping(self):
        if sum(self.steps) == 30:
            print("thirty", flush=True)
        return super().stopping

if __name__ == "__main__":
    training = load_training_set(simulated_videos(12, "validation", 1)[0], FeatureSource((Path(sys.argv[1]),)))
    train(training, Settings(steps=20_000), Path(sys.argv[2]), watch=Told(), keep_seconds=float(sys.argv[3]))
"""


@pytest.mark.parametrize(
    "number, keep",
    [
        (signal.SIGKILL, 0),
        pytest.param(signal.SIGTERM, 1e9, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 1e9, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_was_killed_or_stopped_goes_on_and_ends_in_the_same_bits(training, folder, tmp_path, number, keep):
    """SIGTERM and Ctrl-C keep what was done (nothing else does here), and a kill leaves what was kept."""
    (tmp_path / "stopped.py").write_text(STOPPED)
    command = [sys.executable, tmp_path / "stopped.py", folder, tmp_path / "run", str(keep)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"thirty\n"
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: -2}[number]
    tensors, facts = read_tensors(tmp_path / "run" / "progress-0-rgb.safetensors")
    assert facts["step"] >= 29
    assert not (tmp_path / "run" / CHECKPOINT).exists()
    short = Settings(steps=facts["step"])  # the same numbers so far
    straight = train_stack(training.of_stream("rgb"), [short], ["x"], tmp_path / "straight")
    for name, tensor in straight.tensors().items():
        assert torch.equal(tensor, tensors[name])


def test_a_finished_run_is_left_as_it_is_and_others_are_refused(training, tmp_path):
    first = train(training, QUICK, tmp_path)
    assert not list(tmp_path.glob("progress*"))
    written = (tmp_path / CHECKPOINT).stat().st_mtime_ns
    assert train(training, QUICK, tmp_path).fingerprint == first.fingerprint
    assert (tmp_path / CHECKPOINT).stat().st_mtime_ns == written
    with pytest.raises(Refused, match=r"lr was 0.001, now 0.01\); choose another --run"):
        train(training, replace(QUICK, lr=0.01), tmp_path)
    with pytest.raises(Refused, match="other training data"):
        train(replace(training, videos=training.videos[1:]), QUICK, tmp_path)
    with pytest.raises(Refused, match="other training data"):
        train(replace(training, classes=("One", *training.classes[1:])), QUICK, tmp_path)


def test_a_checkpoint_says_what_it_was_trained_with(training, tmp_path):
    trained = train(training, QUICK, tmp_path)
    assert trained.data == training.digest()
    assert trained.code.partition("+")[0] == importlib.metadata.version("plusmv")
    assert load_checkpoint(tmp_path / CHECKPOINT).settings == QUICK


def test_it_learns_to_localise_simulated_actions(tmp_path):
    videos, features = simulated_videos(16, "validation", 1, width=128)
    training = load_training_set(videos, FeatureSource((write_simulated(tmp_path / "f", features),)))
    trained = train(training, Settings(steps=400, lr=3e-4), tmp_path / "run")
    truth, unseen = simulated_videos(12, "test", 2, width=128)
    readouts = {name: read_video(trained, found) for name, found in unseen.items()}
    top = [trained.classes[r.probability[1:].argmax()] == truth[name].labels[0] for name, r in readouts.items()]
    assert np.mean(top) > 0.9
    found = {name: detect_video(r, trained.classes, DetectionSettings()) for name, r in readouts.items()}
    whole = {
        name: detect_video(r, trained.classes, DetectionSettings(thresholds=(0.0,))) for name, r in readouts.items()
    }
    assert evaluate(truth, found, [0.5])["mAP"][0] > evaluate(truth, whole, [0.5])["mAP"][0] + 0.3
    losses = [row["loss"] for row in read_curves(tmp_path / "run" / CURVES) if row["stream"] == "rgb"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("settings", [
    Settings.of(steps=5, method="stpn"),
    Settings.of(steps=5, pool="mean", centre=0.0, detach=False, bias=True),
    Settings.of(steps=5, background_weight=0, guide_weight=0, cluster_weight=0, streams=("flow",)),
])  # fmt: skip
def test_every_method_trains_and_its_checkpoint_reads_the_same(training, settings, tmp_path):
    trained = train(training, settings, tmp_path)
    again = load_checkpoint(tmp_path / CHECKPOINT)
    assert (again.settings, again.classes, again.stride) == (settings, training.classes, 16)
    features = torch.from_numpy(training.videos[0].streams["flow"])
    one, other = (checkpoint.models["flow"].read(features)[:3] for checkpoint in (trained, again))
    for ours, theirs in zip(one, other, strict=True):
        assert torch.equal(ours, theirs)


def test_a_collapsed_attention_is_told_in_words():
    row = {"stream": "rgb", "attention_mean": 0.99, "attention_q10": 0.95, "attention_q90": 1.0}
    assert "rgb attention is near 1 everywhere" in collapse_warnings([row])[0]
    low = row | {"stream": "flow", "attention_q10": 0.0, "attention_q90": 0.01}
    assert "flow attention is near 0" in collapse_warnings([low])[0]
    flat = row | {"attention_mean": 0.5, "attention_q10": 0.49, "attention_q90": 0.51}
    assert "hardly differs" in collapse_warnings([flat])[0]
    healthy = row | {"attention_q10": 0.1, "attention_q90": 0.9}
    assert collapse_warnings([row, healthy]) == collapse_warnings([row, healthy | {"attention_within": 0.3}]) == []
    by_video = healthy | {"attention_within": 0.01}
    assert "within a video: near 0.10 in some, near 0.90 in others" in collapse_warnings([by_video])[0]


@pytest.mark.parametrize(("height", "settings", "advice"), [
    (1, Settings.of(pool="mean"), "--pool norm"),
    (1, Settings(), "fewer steps, a smaller --lr or a --centre below 8"),
    (1, Settings(centre=0.0), "fewer steps, a smaller --lr"),
    (0, Settings(), "more steps, or a --centre above 8"),
    (0, Settings(centre=0.0), "more steps, or a --centre such as 8"),
    (0, Settings.of(guide_weight=0), "all three losses (--loss-weights 0.1,0.1,0.1)"),
    (0, Settings(method="stpn"), "a --sparsity below 0.0001"),
    (0.5, Settings(centre=1.6), "more steps, or a --centre above 1.6"),
])  # fmt: skip
def test_a_collapse_is_answered_by_what_the_run_does_not_do_already(height, settings, advice):
    row = {"stream": "rgb"} | dict.fromkeys(("attention_mean", "attention_q10", "attention_q90"), height)
    assert collapse_warnings([row], settings)[0].partition("; try ")[2] == advice


def test_two_at_once_in_one_folder_are_refused(training, tmp_path):
    with one_command(tmp_path / "run", "another training"), pytest.raises(Refused):
        train(training, QUICK, tmp_path / "run")
    train(training, QUICK, tmp_path / "run")


def test_what_is_no_checkpoint_is_refused(training, tmp_path):
    with pytest.raises(Missing, match="no checkpoint"):
        load_checkpoint(tmp_path / CHECKPOINT)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(BadInput, match=r"cannot read .*remove it"):
        load_checkpoint(tmp_path / "text")
    trained = train(training, Settings(steps=2), tmp_path / "run")
    save_checkpoint(tmp_path / "other", replace(trained, classes=("One", "Two")))
    with pytest.raises(BadInput, match="cannot use the checkpoint") as caught:
        load_checkpoint(tmp_path / "other")
    assert "\n" not in str(caught.value)


def test_a_run_that_diverges_ends_in_words_and_not_in_a_checkpoint(training, tmp_path):
    with pytest.raises(BadInput, match="smaller --lr"):
        train(training, Settings(steps=20, lr=1e30), tmp_path / "run")
    assert not (tmp_path / "run" / CHECKPOINT).exists()


@pytest.mark.parametrize("method", ["bm", "stpn"])
def test_a_checkpoint_of_format_2_still_reads_the_same(training, method, tmp_path):
    """It kept all linear maps of a stream as rows of one matrix, and the settings of all methods."""
    settings = Settings.of(steps=5, method=method, bias=True, streams=("rgb",), relative=False)
    trained = train(training, settings, tmp_path / "run")
    tensors, facts = read_tensors(tmp_path / "run" / CHECKPOINT)
    new = {name.removeprefix("rgb.method."): tensor for name, tensor in tensors.items()}
    clusters = new.get("clusters.weight", torch.zeros(2, 64))
    first = len(training.classes) + 1 - len(new["classifier.weight"])  # STPN's background row said nothing
    classifier = torch.cat([torch.zeros(first, 64), new["classifier.weight"]])
    old = {
        "weight": torch.cat([new["hidden.weight"], classifier, clusters]),
        "hidden_bias": new["hidden.bias"],
        "attention_weight": new["attention.weight"][0],
        "attention_bias": new["attention.bias"],
        "bias": torch.cat([torch.zeros(first), new["classifier.bias"]]),
        "mean": tensors["rgb.mean"],
        "scale": tensors["rgb.scale"],
    }
    facts |= {"format": "plusmv checkpoint 2", "settings": facts["settings"] | {"sparsity_weight": 1e-4, "sigma": 1.0}}
    write_tensors(tmp_path / "old", {f"rgb.{name}": tensor for name, tensor in old.items()}, facts)
    features = torch.from_numpy(training.videos[0].streams["rgb"])
    one, other = (run.models["rgb"].read(features)[:3] for run in (trained, load_checkpoint(tmp_path / "old")))
    for ours, theirs in zip(one, other, strict=True):
        assert torch.equal(ours, theirs)
