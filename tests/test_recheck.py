"""Recheck: what vanished is marked, what came back too, and what cannot be looked at stays as it was."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from plusmv.core.workspace import Workspace
from plusmv.curate.crawl.crawler import Crawl
from plusmv.curate.crawl.recheck import recheck
from plusmv.curate.crawl.targets import targets_of_tags
from plusmv.curate.sources.base import SourceContext, SourceOptions
from plusmv.curate.sources.folder import FolderSource
from plusmv.curate.sources.rate_limit import RateLimiter
from plusmv.curate.sources.registry import recheck_sources
from plusmv.db.models import Post, PostState, ReasonCode, now
from plusmv.db.session import open_catalog
from tests.platform_server import playing
from tests.platform_sites import Platform
from tests.small_videos import make_video


@pytest.fixture
def server(films, tmp_path):
    with playing(Platform(films), tmp_path) as server:
        yield server


def test_posts_of_two_sites(server, tmp_path):
    clips = server.platform.publish("golfswing", 4)
    workspace = Workspace(tmp_path / "home")
    catalog = open_catalog(workspace)
    sources = recheck_sources(SourceOptions(query="dailymotion"), SourceContext(RateLimiter(0), catalog, workspace))
    server.platform.switches.needs_login = False
    for platform in ("instagram", "dailymotion"):
        crawling = Crawl(catalog, workspace, sources(platform), rate_limiter=RateLimiter(0))
        assert crawling.run(targets_of_tags(["golfswing"], ()), workers=1)["totals"]["downloaded"] == 4
    sources = recheck_sources(SourceOptions(), SourceContext(RateLimiter(0), catalog, workspace))
    assert recheck(catalog, sources, RateLimiter(0))["there"] == 8
    clips[1].fault = "gone"
    result = recheck(catalog, sources, RateLimiter(0))
    assert (result["posts"], result["there"], result["gone"], len(result["vanished"])) == (8, 6, 2, 2)
    with catalog.reading() as session:
        gone = list(session.scalars(select(Post).where(Post.state == PostState.GONE)))
        assert all(post.clip_id and post.reason and post.checked_at for post in gone)
        assert {post.reason_code for post in gone} == {ReasonCode.DELETED}
    assert not recheck(catalog, sources, RateLimiter(0))["vanished"]
    clips[1].fault = ""
    assert recheck(catalog, sources, RateLimiter(0))["back"] == 2
    assert recheck(catalog, sources, RateLimiter(0), limit=3)["posts"] == 3
    server.platform.switches.not_json = True
    stopped = recheck(catalog, sources, RateLimiter(0))
    assert [error["error"] for error in stopped["errors"]] == ["changed format"]
    assert stopped["gone"] == 0


def test_posts_of_folders(tmp_path):
    for name in ("one", "two"):
        make_video(tmp_path / name / "golf" / "a.mp4", 1)
        make_video(tmp_path / name / "golf" / "b.mp4", 2)
    workspace = Workspace(tmp_path / "home")
    catalog = open_catalog(workspace)
    for name in ("one", "two"):
        Crawl(catalog, workspace, FolderSource(tmp_path / name)).run(targets_of_tags(["golf"], ()), workers=1)
    (tmp_path / "one" / "golf" / "a.mp4").unlink()
    (tmp_path / "one" / "golf" / "b.mp4").write_bytes(b"another")
    sources = recheck_sources(SourceOptions(path=tmp_path / "one"), SourceContext(RateLimiter(), catalog, workspace))
    result = recheck(catalog, sources, RateLimiter())
    assert (result["gone"], result["not_visited"]) == (2, 2)
    nowhere = recheck_sources(SourceOptions(), SourceContext(RateLimiter(), catalog, workspace))
    assert recheck(catalog, nowhere, RateLimiter())["not_visited"] == 4
    with catalog.writing() as session:
        session.execute(update(Post).values(checked_at=now() + timedelta(days=365)))  # by a clock that was a year ahead
    assert recheck(catalog, sources, RateLimiter())["posts"] == 4
