"""Exit codes of what was only partly done: 0 done, 1 nothing or less than half (with --strict: not all), 2 an error."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.core.annotations import AnnotatedVideo, Instance, write_annotations
from plusmv.core.errors import BadInput
from plusmv.core.outcome import falls_short
from plusmv.core.workspace import Workspace
from plusmv.curate.crawl import recheck, results
from plusmv.curate.dataset import extract
from plusmv.features.feature_files import VideoFeatures, write_features
from plusmv.wsal.class_names import nearest_class
from plusmv.wsal.training_set import NoMicrovideos
from tests.simulated import simulated_videos, write_simulated
from tests.small_videos import make_video


def plusmv(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def ended(done: int, skipped: int, failed: int, strict: bool = False) -> bool:
    return falls_short({"done": done, "skipped": skipped, "failed": failed}, strict)


def test_nothing_or_less_than_half_falls_short_and_what_was_done_before_counts():
    assert ended(0, 0, 0) and ended(0, 0, 3) and ended(1, 0, 2) and ended(0, 1, 2)
    assert not (ended(1, 0, 0) or ended(0, 3, 0) or ended(1, 0, 1) or ended(1, 1, 2) or ended(99, 0, 1))
    assert ended(99, 0, 1, strict=True) and not ended(0, 3, 0, strict=True)


def npz(folder: Path, good: int, bad: int) -> Path:
    folder.mkdir()
    for number in range(good):
        np.savez(folder / f"good{number}.npz", rgb=np.ones((3, 4)))
    for number in range(bad):
        np.savez(folder / f"bad{number}.npz", rgb=np.full((3, 4), np.nan))
    return folder


@pytest.mark.parametrize(
    ("good", "bad", "code", "strict_code"), [(0, 0, 1, 1), (0, 2, 1, 1), (1, 2, 1, 1), (2, 2, 0, 1), (2, 0, 0, 0)]
)
def test_features_import_and_export(tmp_path, good, bad, code, strict_code):
    theirs, ours = npz(tmp_path / "theirs", good, bad), tmp_path / "ours"
    for moment in ("first", "again"):  # what was there before counts as done
        shown = plusmv("features", "import", "--from", theirs, "--to", ours, "--json")
        assert shown.exit_code == code, moment
        told = json.loads(shown.stdout)
        assert (told["done"] + told["skipped"], told["failed"]) == (good, bad)
        if code and good + bad:
            assert f"{good} of {good + bad}" in shown.stderr.splitlines()[-1]
    assert plusmv("features", "import", "--from", theirs, "--to", ours, "--strict").exit_code == strict_code
    assert plusmv("--strict", "features", "import", "--from", theirs, "--to", ours).exit_code == strict_code
    export = ("features", "export", "--features", theirs, "--to", tmp_path / "out", "--layout", "npz")
    assert plusmv(*export, "-q").exit_code == code


def test_features_compact_and_verify(tmp_path):
    compact = ("features", "compact", "--features", tmp_path)
    assert plusmv(*compact).exit_code == 1  # there is nothing
    write_features(tmp_path / "v.safetensors", VideoFeatures("v", {"rgb": np.ones((3, 4), np.float32)}, 25.0))
    assert plusmv(*compact).exit_code == 0
    assert plusmv(*compact).exit_code == 0  # packed before
    for name in "ab":
        (tmp_path / f"{name}.safetensors").write_bytes(b"damaged")
    assert plusmv(*compact).exit_code == 1
    assert plusmv("features", "verify", "--features", tmp_path).exit_code == 1
    theirs = npz(tmp_path / "theirs", 2, 0)
    assert plusmv("features", "compact", "--features", theirs).exit_code == 1  # packs files of ours only


@pytest.fixture
def benchmark(tmp_path):
    """Annotations of four training and two test videos, and the features of as many as asked for."""
    training, training_features = simulated_videos(4, "validation", 1)
    test, test_features = simulated_videos(2, "test", 2)
    write_annotations(tmp_path / "annotations.json", [*training.values(), *test.values()])

    def provide(training_videos: int, test_videos: int) -> list[object]:
        chosen = [*training_features.items()][:training_videos] + [*test_features.items()][:test_videos]
        folder = tmp_path / f"features-{training_videos}-{test_videos}"
        write_simulated(folder, dict(chosen))
        return ["--annotations", tmp_path / "annotations.json", "--features", folder, "--home", tmp_path]

    return provide


def test_train_and_detect_on_a_minority_of_the_videos(benchmark, tmp_path):
    few = plusmv("train", "--steps", 2, "--json", "--run", "few", *benchmark(1, 0))
    told = json.loads(few.stdout)
    assert (few.exit_code, told["done"], told["skipped"], told["failed"]) == (1, 1, 0, 3)
    assert (tmp_path / "runs" / "few" / "checkpoint.safetensors").is_file()
    detect = ("detect", "--run", "few", "--json", *benchmark(2, 1))
    assert plusmv(*detect, "--subset", "TEST").exit_code == 0
    assert plusmv(*detect, "--subset", "Test", "--strict").exit_code == 1
    facts = json.loads(plusmv(*detect, "--subset", "test").stdout)["external_data"]
    assert (facts["done"], facts["failed"]) == (1, 1)
    lonely = ("detect", "--run", "few", *benchmark(1, 0))
    assert plusmv(*lonely, "--out", tmp_path / "d.json").exit_code == 1
    assert plusmv(*lonely, "--scores", tmp_path / "scores.csv").exit_code == 1


@pytest.mark.parametrize(("named", "code"), [((), 1), (("a",), 1), (("a", "b"), 0), (("x", "y", "z"), 1)])
def test_evaluate_needs_detections_of_half_of_the_videos(tmp_path, named, code):
    """An empty list is an answer: nothing was found there."""
    videos = [AnnotatedVideo(name, "test", 10.0, 25.0, (Instance("Run", 0, 9),)) for name in "abcd"]
    write_annotations(tmp_path / "a.json", videos)
    (tmp_path / "d.json").write_text(json.dumps({"results": {name: [] for name in named}}))
    shown = plusmv("evaluate", "--ground-truth", tmp_path / "a.json", "--detections", tmp_path / "d.json", "--json")
    told = json.loads(shown.stdout)
    known = len({*"abcd"} & {*named})
    assert (shown.exit_code, told["done"], told["failed"]) == (code, known, 4 - known)


@pytest.mark.slow
def test_curation(tmp_path):
    clips, home = tmp_path / "clips", ("--home", tmp_path / "home")
    make_video(clips / "diving" / "a.mp4", 1, seconds=0.4)
    for name in "bc":
        (clips / "diving" / f"{name}.mp4").write_bytes(name.encode())
    crawl = ("crawl", "--path", clips, "--workers", 1, *home)
    assert plusmv(*crawl).exit_code == 1  # one of three
    assert plusmv(*crawl).exit_code == 1  # known, but two of them failed before
    for name in "bc":
        (clips / "diving" / f"{name}.mp4").unlink()
    assert plusmv(*crawl).exit_code == 0  # known
    assert plusmv("dedup", "--workers", 1, *home).exit_code == 0
    assert plusmv("rank", *home).exit_code == 1  # no clip has features
    assert plusmv("leaks", "--workers", 1, *home).exit_code == 1  # no benchmark's videos are known
    assert plusmv("export", *home).exit_code == 1  # no clip is kept
    (tmp_path / "d.csv").write_text("clip,action,verdict,annotator\n")
    assert plusmv("decide", "--from", tmp_path / "d.csv", *home).exit_code == 1
    (tmp_path / "d.csv").write_text("clip,action,verdict,annotator\ndiving/a.mp4,Diving,keep,me\n")
    for _ in ("recorded", "known"):
        assert plusmv("decide", "--from", tmp_path / "d.csv", *home).exit_code == 0
    assert plusmv("export", *home).exit_code == 0
    assert plusmv("recheck", "--path", clips, *home).exit_code == 0
    assert plusmv("recheck", *home).exit_code == 1  # a folder's posts are visited with --path alone
    assert plusmv("dedup", "--home", tmp_path / "empty").exit_code == 1


def test_posts_and_clips_as_done_skipped_and_failed():
    """The crawl's and the extraction's own words; what failed before is not achieved because it is known."""
    totals = {"found": 21, "downloaded": 1, "known": 6, "filtered": 3, "failed": 4, "gone": 5, "tombstoned": 2}
    crawled = results.ended({"totals": totals, "failed_before": 2})
    assert crawled == {"done": 1, "skipped": 4 + 3 + 2, "failed": 4 + 5 + 2}
    visits = {"posts": 6, "there": 1, "gone": 1, "back": 1, "unknown": 1, "not_visited": 2}
    assert recheck.ended(visits) == {"done": 3, "skipped": 2, "failed": 1}
    assert recheck.ended(visits | {"there": 0, "gone": 0, "back": 0}) == {"done": 0, "skipped": 0, "failed": 3}
    clips = [extract.Extracted("a", "done", None, 3), extract.Extracted("b", "skipped", "there", 3)]
    clips += [extract.Extracted("c", "skipped", "failed before"), extract.Extracted("d", "failed", "damaged")]
    assert extract.ended(extract.summary(clips)) == {"done": 1, "skipped": 1, "failed": 2}


def microvideos(home: Path, *labels: str) -> None:
    clips = {f"clip{number}": label for number, label in enumerate(labels)}
    write_annotations(
        home / "exports" / "microvideos.json",
        [AnnotatedVideo(name, "microvideo", 0.0, 0.0, (Instance(label, 0, 3),)) for name, label in clips.items()],
    )
    for name in clips:
        features = {stream: np.ones((5, 64), np.float32) for stream in ("rgb", "flow")}
        write_features(Workspace(home).features / f"{name}.safetensors", VideoFeatures(name, features, 25.0))


def test_microvideos_that_add_nothing_are_an_error_with_the_nearest_spelling(benchmark, tmp_path):
    train = ("train", "--mv", "--steps", 2, "--json", *benchmark(4, 0))
    microvideos(tmp_path, "golf swing", "highjump", "Skating")
    failed = plusmv(*train)
    assert isinstance(failed.exception, NoMicrovideos)
    for name in ("golf swing", "GolfSwing", "highjump", "HighJump", "Skating", "CliffDiving", "TennisSwing"):
        assert name in str(failed.exception)
    assert not (tmp_path / "runs").exists()
    microvideos(tmp_path, "GolfSwing", "highjump", "Skating")
    few = plusmv(*train)
    assert (few.exit_code, json.loads(few.stdout)["microvideos"]) == (1, 1)  # one of three
    microvideos(tmp_path, "GolfSwing", "HighJump", "Skating")
    most = plusmv(*train, "--run", "most")
    assert (most.exit_code, json.loads(most.stdout)["microvideos"]) == (0, 2)
    assert "clip2" in json.loads(most.stdout)["left_out"]


def test_the_nearest_class_ignores_case_and_spacing_and_offers_nothing_far():
    classes = ("Juggling", "Segway", "GolfSwing")
    offered = {label: nearest_class(label, classes) for label in ("segway", "golf_swing", "soccerjuggling", "Diving")}
    assert offered == {
        "segway": "Segway", "golf_swing": "GolfSwing", "soccerjuggling": "Juggling", "Diving": None,
    }  # fmt: skip
    assert nearest_class("x", ()) is None


@pytest.mark.parametrize("kind", ["circle", "folder", "nowhere", "home-is-a-file"])
def test_the_labeler_does_not_start_on_what_can_be_no_catalog(tmp_path, kind):
    home = tmp_path / "home"
    home.write_text("") if kind == "home-is-a-file" else home.mkdir()
    if kind == "folder":
        (home / "catalog.db").mkdir()
    elif kind != "home-is-a-file":
        (home / "catalog.db").symlink_to("catalog.db" if kind == "circle" else tmp_path / "nowhere" / "catalog.db")
    assert isinstance(plusmv("label", "--no-open", "--port", 1, "--home", home).exception, BadInput)


@pytest.mark.parametrize("most", ["inf", "9" * 5000, "0"])
def test_any_number_of_megabytes_is_a_bound(tmp_path, most):
    (tmp_path / "clips").mkdir()
    crawl = ("crawl", "--path", tmp_path / "clips", "--max-megabytes", most, "--home", tmp_path / "home")
    assert plusmv(*crawl).exit_code == 1  # there were no posts
