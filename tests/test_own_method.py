"""A third method, one file outside the project: it trains, is stopped and resumed, detects and stands in the tables."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from plusmv.core.errors import BadInput
from plusmv.wsal.checkpoints import load_checkpoint, read_tensors
from plusmv.wsal.methods.find import find_method, parse_settings
from tests.conftest import ROOT

MINE = '''
"""Top-k pooling of class scores gated by a two-layer attention, with a term and a detection score of its own."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from plusmv.wsal.methods.method import Method, Reading


@dataclass(frozen=True)
class MineSettings:
    share: float = 0.125  # of the snippets that vote
    contrast_weight: float = 0.5
    gate: bool = True


class Readout(NamedTuple):
    attention: torch.Tensor  # (N,)
    activation: torch.Tensor  # (N, C+1)


class Mine(Method):
    Settings = MineSettings
    WEIGHTS = {"contrast": "contrast_weight"}

    def __init__(self, width, classes, settings):
        super().__init__(width, classes, settings)
        self.attention = nn.Sequential(nn.Linear(width, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))
        self.classifier = nn.Linear(width, classes + 1)
        self.temperature = nn.Parameter(torch.ones(()))  # a parameter of its own

    def forward(self, x):
        gate = self.attention(x)[:, 0].sigmoid()  # (N,)
        return Readout(gate, self.classifier(x) * self.temperature)

    def video_logits(self, readout, videos):
        score = readout.activation * readout.attention[:, None] if self.settings.gate else readout.activation
        parts = score.split(videos.lengths)  # (T, C+1) each
        return torch.stack([part.topk(max(1, int(len(part) * self.settings.share)), 0)[0].mean(0) for part in parts])

    def losses(self, readout, videos):
        log_p = self.video_logits(readout, videos).log_softmax(-1)  # (B, C+1)
        return {
            "fg": -(videos.targets * log_p).sum(-1),
            "contrast": -videos.mean((readout.attention - 0.5).abs()),
        }

    def read(self, x):
        attention, activation = self(x)
        probability = activation.topk(max(1, len(x) // 8), 0)[0].mean(0).softmax(-1)
        return Reading(attention, activation, probability, score=activation.softmax(-1))
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A working folder with the method and a small simulated world."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_method.py").write_text(MINE)
    draws = json.loads(command(folder, "simulate", "--out", "world", "--width", "16"))
    assert draws["made"]
    return folder


def command(folder: Path, *arguments: str) -> str:
    done = subprocess.run(line(arguments), cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def line(arguments: tuple[str, ...]) -> list[str]:
    home = [] if arguments[0] == "simulate" else ["--home", "home"]
    return [sys.executable, "-c", "from plusmv.cli import main; main()", *arguments, *home, "--json"]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}  # the working folder is not on sys.path


WORLD = ("--annotations", "world/annotations.json", "--features", "world/features")
TRAIN = ("train", *WORLD, "--method", "my_method:Mine", "--streams", "rgb", "--set", "contrast_weight=0.25")


def test_it_trains_resumes_to_the_same_bits_and_detects(folder):
    steps = ("--steps", "1500")
    result = json.loads(command(folder, *TRAIN, *steps, "--run", "straight"))
    assert result["settings"]["method"] == "my_method:Mine"
    assert result["settings"]["contrast_weight"] == 0.25
    with subprocess.Popen(line((*TRAIN, *steps, "--run", "stopped", "--workers", "1")), cwd=folder, env=environment(),
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:  # fmt: skip
        while not (folder / "home" / "runs" / "stopped").exists() and process.poll() is None:
            time.sleep(0.02)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert list((folder / "home" / "runs" / "stopped").glob("progress*"))
    command(folder, *TRAIN, *steps, "--run", "stopped")
    one, other = (folder / "home" / "runs" / run / "checkpoint.safetensors" for run in ("straight", "stopped"))
    assert one.read_bytes() == other.read_bytes()
    assert "rgb.method.temperature" in read_tensors(one)[0]
    command(folder, "detect", *WORLD, "--subset", "test", "--run", "straight", "--device", "cpu")
    found = json.loads((folder / "home" / "runs" / "straight" / "detections.json").read_text())
    scores = [each["score"] for video in found["results"].values() for each in video]
    assert scores
    assert all(0 <= score <= 1 for score in scores)  # its own: softmax, not raw logits


def test_it_stands_in_the_tables_of_an_experiment(folder):
    result = json.loads(command(
        folder, "experiment", "ablation", *WORLD, "--method", "my_method:Mine", "--set", "share=0.25", "--seeds", "2",
        "--epochs", "1", "--streams", "rgb", "--workers", "2",
    ))  # fmt: skip
    rows = {row["row"]: row for row in result["tables"][0]["rows"]}
    assert len(rows) == 9
    assert rows["Mine"]["seeds"] == 2
    own = load_checkpoint_of(folder, folder / "home" / "runs" / "ablation" / "Mine-1" / "checkpoint.safetensors")
    assert own.share == 0.25


def load_checkpoint_of(folder: Path, path: Path):
    before = Path.cwd()
    os.chdir(folder)
    try:
        return load_checkpoint(path, torch.device("cpu")).settings.own
    finally:
        os.chdir(before)
        sys.path.remove(str(folder))
        sys.modules.pop("my_method", None)


@pytest.mark.parametrize("name", ["x", "nowhere:Mine", "plusmv.wsal.settings:Settings", "plusmv.wsal.settings:None_"])
def test_what_is_not_a_method_is_refused_in_one_line(name):
    with pytest.raises(BadInput) as caught:
        find_method(name)
    assert "\n" not in str(caught.value)


def test_settings_are_typed_and_unknown_ones_refused():
    given = ["guide_weight=0.5", "detach=false", "hidden=32", "pool=mean"]
    assert parse_settings("bm", given) == {"guide_weight": 0.5, "detach": False, "hidden": 32, "pool": "mean"}
    for wrong in ("guide_weight", "gudie_weight=1", "hidden=many", "detach=perhaps", "pool=max"):
        with pytest.raises(BadInput):
            parse_settings("bm", [wrong])
