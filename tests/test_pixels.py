"""Videos composed of real clips as files: each frame stands where the features' composition has its snippet."""

import numpy as np
import pytest

from benchmarks.real.pixels import clip_files, composable, composed_of, frames_of, places, write_video
from plusmv.features.decode import sample_frames
from plusmv.features.snippets import SNIPPET_LENGTH, snippet_count

SOURCES = [13]


@pytest.mark.parametrize(
    "world, chosen", [("in-scene", "in-scene_BasketballDunk_13"), ("cut", "cut_CricketBowling_13")]
)
def test_rendered_video_has_the_frames_that_its_composed_features_are_of(world, chosen, shared, tmp_path):
    data = shared / "real"
    files = clip_files(data)
    clips, material = composable(data, world, files)
    videos = {video.id: (video, features) for video, features in composed_of(clips, material, world, SOURCES)}
    origins = {
        video.id: each.streams["rgb"] for video, each in composed_of(clips, places(clips, material), world, SOURCES)
    }
    origin, (video, features) = origins[chosen], videos[chosen]
    composed = [material.features[clips[number].id].streams["rgb"][place] for number, place in origin]
    assert np.array_equal(features.streams["rgb"], composed)  # the places are those of the features

    write_video(tmp_path / "video.mp4", frames_of(origin, clips, files), crf=0)
    rendered = list(sample_frames(tmp_path / "video.mp4", short_side=None))
    assert len(rendered) == SNIPPET_LENGTH * features.count == video.duration * features.fps
    assert snippet_count(len(rendered)) == features.count
    shown = {
        number: list(sample_frames(files[clips[number].id], short_side=None)) for number in {*origin[:, 0].tolist()}
    }
    for snippet, (number, place) in enumerate(origin):
        frames = slice(SNIPPET_LENGTH * place, SNIPPET_LENGTH * (place + 1))
        assert np.array_equal(rendered[SNIPPET_LENGTH * snippet :][:SNIPPET_LENGTH], shown[number][frames])
