"""The leak gate: clips cut from a benchmark's videos are caught, training and test apart, and block the export."""

import json
import shutil

import numpy as np
import pytest
from sqlalchemy import select

from plusmv.core.errors import BadInput, Missing, Refused
from plusmv.core.workspace import Workspace, sha256_of
from plusmv.curate.dataset.export import export_microvideos
from plusmv.curate.duplicates.benchmark_videos import (
    index_videos,
    read_hash_file,
    save_video,
    videos_in,
    write_hash_file,
)
from plusmv.curate.duplicates.detect import clips_to_fingerprint, fingerprint_new
from plusmv.curate.duplicates.leaks import blocking, checked, find_leaks, leaks, result
from plusmv.curate.review.decisions import decide
from plusmv.curate.takedown.remove import take_down
from plusmv.db.models import Action, BenchmarkVideo, Clip, FileState, Leak
from plusmv.db.session import open_catalog
from tests.moving_scenes import FPS, scene, write
from tests.test_decisions import a_clip
from tests.test_stills import still


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """A folder of three videos, subsets by name, annotations that say the third's, and clips cut from them."""
    folder = tmp_path_factory.mktemp("benchmark")
    frames = {name: scene(seed, seed, 8.0) for name, seed in (("video_test_1", 1), ("video_validation_2", 2), ("3", 3))}
    for name, pictures in frames.items():
        write(folder / "videos" / f"{name}.mp4", pictures)
    database = {"3": {"subset": "validation", "duration": 8, "fps": 25, "annotations": []}}
    (folder / "a.json").write_text(json.dumps({"database": database}))
    cut = {name: pictures[round(2.3 * FPS) : round(6.1 * FPS)] for name, pictures in frames.items()}
    clips = {"tested": write(folder / "tested.mp4", [frame[:, ::-1] for frame in cut["video_test_1"]], crf=36),
             "trained": write(folder / "trained.mp4", cut["video_validation_2"], crf=32),
             "own": write(folder / "own.mp4", scene(4, 4, 4.0))}  # fmt: skip
    return folder, clips


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def take_in(catalog, workspace, clips):
    """Catalog clips of a tag, media in place, fingerprinted, all kept."""
    for name, path in clips.items():
        sha256 = sha256_of(path)
        media = workspace.media(sha256, ".mp4")
        media.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, media)
        with catalog.writing() as session:
            clip = a_clip(session, sha256[0], "Diving", platform_ids=(name,))
            clip.sha256, clip.duration = sha256, 3.8
            action = session.scalar(select(Action))
            decide(session, clip.id, "keep", "me", action.id)
    with catalog.reading() as session:
        tasks = clips_to_fingerprint(session, workspace)
    assert not [outcome.error for outcome in fingerprint_new(catalog, tasks, 1) if outcome.error]


def found_in(catalog):
    with catalog.reading() as session:
        return {(leak["posts"][0], leak["video"]): leak for leak in leaks(session)}


def test_a_mirrored_sub_clip_of_a_test_video_blocks_the_export(catalog, workspace, benchmark):
    folder, clips = benchmark
    take_in(catalog, workspace, clips)
    before = export_microvideos(catalog, workspace)
    assert before["leaks"]["videos"] == 0
    assert "no benchmark's videos are known" in (workspace.exports / "microvideos.card.md").read_text()

    counts = index_videos(catalog, videos_in(folder / "videos", folder / "a.json"), workers=1)
    assert counts == {"fingerprinted": 3, "skipped": 0, "failed": 0}
    find_leaks(catalog, workspace)
    found = found_in(catalog)
    assert set(found) == {("tested", "video_test_1"), ("trained", "video_validation_2")}
    leak = found["tested", "video_test_1"]
    assert leak["kind"] == "part" and leak["mirror"] and leak["test"]
    assert leak["offset_s"] == pytest.approx(2.3, abs=0.13)
    assert not found["trained", "video_validation_2"]["test"]

    exported = (workspace.exports / "microvideos.json").read_bytes()
    with pytest.raises(Refused, match=r"1 of the 3 clips stand in test videos .*video_test_1.*--allow-leaks"):
        export_microvideos(catalog, workspace)
    assert (workspace.exports / "microvideos.json").read_bytes() == exported
    allowed = export_microvideos(catalog, workspace, allow_leaks=True)
    assert [one["video"] for one in allowed["leaks"]["allowed"]] == ["video_test_1"]
    card = (workspace.exports / "microvideos.card.md").read_text()
    assert "3 of 3 clips were checked against 3 benchmark videos, 1 of them test videos" in card
    assert "video_test_1" in card

    with catalog.writing() as session:
        session_clip = session.scalar(select(Clip).where(Clip.sha256 == leak["clip"]))
        decide(session, session_clip.id, "unusable", "me")
    assert export_microvideos(catalog, workspace)["clips"] == 2


@pytest.mark.slow
def test_moving_pixels_in_common_are_a_leak_turned_or_stitched_and_a_still_card_is_none(catalog, tmp_path, workspace):
    own, card = scene(6, 6, 6.0), still(2.0)
    write(tmp_path / "videos" / "video_test_6.mp4", own + card)
    clips = {"turned": [np.rot90(frame) for frame in own[50:125]], "stitched": own[25:100] + scene(7, 7, 3.0),
             "carded": scene(8, 8, 3.0) + card}  # fmt: skip
    take_in(catalog, workspace, {name: write(tmp_path / f"{name}.mp4", frames) for name, frames in clips.items()})
    index_videos(catalog, videos_in(tmp_path / "videos"), workers=1)
    find_leaks(catalog, workspace)
    found = {clip: leak for (clip, _), leak in found_in(catalog).items()}
    assert {clip: (leak["kind"], leak["turn"], leak["leak"]) for clip, leak in found.items()} == {
        "turned": ("part", 90, True), "stitched": ("shared", 0, True), "carded": ("shared", 0, False)
    }  # fmt: skip
    with catalog.reading() as session:
        names = {leak["clip"] for leak in blocking(session, list(session.scalars(select(Clip.sha256))))}
        assert names == {found[clip]["clip"] for clip in ("turned", "stitched")}
        assert result(session, {})["test"] == 2


def test_what_an_earlier_version_found_blocks_until_the_video_is_fingerprinted_anew(catalog):
    how = {"kind": "copy", "offset_s": 0.0, "speed": 1.0, "mirror": False, "score": 1.0, "overlap_s": 1.0,
           "correlation": 1.0, "inliers": 9}  # fmt: skip
    with catalog.writing() as session:
        clip = a_clip(session, "a", "Diving")
        facts = {"subset": "test", "test": True, "sha256": "0", "state": FileState.DONE, "arrays": b""}
        session.add(video := BenchmarkVideo(name="video_test_1", version="earlier", **facts))
        session.flush()
        session.add(Leak(clip_id=clip.id, video_id=video.id, **how))
        sha256 = clip.sha256
    with catalog.writing() as session:
        assert [leak["video"] for leak in blocking(session, [sha256])] == ["video_test_1"]
        save_video(session, "video_test_1", "test", True, "0", b"")
        assert blocking(session, [sha256]) == []


def test_new_clips_are_checked_later_and_nothing_twice(catalog, workspace, benchmark):
    folder, clips = benchmark
    take_in(catalog, workspace, {"own": clips["own"]})
    index_videos(catalog, videos_in(folder / "videos"), workers=1)
    find_leaks(catalog, workspace)
    assert found_in(catalog) == {}
    take_in(catalog, workspace, {name: clips[name] for name in ("tested", "trained")})
    with catalog.reading() as session:
        names = list(session.scalars(select(Clip.sha256)))
        assert checked(session, names).clips == 1
    find_leaks(catalog, workspace)
    assert len(found_in(catalog)) == 2
    watched = []
    find_leaks(catalog, workspace, watch=lambda things, total, description: watched.append(total) or things)
    assert watched == []
    assert index_videos(catalog, videos_in(folder / "videos"), workers=1)["skipped"] == 3


def test_a_clip_that_comes_after_the_newest_was_taken_down_is_checked(catalog, workspace, benchmark):
    """SQLite gives its fingerprint the id of the one that is gone, up to which the videos are done."""
    folder, clips = benchmark
    take_in(catalog, workspace, {"own": clips["own"]})
    index_videos(catalog, videos_in(folder / "videos"), workers=1)
    find_leaks(catalog, workspace)
    take_down(catalog, workspace, "sha256", sha256_of(clips["own"]))
    take_in(catalog, workspace, {"tested": clips["tested"]})
    with catalog.reading() as session:
        assert checked(session, [sha256_of(clips["tested"])]).clips == 0
    find_leaks(catalog, workspace)
    assert set(found_in(catalog)) == {("tested", "video_test_1")}


def test_a_hash_file_does_as_well_as_the_videos(catalog, tmp_path, workspace, benchmark):
    folder, clips = benchmark
    elsewhere = open_catalog(Workspace(tmp_path / "elsewhere"))
    index_videos(elsewhere, videos_in(folder / "videos"), workers=1)
    assert write_hash_file(elsewhere, tmp_path / "thumos.hashes") == 3
    elsewhere.close()
    take_in(catalog, workspace, clips)
    assert read_hash_file(catalog, tmp_path / "thumos.hashes")["fingerprinted"] == 3
    assert read_hash_file(catalog, tmp_path / "thumos.hashes")["skipped"] == 3
    find_leaks(catalog, workspace)
    assert set(found_in(catalog)) == {("tested", "video_test_1"), ("trained", "video_validation_2")}
    with catalog.reading() as session:
        told = result(session, {"videos": 3})
    assert (told["test"], told["training"]) == (1, 1) and told["checked"]["clips"] == 3
    assert read_hash_file(catalog, tmp_path / "thumos.hashes", ["training"])["skipped"] == 3
    assert all(leak["test"] for leak in found_in(catalog).values())


def test_a_hash_file_stands_in_for_a_video_that_did_not_decode(catalog, tmp_path, benchmark):
    folder, _ = benchmark
    elsewhere = open_catalog(Workspace(tmp_path / "elsewhere"))
    index_videos(elsewhere, videos_in(folder / "videos"), workers=1)
    write_hash_file(elsewhere, tmp_path / "thumos.hashes")
    elsewhere.close()
    sha256 = sha256_of(folder / "videos" / "video_test_1.mp4")
    with catalog.writing() as session:
        save_video(session, "video_test_1", "test", True, sha256, None, "took longer than the limit")
    assert read_hash_file(catalog, tmp_path / "thumos.hashes")["fingerprinted"] == 3


def test_a_damaged_hash_file_is_one_line(catalog, tmp_path, benchmark):
    for content in (b"", b"x" * 100, b"\x10\0\0\0\0\0\0\0{}              "):
        (tmp_path / "bad.hashes").write_bytes(content)
        with pytest.raises(BadInput, match=r"bad\.hashes"):
            read_hash_file(catalog, tmp_path / "bad.hashes")
    with pytest.raises(Missing, match="--videos"):
        write_hash_file(catalog, tmp_path / "none")


def test_an_unknown_subset_counts_as_test_and_a_broken_video_says_why(catalog, tmp_path, benchmark):
    folder, _ = benchmark
    shutil.copytree(folder / "videos", tmp_path / "videos")
    (tmp_path / "videos" / "video_test_9.mp4").write_bytes(b"not a video")
    counts = index_videos(catalog, videos_in(tmp_path / "videos"), workers=1)
    assert counts == {"fingerprinted": 3, "skipped": 0, "failed": 1}
    with catalog.reading() as session:
        rows = {video.name: video for video in session.scalars(select(BenchmarkVideo))}
    assert {name: video.test for name, video in rows.items()} == {
        "video_test_1": True, "video_validation_2": False, "3": True, "video_test_9": True
    }  # fmt: skip
    assert rows["video_test_9"].state == FileState.FAILED and "video_test_9" in rows["video_test_9"].error
    with pytest.raises(Missing, match="no folder"):
        videos_in(tmp_path / "nowhere")
