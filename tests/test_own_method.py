"""A third method, one file outside the project: it trains, is stopped and resumed, detects and stands in the tables."""

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.core.annotations import write_annotations
from plusmv.core.errors import BadInput
from plusmv.wsal.checkpoints import load_checkpoint, read_tensors
from plusmv.wsal.methods.find import find_method, parse_settings
from plusmv.wsal.packing import Packed
from plusmv.wsal.stack import Stack
from tests.simulated import simulated_videos, write_simulated
from tests.test_wsal_commands import plusmv

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


WORLD = ("--annotations", "annotations.json", "--features", "videos")
HOME = ("--home", "home")
MY_METHOD = ("--method", "my_method:Mine", "--set", "contrast_weight=0.25", "--steps", "120")
CHECKPOINT = "checkpoint.safetensors"


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory) -> Iterator[None]:
    """Work in a folder with the method and a small simulated world. Only the program adds it to sys.path."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_method.py").write_text(MINE)
    training, training_features = simulated_videos(8, "validation", 1, width=16)
    test, test_features = simulated_videos(4, "test", 2, width=16)
    write_annotations(folder / "annotations.json", [*training.values(), *test.values()])
    write_simulated(folder / "videos", training_features | test_features)
    before = list(sys.path)
    sys.path[:] = filter(None, before)  # "" would be the working folder
    with contextlib.chdir(folder):
        yield
    sys.path[:] = before
    sys.modules.pop("my_method", None)


@pytest.fixture(scope="module")
def straight(folder) -> dict:
    """A run without interruption, each stream in a fresh process."""
    return plusmv("train", *WORLD, *MY_METHOD, "--workers", "2", "--run", "straight", *HOME)


def test_it_trains(straight):
    assert straight["settings"]["method"] == "my_method:Mine"
    assert straight["settings"]["contrast_weight"] == 0.25
    assert set(straight["last"]) == {"rgb", "flow"}
    assert "rgb.method.temperature" in read_tensors(Path(straight["checkpoint"]))[0]


def test_it_resumes_to_the_same_bits_after_sigterm(straight, monkeypatch):
    arguments = ("train", *WORLD, *MY_METHOD, "--workers", "1", "--run", "stopped", *HOME)
    with monkeypatch.context() as patch:
        patch.setattr(Stack, "step", signalled(Stack.step, after=50))
        stopped = CliRunner().invoke(app, [*arguments, "--json"])
    assert stopped.exit_code == 128 + signal.SIGTERM
    run = Path("home", "runs", "stopped")
    (progress,) = run.glob("progress*")
    assert read_tensors(progress)[1]["step"] == 50
    plusmv(*arguments)
    assert not list(run.glob("progress*"))
    assert (run / CHECKPOINT).read_bytes() == Path(straight["checkpoint"]).read_bytes()


def signalled(step: Callable, after: int) -> Callable:
    """A training step that raises SIGTERM in this process once `after` steps are done."""

    def stepped(stack: Stack, videos: Packed) -> None:
        step(stack, videos)
        if stack.done == after:
            signal.raise_signal(signal.SIGTERM)

    return stepped


def test_it_detects_with_its_own_score(straight):
    found = plusmv("detect", *WORLD, "--subset", "test", "--run", "straight", "--device", "cpu", *HOME)
    assert json.loads(Path(straight["checkpoint"]).with_name("detections.json").read_text()) == found
    scores = [each["score"] for video in found["results"].values() for each in video]
    assert scores
    assert all(0 <= score <= 1 for score in scores)  # its own: softmax, not raw logits


def test_it_stands_in_the_tables_of_an_experiment():
    result = plusmv(
        "experiment", "ablation", *WORLD, "--method", "my_method:Mine", "--set", "share=0.25", "--seeds", "2",
        "--epochs", "1", "--streams", "rgb", "--workers", "1", *HOME,
    )  # fmt: skip
    rows = {row["row"]: row for row in result["tables"][0]["rows"]}
    assert len(rows) == 11  # eight choices of losses, this one, the supervised ceiling, whole videos
    assert rows["Mine"]["seeds"] == 2
    assert "| Mine |" in Path("home", "runs", "ablation-own", "ablation.md").read_text()
    own = load_checkpoint(Path("home", "runs", "ablation-own", "Mine-1", "Mine-1", CHECKPOINT)).settings.own
    assert own.share == 0.25


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
