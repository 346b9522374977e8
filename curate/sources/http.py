"""Plain web requests of the crawl: polite, http and https only, never to a private address, each redirect checked.

A host's name is looked up and checked before it is asked, and the address that really answered is checked again, so a
name that changes its address in between gains nothing. Where the environment names a proxy, the proxy looks names up.
"""

import contextlib
import ipaddress
import socket
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests

from plusmv.core.errors import BadInput, Refused
from plusmv.core.least_speed import LeastSpeed
from plusmv.core.limits import MB, PAGE_BYTES
from plusmv.core.parsing import parse_json
from plusmv.curate.sources.base import (
    ChangedFormat,
    LinkExpired,
    MediaFile,
    NotVideo,
    PostFailed,
    RateLimited,
    TooLarge,
    TransientError,
    Unreachable,
)
from plusmv.curate.sources.rate_limit import MAX_RETRY_AFTER, RateLimiter, retry_after
from plusmv.features.connections import LEAST_SPEED, guarded_session, said_length

TIMEOUT = (20.0, 60.0)  # seconds to connect, and between two blocks
ATTEMPTS = 6  # of one request, 429s included
REDIRECTS = 10
BLOCK = 1 << 16
EXPIRED = (401, 403, 404, 410)  # a media link that was valid once; a fresh look tells whether the post is there
LOCAL_NAMES = (".localhost", ".local", ".internal", ".home.arpa")
NAT64 = ipaddress.ip_network("64:ff9b::/96")
T = TypeVar("T")


def allowed_url(url: str) -> str:
    """The URL, if it may be asked. Raises Refused for another scheme, no host, or an address that is not public."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Refused(f"{url[:100]!r} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise Refused(f"{url[:100]!r} is refused: only http and https links are followed")
    plain = host.rstrip(".").casefold()
    if plain == "localhost" or plain.endswith(LOCAL_NAMES) or (_address(host) and not public(host)):
        raise Refused(f"{url[:100]!r} is refused: it leads to a private address")
    try:
        addresses = [] if _address(host) or _proxied(url) else _resolved(host, port)
    except OSError as error:
        raise TransientError(f"cannot find the host {host[:100]}: {error.strerror or error}") from error
    if not all(map(public, addresses)):
        raise Refused(f"{url[:100]!r} is refused: it leads to a private address")
    return url


def public(address: str) -> bool:
    """Whether an IP address is one of the open internet."""
    ip = _address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ipaddress.ip_address(ip.packed[-4:]) if ip in NAT64 else None)
        ip = inner or ip
    return ip is not None and ip.is_global and not ip.is_multicast


class Web:
    """Requests of one crawl. `download` sends no cookies; one session for each thread."""

    def __init__(self, rate_limiter: RateLimiter, least_speed: LeastSpeed = LEAST_SPEED):
        self.rate_limiter, self._least_speed = rate_limiter, least_speed
        self._sessions = threading.local()

    def json(
        self, url: str, parameters: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """(status, parsed body) of an API's answer. Raises RateLimited, Unreachable or ChangedFormat."""
        host = urlsplit(url).hostname or ""

        def ask() -> tuple[int, Any]:
            with self._send(url, parameters, headers) as response:
                try:
                    body = b"".join(self._blocks(response, PAGE_BYTES))
                    return response.status_code, parse_json(body, "the answer", strict=False)
                except TooLarge as error:
                    raise ChangedFormat(f"{host} answered with more than {PAGE_BYTES / MB:g} MB") from error
                except BadInput as error:
                    raise ChangedFormat(
                        f"{host} answered {response.status_code} with something that is not JSON"
                    ) from error

        try:
            return persistent(self.rate_limiter, host, ask)
        except TransientError as error:
            kind = RateLimited if error.limited else Unreachable
            raise kind(f"{error}; try again later, the same command goes on from here") from error

    def download(self, url: str, file: MediaFile, max_bytes: int | None = None) -> None:
        """Write a media file. Raises TransientError, LinkExpired, NotVideo, TooLarge, or Refused for where it leads."""
        with self._send(url, None, {"Accept-Encoding": "identity"}) as response:
            if response.status_code in EXPIRED:
                raise LinkExpired(f"the link to the media answers {response.status_code}")
            if response.status_code != 200:
                raise PostFailed(f"the link to the media answers {response.status_code}")
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind in ("text/html", "application/xhtml+xml", "application/json"):
                raise NotVideo(f"not a video but {kind}")
            size = said_length(response) or 0
            if max_bytes is not None and size > max_bytes:
                raise TooLarge(size, max_bytes)
            for block in self._blocks(response, max_bytes):
                file.write(block)

    def _send(self, url: str, parameters: Mapping | None, headers: Mapping | None) -> requests.Response:
        """One request and its redirects; the body is not read yet. Raises TransientError for 429, 5xx and no answer."""
        for _ in range(REDIRECTS):
            allowed_url(url)
            host = urlsplit(url).hostname or ""
            self.rate_limiter.wait(host)
            try:
                response = self._session().get(url, params=parameters, headers=dict(headers or {}), timeout=TIMEOUT,
                                               stream=True, allow_redirects=False)  # fmt: skip
            except (requests.RequestException, OSError) as error:
                raise TransientError(f"{host} does not answer ({_why(error)})") from error
            refuse_private_peer(response, url)
            if response.status_code == 429 or response.status_code >= 500:
                response.close()
                asked = retry_after(response.headers.get("Retry-After"))
                limited = response.status_code == 429
                raise TransientError(f"{host} answers {response.status_code} {response.reason}", asked, limited)
            target = response.headers.get("Location")
            if not response.is_redirect or not target:
                return response
            response.close()
            url, parameters = urljoin(url, target), None
        raise PostFailed(f"more than {REDIRECTS} redirects")

    def _blocks(self, response: requests.Response, limit: int | None) -> Iterator[bytes]:
        done = 0
        try:
            for block in response.iter_content(BLOCK):
                self.rate_limiter.check()
                done += len(block)
                if limit is not None and done > limit:
                    raise TooLarge(done, limit, at_least=True)
                yield block
        except (requests.RequestException, OSError) as error:
            raise TransientError(f"the answer was cut off after {done} bytes ({_why(error)})") from error

    def _session(self) -> requests.Session:
        if not hasattr(self._sessions, "session"):
            self._sessions.session = guarded_session(least=self._least_speed)
        return self._sessions.session


def persistent(rate_limiter: RateLimiter, host: str, call: Callable[[], T], attempts: int = ATTEMPTS) -> T:
    """Call until it does not raise TransientError; waits as the platform asks, or longer each time.

    A 429 is no fault of what was asked for: there are always ATTEMPTS of those. Raises RateLimited where the platform
    asks for more than MAX_RETRY_AFTER.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            return call()
        except TransientError as error:
            wait = error.retry_after
            if error.limited:
                wait = rate_limiter.after_429(host, error.retry_after, attempt)
            if wait is not None and wait > MAX_RETRY_AFTER:
                raise RateLimited(f"{error}; it asks to be left alone for {wait / 60:.0f} minutes") from error
            if attempt >= (ATTEMPTS if error.limited else attempts):
                raise
            rate_limiter.sleep(wait if wait is not None else rate_limiter.pause(host) * 2 ** (attempt - 1))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is written as, also as 127.1, 2130706433 or in other digits, which resolvers take too."""
    plain = unicodedata.normalize("NFKC", host).replace("\N{IDEOGRAPHIC FULL STOP}", ".")
    plain = plain.strip("[]").partition("%")[0].rstrip(".")
    try:
        return ipaddress.ip_address(plain)
    except ValueError:
        with contextlib.suppress(OSError, ValueError):
            return ipaddress.ip_address(socket.inet_aton(plain))
        return None


def _resolved(host: str, port: int | None) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port or 443, proto=socket.IPPROTO_TCP)]


def _proxied(url: str) -> bool:
    proxies = requests.utils.get_environ_proxies(url)
    return bool(proxies.get(urlsplit(url).scheme) or proxies.get("all"))


def refuse_private_peer(response: requests.Response, url: str) -> None:
    """Raise Refused where a private address has answered: a name may lead elsewhere than when it was looked up."""
    peer = getattr(getattr(response.raw, "connection", None), "sock", None)
    if peer is not None and not _proxied(url) and not public(str(peer.getpeername()[0])):
        response.close()
        raise Refused(f"{url[:100]!r} is refused: it leads to a private address")


def _why(error: Exception) -> str:
    """The innermost reason, without the URL, whose query may hold a key."""
    while isinstance(cause := error.__cause__ or error.__context__, Exception):
        error = cause
    return type(error).__name__ + (f": {error.strerror}" if isinstance(error, OSError) and error.strerror else "")
