"""Snippet arithmetic: how many snippets a video has and which seconds each covers. The only place that computes either.

Snippet i is the frames [i*stride, i*stride + length) of the video sampled at `fps`, hence the seconds
[i*stride/fps, (i*stride + length)/fps). The paper has 16 frames, not overlapping.
"""

import numpy as np

SNIPPET_LENGTH = 16


def snippet_count(frames: int, length: int = SNIPPET_LENGTH, stride: int = SNIPPET_LENGTH) -> int:
    """Windows of `length` frames that fit whole, `stride` apart; 1 for a shorter video (padded), 0 for no frame."""
    if length < 1 or stride < 1:
        raise ValueError(f"length and stride must be positive, not {length} and {stride}")
    if frames < 1:
        return 0
    return max(1, (frames - length) // stride + 1)


def snippet_seconds(
    count: int,
    fps: float,
    length: int = SNIPPET_LENGTH,
    stride: int = SNIPPET_LENGTH,
    duration: float | None = None,
) -> np.ndarray:
    """Start and end of each snippet: (count, 2) float64 seconds, clipped to `duration` (None or 0: not clipped)."""
    starts = np.arange(count, dtype=np.float64) * stride
    seconds = np.stack([starts, starts + length], axis=1) / fps
    return np.minimum(seconds, duration) if duration else seconds
