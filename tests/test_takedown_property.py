"""Takedown over random catalogs with ids chosen to hurt: what belongs to the id is gone, all else is as it was."""

import gzip
import json
import shutil
import zipfile
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from safetensors.numpy import load_file

from plusmv.core.workspace import Workspace
from plusmv.curate.crawl.letter_case import uploader_name
from plusmv.curate.takedown.remove import take_down
from plusmv.db.models import TAKEN_DOWN, Base
from plusmv.db.session import open_catalog
from plusmv.features.conversion import verify
from tests.takedown_world import random_posts, random_request, write_rows, write_world

QUICK = range(4)


@pytest.mark.parametrize("seed", QUICK)
def test_what_belongs_to_an_id_goes_and_all_else_stays(migrated, tmp_path, seed):
    check(migrated, tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [range(start, start + 49) for start in range(4, 200, 49)])
def test_so_it_is_for_any_seed(migrated, tmp_path, seeds):
    for seed in seeds:
        check(migrated, tmp_path / str(seed), seed)
        shutil.rmtree(tmp_path / str(seed))


def check(migrated: Path, folder: Path, seed: int) -> None:
    posts = random_posts(seed)
    kind, value, gone = random_request(posts, seed)
    stay = [post for post in posts if post not in gone]
    workspace, expected = Workspace(folder / "home"), Workspace(folder / "expected")
    for home in (workspace.home, expected.home):
        shutil.copytree(migrated, home)
    catalog = open_catalog(workspace)
    write_world(workspace, posts, posts)
    write_rows(catalog, workspace, posts)
    write_world(expected, stay, posts)
    before = tables(catalog)
    result = take_down(catalog, workspace, kind, value)
    assert result["posts"] == len(gone), (seed, kind, value)
    files, wanted = contents(workspace.home), contents(expected.home)
    assert {name for name in files if files[name] != wanted.get(name)} | (wanted.keys() - files) == set(), (
        seed,
        kind,
        value,
    )
    assert tables(catalog) == rows_left(before, gone, stay, kind), (seed, kind, value)
    catalog.close()
    check_bytes(workspace.home, gone, stay)
    assert verify(workspace.features)["failures"] == []


def check_bytes(home: Path, gone, stay) -> None:
    """Marks and contents of what is gone stand in no byte, unpacked or not."""
    held = {post.content for post in stay}
    words = {word.encode() for post in gone for word in (post.mark, *({post.content} - held))}
    words |= {post.media for post in gone if post.content not in held}
    for path in home.rglob("*"):
        if path.is_file():
            whole = path.name.encode() + path.read_bytes() + repr(unpacked(path)).encode()
            assert not any(word in whole for word in words), path


def contents(home: Path) -> dict[str, object]:
    """What stands in every file but the catalog, the key and locks; of packed files what is in them."""
    return {
        path.relative_to(home).as_posix(): unpacked(path)
        for path in home.rglob("*")
        if path.is_file() and not path.name.startswith(("catalog.db", "uploader.key")) and path.suffix != ".lock"
    }


def unpacked(path: Path) -> object:
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: arrays[name].tolist() for name in arrays.files}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    if path.suffix == ".safetensors":
        return {name: array.tolist() for name, array in load_file(path).items()}
    if path.parent.name == "shards":
        return sorted(part for part in path.read_text().split('"') if len(part) in (1, 64))
    return path.read_bytes()


def tables(catalog) -> dict[str, list[dict]]:
    """Every row of every table but the tombstones."""
    with catalog.reading() as session:
        return {
            table.name: [_readable(row) for row in session.execute(table.select().order_by(*table.primary_key))]
            for table in Base.metadata.sorted_tables
            if table.name != "tombstones"
        }


def _readable(row) -> dict:
    """A row; what stands for a content in an export has no hash, so that it can be foreseen."""
    values = dict(row._mapping)
    if isinstance(values.get("clips"), list):
        values["clips"] = [TAKEN_DOWN if clip.startswith(TAKEN_DOWN) else clip for clip in values["clips"]]
    return values


def rows_left(before: dict[str, list[dict]], gone, stay, kind: str) -> dict[str, list[dict]]:
    """The rows as they should be: without posts that are gone, clips that nobody holds, and what refers to these."""
    held, posts = {post.content for post in stay}, {post.number + 1 for post in gone}
    clips = {row["id"] for row in before["clips"] if row["sha256"] not in held}
    dead = {row["sha256"] for row in before["clips"] if row["id"] in clips}
    lost = {row["clip_id"] for row in before["posts"] if row["id"] in posts} - clips
    people = {uploader_name(post.uploader) for post in gone if kind == "uploader"}
    left = {}
    for name, rows in before.items():
        kept = []
        for row in rows:
            of_posts = {row.get("post_id"), row["id"] if name == "posts" else None}
            of_clips = {row.get("clip_id"), row.get("a_id"), row.get("b_id"), row["id"] if name == "clips" else None}
            if not posts & of_posts and not clips & of_clips:
                kept.append(_left_of(name, dict(row), dead, lost, people))
        left[name] = kept
    return left


def _left_of(table: str, row: dict, dead: set[str], lost: set[int], people: set[str]) -> dict:
    """A row of what stays: without words on a clip that lost a post, exports with what they had, searches of people."""
    if table == "decisions" and row["clip_id"] in lost:
        row["reason"] = ""
    if table == "exports":
        row["clips"] = [clip if clip not in dead else TAKEN_DOWN for clip in row["clips"]]
    if table == "crawl_runs":
        query = json.loads(row["query"])
        if "query" in query and uploader_name(f"instagram:{unquote(query['query'].split('/')[3])}") in people:
            row["query"] = '{"x": 1}'
    return row
