"""The simulation: the same for a seed whatever else is made, like THUMOS14 in its timeline, called simulated."""

from dataclasses import replace

import numpy as np
import pytest

from plusmv.core.annotations import AnnotatedVideo, Instance
from plusmv.core.errors import BadInput
from plusmv.wsal.simulation import SimulatedFeatures, Simulation, World, drawn_timeline

CLASSES = ("Diving", "GolfSwing", "HighJump")
VIDEO = AnnotatedVideo("v", "test", 64.0, 30.0, (Instance("GolfSwing", 20.0, 33.0), Instance("GolfSwing", 40.0, 42.0)))


def test_features_follow_from_seed_width_and_video_alone():
    first, again = (World(Simulation(width=48), CLASSES).features(VIDEO) for _ in range(2))
    assert first.streams["rgb"].shape == (100, 48)
    assert all((first.streams[s] == again.streams[s]).all() for s in ("rgb", "flow"))
    others = SimulatedFeatures(World(Simulation(width=48), CLASSES)).read_all([replace(VIDEO, id="w"), VIDEO])[0]
    assert (others["v"].streams["rgb"] == first.streams["rgb"]).all()
    assert (others["w"].streams["rgb"] != first.streams["rgb"]).any()
    other_world = World(Simulation(width=48, seed=1), CLASSES).features(VIDEO)
    assert (other_world.streams["rgb"] != first.streams["rgb"]).any()
    with pytest.raises(BadInput, match="width"):
        Simulation(width=0)


def test_it_is_called_simulated_and_never_mixes_with_real_features():
    features = World(Simulation(width=8), CLASSES).features(VIDEO)
    assert "simulated" in features.recipe
    assert "simulated" in features.notes
    assert all("simulated" in made for made in features.weights.values())


def test_action_is_inside_the_instances_and_scenery_all_over():
    """Averaged over videos, so that noise and shifts go."""
    world = World(Simulation(width=64), CLASSES)
    videos = [replace(VIDEO, id=f"v{i}") for i in range(40)]
    others = [replace(v, instances=(Instance("Diving", 20.0, 33.0),)) for v in videos]
    mean, other = (np.mean([world.features(v).streams["flow"] for v in some], axis=0) for some in (videos, others))
    inside, before = slice(34, 50), slice(5, 28)
    distance = np.linalg.norm(mean - other, axis=1)
    assert distance[inside].mean() > 1.2 * distance[before].mean()
    empty = [replace(v, instances=()) for v in videos]
    without = np.mean([world.features(v).streams["flow"] for v in empty], axis=0)
    assert np.linalg.norm(mean - without, axis=1)[before].mean() > 0.5
    assert (mean >= 0).all()


def test_a_video_of_one_snippet_and_one_past_its_annotations():
    for duration in (0.2, 5.0):
        found = World(Simulation(width=8), CLASSES).features(replace(VIDEO, duration=duration))
        assert found.count == max(1, int(duration * 25) // 16)


def test_the_drawn_timeline_is_like_thumos14():
    videos = drawn_timeline(0)
    assert len(videos) == 400
    durations = np.array([video.duration for video in videos.values()])
    lengths = np.array([i.end - i.start for video in videos.values() for i in video.instances])
    assert 120 < np.median(durations) < 200
    assert 2 < np.median(lengths) < 4
    assert all(0 <= i.start < i.end <= v.duration + 0.1 for v in videos.values() for i in v.instances)
    assert {label for v in videos.values() for label in v.labels if len(v.labels) == 2} == {
        "CliffDiving", "Diving", "CricketBowling", "CricketShot"}  # fmt: skip
    assert drawn_timeline(0) == videos
    assert drawn_timeline(1) != videos
