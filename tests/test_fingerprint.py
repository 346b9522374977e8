"""duplicates.fingerprint: one decode pass to hashes and motion, borders cut off, nothing made of what shows nothing."""

import av
import cv2
import numpy as np
import pytest

from plusmv.core.errors import BadInput
from plusmv.curate.duplicates import fingerprint
from plusmv.curate.duplicates.content_box import content_box
from plusmv.curate.duplicates.fingerprint import HASH_FPS, LUMA_FPS, Fingerprint, fingerprint_video
from plusmv.curate.duplicates.orientation import Orientation
from plusmv.curate.duplicates.pdq import hamming
from tests.moving_scenes import edited, framed, scene, write


def box_of(frames):
    """content_box as rows and columns of RGB frames."""
    rows, columns = content_box(np.stack([cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames]), frames[0])
    return (rows.start, rows.stop), (columns.start, columns.stop)


def test_two_hashes_and_eight_luma_pictures_a_second(tmp_path):
    made = fingerprint_video(write(tmp_path / "a.mp4", scene(1, 1, 3.0)))
    assert made.hashes.shape == (3 * HASH_FPS, 32)
    assert made.luma.shape == (3 * LUMA_FPS, 24, 24)
    assert made.usable.all() and made.seconds == 3.0
    assert len(made.counts) == 3 * HASH_FPS and made.counts.min() > 20
    assert len(made.words) == len(made.places) == made.counts.sum()
    last = made.keypoints(5)
    assert len(last.hashes) == made.counts[5] and (last.places <= made.size).all()


def test_bytes_give_the_same_fingerprint_back(tmp_path):
    made = fingerprint_video(write(tmp_path / "a.mp4", scene(1, 1, 1.0)))
    again = Fingerprint.from_bytes(made.to_bytes())
    assert all(np.array_equal(value, getattr(again, name)) for name, value in vars(made).items())


def test_a_mirrored_video_has_the_mirrored_hashes(tmp_path):
    frames = scene(1, 1, 1.0)
    made = fingerprint_video(write(tmp_path / "a.mp4", frames))
    turned = fingerprint_video(edited(tmp_path / "m.mp4", frames, "mirrored"))
    assert hamming(Orientation(mirror=True).of_pdq(made.hashes), turned.hashes).diagonal().max() <= 20
    assert hamming(made.hashes, turned.hashes).diagonal().min() >= 80


@pytest.mark.parametrize("edit", ["letterboxed", "bordered"])
def test_borders_are_cut_off(tmp_path, edit):
    frames = scene(1, 1, 1.0)
    plain = fingerprint_video(write(tmp_path / "a.mp4", frames))
    copy = fingerprint_video(edited(tmp_path / "b.mp4", frames, edit))
    assert hamming(plain.hashes, copy.hashes).diagonal().max() <= 40
    assert np.abs(plain.luma.astype(int) - copy.luma).mean() < 6


def test_the_box_is_what_lies_within_the_bars():
    frames = scene(1, 1, 0.5)
    assert box_of(frames) == ((0, 120), (0, 160))
    assert box_of([framed(f, 40, 0, (0, 0, 0)) for f in frames]) == ((41, 159), (0, 160))
    twice = [framed(framed(f, 0, 20, (0, 0, 0)), 30, 30, (250, 0, 250)) for f in frames]
    assert box_of(twice) == ((31, 149), (51, 209))


def test_sky_and_grass_are_no_border():
    frames = [frame.copy() for frame in scene(1, 1, 0.5)]
    for frame in frames:
        frame[:30], frame[-30:] = (120, 170, 230), (70, 150, 60)
    assert box_of(frames) == ((0, 120), (0, 160))


def test_a_border_that_moves_is_none():
    frames = [framed(f, 20, 0, (k, k, k)) for k, f in zip(range(0, 250, 10), scene(1, 1, 1.0), strict=True)]
    assert box_of(frames) == ((0, 160), (0, 160))


@pytest.mark.parametrize("colour", [(0, 0, 0), (200, 40, 40)])
def test_a_clip_of_one_colour_has_no_usable_hash(tmp_path, colour):
    made = fingerprint_video(write(tmp_path / "a.mp4", [np.full((120, 160, 3), colour, np.uint8)] * 25))
    assert len(made.usable) == 2 and not made.usable.any()


def test_three_frames_are_enough(tmp_path):
    made = fingerprint_video(write(tmp_path / "a.mp4", scene(1, 1, 3 / 25)))
    assert made.hashes.shape == (1, 32) and made.luma.shape == (1, 24, 24) and made.usable.all()


def test_a_long_video_comes_in_batches_without_a_seam(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", scene(1, 1, 3.0))
    whole = fingerprint_video(path)
    monkeypatch.setattr(fingerprint, "BATCH", 8)
    assert all(np.array_equal(value, getattr(fingerprint_video(path), name)) for name, value in vars(whole).items())


def test_a_remux_has_the_same_digest_and_a_re_encode_another(tmp_path):
    frames = scene(1, 1, 1.0)
    path = write(tmp_path / "a.mp4", frames)
    with av.open(str(path)) as source, av.open(str(tmp_path / "b.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    digest = fingerprint_video(path).digest
    assert (tmp_path / "b.mkv").read_bytes() != path.read_bytes()
    assert np.array_equal(digest, fingerprint_video(tmp_path / "b.mkv").digest)
    assert not np.array_equal(digest, fingerprint_video(edited(tmp_path / "c.mp4", frames, "re-encoded")).digest)


def test_what_is_no_video_is_refused_with_a_reason(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"not a video")
    with pytest.raises(BadInput, match=r"a\.mp4"):
        fingerprint_video(tmp_path / "a.mp4")
