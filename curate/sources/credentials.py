"""Keys and cookies: from the environment, or from a file that nobody else may read. Never from or into the catalog.

    PLUSMV_INSTAGRAM_SESSION   file: an Instaloader session, a cookies.txt, or a JSON object of cookies (mode 0600)
    PLUSMV_COOKIES             file: a cookies.txt for yt-dlp (mode 0600)
    PLUSMV_GRAPH_TOKEN, PLUSMV_GRAPH_USER     Instagram's official API: access token, id of the business account
    PLUSMV_YOUTUBE_KEY         YouTube Data API v3

Each key may also stand in a file of mode 0600 that NAME_FILE names, such as PLUSMV_YOUTUBE_KEY_FILE.
"""

import http.cookiejar
import io
import os
import pickle
import stat
from pathlib import Path

from plusmv.core.errors import BadInput, Missing
from plusmv.core.limits import SECRET_BYTES
from plusmv.core.parsing import parse_json
from plusmv.core.reading import bounded_bytes


def key(name: str, what: str) -> str:
    """The value of a key. Raises Missing, naming what to set, where there is none."""
    value = os.environ.get(name, "").strip()
    if not value and (file := os.environ.get(f"{name}_FILE")):
        value = private_bytes(Path(file)).decode("utf-8", "replace").strip()
    if not value or not value.isprintable() or not value.isascii():
        raise Missing(f"{what} needs a key: set {name}, or {name}_FILE to a file of mode 0600 that holds it")
    return value


def private_bytes(path: Path) -> bytes:
    """A file that only its owner may read. Raises BadInput where others may."""
    try:
        with open(path, "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_mode & 0o077:
                raise BadInput(f"{path} holds secrets and may be read by others: run chmod 600 {path}")
            return bounded_bytes(file, SECRET_BYTES, str(path))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def cookies_of_file(path: Path, domain: str) -> dict[str, str]:
    """Cookies of a domain from an Instaloader session file, a cookies.txt or a JSON object. Raises BadInput."""
    content = private_bytes(path)
    readers = (_from_json, _from_session) if content[:1] in (b"{", b"\x80") else (_from_cookies_txt,)
    for read in readers:
        cookies = read(content, domain)
        if cookies:
            return cookies
    raise BadInput(f"{path} holds no cookies of {domain}: it must be an Instaloader session, a cookies.txt or JSON")


def cookies_of_browser(browser: str, domain: str) -> dict[str, str]:
    """Cookies of a domain from a browser of this user, read by yt-dlp. Raises BadInput where there are none."""
    from yt_dlp.cookies import SUPPORTED_BROWSERS, extract_cookies_from_browser

    if browser not in SUPPORTED_BROWSERS:
        raise BadInput(f"unknown browser {browser[:40]!r}; known are {', '.join(sorted(SUPPORTED_BROWSERS))}")
    try:
        jar = extract_cookies_from_browser(browser)
    except Exception as error:  # yt-dlp raises what the browser's own files made it raise
        raise BadInput(f"cannot read the cookies of {browser}: {str(error).splitlines()[0][:200]}") from error
    cookies = _of_domain(jar, domain)
    if not cookies:
        raise BadInput(f"{browser} has no cookies of {domain}: log in there first")
    return cookies


class _Plain(pickle.Unpickler):
    """Admits what a dict of strings needs: nothing that has to be imported."""

    def find_class(self, module: str, name: str):
        raise pickle.UnpicklingError(f"{module}.{name} is not part of a session")


def _from_session(content: bytes, domain: str) -> dict[str, str]:
    """Instaloader's own session files are pickled dicts of strings."""
    try:
        return _strings(_Plain(io.BytesIO(content)).load())
    except Exception:  # anything a broken or hostile pickle may raise
        return {}


def _from_json(content: bytes, domain: str) -> dict[str, str]:
    try:
        return _strings(parse_json(content, "the session", strict=False))
    except BadInput:
        return {}


def _from_cookies_txt(content: bytes, domain: str) -> dict[str, str]:
    jar = http.cookiejar.MozillaCookieJar()
    try:
        jar._really_load(  # type: ignore[attr-defined]  # the only way that needs no file on disk
            io.StringIO(content.decode("utf-8", "replace")), "cookies", True, True
        )
    except (OSError, ValueError, AssertionError):  # the standard library asserts what a line holds
        return {}
    return _of_domain(jar, domain)


def _strings(value: object) -> dict[str, str]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {name: text for name, text in pairs if isinstance(name, str) and isinstance(text, str)}


def _of_domain(jar: http.cookiejar.CookieJar, domain: str) -> dict[str, str]:
    return {c.name: c.value or "" for c in jar if c.domain.lstrip(".") == domain or c.domain.endswith(f".{domain}")}
