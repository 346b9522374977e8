"""The key of people's hashes: a catalog notices a missing, a cut or another one, and none is made in silence."""

import shutil

import pytest
from sqlalchemy import select, text
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.core.errors import PlusmvError
from plusmv.core.workspace import Workspace
from plusmv.curate.crawl.crawler import Crawl
from plusmv.curate.crawl.targets import targets_of_tags
from plusmv.curate.sources.folder import FolderSource
from plusmv.curate.takedown.remove import take_down
from plusmv.db import migrate
from plusmv.db.key_check import bind_key, key_fits, require_key
from plusmv.db.models import KeyCheck, Post, PostState, Tombstone
from plusmv.db.session import open_catalog
from tests.postgres import empty
from tests.small_videos import make_video

SPOILED = {"missing": None, "empty": b"", "short": b"k" * 31, "another": b"k" * 32}


@pytest.fixture
def workspace(migrated, tmp_path) -> Workspace:
    """A workspace whose catalog is bound to its key."""
    return Workspace(shutil.copytree(migrated, tmp_path / "home"))


def spoil(workspace: Workspace, content: bytes | None) -> None:
    workspace.key_file.unlink(missing_ok=True)
    if content is not None:
        workspace.key_file.write_bytes(content)


def key(workspace: Workspace) -> bytes | None:
    return workspace.key_file.read_bytes() if workspace.key_file.exists() else None


@pytest.mark.parametrize("content", SPOILED.values(), ids=SPOILED.keys())
def test_commands_that_need_the_key_stop_and_others_go_on(workspace, tmp_path, content):
    spoil(workspace, content)
    (tmp_path / "clips").mkdir()
    for command in (
        ["crawl", "--path", str(tmp_path / "clips")],
        ["recheck"],
        ["takedown", "--post", "instagram:1"],
    ):
        shown = CliRunner().invoke(app, ["--home", str(workspace.home), *command])
        assert isinstance(shown.exception, PlusmvError), command  # plusmv.cli prints its one line and exits 2
        assert "\n" not in str(shown.exception)
    for command in (["report"], ["export"], ["previews"], ["dedup"]):
        shown = CliRunner().invoke(app, ["--home", str(workspace.home), *command])
        assert not isinstance(shown.exception, PlusmvError), (
            shown.output
        )  # falling short, without a clip, is another thing
    assert key(workspace) == content


@pytest.mark.parametrize("content", [SPOILED["missing"], SPOILED["short"]])
def test_the_labeler_does_not_start_without_a_key_to_sign_with(workspace, content):
    spoil(workspace, content)
    shown = CliRunner().invoke(app, ["--home", str(workspace.home), "label"])
    assert isinstance(shown.exception, PlusmvError)
    assert key(workspace) == content


def test_a_restored_key_is_taken_again(workspace):
    kept = key(workspace)
    spoil(workspace, None)
    with pytest.raises(PlusmvError):
        open_catalog(workspace, needs_key=True)
    spoil(workspace, kept)
    open_catalog(workspace, needs_key=True).close()


def test_no_tombstone_is_passed_over_under_another_key(workspace, tmp_path):
    folder = tmp_path / "clips" / "golf"
    make_video(folder / "a.mp4", seconds=0.4)
    catalog = open_catalog(workspace)
    Crawl(catalog, workspace, FolderSource(folder)).run(targets_of_tags(["golf"], ()), workers=1)
    with catalog.reading() as session:
        (sha256,) = [post.clip.sha256 for post in session.scalars(select(Post))]
    take_down(catalog, workspace, "sha256", sha256)
    kept = key(workspace)
    for content in (SPOILED["missing"], SPOILED["another"]):
        spoil(workspace, content)
        with pytest.raises(PlusmvError):
            Crawl(catalog, workspace, FolderSource(folder)).run(targets_of_tags(["golf"], ()), workers=1)
        with pytest.raises(PlusmvError):
            take_down(catalog, workspace, "post", "instagram:2")
    spoil(workspace, kept)
    again = Crawl(catalog, workspace, FolderSource(folder)).run(targets_of_tags(["golf"], ()), workers=1)
    assert again["totals"]["tombstoned"] == 1
    catalog.close()


def of_an_earlier_version(workspace: Workspace) -> None:
    """A catalog of before the check, with somebody's post in it."""
    catalog = open_catalog(workspace)
    with catalog.writing() as session:
        hashed = workspace.keyed_hash("instagram:1")
        session.add(Post(platform="instagram", platform_id="C1", uploader_hash=hashed, state=PostState.FOUND))
    migrate.downgrade(catalog.engine, "0007")
    catalog.close()


def test_an_older_catalog_keeps_the_first_key_that_it_meets(workspace):
    of_an_earlier_version(workspace)
    kept = key(workspace)
    open_catalog(workspace).close()
    spoil(workspace, SPOILED["another"])
    with pytest.raises(PlusmvError):
        open_catalog(workspace, needs_key=True)
    spoil(workspace, kept)
    open_catalog(workspace, needs_key=True).close()


@pytest.mark.parametrize("content", [SPOILED["missing"], SPOILED["short"]])
def test_an_older_catalog_with_hashes_gets_no_new_key(workspace, content):
    of_an_earlier_version(workspace)
    spoil(workspace, content)
    with pytest.raises(PlusmvError):
        open_catalog(workspace, needs_key=True)
    assert key(workspace) == content


@pytest.mark.postgres
def test_workspaces_of_one_catalog_share_its_key(cluster, tmp_path):
    one, other = Workspace(tmp_path / "one"), Workspace(tmp_path / "other")
    catalog = open_catalog(one, cluster)
    empty(catalog)
    bind_key(catalog, one)
    with pytest.raises(PlusmvError):
        open_catalog(other, cluster, needs_key=True)
    assert not other.key_file.exists()
    other.home.mkdir()
    shutil.copy(one.key_file, other.home)
    open_catalog(other, cluster, needs_key=True).close()
    catalog.close()


def test_the_check_says_nothing_of_the_key_and_is_one_row(workspace):
    catalog = open_catalog(workspace)
    for _ in range(2):
        bind_key(catalog, workspace)
    with catalog.reading() as session:
        (check,) = session.scalars(select(KeyCheck))
        assert len(check.value) == 32 and check.value != key(workspace)
        require_key(session, workspace)
        assert key_fits(session, workspace) and not key_fits(session, Workspace(workspace.home / "elsewhere"))
        assert (
            session.scalar(select(Tombstone)) is None and session.scalar(text("select count(*) from key_checks")) == 1
        )
    catalog.close()
