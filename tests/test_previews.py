"""Previews: what browsers play is served as it is, the rest becomes a small H.264 file, once."""

import shutil
from fractions import Fraction

import av
import pytest

from plusmv.core.errors import BadInput, Missing
from plusmv.core.workspace import Workspace, sha256_of
from plusmv.curate.crawl.media import inspect
from plusmv.curate.review import previews
from plusmv.curate.review.previews import playable
from plusmv.db.models import Clip, FileState
from plusmv.features.decode import sample_frames
from tests.small_videos import make_counter, make_video


def stored(tmp_path, video) -> tuple[Workspace, Clip]:
    workspace = Workspace(tmp_path / "home")
    clip = Clip(sha256=sha256_of(video), bytes=1, state=FileState.DONE, **vars(inspect(video)))
    address = workspace.media(clip.sha256, clip.suffix)
    address.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(video, address)
    return workspace, clip


def facts(path) -> tuple:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        seconds = float(stream.duration * stream.time_base)
        return stream.codec_context.name, stream.codec_context.pix_fmt, stream.width, stream.height, seconds


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_h264_is_played_as_it_is(tmp_path, suffix):
    workspace, clip = stored(tmp_path, make_video(tmp_path / f"a{suffix}"))
    assert playable(workspace, clip) == workspace.media(clip.sha256, suffix)
    assert not (workspace.home / "previews").exists()


@pytest.mark.parametrize(
    ("suffix", "codec", "pix_fmt"),
    [
        (".avi", "mpeg4", "yuv420p"),
        (".mkv", "libx264", "yuv420p"),
        (".mp4", "libx264", "yuv444p"),
        (".mp4", "mpeg4", "yuv420p"),
    ],
)
def test_the_rest_becomes_small_h264_once(tmp_path, suffix, codec, pix_fmt):
    video = make_video(tmp_path / f"a{suffix}", seconds=1, size=(66, 50), codec=codec, pix_fmt=pix_fmt)
    workspace, clip = stored(tmp_path, video)
    preview = playable(workspace, clip)
    assert preview == workspace.preview(clip.sha256)
    assert facts(preview) == ("h264", "yuv420p", 66, 50, pytest.approx(1.0, abs=0.11))
    content = preview.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # plays before it is loaded
    made = preview.stat().st_mtime_ns
    assert playable(workspace, clip).stat().st_mtime_ns == made
    assert [path.name for path in preview.parent.iterdir()] == [preview.name]


def test_previews_are_no_larger_than_they_need_be(tmp_path):
    video = make_video(tmp_path / "a.mkv", size=(1001, 721), pix_fmt="yuv444p")
    workspace, clip = stored(tmp_path, video)
    assert facts(playable(workspace, clip))[2:4] == (332, 240)


def test_media_that_cannot_be_shown(tmp_path):
    workspace, clip = stored(tmp_path, make_video(tmp_path / "a.mkv"))
    media = workspace.media(clip.sha256, clip.suffix)
    media.write_bytes(b"damaged since")
    with pytest.raises(BadInput):
        playable(workspace, clip)
    assert not any(path.is_file() for path in (workspace.home / "previews").rglob("*"))
    media.unlink()
    with pytest.raises(Missing, match="crawl it again"):
        playable(workspace, clip)


def test_nothing_is_made_of_what_is_taken_down_meanwhile(tmp_path, monkeypatch):
    workspace, clip = stored(tmp_path, make_video(tmp_path / "a.mkv", seconds=1))

    def encode_slowly(media, target, encode=previews._encode):
        encode(media, target)
        media.unlink()

    monkeypatch.setattr(previews, "_encode", encode_slowly)
    with pytest.raises(Missing):
        previews.preview(workspace, clip)
    assert list(workspace.preview(clip.sha256).parent.iterdir()) == []


def test_media_with_other_bytes_than_were_downloaded_are_not_shown(tmp_path):
    """It still decodes: what is judged would be another clip."""
    workspace, clip = stored(tmp_path, make_video(tmp_path / "a.mp4"))
    shutil.copy(make_video(tmp_path / "b.mp4", seed=1), workspace.media(clip.sha256, clip.suffix))
    for show in (playable, previews.preview, previews.still):
        with pytest.raises(BadInput):
            show(workspace, clip)


def test_a_preview_has_the_clips_seconds_and_shape(tmp_path):
    video = make_counter(tmp_path / "a.mkv", frames=25, late=1, sound=2, pixel=Fraction(2))
    workspace, clip = stored(tmp_path, video)
    assert (clip.width, clip.height) == (128, 48)
    made = playable(workspace, clip)
    assert facts(made) == ("h264", "yuv420p", 128, 48, pytest.approx(2.0))
    seen = [frame[2, 2, 0] for frame in sample_frames(made, 25, None)]
    assert len(seen) == 50
    assert abs(int(seen[0]) - int(seen[24])) <= 2 < int(seen[35]) - int(seen[24])


def test_of_two_videos_in_a_file_browsers_get_the_one_that_counts(tmp_path):
    video = make_counter(tmp_path / "a.mp4", before=5)
    workspace, clip = stored(tmp_path, video)
    assert facts(playable(workspace, clip))[2:4] == (64, 48)
