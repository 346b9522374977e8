"""The commands against the platform server: real Instaloader and real yt-dlp in processes of their own, unpatched."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.core.errors import PlusmvError
from plusmv.core.workspace import Workspace
from plusmv.curate.crawl.results import ENDINGS
from plusmv.db.models import Clip, CrawlRun, Post, ReasonCode, Sighting
from plusmv.db.session import open_catalog
from tests.conftest import ROOT
from tests.platform_server import PlatformServer, playing
from tests.platform_sites import Platform, Switches


@pytest.fixture
def server(films, tmp_path):
    with PlatformServer(Platform(films), tmp_path) as server:
        yield server
        assert server.refused == []


@pytest.fixture
def session(tmp_path) -> Path:
    """A session of Instagram that is logged in, in a file that nobody else may read."""
    file = tmp_path / "session.json"
    file.write_text('{"sessionid": "s", "ds_user_id": "1", "csrftoken": "c"}')
    file.chmod(0o600)
    return file


def command(home: Path, *arguments: str) -> list[str]:
    pace = ("--pause", "0") if arguments[0] in ("crawl", "recheck") else ()
    return [sys.executable, "-m", "plusmv", *arguments, *pace, "--home", str(home), "--json"]


def plusmv(server, session, home: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = server.environment(PLUSMV_INSTAGRAM_SESSION=str(session))
    return subprocess.run(
        command(home, *arguments), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200
    )


def crawled(server, session, home: Path, *arguments: str, code: int = 0) -> dict:
    done = plusmv(server, session, home, "crawl", "--workers", "1", *arguments)
    assert done.returncode == code, done.stderr
    result = json.loads(done.stdout)
    for run in (*result["runs"], result["totals"]):
        assert run["found"] == sum(run[ending] for ending in ENDINGS)
    return result


def state_of(home: Path) -> dict:
    """Everything a crawl leaves behind, without row ids and clock times."""
    with open_catalog(Workspace(home)).reading() as session:
        posts = {post.id: post for post in session.scalars(select(Post))}
        rows = sorted(
            (p.platform, p.platform_id, p.state, p.reason_code or "", p.uploader_hash is not None, p.caption,
             p.clip.sha256 if p.clip else "") for p in posts.values()
        )  # fmt: skip
        sightings = [(posts[s.post_id].platform_id, s.tag) for s in session.scalars(select(Sighting))]
        clips = sorted((c.sha256, c.suffix, c.duration) for c in session.scalars(select(Clip)))
        open_runs = session.scalar(select(func.count()).where(CrawlRun.ended_at.is_(None)))
    files = sorted(path.name for path in (home / "media").rglob("*") if path.is_file())
    return {"posts": rows, "sightings": sorted(sightings), "clips": clips, "open runs": open_runs, "files": files}


def test_instagram_twice_then_new_posts_and_a_gap(server, session, tmp_path):
    """Two bursts of 429 and failing downloads: all accounted for; nothing asked for again; new posts and a gap found.

    One burst meets the tags' pages, the other the media: no post is the worse for them.
    """
    platform, home = server.platform, tmp_path / "home"
    tags = ("golfswing", "diving")
    for tag in tags:
        for clip in platform.publish(tag, 30):
            clip.fault = {3: "500", 7: "cut", 11: "gone", 15: "length", 19: "disguised"}.get(clip.number, "")
            clip.hidden = clip.number in (20, 21)
    platform.switches.too_many, platform.switches.media_burst, platform.switches.links_expire = 3, (20, 5), True
    arguments = ("--source", "instagram", "--limit", "28", *(part for tag in tags for part in ("--tag", tag)))
    first = crawled(server, session, home, *arguments)
    assert (platform.switches.too_many, platform.switches.media_burst) == (0, (0, 0))
    assert first["totals"]["found"] == 28 * len(tags)
    assert (first["totals"]["failed"], first["totals"]["gone"]) == (4 * len(tags), len(tags))
    assert first["totals"]["downloaded"] == 23 * len(tags)
    assert server.hosts() == {"www.instagram.com", "scontent.cdninstagram.com"}
    server.forget()
    platform.switches.too_many = 2
    again = crawled(server, session, home, *arguments)
    assert again["totals"]["known"] == again["totals"]["found"] == 28 * len(tags)
    assert not server.media_requests()
    assert len(server.log) == 3 * len(tags) + 2  # three pages a tag, and what was refused
    platform.publish("golfswing", 3)
    for clip in platform.tags["golfswing"]:
        clip.hidden = False
    third = crawled(server, session, home, *arguments)
    golf = third["runs"][0]
    assert (golf["downloaded"], golf["known"]) == (5, 23)
    assert len(state_of(home)["files"]) == len(state_of(home)["clips"]) == 23 * len(tags) + 5


def test_ytdlp_and_urls_know_the_same_posts(server, session, tmp_path):
    platform, home = server.platform, tmp_path / "home"
    clips = platform.publish("golfswing", 24)
    clips[23].fault, clips[22].fault, clips[21].fault = "gone", "500", "expired"
    platform.switches.links_expire = True
    search = ("--source", "ytdlp", "--query", "dailymotion", "--tag", "golfswing", "--limit", "23")
    first = crawled(server, session, home, *search)
    assert {name: first["totals"][name] for name in ("found", "downloaded", "failed", "gone")} == {
        "found": 23, "downloaded": 20, "failed": 2, "gone": 1,
    }  # fmt: skip
    server.forget()
    assert crawled(server, session, home, *search)["totals"]["known"] == 23
    assert not server.media_requests()
    known = next(row for row in state_of(home)["posts"] if row[2] == "downloaded")
    links = tmp_path / "links.txt"
    links.write_text(
        f"# a list\nhttps://www.dailymotion.com/video/{known[1]} golfswing\nhttps://clips.example/v/{clips[0].code}\n"
        "https://clips.example/to-private golfswing\nhttps://clips.example/to-file golfswing\n"
        "http://127.0.0.1:9/a.mp4\nfile:///etc/passwd\nhttps://clips.example/v/none\n"
    )
    listed = crawled(server, session, home, "--source", "urls", "--path", str(links), "--tag", "golfswing", code=1)
    totals = listed["totals"]
    assert (totals["found"], totals["known"], totals["downloaded"], totals["failed"], totals["gone"]) == (7, 1, 1, 4, 1)
    assert [failure["code"] for failure in listed["failures"]] == [ReasonCode.REFUSED] * 4
    reasons = " ".join(failure["reason"] for failure in listed["failures"])
    assert reasons.count("private address") == 2
    assert reasons.count("only http and https") == 2
    assert server.hosts() <= {"graphql.api.dailymotion.com", "www.dailymotion.com", "vod.dmcdn.net", "clips.example",
                              "files.clips.example"}  # fmt: skip


def test_the_shorts_of_a_hashtag_on_youtube(server, session, tmp_path):
    """The default query of `--source ytdlp`."""
    clips = server.platform.publish("golfswing", 3)
    clips[0].fault = "gone"
    found = crawled(server, session, tmp_path / "home", "--source", "ytdlp", "--tag", "golfswing")["totals"]
    assert (found["found"], found["downloaded"], found["gone"]) == (3, 2, 1)
    assert server.hosts() == {"www.youtube.com", "rr1.googlevideo.com"}
    assert {row[0] for row in state_of(tmp_path / "home")["posts"]} == {"youtube"}


WALLS = {
    "login wall": {"login_redirect": True},
    "checkpoint": {"checkpoint": True},
    "changed format": {"changed_format": True},
    "empty page": {"empty_page": 1},
}


@pytest.mark.parametrize("wall", WALLS)
@pytest.mark.parametrize("source", ["instagram", "ytdlp"])
def test_each_wall_has_a_name_and_leaves_the_cursor(films, session, tmp_path, monkeypatch, wall, source):
    """A wall stops a crawl with one line and exit code 2, also in the middle; afterwards it goes on from there."""
    monkeypatch.setenv("PLUSMV_INSTAGRAM_SESSION", str(session))
    home, platform = tmp_path / "home", Platform(films)
    platform.publish("golfswing", 30)
    line = ["crawl", "--source", source, "--tag", "golfswing", "--query", "dailymotion", "--metadata-only",
            "--pause", "0", "--home", str(home), "--json"]  # fmt: skip
    with playing(platform, tmp_path) as server:
        if source == "instagram":  # one page in, the rest is held back
            platform.switches.empty_page = 1
            assert CliRunner().invoke(app, line).exit_code != 0
            platform.switches.empty_page = None
        kept, before = platform.tags["golfswing"], cursors(home)
        if wall == "empty page" and source == "ytdlp":
            platform.tags["golfswing"] = []
        else:
            platform.switches.__dict__.update(WALLS[wall])
        stopped = CliRunner().invoke(app, line)
        assert isinstance(stopped.exception, PlusmvError)  # which the front door makes exit code 2
        assert str(stopped.exception).startswith(f"{wall}: ")
        assert "\n" not in str(stopped.exception)
        told = json.loads(stopped.stdout)
        assert [error["error"] for error in told["errors"]] == [wall]
        assert told["totals"]["found"] == (12 if source == "instagram" else 0)
        assert cursors(home) == (before or [None])
        platform.tags["golfswing"] = kept
        platform.switches.__dict__.update(vars(Switches()))
        end = json.loads(CliRunner().invoke(app, line).stdout)["totals"]
        assert (end["found"], end["downloaded"]) == (30, 30)
        assert server.refused == []


@pytest.mark.parametrize("source", ["instagram", pytest.param("ytdlp", marks=pytest.mark.slow)])
def test_media_that_are_held_back_for_hours_end_the_crawl(server, session, tmp_path, source):
    """A long Retry-After is a stop with a name, no wait and no failed post; the same command goes on later."""
    platform, home = server.platform, tmp_path / "home"
    platform.publish("golfswing", 15)
    platform.switches.media_burst, platform.switches.retry_after = (4, 99), "7200"
    line = ("--source", source, "--tag", "golfswing", "--query", "dailymotion")
    stopped = plusmv(server, session, home, "crawl", *line)
    assert stopped.returncode == 2, stopped.stderr
    assert stopped.stderr.startswith("plusmv: rate limit: "), stopped.stderr
    assert "to be left alone for 120 minutes" in stopped.stderr
    assert json.loads(stopped.stdout)["totals"]["failed"] == 0
    assert platform.switches.media_burst[1] > 90
    platform.switches.media_burst = (0, 0)
    totals = crawled(server, session, home, *line)["totals"]
    assert (totals["downloaded"] + totals["known"], totals["failed"]) == (totals["found"], 0)
    assert len(state_of(home)["files"]) == 15


def test_a_wall_ends_with_exit_code_2(server, session, tmp_path):
    server.platform.publish("golfswing", 3)
    server.platform.switches.login_redirect = True
    stopped = plusmv(server, session, tmp_path / "home", "crawl", "--source", "instagram", "--tag", "golfswing")
    assert (stopped.returncode, stopped.stderr.count("\n")) == (2, 1)
    assert stopped.stderr.startswith("plusmv: login wall: instagram.com sends to its login page; log in")


def cursors(home: Path) -> list:
    with open_catalog(Workspace(home)).reading() as session:
        return list(session.scalars(select(CrawlRun.cursor).where(CrawlRun.ended_at.is_(None))))


def test_repeated_and_shuffled_pages_and_pictures(server, session, tmp_path):
    """A page that comes twice is known the second time; the limit counts different videos."""
    platform, home = server.platform, tmp_path / "home"
    for clip in platform.publish("diving", 40):
        clip.picture = clip.number % 4 == 0
    platform.switches.repeat_pages = platform.switches.reorder = True
    result = crawled(server, session, home, "--source", "instagram", "--tag", "diving", "--limit", "20")["totals"]
    assert result["downloaded"] == 20
    assert result["known"] > 10
    assert result["filtered"] in range(4, 10)
    assert len(state_of(home)["files"]) == 20


def test_limits_before_the_download(server, session, tmp_path):
    platform, home = server.platform, tmp_path / "home"
    clips = platform.publish("diving", 4)
    clips[0].seconds, clips[1].fault, clips[2].fault, clips[3].fault = 90.0, "huge", "html", "private"
    arguments = ("--source", "instagram", "--tag", "diving", "--max-seconds", "15", "--max-megabytes", "5")
    result = crawled(server, session, home, *arguments)
    assert (result["totals"]["filtered"], result["totals"]["failed"]) == (2, 2)
    reasons = {row[1]: row[3] for row in state_of(home)["posts"]}
    wanted = (ReasonCode.TOO_LONG, ReasonCode.TOO_LARGE, ReasonCode.NOT_VIDEO, ReasonCode.REFUSED)
    assert reasons == {clip.code: code for clip, code in zip(clips, wanted, strict=True)}
    assert not any(clips[0].code in path for path in server.media_requests())
    assert crawled(server, session, home, *arguments)["totals"]["known"] == 4


def test_strange_tags(server, session, tmp_path):
    platform = server.platform
    platform.publish("golf\N{GOLFER}swing", 2)
    platform.publish("x" * 200, 1)
    platform.publish("--help';droptableposts;", 1, caption="../../../etc/passwd '; DROP TABLE posts; --")
    tags = ("# Golf\N{GOLFER} Swing", "X" * 200, "#--help'; DROP TABLE posts;")
    arguments = [f"--tag={tag}" for tag in tags]
    result = crawled(server, session, tmp_path / "home", "--source", "instagram", *arguments)
    assert result["totals"]["downloaded"] == 4
    assert plusmv(server, session, tmp_path / "home", "crawl", "--tag", "x" * 201).returncode == 2


@pytest.mark.slow
def test_two_crawls_at_once_and_one_account(server, session, tmp_path):
    """The second process of one account is told whose turn it is; without a login, or dead, nobody is in the way."""
    platform, home = server.platform, tmp_path / "home"
    platform.publish("golfswing", 36)
    platform.switches.api_delay = 0.05
    environment = server.environment(PLUSMV_INSTAGRAM_SESSION=str(session))
    line = command(home, "crawl", "--source", "instagram", "--tag", "golfswing", "--workers", "1")
    running = subprocess.Popen(line, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    until(lambda: server.media_requests(), running)
    refused = plusmv(server, session, home, "crawl", "--source", "instagram", "--tag", "golfswing")
    assert refused.returncode == 2
    assert f"process {running.pid} on " in refused.stderr
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert crawled(server, session, home, "--source", "instagram", "--tag", "golfswing")["totals"]["found"] >= 36
    assert len(state_of(home)["files"]) == 36


def until(ready, running, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not ready() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


@pytest.fixture(scope="module")
def undisturbed(films, tmp_path_factory) -> dict:
    """What an undisturbed crawl of `tags_to_kill` leaves."""
    folder = tmp_path_factory.mktemp("undisturbed")
    file = folder / "session.json"
    file.write_text('{"sessionid": "s", "ds_user_id": "1", "csrftoken": "c"}')
    file.chmod(0o600)
    with PlatformServer(tags_to_kill(films), folder) as server:
        crawled(server, file, folder / "home", *KILLED)
    return state_of(folder / "home")


KILLED = ("--source", "instagram", "--tag", "golfswing", "--tag", "diving", "--limit", "24")


def tags_to_kill(films) -> Platform:
    platform = Platform(films)
    for tag in ("golfswing", "diving"):
        for clip in platform.publish(tag, 24):
            clip.fault = {5: "500", 9: "gone"}.get(clip.number, "")
    return platform


@pytest.mark.slow
@pytest.mark.parametrize("how", [[signal.SIGKILL] * 10, [signal.SIGTERM, signal.SIGINT] * 2], ids=["kill -9", "others"])
def test_killed_at_any_moment_the_same_command_comes_to_the_same_end(films, session, tmp_path, undisturbed, how):
    """Catalog and media equal an undisturbed crawl's in the end: no post twice, no orphan file."""
    moments, deaths = random.Random(len(how)), 0
    home = tmp_path / "home"
    with PlatformServer(tags_to_kill(films), tmp_path) as server:
        environment = server.environment(PLUSMV_INSTAGRAM_SESSION=str(session))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        for ending in how:
            asked, wanted = len(server.log), moments.randint(0, 12)
            line = command(home, "crawl", "--workers", "1", *KILLED)
            running = subprocess.Popen(line, cwd=ROOT, env=environment, **quiet)
            until(lambda asked=asked, wanted=wanted: len(server.log) >= asked + wanted, running)
            time.sleep(moments.uniform(0, 0.03))
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.pid, ending)
            deaths += running.wait(timeout=60) in (-ending, 130)
        assert deaths >= len(how) - 2
        crawled(server, session, home, *KILLED)
        assert server.refused == []
    assert state_of(home) == undisturbed
    assert len(undisturbed["files"]) == len(undisturbed["clips"]) == 48 - 4
