"""Platforms that answer with hostile bytes, and a browser that sends them: what the network's parsers are fuzzed by.

The platform server of the tests plays the sites; one kind of answer is what the case says. The labeler's routes are
asked in this process, as its server would ask them.
"""

import asyncio
import contextlib
import functools
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.page import signed_in
from tests.platform_server import Answer, Asked, PlatformServer, playing
from tests.platform_sites import Platform

TAG, PORT = "golfswing", 8501
VIDEO = {
    "id": {"kind": "youtube#video", "videoId": "x"},
    "snippet": {
        "publishedAt": "2019-10-27T09:00:00Z",
        "title": "t",
        "channelId": "U",
        "description": None,
        "live": "none",
    },
}
POST = {
    "id": "31",
    "media_type": "VIDEO",
    "media_url": "https://scontent.cdninstagram.com/v/a.mp4",
    "caption": None,
    "permalink": "https://www.instagram.com/p/CxYzA/",
    "timestamp": "2019-10-27T09:00:00+0000",
}
NODE = {
    "id": "31",
    "shortcode": "CxYzA",
    "is_video": True,
    "__typename": "GraphVideo",
    "taken_at_timestamp": 1572166800,
    "owner": {"id": "42"},
    "edge_media_to_caption": {"edges": [{"node": {"text": None}}]},
    "video_view_count": 1,
}
PAGE = {
    "data": {
        "hashtag": {
            "edge_hashtag_to_media": {
                "count": 1,
                "edges": [{"node": NODE}],
                "page_info": {"has_next_page": False, "end_cursor": None},
            }
        }
    },
    "status": "ok",
}
LOOK = {
    "data": {
        "xdt_api__v1__media__shortcode__web_info": {
            "items": [
                {
                    "code": "CxYzA",
                    "pk": "31",
                    "id": "31_42",
                    "media_type": 2,
                    "taken_at": 1572166800,
                    "user": {"pk": "42"},
                    "video_duration": 1.5,
                    "video_versions": [{"url": "https://scontent.cdninstagram.com/v/a.mp4", "width": 64, "height": 48}],
                    "caption": {"text": "x"},
                    "has_audio": False,
                    "image_versions2": {"candidates": []},
                    "location": None,
                }
            ]
        }
    },
    "status": "ok",
}
SEARCH = {"data": {"search": {"videos": {"edges": [{"node": {"xid": "x1abc"}}]}}}}
RENDERED = [{"richItemRenderer": {"content": {"videoRenderer": {"videoId": "dQw4w9WgXcQ", "title": None}}}}]
TABS = [{"tabRenderer": {"selected": True, "content": {"richGridRenderer": {"contents": RENDERED}}}}]
SHOWN = json.dumps({"contents": {"twoColumnBrowseResultsRenderer": {"tabs": TABS}}})
HASHTAG = f"<script>var ytInitialData = {SHOWN};</script>"

# kind: (source, which requests get the hostile answer, a whole answer)
KINDS: dict[str, tuple[str, Callable[[Asked], bool], Any]] = {
    "graph": (
        "graph",
        lambda asked: "recent_media" in asked.path,
        {"data": [POST], "paging": {"cursors": {"after": None}}},
    ),
    "graph tag": ("graph", lambda asked: "ig_hashtag_search" in asked.path, {"data": [{"id": "17800000"}]}),
    "youtube": ("youtube", lambda asked: "/search" in asked.path, {"items": [VIDEO], "nextPageToken": None}),
    "youtube videos": (
        "youtube",
        lambda asked: "/videos" in asked.path,
        {"items": [{"id": "x", "contentDetails": {"duration": "PT7S"}, "status": {"license": None}}]},
    ),
    "instagram pages": ("instagram", lambda asked: "query_hash" in asked.path, PAGE),
    "instagram posts": ("instagram", lambda asked: asked.method == "POST", LOOK),
    "dailymotion": (
        "ytdlp",
        lambda asked: asked.host == "graphql.api.dailymotion.com" and "oauth" not in asked.path,
        SEARCH,
    ),
    "youtube pages": ("ytdlp youtube", lambda asked: asked.host == "www.youtube.com", HASHTAG),
    "gzip": ("graph", lambda asked: "recent_media" in asked.path, None),
}
SEEDS: dict[str, Callable[[], list[bytes]]] = {
    kind: functools.partial(
        lambda whole: [whole.encode() if isinstance(whole, str) else json.dumps(whole).encode()], whole
    )
    for kind, (_, _, whole) in KINDS.items()
    if whole is not None
}
_open = contextlib.ExitStack()


class HostileServer(PlatformServer):
    """Answers the requests that `meets` says with the bytes of `answer_with`."""

    answer_with, headers = b"", {}
    meets: Callable[[Asked], bool]

    def answer(self, asked: Asked, body: bytes) -> Answer:
        if self.meets(asked):
            kind = "text/html" if asked.host == "www.youtube.com" else "application/json"
            return Answer(200, self.answer_with, kind, self.headers)
        return super().answer(asked, body)


@functools.cache
def _server() -> PlatformServer:
    """One for this process, which goes through it from now on."""
    folder = Path(tempfile.mkdtemp(prefix="plusmv-fuzz-"))
    platform = Platform([b"a film"])
    platform.publish(TAG, 2)
    session = folder / "session.json"
    session.write_text('{"sessionid": "s", "ds_user_id": "1", "csrftoken": "c"}')
    session.chmod(0o600)
    server = _open.enter_context(playing(platform, folder))
    keys = {"INSTAGRAM_SESSION": str(session), "GRAPH_TOKEN": "token", "GRAPH_USER": "17", "YOUTUBE_KEY": "key"}
    os.environ |= {f"PLUSMV_{name}": value for name, value in keys.items()}
    server.__class__ = HostileServer
    return server


@functools.cache
def catalog() -> Any:
    """An open catalog of this process: two actions, and a clip that a post showed under the first."""
    from plusmv.core.actions import THUMOS14
    from plusmv.core.workspace import Workspace
    from plusmv.db.models import Clip, CrawlRun, FileState, Post, PostState, Sighting
    from plusmv.db.queries import save_actions
    from plusmv.db.session import open_catalog

    opened = open_catalog(Workspace(Path(tempfile.mkdtemp(prefix="plusmv-fuzz-")) / "home"))
    with opened.writing() as session:
        action = save_actions(session, THUMOS14[:2])[THUMOS14[0].name]
        clip = Clip(sha256="a" * 64, suffix=".mp4", bytes=1, duration=1.0, state=FileState.DONE)
        run = CrawlRun(source="folder", tag="a", action_id=action.id)
        post = Post(platform="folder", platform_id="a.mp4", clip=clip, state=PostState.DOWNLOADED)
        session.add_all([run, post])
        session.flush()
        session.add(Sighting(post_id=post.id, action_id=action.id, tag="a", run_id=run.id))
    return opened


def read(kind: str, path: Path) -> None:
    """Search a tag of the site, and look at the first post that it lists."""
    from sqlalchemy import delete

    from plusmv.core.workspace import Workspace
    from plusmv.curate.sources.base import SourceContext, SourceOptions
    from plusmv.curate.sources.rate_limit import RateLimiter
    from plusmv.curate.sources.registry import open_source
    from plusmv.db.models import QuotaUse

    name, meets, _ = KINDS[kind]
    server = _server()
    server.meets, server.answer_with = meets, path.read_bytes()
    server.headers = {"Content-Encoding": "gzip"} if kind == "gzip" else {}
    server.forget()
    query = "youtube-hashtag" if name.endswith("youtube") else "dailymotion" if name == "ytdlp" else None
    with catalog().writing() as session:
        session.execute(delete(QuotaUse))
    options = SourceOptions(query=query, limit=3, actions=((TAG, "GolfSwing"),))
    context = SourceContext(RateLimiter(0), catalog(), Workspace(path.parent / "home"))
    page = next(open_source(name.partition(" ")[0], options, context).search(TAG), None)
    for found in page.posts[:1] if page else ():
        open_source(name.partition(" ")[0], options, context).look(found)


@functools.cache
def _labeler() -> tuple[Any, Path]:
    """The labeler's routes over a catalog of their own."""
    from starlette.applications import Starlette

    from plusmv.core.workspace import Workspace
    from plusmv.db.session import open_catalog
    from plusmv.labeler_ui.contradiction_routes import CONTRADICTION_ROUTES
    from plusmv.labeler_ui.duplicate_routes import DUPLICATE_ROUTES
    from plusmv.labeler_ui.gate import Gate
    from plusmv.labeler_ui.routes import ROUTES

    home = Path(tempfile.mkdtemp(prefix="plusmv-fuzz-")) / "home"
    open_catalog(Workspace(home)).close()
    os.environ["PLUSMV_HOME"] = str(home)
    os.environ.pop("PLUSMV_DB", None)
    return Gate(Starlette(routes=[*ROUTES, *DUPLICATE_ROUTES, *CONTRADICTION_ROUTES])), home


def post(route: str, path: Path) -> None:
    """Send a body to one of the labeler's routes."""
    _ask("POST", f"/labeler/{route}".encode(), path.read_bytes())


def get(path: Path) -> None:
    """Ask for an address."""
    _ask("GET", path.read_bytes()[:20_000], b"")


def _ask(method: str, target: bytes, body: bytes) -> None:
    """Raises AssertionError for an answer of 500: the route failed in a way that nobody named."""
    routes, home = _labeler()
    headers = {"content-type": "application/json"} | _signed_in(home)
    sent = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": target.decode("utf-8", "surrogateescape"),
        "raw_path": target,
        "query_string": b"",
        "root_path": "",
        "headers": sent,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8501),
        "extensions": {},
    }
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        statuses.extend([message["status"]] if message["type"] == "http.response.start" else [])

    asyncio.run(routes(scope, receive, send))
    assert statuses and statuses[0] != 500, f"answered {statuses}"


@functools.cache
def _signed_in(home: Path) -> dict[str, str]:
    return signed_in(home, PORT)
