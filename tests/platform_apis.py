"""How the platform server's other sites show its posts: Dailymotion, the two official APIs, and a plain site.

Each function answers one request, as `platform_sites.Platform` does for Instagram and the files.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from tests.platform_sites import Clip, Platform


# dailymotion, as yt-dlp's own extractor asks it


def dailymotion(platform: "Platform", asked, body):
    if asked.path.startswith("/oauth/token"):
        return platform.json({"access_token": "a"})
    if asked.path.startswith("/player/metadata/video/"):
        return _dailymotion_file(platform, asked.path.partition("?")[0].rpartition("/")[2])
    if asked.host != "graphql.api.dailymotion.com":
        return platform.nothing(asked, body)
    query = json.loads(body)
    if query.get("operationName") == "SEARCH_QUERY":
        start = (query["variables"]["page"] - 1) * 20
        clips = platform.listed(query["variables"]["query"])[start : start + 20]
        edges = [{"node": {"xid": _xid(clip)}} for clip in clips]
        if platform.switches.changed_format:
            return platform.json({"data": {"finding": {}}})
        return platform.json({"data": {"search": {"videos": {"edges": edges}}}})
    xid = query["query"].partition('xid: "')[2].partition('"')[0]
    clip = _by_xid(platform, xid)
    if clip is None or clip.fault == "gone":
        return platform.json({"data": {"media": None}, "errors": [{"message": "Video not found or has been deleted"}]})
    return platform.json({"data": {"media": {"xid": xid, "description": clip.caption, "stats": {}}}})


def _dailymotion_file(platform: "Platform", xid: str):
    clip = _by_xid(platform, xid)
    return platform.json({
        "title": clip.caption, "duration": 1, "created_time": clip.taken_at, "tags": [clip.tag],
        "owner": {"id": f"x{clip.uploader}", "screenname": f"person{clip.uploader}"},
        "qualities": {"480": [{"type": "video/mp4", "url": platform.link("vod.dmcdn.net", clip)}]},
    })  # fmt: skip


def _by_xid(platform: "Platform", xid: str) -> "Clip | None":
    return next((clip for clip in platform.all() if _xid(clip) == xid), None)


# the official APIs


def graph(platform: "Platform", asked, body):
    parts = urlsplit(asked.path)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if asked.key != "Bearer token":
        return platform.json({"error": {"message": "Invalid OAuth access token", "code": 190}}, 400)
    if parts.path.endswith("/ig_hashtag_search"):
        if query["q"] not in platform.tags:
            return platform.json({"error": {"message": "The requested resource does not exist", "code": 24}}, 400)
        return platform.json({"data": [{"id": str(17_800_000 + list(platform.tags).index(query["q"]))}]})
    if parts.path.endswith("/recent_media"):
        tag = list(platform.tags)[int(parts.path.split("/")[-2]) - 17_800_000]
        clips, following = platform.page(tag, query.get("after"), int(query.get("limit", 25)))
        found = [{
            "id": str(clip.pk), "media_type": "IMAGE" if clip.picture else "VIDEO",
            "media_url": platform.link("scontent.cdninstagram.com", clip), "caption": clip.caption,
            "permalink": f"https://www.instagram.com/p/{clip.code}/", "timestamp": _iso(clip),
        } for clip in clips]  # fmt: skip
        if platform.switches.changed_format:
            return platform.json({"items": found})
        return platform.json({"data": found, "paging": {"cursors": {"after": following}} if following else {}})
    return platform.nothing(asked, body)


def youtube(platform: "Platform", asked, body):
    parts = urlsplit(asked.path)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if asked.key != "key":
        return platform.json({"error": {"code": 400, "message": "API key not valid", "errors": []}}, 400)
    if parts.path.endswith("/search"):
        platform.quota_calls += 1
        clips, following = platform.page(query["q"].lstrip("#"), query.get("pageToken"), int(query["maxResults"]))
        if platform.switches.changed_format:
            return platform.json({"results": []})
        items = [{"id": {"kind": "youtube#video", "videoId": _yid(clip)}, "snippet": {
            "publishedAt": _iso(clip), "channelId": f"UC{clip.uploader}", "channelTitle": "Somebody",
            "title": clip.caption, "description": "", "live": "none"}} for clip in clips]  # fmt: skip
        return platform.json({"items": items} | ({"nextPageToken": following} if following else {}))
    wanted = query["id"].split(",")
    items = [{"id": _yid(clip), "contentDetails": {"duration": "PT7S", "definition": "sd"},
              "status": {"license": "creativeCommon" if clip.number % 2 else "youtube"}}
             for clip in platform.all() if _yid(clip) in wanted]  # fmt: skip
    return platform.json({"items": items})


# YouTube's own pages, as yt-dlp's extractors read them


def youtube_pages(platform: "Platform", asked, body):
    """A hashtag's page, a video's page, and what the player is told."""
    path = asked.path.partition("?")[0]
    if path.startswith("/hashtag/"):
        videos = [{"videoRenderer": {"videoId": _yid(clip), "title": {"runs": [{"text": clip.caption}]}}}
                  for clip in platform.listed(path.split("/")[2])]  # fmt: skip
        grid = {"richGridRenderer": {"contents": [{"richItemRenderer": {"content": video}} for video in videos]}}
        tabs = [{"tabRenderer": {"selected": True, "content": grid}}]
        return _youtube_page(platform, {"twoColumnBrowseResultsRenderer": {"tabs": tabs}})
    if path == "/watch":
        return _youtube_page(platform, {"twoColumnWatchNextResults": {}})
    if path != "/youtubei/v1/player":
        return platform.nothing(asked, body)
    clip = next((clip for clip in platform.all() if _yid(clip) == json.loads(body)["videoId"]), None)
    if clip is None or clip.fault == "gone":
        return platform.json({"playabilityStatus": {"status": "ERROR", "reason": "This video is unavailable"}})
    file = {"itag": 18, "url": platform.link("rr1.googlevideo.com", clip), "width": 128, "height": 96, "fps": 25,
            "mimeType": 'video/mp4; codecs="avc1.42001E, mp4a.40.2"'}  # fmt: skip
    facts = {"videoId": _yid(clip), "title": clip.caption, "lengthSeconds": "1", "channelId": f"UC{clip.uploader}",
             "author": "Somebody", "shortDescription": clip.caption}  # fmt: skip
    return platform.json(
        {"playabilityStatus": {"status": "OK"}, "videoDetails": facts, "streamingData": {"formats": [file]}}
    )


def _youtube_page(platform: "Platform", contents: dict):
    data = json.dumps({"contents": contents})
    page = f"<html><script>ytcfg.set({{}}); var ytInitialData = {data};</script></html>"
    return platform.make(200, page.encode(), "text/html; charset=utf-8")


# a plain site, as yt-dlp's generic extractor reads it


def plain(platform: "Platform", asked, body):
    path = asked.path.partition("?")[0]
    if path == "/to-private":
        return platform.make(302, headers={"Location": "http://127.0.0.1:9/secret.mp4"})
    if path == "/to-file":
        return platform.make(302, headers={"Location": "file:///etc/passwd"})
    clip = platform.by_code.get(path.rpartition("/")[2])
    if clip is None or clip.fault == "gone":
        return platform.make(404, b"<html>gone</html>", "text/html")
    about = {"@context": "https://schema.org", "@type": "VideoObject", "name": clip.caption, "duration": "PT1S",
             "uploadDate": _iso(clip), "contentUrl": platform.link("files.clips.example", clip)}  # fmt: skip
    page = f"<html><title>{clip.caption}</title><script type='application/ld+json'>{json.dumps(about)}</script></html>"
    return platform.make(200, page.encode(), "text/html; charset=utf-8")


def _xid(clip: "Clip") -> str:
    return "x" + hashlib.sha256(clip.code.encode()).hexdigest()[:6]


def _yid(clip: "Clip") -> str:
    return hashlib.sha256(clip.code.encode()).hexdigest()[:11]


def _iso(clip: "Clip") -> str:
    return datetime.fromtimestamp(clip.taken_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
