"""One file over https, gone on with where it broke off. Plain http only from this very machine."""

import ipaddress
import os
import urllib.parse
from pathlib import Path

import requests
from urllib3.util import Retry

from plusmv.core.errors import BadInput, Missing
from plusmv.core.least_speed import LeastSpeed
from plusmv.core.workspace import atomic_path
from plusmv.features.connections import LEAST_SPEED, guarded_session, is_too_slow, said_length

BLOCK = 1 << 16  # bytes: what of a block had come is lost where a connection breaks
TIMEOUT = 60  # seconds to connect, and without a byte
ATTEMPTS = 5  # in a row, of which none brought a byte more, or all were too slow
NOT_TO_BE_HAD = (401, 403, 404, 410)
RETRY = Retry(  # of an answer that says "later"; a body that breaks off is gone on with by `download`
    total=ATTEMPTS - 1,
    connect=0,
    read=0,
    backoff_factor=0.5,
    status_forcelist=(429, 500, 502, 503, 504),
    retry_after_max=120,
    raise_on_status=False,
)


def download(url: str, path: Path, largest: int, least_speed: LeastSpeed = LEAST_SPEED) -> None:
    """Fetch `url` into `path`, by way of `<path>.partial`, which the next call goes on with.

    Raises Missing where it cannot be had, or comes too slowly, BadInput where it is larger than `largest` bytes.
    """
    _check_url(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    failures, reason = 0, ""
    with _session(least_speed) as session:
        while failures < ATTEMPTS:
            before = partial.stat().st_size if partial.exists() else 0
            try:
                _resume(session, url, partial, largest)
                break
            except OSError as error:  # requests' errors are OSErrors
                reason, slow = str(error), is_too_slow(error)
            grew = partial.exists() and partial.stat().st_size > before
            failures = 0 if grew and not slow else failures + 1
        else:
            raise Missing(f"cannot download {url}: {reason}; run the same command again to resume, or use --from FILE")
    with atomic_path(path) as part:
        os.replace(partial, part)


def _session(least_speed: LeastSpeed) -> requests.Session:
    session = guarded_session(RETRY, least_speed)
    session.headers["Accept-Encoding"] = "identity"  # a range counts the bytes that are sent
    return session


def _resume(session: requests.Session, url: str, partial: Path, largest: int) -> None:
    """Append what is lacking; a server that does not go on from there starts again."""
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        for hop in (*answer.history, answer):
            _check_url(hop.url)
        if answer.status_code in NOT_TO_BE_HAD:
            raise Missing(
                f"cannot download {url}: HTTP {answer.status_code}; get the file elsewhere and use --from FILE"
            )
        if answer.status_code == 416:
            if answer.headers.get("Content-Range") == f"bytes */{have}":
                return  # it was all there
            partial.unlink()
        answer.raise_for_status()
        _append(answer, partial, largest)


def _append(answer: requests.Response, partial: Path, largest: int) -> None:
    with open(partial, "ab" if answer.status_code == 206 else "wb") as file:
        have, got = file.tell(), 0
        for block in answer.iter_content(BLOCK):
            got += len(block)
            if have + got > largest:
                raise BadInput(f"{answer.url} is larger than {largest} bytes; it was not kept")
            file.write(block)
    if got != (said_length(answer) or got):
        raise OSError(f"the connection broke off after {have + got} bytes")


def _check_url(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    raise BadInput(f"weights are fetched over https, not from {url}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
