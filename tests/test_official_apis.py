"""The official APIs: pages, facts, quotas counted in the catalog, and what their errors mean."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from plusmv.core.errors import BadInput, Missing
from plusmv.core.workspace import Workspace
from plusmv.curate.crawl.crawler import Crawl
from plusmv.curate.crawl.fetch import Limits
from plusmv.curate.crawl.targets import targets_of_tags
from plusmv.curate.sources.base import ChangedFormat, EmptyPage, LoginWall, QuotaSpent, SourceContext, SourceOptions
from plusmv.curate.sources.graph import GraphSource
from plusmv.curate.sources.rate_limit import RateLimiter, proxy_is_loopback
from plusmv.curate.sources.registry import open_source
from plusmv.db.models import Post, PostState, QuotaUse, now
from plusmv.db.session import open_catalog
from tests.platform_server import playing
from tests.platform_sites import Platform


@pytest.fixture
def server(films, tmp_path):
    with playing(Platform(films), tmp_path) as server:
        yield server
        assert server.refused == []


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "home")


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name, value in {"GRAPH_TOKEN": "token", "GRAPH_USER": "17", "YOUTUBE_KEY": "key"}.items():
        monkeypatch.setenv(f"PLUSMV_{name}", value)


def source(name: str, workspace, **options):
    catalog, pace = open_catalog(workspace), RateLimiter(0 if proxy_is_loopback() else None)
    return open_source(name, SourceOptions(**options), SourceContext(pace, catalog, workspace)), catalog


def test_graph_lists_and_downloads(server, workspace):
    for clip in server.platform.publish("golfswing", 55):
        clip.picture = clip.number == 3
    graph, catalog = source("graph", workspace)
    result = Crawl(catalog, workspace, graph, Limits(None)).run(targets_of_tags(["golfswing"], ()), workers=1)
    assert (result["totals"]["found"], result["totals"]["downloaded"], result["totals"]["filtered"]) == (55, 54, 1)
    assert server.requests("recent_media") == 2
    assert all("token" not in asked.path for asked in server.log)
    with catalog.reading() as session:
        post = session.scalar(select(Post).where(Post.state == PostState.DOWNLOADED))
    assert (post.platform, post.url) == ("instagram", f"https://www.instagram.com/p/{post.platform_id}/")
    assert post.taken_at.year == 2019


def test_graph_asks_for_thirty_tags_in_seven_days(server, workspace):
    for number in range(32):
        server.platform.publish(f"tag{number}", 1)
    graph, catalog = source("graph", workspace)
    for number in range(30):
        next(graph.search(f"tag{number}"))
    next(graph.search("tag3"))  # known within the window: counts once
    with pytest.raises(QuotaSpent, match=r"quota spent: 30 are used up.*there is room again after 20"):
        next(graph.search("tag30"))
    with catalog.writing() as session:
        session.execute(
            update(QuotaUse).where(QuotaUse.what == "hashtag tag0").values(used_at=now() - timedelta(days=8))
        )
    next(source("graph", workspace)[0].search("tag30"))
    with catalog.reading() as session:
        assert session.scalar(select(func.count()).select_from(QuotaUse)) == 31
        assert "17" not in {use.account for use in session.scalars(select(QuotaUse))}


def test_youtube_lists_with_lengths_and_licences(server, workspace):
    server.platform.publish("golfswing", 60)
    youtube, catalog = source("youtube", workspace, licence="creativeCommon")
    targets = targets_of_tags(["golfswing"], ())
    result = Crawl(catalog, workspace, youtube, Limits(55), metadata_only=True).run(targets)
    assert result["totals"]["downloaded"] == 55
    with catalog.reading() as session:
        posts = list(session.scalars(select(Post).order_by(Post.taken_at.desc())))
        assert session.scalar(select(func.sum(QuotaUse.cost))) == 2 * 101
    assert {post.licence for post in posts} == {"CC BY", "YouTube standard licence"}
    assert all(post.uploader_hash and post.url.startswith("https://www.youtube.com/watch?v=") for post in posts)
    assert all("key=" not in asked.path for asked in server.log)
    again = Crawl(catalog, workspace, youtube, Limits(55), metadata_only=True).run(targets)
    assert again["totals"]["known"] == 55


def test_youtubes_quota_stops_before_the_call(server, workspace):
    server.platform.publish("golfswing", 1)
    youtube, catalog = source("youtube", workspace)
    for _ in range(99):
        list(youtube.search("golfswing"))
    calls = server.platform.quota_calls
    with pytest.raises(QuotaSpent, match="10000 are used up"):
        list(youtube.search("golfswing"))
    assert server.platform.quota_calls == calls == 99
    with catalog.writing() as session:
        session.execute(update(QuotaUse).values(used_at=now() - timedelta(hours=25)))
    assert list(youtube.search("golfswing"))


@pytest.mark.parametrize("name", ["graph", "youtube"])
def test_walls_of_the_apis(server, workspace, monkeypatch, name):
    server.platform.publish("golfswing", 3)
    api, _ = source(name, workspace)
    with pytest.raises(EmptyPage, match="empty page: "):
        next(api.search("nobodysings"))
    server.platform.switches.too_many = 3
    assert next(api.search("golfswing")).posts
    server.platform.switches.changed_format = True
    with pytest.raises(ChangedFormat, match="changed format: "):
        next(api.search("golfswing"))
    server.platform.switches.not_json = True
    with pytest.raises(ChangedFormat, match="not JSON"):
        next(api.search("golfswing"))
    monkeypatch.setenv("PLUSMV_GRAPH_TOKEN", "wrong")
    monkeypatch.setenv("PLUSMV_YOUTUBE_KEY", "wrong")
    server.platform.switches.not_json = False
    with pytest.raises(LoginWall, match="login wall: ") as caught:
        next(source(name, workspace)[0].search("golfswing"))
    assert "wrong" not in str(caught.value)


def test_keys_come_from_the_environment_or_a_private_file(workspace, monkeypatch, tmp_path):
    monkeypatch.delenv("PLUSMV_YOUTUBE_KEY")
    with pytest.raises(Missing, match="set PLUSMV_YOUTUBE_KEY"):
        source("youtube", workspace)
    file = tmp_path / "key"
    file.write_text("secret-key\n")
    file.chmod(0o644)
    monkeypatch.setenv("PLUSMV_YOUTUBE_KEY_FILE", str(file))
    with pytest.raises(BadInput, match="chmod 600"):
        source("youtube", workspace)
    file.chmod(0o600)
    assert source("youtube", workspace)[0].account == "youtube:secret-key"
    monkeypatch.setenv("PLUSMV_GRAPH_USER", "me")
    with pytest.raises(BadInput, match="number"):
        source("graph", workspace)
    assert isinstance(GraphSource.name, str)
