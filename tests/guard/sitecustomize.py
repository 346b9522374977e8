"""Loaded by every Python process of the test suite: tests/conftest.py puts this folder on PYTHONPATH.

A connection to, or a look-up of, any host but this machine is refused and written down; the test that caused it fails.
"""

import os
import socket
import sys


def _here(host) -> bool:
    name = (host.decode("ascii", "replace") if isinstance(host, bytes) else host or "").partition("%")[0].casefold()
    own = {"", "localhost", "::1", "::", "0.0.0.0", socket.gethostname().casefold()}
    return name in own or name.startswith("127.") or name.startswith("::ffff:127.")


def _watch(event: str, arguments: tuple) -> None:
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        if event == "socket.connect" and arguments[0].type & socket.SOCK_DGRAM:
            return  # names an address, sends nothing
        host = arguments[1][0]
    else:
        return
    if not _here(host):
        with open(os.environ["PLUSMV_TEST_EGRESS"], "a", encoding="utf-8") as file:
            file.write(f"{event} {host!r} by process {os.getpid()}: {' '.join(sys.argv)[:200]}\n")
        raise OSError(f"the test suite talks to this machine only, not to {host!r}")


if os.environ.get("PLUSMV_TEST_EGRESS"):
    sys.addaudithook(_watch)
