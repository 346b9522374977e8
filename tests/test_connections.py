"""Connections keep a least speed and pages a bound, whoever asks: requests, downloads, yt-dlp, Instaloader."""

import gzip
import http.server
import itertools
import threading
import time
import tracemalloc

import pytest
import requests

from plusmv.core.errors import BadInput, Missing
from plusmv.core.least_speed import LeastSpeed, TooSlow
from plusmv.features.connections import PageTooLarge, guarded_session, is_too_slow
from plusmv.features.download import download

QUICK = LeastSpeed(bytes_a_second=1000, window=0.15)
DRIP = 0.02  # seconds a byte


class Hostile(http.server.BaseHTTPRequestHandler):
    """Drips its body or its headers, never ends, or unpacks to a thousand times what it sends."""

    def do_GET(self):
        kind = self.path.rpartition("/")[2]  # a proxy is asked for the whole address
        if kind == "headers":
            return self._drip(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1000)
        self.send_response(200)
        if kind == "bomb":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if kind == "bomb":
            self.wfile.write(self.server.bomb)
        elif kind == "endless":
            self._endless()
        elif kind == "body":
            self._drip(b"a" * 1000)
        else:
            self.wfile.write(b"a" * 5000)

    def _drip(self, content):
        try:
            for byte in content:
                self.wfile.write(bytes([byte]))
                time.sleep(DRIP)
        except OSError:
            pass

    def _endless(self):
        try:
            for _ in itertools.count():
                self.wfile.write(b" " * (1 << 20))
        except OSError:
            pass

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    serving.daemon_threads, serving.bomb = True, gzip.compress(bytes(120 << 20), 9)
    threading.Thread(target=serving.serve_forever, args=(0.05,), daemon=True).start()
    yield serving
    serving.shutdown()
    serving.server_close()


def url(server, kind: str) -> str:
    return f"http://127.0.0.1:{server.server_port}/{kind}"


@pytest.mark.parametrize("kind", ["headers", "body"])
@pytest.mark.parametrize("by_proxy", [False, True])
def test_a_server_that_drips_is_left_whatever_it_drips(server, kind, by_proxy):
    session = guarded_session(least=QUICK)
    proxies = {"http": url(server, "")} if by_proxy else {}
    address = f"http://elsewhere.example/{kind}" if by_proxy else url(server, kind)
    started = time.monotonic()
    with pytest.raises(requests.RequestException) as caught:
        session.get(address, proxies=proxies, timeout=5)
    assert is_too_slow(caught.value)
    assert time.monotonic() - started < 3


def test_a_bound_is_named_with_its_number():
    error = LeastSpeed(1024, 60).error()
    assert isinstance(error, TooSlow)
    assert "1024" in str(error) and "60" in str(error)
    assert "32 MB" in str(PageTooLarge())


def test_a_server_that_is_quick_enough_is_not_left(server):
    assert len(guarded_session(least=QUICK).get(url(server, "plain"), timeout=5).content) == 5000


@pytest.mark.parametrize("kind", ["bomb", "endless"])
def test_a_page_that_grows_without_end_is_left_with_bounded_memory(server, kind):
    assert len(server.bomb) < 1 << 20
    tracemalloc.start()
    with pytest.raises(PageTooLarge):
        guarded_session().get(url(server, kind), timeout=5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 << 20


def test_a_download_that_drips_ends(server, tmp_path):
    with pytest.raises(Missing):
        download(url(server, "body"), tmp_path / "a", 1 << 20, QUICK)
    assert not (tmp_path / "a").exists()


def test_a_download_without_end_is_left_at_its_bound(server, tmp_path):
    with pytest.raises(BadInput):
        download(url(server, "endless"), tmp_path / "a", 8 << 20)
