"""One file over https, gone on with where it broke off. Plain http only from this very machine."""

import ipaddress
import os
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from plusmv.core.errors import BadInput, Missing
from plusmv.core.workspace import atomic_path

BLOCK = 1 << 20  # bytes
PATIENCE = 60  # seconds without a byte
ATTEMPTS = 5  # in a row, of which none brought a byte more


def download(url: str, path: Path, largest: int) -> None:
    """Fetch `url` into `path`, by way of `<path>.partial`, which the next call goes on with.

    Raises Missing where it cannot be had, BadInput where it is larger than `largest` bytes.
    """
    _check_url(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    failures, reason = 0, ""
    while failures < ATTEMPTS:
        before = partial.stat().st_size if partial.exists() else 0
        try:
            _go_on(url, partial, largest)
            break
        except (OSError, urllib.error.URLError) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code in (401, 403, 404, 410):
                raise Missing(f"{url} cannot be had: {error}; get the file elsewhere and use --from FILE") from error
            reason = str(getattr(error, "reason", error))
        failures = failures + 1 if not partial.exists() or partial.stat().st_size <= before else 0
    else:
        raise Missing(f"{url} cannot be had: {reason}; the same command again goes on where it was, or use --from FILE")
    with atomic_path(path) as part:
        os.replace(partial, part)


def _go_on(url: str, partial: Path, largest: int) -> None:
    """Append what is lacking; a server that does not go on from there starts again."""
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{have}":
            return  # it was all there
        if error.code == 416:
            partial.unlink()
        raise
    with answer, open(partial, "ab" if answer.status == 206 else "wb") as file:
        _check_url(answer.url)  # of where redirects led
        have = file.tell()
        expected = int(answer.headers.get("Content-Length") or -1)
        got = 0
        while block := answer.read(BLOCK):
            got += len(block)
            if have + got > largest:
                raise BadInput(f"{url} is larger than {largest} bytes; it was not kept")
            file.write(block)
        if 0 <= expected != got:
            raise OSError(f"the connection broke off after {have + got} bytes")


def _check_url(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname or "")):
        return
    raise BadInput(f"weights are fetched over https, not from {url}")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
