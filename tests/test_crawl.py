"""Crawling: every post accounted for, content stored once, and the same end state after being killed at any moment."""

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

from plusmv.core.errors import PlusmvError
from plusmv.core.workspace import Workspace, sha256_of
from plusmv.curate.crawl.crawler import Crawl
from plusmv.curate.crawl.fetch import Limits
from plusmv.curate.crawl.results import ENDINGS
from plusmv.curate.crawl.targets import known_actions, targets_of_tags
from plusmv.curate.sources.folder import FolderSource
from plusmv.db.models import Clip, CrawlRun, Post, PostState, ReasonCode, Sighting
from plusmv.db.session import open_catalog
from tests.conftest import ROOT
from tests.small_videos import make_video

NO_LIMITS = Limits()
NONE = dict.fromkeys(("found", *ENDINGS), 0)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """golfswing: two clips of .5 and 2 s and a copy of the first; diving: another, and five that are no videos."""
    folder = tmp_path_factory.mktemp("clips")
    first = make_video(folder / "golfswing" / "a.mp4", 1)
    make_video(folder / "golfswing" / "b.mp4", 2, seconds=2)
    (folder / "golfswing" / "copy.webm").write_bytes(first.read_bytes())
    make_video(folder / "diving" / "c.avi", 3, codec="mpeg4")
    bad = {"empty": b"", "text": b"no video at all\n" * 99, "cut": first.read_bytes()[:300]}
    picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0:~\x9bU"
    playlist = f"#EXTM3U\n#EXTINF:1,\n{first}\n".encode()
    for name, content in {**bad, "picture": picture, "playlist": playlist}.items():
        (folder / "diving" / f"{name}.mp4").write_bytes(content)
    return folder


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "home")


def crawl(catalog, workspace, folder: Path, tags=None, limits=NO_LIMITS, manifest=None, **options) -> dict:
    source = FolderSource(folder, manifest)
    targets = targets_of_tags(tags or source.tags(), known_actions(catalog))
    result = Crawl(catalog, workspace, source, limits, **options).run(targets, workers=1)
    for run in (*result["runs"], result["totals"]):
        assert run["found"] == sum(run[ending] for ending in ENDINGS)
    return result


def ends(counts: dict) -> dict:
    """How the posts ended."""
    return {name: counts[name] for name in NONE}


def media(workspace) -> list[Path]:
    return sorted(path for path in (workspace.home / "media").rglob("*") if path.is_file())


def test_every_post_ends_and_content_is_stored_once(catalog, workspace, clips):
    result = crawl(catalog, workspace, clips)
    assert ends(result["totals"]) == {**NONE, "found": 9, "downloaded": 4, "failed": 5}
    assert result["totals"]["without_uploader"] == 3
    assert [(run["tag"], run["action"], run["found"]) for run in result["runs"]] == [
        ("diving", "Diving", 6),
        ("golfswing", "GolfSwing", 3),
    ]
    failures = {failure["post"]: failure["reason"] for failure in result["failures"]}
    assert "empty" in failures["diving/empty.mp4"]
    assert {failure["code"] for failure in result["failures"]} == {ReasonCode.UNDECODABLE}
    assert set(failures) == {f"diving/{name}.mp4" for name in ("empty", "text", "cut", "picture", "playlist")}
    assert not any("media" in reason or "incoming" in reason for reason in failures.values())
    with catalog.reading() as session:
        rows = {clip.sha256: clip for clip in session.scalars(select(Clip))}
        posts = [[post.platform_id for post in clip.posts] for clip in rows.values()]
    assert sorted(posts) == [["diving/c.avi"], ["golfswing/a.mp4", "golfswing/copy.webm"], ["golfswing/b.mp4"]]
    assert [path.stem for path in media(workspace)] == sorted(rows)
    assert [sha256_of(path) for path in media(workspace)] == sorted(rows)
    assert sorted(path.suffix for path in media(workspace)) == [".avi", ".mp4", ".mp4"]


def test_clips_have_their_facts(catalog, workspace, clips):
    crawl(catalog, workspace, clips, ["golfswing"])
    with catalog.reading() as session:
        clip = session.scalar(select(Clip).where(Clip.sha256 == sha256_of(clips / "golfswing" / "b.mp4")))
    assert (clip.duration, clip.fps, clip.frames) == (pytest.approx(2.0), pytest.approx(10.0), 20)
    assert (clip.width, clip.height, clip.codec) == (64, 48, "h264")
    assert clip.bytes == (clips / "golfswing" / "b.mp4").stat().st_size


def test_a_second_crawl_knows_everything_and_copies_nothing(catalog, workspace, clips):
    crawl(catalog, workspace, clips)
    before = [(path, path.stat().st_mtime_ns) for path in media(workspace)]
    again = crawl(catalog, workspace, clips)
    assert ends(again["totals"]) == {**NONE, "found": 9, "known": 9}
    assert again["failed_before"] == 5
    assert [(path, path.stat().st_mtime_ns) for path in media(workspace)] == before
    retried = crawl(catalog, workspace, clips, retry_failed=True)
    assert ends(retried["totals"]) == {**NONE, "found": 9, "known": 4, "failed": 5}


def test_what_is_new_is_taken_and_what_was_mended_too(catalog, workspace, clips, tmp_path):
    folder = tmp_path / "t"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"not yet")
    crawl(catalog, workspace, folder)
    (folder / "a.mp4").write_bytes((clips / "golfswing" / "a.mp4").read_bytes())
    make_video(folder / "new.mkv", 9)
    assert ends(crawl(catalog, workspace, folder)["totals"]) == {**NONE, "found": 2, "downloaded": 2}


def test_media_that_vanished_are_fetched_again(catalog, workspace, clips):
    crawl(catalog, workspace, clips, ["golfswing"])
    gone = media(workspace)[0]
    gone.unlink()
    assert crawl(catalog, workspace, clips, ["golfswing"])["totals"]["downloaded"] in (1, 2)  # the copy's is the same
    assert gone.is_file()


def test_one_post_under_two_tags_is_one_post_with_two_sightings(catalog, workspace, clips, tmp_path):
    manifest = tmp_path / "m.csv"
    manifest.write_text("file,tag\ngolfswing/a.mp4,golfdrive\ngolfswing/a.mp4,homemade\ngolfswing/a.mp4,golfdrive\n")
    result = crawl(catalog, workspace, clips, manifest=manifest)
    assert [(run["tag"], run["action"], run["downloaded"], run["known"]) for run in result["runs"]] == [
        ("golfdrive", "GolfSwing", 1, 1),
        ("homemade", "homemade", 0, 1),
    ]
    with catalog.reading() as session:
        assert session.scalar(select(func.count()).select_from(Post)) == 1
        assert sorted(session.scalars(select(Sighting.tag))) == ["golfdrive", "homemade"]


def test_length_limits_filter_and_are_forgotten_when_they_change(catalog, workspace, clips):
    short = Limits(max_seconds=1.0)
    first = crawl(catalog, workspace, clips, ["golfswing"], short)
    assert ends(first["totals"]) == {**NONE, "found": 3, "downloaded": 2, "filtered": 1}
    assert len(media(workspace)) == 1
    with catalog.reading() as session:
        post = session.scalar(select(Post).where(Post.state == PostState.FILTERED))
    assert (post.reason_code, post.reason_limit) == (ReasonCode.TOO_LONG, 1.0)
    assert post.reason == "lasts 2.00 s, over the limit of 1.0 s"
    assert crawl(catalog, workspace, clips, ["golfswing"], short)["totals"]["known"] == 3
    longer = crawl(catalog, workspace, clips, ["golfswing"])
    assert ends(longer["totals"]) == {**NONE, "found": 3, "known": 2, "downloaded": 1}


def test_the_limit_of_posts_counts_what_is_found(catalog, workspace, clips):
    assert crawl(catalog, workspace, clips, ["golfswing"], Limits(posts=2))["totals"]["downloaded"] == 2
    more = crawl(catalog, workspace, clips, ["golfswing"], Limits(posts=3))
    assert ends(more["totals"]) == {**NONE, "found": 3, "known": 2, "downloaded": 1}


def test_a_dry_run_writes_nothing(catalog, workspace, clips):
    result = crawl(catalog, workspace, clips, dry_run=True)
    assert ends(result["totals"]) == {**NONE, "found": 9, "downloaded": 9}
    with catalog.reading() as session:
        assert session.scalar(select(func.count()).select_from(Post)) == 0
        assert session.scalar(select(func.count()).select_from(CrawlRun)) == 0
    assert media(workspace) == []


def test_people_are_kept_as_keyed_hashes_only(catalog, workspace, clips, tmp_path):
    manifest = tmp_path / "m.csv"
    manifest.write_text("file,tag,platform,uploader\ngolfswing/a.mp4,golf,instagram,somebody_42\n")
    crawl(catalog, workspace, clips, manifest=manifest)
    with catalog.reading() as session:
        post = session.scalar(select(Post))
    assert post.uploader_hash == workspace.keyed_hash("instagram:somebody_42")
    assert "somebody_42" not in repr(vars(post))


def test_a_full_disk_stops_with_one_line_and_leaves_no_half_file(catalog, workspace, clips):
    class FullDisk(FolderSource):
        def download(self, post, file):
            file.write(b"half")
            raise OSError(28, "No space left on device")

    targets = targets_of_tags(["golfswing"], ())
    with pytest.raises(PlusmvError, match="No space left on device; make room"):
        Crawl(catalog, workspace, FullDisk(clips)).run(targets)
    assert media(workspace) == []


def state_of(home: Path) -> dict:
    """Everything a crawl leaves behind, without row ids, clock times and how often a tag was begun."""
    settled = (CrawlRun.downloaded, CrawlRun.filtered, CrawlRun.failed)
    ended = func.count(CrawlRun.ended_at) == func.count()
    runs = select(CrawlRun.tag, ended, *map(func.sum, settled)).group_by(CrawlRun.tag)
    with open_catalog(Workspace(home)).reading() as session:
        posts = {post.id: post for post in session.scalars(select(Post))}
        return {
            "posts": sorted((p.platform_id, p.state, p.reason or "", p.clip and p.clip.sha256) for p in posts.values()),
            "clips": sorted((c.sha256, c.suffix, c.duration, c.frames) for c in session.scalars(select(Clip))),
            "sightings": sorted((posts[s.post_id].platform_id, s.tag) for s in session.scalars(select(Sighting))),
            "runs": sorted(map(tuple, session.execute(runs))),
            "files": sorted(path.name for path in (home / "media").rglob("*") if path.is_file()),
        }


def command(home: Path, folder: Path) -> list[str]:
    return [sys.executable, "-m", "plusmv", "crawl", "--path", str(folder), "--home", str(home), "--workers", "1"]


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """36 posts of 30 contents under 12 tags, and one that is no video."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(36):
        make_video(folder / f"tag{number // 3}" / f"{number}.mp4", number % 30, seconds=0.2)
    (folder / "tag3" / "bad.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def undisturbed(many, tmp_path_factory) -> dict:
    home = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(command(home, many), cwd=ROOT, check=True, capture_output=True)
    return state_of(home)


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 6])
def test_killed_at_any_moment_the_same_command_comes_to_the_same_end(many, undisturbed, tmp_path, times):
    """SIGKILL at random moments: in the end catalog and media equal an undisturbed crawl's, nothing is twice."""
    moments = random.Random(4)
    deaths = 0
    for _ in range(times):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        running = subprocess.Popen(command(tmp_path, many), cwd=ROOT, **quiet)
        wanted = len(list(tmp_path.rglob("media/*/*.mp4"))) + moments.randint(0, 6)
        while running.poll() is None and len(list(tmp_path.rglob("media/*/*.mp4"))) < wanted:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.05))
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGKILL)
        deaths += running.wait() == -signal.SIGKILL
    assert deaths >= times * 2 / 3
    subprocess.run(command(tmp_path, many), cwd=ROOT, check=True, capture_output=True)
    assert state_of(tmp_path) == undisturbed
    assert len(undisturbed["clips"]) == 30


@pytest.mark.slow
def test_two_crawls_at_once_share_the_work(many, undisturbed, tmp_path):
    crawls = [subprocess.Popen(command(tmp_path, many), cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [crawl.wait(timeout=120) for crawl in crawls] == [0, 0]
    for what in ("posts", "clips", "sightings", "files"):
        assert state_of(tmp_path)[what] == undisturbed[what]


def test_what_another_crawl_saves_meanwhile_is_known(workspace, clips):
    """Two crawls hold the same page; the one that comes second has downloaded nothing, and says so."""

    class Slow(FolderSource):
        def download(self, post, file):
            if post.platform_id.endswith("b.mp4"):
                other = subprocess.run([*line, "--json"], cwd=ROOT, check=True, capture_output=True)
                assert json.loads(other.stdout)["totals"]["downloaded"] == 3
            super().download(post, file)

    line = [*command(workspace.home, clips), "--tag", "golfswing"]
    with contextlib.closing(open_catalog(workspace)) as catalog:
        crawling = Crawl(catalog, workspace, Slow(clips))
        totals = crawling.run(targets_of_tags(["golfswing"], ()), workers=1)["totals"]
    assert ends(totals) == {**NONE, "found": 3, "known": 3}
    assert len(media(workspace)) == 2


def test_the_real_clips(tmp_path, shared):
    """32 clips in, 32 posts, 31 contents: two of the files are the same bytes."""
    manifest = tmp_path / "m.csv"
    names = [path.name for path in sorted((shared / "clips").iterdir()) if path.suffix != ".csv"]
    manifest.write_text("file,tag\n" + "".join(f"{name},all\n" for name in names))
    workspace = Workspace(tmp_path / "home")
    catalog = open_catalog(workspace)
    assert ends(crawl(catalog, workspace, shared / "clips", manifest=manifest)["totals"]) == {
        **NONE,
        "found": 32,
        "downloaded": 32,
    }
    with catalog.reading() as session:
        shared_by = select(Clip).join(Post).group_by(Clip.id).having(func.count() > 1)
        (twin,) = session.scalars(shared_by)
        assert {post.platform_id for post in twin.posts} == {
            "c3d_v_ApplyEyeMakeup_g01_c01.avi",
            "mmaction2_tests_test.avi",
        }
        sizes = dict(session.execute(select(Post.platform_id, Clip.width).join(Clip)).all())
        durations = list(session.scalars(select(Clip.duration)))
    assert (sizes["decord_video_0.mov"], sizes["decord_video_90.mov"]) == (568, 320)  # as displayed
    assert len(durations) == 31
    assert all(duration > 0 for duration in durations)
