"""yt-dlp and streams: what it fetches itself is taken; no program is ever started, whatever the stream asks for."""

import json
import os
import subprocess
import sys
import time
import tracemalloc

import pytest
from sqlalchemy import select
from yt_dlp.utils import Popen

from plusmv.core.least_speed import LeastSpeed
from plusmv.core.workspace import Workspace
from plusmv.curate.sources.base import ChangedFormat, FoundPost, NeedsProgram, PageTooLarge, TransientError
from plusmv.curate.sources.rate_limit import RateLimiter
from plusmv.curate.sources.ytdlp_client import YtDlp
from plusmv.curate.sources.ytdlp_errors import search_error, translated
from plusmv.db.models import Post, ReasonCode
from plusmv.db.session import open_catalog
from tests.conftest import ROOT
from tests.platform_server import PlatformServer, playing
from tests.platform_sites import Platform
from tests.platform_streams import HOST, SCHEMES, bomb

PROGRAMS = ("ffmpeg", "ffprobe", "avconv", "avprobe", "aria2c", "axel", "curl", "wget", "http", "rtmpdump", "mplayer",
            "mpv", "vlc", "streamlink", "phantomjs", "AtomicParsley")  # fmt: skip
STAND_IN = """#!/bin/sh
echo "$0 $*" >> {log}
echo "ffmpeg version 7.0 aria2 version 1.37 curl 8.0 GNU Wget 1.21 RTMPDump v2.4"
"""
TAKEN = ("plain.m3u8", "aes-128.m3u8", "film.mpd", "whole.mp4")
REFUSED = {
    "sample-aes.m3u8": ReasonCode.NEEDS_PROGRAM,
    "private.m3u8": ReasonCode.REFUSED,
    "file.m3u8": ReasonCode.OTHER,
}
PROTOCOLS = [f"page-{scheme}" for scheme in SCHEMES]
LIVE = ("live.m3u8", "live.mpd")


@pytest.fixture
def stand_ins(tmp_path):
    """(a folder for the front of PATH, the log of what was started from it)."""
    folder, log = tmp_path / "bin", tmp_path / "started.log"
    folder.mkdir()
    for name in PROGRAMS:
        (folder / name).write_text(STAND_IN.format(log=log))
        (folder / name).chmod(0o755)
    assert subprocess.run(["ffmpeg", "-bsfs"], env={"PATH": f"{folder}:/bin:/usr/bin"}, check=True, capture_output=True)
    assert log.read_text()
    log.write_text("")
    return folder, log


@pytest.mark.slow
def test_no_program_is_started_for_any_stream(films, tmp_path, stand_ins):
    folder, log = stand_ins
    names = (*TAKEN, *REFUSED, "drm.m3u8", *PROTOCOLS, *LIVE)
    (tmp_path / "links.txt").write_text("".join(f"{HOST}/{name} golf\n" for name in names))
    home = tmp_path / "home"
    command = ["crawl", "--source", "urls", "--path", str(tmp_path / "links.txt"), "--pause", "0", "--workers", "1"]
    with PlatformServer(Platform(films), tmp_path) as server:
        environment = server.environment()
        environment["PATH"] = f"{folder}:{environment['PATH']}"
        line = [sys.executable, "-m", "plusmv", *command, "--home", str(home), "--json"]
        done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
        assert server.refused == []
    assert done.returncode == 1, done.stderr  # most of the links are refused
    with open_catalog(Workspace(home)).reading() as session:
        posts = {post.url.removeprefix(f"{HOST}/"): post for post in session.scalars(select(Post))}
        outcome = {name: (post.state, post.reason_code, post.reason) for name, post in posts.items()}
    assert log.read_text() == ""
    assert {name: outcome[name][:2] for name in TAKEN} == dict.fromkeys(TAKEN, ("downloaded", None)), outcome
    assert {name: outcome[name][:2] for name in REFUSED} == {name: ("failed", code) for name, code in REFUSED.items()}
    assert outcome["drm.m3u8"][0] == "failed"
    assert {outcome[name][0] for name in PROTOCOLS} == {"failed"}
    assert outcome["page-rtmp"][:2] == ("failed", ReasonCode.NEEDS_PROGRAM)
    assert {outcome[name][:2] for name in LIVE} == {("filtered", ReasonCode.LIVE)}, outcome
    assert json.loads(done.stdout)["totals"]["found"] == len(names)


def post(name: str) -> FoundPost:
    return FoundPost("web", name, url=f"{HOST}/{name}", complete=False)


class MediaFile:
    def __init__(self, path):
        self.name, self.write = str(path), path.open("wb").write


@pytest.mark.parametrize("name", ["sample-aes.m3u8", "page-rtmp"])
def test_a_stream_for_another_program_fails_by_that_name_and_starts_none(films, tmp_path, stand_ins, name, monkeypatch):
    folder, log = stand_ins
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    with playing(Platform(films), tmp_path):
        ytdlp = YtDlp(RateLimiter(0))
        with pytest.raises(NeedsProgram):
            ytdlp.download(post(name), MediaFile(tmp_path / "film"))
    assert log.read_text() == ""


@pytest.mark.parametrize(
    "line", [["node", "https://a.example/x.js"], "node -", ["sh", "-c", "node"], ["/bin/true"], []]
)
def test_only_helpers_are_started_and_no_link_is_given_to_them(line):
    YtDlp(RateLimiter()).identify(HOST)
    with pytest.raises(PermissionError):
        Popen(line)


def test_a_server_that_drips_is_left_and_the_bound_is_named(films, tmp_path):
    with playing(Platform(films), tmp_path):
        ytdlp = YtDlp(RateLimiter(0), least_speed=LeastSpeed(1000, 0.15))
        started = time.monotonic()
        with pytest.raises(TransientError):
            ytdlp.look(post("drip-page"))
        with pytest.raises(TransientError):
            ytdlp.download(post("drip-file.mp4"), MediaFile(tmp_path / "film"))
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", ["endless", "bomb"])
def test_a_page_without_end_is_left_with_bounded_memory(films, tmp_path, name):
    with playing(Platform(films), tmp_path):
        ytdlp = YtDlp(RateLimiter(0))
        ytdlp.identify(HOST)  # loads yt-dlp's extractors
        bomb()
        tracemalloc.start()
        with pytest.raises(PageTooLarge):
            ytdlp.look(post(name))
        with pytest.raises(ChangedFormat):
            list(ytdlp.entries(f"{HOST}/{name}"))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 150 << 20


def test_an_answer_nested_too_deep_is_a_changed_format():
    with pytest.raises(ChangedFormat, match="recursion"), translated(search_error):
        json.loads("[" * 100_000)
