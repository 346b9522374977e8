"""The commands, run as a user runs them: from annotations and features to a checkpoint, detections and an mAP."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.core.annotations import AnnotatedVideo, Instance, write_annotations
from plusmv.core.errors import BadInput, Missing, PlusmvError, Refused
from plusmv.core.workspace import Workspace
from plusmv.features.feature_files import write_features
from plusmv.features.pipeline import Extractor
from tests.simulated import ACTIONS, simulated_videos, write_simulated
from tests.small_videos import make_video

DIVE = (Instance("CliffDiving", 0.0, 1.0),)


def plusmv(*arguments) -> dict:
    """Run a command with --json; what it printed on stdout."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A workspace with annotations and features of simulated videos, and three exported microvideos."""
    home = tmp_path_factory.mktemp("home")
    training, training_features = simulated_videos(12, "validation", 1)
    test, test_features = simulated_videos(8, "test", 2)
    clips, clip_features = simulated_videos(3, "microvideo", 3, snippets=12)
    absent = AnnotatedVideo("absent", "test", 9.0, 30.0, next(iter(test.values())).instances)
    write_annotations(home / "annotations.json", [*training.values(), *test.values(), absent])
    write_annotations(home / "exports" / "microvideos.json", clips.values())
    write_simulated(home / "videos", training_features | test_features)
    write_simulated(Workspace(home).features, clip_features)
    return home


@pytest.fixture(scope="module")
def trained(world) -> dict:
    return plusmv("train", *files(world), "--steps", 300, "--lr", 3e-4, "--home", world)


def files(world: Path) -> list:
    return ["--annotations", world / "annotations.json", "--features", world / "videos"]


def test_train_detect_evaluate(world, trained):
    assert (trained["videos"], trained["microvideos"], trained["left_out"]) == (12, 0, {})
    assert trained["classes"] == list(ACTIONS)
    folder = world / "runs" / "bm"
    names = {"checkpoint.safetensors", "curves.csv", "curves.png"}
    assert {path.name for path in folder.iterdir()} - {".lock"} == names
    detections = plusmv("detect", *files(world), "--subset", "test", "--run", "bm", "--home", world)
    assert set(detections) == {"version", "external_data", "results"}
    assert len(detections["results"]) == 8
    assert "no features of absent" in detections["external_data"]["left_out"]["absent"]
    written = folder / "detections.json"
    assert json.loads(written.read_text()) == detections
    result = plusmv(
        "evaluate", "--ground-truth", world / "annotations.json", "--detections", written, "--subset", "test"
    )
    assert list(result)[:8] == [
        "protocol",
        "tiou",
        "mAP",
        "average_mAP",
        "per_class",
        "videos",
        "ground_truth",
        "detections",
    ]
    assert (result["protocol"], result["videos"], len(result["mAP"])) == ("activitynet", 9, 9)
    assert result["mAP"][4] > 0.2
    assert "no detection: absent" in result["notes"][0]


def test_the_same_train_again_does_nothing_and_another_is_refused(world, trained):
    again = plusmv("train", *files(world), "--steps", 300, "--lr", 3e-4, "--home", world)
    assert again["finished_before"]
    with pytest.raises(Refused, match="pool was norm, now mean"):
        plusmv("train", *files(world), "--steps", 300, "--lr", 3e-4, "--pool", "mean", "--home", world)


def test_microvideos_join_from_the_workspace_or_a_file(world):
    joined = plusmv("train", *files(world), "--mv", "--steps", 5, "--home", world)
    assert (joined["run"], joined["videos"], joined["microvideos"]) == ("bm+mv", 15, 3)
    given = ["--mv-set", world / "exports" / "microvideos.json", "--features", world / "features", "--mv-ratio", 0.5]
    named = plusmv("train", *files(world), *given, "--epochs", 1, "--run", "half", "--home", world)
    assert (named["microvideos"], named["settings"]["mv_ratio"], named["settings"]["steps"]) == (3, 0.5, 15)


def test_the_papers_literal_settings_can_be_asked_for(world):
    options = [
        "--pool",
        "mean",
        "--centre",
        0,
        "--batch",
        2,
        "--no-detach",
        "--streams",
        " rgb",
        "--loss-weights",
        "0.1,0,0.1",
    ]
    settings = plusmv("train", *files(world), *options, "--steps", 2, "--run", "literal", "--home", world)["settings"]
    assert (settings["pool"], settings["centre"], settings["detach"], settings["batch"]) == ("mean", 0, False, 2)
    assert (settings["streams"], settings["guide_weight"]) == (["rgb"], 0)


def test_class_scores_of_every_video(world, trained):
    out = world / "scores.csv"
    plusmv("detect", "--features", world / "features", "--scores", out, "--run", "bm", "--home", world)
    rows = [line.split(",") for line in out.read_text().splitlines()]
    assert rows[0] == ["id", "label", "score"]
    assert len(rows) == 1 + 3 * len(ACTIONS)
    clip = {label: float(score) for name, label, score in rows[1:] if name == "microvideo_0001"}
    assert max(clip, key=clip.get) == ACTIONS[1]


def test_a_video_that_lacks_a_stream_is_left_out_and_the_rest_goes_on(world, trained, tmp_path):
    videos, features = simulated_videos(2, "test", 5)
    one, two = features.values()
    write_simulated(tmp_path, {one.id: one, two.id: replace(two, streams={"rgb": two.streams["rgb"]})})
    write_annotations(tmp_path / "a.json", videos.values())
    files = ["--annotations", tmp_path / "a.json", "--features", tmp_path, "--out", tmp_path / "d.json"]
    told = plusmv("detect", *files, "--run", "bm", "--home", world)
    assert list(told["results"]) == [one.id]
    assert "no flow features" in told["external_data"]["left_out"][two.id]


def test_tcam_proposals_and_thresholds(world, trained):
    out = world / "tcam.json"
    options = ["--proposals", "tcam", "--thresholds", "0.05,0.2", "--out", out]
    told = plusmv("detect", *files(world), "--subset", "test", "--run", "bm", *options, "--home", world)
    assert told["external_data"]["detection"]["thresholds"] == [0.05, 0.2]
    assert out.exists()


def test_the_thumos_text_goes_out_and_comes_in_again(world, tmp_path):
    """Only THUMOS14's classes have a number there, as those of the simulated videos do."""
    plusmv("train", *files(world), "--steps", 60, "--lr", 1e-3, "--run", "text", "--home", world)
    out = ["--out", tmp_path / "d.json", "--text", tmp_path / "d.txt"]
    plusmv("detect", *files(world), "--subset", "test", "--run", "text", *out, "--home", world)
    truth = ["evaluate", "--ground-truth", world / "annotations.json", "--subset", "test", "--tiou", "activitynet5"]
    told, again = (plusmv(*truth, "--detections", tmp_path / name) for name in ("d.json", "d.txt"))
    assert told["tiou"] == [0.5, 0.6, 0.7, 0.8, 0.9]
    assert again["mAP"] == pytest.approx(told["mAP"], abs=1e-3)


def test_the_thumos_protocol_takes_the_official_file_of_ambiguous_segments(world, trained, tmp_path):
    plusmv("detect", *files(world), "--subset", "test", "--run", "bm", "--home", world)
    (tmp_path / "Ambiguous_test.txt").write_text("".join(f"test_{i:04d}  0.0 19.2\n" for i in range(8)))
    command = ["evaluate", "--ground-truth", world / "annotations.json", "--subset", "test",
               "--detections", world / "runs" / "bm" / "detections.json"]  # fmt: skip
    plain = plusmv(*command)
    excused = plusmv(
        *command, "--protocol", "thumos", "--ambiguous", tmp_path / "Ambiguous_test.txt", "--videos", "210"
    )
    assert excused["protocol"] == "thumos"
    assert all(more >= less for more, less in zip(excused["mAP"], plain["mAP"], strict=True))
    assert excused["mAP"][4] > plain["mAP"][4]
    assert excused["ground_truth"] == plain["ground_truth"]


def test_diagnosis_in_a_folder_and_in_one_page(world, trained, tmp_path):
    found = world / "runs" / "bm" / "detections.json"
    plusmv("detect", *files(world), "--subset", "test", "--run", "bm", "--home", world)
    truth = ["--ground-truth", world / "annotations.json", "--detections", found, "--subset", "test", "--out", tmp_path]
    drawn = ["--html", tmp_path / "d.html", "--run", "bm", "--features", world / "videos", "--show", 2, "--home", world]
    told = plusmv("diagnose", *truth, *drawn)
    assert told["true_instances"] == plusmv("evaluate", *truth[:6])["ground_truth"]
    assert json.loads((tmp_path / "diagnosis.json").read_text())["impact"] == told["impact"]
    assert (tmp_path / "d.html").read_text().count("data:image/png") == 3
    assert (tmp_path / "diagnosis.png").stat().st_size > 10_000


def test_one_video_drawn_as_two_runs_see_it(world, trained, tmp_path):
    plusmv("train", *files(world), "--steps", 20, "--loss-weights", "0,0,0", "--run", "fg", "--home", world)
    out = ["--out", tmp_path / "v.png", "--home", world, *files(world)]
    told = plusmv("plot", "--video", "test_0001", "--run", "fg", "--run", "bm", *out)
    assert set(told["detections"]) == {"fg", "bm"}
    assert (tmp_path / "v.png").stat().st_size > 20_000


def test_an_ablation_on_simulated_features_and_what_it_leaves(world, tmp_path):
    command = ["experiment", "ablation", "--annotations", world / "annotations.json", "--width", 16, "--seeds", 2,
               "--epochs", 2, "--workers", 1, "--stpn", "--home", tmp_path]  # fmt: skip
    told = plusmv(*command)
    assert [len(table["rows"]) for table in told["tables"]] == [11] * 6  # STPN, the ceiling, whole videos
    assert told["features"].startswith("SIMULATED, width 16")
    assert "order of the videos" in told["note"]
    folder = tmp_path / "runs" / "ablation-simulated"
    assert "± sd over 2 seeds" in (folder / "ablation.md").read_text()
    written = (folder / "BM-0" / "fg-0" / "checkpoint.safetensors").stat().st_mtime_ns
    assert plusmv(*command) == told
    assert (folder / "BM-0" / "fg-0" / "checkpoint.safetensors").stat().st_mtime_ns == written


def test_simulated_features_are_made_once(tmp_path):
    write_annotations(tmp_path / "a.json", simulated_videos(3, "test", 2)[0].values())
    command = ["simulate", "--annotations", tmp_path / "a.json", "--out", tmp_path / "sim", "--width", 16]
    assert (plusmv(*command)["made"], plusmv(*command)["skipped"]) == (3, 3)
    with pytest.raises(BadInput, match="another simulated world"):
        plusmv(*command, "--world", 1)


def test_a_run_of_other_classes_is_refused(world, trained, tmp_path):
    videos, _ = simulated_videos(2, "test", 2)
    foreign = [replace(video, instances=(Instance("Surfing", 0.0, 1.0),)) for video in videos.values()]
    write_annotations(tmp_path / "a.json", foreign)
    command = ["detect", "--annotations", tmp_path / "a.json", "--features", world / "videos", "--run", "bm",
               "--home", world, "--out", tmp_path / "d.json"]  # fmt: skip
    with pytest.raises(Refused, match="another class list: it does not know Surfing"):
        plusmv(*command)
    assert len(plusmv(*command, "--allow-other-classes")["results"]) == 2


def test_what_cannot_be_done_is_one_line(world, trained, tmp_path):
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "empty" / "validation_0000.npy", np.zeros((0, 8), np.float32))
    (tmp_path / "broken.json").write_text("{")
    for kind, words, arguments in [
        (BadInput, "--features DIR", ["train", "--annotations", world / "annotations.json"]),
        (BadInput, "no feature folder", ["train", *files(world)[:2], "--features", tmp_path / "none"]),
        (Missing, "none of 12 videos", ["train", *files(world)[:2], "--features", tmp_path / "empty"]),
        (BadInput, "rgb, flow or both", ["train", *files(world), "--streams", "rgb,foo"]),
        (BadInput, "--mv or --mv-set", ["train", *files(world), "--mv-ratio", "0.5"]),
        (BadInput, "not three numbers", ["train", *files(world), "--loss-weights", "1,2"]),
        (BadInput, "it has test, validation", ["train", *files(world), "--subset", "x"]),
        (BadInput, "is not JSON", ["train", "--annotations", tmp_path / "broken.json", "--features", tmp_path]),
        (BadInput, "plusmv export", ["train", *files(world), "--mv", "--home", tmp_path]),
        (Missing, "no checkpoint", ["detect", *files(world), "--run", "never", "--home", world]),
        (BadInput, "--run NAME", ["detect", *files(world)]),
        (BadInput, "used alone", ["detect", *files(world), "--video", world / "annotations.json", "--run", "bm"]),
        (BadInput, "no video file", ["detect", "--video", tmp_path / "v.mp4", "--run", "bm", "--home", world]),
        (BadInput, "goes with --video", ["detect", *files(world), "--classifier", "kinetics"]),
        (BadInput, "unknown protocol", ["evaluate", "--ground-truth", world / "annotations.json", "--detections",
                                   world / "annotations.json", "--protocol", "x"]),
        (BadInput, "all, 210 or 212", ["evaluate", "--ground-truth", world / "annotations.json", "--detections",
                                       world / "annotations.json", "--videos", "213"]),
        (BadInput, "unknown experiment", ["experiment", "x"]),
        (BadInput, "unknown world", ["experiment", "ablation", "--world", "x"]),
        (BadInput, "--data DIR", ["experiment", "methods", "--world", "cut"]),
        (BadInput, "world/annotations.json", ["experiment", "ablation", "--world", "rendered", "--demo", tmp_path]),
        (BadInput, "unknown bins", ["diagnose", "--ground-truth", world / "annotations.json", "--detections",
                               world / "annotations.json", "--bins", "x"]),
        (BadInput, "once or twice", ["plot", "--video", "v", "--features", world / "videos"]),
        (BadInput, "has no video 'v'", ["plot", "--video", "v", *files(world), "--run", "bm", "--home", world]),
        (BadInput, "above 0", ["evaluate", "--ground-truth", world / "annotations.json", "--detections",
                               world / "annotations.json", "--tiou", "0,0.5"]),
        (BadInput, "no 'results'", ["evaluate", "--ground-truth", world / "annotations.json", "--detections",
                                    world / "annotations.json"]),
    ]:  # fmt: skip
        with pytest.raises(PlusmvError) as caught:
            plusmv(*arguments)
        assert isinstance(caught.value, kind)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_video_file_is_detected_in_with_a_trained_run(tmp_path):
    """Random networks, labelled so in the run: `detect --video` must extract as the run's features were."""
    extractor = Extractor(random_weights=True)
    clips = {name: make_video(tmp_path / f"{name}.mp4", seconds=1.92, fps=25) for name in ("one", "two")}
    for name, path in clips.items():
        write_features(tmp_path / "features" / f"{name}.safetensors", extractor.extract(path, name))
    write_annotations(tmp_path / "a.json", [AnnotatedVideo(n, "validation", 1.92, 25.0, DIVE) for n in clips])
    features = ["--features", tmp_path / "features"]
    plusmv(
        "train", "--annotations", tmp_path / "a.json", *features, "--streams", "rgb", "--steps", 3, "--home", tmp_path
    )
    out = ["--out", tmp_path / "found.json", "--home", tmp_path]
    told = plusmv("detect", "--video", clips["one"], "--run", "bm", "--paper", *out)
    assert told["results"]["one"][0]["segment"] == [0.0, 1.92]
    assert "random" in told["external_data"]["features"]["rgb"]
    assert json.loads((tmp_path / "found.json").read_text()) == told
    assert (tmp_path / "found.png").exists()


def test_help_of_every_command_loads_no_torch():
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom plusmv.cli import app\n"
        "for name in ('train', 'detect', 'evaluate', 'diagnose', 'plot', 'experiment', 'simulate'):\n"
        "    assert CliRunner().invoke(app, [name, '--help']).exit_code == 0\n"
        "assert not {'torch', 'matplotlib', 'av', 'sqlalchemy'} & set(sys.modules)\n"
    )
    root = Path(__file__).resolve().parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env=os.environ | {"COLUMNS": "200"})
