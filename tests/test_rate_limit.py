"""RateLimiter: pauses, floors, and what platforms ask for."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from plusmv.core.errors import BadInput
from plusmv.curate.sources.rate_limit import (
    FLOOR_SECONDS,
    MAX_RETRY_AFTER,
    RateLimiter,
    Stopped,
    proxy_is_loopback,
    retry_after,
)

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "no_proxy", "NO_PROXY", "ALL_PROXY", "all_proxy")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


def test_the_floor_holds_wherever_requests_leave_this_machine(monkeypatch):
    for proxy in (None, "http://proxy.example:3128", "http://10.0.0.1:3128", "socks5://198.51.100.7:1"):
        if proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy)
        for pause in (0.0, FLOOR_SECONDS / 2):
            with pytest.raises(BadInput, match=r"below the floor of 0\.5 s"):
                RateLimiter(pause)
    assert RateLimiter(FLOOR_SECONDS).pause("x") == FLOOR_SECONDS


def test_zero_only_over_a_loopback_proxy(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert RateLimiter(0).pause("www.instagram.com") == 0
    assert RateLimiter().pause("www.instagram.com") == 4.0  # unasked, the default stays
    monkeypatch.setenv("NO_PROXY", "instagram.com")  # some hosts would be asked directly
    assert not proxy_is_loopback()
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:1")
    assert not proxy_is_loopback()


def test_each_host_has_a_pause_of_its_own():
    polite = RateLimiter()
    assert polite.pause("i.instagram.com") > polite.pause("www.instagram.com") > polite.pause("example.org")
    assert polite.pause("notinstagram.com") == polite.pause("example.org")


def test_threads_wait_for_each_other(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    polite, starts, began = RateLimiter(0.05), [], time.monotonic()

    def ask() -> None:
        polite.wait("h")
        starts.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(starts) - began >= 4 * 0.05


def test_a_held_host_is_left_alone_and_a_stop_ends_the_wait():
    polite = RateLimiter(FLOOR_SECONDS)
    assert polite.after_429("h", 600.0, 1) == 600.0
    waiting = []

    def wait() -> None:
        try:
            polite.wait("h")
        except Stopped:
            waiting.append("stopped")

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    polite.stop()
    thread.join(5)
    assert waiting == ["stopped"]


def test_a_429_that_says_nothing_waits_longer_each_time():
    polite = RateLimiter()
    assert [polite.after_429("h", None, attempt) for attempt in (1, 2, 3)] == [60.0, 120.0, 240.0]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("", None), ("7", 7.0), ("-3", 0.0), ("soon", None), ("nan", None), ("1e99", 10 * MAX_RETRY_AFTER)],
)
def test_retry_after_as_seconds(value, seconds):
    assert retry_after(value) == seconds


def test_retry_after_as_a_date():
    later = datetime.now(UTC) + timedelta(seconds=90)
    assert retry_after(later.strftime("%a, %d %b %Y %H:%M:%S GMT")) == pytest.approx(90, abs=3)
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert retry_after("Wed, 99 Oct 2015 07:28:00 GMT") is None
