"""The link by which the first visit gets in: printed where the labeler was started, opened in the browser, good once.

Every user of the machine can read a token in a command line, so the browser opens a private file that leads there.
"""

import html
import os
import secrets
import sys
import threading
import webbrowser
from pathlib import Path

from plusmv.core.workspace import write_private

OPENER = "open-labeler.html"


class Link:
    """The one-time link of a server; each is replaced by the next once it was used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token = ""
        self._address = ""
        self._folder = Path()

    def offer(self, address: str, folder: Path) -> None:
        """Print the first link, for pages at this address, and open it where PLUSMV_OPEN asks for it.

        folder: where the file that leads there may lie, in a workspace that exists.
        """
        self._address, self._folder = address, folder
        self._renew()
        print(f"\n  The labeler, opened by this link once:\n  {self._url}\n", flush=True)
        if os.environ.get("PLUSMV_OPEN") and folder.parent.is_dir() and _has_browser():
            folder.mkdir(mode=0o700, exist_ok=True)
            file = folder / OPENER
            write_private(file, _leading_to(self._url).encode())
            threading.Thread(target=webbrowser.open, args=(file.resolve().as_uri(),), daemon=True).start()

    def spend(self, token: str) -> bool:
        """Whether this is the link's token, which is none from now on. Prints the next link."""
        with self._lock:
            if not self._token or not secrets.compare_digest(token.encode(errors="replace"), self._token.encode()):
                return False
            self._renew()
        (self._folder / OPENER).unlink(missing_ok=True)
        print(f"  For another browser:\n  {self._url}\n", flush=True)
        return True

    @property
    def _url(self) -> str:
        return f"{self._address}/labeler/open?token={self._token}"

    def _renew(self) -> None:
        self._token = secrets.token_urlsafe(32)


LINK = Link()


def _leading_to(url: str) -> str:
    return f'<!doctype html><meta http-equiv="refresh" content="0; url={html.escape(url)}"><title>plusmv</title>'


def _has_browser() -> bool:
    """Where there is no screen, Python would start a browser in the terminal."""
    screens = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in screens)
