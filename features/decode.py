"""Decoding: a video file to RGB frames at a fixed rate, by timestamp.

The k-th frame is the one shown at t = k/fps, counted from the first frame: nothing is re-encoded or blended. Damaged
packets are left out and what can be decoded is used. FFmpeg runs on one thread: its own threads deadlock inside
worker processes. Files are opened by Python and only container formats are admitted, so a playlist or image pattern
under a video's name reaches neither the network nor another file.
"""

import contextlib
import errno
import io
import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np

from plusmv.core.errors import BadInput
from plusmv.features.stopwatch import StopWatch

CONTAINERS = "mov,mp4,matroska,webm,avi,gif,mpegts,mpeg,flv,asf,ogg,rm,mpegvideo,h264,hevc,m4v,ivf,wtv,mxf,nut,apng"
VIDEO_SUFFIXES = (
    *(".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"),
)
GRACE = 1e-3  # seconds: containers round timestamps, Matroska to milliseconds


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

    duration: float | None  # seconds
    fps: float | None
    frames: int | None
    width: int
    height: int
    codec: str


def probe(path: Path, limits: DecodeLimits = DEFAULT_LIMITS) -> VideoFacts:
    """Read a video's facts; its first frame is decoded. Raises BadInput with the reason where none can be."""
    with _opened(path) as video:
        frame = next(_frames(video, limits, StopWatch()), None)
        if frame is None:
            raise BadInput(f"{path} holds no frame that can be decoded")
        width, height = _displayed_size(frame)
        return VideoFacts(
            duration=_duration(video),
            fps=_rate(video.stream),
            frames=video.stream.frames or None,
            width=width,
            height=height,
            codec=video.stream.codec_context.name,
        )


def sample_frames(
    path: Path, fps: float = 25.0, short_side: int | None = 256, limits: DecodeLimits = DEFAULT_LIMITS
) -> Iterator[np.ndarray]:
    """Yield the frame shown at k/fps for k = 0, 1, ...: (H, W, 3) uint8 RGB, upright, all of one size.

    short_side: pixels of the shorter side after bilinear resizing, None for the size as displayed.
    A picture shown for longer than 1/fps is yielded as the same array again: do not write into it.
    Raises BadInput with the reason where nothing can be decoded or a limit is passed, maybe after some frames.
    """
    size, count, watch = None, 0, StopWatch()
    with _opened(path) as video:
        for frame, end in _timeline(video, fps, limits, watch):
            picture = None
            while count / fps < end - GRACE:
                if count / fps > limits.seconds:
                    raise BadInput(f"{path} is longer than the limit of {limits.seconds:g} s")
                if picture is None:
                    size = size or _output_size(frame, short_side)
                    _check_pixels(path, *size, limits)
                    picture = _picture(frame, size)
                with watch.paused():
                    yield picture
                count += 1
    if not count:
        raise BadInput(f"{path} holds no frame that can be decoded")


def sample_raw(path: Path, fps: float, limits: DecodeLimits = DEFAULT_LIMITS) -> Iterator[av.VideoFrame]:
    """Yield the decoder's own frame shown at k/fps for k = 0, 1, ...: for those who need neither RGB nor all pixels.

    A picture shown for longer than 1/fps comes as the same frame again. Raises BadInput as sample_frames does.
    """
    count, watch = 0, StopWatch()
    with _opened(path) as video:
        for frame, end in _timeline(video, fps, limits, watch):
            while count / fps < end - GRACE:
                if count / fps > limits.seconds:
                    raise BadInput(f"{path} is longer than the limit of {limits.seconds:g} s")
                with watch.paused():
                    yield frame
                count += 1
    if not count:
        raise BadInput(f"{path} holds no frame that can be decoded")


def upright_rgb(frame: av.VideoFrame, least_side: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a decoder's frame, its shorter side no longer than twice least_side."""
    times = max(min(frame.width, frame.height) // least_side, 1)
    small = frame.reformat(width=max(frame.width // times, 1), height=max(frame.height // times, 1), format="rgb24")
    return np.ascontiguousarray(_upright(small.to_ndarray(), frame))


def upright_luma(frame: av.VideoFrame, least_side: int) -> np.ndarray:
    """(H, W) uint8 of a decoder's frame, halved while its shorter side keeps least_side pixels.

    The decoder's own plane, so nothing is converted; halving costs a fortieth of what other scales do.
    """
    luma = _luma(frame)
    while min(luma.shape) >= 2 * least_side:
        size = (luma.shape[1] // 2, luma.shape[0] // 2)
        luma = cv2.resize(luma[: 2 * size[1], : 2 * size[0]], size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(_upright(luma, frame))


@dataclass(frozen=True)
class _Video:
    """An open file and the stream that is decoded."""

    path: Path
    container: av.container.InputContainer
    stream: av.VideoStream


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Video]:
    """The first video stream that is not a cover picture, decoding on one thread."""
    path = Path(path)
    if not path.is_file():  # also keeps out pipes and devices, which may never end
        raise BadInput(f"cannot read {path}: " + ("it is not a regular file" if path.exists() else "no such file"))
    if path.stat().st_size == 0:
        raise BadInput(f"cannot read {path}: it is empty")
    try:
        with _Source(path) as file, _container(file) as container:
            streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
            if not streams:
                raise BadInput(f"{path} holds no video stream")
            if streams[0].codec_context is None:
                raise BadInput(f"{path} holds video of an unknown codec, or is damaged")
            streams[0].codec_context.thread_count = 1
            streams[0].codec_context.thread_type = "NONE"
            yield _Video(path, container, streams[0])
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


def _timeline(
    video: _Video, fps: float, limits: DecodeLimits, watch: StopWatch
) -> Iterator[tuple[av.VideoFrame, float]]:
    """Each frame and the second at which the next one takes its place."""
    avi = video.container.format.name == "avi"
    return _shown_until(_frames(video, limits, watch), 1 / (_rate(video.stream) or fps), avi)


def _frames(video: _Video, limits: DecodeLimits, watch: StopWatch) -> Iterator[av.VideoFrame]:
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
            _check_pixels(video.path, frame.width, frame.height, limits)
            frame.time_base = frame.time_base or video.stream.time_base  # the last ones come without one
            yield frame


def _packets(video: _Video) -> Iterator[av.Packet | None]:
    """The stream's packets up to the first place that cannot be read, then None, which empties the decoder."""
    with contextlib.suppress(av.FFmpegError, IndexError):  # IndexError: of PyAV, at the end, after streams came late
        yield from (packet for packet in video.container.demux(video.stream) if packet.size)
    yield None


def _check_pixels(path: Path, width: int, height: int, limits: DecodeLimits) -> None:
    if width * height > limits.pixels:
        raise BadInput(f"{path} has a frame of {width}x{height}, over the limit of {limits.pixels} pixels")


def _shown_until(
    frames: Iterator[av.VideoFrame], gap: float, avi: bool = False
) -> Iterator[tuple[av.VideoFrame, float]]:
    """Each frame and the second, counted from the first frame, at which the next one takes its place.

    gap: seconds between frames, used where there is no timestamp and no frame before it tells. avi: take decoding times
    only, as AVI has no others; FFmpeg passes its decoding order off as presentation times. So once those run backwards
    in any file, decoding times come first. Where these do too, the clock starts anew at the frame before.
    """
    shown = next(frames, None)
    if shown is None:
        return
    by_decoding, start, first = avi, 0.0, _time(shown, avi, avi) or 0.0
    for frame in frames:
        at = _time(frame, by_decoding, avi)
        if not by_decoding and at is not None and at - first < start:
            by_decoding, at = True, _time(frame, True, avi)
        if at is None:
            now = start + gap
        elif at - first < start - GRACE:
            now = start + (_seconds(shown, shown.duration) or gap)
            first = at - now
        else:
            now = max(start, at - first)
        yield shown, now
        gap = now - start or gap
        start, shown = now, frame
    yield shown, start + (_seconds(shown, shown.duration) or gap)


def _time(frame: av.VideoFrame, by_decoding: bool, avi: bool) -> float | None:
    """The frame's seconds by the container's clock. The decoder gives the frames that it held to the end no dts."""
    times = [frame.dts] if avi else [frame.dts, frame.pts] if by_decoding else [frame.pts, frame.dts]
    return _seconds(frame, next((ticks for ticks in times if ticks is not None), None))


def _seconds(frame: av.VideoFrame, ticks: int | None) -> float | None:
    return None if ticks is None or frame.time_base is None else float(ticks * frame.time_base)


def _rate(stream: av.VideoStream) -> float | None:
    """Frames a second, None where unknown."""
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    return float(rate) if rate else None


def _duration(video: _Video) -> float | None:
    """Seconds: the video stream's, else the container's, else frames over rate."""
    stream = video.stream
    if stream.duration and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    elif video.container.duration:
        seconds = video.container.duration / av.time_base
    else:
        seconds = (stream.frames or 0) / (_rate(stream) or math.inf)
    return seconds if 0 < seconds < math.inf else None


def _orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Whether the displayed picture is the stored one transposed, then upside down, then mirrored.

    The file's display matrix takes (x, y), y downwards, to (ax + cy, bx + dy).
    """
    if "DISPLAYMATRIX" not in frame.side_data:
        return False, False, False
    matrix = frame.side_data["DISPLAYMATRIX"]  # type: ignore[typeddict-item]  # PyAV's stub has motion vectors only
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    transposed = abs(b) + abs(c) > abs(a) + abs(d)
    return (True, b < 0, c < 0) if transposed else (False, d < 0, a < 0)


def _upright(picture: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """The picture (H, W) or (H, W, 3) of a decoder's frame as it is displayed, as a view."""
    transposed, upside_down, mirrored = _orientation(frame)
    picture = picture.swapaxes(0, 1) if transposed else picture
    return picture[:: -1 if upside_down else 1, :: -1 if mirrored else 1]


def _displayed_size(frame: av.VideoFrame) -> tuple[int, int]:
    transposed, *_ = _orientation(frame)
    return (frame.height, frame.width) if transposed else (frame.width, frame.height)


def _output_size(frame: av.VideoFrame, short_side: int | None) -> tuple[int, int]:
    """(width, height) of the upright, resized picture."""
    width, height = _displayed_size(frame)
    scale = short_side / min(width, height) if short_side else 1.0
    return round(width * scale), round(height * scale)


def _luma(frame: av.VideoFrame) -> np.ndarray:
    """(H, W) uint8: the first plane where it is 8-bit luma, converted otherwise."""
    if not frame.format.name.startswith(("yuv4", "yuvj", "nv12")) or frame.format.components[0].bits != 8:
        return frame.to_ndarray(format="gray")
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]


def _picture(frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 RGB. Upright first, then resized; cv2 resizes faster than FFmpeg's scaler."""
    picture = _upright(frame.to_ndarray(format="rgb24"), frame)
    if (picture.shape[1], picture.shape[0]) != size:
        picture = cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(picture)


class _Source(io.FileIO):
    """A file for FFmpeg. Damaged ones send it before their beginning: reported by number, as PyAV prints exceptions."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except OSError as error:
            return -(error.errno or errno.EINVAL)
