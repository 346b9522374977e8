"""The videos and pictures that pages show: prepared in the background, sent from disk with range requests.

An address names a file by its sha256, which is looked up in the catalog and never becomes a path: only files that the
catalog knows are sent, and only to who is signed in (gate.py).
"""

import functools
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from plusmv.core.errors import Missing, PlusmvError, Refused
from plusmv.core.workspace import SHA256, Workspace
from plusmv.curate.review.previews import SECONDS, is_cut, playable, preview, still
from plusmv.db.models import Clip
from plusmv.labeler_ui import access
from plusmv.labeler_ui.connection import connect

REMEMBERED = 1024
HEADERS = {"Cache-Control": "private, max-age=600", "X-Content-Type-Options": "nosniff"}
SHOWN = "X-Plusmv-Shown-Seconds"  # of how many, where a film is only the clip's beginning
PICTURES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
Make = Callable[[Workspace, Clip], Path]


class PlayableFiles:
    """Playable files of one workspace's clips, each made once however often it is asked for."""

    def __init__(self, workspace: Workspace):
        self._workspace = workspace
        self._makers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="preview")
        self._futures: OrderedDict[tuple[str, Make], Future[Path]] = OrderedDict()
        self._lock = threading.Lock()

    def prepare(self, clips: Iterable[Clip], make: Make = playable) -> None:
        """Start making the files of these clips, without waiting."""
        for clip in clips:
            self._future(clip, make)

    def path(self, clip: Clip, make: Make = playable) -> Path:
        """The clip's file, waiting until it is made. Raises PlusmvError where there can be none."""
        return self._future(clip, make).result()

    def _future(self, clip: Clip, make: Make) -> Future[Path]:
        key = clip.sha256, make
        with self._lock:
            future = self._futures.get(key)
            if future is None or _outdated(future):
                future = self._makers.submit(make, self._workspace, clip)
            self._futures[key] = future
            self._futures.move_to_end(key)
            if len(self._futures) > REMEMBERED:
                self._futures.popitem(last=False)
            return future


def _outdated(future: Future[Path]) -> bool:
    """The cause of a failure may be gone by now, and a file may have been taken down."""
    return future.done() and (future.exception() is not None or not future.result().is_file())


@functools.lru_cache(maxsize=4)
def playable_files(workspace: Workspace) -> PlayableFiles:
    """The one PlayableFiles of a workspace, shared by pages and routes."""
    return PlayableFiles(workspace)


def serve_clip(request: Request) -> Response:
    """GET /clips/{sha256}: a file that browsers play."""
    return _serve(request, lambda workspace, clip: _video(workspace, clip, playable))


def serve_preview(request: Request) -> Response:
    """GET /previews/{sha256}: the small copy."""
    return _serve(request, lambda workspace, clip: _video(workspace, clip, preview))


def serve_still(request: Request) -> Response:
    """GET /stills/{sha256}: a picture of the clip."""
    return _serve(request, lambda workspace, clip: Response(still(workspace, clip), 200, HEADERS, "image/jpeg"))


def serve_reference(request: Request) -> Response:
    """GET /references/{action}/{number}: a curator's own picture of an action."""
    return _answer(request, lambda workspace: _own_picture(workspace, **request.path_params))


def own_pictures(workspace: Workspace, action: str) -> list[Path]:
    """Pictures that lie in references/<action> of the workspace, by name."""
    folder = workspace.home / "references" / action
    if not re.fullmatch(r"[\w -]{1,200}", action) or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.is_file())


def _own_picture(workspace: Workspace, action: str, number: str) -> Response:
    found = own_pictures(workspace, action)
    if not re.fullmatch(r"[0-9]{1,4}", number) or int(number) >= len(found):
        raise Missing("no such picture")
    picture = found[int(number)]
    return FileResponse(picture, media_type=PICTURES[picture.suffix.lower()], headers=HEADERS)


def _video(workspace: Workspace, clip: Clip, make: Make) -> Response:
    file = playable_files(workspace).path(clip, make)
    cut = {SHOWN: f"{SECONDS:.0f}/{clip.duration:.0f}"} if is_cut(workspace, clip, file) else {}
    return FileResponse(file, media_type="video/mp4", headers=HEADERS | cut)


def _serve(request: Request, respond: Callable[[Workspace, Clip], Response]) -> Response:
    sha256 = request.path_params["sha256"]
    if not SHA256.fullmatch(sha256):
        return PlainTextResponse("no such clip", status_code=404)
    return _answer(request, lambda workspace: respond(workspace, _clip(sha256)))


def _clip(sha256: str) -> Clip:
    with connect().reading() as session:
        clip = session.scalar(select(Clip).where(Clip.sha256 == sha256))
    if clip is None:
        raise Missing("no such clip")
    return clip


def _answer(request: Request, respond: Callable[[Workspace], Response]) -> Response:
    """404 with the reason for what cannot be shown, 403 to who is not signed in."""
    try:
        access.annotator_of(request)
        return respond(connect().workspace)
    except Refused as error:
        return PlainTextResponse(str(error), status_code=403)
    except PlusmvError as error:
        return PlainTextResponse(str(error), status_code=404)
