"""The folder source: what is a post, what is known of it, and what never gets out of the folder."""

import io
import json
import os
from datetime import UTC, datetime

import pytest

from plusmv.core.errors import BadInput, Missing
from plusmv.core.workspace import Workspace
from plusmv.curate.sources.base import PostFailed
from plusmv.curate.sources.folder import PAGE, FolderSource
from plusmv.db.models import PostState, ReasonCode


def folder_of(tmp_path, *names: str):
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content of " + name.encode())
    return folder


def with_manifest(folder, *rows: str, name: str = "manifest.csv"):
    (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return FolderSource(folder)


def posts(source, tag: str, cursor=None) -> list:
    return [post for page in source.search(tag, cursor) for post in page.posts]


def test_without_a_manifest_the_folders_name_is_the_tag(tmp_path):
    folder = folder_of(tmp_path, "Golf Swing/b.MP4", "Golf Swing/a.webm", "x/golfswing/c.avi", "loose.mp4")
    source = FolderSource(folder)
    assert set(source.tags()) == {"golfswing", "clips"}
    found = posts(source, "golfswing")
    assert [post.platform_id for post in found] == ["Golf Swing/a.webm", "Golf Swing/b.MP4", "x/golfswing/c.avi"]
    assert {post.state for post in found} == {PostState.FOUND}
    assert [post.platform_id for post in posts(source, "clips")] == ["loose.mp4"]


def test_other_files_are_filtered_with_a_reason_and_hidden_ones_are_no_posts(tmp_path):
    folder = folder_of(tmp_path, "t/a.mp4", "t/b.info.json", "t/.DS_Store", ".cache/b.mp4")
    (found, settled) = posts(FolderSource(folder), "t")
    assert (settled.platform_id, settled.state) == ("t/b.info.json", PostState.FILTERED)
    assert settled.reason.code == ReasonCode.NOT_VIDEO
    assert found.platform_id == "t/a.mp4"


def test_what_lies_beside_a_clip_under_its_name_is_no_post(tmp_path):
    """yt-dlp names files by the post's id: a row for a.info.json would outlive the takedown of a.mp4."""
    name = "t/My swing. Part 2 [Qz81kk2]"
    beside = (f"{name}{end}" for end in (".info.json", ".en.vtt", ".webp", ".description", ".json.xz"))
    folder = folder_of(tmp_path, f"{name}.mp4", *beside, "t/My swing.txt", f"{name}.mp4.part.txt")
    found = posts(FolderSource(folder), "t")
    assert [post.platform_id for post in found] == [f"{name}.mp4", "t/My swing.txt"]


def test_the_workspace_inside_the_folder_is_not_searched(tmp_path):
    folder = folder_of(tmp_path, "t/a.mp4", "plusmv-data/media/ab/x.mp4")
    assert FolderSource(folder, skipped=folder / "plusmv-data").tags() == ("t",)


def test_a_manifests_row_says_what_a_file_is(tmp_path):
    folder = folder_of(tmp_path, "a.mp4")
    row = {
        "file": "./a.mp4", "tag": "#Golf", "platform": "instagram", "platform_id": "CxYz", "uploader": "42",
        "caption": "so\x00 good\x1b[31m\nline two", "taken_at": "2019-10-27T09:00:00+09:00", "url": "https://x/p/1",
        "licence": "CC BY",
    }  # fmt: skip
    (folder / "manifest.jsonl").write_text(json.dumps(row) + "\n\n", encoding="utf-8")
    (post,) = posts(FolderSource(folder), "golf")
    assert (post.platform, post.platform_id, post.origin) == ("folder", "a.mp4", "instagram:CxYz")
    assert post.caption == "so good[31m\nline two"
    assert post.taken_at == datetime(2019, 10, 27, 0, 0, tzinfo=UTC)
    assert (post.uploader, post.url, post.licence) == ("instagram:42", "https://x/p/1", "CC BY")


def test_what_a_manifest_leaves_open(tmp_path):
    source = with_manifest(folder_of(tmp_path, "a.mp4"), "file,tag,taken_at,licence", "a.mp4,golf")
    (post,) = posts(source, "golf")
    assert (post.origin, post.url, post.uploader, post.caption, post.taken_at) == (None, None, None, "", None)
    assert post.licence == "unknown"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2019-10-27", datetime(2019, 10, 27, tzinfo=UTC)),
        ("20191027", datetime(2019, 10, 27, tzinfo=UTC)),
        ("2019-10-27 09:00:00", datetime(2019, 10, 27, 9, tzinfo=UTC)),
        ("1572166800", datetime(2019, 10, 27, 9, tzinfo=UTC)),
    ],
)
def test_dates(tmp_path, text, moment):
    source = with_manifest(folder_of(tmp_path, "a.mp4"), "file,tag,taken_at", f"a.mp4,golf,{text}")
    assert posts(source, "golf")[0].taken_at == moment


def test_a_post_is_known_by_folder_path_and_content(tmp_path):
    folder = folder_of(tmp_path, "a.mp4", "b.mp4")
    (folder / "b.mp4").write_bytes((folder / "a.mp4").read_bytes())
    first, same_content = posts(FolderSource(folder), "clips")
    assert first.identity != same_content.identity
    assert posts(FolderSource(folder), "clips")[0].key == first.key
    (folder / "a.mp4").write_bytes(b"other")
    assert posts(FolderSource(folder), "clips")[0].platform_id == first.platform_id
    assert posts(FolderSource(folder), "clips")[0].identity != first.identity


def test_downloading_copies_and_notices_a_change(tmp_path):
    folder = folder_of(tmp_path, "a.mp4")
    source = FolderSource(folder)
    (post,) = posts(source, "clips")
    copied = io.BytesIO()
    source.download(post, copied)
    assert copied.getvalue() == b"content of a.mp4"
    (folder / "a.mp4").write_bytes(b"other")
    with pytest.raises(PostFailed) as caught:
        source.download(post, io.BytesIO())
    assert caught.value.code == ReasonCode.CHANGED


def test_what_cannot_be_taken_is_a_failed_post_and_the_rest_goes_on(tmp_path):
    folder = folder_of(tmp_path, "a.mp4")
    (tmp_path / "secret.mp4").write_bytes(b"not yours")
    (folder / "out.mp4").symlink_to(tmp_path / "secret.mp4")
    (folder / "round.mp4").symlink_to(folder / "round.mp4")
    (folder / "dir.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    bad = {
        "../secret.mp4": ReasonCode.OUTSIDE_FOLDER,
        "x/../../secret.mp4": ReasonCode.OUTSIDE_FOLDER,
        str(tmp_path / "secret.mp4"): ReasonCode.OUTSIDE_FOLDER,
        "out.mp4": ReasonCode.OUTSIDE_FOLDER,
        "round.mp4": ReasonCode.UNREADABLE,
        "dir.mp4": ReasonCode.UNREADABLE,
        "pipe.mp4": ReasonCode.UNREADABLE,
        "none.mp4": ReasonCode.UNREADABLE,
        "n" * 300 + ".mp4": ReasonCode.UNREADABLE,
    }
    source = with_manifest(folder, "file,tag", *(f"{name},golf" for name in bad), "a.mp4,golf")
    *failed, last = posts(source, "golf")
    assert {post.state for post in failed} == {PostState.FAILED}
    for post, (name, code) in zip(failed, bad.items(), strict=True):
        assert post.reason.code == code, name
        assert post.platform_id == name[:500]
    assert last.state == PostState.FOUND


def test_links_in_a_folder_without_a_manifest(tmp_path):
    folder = folder_of(tmp_path, "t/a.mp4")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.mp4").write_bytes(b"not yours")
    (folder / "t" / "b.mp4").symlink_to("a.mp4")
    (folder / "t" / "c.mp4").symlink_to(tmp_path / "elsewhere" / "secret.mp4")
    (folder / "t" / "d").symlink_to(tmp_path / "elsewhere")
    assert [(post.platform_id, post.state.value) for post in posts(FolderSource(folder), "t")] == [
        ("t/a.mp4", "found"),
        ("t/b.mp4", "found"),
        ("t/c.mp4", "failed"),
        ("t/d", "failed"),
    ]


def test_names_that_are_no_text(tmp_path):
    folder = folder_of(tmp_path)
    (folder / "new\nline.mp4").write_bytes(b"1")
    (folder / os.fsdecode(b"caf\xe9.mp4")).write_bytes(b"2")
    assert [post.platform_id for post in posts(FolderSource(folder), "clips")] == ["caf�.mp4", "new�line.mp4"]


def test_too_large_a_file_is_filtered(tmp_path):
    folder = folder_of(tmp_path, "a.mp4")
    (post,) = posts(FolderSource(folder, max_bytes=5), "clips")
    assert (post.state, post.retryable) == (PostState.FILTERED, True)
    assert (post.reason.code, post.reason.limit) == (ReasonCode.TOO_LARGE, 5)


def test_a_bad_date_fails_its_row_only(tmp_path):
    rows = ("file,tag,taken_at", "a.mp4,golf,yesterday", "b.mp4,golf,9999999999999999", "b.mp4,golf,2019-10-27")
    source = with_manifest(folder_of(tmp_path, "a.mp4", "b.mp4"), *rows)
    assert [post.state.value for post in posts(source, "golf")] == ["failed", "failed", "found"]


def test_pages_and_going_on_after_one(tmp_path):
    folder = folder_of(tmp_path, "a.mp4")
    source = with_manifest(folder, "file,tag", *(f"none{n}.mp4,{'even' if n % 2 == 0 else 'odd'}" for n in range(500)))
    pages = list(source.search("odd"))
    assert [len(page.posts) for page in pages] == [PAGE, PAGE, 50]
    rest = posts(source, "odd", pages[0].cursor)
    assert [post.platform_id for post in rest] == [f"none{n}.mp4" for n in range(2 * PAGE + 1, 500, 2)]
    assert posts(source, "odd", pages[-1].cursor) == []


def test_a_changed_manifest_or_folder_is_another_search(tmp_path):
    folder = folder_of(tmp_path, "t/a.mp4")
    before = FolderSource(folder).query("t")
    assert FolderSource(folder).query("t") == before
    (folder / "t" / "b.mp4").touch()
    with_files = FolderSource(folder).query("t")
    assert with_files != before
    assert with_manifest(folder, "file,tag", "t/a.mp4,t").query("t") != with_files


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(Missing, match="no folder"):
        FolderSource(tmp_path / "none")
    folder = folder_of(tmp_path, "manifest.csv", "manifest.jsonl")
    with pytest.raises(BadInput, match="name one with --manifest"):
        FolderSource(folder)
    with pytest.raises(BadInput, match="cannot read the manifest"):
        FolderSource(folder, tmp_path / "none.csv")


def test_half_a_character_is_no_way_to_break_it(tmp_path):
    """JSON may hold lone surrogates, which no encoding takes: in names, ids and texts alike."""
    texts = {"caption": "\ud800", "uploader": "\udfff"}
    rows = [{"file": "\ud800.mp4", "tag": "t"}, {"file": "a.mp4", "tag": "t", **texts}]
    folder = folder_of(tmp_path, "a.mp4")
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Workspace(tmp_path).make_key()
    for metadata_only in (False, True):
        bad, good = posts(FolderSource(folder, metadata_only=metadata_only), "t")
        assert (good.state, good.caption) == (PostState.FOUND, "")
        assert metadata_only or bad.state == PostState.FAILED
        assert len({bad.identity, good.identity, Workspace(tmp_path).keyed_hash(good.uploader)}) == 3
