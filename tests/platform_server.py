"""The platform server: a loopback CONNECT proxy that ends TLS with a throw-away CA and answers as the platforms do.

Every host it does not play is refused and logged, so its log proves where a crawl went. Real crawlers run against it
unpatched: `environment()` gives the proxy and the CA by the variables that requests and yt-dlp read themselves.
"""

import contextlib
import http.server
import itertools
import os
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import trustme

from tests.platform_sites import HOSTS, Platform

QUIET = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"}


@dataclass
class Answer:
    """What is sent back. cut: so many bytes of the body, then the line goes dead. length: a false Content-Length.

    drip: seconds between two bytes. endless: the body comes again and again.
    """

    status: int = 200
    body: bytes = b""
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    length: int | None = None
    slow: float = 0.0  # seconds before each half of the body
    drip: float = 0.0
    endless: bool = False


@dataclass(frozen=True)
class Asked:
    """One request, as the log has it."""

    method: str
    host: str
    path: str  # with its query
    cookies: str
    key: str = ""


class PlatformServer:
    """Start with `with PlatformServer(platform, folder) as server:`."""

    def __init__(self, platform: Platform, folder: Path):
        self.platform, self.folder = platform, folder
        self.log: list[Asked] = []
        self.refused: list[str] = []
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*HOSTS).configure_cert(self._tls)
        self._server = _Threads(("127.0.0.1", 0), _Handler)
        self._server.play, self._server.tls = self, self._tls

    def __enter__(self) -> "PlatformServer":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def environment(self, **more: str) -> dict[str, str]:
        """The variables by which a process goes through this server and trusts its CA."""
        kept = {name: value for name, value in os.environ.items() if name not in QUIET}
        proxy = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), self.url)
        trust = {"REQUESTS_CA_BUNDLE": str(self.ca), "SSL_CERT_FILE": str(self.ca)}
        return kept | proxy | trust | more

    def hosts(self) -> set[str]:
        return {asked.host for asked in self.log}

    def requests(self, part: str) -> int:
        """How many requests had this in host and path."""
        return sum(part in asked.host + asked.path for asked in self.log)

    def media_requests(self) -> Counter:
        """{path: times asked} of the hosts that hold media."""
        return Counter(a.path.partition("?")[0] for a in self.log if HOSTS[a.host] == "media")

    def answer(self, asked: Asked, body: bytes) -> Answer:
        self.log.append(asked)
        return self.platform.answer(asked, body)

    def forget(self) -> None:
        """Empty the log."""
        self.log.clear()


class _Threads(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """A client that was killed in the middle is what these tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    tunnel: str | None = None

    def do_CONNECT(self):
        host = self.path.rpartition(":")[0]
        if host not in HOSTS:
            self.server.play.refused.append(host)
            self.send_error(403, "this host is not played here")
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.wfile.flush()
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 1 << 16)
        self.tunnel, self.close_connection = host, False

    def do_GET(self):
        parts = urlsplit(self.path)
        host = self.tunnel or parts.hostname or ""
        if host not in HOSTS:
            self.server.play.refused.append(host)
            self.send_error(403, "this host is not played here")
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path if self.tunnel else f"{parts.path}?{parts.query}" if parts.query else parts.path
        key = self.headers.get("Authorization") or self.headers.get("X-Goog-Api-Key") or ""
        asked = Asked(self.command, host, path, self.headers.get("Cookie") or "", key)
        self._send(self.server.play.answer(asked, body))

    do_POST = do_HEAD = do_GET

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.kind)
        if not answer.endless:
            self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
        self.end_headers()
        self.wfile.flush()
        if self.command == "HEAD":
            return
        if answer.drip or answer.endless:
            self._send_hostile(answer)
            return
        half = len(answer.body) // 2
        for part in (answer.body[:half], answer.body[half:]) if answer.cut is None else (answer.body[: answer.cut],):
            time.sleep(answer.slow)
            self.wfile.write(part)
            self.wfile.flush()
        if answer.cut is not None or answer.length is not None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def _send_hostile(self, answer: Answer) -> None:
        self.close_connection = True
        parts = itertools.repeat(answer.body) if answer.endless else (bytes([byte]) for byte in answer.body)
        with contextlib.suppress(OSError):
            for part in parts:
                self.wfile.write(part)
                self.wfile.flush()
                time.sleep(answer.drip)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def playing(platform: Platform, folder: Path) -> Iterator[PlatformServer]:
    """A running server, and this process itself going through it."""
    with PlatformServer(platform, folder) as server:
        before = dict(os.environ)
        for name in QUIET:
            os.environ.pop(name, None)
        os.environ.update(server.environment())
        try:
            yield server
        finally:
            os.environ.clear()
            os.environ.update(before)
