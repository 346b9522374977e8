"""demo.world and demo.filming: the tiny world, rendered once: what it says of its files is what they are."""

import csv

import av
import cv2
import numpy as np
import pytest

from plusmv.core.annotations import read_annotations
from plusmv.core.errors import Refused
from plusmv.core.workspace import sha256_of
from plusmv.demo.filming import HEIGHT, WIDTH, read_video
from plusmv.demo.world import (
    ACTIONS,
    MANIFEST,
    TAGS,
    TINY,
    RenderStage,
    WorldSettings,
    plan_world,
    read_truth,
    render_world,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    assert set(render_world(folder, TINY)) == {"rendered"}
    return folder


def frames(world, row):
    return np.stack(list(read_video(world / "clips" / row["file"])))


def copies(world, how):
    """(frames of the original, frames of the copy) of the first copy of a kind."""
    row = next(row for row in read_truth(world) if row["how"] == how)
    return frames(world, {"file": row["of"]}), frames(world, row)


def test_annotations_are_of_the_rendered_videos(world):
    videos = read_annotations(world / "annotations.json")
    assert sorted(video.subset for video in videos.values()) == ["test"] * 2 + ["validation"] * 4
    assert {label for video in videos.values() for label in video.labels} == set(ACTIONS)
    for video in videos.values():
        with av.open(str(world / "videos" / f"{video.id}.mp4")) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.width, stream.height) == ("h264", WIDTH, HEIGHT)
            assert stream.frames / stream.average_rate == pytest.approx(video.duration)
        assert all(0 < i.start < i.end < video.duration for i in video.instances)


def test_more_moves_within_instances_than_between(world):
    """What the segments promise is in the pictures: while the lifter lifts, more pixels change than while he waits."""
    video = next(v for v in read_annotations(world / "annotations.json").values() if "CleanAndJerk" in v.labels)
    pictures = np.stack(list(read_video(world / "videos" / f"{video.id}.mp4"))).astype(np.float32).mean(axis=3)
    changes = (np.abs(np.diff(pictures, axis=0)) > 30).mean(axis=(1, 2))
    inside = np.zeros(len(changes), dtype=bool)
    for instance in video.instances:
        inside[round(instance.start * 25) : round(instance.end * 25) - 1] = True
    assert np.median(changes[inside]) > np.median(changes[~inside])


def test_every_clip_is_in_manifest_and_truth_once(world):
    with open(world / "clips" / "manifest.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == MANIFEST
    there = {path.relative_to(world / "clips").as_posix() for path in (world / "clips").rglob("*.mp4")}
    listed = [row["file"] for row in rows]
    assert sorted(listed) == sorted(there) == sorted(row["file"] for row in read_truth(world))
    assert {row["tag"] for row in rows} == set(TAGS.values())
    assert len({row["platform_id"] for row in rows}) == len(rows)


def test_verdicts_follow_from_what_is_shown(world):
    for row in read_truth(world):
        if row["how"] == "broken":
            assert row["verdict"] == ""
        elif row["shows"] != row["action"]:
            assert row["verdict"] == "mistagged"
        else:
            assert row["verdict"] == ("duplicate" if row["of"] else "keep")


def test_copies_are_what_they_are_called(world):
    original, mirrored = copies(world, "mirrored")
    assert np.abs(mirrored[40, :, ::-1].astype(int) - original[40]).mean() < 4
    original, boxed = copies(world, "letterboxed")
    assert boxed.shape[1] == original.shape[1] + 96
    assert boxed[40, :40].max() < 30
    original, trimmed = copies(world, "trimmed")
    assert len(original) - 50 < len(trimmed) < len(original) - 30
    original, smaller = copies(world, "reencoded")
    assert len(smaller) == len(original) and smaller.shape[2] < original.shape[2]
    again = cv2.resize(smaller[40], (WIDTH, HEIGHT))
    assert np.abs(again.astype(int) - original[40]).mean() < 12


def test_the_repost_is_the_same_bytes_and_the_broken_file_does_not_open(world):
    rows = {row["how"]: row for row in read_truth(world)}
    assert sha256_of(world / "clips" / rows["exact"]["file"]) == sha256_of(world / "clips" / rows["exact"]["of"])
    with pytest.raises(av.error.FFmpegError):
        frames(world, rows["broken"])


def test_equal_plans_give_equal_files(world, tmp_path):
    video, plan = next(iter(plan_world(TINY).videos.items()))
    assert RenderStage().process((tmp_path / "again.mp4", plan)) == "rendered"
    assert sha256_of(tmp_path / "again.mp4") == sha256_of(world / "videos" / f"{video}.mp4")


def test_another_seed_is_another_world():
    assert plan_world(WorldSettings(seed=1)) != plan_world(WorldSettings(seed=0)) == plan_world(WorldSettings())


def test_what_is_there_stays_and_what_is_missing_is_made_again(world):
    gone = world / "clips" / next(row["file"] for row in read_truth(world) if row["how"] == "trimmed")
    before = sha256_of(gone)
    gone.unlink()
    states = list(render_world(world, TINY))
    assert states.count("rendered") == 1
    assert sha256_of(gone) == before


def test_a_folder_belongs_to_one_world(world):
    with pytest.raises(Refused, match="other settings"):
        list(render_world(world, WorldSettings()))
