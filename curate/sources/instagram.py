"""The source `instagram`: the recent posts under a hashtag, by the real Instaloader (4.16) with a session of yours.

The tag's pages come one at a time through Instaloader's NodeIterator, because iterating it ends in silence at an empty
or repeated page. A page names the videos; the link to a video's file comes from the post's own page (`look`). Every
answer is checked before it is believed: a login wall, a checkpoint, another format or an empty page is an error by
that name.
"""

import os
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import instaloader
import requests
from instaloader import exceptions as errors

from plusmv.core.errors import BadInput
from plusmv.core.least_speed import LeastSpeed
from plusmv.core.parsing import moment_or_none, parse_json, positive
from plusmv.core.text import bounded
from plusmv.curate.sources.base import (
    ChangedFormat,
    Checkpoint,
    Cursor,
    EmptyPage,
    FoundPost,
    LoginWall,
    MediaFile,
    Page,
    PostFailed,
    PostGone,
    RateLimited,
    Reason,
    Source,
    SourceContext,
    SourceOptions,
    Unreachable,
)
from plusmv.curate.sources.credentials import cookies_of_browser, cookies_of_file
from plusmv.curate.sources.http import ATTEMPTS, Web
from plusmv.curate.sources.rate_limit import MAX_RETRY_AFTER, RateLimiter, retry_after
from plusmv.curate.sources.redact import redact_personal_data
from plusmv.db.models import PostState, ReasonCode
from plusmv.features.connections import LEAST_SPEED, PageTooLarge, guard, is_too_slow

HOST = "www.instagram.com"
TAG_QUERY = "9b498c08113f1e09617a1703c22b2f32"  # Hashtag.get_posts_resumable's; a test holds the two together
POST_ANSWER = "xdt_api__v1__media__shortcode__web_info"
SHORTCODE = re.compile(r"[A-Za-z0-9_-]{5,40}")
LOG_IN = "log in to instagram.com in a browser and give its cookies (--cookies-from-browser, PLUSMV_INSTAGRAM_SESSION)"
CONFIRM = "open instagram.com in a browser, do what it asks for, then run the same command again"
HELD_BACK = "it is blocked, misspelt or held back; look at it in a browser, and run the same command again later"
UPDATE = "instaloader or plusmv may need an update"
ODD = (KeyError, IndexError, TypeError, ValueError, AttributeError, AssertionError, OverflowError)  # of other JSON


class InstagramSource(Source):
    """Posts of Instagram. cookies: of a session that is logged in ({} asks as a stranger, whom tag pages refuse)."""

    name = platform = "instagram"
    platforms = rechecks = (platform,)
    tool = f"instaloader {instaloader.__version__}"

    def __init__(
        self,
        rate_limiter: RateLimiter,
        cookies: dict[str, str] | None = None,
        max_bytes: int | None = None,
        least_speed: LeastSpeed = LEAST_SPEED,
    ):
        self._context = _Context(rate_limiter, cookies or {}, least_speed)
        self._web, self._max_bytes = Web(rate_limiter, least_speed), max_bytes
        self.account = f"instagram:{(cookies or {}).get('ds_user_id') or 'session'}" if cookies else ""

    @classmethod
    def open(cls, options: SourceOptions, context: SourceContext) -> "InstagramSource":
        return cls(context.rate_limiter, _cookies(options), options.max_bytes)

    def query(self, tag: str) -> dict:
        return {"tag": tag, "order": "recent"}

    def search(self, tag: str, cursor: Cursor | None = None) -> Iterator[Page]:
        """Pages of 12, newest first as Instagram orders them."""
        after, first = (cursor or {}).get("after"), cursor is None
        if cursor is not None and after is None:
            return
        followed = {after}
        while True:
            nodes, info = self._page(tag, after)
            more = bool(info.get("has_next_page"))
            if not nodes and (first or more):
                where = "has no posts at all" if first else "stops in the middle with an empty page"
                raise EmptyPage(f"#{tag} {where}: {HELD_BACK}")
            after, first = info.get("end_cursor"), False
            if more and (not isinstance(after, str) or not after or after in followed):
                raise ChangedFormat(f"a page of #{tag} names no next page though it says there is one; {UPDATE}")
            after = after if more else None
            followed.add(after)
            yield Page(self._posts(tag, nodes), {"after": after})
            if not more:
                return

    def look(self, post: FoundPost) -> FoundPost:
        """The post's own page: duration, uploader and a fresh link to the file."""
        with _TranslatedErrors(), self._context.lock:
            try:
                found = instaloader.Post.from_shortcode(self._context, post.platform_id)
                return self._filled(post, found, found._asdict())
            except errors.QueryReturnedNotFoundException as error:
                raise PostGone("the post is not there any more") from error
            except errors.BadResponseException as error:
                raise PostGone("the post is not there any more, or not public") from error
            except errors.PostChangedException as error:
                raise PostGone("another post answers in its place", ReasonCode.CHANGED) from error
            except ODD as error:
                raise PostFailed(
                    f"its page is not of the known form ({type(error).__name__}: {error})"[:200]
                ) from error

    def download(self, post: FoundPost, file: MediaFile) -> None:
        self._web.download(post.locator, file, self._max_bytes)

    def _page(self, tag: str, after: str | None) -> tuple[list[dict], dict]:
        """(nodes, page_info) of one page; one request."""
        variables = {"tag_name": tag} | ({"after": after} if after else {})
        with _TranslatedErrors(), self._context.lock:
            try:
                frozen = instaloader.NodeIterator(
                    self._context, TAG_QUERY, _edges, _Node, variables, f"https://{HOST}/explore/tags/{quote(tag)}/"
                ).freeze()
                listed: dict[str, Any] = frozen.remaining_data or {}
                edges, info = listed["edges"], listed["page_info"]
                nodes = [edge["node"] for edge in edges]
                if not isinstance(info, dict) or "has_next_page" not in info or not all(map(_is_post, nodes)):
                    raise TypeError("posts or page_info")
                return nodes, info
            except errors.QueryReturnedNotFoundException as error:
                raise ChangedFormat(f"the tag query is not there any more (404); {UPDATE}") from error
            except (KeyError, TypeError) as error:
                what = f"{error}".strip("'\"")[:80]
                raise ChangedFormat(f"a page of #{tag} is not of the known form (lacks {what}); {UPDATE}") from error

    def _posts(self, tag: str, nodes: list[dict]) -> tuple[FoundPost, ...]:
        try:
            return tuple(map(self._post, nodes))
        except ODD as error:
            raise ChangedFormat(
                f"a post of #{tag} is not of the known form ({type(error).__name__}); {UPDATE}"
            ) from error

    def _post(self, node: dict) -> FoundPost:
        shortcode = str(node["shortcode"])
        post = self._filled(
            FoundPost(self.platform, shortcode, url=f"https://{HOST}/p/{shortcode}/", complete=False),
            instaloader.Post(self._context, node),
            node,
        )
        if not node["is_video"]:
            album = node.get("__typename") == "GraphSidecar"
            text = "is an album, only single videos are taken" if album else "is a picture, not a video"
            post = replace(post.ended(PostState.FILTERED, Reason(ReasonCode.NOT_VIDEO, text)), is_video=False)
        return post

    def _filled(self, post: FoundPost, found: instaloader.Post, node: dict) -> FoundPost:
        """The post with what a node has of it; a node of a tag's page has no link to the file, or one that expires."""
        owner = node["owner"] if isinstance(node.get("owner"), dict) else {}
        link = node.get("video_url")
        linked = isinstance(link, str) and bool(link)
        return replace(
            post,
            uploader=f"instagram:{owner['id']}" if owner.get("id") else post.uploader,
            caption=bounded(found.caption or "", 5000) or post.caption,
            taken_at=moment_or_none(node.get("taken_at_timestamp", node.get("date"))) or post.taken_at,
            seconds=positive(node.get("video_duration")) or post.seconds,
            raw=redact_personal_data(node) or post.raw,
            locator=str(link) if linked else post.locator,
            complete=linked or post.complete,
        )


class _Context(instaloader.InstaloaderContext):
    """Instaloader's own, made quiet, that waits as the whole crawl does and checks each answer."""

    def __init__(self, rate_limiter: RateLimiter, cookies: dict[str, str], least_speed: LeastSpeed = LEAST_SPEED):
        self.rate_limiter, self.lock = rate_limiter, threading.RLock()  # one account: one request at a time
        self._least_speed = least_speed
        self.asked_to_wait: float | None = None
        super().__init__(sleep=False, quiet=True, max_connection_attempts=ATTEMPTS, request_timeout=60.0,
                         rate_controller=_Rates, iphone_support=False)  # fmt: skip
        if cookies:
            name = cookies.get("ds_user") or cookies.get("ds_user_id") or "session"
            self.load_session(name, {"csrftoken": "", **cookies})

    def get_json(self, path, params, host="www.instagram.com", session=None, *rest, **options):
        """Every query goes through here, each with a session of its own making."""
        guard(session or self._session, least=self._least_speed)
        return super().get_json(path, params, host, session, *rest, **options)

    def error(self, msg, repeat_at_end=True):
        """Instaloader's way to print; its retry loop takes a Ctrl-C for "skip this one"."""
        if "skipped by user" in str(msg):
            raise KeyboardInterrupt

    def doc_id_graphql_query(self, doc_id, variables, referer=None, web_api=False) -> dict[str, Any]:
        """A missing post is an empty list; a missing list is another format."""
        answer = super().doc_id_graphql_query(doc_id, variables, referer, web_api)
        if "shortcode" in variables and POST_ANSWER not in (answer.get("data") or {}):
            raise ChangedFormat(f"the answer for a post lacks {POST_ANSWER}; {UPDATE}")
        return answer

    def _raise_if_login_redirect(self, resp: requests.Response) -> None:
        if resp.is_redirect:
            _check_wall(resp.headers.get("location", ""))
        super()._raise_if_login_redirect(resp)

    def _raise_for_status(self, resp: requests.Response) -> None:
        """Called for each answer. Notes what Retry-After asks for; walls and other formats are not retried."""
        self.asked_to_wait = retry_after(resp.headers.get("Retry-After")) if resp.status_code == 429 else None
        if resp.is_redirect:
            raise ChangedFormat(f"instagram.com sends the query elsewhere ({resp.status_code}); {UPDATE}")
        try:
            answer = parse_json(resp.content, "the answer", strict=False)
        except BadInput:
            answer = None
        message = str(answer.get("message", "")) if isinstance(answer, dict) else ""
        if message in ("checkpoint_required", "challenge_required", "feedback_required"):
            raise Checkpoint(f"instagram.com wants a person to confirm something ({message}); {CONFIRM}")
        if resp.status_code in (401, 403) or message == "login_required" or _says_login(answer):
            raise LoginWall(f"instagram.com answers {resp.status_code} {message or resp.reason}; {LOG_IN}")
        if resp.status_code == 200 and not isinstance(answer, dict):
            raise ChangedFormat(f"instagram.com answers with something that is not JSON; {UPDATE}")
        super()._raise_for_status(resp)


class _Rates(instaloader.RateController):
    """Instaloader's sliding windows, and the crawl's pause between requests; 429 as the platform asks."""

    _context: _Context

    def sleep(self, secs: float):
        self._context.rate_limiter.sleep(secs)

    def query_waittime(self, query_type: str, current_time: float, untracked_queries: bool = False) -> float:
        waittime = super().query_waittime(query_type, current_time, untracked_queries)
        return waittime if self._context.rate_limiter.pause(HOST) else 0.0  # no pause: a proxy on this machine

    def wait_before_query(self, query_type: str) -> None:
        super().wait_before_query(query_type)
        self._context.rate_limiter.wait(HOST)

    def handle_429(self, query_type: str) -> None:
        asked = self._context.asked_to_wait
        if asked is None:
            asked = self.query_waittime(query_type, time.monotonic(), True)
        if asked > MAX_RETRY_AFTER:
            raise RateLimited(f"instagram.com asks to be left alone for {asked / 60:.0f} minutes; come back then")
        self._context.rate_limiter.after_429(HOST, asked, 1)


class _TranslatedErrors:
    """A block in which Instaloader's exceptions become ours."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RecursionError):
            raise ChangedFormat(f"instagram.com answers with JSON that is nested too deep; {UPDATE}") from error
        if isinstance(error, errors.ConnectionException) and isinstance(error.__cause__, PageTooLarge):
            raise ChangedFormat(f"instagram.com: {error.__cause__}; {UPDATE}") from error
        if isinstance(error, errors.ConnectionException) and is_too_slow(error):
            raise Unreachable(f"instagram.com: {LEAST_SPEED.error().strerror}; try again later") from error
        if isinstance(error, errors.LoginRequiredException | errors.LoginException):
            raise LoginWall(f"instagram.com asks for a login; {LOG_IN}") from error
        if isinstance(error, errors.AbortDownloadException):
            wall = LoginWall if "login" in str(error).lower() or "logged out" in str(error) else Checkpoint
            raise wall(f"instagram.com refused the session; {LOG_IN if wall is LoginWall else CONFIRM}") from error
        if isinstance(error, errors.TooManyRequestsException) or (
            isinstance(error, errors.ConnectionException) and "429" in str(error)
        ):
            raise RateLimited("instagram.com still answers 429 after waiting; wait some hours, then go on") from error
        if isinstance(error, errors.QueryReturnedBadRequestException):
            raise ChangedFormat(f"instagram.com refuses the query (400); {UPDATE}") from error
        if isinstance(error, errors.ConnectionException) and not isinstance(
            error, errors.QueryReturnedNotFoundException
        ):
            raise Unreachable("instagram.com does not answer as it should; try again later") from error


class _Node:
    """What NodeIterator wraps a node in; pages are read from its frozen state instead."""

    def __init__(self, node: dict):
        self.node = node


def _edges(answer: dict) -> dict:
    if answer["data"]["hashtag"] is None:
        raise EmptyPage(f"Instagram says that there is no such tag: {HELD_BACK}")
    return answer["data"]["hashtag"]["edge_hashtag_to_media"]


def _is_post(node: object) -> bool:
    return (
        isinstance(node, dict)
        and bool(SHORTCODE.fullmatch(str(node.get("shortcode", ""))))
        and isinstance(node.get("is_video"), bool)
    )


def _check_wall(location: str) -> None:
    if "/accounts/login" in location:
        raise LoginWall(f"instagram.com sends to its login page; {LOG_IN}")
    if any(part in location for part in ("/challenge", "/accounts/suspended", "/consent", "/checkpoint")):
        raise Checkpoint(f"instagram.com sends to a page that a person must answer; {CONFIRM}")


def _cookies(options: SourceOptions) -> dict[str, str] | None:
    """Of the browser that is named, or of the file PLUSMV_INSTAGRAM_SESSION."""
    if options.browser:
        return cookies_of_browser(options.browser, "instagram.com")
    file = os.environ.get("PLUSMV_INSTAGRAM_SESSION")
    return cookies_of_file(Path(file), "instagram.com") if file else None


def _says_login(answer: object) -> bool:
    return isinstance(answer, dict) and answer.get("require_login") is True
