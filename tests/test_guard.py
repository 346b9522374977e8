"""No process of the suite talks to another host: the guard itself, tried on purpose."""

import os
import socket
import subprocess
import sys

import pytest

from tests.conftest import EGRESS

TRIES = {
    "a name": "import urllib.request; urllib.request.urlopen('https://www.instagram.com', timeout=5)",
    "an address": "import socket; socket.create_connection(('192.0.2.1', 443), timeout=5)",
    "a packet": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    "a worker": (
        "import multiprocessing, socket\n"
        "if __name__ == '__main__':\n"
        "    multiprocessing.get_context('spawn').Process(target=socket.getaddrinfo, args=('example.org', 443)).start()"
    ),
}


@pytest.mark.parametrize("what", TRIES)
def test_another_host_is_refused_and_written_down(what, tmp_path):
    before = EGRESS.read_text()
    script = tmp_path / "tries.py"
    script.write_text(TRIES[what])
    unproxied = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    tried = subprocess.run([sys.executable, script], env=unproxied, capture_output=True, text=True, timeout=60)
    assert "talks to this machine only" in tried.stderr
    assert EGRESS.read_text() != before
    EGRESS.write_text(before)  # it was on purpose


def test_this_process_is_watched_too():
    before = EGRESS.read_text()
    with pytest.raises(OSError, match="this machine only"):
        socket.create_connection(("192.0.2.1", 443), timeout=5)
    EGRESS.write_text(before)


def test_this_machine_may_be_talked_to():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
