"""Small random catalogs and workspaces for takedown, of posts whose ids are chosen to hurt.

`World.write` makes a workspace of a list of posts; a takedown is right where what it leaves is what the posts that stay
would have made. Everything that a post puts anywhere carries its mark, which occurs nowhere else.
"""

import csv
import gzip
import hashlib
import io
import json
import random
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
from safetensors.numpy import save_file
from sqlalchemy import insert

from plusmv.core.text import bounded_line
from plusmv.core.workspace import Workspace, write_json
from plusmv.curate.crawl.letter_case import uploader_name
from plusmv.db.models import (
    Action,
    Clip,
    CrawlRun,
    Decision,
    DuplicateEdge,
    DuplicateRuling,
    Export,
    FeatureFile,
    Fingerprint,
    Post,
    Sighting,
    SuspicionScore,
)
from plusmv.db.session import Catalog
from plusmv.features.conversion import compact
from plusmv.features.feature_files import VideoFeatures, write_features

HURTFUL = (
    "rgb", "flow", "safetensors", "annotations", "a", "0", "..", "%", "_", "a%", "GolfSwing", "golfswing", "MiXeD",
    "mixed", "\N{FIRE}", "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}", 'quo"te\'s', "a\nb", "x:y", "microvideos", "plusmv",
    "checkpoint", "id", "null", "true", "1", "p", "features", "É", "\\", "ab", "Zq8uniqueid17",
)  # fmt: skip
PLATFORMS = ("instagram", "youtube", "niconico", "unknown")
LINKS = {"instagram": "https://www.instagram.com/p/{}/", "youtube": "https://www.youtube.com/watch?v={}",
         "niconico": "https://www.nicovideo.jp/watch/{}", "unknown": "https://clips.example/see/{}"}  # fmt: skip


@dataclass(frozen=True)
class ToyPost:
    number: int
    platform: str
    name: str
    uploader: str  # "platform:id"
    url: str
    content: str  # sha256
    media: bytes

    @property
    def mark(self) -> str:
        return f"mark{self.number:03d}x"

    def record(self) -> dict[str, str]:
        caption = f"{self.mark}, a rgb\nof\r\ntwo lines, 'quoted'"
        return {"platform": self.platform, "platform_id": self.name, "uploader": self.uploader.partition(":")[2],
                "url": self.url, "caption": caption}  # fmt: skip


def random_posts(seed: int) -> list[ToyPost]:
    """Up to 12 posts: several of one uploader, some of one content, some under one link, one id on two platforms."""
    chance = random.Random(seed)
    names = chance.sample(HURTFUL, 6)
    people = chance.sample(HURTFUL, 3)
    posts: dict[tuple[str, str], ToyPost] = {}
    for number in range(chance.randint(4, 12)):
        platform = chance.choice(PLATFORMS)
        name = bounded_line(chance.choice(names), 200)
        media = b"media of %d by chance %d" % (number, chance.getrandbits(60))
        url = LINKS[platform].format(quote(name, safe=""))
        post = ToyPost(number, platform, name, f"{platform}:{chance.choice(people)}", url, _sha256(media), media)
        earlier = list(posts.values())
        if earlier and chance.random() < 0.25:
            post = replace(post, content=(twin := chance.choice(earlier)).content, media=twin.media)
        if earlier and chance.random() < 0.15:
            post = replace(post, url=chance.choice(earlier).url)
        if not any(_same_post(post, other) for other in earlier):
            posts[platform, name] = post
    return list(posts.values())


def random_request(posts: list[ToyPost], seed: int) -> tuple[str, str, list[ToyPost]]:
    """(kind, value, the posts that it concerns)."""
    chance = random.Random(seed + 1000)
    post, kind = chance.choice(posts), chance.choice(("url", "post", "uploader", "sha256"))
    if kind == "sha256":
        return kind, post.content.upper(), [other for other in posts if other.content == post.content]
    if kind == "url":
        shared = post.url + ("&" if "?" in post.url else "?") + "igsh=abc"
        return kind, chance.choice((post.url, shared)), [o for o in posts if o.url == post.url or _linked(o, post.url)]
    full = f"{post.platform}:{post.name}" if kind == "post" else post.uploader
    key = (lambda o: _post_key(o.platform, o.name)) if kind == "post" else (lambda o: uploader_name(o.uploader))
    if kind == "uploader" and post.platform == "instagram" and chance.random() < 0.5:
        full = full.swapcase()
    if chance.random() < 0.5 and ":" not in full.partition(":")[2]:
        bare = full.partition(":")[2]
        mine = (
            (lambda o: _post_key(o.platform, bare))
            if kind == "post"
            else (lambda o: uploader_name(f"{o.platform}:{bare}"))
        )
        return kind, bare, [other for other in posts if key(other) == mine(other)]
    wanted = _post_key(*full.split(":", 1)) if kind == "post" else uploader_name(full)
    return kind, full, [other for other in posts if key(other) == wanted]


def write_world(workspace: Workspace, posts: list[ToyPost], everybody: list[ToyPost]) -> None:
    """Files of these posts, of everybody's contents that they still hold; and files that are nobody's."""
    contents = {post.content: post.media for post in posts}
    for content, media in contents.items():
        for path in (workspace.media(content, ".mp4"), workspace.preview(content)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(media)
    _write_features(workspace, contents)
    _write_records(workspace.home / "notes", posts)
    if set(contents) == {post.content for post in everybody}:
        write_json(workspace.exports / "microvideos.json", {"database": {content: {} for content in sorted(contents)}})
    run = workspace.run("rgb")
    results = {content: [{"label": "GolfSwing", "segment": [0.0, 1.5]}] for content in sorted(contents)}
    write_json(run / "detections.json", {"version": "1", "results": {"video_test_0": [], **results}})
    _write_words(workspace)


def write_rows(catalog: Catalog, workspace: Workspace, posts: list[ToyPost]) -> None:
    """The catalog of these posts, with rows of every kind that refers to clips."""
    clips = {content: number for number, content in enumerate(dict.fromkeys(post.content for post in posts), start=1)}
    people = list(dict.fromkeys(post.uploader for post in posts if post.platform == "instagram"))
    runs = [
        {"id": 1, "source": "folder", "tag": "rgb", "action_id": 1, "query": json.dumps({"path": "/clips", "n": 0})}
    ]
    runs += [{"id": n, "source": "ytdlp", "tag": "a", "action_id": 1,
              "query": json.dumps({"query": _profile(who), "x": 1})}
             for n, who in enumerate(people, start=2)]  # fmt: skip
    pairs = list(zip(clips.values(), list(clips.values())[1:], strict=False))
    version = {"version": "1"}
    rows = {
        Action: [{"id": 1, "name": "GolfSwing"}],
        CrawlRun: runs,
        Clip: [{"id": n, "sha256": c, "suffix": ".mp4", "bytes": 9, "state": "done"} for c, n in clips.items()],
        Post: [_row(workspace, post, clips[post.content]) for post in posts],
        Sighting: [{"post_id": post.number + 1, "action_id": 1, "tag": "rgb", "run_id": 1} for post in posts],
        Decision: [{"id": n, "clip_id": n, "action_id": 1, "verdict": "keep", "reason": "a rgb", "annotator": "rgb"}
                   for n in clips.values()]
        + [{"id": 100 + n, "clip_id": n, "action_id": 1, "verdict": "undo", "annotator": "a", "undoes_id": n}
           for n in clips.values() if n % 2],
        DuplicateEdge: [{"a_id": a, "b_id": b, "kind": "copy", "score": 1.0, **version} for a, b in pairs],
        DuplicateRuling: [{"id": a, "kind": "duplicate", "a_id": a, "b_id": b, "annotator": "a"} for a, b in pairs]
        + [{"id": 100 + a, "kind": "withdrawn", "a_id": a, "b_id": b, "annotator": "a", "undoes_id": a}
           for a, b in pairs],
        Fingerprint: [{"clip_id": n, "state": "done", "arrays": c.encode(), **version} for c, n in clips.items()],
        SuspicionScore: [{"clip_id": n, "action_id": 1, "signal": "rgb", "score": 0.5} for n in clips.values()],
        FeatureFile: [{"clip_id": n, "recipe": "r", "stride": 16, "streams": "rgb", "state": "done",
                       "path": f"features/{c}.safetensors"} for c, n in clips.items()],
        Export: [{"id": 1, "path": "exports/microvideos.json", "format": "a", "sha256": "0", "clips": sorted(clips)}],
    }  # fmt: skip
    with catalog.writing() as session:
        for model, some in rows.items():
            for row in some:
                session.execute(insert(model), row)


def _row(workspace: Workspace, post: ToyPost, clip: int) -> dict:
    return {"id": post.number + 1, "platform": post.platform, "platform_id": post.name, "url": post.url,
            "uploader_hash": workspace.keyed_hash(uploader_name(post.uploader)), "caption": post.record()["caption"],
            "state": "downloaded", "raw": {"tags": ["rgb", post.mark]}, "clip_id": clip}  # fmt: skip


def _write_features(workspace: Workspace, contents: dict[str, bytes]) -> None:
    """Half in shards, half loose; two that are nobody's; arrays of each layout."""

    def features(video_id: str) -> VideoFeatures:
        value = np.full((2, 4), int(_sha256(video_id.encode())[:3], 16), np.float32)
        return VideoFeatures(video_id, {"rgb": value, "flow": value}, 25.0, frames=32)

    for video_id in ("0", *(one for one in sorted(contents) if one < "8")):
        write_features(workspace.features / f"{video_id}.safetensors", features(video_id))
    list(compact(workspace.features))
    for video_id in ("rgb", *(one for one in sorted(contents) if one >= "8")):
        write_features(workspace.features / f"{video_id}.safetensors", features(video_id))
    (workspace.home / "arrays").mkdir(exist_ok=True)
    ids = [*sorted(contents), "0000"]
    means = np.array([[int(content[:4], 16)] for content in ids])
    np.savez(workspace.home / "arrays" / "means.npz", ids=np.array(ids), means=means, rgb=np.ones(1))
    np.savez(workspace.home / "arrays" / "each.npz", rgb=np.ones(3), **{content: np.ones(2) for content in contents})


def _write_records(folder: Path, posts: list[ToyPost]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    records = [post.record() for post in posts]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    rows = io.StringIO(newline="")
    table = csv.DictWriter(rows, ["platform", "platform_id", "uploader", "url", "caption"])
    table.writeheader()
    table.writerows(records)
    write_json(folder / "posts.json", {"version": "rgb", "rows": records, "streams": ["rgb", "flow"], "count": 0})
    (folder / "posts.jsonl").write_text(lines, newline="")
    (folder / "posts.csv").write_text(rows.getvalue(), newline="", encoding="utf-8")
    (folder / "posts.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    with zipfile.ZipFile(folder / "posts.zip", "w") as archive:
        for name, text in (("posts.csv", rows.getvalue()), ("rgb.json", '{"rgb": "annotations"}')):
            archive.writestr(zipfile.ZipInfo(name), text)
    links = sorted({f"{post.url} golf\n" for post in posts})
    (folder / "links.txt").write_text("".join(["https://clips.example/\n", *links]))


def _write_words(workspace: Workspace) -> None:
    """Every id as a word where it is none, and files of ours."""
    words = " ".join(HURTFUL)
    texts = {"words.txt": words, "words.yaml": f"rgb: [{words}]", "sessions/0": words, ".lock": "a", "run-holder": "a",
             "open-labeler.html": "a", "references/GolfSwing/notes.md": words}  # fmt: skip
    for name, text in texts.items():
        (workspace.home / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace.home / name).write_text(text, encoding="utf-8")
    write_json(workspace.home / "annotations.json", {"annotations": dict.fromkeys(HURTFUL, 0), "rgb": list(HURTFUL)})
    save_file({"rgb.weight": np.ones(3, np.float32)}, workspace.run("rgb") / "checkpoint.safetensors",
              {"plusmv": json.dumps({"microvideos": 0, "classes": list(HURTFUL)})})  # fmt: skip


def _profile(uploader: str) -> str:
    return f"https://www.instagram.com/{quote(uploader.partition(':')[2], safe='')}/"


def _linked(post: ToyPost, url: str) -> bool:
    """Whether a link of a form that is known leads to a post."""
    return post.platform == "instagram" and url == LINKS["instagram"].format(quote(post.name, safe="")) and (
        post.name.replace("-", "").isalnum() or post.name == "_") and post.name.isascii()  # fmt: skip


def _same_post(one: ToyPost, other: ToyPost) -> bool:
    return _post_key(one.platform, one.name) == _post_key(other.platform, other.name)


def _post_key(platform: str, name: str) -> tuple[str, str]:
    return platform, name.casefold() if platform == "niconico" else name


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
