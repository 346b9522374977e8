"""What the platform server plays: posts under tags, shown as Instagram shows theirs (other sites:
platform_apis), and every fault that the real ones have.

A post's file is a real small video with a box of its own at the end, so that contents differ and all decode.
"""

import base64
import hashlib
import json
import random
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import parse_qs, unquote, urlsplit

from tests import platform_apis, platform_streams

HOSTS = {
    "www.instagram.com": "api",
    "i.instagram.com": "api",
    "scontent.cdninstagram.com": "media",
    "graphql.api.dailymotion.com": "api",
    "www.dailymotion.com": "api",
    "dailymotion.com": "api",
    "vod.dmcdn.net": "media",
    "graph.facebook.com": "api",
    "www.googleapis.com": "api",
    "www.youtube.com": "api",
    "rr1.googlevideo.com": "media",
    "clips.example": "api",
    "files.clips.example": "media",
}
FIRST = 1_570_000_000  # the oldest post's time
FAULTS = ("500", "cut", "length", "html", "gone", "expired", "huge", "slow", "drip", "private", "429")
HUGE = 4_000_000_000  # bytes that a huge file says it has


@dataclass
class Clip:
    """One post of a platform. fault: one of FAULTS, or "" for none."""

    tag: str
    number: int
    uploader: int
    content: int
    fault: str = ""
    picture: bool = False
    hidden: bool = False  # not listed, though it is there
    seconds: float = 0.4
    caption: str = ""
    code: str = ""
    pk: int = 0
    links: int = 0  # how many links to its file were given out

    @property
    def taken_at(self) -> int:
        return FIRST + self.number * 600


@dataclass
class Switches:
    """How the platform misbehaves."""

    page_size: int = 12
    needs_login: bool = True
    too_many: int = 0  # so many of the next API answers are 429
    media_burst: tuple[int, int] = (0, 0)  # after so many answers of media hosts, so many are 429
    retry_after: str = "0"
    login_redirect: bool = False
    checkpoint: bool = False
    changed_format: bool = False
    empty_page: int | None = None  # the page (from 0) that comes back empty although there are more
    not_json: bool = False
    hostile: dict | None = None  # the platform_server.Answer that an API gives, whatever it is asked
    repeat_pages: bool = False  # every page comes twice, under two cursors
    reorder: bool = False  # pages are shuffled within themselves at each answer
    listing_has_links: bool = False
    links_expire: bool = False  # the first link given out for a post is not valid any more
    api_delay: float = 0.0


@dataclass
class Platform:
    """Posts under tags, newest first. `films`: contents of small real videos that posts share in turn."""

    films: list[bytes]
    switches: Switches = field(default_factory=Switches)
    tags: dict[str, list[Clip]] = field(default_factory=dict)
    seed: int = 0
    quota_calls: int = 0

    def __post_init__(self):
        self._lock, self._chance = threading.Lock(), random.Random(self.seed)
        self.by_code: dict[str, Clip] = {}
        self._cursors: dict[str, tuple[str, int]] = {}

    def publish(self, tag: str, count: int, uploaders: int = 7, **facts) -> list[Clip]:
        """New posts, newer than all there are."""
        there = self.tags.setdefault(tag, [])
        new = []
        for _ in range(count):
            number = len(there)
            digest = hashlib.sha256(f"{self.seed}/{tag}/{number}".encode()).digest()
            clip = Clip(tag, number, 7_000_000 + digest[0] % uploaders, len(self.by_code), **facts)
            clip.code = "C" + base64.urlsafe_b64encode(digest[:7]).decode().rstrip("=")
            clip.pk = 3_000_000_000_000 + int.from_bytes(digest[8:12], "big")
            clip.caption = clip.caption or f"look at this #{tag} no {number}"
            there.append(clip)
            self.by_code[clip.code] = clip
            new.append(clip)
        return new

    def all(self) -> Iterable[Clip]:
        return self.by_code.values()

    def file(self, clip: Clip) -> bytes:
        """The bytes of a post's file."""
        label = f"content {clip.content:020d}".encode()
        return self.films[clip.content % len(self.films)] + (8 + len(label)).to_bytes(4, "big") + b"free" + label

    def answer(self, asked, body: bytes):
        """An Answer for one request."""
        from tests.platform_server import Answer

        self.make = Answer
        if asked.path.startswith("/streams/"):
            return platform_streams.answer(self, asked)
        with self._lock:
            if HOSTS[asked.host] == "api":
                refusal = self._refusal(asked)
                if refusal is not None:
                    return refusal
            play = {
                "www.instagram.com": self._instagram,
                "graphql.api.dailymotion.com": partial(platform_apis.dailymotion, self),
                "www.dailymotion.com": partial(platform_apis.dailymotion, self),
                "graph.facebook.com": partial(platform_apis.graph, self),
                "www.googleapis.com": partial(platform_apis.youtube, self),
                "www.youtube.com": partial(platform_apis.youtube_pages, self),
                "clips.example": partial(platform_apis.plain, self),
            }
            if HOSTS[asked.host] == "media":
                return self._media(asked)
            return play.get(asked.host, self.nothing)(asked, body)

    def _refusal(self, asked):
        switches = self.switches
        if switches.too_many:
            switches.too_many -= 1
            return self._too_many()
        if switches.hostile is not None:
            return self.make(**switches.hostile)
        if switches.login_redirect:
            return self.make(302, headers={"Location": f"https://{asked.host}/accounts/login/?next=/"})
        if switches.checkpoint:
            url = f"https://{asked.host}/challenge/"
            return self.json({"message": "checkpoint_required", "checkpoint_url": url, "status": "fail"}, 400)
        if switches.not_json:
            return self.make(200, b"<!DOCTYPE html><title>Instagram</title>", "text/html")
        return None

    def _too_many(self):
        headers = {"Retry-After": self.switches.retry_after} if self.switches.retry_after else {}
        return self.make(429, b'{"message": "slow down", "status": "fail"}', headers=headers)

    def json(self, value: object, status: int = 200):
        return self.make(status, json.dumps(value).encode(), slow=self.switches.api_delay)

    def nothing(self, asked, body):
        return self.json({"message": "not here", "status": "fail"}, 404)

    # pages

    def listed(self, tag: str) -> list[Clip]:
        """What a tag lists, newest first."""
        return [clip for clip in reversed(self.tags.get(tag, ())) if not clip.hidden]

    def page(self, tag: str, cursor: str | None, size: int) -> tuple[list[Clip], str | None]:
        """(posts, cursor of the next page). Cursors point behind a post, so that new posts move nothing."""
        _, start = self._cursors[cursor] if cursor else (tag, -1)
        clips = self.listed(tag)
        rest = [clip for clip in clips if start < 0 or clip.number < start]
        page = rest[:size]
        number = (clips.index(page[0]) // size) if page else 0
        if self.switches.empty_page is not None and number >= self.switches.empty_page:
            return [], self._cursor(tag, start if start >= 0 else 10**9, "again")
        again = self.switches.repeat_pages and not (cursor or "").endswith("r")
        if again and page:
            following = self._cursor(tag, start if start >= 0 else 10**9, "r")
        else:
            following = self._cursor(tag, page[-1].number) if len(rest) > size else None
        if self.switches.reorder:
            page = self._chance.sample(page, len(page))
        return page, following

    def _cursor(self, tag: str, number: int, mark: str = "") -> str:
        name = hashlib.sha256(f"{self.seed}/{tag}/{number}".encode()).hexdigest()[:24] + mark
        self._cursors[name] = (tag, number)
        return name

    def link(self, host: str, clip: Clip) -> str:
        clip.links += 1
        return f"https://{host}/v/{clip.code}.mp4?sig={clip.links}"

    # instagram

    def _instagram(self, asked, body):
        parts = urlsplit(asked.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if parts.path == "/":
            page = b'["LSD",[],{"token":"l1"},1]["DTSGInitialData",[],{"token":"d1"},2]"IG_USER_EIMU":"1"'
            return self.make(200, page, "text/html", {"Set-Cookie": "csrftoken=t; Path=/; Secure"})
        if "query_hash" in query:
            if self.switches.needs_login and "sessionid=s" not in asked.cookies:
                return self.make(302, headers={"Location": "https://www.instagram.com/accounts/login/"})
            return self._tag_page(json.loads(query["variables"]))
        if form.get("doc_id"):
            return self._post_page(json.loads(form["variables"])["shortcode"])
        return self.nothing(asked, body)

    def _tag_page(self, variables: dict):
        clips, following = self.page(variables["tag_name"], variables.get("after"), self.switches.page_size)
        media = {
            "count": len(self.tags.get(variables["tag_name"], ())),
            "page_info": {"has_next_page": following is not None, "end_cursor": following},
            "edges": [{"node": self._node(clip)} for clip in clips],
        }
        if self.switches.changed_format:
            return self.json({"data": {"hashtag": {"edge_hashtag_to_reels": media}}, "status": "ok"})
        return self.json({"data": {"hashtag": {"edge_hashtag_to_media": media}}, "status": "ok"})

    def _node(self, clip: Clip) -> dict:
        node = {
            "id": str(clip.pk), "shortcode": clip.code, "is_video": not clip.picture,
            "__typename": "GraphImage" if clip.picture else "GraphVideo", "taken_at_timestamp": clip.taken_at,
            "owner": {"id": str(clip.uploader)}, "dimensions": {"height": 48, "width": 64},
            "edge_media_to_caption": {"edges": [{"node": {"text": clip.caption}}]},
            "display_url": f"https://scontent.cdninstagram.com/p/{clip.code}.jpg",
            "video_view_count": clip.number, "comments_disabled": False,
        }  # fmt: skip
        if self.switches.listing_has_links and not clip.picture:
            node["video_url"] = self.link("scontent.cdninstagram.com", clip)
        return node

    def _post_page(self, code: str):
        clip = self.by_code.get(code)
        items = []
        if clip is not None and clip.fault != "gone":
            user = {"pk": str(clip.uploader), "username": f"person{clip.uploader}", "full_name": "Some Body"}
            items = [{
                "code": clip.code, "pk": str(clip.pk), "id": f"{clip.pk}_{clip.uploader}", "media_type": 2,
                "taken_at": clip.taken_at, "user": user, "video_duration": clip.seconds, "has_audio": False,
                "video_versions": [{"url": self.link("scontent.cdninstagram.com", clip), "width": 64, "height": 48}],
                "caption": {"text": clip.caption, "user": user}, "like_count": 3, "product_type": "clips",
                "image_versions2": {"candidates": [{"url": f"https://scontent.cdninstagram.com/p/{code}.jpg"}]},
            }]  # fmt: skip
        return self.json({"data": {"xdt_api__v1__media__shortcode__web_info": {"items": items}}, "status": "ok"})

    # files

    def _media(self, asked):
        before, burst = self.switches.media_burst
        self.switches.media_burst = (before - 1, burst) if before else (0, max(0, burst - 1))
        if burst and not before:
            return self._too_many()
        path, _, query = asked.path.partition("?")
        clip = self.by_code.get(unquote(path.rpartition("/")[2]).removesuffix(".mp4"))
        if clip is None or clip.fault == "gone":
            return self.make(404, b"gone", "text/plain")
        content = self.file(clip)
        sig = int(query.removeprefix("sig=") or 0)
        if clip.fault == "expired" or (self.switches.links_expire and sig == 1):
            return self.make(403, b"URL signature expired", "text/plain")
        answers = {
            "500": self.make(500, b"", "text/plain"),
            "429": self.make(429, b"", "text/plain", {"Retry-After": "0"}),
            "cut": self.make(200, content, "video/mp4", cut=len(content) // 2),
            "length": self.make(200, content, "video/mp4", length=len(content) + 999),
            "html": self.make(200, b"<html>not a video</html>", "text/html"),
            "disguised": self.make(200, b"<html>not a video</html>" * 50, "video/mp4"),
            "huge": self.make(200, content, "video/mp4", length=HUGE),
            "drip": self.make(200, content, "video/mp4", drip=platform_streams.DRIP),
            "slow": self.make(200, content, "video/mp4", slow=0.2),
            "private": self.make(302, b"", headers={"Location": "http://169.254.169.254/latest/meta-data"}),
            "file": self.make(302, b"", headers={"Location": "file:///etc/passwd"}),
        }
        return answers.get(clip.fault) or self.make(200, content, "video/mp4")
