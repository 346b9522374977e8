"""Plain requests: where they may go, what they accept, and how often they try."""

import gzip
import io
import json
import socket
import tracemalloc

import pytest

from plusmv.core.errors import Refused
from plusmv.core.least_speed import LeastSpeed
from plusmv.curate.sources.base import (
    ChangedFormat,
    LinkExpired,
    NotVideo,
    RateLimited,
    TooLarge,
    TransientError,
    Unreachable,
)
from plusmv.curate.sources.http import Web, allowed_url, public
from plusmv.curate.sources.instagram import InstagramSource
from plusmv.curate.sources.rate_limit import RateLimiter
from plusmv.features.connections import LEAST_SPEED
from tests.platform_server import playing
from tests.platform_sites import Platform
from tests.test_rate_limit import no_proxy  # noqa: F401

QUICK = LeastSpeed(bytes_a_second=1000, window=0.1)


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://example.org/a", "javascript:alert(1)", "//example.org/a", "example.org", ""),
        *("http://127.0.0.1/a", "http://[::1]/a", "http://10.1.2.3/", "http://192.168.0.1/", "http://169.254.169.254/"),
        *(
            "http://0.0.0.0/",
            "http://100.64.0.1/",
            "http://[fe80::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://224.0.0.1/",
        ),
        *(
            "http://localhost/a",
            "https://router.local/",
            "http://x.internal/",
            "http://a.localhost:80/",
            "http://[bad/",
        ),
    ],
)
def test_links_that_are_not_followed(url):
    with pytest.raises(Refused, match=r"refused|is not a URL"):
        allowed_url(url)


def test_a_name_that_leads_to_a_private_address(monkeypatch):
    answers = {"open.example": "93.184.215.14", "rebound.example": "10.0.0.7"}
    looked_up = lambda host, *_, **__: [(0, 0, 0, "", (answers[host], 443))]  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    assert allowed_url("https://open.example/a") == "https://open.example/a"
    with pytest.raises(Refused, match="private address"):
        allowed_url("https://rebound.example/a")


def test_public_addresses():
    assert public("93.184.215.14")
    assert public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")
    assert not public("no address")


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "0", "10.0.0.1.", "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",
             "127\u30020\u30020\u30021", "[2002:7f00:1::]", "[64:ff9b::7f00:1]"]
)  # fmt: skip
def test_an_address_in_other_digits_is_refused_also_where_a_proxy_would_look_it_up(host, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(Refused, match="private address"):
        allowed_url(f"http://{host}/")


@pytest.fixture
def server(films, tmp_path):
    with playing(Platform(films), tmp_path) as server:
        yield server


FAULTS = {
    "500": TransientError, "429": TransientError, "cut": TransientError, "length": TransientError, "html": NotVideo,
    "gone": LinkExpired, "expired": LinkExpired, "huge": TooLarge, "private": Refused, "file": Refused,
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_downloads_that_fail(server, fault):
    (clip,) = server.platform.publish("golf", 1, fault=fault)
    web, file = Web(RateLimiter(0)), io.BytesIO()
    with pytest.raises(FAULTS[fault]):
        web.download(f"https://scontent.cdninstagram.com/v/{clip.code}.mp4", file, max_bytes=10_000_000)


def test_a_download_that_drips_is_left(server):
    (clip,) = server.platform.publish("golf", 1, fault="drip")
    with pytest.raises(TransientError):
        Web(RateLimiter(0), QUICK).download(f"https://scontent.cdninstagram.com/v/{clip.code}.mp4", io.BytesIO())


HOSTILE = {
    "endless": ({"body": b"[" * (1 << 20), "endless": True}, ChangedFormat),
    "bomb": ({"body": gzip.compress(b" " * (64 << 20)), "headers": {"Content-Encoding": "gzip"}}, ChangedFormat),
    "nested": ({"body": b"[" * 100_000 + b"]" * 100_000}, ChangedFormat),
    "nested error": ({"status": 400, "body": b"[" * 100_000 + b"]" * 100_000}, ChangedFormat),
    "digits": ({"body": b'{"data": ' + b"9" * 5000 + b"}"}, ChangedFormat),
    "drip": ({"body": b" " * 5000, "drip": 0.02}, Unreachable),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_whatever_an_api_answers_it_has_a_name(server, kind):
    answer, error = HOSTILE[kind]
    server.platform.switches.hostile = answer
    least = LeastSpeed(1000, 0.05) if kind == "drip" else LEAST_SPEED
    for ask in (
        lambda: Web(RateLimiter(0), least).json("https://graph.facebook.com/v21.0/ig_hashtag_search", {"q": "x"}),
        lambda: next(InstagramSource(RateLimiter(0), {"sessionid": "s"}, least_speed=least).search("golf")),
    ):
        tracemalloc.start()
        with pytest.raises(error):
            ask()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 150 << 20


ODD_NODES = [
    {"taken_at_timestamp": 10**400, "video_duration": 10**400},
    {"owner": ["x"], "edge_media_to_caption": {"edges": {"a": 1}}},
    {"taken_at_timestamp": "253402300800", "edge_media_to_caption": 7},
]


@pytest.mark.parametrize("facts", ODD_NODES)
def test_a_post_with_odd_facts_is_taken_without_them_or_has_a_name(server, facts):
    node = {"shortcode": "CxYz123", "is_video": True, "id": "1"} | facts
    media = {"edges": [{"node": node}], "page_info": {"has_next_page": False}}
    body = json.dumps({"data": {"hashtag": {"edge_hashtag_to_media": media}}, "status": "ok"}).encode()
    server.platform.switches.hostile = {"body": body}
    try:
        (post,) = next(InstagramSource(RateLimiter(0), {"sessionid": "s"}).search("golf")).posts
    except ChangedFormat:
        return
    assert post.seconds is None and post.taken_at is None


def test_the_last_page_of_a_tag_may_name_a_next_one_of_any_kind(server):
    media = {"edges": [], "page_info": {"has_next_page": False, "end_cursor": [{}]}}
    media["edges"] = [{"node": {"shortcode": "CxYz123", "is_video": True, "id": "1"}}]
    body = json.dumps({"data": {"hashtag": {"edge_hashtag_to_media": media}}, "status": "ok"}).encode()
    server.platform.switches.hostile = {"body": body}
    (page,) = InstagramSource(RateLimiter(0), {"sessionid": "s"}).search("golf")
    assert page.cursor == {"after": None}


def test_a_download(server):
    (clip,) = server.platform.publish("golf", 1, fault="slow")
    file = io.BytesIO()
    Web(RateLimiter(0)).download(f"https://scontent.cdninstagram.com/v/{clip.code}.mp4", file, max_bytes=10_000_000)
    assert file.getvalue() == server.platform.file(clip)
    with pytest.raises(TooLarge):
        Web(RateLimiter(0)).download(
            f"https://scontent.cdninstagram.com/v/{clip.code}.mp4", io.BytesIO(), max_bytes=100
        )


def test_apis_are_asked_again_and_then_named(server):
    web, url = Web(RateLimiter(0)), "https://graph.facebook.com/v21.0/ig_hashtag_search"
    server.platform.switches.too_many = 5
    assert web.json(url, {"q": "x"})[0] == 400
    assert len(server.log) == 6
    server.platform.switches.too_many = 99
    with pytest.raises(RateLimited, match=r"rate limit: graph\.facebook\.com answers 429"):
        web.json(url, {"q": "x"})
    server.platform.switches.too_many, server.platform.switches.retry_after = 1, "90000"
    with pytest.raises(RateLimited):
        web.json(url, {"q": "x"})
    web = Web(RateLimiter(0))  # the first one leaves the host alone, for as long as it was asked to
    server.platform.switches.too_many, server.platform.switches.not_json = 0, True
    with pytest.raises(ChangedFormat):
        web.json(url, {"q": "x"})
    with pytest.raises(Unreachable, match=r"elsewhere\.example does not answer"):
        web.json("https://elsewhere.example/?key=secret", {"key": "secret"})
    assert set(server.refused) == {"elsewhere.example"}
