"""When each frame is shown, in the seconds that players show.

Second 0 is where playing begins: at the first sound or picture. A picture that starts after the sound is that much
later in all our seconds, and until then its first frame is shown, as browsers do. A start of at most one frame later
is an encoder's delay and counts as none; so does sound that starts before 0, which players do not play.
"""

from collections.abc import Iterator

import av

GRACE = 1e-3  # seconds: containers round timestamps, Matroska to milliseconds
UNPLAYED = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails


def is_film(stream: av.VideoStream) -> bool:
    """Whether a video stream is played: cover pictures and thumbnails are not."""
    return not stream.disposition & UNPLAYED


def delay(
    container: av.container.InputContainer, stream: av.VideoStream, first: av.VideoFrame, gap: float, avi: bool
) -> float:
    """Seconds after the beginning at which the stream's first frame is shown. gap: seconds between frames."""
    start = _seconds(stream, stream.start_time) if avi else _time(first, False, False)
    others = (*container.streams.audio, *filter(is_film, container.streams.video))
    starts = [max(at, 0.0) for other in others if (at := _seconds(other, other.start_time)) is not None]
    late = 0.0 if start is None else start - min(starts, default=start)
    return late if late > gap + GRACE else 0.0


def shown_until(
    frames: Iterator[av.VideoFrame], gap: float, start: float = 0.0, avi: bool = False
) -> Iterator[tuple[av.VideoFrame, float]]:
    """Each frame and the second at which the next one takes its place. start: when the first is shown.

    gap: seconds between frames, used where there is no timestamp and no frame before it tells. avi: take decoding times
    only, as AVI has no others; FFmpeg passes its decoding order off as presentation times. So once those run backwards
    in any file, decoding times come first. Where these do too, the clock starts anew at the frame before.
    """
    shown = next(frames, None)
    if shown is None:
        return
    by_decoding, zero = avi, (_time(shown, avi, avi) or 0.0) - start
    for frame in frames:
        at = _time(frame, by_decoding, avi)
        if not by_decoding and at is not None and at - zero < start:
            by_decoding, at = True, _time(frame, True, avi)
        if at is None:
            now = start + gap
        elif at - zero < start - GRACE:
            now = start + (_seconds(shown, shown.duration) or gap)
            zero = at - now
        else:
            now = max(start, at - zero)
        yield shown, now
        gap = now - start or gap
        start, shown = now, frame
    yield shown, start + (_seconds(shown, shown.duration) or gap)


def _time(frame: av.VideoFrame, by_decoding: bool, avi: bool) -> float | None:
    """The frame's seconds by the container's clock. The decoder gives the frames that it held to the end no dts."""
    times = [frame.dts] if avi else [frame.dts, frame.pts] if by_decoding else [frame.pts, frame.dts]
    return _seconds(frame, next((ticks for ticks in times if ticks is not None), None))


def _seconds(of: av.VideoFrame | av.stream.Stream, ticks: int | None) -> float | None:
    return None if ticks is None or of.time_base is None else float(ticks * of.time_base)
