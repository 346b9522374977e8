"""RateLimiter: how often a host is asked, and how long it is left alone when it says so.

Requests to one host start at least `pause` seconds apart, however many threads ask; 429 and Retry-After hold the whole
host back. The pause cannot go below a floor, but where every request goes to a proxy on this very machine: only there
`--pause 0` is obeyed. Waiting uses the monotonic clock, so a clock that jumps changes nothing.
"""

import email.utils
import ipaddress
import threading
import time
import urllib.request
from datetime import UTC, datetime
from urllib.parse import urlsplit

from plusmv.core.errors import BadInput
from plusmv.core.parsing import finite_number

FLOOR_SECONDS = 0.5  # between requests to one host, whatever is asked for
DEFAULT_SECONDS = {  # by the end of the host's name; below each platform's known limits, as far as they are known
    "i.instagram.com": 10.0,  # 199 requests in 30 minutes
    "instagram.com": 4.0,  # 75 to 200 requests in 11 minutes (Instaloader's RateController)
    "cdninstagram.com": 1.0,
    "fbcdn.net": 1.0,
    "graph.facebook.com": 2.0,  # 200 calls an hour and user, in bursts
    "googleapis.com": 1.0,
    "youtube.com": 3.0,
    "bilibili.com": 3.0,
    "nicovideo.jp": 3.0,
    "dailymotion.com": 2.0,
}
OTHERS_SECONDS = 1.0
MAX_RETRY_AFTER = 3600.0  # a Retry-After beyond this is a stop, not a wait
FIRST_WAIT = 60.0  # after a 429 that does not say how long


class Stopped(Exception):
    """The crawl is being ended: whoever waits gives up."""


class RateLimiter:
    """One for all threads of a crawl. pause: seconds for every host, instead of the defaults.

    Raises BadInput for a pause below the floor where requests leave this machine.
    """

    def __init__(self, pause: float | None = None):
        self.loopback = proxy_is_loopback()
        if pause is not None and pause < FLOOR_SECONDS and not self.loopback:
            raise BadInput(f"--pause {pause:g} is below the floor of {FLOOR_SECONDS:g} s; give that or more")
        self._pause = pause
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}
        self._ended = threading.Event()

    def pause(self, host: str) -> float:
        """Seconds between requests to this host."""
        if self._pause is not None:
            return self._pause
        ends = [seconds for end, seconds in DEFAULT_SECONDS.items() if host == end or host.endswith(f".{end}")]
        return max(ends, default=OTHERS_SECONDS)

    def wait(self, host: str) -> None:
        """Return when this host may be asked again. Raises Stopped once `stop` was called."""
        with self._lock:
            start = max(time.monotonic(), self._next.get(host, 0.0))
            self._next[host] = start + self.pause(host)
        self.sleep(start - time.monotonic())

    def hold(self, host: str, seconds: float) -> None:
        """Leave this host alone for so long."""
        with self._lock:
            self._next[host] = max(self._next.get(host, 0.0), time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Sleep, unless and until the crawl is stopped."""
        if self._ended.wait(max(0.0, seconds)):
            raise Stopped

    def check(self) -> None:
        """Raises Stopped once `stop` was called."""
        if self._ended.is_set():
            raise Stopped

    def stop(self) -> None:
        """Let every thread that waits or downloads give up."""
        self._ended.set()

    def after_429(self, host: str, asked: float | None, attempt: int) -> float:
        """Seconds to wait after the attempt-th 429; the host is held back for them."""
        default = FIRST_WAIT if self._pause is None or not self.loopback else self._pause
        seconds = asked if asked is not None else default * 2 ** (attempt - 1)
        self.hold(host, min(seconds, MAX_RETRY_AFTER))
        return seconds


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date (RFC 9110). None where it says nothing usable."""
    if not value:
        return None
    try:
        seconds = finite_number(value)
    except BadInput:
        try:
            moment = email.utils.parsedate_to_datetime(value)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(0.0, seconds), 10 * MAX_RETRY_AFTER)


def proxy_is_loopback() -> bool:
    """Whether the environment sends every https request to a proxy on this machine."""
    proxies = urllib.request.getproxies()
    hosts = [urlsplit(proxies[kind]).hostname for kind in ("https", "http") if proxies.get(kind)]
    return bool(proxies.get("https")) and not proxies.get("no") and all(map(_is_loopback, hosts))


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
