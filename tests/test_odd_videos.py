"""Videos as cameras, phones and broken tools write them: features' frames or one clear reason, and never too few."""

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from plusmv.core.errors import BadInput
from plusmv.features.clock import shown_until
from plusmv.features.decode import DecodeLimits, _packets, probe, sample_frames, sample_raw


def encode(path, levels, pts=None, size=(64, 48), rate=10, codec="libx264", pix_fmt="yuv420p", sizes=None, **options):
    """Grey frames of the given levels, shown at pts[i] / 1000 s (default: evenly at `rate`)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"preset": "ultrafast", "crf": "10"} | options if codec.startswith("libx26") else options
        for index, level in enumerate(levels):
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), level, np.uint8), format="rgb24")
            frame.pts = pts[index] if pts else round(index * 1000 / rate)
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def levels_of(path, **options):
    return [round(float(frame.mean())) for frame in sample_frames(path, **options)]


def near(seen, levels, spread=6):
    assert len(seen) == len(levels)
    np.testing.assert_allclose(seen, levels, atol=spread)


def repack(source, path, change, container_options=None):
    """Copy a video's packets, each as `change(index, packet)` leaves it; what gives None is left out."""
    with av.open(str(source)) as read, av.open(str(path), "w", options=container_options or {}) as write:
        stream = write.add_stream_from_template(read.streams.video[0])
        for index, packet in enumerate(read.demux(read.streams.video[0])):
            if packet.size and (packet := change(index, packet)) is not None:
                packet.stream = stream
                write.mux(packet)
    return path


LEVELS = [40, 60, 80, 100, 120, 140, 160, 180, 200, 220]


def test_a_stream_without_timestamps_is_read_at_its_rate(tmp_path):
    path = encode(tmp_path / "v.h264", LEVELS, rate=25, bf="0")
    near(levels_of(path, fps=25), LEVELS)


def test_b_frames_come_in_the_order_in_which_they_are_shown(tmp_path):
    for name in ("v.mp4", "v.mkv", "v.ts", "v.avi"):
        path = encode(tmp_path / name, LEVELS, rate=25, preset="medium", bf="3", g="10")
        near(levels_of(path, fps=25), LEVELS)


def test_frames_that_the_decoder_held_to_the_end_keep_their_times(tmp_path):
    times = [0, 40, 80, 120, 160, 200, 240, 640, 680, 1400]
    for name in ("v.mp4", "v.mkv", "v.ts"):
        path = encode(tmp_path / name, LEVELS, pts=times, rate=25, preset="medium", bf="3")
        shown = [LEVELS[sum(time <= 40 * k for time in times) - 1] for k in range(36)]
        near(levels_of(path, fps=25)[:36], shown)


def test_times_that_start_late_start_at_zero(tmp_path):
    late = encode(tmp_path / "late.mkv", LEVELS, pts=[5000 + 40 * i for i in range(10)], rate=25, bf="0")
    near(levels_of(late, fps=25), LEVELS)


def test_times_before_zero_and_times_that_lack():
    """What no container at hand can be made to say, said to the function that reads times."""

    def ends(*times, duration=0):
        base = Fraction(1, 1000)
        frames = (SimpleNamespace(pts=t, dts=t, time_base=base, duration=duration) for t in times)
        return [round(end, 3) for _, end in shown_until(frames, 0.1)]

    assert ends(-80, -40, 0, 40) == [0.04, 0.08, 0.12, 0.16]
    assert ends(0, 40, None, 120) == [0.04, 0.08, 0.12, 0.16]
    assert ends(None, None, None) == [0.1, 0.2, 0.3]
    assert ends(0, 40, 40, 80) == [0.04, 0.04, 0.08, 0.12]
    assert ends(7) == [0.1]
    assert ends(0, 40, 0, 80, 120, duration=40) == [0.04, 0.08, 0.16, 0.2, 0.24]  # begins anew
    assert ends(0, 40, 4000, 80, 120, 160, duration=40) == [0.04, 4, 4.04, 4.08, 4.12, 4.16]  # one time is damaged


def test_a_time_that_is_there_twice_shows_the_later_frame(tmp_path):
    source = encode(tmp_path / "v.mkv", LEVELS, rate=25, bf="0", g="1")

    def twice(index, packet):
        if index == 3:
            packet.pts, packet.dts = packet.pts - 40, packet.dts - 40
        return packet

    seen = levels_of(repack(source, tmp_path / "twice.mkv", twice), fps=25)
    near(seen, [40, 60, 100, 100, *LEVELS[4:]])


def test_an_edit_list_hides_what_it_cuts(tmp_path):
    """mov's edit lists start a video later than its first coded frame, as phones write after trimming."""
    source = encode(tmp_path / "v.mp4", LEVELS, rate=25, bf="0", g="1")

    def earlier(_, packet):
        shift = round(0.12 / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        return packet

    path = repack(source, tmp_path / "edited.mp4", earlier, {"avoid_negative_ts": "disabled", "use_editlist": "1"})
    near(levels_of(path, fps=25), LEVELS[3:])


def test_an_mp4_cut_off_within_a_fragment_gives_what_is_there(tmp_path):
    source = encode(tmp_path / "v.mp4", range(20, 220, 2), rate=25, bf="0", g="10")
    whole = repack(source, tmp_path / "f.mp4", lambda _, packet: packet, {"movflags": "frag_keyframe+empty_moov"})
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: whole.read_bytes().rindex(b"trun") + 30])
    near(levels_of(path, fps=25), range(20, 200, 2))


def test_an_unknown_codec_is_a_reason(tmp_path):
    path = encode(tmp_path / "v.mp4", LEVELS)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    with pytest.raises(BadInput, match="unknown codec"):
        probe(path)


def test_a_stream_that_appears_late_ends_no_other():
    """PyAV reads beyond its list of streams then, once all packets were given."""

    def demux(_):
        yield SimpleNamespace(size=1)
        raise IndexError

    video = SimpleNamespace(container=SimpleNamespace(demux=demux), stream=None)
    assert [packet and packet.size for packet in _packets(video)] == [1, None]


def test_decoders_own_frames_of_an_avi_come_at_the_same_times(tmp_path):
    path = encode(tmp_path / "v.avi", LEVELS, rate=25, preset="medium", bf="3", g="10")
    assert len(list(sample_raw(path, 25))) == len(list(sample_frames(path, 25))) == 10


@pytest.mark.parametrize(("codec", "pix_fmt", "name"), [
    ("libx264", "gray", "grey.mp4"),
    ("libx264", "yuv420p10le", "ten bits.mp4"),
    ("libx264", "yuv444p", "full colour.mkv"),
    ("ffv1", "gray16le", "sixteen bits.mkv"),
    ("mjpeg", "yuvj420p", "full range.avi"),
    ("gif", "rgb8", "palette.gif"),
])  # fmt: skip
def test_pixel_formats(tmp_path, codec, pix_fmt, name):
    path = encode(tmp_path / name, LEVELS[::2], rate=25, codec=codec, pix_fmt=pix_fmt)
    near(
        levels_of(path, fps=25), LEVELS[::2], spread=20 if pix_fmt in ("rgb8", "gray") else 8
    )  # a palette; grey is written full range


@pytest.mark.parametrize("size", [(63, 47), (1, 1), (2, 400), (47, 64)])
def test_odd_sizes(tmp_path, size):
    path = encode(tmp_path / "v.mkv", LEVELS[:3], rate=25, codec="ffv1", pix_fmt="yuv444p", size=size)
    assert (probe(path).width, probe(path).height) == size
    frame = next(sample_frames(path, short_side=None))
    assert frame.shape == (size[1], size[0], 3)
    if max(size) < 200 * min(size):
        assert min(next(sample_frames(path, short_side=24)).shape[:2]) == 24


def test_a_large_picture_within_the_limit_and_one_beyond(tmp_path):
    path = encode(tmp_path / "v.mp4", [100], size=(7680, 4320))
    assert next(sample_frames(path)).shape == (256, 455, 3)
    with pytest.raises(BadInput, match="7680x4320"):
        next(sample_frames(path, limits=DecodeLimits(pixels=7680 * 4319)))


def test_a_size_that_changes_in_the_middle_is_brought_to_the_first(tmp_path):
    parts = [
        encode(tmp_path / f"{i}.ts", LEVELS[:5], rate=25, size=s, bf="0") for i, s in enumerate([(64, 48), (96, 80)])
    ]
    path = tmp_path / "v.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = list(sample_frames(path, fps=25))
    assert {frame.shape for frame in frames} == {frames[0].shape}
    assert len(frames) >= 10


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(BadInput, match="no video stream"):
        next(sample_frames(path))


def test_a_gap_of_hours_between_two_frames_meets_the_limit_and_no_more(tmp_path):
    path = encode(tmp_path / "v.mkv", [50, 100], pts=[0, 40 * 3600 * 1000], bf="0")
    taken = 0
    with pytest.raises(BadInput, match="longer than the limit of 60 s"):
        for _ in sample_frames(path, limits=DecodeLimits(seconds=60)):
            taken += 1
    assert taken == 60 * 25 + 1


def test_a_hole_in_the_middle_keeps_what_is_around_it(tmp_path):
    source = encode(tmp_path / "v.mkv", list(range(20, 220, 2)), rate=25, bf="0", g="5")
    path = repack(source, tmp_path / "hole.mkv", lambda index, packet: None if 40 <= index < 60 else packet)
    seen = levels_of(path, fps=25)
    assert len(seen) == 100  # the last frame before the hole stays on screen until the next one
    near(seen[:40] + seen[60:], [*range(20, 100, 2), *range(140, 220, 2)])
