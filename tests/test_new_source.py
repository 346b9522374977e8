"""A new source is one file and one line: a complete one is written here, crawled, rechecked and taken down."""

import json
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.core.workspace import Workspace
from plusmv.curate.sources.registry import SOURCES
from plusmv.db.models import Post, PostState, ReasonCode
from plusmv.db.session import open_catalog
from tests.small_videos import make_video

TOY = '''
"""The source `toy`: a folder on this machine plays a site whose posts are called by their numbers."""

from pathlib import Path

from plusmv.core.errors import BadInput
from plusmv.curate.sources.base import FoundPost, Page, PostFailed, PostGone, Source


class ToySource(Source):
    name, tool = "toy", "toy 1.0"
    platforms = rechecks = ("toyvideo",)

    def __init__(self, folder):
        self.folder = folder

    @classmethod
    def open(cls, options, context):
        if options.path is None:
            raise BadInput("--source toy needs --path")
        return cls(options.path)

    def query(self, tag):
        return {"tag": tag}

    def search(self, tag, cursor=None):
        for path in sorted(self.folder.glob(f"{tag}-*.mp4"))[(cursor or {}).get("posts", 0):]:
            post = FoundPost("toyvideo", path.stem, url=f"https://toy.example/{path.stem}", uploader="toyvideo:42",
                             locator=str(path))
            yield Page((post,), {"posts": 1})

    def look(self, post):
        if not (self.folder / f"{post.platform_id}.mp4").exists():
            raise PostGone("the toy is gone")
        return post

    def download(self, post, file):
        content = Path(post.locator).read_bytes()
        if not content:
            raise PostFailed("the toy is broken")
        file.write(content)
'''


@pytest.fixture
def toys(tmp_path, monkeypatch) -> Path:
    """The site: two videos and one that cannot be had, under one tag."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "toy_source.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path / "code")
    monkeypatch.setitem(SOURCES, "toy", "toy_source:ToySource")
    folder = tmp_path / "toys"
    for number in (1, 2):
        make_video(folder / f"golf-{number}.mp4", number)
    (folder / "golf-3.mp4").write_bytes(b"")
    return folder


def result_of(home: Path, *arguments: str) -> dict:
    done = CliRunner().invoke(app, [*arguments, "--home", str(home), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_source_of_one_file_and_one_line(toys, tmp_path):
    home, where = tmp_path / "home", ("--path", str(toys))
    crawl = ("crawl", "--source", "toy", "--tag", "golf", "--workers", "1", *where)
    crawled = result_of(home, *crawl)
    assert (crawled["totals"]["downloaded"], crawled["totals"]["failed"]) == (2, 1)
    assert crawled["failures"] == [{"post": "golf-3", "code": ReasonCode.OTHER, "reason": "the toy is broken"}]
    assert result_of(home, *crawl)["totals"]["known"] == 3
    (toys / "golf-1.mp4").unlink()
    checked = result_of(home, "recheck", *where)
    assert (checked["there"], checked["gone"], checked["vanished"]) == (1, 1, ["golf-1"])
    with open_catalog(Workspace(home)).reading() as session:
        (gone,) = session.scalars(select(Post).where(Post.state == PostState.GONE))
        assert (gone.reason_code, gone.reason) == (ReasonCode.DELETED, "the toy is gone")
    assert result_of(home, "takedown", "--uploader", "42")["clips"] == 2
    assert not list((home / "media").rglob("*.mp4"))
    assert result_of(home, *crawl)["totals"]["tombstoned"] == 2  # golf-1 is not listed any more


def test_sources_are_listed_and_a_wrong_name_is_a_usage_error(toys):
    shown = CliRunner().invoke(app, ["crawl", "--help"]).output
    assert all(name in shown for name in SOURCES if name != "toy")
    wrong = CliRunner().invoke(app, ["crawl", "--source", "nowhere"])
    assert (wrong.exit_code, "Usage:" in wrong.output) == (2, True)
    assert all(name in wrong.output for name in SOURCES)
