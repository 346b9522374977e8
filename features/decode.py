"""Decoding: a video file to RGB frames at a fixed rate, by timestamp.

The k-th frame is the one that players show at t = k/fps (features.clock), as they show it (features.display): nothing
is re-encoded or blended. Of several video streams the default one counts. Damaged packets are left out and what can be
decoded is used. FFmpeg runs on one thread: its own threads deadlock inside worker processes. Files are opened by Python
and only container formats are admitted, so a playlist or image pattern under a video's name reaches neither the network
nor another file.
"""

import contextlib
import errno
import io
import itertools
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np

from plusmv.core.errors import BadInput
from plusmv.features.clock import GRACE, delay, is_film, shown_until
from plusmv.features.cut_short import Lengths
from plusmv.features.display import Picture, pixel_aspect
from plusmv.features.stopwatch import StopWatch

CONTAINERS = "mov,mp4,matroska,webm,avi,gif,mpegts,mpeg,flv,asf,ogg,rm,mpegvideo,h264,hevc,m4v,ivf,wtv,mxf,nut,apng"
VIDEO_SUFFIXES = (
    *(".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"),
)


@dataclass(frozen=True)
class DecodeLimits:
    """What a file may cost before it is refused: no file from the outside may fill the memory or run for ever."""

    pixels: int = 8192 * 4320  # width x height of one frame
    seconds: float = 4 * 3600.0  # of video
    wall_seconds: float | None = None  # spent decoding, the consumer's own time not counted


DEFAULT_LIMITS = DecodeLimits()


@dataclass(frozen=True)
class VideoFacts:
    """What the container and the first frame say. None where the file does not say. Width and height as displayed."""

    duration: float | None  # seconds, from the beginning to the last picture's end
    delay: float  # seconds of them before the first picture
    fps: float | None
    frames: int | None
    width: int
    height: int
    codec: str


def probe(path: Path, limits: DecodeLimits = DEFAULT_LIMITS) -> VideoFacts:
    """Read a video's facts; its first frame is decoded. Raises BadInput with the reason where none can be."""
    with open_video(path) as video:
        frame = next(_frames(video, limits, StopWatch()), None)
        if frame is None:
            raise BadInput(f"{path} holds no frame that can be decoded")
        width, height = Picture(frame, video.pixel).size
        delay = video.delay(frame, 1 / (_rate(video.stream) or math.inf))
        return VideoFacts(
            duration=_duration(video, delay),
            delay=delay,
            fps=_rate(video.stream),
            frames=video.stream.frames or None,
            width=width,
            height=height,
            codec=video.stream.codec_context.name,
        )


def lengths(path: Path) -> Lengths:
    """What a video promises and what is there: its packets are read, not decoded. Raises BadInput as probe does.

    What a container names as a whole (Matroska) promises nothing: it may be a longer sound track's. Where the end is
    missing, single frames before it are too, as packets are not in the order of the pictures: those count as missing.
    """
    with open_video(path) as video:
        stream = video.stream
        step = float(1 / stream.average_rate) if stream.average_rate else 0.0
        promised = max(float((stream.duration or 0) * (stream.time_base or 0)), stream.frames * step)
        packets, seconds = _there(video, step)
        if stream.frames and Lengths(promised, seconds).cut_short:
            seconds = min(seconds, promised * packets / stream.frames)
        return Lengths(promised, seconds)


def sample_frames(
    path: Path, fps: float = 25.0, short_side: int | None = 256, limits: DecodeLimits = DEFAULT_LIMITS
) -> Iterator[np.ndarray]:
    """Yield the frame shown at k/fps for k = 0, 1, ...: (H, W, 3) uint8 RGB, as displayed, all of one size.

    short_side: pixels of the shorter side after bilinear resizing, None for the size as displayed.
    A picture shown for longer than 1/fps is yielded as the same array again: do not write into it.
    Raises BadInput with the reason where nothing can be decoded or a limit is passed, maybe after some frames.
    """
    size: tuple[int, int] | None = None
    shown: Picture | None = None
    for picture in sample_raw(path, fps, limits):
        if picture is not shown:
            size = size or picture.scaled_size(short_side)
            _check_pixels(path, *size, limits)
            shown, pixels = picture, picture.rgb(size)
        yield pixels


def sample_raw(path: Path, fps: float, limits: DecodeLimits = DEFAULT_LIMITS) -> Iterator[Picture]:
    """Yield the decoder's own frame shown at k/fps for k = 0, 1, ...: for those who need neither RGB nor all pixels.

    A picture shown for longer than 1/fps comes as the same object again. Raises BadInput as sample_frames does.
    """
    count, watch = 0, StopWatch()
    with open_video(path) as video:
        for frame, end in _timeline(video, fps, limits, watch):
            picture = Picture(frame, video.pixel)
            while count / fps < end - GRACE:
                if count / fps > limits.seconds:
                    raise BadInput(f"{path} is longer than the limit of {limits.seconds:g} s")
                with watch.paused():
                    yield picture
                count += 1
    if not count:
        raise BadInput(f"{path} holds no frame that can be decoded")


@dataclass(frozen=True)
class OpenVideo:
    """An open file and the stream that is decoded."""

    path: Path
    container: av.container.InputContainer
    stream: av.VideoStream

    @property
    def pixel(self) -> Fraction:
        """A pixel's width over its height."""
        return pixel_aspect(self.stream)

    @property
    def avi(self) -> bool:
        return self.container.format.name == "avi"

    def delay(self, first: av.VideoFrame, gap: float) -> float:
        """When the first frame is shown."""
        return delay(self.container, self.stream, first, gap, self.avi)


@contextlib.contextmanager
def open_video(path: Path) -> Iterator[OpenVideo]:
    """The stream that players show, decoding on one thread: the default one, else the first; no cover pictures.

    Raises BadInput with the reason.
    """
    path = Path(path)
    if not path.is_file():  # also keeps out pipes and devices, which may never end
        raise BadInput(f"cannot read {path}: " + ("it is not a regular file" if path.exists() else "no such file"))
    if path.stat().st_size == 0:
        raise BadInput(f"cannot read {path}: it is empty")
    try:
        with _Source(path) as file, _container(file) as container:
            stream = _shown_stream(path, container)
            stream.codec_context.thread_count = 1
            stream.codec_context.thread_type = "NONE"
            yield OpenVideo(path, container, stream)
    except av.FFmpegError as error:  # some are OSErrors too
        reason = f"not a video in a known container, or damaged ({error.strerror})"
        raise BadInput(f"cannot read {path}: {reason}") from error
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error


def _container(file: "_Source") -> av.container.InputContainer:
    """Open a file; where FFmpeg looks ahead and stumbles, as in an MP4 cut within a fragment, front to back only."""

    def opened(source: "_Source | SimpleNamespace") -> av.container.InputContainer:
        return av.open(source, "r", container_options={"format_whitelist": CONTAINERS}, metadata_errors="ignore")

    try:
        return opened(file)
    except av.InvalidDataError:
        file.seek(0)
        return opened(SimpleNamespace(read=file.read))


def _shown_stream(path: Path, container: av.container.InputContainer) -> av.VideoStream:
    films = [stream for stream in container.streams.video if is_film(stream)]
    if not films:
        raise BadInput(f"{path} holds no video stream")
    known = [stream for stream in films if stream.codec_context is not None]
    if not known:
        raise BadInput(f"{path} holds video of an unknown codec, or is damaged")
    return next((stream for stream in known if stream.disposition & av.stream.Disposition.default), known[0])


def _timeline(
    video: OpenVideo, fps: float, limits: DecodeLimits, watch: StopWatch
) -> Iterator[tuple[av.VideoFrame, float]]:
    """Each frame and the second at which the next one takes its place."""
    frames, gap = _frames(video, limits, watch), 1 / (_rate(video.stream) or fps)
    first = next(frames, None)
    if first is not None:
        yield from shown_until(itertools.chain([first], frames), gap, video.delay(first, gap), video.avi)


def _frames(video: OpenVideo, limits: DecodeLimits, watch: StopWatch) -> Iterator[av.VideoFrame]:
    """Every frame that can be decoded, damaged packets left out."""
    decoder = video.stream.codec_context
    for packet in _packets(video):
        if limits.wall_seconds is not None and watch.elapsed > limits.wall_seconds:
            raise BadInput(f"decoding {video.path} took longer than the limit of {limits.wall_seconds:g} s")
        _check_pixels(video.path, decoder.width, decoder.height, limits)
        try:
            frames = decoder.decode(packet)
        except av.FFmpegError:
            continue
        for frame in frames:
            _check_pixels(video.path, *Picture(frame, video.pixel).size, limits)
            frame.time_base = frame.time_base or video.stream.time_base  # the last ones come without one
            yield frame


def _packets(video: OpenVideo) -> Iterator[av.Packet | None]:
    """The stream's packets up to the first place that cannot be read, then None, which empties the decoder."""
    with contextlib.suppress(av.FFmpegError, IndexError):  # IndexError: of PyAV, at the end, after streams came late
        yield from (packet for packet in video.container.demux(video.stream) if packet.size)
    yield None


def _there(video: OpenVideo, step: float) -> tuple[int, float]:
    """How many whole packets there are, and the seconds from the first one's picture to the end of the last one's.

    step: seconds of a packet that does not say.
    """
    packets, first, last = 0, math.inf, -math.inf
    for packet in filter(None, _packets(video)):
        shown = packet.dts if packet.pts is None else packet.pts
        if shown is not None:
            start = float(shown * packet.time_base)
            packets, first = packets + (not packet.is_corrupt), min(first, start)  # corrupt: the file ends within it
            last = max(last, start + (float(packet.duration * packet.time_base) if packet.duration else step))
    return packets, max(0.0, last - first)


def _check_pixels(path: Path, width: int, height: int, limits: DecodeLimits) -> None:
    if width * height > limits.pixels:
        raise BadInput(f"{path} has a frame of {width}x{height}, over the limit of {limits.pixels} pixels")


def _rate(stream: av.VideoStream) -> float | None:
    """Frames a second, None where unknown."""
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    return float(rate) if rate else None


def _duration(video: OpenVideo, delay: float) -> float | None:
    """Seconds: the video stream's, else the container's, else frames over rate."""
    stream = video.stream
    if stream.duration and stream.time_base:
        seconds = float(stream.duration * stream.time_base) + delay
    elif video.container.duration:
        seconds = video.container.duration / av.time_base
    else:
        seconds = (stream.frames or 0) / (_rate(stream) or math.inf) + delay
    return seconds if 0 < seconds < math.inf else None


class _Source(io.FileIO):
    """A file for FFmpeg. Damaged ones send it before their beginning: reported by number, as PyAV prints exceptions."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except OSError as error:
            return -(error.errno or errno.EINVAL)
