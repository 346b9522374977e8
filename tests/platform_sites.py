"""What the platform server plays: posts under tags, shown as Instagram, Dailymotion, the two official APIs and a plain
site show theirs, and every fault that the real ones have.

A post's file is a real small video with a box of its own at the end, so that contents differ and all decode.
"""

import base64
import hashlib
import json
import random
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, unquote, urlsplit

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
    "clips.example": "api",
    "files.clips.example": "media",
}
FIRST = 1_570_000_000  # the oldest post's time
FAULTS = ("500", "cut", "length", "html", "gone", "expired", "huge", "slow", "private", "429")
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
        self._by_code: dict[str, Clip] = {}
        self._cursors: dict[str, tuple[str, int]] = {}

    def publish(self, tag: str, count: int, uploaders: int = 7, **facts) -> list[Clip]:
        """New posts, newer than all there are."""
        there = self.tags.setdefault(tag, [])
        new = []
        for _ in range(count):
            number = len(there)
            digest = hashlib.sha256(f"{self.seed}/{tag}/{number}".encode()).digest()
            clip = Clip(tag, number, 7_000_000 + digest[0] % uploaders, len(self._by_code), **facts)
            clip.code = "C" + base64.urlsafe_b64encode(digest[:7]).decode().rstrip("=")
            clip.pk = 3_000_000_000_000 + int.from_bytes(digest[8:12], "big")
            clip.caption = clip.caption or f"look at this #{tag} no {number}"
            there.append(clip)
            self._by_code[clip.code] = clip
            new.append(clip)
        return new

    def all(self) -> Iterable[Clip]:
        return self._by_code.values()

    def file(self, clip: Clip) -> bytes:
        """The bytes of a post's file."""
        label = f"content {clip.content:020d}".encode()
        return self.films[clip.content % len(self.films)] + (8 + len(label)).to_bytes(4, "big") + b"free" + label

    def answer(self, asked, body: bytes):
        """An Answer for one request."""
        from tests.platform_server import Answer

        self.make = Answer
        with self._lock:
            if HOSTS[asked.host] == "api":
                refusal = self._refusal(asked)
                if refusal is not None:
                    return refusal
            play = {
                "www.instagram.com": self._instagram,
                "graphql.api.dailymotion.com": self._dailymotion,
                "www.dailymotion.com": self._dailymotion,
                "graph.facebook.com": self._graph,
                "www.googleapis.com": self._youtube,
                "clips.example": self._plain,
            }
            if HOSTS[asked.host] == "media":
                return self._media(asked)
            return play.get(asked.host, self._nothing)(asked, body)

    def _refusal(self, asked):
        switches = self.switches
        if switches.too_many:
            switches.too_many -= 1
            return self._too_many()
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

    def _nothing(self, asked, body):
        return self.json({"message": "not here", "status": "fail"}, 404)

    # pages

    def listed(self, tag: str) -> list[Clip]:
        """What a tag lists, newest first."""
        return [clip for clip in reversed(self.tags.get(tag, ())) if not clip.hidden]

    def _page(self, tag: str, cursor: str | None, size: int) -> tuple[list[Clip], str | None]:
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

    def _link(self, host: str, clip: Clip) -> str:
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
        return self._nothing(asked, body)

    def _tag_page(self, variables: dict):
        clips, following = self._page(variables["tag_name"], variables.get("after"), self.switches.page_size)
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
            node["video_url"] = self._link("scontent.cdninstagram.com", clip)
        return node

    def _post_page(self, code: str):
        clip = self._by_code.get(code)
        items = []
        if clip is not None and clip.fault != "gone":
            user = {"pk": str(clip.uploader), "username": f"person{clip.uploader}", "full_name": "Some Body"}
            items = [{
                "code": clip.code, "pk": str(clip.pk), "id": f"{clip.pk}_{clip.uploader}", "media_type": 2,
                "taken_at": clip.taken_at, "user": user, "video_duration": clip.seconds, "has_audio": False,
                "video_versions": [{"url": self._link("scontent.cdninstagram.com", clip), "width": 64, "height": 48}],
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
        clip = self._by_code.get(unquote(path.rpartition("/")[2]).removesuffix(".mp4"))
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
            "slow": self.make(200, content, "video/mp4", slow=0.2),
            "private": self.make(302, b"", headers={"Location": "http://169.254.169.254/latest/meta-data"}),
            "file": self.make(302, b"", headers={"Location": "file:///etc/passwd"}),
        }
        return answers.get(clip.fault) or self.make(200, content, "video/mp4")

    # dailymotion, as yt-dlp's own extractor asks it

    def _dailymotion(self, asked, body):
        if asked.path.startswith("/oauth/token"):
            return self.json({"access_token": "a"})
        if asked.path.startswith("/player/metadata/video/"):
            return self._dailymotion_file(asked.path.partition("?")[0].rpartition("/")[2])
        if asked.host != "graphql.api.dailymotion.com":
            return self._nothing(asked, body)
        query = json.loads(body)
        if query.get("operationName") == "SEARCH_QUERY":
            start = (query["variables"]["page"] - 1) * 20
            clips = self.listed(query["variables"]["query"])[start : start + 20]
            edges = [{"node": {"xid": _xid(clip)}} for clip in clips]
            if self.switches.changed_format:
                return self.json({"data": {"finding": {}}})
            return self.json({"data": {"search": {"videos": {"edges": edges}}}})
        xid = query["query"].partition('xid: "')[2].partition('"')[0]
        clip = self._by_xid(xid)
        if clip is None or clip.fault == "gone":
            return self.json({"data": {"media": None}, "errors": [{"message": "Video not found or has been deleted"}]})
        return self.json({"data": {"media": {"xid": xid, "description": clip.caption, "stats": {}}}})

    def _dailymotion_file(self, xid: str):
        clip = self._by_xid(xid)
        return self.json({
            "title": clip.caption, "duration": 1, "created_time": clip.taken_at, "tags": [clip.tag],
            "owner": {"id": f"x{clip.uploader}", "screenname": f"person{clip.uploader}"},
            "qualities": {"480": [{"type": "video/mp4", "url": self._link("vod.dmcdn.net", clip)}]},
        })  # fmt: skip

    def _by_xid(self, xid: str) -> Clip | None:
        return next((clip for clip in self.all() if _xid(clip) == xid), None)

    # the official APIs

    def _graph(self, asked, body):
        parts = urlsplit(asked.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if asked.key != "Bearer token":
            return self.json({"error": {"message": "Invalid OAuth access token", "code": 190}}, 400)
        if parts.path.endswith("/ig_hashtag_search"):
            if query["q"] not in self.tags:
                return self.json({"error": {"message": "The requested resource does not exist", "code": 24}}, 400)
            return self.json({"data": [{"id": str(17_800_000 + list(self.tags).index(query["q"]))}]})
        if parts.path.endswith("/recent_media"):
            tag = list(self.tags)[int(parts.path.split("/")[-2]) - 17_800_000]
            clips, following = self._page(tag, query.get("after"), int(query.get("limit", 25)))
            found = [{
                "id": str(clip.pk), "media_type": "IMAGE" if clip.picture else "VIDEO",
                "media_url": self._link("scontent.cdninstagram.com", clip), "caption": clip.caption,
                "permalink": f"https://www.instagram.com/p/{clip.code}/", "timestamp": _iso(clip),
            } for clip in clips]  # fmt: skip
            if self.switches.changed_format:
                return self.json({"items": found})
            return self.json({"data": found, "paging": {"cursors": {"after": following}} if following else {}})
        return self._nothing(asked, body)

    def _youtube(self, asked, body):
        parts = urlsplit(asked.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if asked.key != "key":
            return self.json({"error": {"code": 400, "message": "API key not valid", "errors": []}}, 400)
        if parts.path.endswith("/search"):
            self.quota_calls += 1
            clips, following = self._page(query["q"].lstrip("#"), query.get("pageToken"), int(query["maxResults"]))
            if self.switches.changed_format:
                return self.json({"results": []})
            items = [{"id": {"kind": "youtube#video", "videoId": _yid(clip)}, "snippet": {
                "publishedAt": _iso(clip), "channelId": f"UC{clip.uploader}", "channelTitle": "Somebody",
                "title": clip.caption, "description": "", "live": "none"}} for clip in clips]  # fmt: skip
            return self.json({"items": items} | ({"nextPageToken": following} if following else {}))
        wanted = query["id"].split(",")
        items = [{"id": _yid(clip), "contentDetails": {"duration": "PT7S", "definition": "sd"},
                  "status": {"license": "creativeCommon" if clip.number % 2 else "youtube"}}
                 for clip in self.all() if _yid(clip) in wanted]  # fmt: skip
        return self.json({"items": items})

    # a plain site, as yt-dlp's generic extractor reads it

    def _plain(self, asked, body):
        path = asked.path.partition("?")[0]
        if path == "/to-private":
            return self.make(302, headers={"Location": "http://127.0.0.1:9/secret.mp4"})
        if path == "/to-file":
            return self.make(302, headers={"Location": "file:///etc/passwd"})
        clip = self._by_code.get(path.rpartition("/")[2])
        if clip is None or clip.fault == "gone":
            return self.make(404, b"<html>gone</html>", "text/html")
        about = {"@context": "https://schema.org", "@type": "VideoObject", "name": clip.caption, "duration": "PT1S",
                 "uploadDate": _iso(clip), "contentUrl": self._link("files.clips.example", clip)}  # fmt: skip
        page = (
            f"<html><title>{clip.caption}</title><script type='application/ld+json'>{json.dumps(about)}</script></html>"
        )
        return self.make(200, page.encode(), "text/html; charset=utf-8")


def copies(clip: Clip, **changes) -> Clip:
    """The post with other facts."""
    return replace(clip, **changes)


def _xid(clip: Clip) -> str:
    return "x" + hashlib.sha256(clip.code.encode()).hexdigest()[:6]


def _yid(clip: Clip) -> str:
    return hashlib.sha256(clip.code.encode()).hexdigest()[:11]


def _iso(clip: Clip) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(clip.taken_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
