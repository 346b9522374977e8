"""The commands of curation as a user runs them: JSON alone on stdout, errors that say what to do, the way through."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.core.annotations import read_annotations
from plusmv.core.errors import BadInput, PlusmvError
from plusmv.curate.duplicates.limits import SHORTEST_S
from plusmv.curate.review.passwords import is_password
from tests.small_videos import make_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two clips of golfswing, one of them damaged, and one of diving."""
    folder = tmp_path_factory.mktemp("clips")
    make_video(folder / "golfswing" / "a.mp4", 1)
    (folder / "golfswing" / "bad.mp4").write_bytes(b"no video")
    make_video(folder / "diving" / "b.mp4", 2)
    return folder


def plusmv(home, command: str, *arguments) -> Result:
    return CliRunner().invoke(app, [command, *map(str, arguments), *(() if home is None else ("--home", str(home)))])


def result(home, *arguments) -> dict:
    shown = plusmv(home, *arguments, "--json")
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.stdout)


def test_the_shortest_part_that_can_be_found_is_said_in_the_help_and_the_documentation():
    page = (Path(__file__).parents[1] / "docs" / "duplicates.md").read_text(encoding="utf-8")
    for shown in (plusmv(None, "dedup", "--help").stdout, page):
        assert re.search(rf"\b{SHORTEST_S:g} s(econds)?\b", " ".join(shown.split()))


def test_from_a_folder_to_an_export(folder, tmp_path):
    home = tmp_path / "home"
    crawled = result(home, "crawl", "--source", "folder", "--path", folder, "--workers", 1)
    assert (crawled["totals"]["found"], crawled["totals"]["downloaded"], crawled["totals"]["failed"]) == (3, 2, 1)
    assert [failure["post"] for failure in crawled["failures"]] == ["golfswing/bad.mp4"]
    one_tag = result(home, "crawl", "--path", folder, "--action", "GolfSwing")
    assert [(run["tag"], run["known"]) for run in one_tag["runs"]] == [("golfswing", 2)]
    duplicates = result(home, "dedup", "--workers", 1)
    assert (duplicates["clips"], duplicates["fingerprinted"], duplicates["pairs"]) == (2, 2, [])
    (tmp_path / "d.csv").write_text(
        "clip,action,verdict,annotator,seconds\ngolfswing/a.mp4,GolfSwing,keep,me,2\ndiving/b.mp4,Diving,mistagged,me,4\n"
    )
    assert result(home, "decide", "--from", tmp_path / "d.csv") == {"rows": 2, "recorded": 2, "skipped": 0}
    totals = result(home, "report", "--html", tmp_path / "report.html")["totals"]
    assert (totals["clips"], totals["kept"], totals["retention"], totals["seconds_per_clip"]) == (2, 1, 0.5, 3.0)
    assert "GolfSwing" in (tmp_path / "report.html").read_text()
    exported = result(home, "export")
    (video,) = read_annotations(home / "exports" / "microvideos.json").values()
    assert (exported["clips"], exported["labels"], video.labels) == (1, 1, ("GolfSwing",))


def test_people_read_tables_with_counts_that_add_up_and_failures_with_reasons(folder, tmp_path):
    shown = plusmv(tmp_path, "crawl", "--path", folder, "--workers", 1)
    assert shown.exit_code == 0
    assert "3 found = 2 downloaded + 0 known + 0 filtered + 1 failed + 0 gone + 0 tombstoned" in shown.stdout
    assert "failed: golfswing/bad.mp4: cannot read bad.mp4" in shown.stderr
    assert "retry these with --retry-failed" in shown.stderr
    assert "--retry-failed tries them again" in plusmv(tmp_path, "crawl", "--path", folder).stderr


def test_names_are_shown_as_they_are(tmp_path):
    """Brackets and colons in names are neither markup nor emoji, whether printed or in a table."""
    names = ("[/bold]/[red]a.mp4", "[/bold]/:apple:.mp4")
    first, again = (tmp_path / "clips" / name for name in names)
    make_video(first, 1)
    again.write_bytes(first.read_bytes())
    first.with_name(":apple:[x].mp4").write_bytes(b"no video")
    crawled = plusmv(tmp_path / "home", "crawl", "--path", tmp_path / "clips", "--workers", 1)
    shown = plusmv(tmp_path / "home", "dedup", "--workers", 1)
    assert (crawled.exit_code, shown.exit_code) == (0, 0), shown.output
    assert all(name in shown.stdout for name in names)
    assert "[/bold]/:apple:[x].mp4" in crawled.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("crawl",), "--path DIR"),
        (("crawl", "--path", "none"), "there is no folder none"),
        (("crawl", "--path", "{folder}", "--tag", "golf"), "the tags are diving, golfswing"),
        (("crawl", "--path", "{folder}", "--tag", "a", "--action", "b"), "give one of --tag, --action and --actions"),
        (("crawl", "--path", "{folder}", "--action", "Sleeping"), "unknown action 'Sleeping'"),
        (("crawl", "--path", "{folder}", "--actions", "none.csv"), "cannot read none.csv"),
        (("decide", "--from", "none.csv"), "cannot read none.csv"),
        (("extract", "--video", "v.mp4"), "--out"),
        (("extract", "--video", "v.mp4", "--out", "f.npy"), ".safetensors"),
        (("extract", "--streams", "sound"), "streams must be rgb, flow or both"),
        (("extract", "--videos", "none", "--out", "out", "--random-weights"), "no folder none"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(folder, tmp_path, arguments, words):
    shown = plusmv(tmp_path, *(argument.format(folder=folder) for argument in arguments))
    assert isinstance(shown.exception, PlusmvError)
    assert shown.stdout == ""
    assert words in str(shown.exception)
    assert "\n" not in str(shown.exception)


def test_features_of_a_folder_of_videos(tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "out"
    make_video(videos / "v_1.mp4", seconds=0.4)
    (videos / "v_2.mp4").write_bytes(b"")
    arguments = ("extract", "--videos", videos, "--out", out, "--streams", "rgb", "--random-weights", "--workers", 1)
    made = result(tmp_path, *arguments)
    assert (made["done"], made["skipped"], made["failed"]) == (1, 0, 1)
    assert [(clip["id"], clip["state"], clip["snippets"]) for clip in made["clips"]] == [
        ("v_1", "done", 1),
        ("v_2", "failed", None),
    ]
    assert [path.name for path in out.iterdir() if path.suffix != ".lock"] == ["v_1.safetensors"]


def test_label_serves_until_it_is_stopped(tmp_path):
    """The real Streamlit answers on the port asked for, and Ctrl-C leaves no server behind."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "plusmv", "label", "--home", tmp_path, "--port", str(port), "--annotator", "me"]
    said = tmp_path / "said"
    with said.open("w") as output:
        quiet = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.DEVNULL}
        serving = subprocess.Popen([*command, "--no-open"], cwd=tmp_path, start_new_session=True, **quiet)
    try:
        assert _answers(f"http://127.0.0.1:{port}/_stcore/health", seconds=90)
        assert f"http://127.0.0.1:{port}/labeler/open?token=" in said.read_text()
        os.killpg(serving.pid, signal.SIGINT)  # as a terminal does
        serving.wait(timeout=30)
        assert not _answers(f"http://127.0.0.1:{port}/_stcore/health", seconds=0)
    finally:
        if serving.poll() is None:
            os.killpg(serving.pid, signal.SIGKILL)


def test_label_listens_on_this_machine_alone_unless_there_are_passwords(tmp_path):
    file = tmp_path / "passwords"
    label = ("label", "--address", "0.0.0.0", "--port", 1)
    refused = plusmv(tmp_path, *label)
    assert isinstance(refused.exception, PlusmvError) and "--passwords" in str(refused.exception)
    missing = plusmv(tmp_path, *label, "--passwords", file)
    assert "--set-password" in str(missing.exception)
    file.touch(0o600)
    assert "is empty" in str(plusmv(tmp_path, *label, "--passwords", file).exception)
    file.chmod(0o644)
    assert "chmod 600" in str(plusmv(tmp_path, *label, "--passwords", file).exception)
    assert plusmv(tmp_path, "label", "--overlap", 1.5).exit_code == 2
    for name in ("*", "", "http://labeler.example", "labeler.example/", "a b"):
        assert isinstance(plusmv(tmp_path, "label", "--allow-host", name).exception, BadInput)


def test_a_password_is_asked_for_and_never_shown(tmp_path):
    file = tmp_path / "passwords"
    asked = ["label", "--set-password", "ann"]
    assert "--passwords FILE" in str(CliRunner().invoke(app, asked).exception)
    told = CliRunner().invoke(app, [*asked, "--passwords", str(file)], input="far away\nfar away\n")
    assert told.exit_code == 0, told.output
    assert "far away" not in told.output + file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert is_password(file, "ann", "far away")
    short = CliRunner().invoke(app, [*asked, "--passwords", str(file)], input="abc\nabc\n")
    assert isinstance(short.exception, BadInput)
    assert is_password(file, "ann", "far away")


def test_previews_are_made_ahead_and_go_on(folder, tmp_path):
    home = tmp_path / "home"
    result(home, "crawl", "--path", folder, "--workers", 1)
    media = sorted((home / "media").rglob("*.mp4"))
    kept = media[0].read_bytes()
    media[0].write_bytes(b"damaged since")
    made = result(home, "previews", "--workers", 1)
    assert (made["clips"], made["done"], made["skipped"], made["failed"]) == (2, 1, 0, 1)
    assert [failure["clip"] for failure in made["failures"]] == [media[0].stem] and made["failures"][0]["reason"]
    media[0].write_bytes(kept)
    shown = plusmv(home, "previews", "--workers", 1)
    assert "2 clips = 1 done + 1 skipped + 0 failed" in shown.stdout
    assert len(list((home / "previews").rglob("*.mp4"))) == 2
    assert result(home, "previews")["skipped"] == 2


def _answers(url: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
