"""Streams as sites serve them, and pages without end: what `https://files.clips.example/streams/<kind>` answers.

A name that ends in .m3u8 or .mpd is a list of segments, `page-rtmp` and the like are pages whose video comes by another
protocol, `drip-...` sends a byte now and then, `endless` never ends, `bomb` unpacks to a thousand times its size.
"""

import functools
import gzip
import json
import tempfile
from pathlib import Path

from tests.small_videos import make_video

HOST = "https://files.clips.example/streams"
KEY = bytes(range(16))
# yt-dlp takes a list of less than a second for a live one.
PLAIN = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n{key}#EXTINF:2.0,\na.ts\n{end}"
LISTS = {
    "plain": PLAIN.format(key="", end="#EXT-X-ENDLIST\n"),
    "aes-128": PLAIN.format(key=f'#EXT-X-KEY:METHOD=AES-128,URI="{HOST}/key"\n', end="#EXT-X-ENDLIST\n").replace(
        "a.ts", "encrypted.ts"
    ),
    "sample-aes": PLAIN.format(key=f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="{HOST}/key"\n', end="#EXT-X-ENDLIST\n"),
    "drm": PLAIN.format(key='#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://key"\n', end="#EXT-X-ENDLIST\n"),
    "live": PLAIN.format(key="", end=""),
    "private": PLAIN.format(key="", end="#EXT-X-ENDLIST\n").replace("a.ts", "http://127.0.0.1:9/a.ts"),
    "file": PLAIN.format(key="", end="#EXT-X-ENDLIST\n").replace("a.ts", "file:///etc/passwd"),
}
DASH = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="{type}" mediaPresentationDuration="PT0.4S"
 profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period><AdaptationSet mimeType="video/mp4" contentType="video">
<Representation id="v" codecs="avc1.42001E" bandwidth="1000" width="64" height="48"><SegmentList duration="1">
<SegmentURL media="{HOST}/whole.mp4"/></SegmentList></Representation></AdaptationSet></Period></MPD>"""
SCHEMES = ("rtmp", "rtmpe", "rtsp", "mms", "ws", "ftp")
DRIP = 0.02  # seconds a byte


@functools.lru_cache(maxsize=1)
def transport_stream() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return make_video(Path(folder, "a.ts"), seconds=0.1, size=(32, 32)).read_bytes()


@functools.lru_cache(maxsize=1)
def bomb() -> bytes:
    return gzip.compress(b"<html>" + b" " * (120 << 20), 9)


def answer(platform, asked):
    """One request for something below /streams/."""
    name = asked.path.partition("?")[0].removeprefix("/streams/")
    stem, _, suffix = name.rpartition(".")
    if suffix == "m3u8":
        return platform.make(200, LISTS[stem].encode(), "application/vnd.apple.mpegurl")
    if suffix == "mpd":
        kind = "dynamic" if stem == "live" else "static"
        return platform.make(200, DASH.format(type=kind, HOST=HOST).encode(), "application/dash+xml")
    if name.startswith("page-"):
        return _page(platform, name.removeprefix("page-"))
    whole = platform.films[0]
    files = {
        "a.ts": lambda: platform.make(200, transport_stream(), "video/mp2t"),
        "encrypted.ts": lambda: platform.make(200, _encrypted(transport_stream()), "video/mp2t"),
        "key": lambda: platform.make(200, KEY, "application/octet-stream"),
        "whole.mp4": lambda: platform.make(200, whole, "video/mp4"),
        "drip-file.mp4": lambda: platform.make(200, whole, "video/mp4", drip=DRIP),
        "drip-page": lambda: platform.make(200, b"<html>" + b" " * 5000, "text/html", drip=DRIP),
        "endless": lambda: platform.make(200, b"<html>" + b" " * (1 << 20), "text/html", endless=True),
        "bomb": lambda: platform.make(200, bomb(), "text/html", {"Content-Encoding": "gzip"}),
    }
    return files[name]() if name in files else platform.nothing(asked, b"")


def _page(platform, scheme: str):
    """A page that names a film on a server of its own, by another protocol than http."""
    about = {"@context": "https://schema.org", "@type": "VideoObject", "name": "a film", "duration": "PT1S",
             "contentUrl": f"{scheme}://media.example/live/film"}  # fmt: skip
    page = f"<html><title>a film</title><script type='application/ld+json'>{json.dumps(about)}</script></html>"
    return platform.make(200, page.encode(), "text/html; charset=utf-8")


@functools.lru_cache(maxsize=1)
def _encrypted(content: bytes) -> bytes:
    from yt_dlp.aes import aes_cbc_encrypt_bytes

    return aes_cbc_encrypt_bytes(content, KEY, bytes(16))
