"""What every web client of ours asks of its connections: a least speed, and pages that stay within a bound.

`guarded_session()` for our own requests; `keep_least_speed(adapter)` for the sessions of yt-dlp and Instaloader.
"""

from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from plusmv.core.errors import BadInput
from plusmv.core.least_speed import LeastSpeed, MeteredSocket, TooSlow
from plusmv.core.limits import MB, PAGE_BYTES
from plusmv.core.parsing import whole_number

LEAST_SPEED = LeastSpeed()


class PageTooLarge(requests.exceptions.ContentDecodingError):
    """A page that is more than PAGE_BYTES, unpacked."""

    def __init__(self, most: int = PAGE_BYTES):
        super().__init__(f"the answer has more than {most / MB:g} MB, the most that a page may have")


class GuardedAdapter(HTTPAdapter):
    """requests' own, whose connections keep a least speed, and whose answers that are read at once stay in bounds."""

    def __init__(self, retries: Retry | int = 0, least: LeastSpeed = LEAST_SPEED, most: int = PAGE_BYTES):
        super().__init__(max_retries=retries)
        self._most = most
        keep_least_speed(self, least)

    def send(self, request, stream=False, *arguments, **options):
        response = super().send(request, stream, *arguments, **options)
        if not stream:  # requests would read it all, however much it is
            response._content = read_page(response, self._most)
            response._content_consumed = True  # type: ignore[attr-defined]
        return response


def guarded_session(retries: Retry | int = 0, least: LeastSpeed = LEAST_SPEED) -> requests.Session:
    """A session of guarded connections."""
    session = requests.Session()
    guard(session, retries, least)
    return session


def guard(session: requests.Session, retries: Retry | int = 0, least: LeastSpeed = LEAST_SPEED) -> None:
    """Let a session's connections be guarded, if they are not yet."""
    if isinstance(session.get_adapter("https://"), GuardedAdapter):
        return
    for scheme in ("https://", "http://"):
        session.mount(scheme, GuardedAdapter(retries, least))


def read_page(response: requests.Response, most: int = PAGE_BYTES) -> bytes:
    """The whole of an answer whose body is not read yet, unpacked. Raises PageTooLarge, or requests' own errors."""
    parts, size = [], 0
    for block in response.iter_content(64 << 10):  # urllib3 unpacks no more than this at a time
        size += len(block)
        if size > most:
            response.close()
            raise PageTooLarge(most)
        parts.append(block)
    return b"".join(parts)


def said_length(response: requests.Response) -> int | None:
    """The bytes that an answer says it has; None where it says nothing usable."""
    try:
        return whole_number(response.headers.get("Content-Length", ""))
    except BadInput:
        return None


def is_too_slow(error: BaseException | None) -> bool:
    """Whether an error came of a server that sent too slowly, however often it was wrapped since."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, TooSlow) or any(isinstance(argument, TooSlow) for argument in error.args):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def keep_least_speed(adapter: HTTPAdapter, least: LeastSpeed = LEAST_SPEED) -> None:
    """Let all connections of an adapter, those by way of a proxy too, raise TooSlow where a server is too slow."""
    adapter.poolmanager.pool_classes_by_scheme = _metered(adapter.poolmanager.pool_classes_by_scheme, least)
    own = adapter.proxy_manager_for

    def proxy_manager_for(proxy: str, **options: Any) -> Any:
        known = proxy in adapter.proxy_manager
        manager = own(proxy, **options)
        if not known:
            manager.pool_classes_by_scheme = _metered(manager.pool_classes_by_scheme, least)
        return manager

    adapter.proxy_manager_for = proxy_manager_for  # type: ignore[method-assign]


def _metered(pools: Mapping[str, Any], least: LeastSpeed) -> dict[str, Any]:
    """{scheme: pool class} whose connections read from metered sockets."""

    def metered(pool: Any) -> Any:
        def connect(self: Any) -> None:
            connection.connect(self)
            self.sock = MeteredSocket(self.sock, least)

        connection = pool.ConnectionCls
        kept = type(connection.__name__, (connection,), {"connect": connect})
        return type(pool.__name__, (pool,), {"ConnectionCls": kept})

    return {scheme: metered(pool) for scheme, pool in pools.items()}
