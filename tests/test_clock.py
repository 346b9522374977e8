"""Seconds are those that players show: the first sound or picture is second 0, and the default video stream counts."""

import pytest

from plusmv.curate.crawl.media import inspect
from plusmv.curate.duplicates.fingerprint import LUMA_FPS, fingerprint_video
from plusmv.features.decode import DEFAULT_LIMITS, probe, sample_frames, sample_raw
from plusmv.features.decode_stage import DecodeStage
from plusmv.features.recipe import Recipe
from tests.small_videos import make_counter


def counter_at(path, second: float) -> int:
    """The number of the frame that is shown."""
    lumas = [picture.small_luma(16).mean() for picture in sample_raw(path, 25)]
    return round((float(lumas[round(second * 25)]) - 16) / 2)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_picture_that_starts_after_the_sound_is_that_much_later(tmp_path, suffix):
    path = make_counter(tmp_path / f"v{suffix}", frames=25, late=2, sound=3)
    shown = [counter_at(path, second) for second in (0, 1, 1.96, 2, 2.4, 2.96)]
    assert shown == [0, 0, 0, 0, 10, 24]
    assert len(list(sample_frames(path))) == 75


def test_all_that_is_made_of_a_video_has_one_clock(tmp_path):
    late = make_counter(tmp_path / "late.mp4", frames=25, late=2, sound=3)
    assert inspect(late).duration == pytest.approx(3, abs=0.05)
    moving = fingerprint_video(late).luma.mean((1, 2))
    assert len(moving) == 3 * LUMA_FPS
    assert (moving[: 2 * LUMA_FPS] == moving[0]).all()
    assert moving[2 * LUMA_FPS + 4] > moving[0]
    *_, decoded = DecodeStage(Recipe(), DEFAULT_LIMITS).process((late, "late"))
    assert (decoded.frames, decoded.duration) == (75, pytest.approx(3))


def test_sound_that_starts_with_the_picture_or_later_changes_nothing(tmp_path):
    silent = make_counter(tmp_path / "silent.mp4")
    for name, facts in {
        "with.mp4": {"sound": 1},
        "late alone.mp4": {"late": 2},
        "frame.mkv": {"late": 0.04, "sound": 1},
    }.items():
        path = make_counter(tmp_path / name, **facts)
        assert len(list(sample_frames(path))) == 25
        assert probe(path).delay == 0
        assert [counter_at(path, second) for second in (0, 0.4)] == [counter_at(silent, second) for second in (0, 0.4)]


def test_of_several_video_streams_the_default_one_counts(tmp_path):
    facts = probe(make_counter(tmp_path / "v.mkv", frames=20, before=5))
    assert (facts.width, facts.height) == (64, 48)
    assert counter_at(tmp_path / "v.mkv", 0.4) == 10


def test_the_late_video_of_the_cases(cases):
    assert list(sample_frames(cases / "late_video.mp4"))[75].mean() == pytest.approx(66, abs=1)  # 16 + 2 x 25
    assert probe(cases / "late_video.mp4").duration == pytest.approx(6)


def test_the_two_streams_of_the_cases(cases):
    facts = probe(cases / "two_video.mkv")
    assert (facts.width, facts.height, facts.duration) == (128, 96, pytest.approx(4))
    assert len(list(sample_frames(cases / "two_video.mkv"))) == 100
