"""curate.duplicates.feature_candidates: near I3D features nominate pairs that hashes miss, only where asked for."""

import cv2
import numpy as np
import pytest
from sqlalchemy import select

from plusmv.core.errors import BadInput, Missing
from plusmv.core.workspace import Workspace, sha256_of
from plusmv.curate.duplicates.detect import find_duplicates
from plusmv.curate.duplicates.feature_candidates import near
from plusmv.curate.duplicates.fingerprint import VERSION, fingerprint_video
from plusmv.curate.duplicates.rulings import rule
from plusmv.db.models import Clip, DuplicateEdge, FeatureFile, FileState, RulingKind
from plusmv.db.session import open_catalog
from plusmv.features.feature_files import VideoFeatures, write_features
from tests.moving_scenes import HEIGHT, WIDTH, scene, write
from tests.test_duplicates import add, kinds

DIRECTIONS = {"inner": 0.1, "framed": 0.2, "outer": 0.5}  # angles: all near each other


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A clip, another one, and the first in a corner of that: no picture and no three keypoints that lead are alike."""
    folder, inner, outer = tmp_path_factory.mktemp("videos"), scene(2, 2, 4.0), scene(22, 22, 4.0)
    height, width = HEIGHT // 2, WIDTH // 2
    framed = [frame.copy() for frame in outer]
    for canvas, frame in zip(framed, inner, strict=True):
        canvas[6 : 6 + height, -6 - width : -6] = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    made = {"inner": inner, "framed": framed, "outer": outer}
    return {name: write(folder / f"{name}.mp4", frames) for name, frames in made.items()}


@pytest.fixture(scope="module")
def fingerprints(videos):
    return {name: fingerprint_video(path).to_bytes() for name, path in videos.items()}


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def add_features(catalog, workspace, videos, names, recipe="r"):
    for name in names:
        sha256, angle = sha256_of(videos[name]), DIRECTIONS[name]
        rgb = np.float32([[np.cos(angle), np.sin(angle)]] * 3)
        write_features(workspace.features / f"{sha256}.safetensors", VideoFeatures(sha256, {"rgb": rgb}, 25.0))
        with catalog.writing() as session:
            clip_id = session.scalar(select(Clip.id).where(Clip.sha256 == sha256))
            session.add(FeatureFile(clip_id=clip_id, recipe=recipe, stride=16, streams="rgb", state=FileState.DONE))


def pairs(catalog, workspace, say=lambda told: None, i3d=True):
    found = find_duplicates(catalog, workspace, workers=1, i3d=i3d, say=say)
    return {pair: kind for pair, kind in kinds(found).items() if kind != "same-scene"}


def test_only_what_is_near_is_nominated():
    angles = np.array([0.0, 0.3, 1.0])
    means = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert [near(means, row).tolist() for row in range(3)] == [[1], [0], []]


def test_what_hashes_miss_is_found_where_asked_for_and_only_there(catalog, workspace, videos, fingerprints):
    add(catalog, workspace, videos, videos, fingerprints)
    by_hashes = pairs(catalog, workspace, i3d=False)
    missed = frozenset(("inner", "framed"))
    assert missed not in by_hashes
    add_features(catalog, workspace, videos, videos)
    assert pairs(catalog, workspace) == by_hashes | {missed: "copy"}
    assert pairs(catalog, workspace) == by_hashes | {missed: "copy"}
    assert pairs(catalog, workspace, i3d=False) == by_hashes
    with catalog.reading() as session:
        versions = session.scalars(select(DuplicateEdge.version).where(DuplicateEdge.version != VERSION)).all()
    assert len(versions) == 1 and versions[0].startswith(f"{VERSION}+i3d-")


def test_a_pair_that_hashes_find_is_not_found_again_whatever_was_ruled(catalog, workspace, videos, fingerprints):
    add(catalog, workspace, videos, ["framed", "outer"], fingerprints)
    add_features(catalog, workspace, videos, ["framed", "outer"])
    for kind, count in ((RulingKind.NOT_DUPLICATE, 0), (RulingKind.DUPLICATE, 1)):
        with catalog.writing() as session:
            rule(session, kind, ["framed", "outer"], "me")
        assert len(find_duplicates(catalog, workspace, workers=1, i3d=True)["pairs"]) == count


def test_features_that_come_later_are_the_same_as_all_at_once(catalog, tmp_path, workspace, videos, fingerprints):
    add(catalog, workspace, videos, ["framed", "outer"], fingerprints)
    add_features(catalog, workspace, videos, ["framed", "outer"])
    pairs(catalog, workspace)
    add(catalog, workspace, videos, ["inner"], fingerprints)
    said = []
    without = pairs(catalog, workspace, said.append)
    assert [line.split(" have")[0] for line in said] == ["1 clips"]
    add_features(catalog, workspace, videos, ["inner"])
    later = pairs(catalog, workspace)
    assert later == without | {frozenset(("inner", "framed")): "copy"}
    at_once, elsewhere = open_catalog(Workspace(tmp_path / "at once")), Workspace(tmp_path / "at once")
    add(at_once, elsewhere, videos, videos, fingerprints)
    add_features(at_once, elsewhere, videos, videos)
    assert pairs(at_once, elsewhere) == later
    at_once.close()


def test_no_features_or_those_of_two_recipes_are_one_line(catalog, workspace, videos, fingerprints):
    add(catalog, workspace, videos, videos, fingerprints)
    with pytest.raises(Missing, match="plusmv extract"):
        pairs(catalog, workspace)
    add_features(catalog, workspace, videos, ["inner"])
    add_features(catalog, workspace, videos, ["outer"], recipe="another")
    with pytest.raises(BadInput, match="2 recipes"):
        pairs(catalog, workspace)
