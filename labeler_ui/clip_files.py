"""The files that the page plays: made ready in the background, sent from disk with range requests.

A clip has the address /clips/<sha256>. The address is looked up in the catalog and never becomes a path, so that only
contents the catalog knows are sent.
"""

import functools
import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from core.errors import PlusmvError
from core.workspace import Workspace
from curate.previews import preview_path
from db.models import Clip
from labeler_ui.connection import connect

REMEMBERED = 256
HEADERS = {"Cache-Control": "private, max-age=600", "X-Content-Type-Options": "nosniff"}


class PlayableFiles:
    """Playable files of one workspace's clips, each made once however often it is asked for."""

    def __init__(self, workspace: Workspace):
        self._workspace = workspace
        self._makers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="preview")
        self._asked: OrderedDict[str, Future[Path]] = OrderedDict()
        self._lock = threading.Lock()

    def prepare(self, clips: Iterable[Clip]) -> None:
        """Begin to make the files of these clips, and do not wait."""
        for clip in clips:
            self._future(clip)

    def path(self, clip: Clip) -> Path:
        """The clip's playable file, waiting until it is made. Raises PlusmvError where there can be none."""
        return self._future(clip).result()

    def _future(self, clip: Clip) -> Future[Path]:
        with self._lock:
            future = self._asked.get(clip.sha256)
            if future is None or _outdated(future):
                future = self._makers.submit(preview_path, self._workspace, clip)
            self._asked[clip.sha256] = future
            self._asked.move_to_end(clip.sha256)
            if len(self._asked) > REMEMBERED:
                self._asked.popitem(last=False)
            return future


def _outdated(future: Future[Path]) -> bool:
    """A failure may have been mended since, and a file may have been taken down."""
    return future.done() and (future.exception() is not None or not future.result().is_file())


@functools.lru_cache(maxsize=4)
def playable_files(workspace: Workspace) -> PlayableFiles:
    """The one PlayableFiles of a workspace, shared by the page and the route."""
    return PlayableFiles(workspace)


def serve_clip(request: Request) -> Response:
    """GET /clips/{sha256}: the playable file, or 404 for whatever the catalog does not know."""
    try:
        connection = connect()
        with connection.reading() as session:
            clip = session.scalar(select(Clip).where(Clip.sha256 == request.path_params["sha256"]))
        if clip is not None:
            file = playable_files(connection.workspace).path(clip)
            return FileResponse(file, media_type="video/mp4", headers=HEADERS)
    except PlusmvError as error:
        return PlainTextResponse(str(error), status_code=404)
    return PlainTextResponse("no such clip", status_code=404)
