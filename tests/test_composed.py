"""Worlds composed of clips: where the truth is, whose clips are where, and that no source is on both sides."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from plusmv.cli import app
from plusmv.core.annotations import AnnotatedVideo, Instance, read_annotations
from plusmv.core.errors import BadInput
from plusmv.features.feature_files import VideoFeatures, read_features
from plusmv.wsal.composed import ClipFeatures, SourceClip, compose, parse_sources

SOURCES = {"training": [1, 2], "test": [3]}
CLIPS = [SourceClip(f"{label}{source}{n}", label, source, True)
         for label in ("Dive", "Golf") for source in (1, 2, 3) for n in "ab"]  # fmt: skip
OTHERS = [SourceClip(f"cello{source}", "Cello", source, False) for source in (1, 2, 3, 4)]


def clip_features(name: str, count: int = 4) -> VideoFeatures:
    """Every feature of a clip is the number of its place in CLIPS + OTHERS, so that one sees where it went."""
    place = [clip.id for clip in CLIPS + OTHERS].index(name)
    return VideoFeatures(name, {"rgb": np.full((count, 2), place, np.float32)}, 25.0, duration=count * 0.64)


MATERIAL = ClipFeatures(
    {clip.id: clip_features(clip.id, 12 if clip in OTHERS else 4) for clip in CLIPS + OTHERS},
    {"Dive1a": AnnotatedVideo("Dive1a", "clip", 2.7, 25.0, (Instance("Dive", 1.0, 2.7),))},
)


def test_in_scene_is_a_sources_own_clips_and_their_segments_shifted_along():
    made = {video.id: (video, features) for video, features in compose("in-scene", CLIPS, MATERIAL, SOURCES)}
    assert {name: video.subset for name, (video, _) in made.items()}["in-scene_Golf_03"] == "test"
    video, features = made["in-scene_Dive_01"]
    assert features.streams["rgb"][:, 0].tolist() == [0] * 4 + [1] * 4
    spans = [(each.start, each.end) for each in video.instances]
    assert np.allclose(spans, [(1.0, 2.56), (2.56, 5.12)])  # the first clipped to its snippets, the second whole
    assert video.duration == pytest.approx(8 * 0.64)


def test_cut_has_foreign_pieces_around_every_clip_and_truth_where_the_clips_are():
    for video, features in compose("cut", CLIPS + OTHERS, MATERIAL, SOURCES):
        places = features.streams["rgb"][:, 0]
        own = places < len(CLIPS)
        assert not own[0] and not own[-1] and np.diff(own.astype(int)).tolist().count(1) == 2
        inside = np.zeros(len(own), bool)
        for each in video.instances:
            middles = features.seconds().mean(1)
            inside |= (middles > each.start) & (middles < each.end)
        assert (inside == own).all() or video.id == "cut_Dive_01"


def test_no_source_is_on_both_sides_not_even_of_the_background():
    seen: dict[str, set[int]] = {"training": set(), "test": set()}
    for video, features in compose("cut", CLIPS + OTHERS, MATERIAL, SOURCES, seed=3):
        seen[video.subset] |= set(features.streams["rgb"][:, 0].astype(int).tolist())
    assert not seen["training"] & seen["test"]
    with pytest.raises(BadInput):
        list(compose("in-scene", CLIPS, MATERIAL, {"training": [1, 2], "test": [2]}))


def test_the_same_seed_gives_the_same_world_and_rare_actions_have_fewer_sources():
    first, again, other = (
        list(compose("cut", CLIPS + OTHERS, MATERIAL, SOURCES, {"Golf": 1}, seed)) for seed in (0, 0, 1)
    )
    assert [video for video, _ in first] == [video for video, _ in again] != [video for video, _ in other]
    assert sum(video.subset == "training" and "Golf" in video.id for video, _ in first) == 1


def test_sources_are_numbers_and_ranges():
    assert parse_sources("1-3, 7") == [1, 2, 3, 7]
    for text in ("", "a", "1-", "-1", "1-99999999"):
        with pytest.raises(BadInput):
            parse_sources(text)


def test_the_command_composes_the_shared_clips(shared, tmp_path):
    real = shared / "real"
    command = ["compose", "--clips", real / "real.csv", "--features", real / "features", "--segments",
               real / "segments.json", "--world", "in-scene", "--actions", "BasketballDunk,CricketBowling,Surfing",
               "--train", "1-11", "--out", tmp_path / "world", "--json"]  # fmt: skip
    result = json.loads(CliRunner().invoke(app, [*map(str, command)]).stdout)
    assert (result["training"], result["test"]) == (33, 15)
    videos = read_annotations(tmp_path / "world" / "annotations.json", "test")
    features = read_features([tmp_path / "world" / "features"], "in-scene_Surfing_12")
    assert features.duration == pytest.approx(videos["in-scene_Surfing_12"].duration)
    assert isinstance(CliRunner().invoke(app, [*map(str, command)]).exception, BadInput)
