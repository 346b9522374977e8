"""Decisions by the labeler's routes, as its page sends them: each entry again, by its id, until it is answered.

The server is the process that faults meet; the page is a thread of the harness. Whoever changes how a page gets in
changes `signed_in`.
"""

import contextlib
import http.client
import json
import sys
import threading
import time
import uuid
from pathlib import Path

from plusmv.core.workspace import Workspace

SERVE = "tests.faults.page:serve"
ANNOTATOR = "ann"
PATIENCE = 30.0  # seconds for which the page sends its entries again


def serve() -> None:
    """The process: the labeler's routes on the port of the first argument."""
    import uvicorn
    from starlette.applications import Starlette

    from plusmv.labeler_ui.duplicate_routes import DUPLICATE_ROUTES
    from plusmv.labeler_ui.gate import Gate
    from plusmv.labeler_ui.routes import ROUTES

    routes = Gate(Starlette(routes=[*ROUTES, *DUPLICATE_ROUTES]))
    uvicorn.run(routes, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical")


def signed_in(home: Path, port: int) -> dict[str, str]:
    """The headers by which a page of this annotator is known, in a session of its own."""
    from plusmv.labeler_ui import access, sessions

    host = f"127.0.0.1:{port}"
    cookie = f"{access.cookie_name(host)}={sessions.start(Workspace(home), ANNOTATOR, None)}"
    return {"Host": host, "Origin": f"http://{host}", "Cookie": cookie}


class Page(threading.Thread):
    """Sends entries until all are answered, then calls `done`; gives up after PATIENCE, or when `stop` was called."""

    def __init__(self, port: int, home: Path, entries: list[dict], done):
        super().__init__(daemon=True)
        self._port, self._home, self._entries, self._done = port, home, entries, done
        self._given_up = threading.Event()
        self.answers: list[dict] = []

    def stop(self) -> None:
        self._given_up.set()
        self.join()

    def run(self) -> None:
        deadline = time.monotonic() + PATIENCE
        for entry in self._entries:
            while not self._given_up.is_set() and time.monotonic() < deadline:
                with contextlib.suppress(OSError, http.client.HTTPException, ValueError, KeyError):
                    self.answers += self._send(entry)
                    break
                self._given_up.wait(0.03)
        self._done()

    def _send(self, entry: dict) -> list[dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        headers = {"Content-Type": "application/json"} | signed_in(self._home, self._port)
        try:
            connection.request("POST", "/labeler/decisions", json.dumps({"entries": [entry]}), headers)
            return json.loads(connection.getresponse().read())["answers"]
        finally:
            connection.close()


def request_id(name: str) -> str:
    """The id of an entry, the same in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"plusmv fault {name}"))
