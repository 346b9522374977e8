"""Decoding: which frame is shown when, and that no file, however broken, does more than give a reason."""

import os
import struct
import time
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from plusmv.core.errors import BadInput
from plusmv.features.decode import DecodeLimits, probe, sample_frames


def write_video(path, levels, ticks=None, rate=10, size=(64, 48), rotation=0):
    """A video whose i-th frame is grey of levels[i], its lower half black, shown at ticks[i] / 1000 s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"preset": "ultrafast", "crf": "10", "bf": "0"}
        if rotation:
            stream.set_display_rotation(rotation)
        for index, level in enumerate(levels):
            picture = np.full((size[1], size[0], 3), level, np.uint8)
            picture[size[1] // 2 :] = 0
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = ticks[index] if ticks else round(index * 1000 / rate)
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def levels_of(path, **options):
    return [round(float(frame[2, 2].mean())) for frame in sample_frames(path, **options)]


def test_the_frame_shown_at_the_time_is_taken(tmp_path):
    levels = [40, 80, 120, 160, 200]
    ticks = [0, 100, 130, 300, 350]  # not evenly spaced
    path = write_video(tmp_path / "v.mp4", levels, ticks)
    seen = levels_of(path, fps=25)
    shown = [max(i for i, tick in enumerate(ticks) if tick <= 40 * k) for k in range(len(seen))]
    np.testing.assert_allclose(seen, [levels[i] for i in shown], atol=6)
    assert 9 <= len(seen) <= 12  # the last one is shown for its own duration


def test_a_slow_video_repeats_and_a_fast_one_skips(tmp_path):
    slow = write_video(tmp_path / "slow.mp4", [50, 150], rate=5)
    np.testing.assert_allclose(levels_of(slow, fps=25), [50] * 5 + [150] * 5, atol=6)
    fast = write_video(tmp_path / "fast.mp4", list(range(0, 250, 10)), rate=50)
    np.testing.assert_allclose(levels_of(fast, fps=25), list(range(0, 250, 20)), atol=6)


def test_sizes_and_rotation(tmp_path):
    path = write_video(tmp_path / "v.mp4", [200] * 3, rotation=90)
    facts = probe(path)
    assert (facts.width, facts.height, facts.codec, facts.frames) == (48, 64, "h264", 3)
    assert facts.duration == pytest.approx(0.3, abs=0.05)
    frame = next(sample_frames(path, short_side=24))
    assert frame.shape == (32, 24, 3)
    assert frame[:, -8:].mean() < 20 < 180 < frame[:, :8].mean()  # counter-clockwise: what was above is left
    assert next(sample_frames(path, short_side=None)).shape == (64, 48, 3)


QUARTERS = np.array([[20, 90], [160, 230]], np.uint8)


@pytest.mark.parametrize(("matrix", "displayed"), [
    ((1, 0, 0, 1), QUARTERS),
    ((0, 1, -1, 0), np.rot90(QUARTERS, -1)),
    ((-1, 0, 0, -1), np.rot90(QUARTERS, 2)),
    ((0, -1, 1, 0), np.rot90(QUARTERS)),
    ((-1, 0, 0, 1), QUARTERS[:, ::-1]),  # what selfie cameras write
    ((1, 0, 0, -1), QUARTERS[::-1]),
    ((0, 1, 1, 0), QUARTERS.T),
    ((0, -1, -1, 0), QUARTERS[::-1, ::-1].T),
])  # fmt: skip
def test_a_picture_is_turned_and_mirrored_as_the_file_says(tmp_path, matrix, displayed):
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        picture = np.repeat(QUARTERS.repeat(24, 0).repeat(32, 1)[:, :, None], 3, axis=2)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    found = path.read_bytes()
    place = found.index(b"tkhd") + 44  # of the track header's matrix: a b u, c d v, x y w
    a, b, c, d = (value * 2**16 for value in matrix)
    path.write_bytes(found[:place] + struct.pack(">5i", a, b, 0, c, d) + found[place + 20 :])
    frame = next(sample_frames(path, short_side=None))
    np.testing.assert_allclose(frame[12::24, 16::32, 0] if matrix[0] else frame[16::32, 12::24, 0], displayed, atol=8)


def test_a_cut_file_gives_what_can_be_decoded(tmp_path):
    whole = write_video(tmp_path / "v.mkv", list(range(0, 200, 2)))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    assert 0 < len(levels_of(cut)) < len(levels_of(whole)) == 250


def test_broken_bytes_in_the_middle_never_hang_or_crash(tmp_path):
    whole = write_video(tmp_path / "v.mkv", list(range(0, 200, 2)))
    content = bytearray(whole.read_bytes())
    generator = np.random.default_rng(0)
    for seed in range(20):
        broken = content.copy()
        for place in generator.integers(200, len(broken), 30):
            broken[place] = generator.integers(256)
        path = tmp_path / f"{seed}.mkv"
        path.write_bytes(broken)
        try:
            assert sum(1 for _ in sample_frames(path, limits=DecodeLimits(seconds=60))) > 0
        except BadInput as error:
            assert str(path) in str(error)


def test_what_is_no_video_gives_one_line(tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no video at all\n" * 100)
    cv2.imwrite(str(tmp_path / "picture.png"), np.zeros((48, 64, 3), np.uint8))
    os.rename(tmp_path / "picture.png", tmp_path / "picture.mp4")
    (tmp_path / "playlist.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nv.ts\n#EXT-X-ENDLIST\n")
    whole = write_video(tmp_path / "v.mp4", [100] * 5)
    (tmp_path / "headless.mp4").write_bytes(whole.read_bytes()[:400])
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()
    names = ["empty", "text", "picture", "playlist", "headless", "pipe", "folder", "absent"]
    for path in [tmp_path / f"{name}.mp4" for name in names]:
        for read in (probe, lambda path: next(sample_frames(path))):
            with pytest.raises(BadInput) as caught:
                read(path)
            assert str(path) in str(caught.value)
            assert "\n" not in str(caught.value)
            assert ("it is empty" in str(caught.value)) == (path.stem == "empty")


def test_limits_are_kept(tmp_path):
    path = write_video(tmp_path / "v.mp4", [100] * 30)
    with pytest.raises(BadInput, match="64x48"):
        probe(path, DecodeLimits(pixels=1000))
    with pytest.raises(BadInput, match="longer than the limit of 1 s"):
        list(sample_frames(path, limits=DecodeLimits(seconds=1)))
    with pytest.raises(BadInput, match="took longer"):
        list(sample_frames(path, limits=DecodeLimits(wall_seconds=0)))
    frames = sample_frames(path, limits=DecodeLimits(wall_seconds=0.5))
    next(frames)
    time.sleep(0.6)  # the consumer's time is not the decoder's
    assert sum(1 for _ in frames) == 74


def test_a_sliver_does_not_become_a_giant(tmp_path):
    path = write_video(tmp_path / "v.mp4", [100] * 2, size=(4096, 2))
    with pytest.raises(BadInput, match="524288x256"):
        next(sample_frames(path, short_side=256))


@pytest.mark.parametrize(
    ("name", "frames", "shape"),
    [
        ("mmaction2_tests_test.avi", 164, (256, 341, 3)),  # its presentation times run backwards
        ("hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi", 70, (256, 341, 3)),  # metadata is not UTF-8
        ("mmaction2_demo_spatiotemporal.mp4", 238, (256, 340, 3)),  # corrupt tail
        ("torchcodec_nasa_13013.mp4", 325, (256, 455, 3)),  # two video streams
        ("decord_video_90.mov", 3, (454, 256, 3)),
        ("v_CricketShot_g04_c01_rgb.gif", 79, (256, 256, 3)),
    ],
)
def test_real_clips_with_traps(shared, name, frames, shape):
    pictures = list(sample_frames(shared / "clips" / name))
    assert (len(pictures), pictures[0].shape) == (frames, shape)
