"""Which part of a video's frame is the picture: borders, letterbox bars and blurred bars around it are not.

Arrays in, slices out. What is cut here is only what every frame of a batch agrees on; a clip and its letterboxed copy
end up with the same picture.
"""

import numpy as np

FLAT = 12  # luma steps by which a border's rows may differ, over its length and over time
SAME_COLOUR = 8  # steps of luma, and of red, green and blue, between two opposite borders
LEAST_LEFT = 0.2  # share of a side that trimming must leave; otherwise the picture itself is flat
EDGE = 0.3  # share of a border's length along which the picture beside it differs at some time
SOFT = 0.35  # fine detail of a blurred bar, as a share of the middle's
SEAM = 4.0  # times the bar's own steps that lie between a blurred bar and the picture
STEP = 1.3  # times the picture's own steps
SHOWS = 2.5  # standard deviation along the lines of a blurred bar, which shows something; a plain wall does not
LEAST_BAR = 0.06  # share of a side below which a soft edge is just the picture's

Box = tuple[slice, slice]  # rows, columns


def content_box(luma: np.ndarray, colour: np.ndarray) -> Box:
    """Rows and columns within flat borders and blurred bars: luma (N, H, W) over time, colour (H, W, 3) of a frame."""
    box = _within_borders(luma, colour)
    rows, columns = _within_blur(luma[:, box[0], box[1]])
    return _within(box[0], rows), _within(box[1], columns)


def _within(outer: slice, inner: slice) -> slice:
    return slice(outer.start + inner.start, outer.start + inner.stop)


def _within_borders(luma: np.ndarray, colour: np.ndarray) -> Box:
    """A border is flat, still, and of one colour on opposite sides. Sky above grass is none."""
    low, high = luma.min(0).astype(int), luma.max(0).astype(int)  # (H, W)
    box = [slice(0, low.shape[0]), slice(0, low.shape[1])]
    before = None
    while box != before:
        before = list(box)
        for axis in (0, 1):
            inner = tuple(box)
            start, stop = _inside(low[inner].min(1 - axis), high[inner].max(1 - axis), colour[inner].mean(1 - axis))
            edges = _has_edge(low[inner], high[inner], start, stop, axis)
            if edges and stop - start >= LEAST_LEFT * low.shape[axis]:
                box[axis] = slice(box[axis].start + start, box[axis].start + stop)
    return box[0], box[1]


def _inside(low: np.ndarray, high: np.ndarray, colour: np.ndarray) -> tuple[int, int]:
    """What lies between borders of one colour: darkest and brightest luma (L,) and mean colour (L, 3) of each line."""
    flat = high - low <= FLAT
    if not (flat[0] and flat[-1]) or np.abs(colour[0] - colour[-1]).max() > SAME_COLOUR:
        return 0, len(low)
    middle = (low + high) / 2
    border = flat & (np.abs(middle - (middle[0] + middle[-1]) / 2) <= SAME_COLOUR)
    if border.all():
        return 0, 0
    inside = np.flatnonzero(~border)
    return int(inside[0]) + 1, int(inside[-1])  # the line at an edge is half border


def _has_edge(low: np.ndarray, high: np.ndarray, start: int, stop: int, axis: int) -> bool:
    """Whether a picture begins where a border ends, on one side at least: before a plain wall nothing does."""
    shares = [1.0] if (start, stop) == (0, low.shape[axis]) else []
    for outside, inside in ((start - 2, start), (stop + 1, stop - 1)):
        if 0 <= outside < low.shape[axis]:
            border = low.take(outside, axis), high.take(outside, axis)
            picture = low.take(inside, axis), high.take(inside, axis)
            differs = (border[0] - picture[0] > FLAT) | (picture[1] - border[1] > FLAT)
            shares.append(float(differs.mean()))
    return max(shares, default=1.0) >= EDGE


def _within_blur(luma: np.ndarray) -> Box:
    """Bars that hold the clip itself, enlarged and blurred: little fine detail, then a seam, on both opposite sides."""
    some = luma[:: max(len(luma) // 16, 1)].astype(np.int16)
    found = [slice(0, side) for side in luma.shape[1:]]
    for axis in (0, 1):
        across = np.abs(np.diff(some, axis=2 - axis)).mean((0, 2 - axis))  # (L,) detail along each line
        steps = np.abs(np.diff(some, axis=1 + axis)).mean((0, 2 - axis))  # (L - 1,) from each line to the next
        start, stop = _between_soft(across, steps)
        bars = some.take([*range(start), *range(stop, some.shape[1 + axis])], 1 + axis)
        if bars.size and np.median(bars.std(axis=2 - axis)) >= SHOWS:
            found[axis] = slice(start, stop)
    return found[0], found[1]


def _between_soft(detail: np.ndarray, steps: np.ndarray) -> tuple[int, int]:
    """The picture between two soft bars of one width: detail (L,) along each line, steps (L - 1,) between lines.

    Its edges are sought as seams and not as the end of what is soft, because a picture may begin with sky.
    """
    length = len(detail)
    least, most = max(round(LEAST_BAR * length), 5), round((1 - LEAST_LEFT) / 2 * length)
    if most <= least:
        return 0, length
    peaks = np.maximum(np.maximum(steps[:-2], steps[1:-1]), steps[2:])  # [y]: the strongest of steps y to y + 2
    seams = np.minimum(peaks[least - 2 : most - 2], peaks[length - most - 1 : length - least - 1][::-1])
    start = least + int(seams.argmax())
    stop = length - start
    bars = np.concatenate([detail[: start - 2], detail[stop + 2 :]])
    bar_steps = np.median(np.concatenate([steps[: start - 3], steps[stop + 2 :]]))
    seam = seams.max()
    soft = np.quantile(bars, 0.9) < SOFT * np.median(detail[start:stop])
    if soft and seam >= SEAM * bar_steps and seam >= STEP * np.median(steps[start + 1 : stop - 2]):
        return start, stop
    return 0, length
