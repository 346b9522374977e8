"""What yt-dlp, Instaloader and gallery-dl leave beside a clip; the first two's files are written by the tools."""

import json
import lzma
import shutil
from datetime import UTC, datetime

import instaloader
import pytest
import yt_dlp
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.curate.sources.folder import FolderSource
from plusmv.db.models import PostState, ReasonCode
from tests.small_videos import make_video


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


def test_instaloaders_story_is_called_by_its_number(tmp_path):
    node = {"id": "2165000000000000000_42", "__typename": "GraphStoryVideo", "owner": {"id": "42"},
            "taken_at_timestamp": 1572166800}  # fmt: skip
    saved = {"node": node, "instaloader": {"version": "4.14", "node_type": "StoryItem"}}
    (post,) = clips_of(folder_of(tmp_path, a=lzma.compress(json.dumps(saved).encode())))
    code = instaloader.Post.mediaid_to_shortcode(2165000000000000000)
    assert (post.origin, post.uploader) == (f"instagram:{code}", "instagram:42")


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


def instaloaders(code: str, kind: str) -> dict:
    edges = {"edges": [{"node": {"text": "my jump \u202e\x00 \ud83d"}}]}
    node = {"__typename": kind, "shortcode": code, "id": f"9{code}", "owner": {"id": "4711", "username": "alice"},
            "edge_media_to_caption": edges, "taken_at_timestamp": 1572166800}  # fmt: skip
    return {"node": node, "instaloader": {"version": "4.14", "node_type": "Post"}}


GALLERY_DL = {"category": "instagram", "shortcode": "CGdl", "post_id": "123", "owner_id": "4711", "username": "alice",
              "description": "jump", "date": "2019-10-27 09:00:00", "video_url": "x"}  # fmt: skip
YTDLP = {"id": "abc123", "extractor_key": "Youtube", "title": "Clip", "channel_id": "UC1", "upload_date": "20191027"}
OF_4711 = ("2019-10-27", "2019-10-28", "2019-10-29_1", "2019-10-29_2", "CGdl_123")
OF_NOBODY = (
    "caf\u00e9 \N{GRINNING FACE}.mp4",
    "-dash.mp4",
    "100% #1 ?&.mp4",
    " lead .mp4",
    "new\nline.mp4",
    "a" * 240 + ".mp4",
)
LEFT = ("Clip [abc123].f137.mp4", "Clip [abc123].temp.mp4", "Clip [abc123].mp4.part")


def downloaders_folder(folder, film=lambda path, seed: path.write_bytes(path.name.encode())):
    """As ../shared/cases/make_sidecars.py makes it: what three downloaders left, one of them interrupted."""
    folder.mkdir(parents=True)
    single, plain, carousel = (f"2019-10-{day}_09-00-00_UTC" for day in (27, 28, 29))
    names = (f"{single}.mp4", f"{plain}.mp4", f"{carousel}_1.mp4", f"{carousel}_2.mp4", "CGdl_123.mp4", *LEFT,
             "Other [def456].MP4", *OF_NOBODY)  # fmt: skip
    for seed, name in enumerate(names):
        film(folder / name, seed)
    packed = {single: instaloaders("SINGLE", "GraphVideo"), carousel: instaloaders("CAROUSEL", "GraphSidecar")}
    for name, content in packed.items():
        (folder / f"{name}.json.xz").write_bytes(lzma.compress(json.dumps(content).encode()))
    (folder / f"{carousel}.txt").write_text("my jump")
    other = {"id": "def456", "extractor_key": "Youtube", "title": "Other", "channel_id": "UC1", "timestamp": 1572166800}
    texts = {f"{plain}.json": instaloaders("PLAINJSON", "GraphVideo"), "CGdl_123.mp4.json": GALLERY_DL,
             "Clip [abc123].info.json": YTDLP, "Other [def456].info.json": other}  # fmt: skip
    for name, content in texts.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def test_whose_a_clip_is_in_a_folder_of_three_downloaders(tmp_path):
    source = FolderSource(downloaders_folder(tmp_path / "polevault"))
    posts = {post.platform_id: post for page in source.search("polevault") for post in page.posts}
    of = {name: (post.origin, post.uploader) for name, post in posts.items() if post.uploader}
    day = "2019-10-{}_09-00-00_UTC{}.mp4"
    assert {name: whose for name, whose in of.items() if whose[1] == "instagram:4711"} == {
        day.format(27, ""): ("instagram:SINGLE", "instagram:4711"),
        day.format(28, ""): ("instagram:PLAINJSON", "instagram:4711"),
        day.format(29, "_1"): ("instagram:CAROUSEL", "instagram:4711"),
        day.format(29, "_2"): ("instagram:CAROUSEL", "instagram:4711"),
        "CGdl_123.mp4": ("instagram:CGdl", "instagram:4711"),
    }
    assert posts["CGdl_123.mp4"].taken_at == datetime(2019, 10, 27, 9, tzinfo=UTC)
    assert of["Other [def456].MP4"] == ("youtube:def456", "youtube:UC1")
    left = {name: post for name, post in posts.items() if post.state == PostState.FILTERED}
    assert set(left) == set(LEFT)
    assert {post.reason.code for post in left.values()} == {ReasonCode.LEFTOVER}
    assert {post.origin for post in left.values()} == {"youtube:abc123"}  # a takedown finds these rows too
    assert len(posts) == len(OF_4711) + len(LEFT) + 1 + len(OF_NOBODY)


@pytest.mark.parametrize(
    ("names", "left"),
    [
        (["scene.temp.mp4", "race.f1.mp4", "race.f1.gp.mp4"], []),  # a person's own: nothing says that they are left
        (["scene.temp.mp4", "scene.mp4"], []),
        (["race.f1.mp4", "race.mp4.part"], ["race.f1.mp4", "race.mp4.part"]),
        (["race.f1.mp4", "race.mp4.ytdl"], ["race.f1.mp4", "race.mp4.ytdl"]),
        (["A [dQw4w9WgXcQ].fhls-1080p.mp4"], ["A [dQw4w9WgXcQ].fhls-1080p.mp4"]),
        (["A [dQw4w9WgXcQ].mp4"], []),
        (["a.mp4", "a.mp4.part-Frag12"], ["a.mp4.part-Frag12"]),
        (["race.f1.mp4", "race.mp4", "race.info.json"], []),  # the latter is not yt-dlp's
    ],
)
def test_what_only_looks_like_a_leftover_stays_a_clip(tmp_path, names, left):
    folder = tmp_path / "golf"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"[]")
    posts = [post for page in FolderSource(folder).search("golf") for post in page.posts]
    assert [post.platform_id for post in posts if post.state == PostState.FILTERED] == left
    assert len(posts) == len([name for name in names if not name.endswith(".json")])


def test_a_post_beside_a_numbered_clip_is_its_own_only_if_it_is_a_carousel(tmp_path):
    clips = tmp_path / "golf"
    clips.mkdir()
    for name in ("a_1.mp4", "b_1.mp4"):
        (clips / name).write_bytes(name.encode())
    (clips / "a.json").write_text(json.dumps(instaloaders("SINGLE", "GraphVideo")))
    node = {"code": "PHONE", "user": {"pk": 42}, "carousel_media": [{}, {}]}
    (clips / "b.json").write_text(json.dumps({"node": node}))
    a, b = (
        post for page in FolderSource(clips).search("golf") for post in page.posts if post.platform_id.endswith("mp4")
    )
    assert (a.origin, b.origin, b.uploader) == (None, "instagram:PHONE", "instagram:42")


def test_a_crawl_counts_the_clips_without_an_uploader_and_a_takedown_finds_the_others(tmp_path, migrated):
    """Of the folder's clips an uploader's are five, a carousel's two."""
    folder, home = tmp_path / "clips", tmp_path / "home"
    shutil.copytree(migrated, home)
    downloaders_folder(folder / "polevault", lambda path, seed: shutil.copyfile(films_of(tmp_path, seed), path))
    crawl = ["crawl", "--source", "folder", "--path", str(folder), "--home", str(home), "--workers", "1", "--json"]
    done = CliRunner().invoke(app, crawl)
    result = json.loads(done.stdout)
    totals = result["totals"]
    assert (totals["filtered"], totals["failed"]) == (len(LEFT), 0)
    assert totals["without_uploader"] == result["runs"][0]["without_uploader"] == len(OF_NOBODY)
    assert str(len(OF_NOBODY)) in done.stderr
    for whose, files in (("--post", "instagram:CAROUSEL"), 2), (("--uploader", "instagram:4711"), 3):
        before = len(list((home / "media").rglob("*.mp4")))
        assert CliRunner().invoke(app, ["takedown", *whose, "--home", str(home), "--json"]).exit_code == 0
        assert before - len(list((home / "media").rglob("*.mp4"))) == files


def films_of(tmp_path, seed: int):
    return make_video(tmp_path / "films" / f"{seed}.mp4", seed, seconds=0.2)
