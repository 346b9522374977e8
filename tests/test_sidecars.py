"""What yt-dlp and Instaloader leave beside a clip; both kinds are written by the tools themselves."""

import json
import lzma
from datetime import UTC, datetime

import instaloader
import yt_dlp

from plusmv.curate.sources.folder import FolderSource
from plusmv.db.models import PostState


def folder_of(tmp_path, **sidecars: bytes) -> FolderSource:
    clips = tmp_path / "golf"
    clips.mkdir()
    for name, content in sidecars.items():
        (clips / f"{name}.mp4").write_bytes(name.encode())
        (clips / (name + (".json.xz" if content[:1] == b"\xfd" else ".info.json"))).write_bytes(content)
    return FolderSource(clips)


def clips_of(source: FolderSource) -> list:
    posts = [post for page in source.search("golf") for post in page.posts]
    assert all(post.platform_id.endswith(".mp4") for post in posts)  # what lies beside a clip is no post
    return posts


def test_ytdlps_info(tmp_path):
    info = {"id": "dQw4", "extractor_key": "Youtube", "title": "swing", "description": "at\x00 noon", "channel_id": "U",
            "webpage_url": "https://www.youtube.com/watch?v=dQw4", "timestamp": 1572166800, "license": "CC BY",
            "duration": 7, "uploader": "Some Body", "formats": [{"url": "https://x"}], "fps": 30}  # fmt: skip
    with yt_dlp.YoutubeDL({"quiet": True}) as ydl:
        (post,) = clips_of(folder_of(tmp_path, a=json.dumps(ydl.sanitize_info(info)).encode()))
    assert (post.origin, post.uploader, post.caption) == ("youtube:dQw4", "youtube:U", "swing\nat noon")
    assert (post.taken_at, post.licence) == (datetime(2019, 10, 27, 9, tzinfo=UTC), "CC BY")
    assert post.url == "https://www.youtube.com/watch?v=dQw4"
    assert (post.raw["duration"], post.raw["fps"], post.raw["license"]) == (7, 30, "CC BY")
    assert not {"Some Body", "dQw4", "U"} & set(map(str, post.raw.values()))


def test_instaloaders_json(tmp_path):
    node = {"shortcode": "CxYz123", "id": "31", "is_video": True, "__typename": "GraphVideo", "video_duration": 6.5,
            "taken_at_timestamp": 1572166800, "owner": {"id": "42", "username": "some_body"},
            "edge_media_to_caption": {"edges": [{"node": {"text": "swing"}}]}}  # fmt: skip
    loader = instaloader.Instaloader(quiet=True)
    saved = tmp_path / "saved.json.xz"
    instaloader.save_structure_to_file(instaloader.Post(loader.context, node), str(saved))
    (post,) = clips_of(folder_of(tmp_path, a=saved.read_bytes()))
    assert (post.origin, post.uploader, post.caption) == ("instagram:CxYz123", "instagram:42", "swing")
    assert post.url == "https://www.instagram.com/p/CxYz123/"
    assert post.raw["video_duration"] == 6.5
    assert "some_body" not in json.dumps(post.raw)


def test_what_cannot_be_read_is_left_out(tmp_path):
    bomb = lzma.compress(b" " * (64 << 20))
    bad = {
        "a": b"no JSON",
        "b": b"[1]",
        "c": b'{"id": 1, "timestamp": "never", "title": {}}',
        "d": bomb,
        "e": bomb[:99],
    }
    posts = clips_of(folder_of(tmp_path, **bad))
    assert [post.state for post in posts] == [PostState.FOUND] * 5
    assert [post.origin for post in posts] == [None, None, "unknown:1", None, None]
