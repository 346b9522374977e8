"""Experiments: their rows and seeds, tables with mean, sd and significance, and what a run of a command leaves."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.core.annotations import AnnotatedVideo, Instance, write_annotations
from plusmv.core.errors import BadInput
from plusmv.features.feature_files import VideoFeatures, write_features
from plusmv.wsal.curves import curves_csv
from plusmv.wsal.experiment_scores import Score, Scored, collapse
from plusmv.wsal.experiment_tables import cells, summarised
from plusmv.wsal.experiments import PROPOSAL_VARIANTS, Training, ablation, ablation_rows, methods, seeded, stacks_of
from plusmv.wsal.settings import PAPER, Settings
from plusmv.wsal.supervised import SUPERVISED, WHOLE, SupervisedSettings, action_shares, detect_supervised, fit
from plusmv.wsal.worlds import COMPOSED, composed_world

ACTIONS = ("BasketballDunk", "CricketBowling", "Surfing", "Archery")
SECONDS = 6 * 16 / 25  # of a clip of six snippets


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """A folder of clips as the composed worlds take it: a snippet's first features say which action is in it."""
    folder = tmp_path_factory.mktemp("clips")
    draws, rows, videos = np.random.default_rng(0), [], []
    for place, action in enumerate((*ACTIONS, "Cello")):
        role = "other" if action == "Cello" else "action"
        for source in (1, 2, 12, 13):
            name = f"{action}_{source}"
            rows.append({"id": name, "class": action, "source": f"g{source:02d}", "role": role})
            array = draws.normal(scale=0.1, size=(6, 8)).astype(np.float32)
            array[:, place] += 1
            if role == "action":
                array[2:5, 5] += 4  # what moves, whatever the action
                instance = Instance(action, 2 * 0.64, 5 * 0.64)
                videos.append(AnnotatedVideo(name, "clip", SECONDS, 25.0, (instance,)))
            features = VideoFeatures(name, {"rgb": array}, 25.0, duration=SECONDS)
            write_features(folder / "features" / f"{name}.safetensors", features, "float32")
    with open(folder / "real.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "class", "source", "role"])
        writer.writeheader()
        writer.writerows(rows)
    write_annotations(folder / "segments.json", videos)
    return folder


def test_the_rows_are_every_choice_of_three_terms():
    rows = ablation_rows(Settings.of())
    terms = {settings.own for settings in rows.values()}
    assert len(rows) == len(terms) == 8
    assert next(iter(rows)) == "fg"
    assert rows["fg + bg + guide + cluster"] == Settings.of()
    assert rows["fg + bg"] == Settings.of(guide_weight=0.0, cluster_weight=0.0)
    assert ablation_rows(Settings(), [Settings(method="stpn")])["STPN"].method == "stpn"


def test_a_seed_is_of_weights_and_order_and_runs_of_one_order_are_one_stack():
    runs = seeded(ablation_rows(Settings(), [Settings(method="stpn")]), 5)
    assert len(runs) == len(set(runs.values())) == 45
    assert len({settings.shared() for settings in runs.values()}) == len(stacks_of(runs)) == 10
    assert {settings.order for settings in runs.values()} == {0, 1, 2, 3, 4}
    with pytest.raises(BadInput, match="at least one seed"):
        seeded({}, 0)


def test_a_method_trains_in_its_own_defaults_but_for_what_was_given():
    common = Training(("rgb",), 200, {"lr": 3e-4})
    assert common.settings("bm", {}) == Settings.of(streams=("rgb",), lr=3e-4, steps=5000)
    assert Training(("rgb",), 20, {}).settings("bm", {"pool": "mean"}).steps == 3000
    assert Training(("rgb",), 20, {"batch": 8}, epochs=2).settings("stpn", {}).steps == 6
    plan = methods([Settings(), Settings(method="stpn")], 2)
    assert (list(plan.rows), plan.base, len(plan.tables)) == (["BM", "STPN"], "BM", 2)
    assert ablation(Settings(), [], 2).base == "fg + bg + guide + cluster"


def test_tables_hold_mean_and_sd_over_seeds_collapsed_runs_included_and_the_difference_from_the_base():
    def run(row: str, seed: int, value: float, verdict: list[str]) -> Scored:
        spread = [0.0, value, 1.0]
        score = Score(row=row, seed=seed, way="w", mAP=[value] * 9, top1=value, attention=spread, collapse=verdict)
        return Scored(score, np.full((101, 2), value))

    scored = [run("fg", 0, 0.1, ["flat"]), run("fg", 1, 0.3, []), run("all", 0, 0.5, []), run("all", 1, 0.5, [])]
    (table,) = summarised(scored, ["fg", "all"], "all", ["w"])
    assert table["rows"][0]["mAP"]["mean"] == pytest.approx([0.2] * 9)
    assert table["rows"][0]["mAP"]["sd"] == pytest.approx([0.02**0.5] * 9)
    assert table["comparisons"][0]["difference"] == pytest.approx(-0.3)
    fg, _ = cells(table)
    assert (fg[0], fg[1], fg[-3], fg[-2][:5]) == ("fg", "20.0 ± 14.1", "1 of 2", "-30.0")
    one_seed = summarised(scored[:1], ["fg"], "fg", ["w"])[0]["rows"][0]
    assert one_seed["mAP"]["sd"] is None


def test_a_stream_whose_mean_attention_leaves_the_range_has_collapsed(tmp_path):
    row = {"step": 1, "loss": 1.0, "fg": 1.0, "attention_q10": 0.0, "attention_q50": 0.0, "attention_q90": 0.06}
    (tmp_path / "curves.csv").write_text(
        curves_csv([row | {"stream": "rgb", "attention_mean": 0.01}, row | {"stream": "flow", "attention_mean": 0.03}])
    )
    assert collapse(tmp_path) == ["the mean of the rgb attention is 0.010"]


def test_worlds_are_composed_as_the_real_ones_unless_told_otherwise(clips):
    scene = composed_world("in-scene", clips)
    assert scene.judged == ("BasketballDunk", "CricketBowling")
    assert (len(scene.training), len(scene.test)) == (6, 6)  # three actions; sources 1, 2 and 12, 13
    cut = composed_world("cut", clips)
    assert (len(cut.training), len(cut.test), cut.judged) == (2 + 1 + 1 + 2, 8, None)  # rare actions are rare
    assert COMPOSED["cut"].most["Archery"] == 1
    held_out = composed_world("in-scene", clips, "1", "2", ["Archery"], ["Archery"])
    assert [*held_out.test] == ["in-scene_Archery_02"]
    with pytest.raises(BadInput, match="Diving"):
        composed_world("in-scene", clips, judged=["Diving"])


def test_the_supervised_ceiling_learns_the_borders_that_it_is_shown(clips):
    world = composed_world("in-scene", clips)
    features, _ = world.features.read_all([*world.training.values(), *world.test.values()])
    video = world.training["in-scene_Surfing_01"]
    shares = action_shares(video, features[video.id].seconds(), ACTIONS[:3])
    assert shares[:, 2] == pytest.approx([0, 0, 1, 1, 1, 0], abs=1e-4)
    pairs = [(world.training[name], features[name]) for name in world.training]
    model = fit(pairs, ACTIONS[:3], SupervisedSettings(("rgb",), steps=150))
    best = detect_supervised(model, features[video.id], ACTIONS[:3])[0]
    assert (best.label, best.start) == ("Surfing", 1.28) and best.end == pytest.approx(3.2)


def test_a_table_of_methods_is_a_file_that_the_same_command_makes_again(clips, tmp_path):
    command = ["experiment", "methods", "--world", "in-scene", "--data", clips, "--method", "stpn", "--seeds", 2,
               "--steps", 40, "--workers", 1, "--home", tmp_path, "--json"]  # fmt: skip
    told = json.loads(CliRunner().invoke(app, [*map(str, command)], catch_exceptions=False).stdout)
    rows = {row["row"]: row for row in told["tables"][0]["rows"]}
    assert [*rows] == ["BM", "STPN", SUPERVISED, WHOLE]
    assert rows[SUPERVISED]["mAP"]["mean"][6] > rows[WHOLE]["mAP"]["mean"][6] == 0  # at tIoU .7
    assert (rows["STPN"]["seeds"], told["judged"]) == (2, ["BasketballDunk", "CricketBowling"])
    assert told["features"] == "composed of real clips, at feature level"
    assert {each["row"] for each in told["tables"][0]["comparisons"]} == {"STPN", SUPERVISED, WHOLE}
    assert told["settings"]["STPN"]["steps"] == 40 and told["detection"]["BM"]
    assert told["training"]["STPN"]["seconds"] > 0 and {"torch", "code of BM"} <= {*told["versions"]}
    folder = tmp_path / "runs" / "methods-in-scene"
    assert json.loads((folder / "methods.json").read_text()) == told
    trained = folder / "BM-1" / "BM-1" / "checkpoint.safetensors"
    text, written = (folder / "methods.md").read_text(), trained.stat().st_mtime_ns
    (folder / "methods.md").unlink()
    assert json.loads(CliRunner().invoke(app, [*map(str, command)]).stdout) == told
    assert (folder / "methods.md").read_text() == text and trained.stat().st_mtime_ns == written


def test_an_ablation_to_the_papers_letter(clips, tmp_path):
    command = ["experiment", "ablation", "--world", "in-scene", "--data", clips, "--paper", "--seeds", 1, "--steps", 2,
               "--workers", 1, "--home", tmp_path, "--json"]  # fmt: skip
    told = json.loads(CliRunner().invoke(app, [*map(str, command)], catch_exceptions=False).stdout)
    rows = [settings for row, settings in told["settings"].items() if row.startswith("fg")]
    assert len(rows) == 8 and all(PAPER.items() <= settings.items() for settings in rows)


def test_every_ablation_stands_under_all_ways_of_detection():
    assert len(PROPOSAL_VARIANTS) == len(ablation(Settings(), [], 1).tables) == 6
