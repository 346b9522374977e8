"""Flow kept on disk, so that another stride, crop or network needs no flow again.

A chunk's quantised flow is one grey PNG, named by a hash of the very frames it was made of and of the settings: it can
belong to nothing else, whatever videos are renamed or replaced. Delete the folder at any time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import xxhash

from plusmv.core.workspace import write_bytes


@dataclass(frozen=True)
class FlowCache:
    """A folder of flow; `settings` is text that tells how the flow was computed and quantised."""

    folder: Path
    settings: str

    def levels(self, frames: np.ndarray, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """(N, H, W, 3) uint8 frames -> (N - 1, H, W, 2) uint8 levels, from the folder or by `compute()`."""
        digest = xxhash.xxh3_128(self.settings.encode())
        digest.update(str(frames.shape).encode())
        digest.update(np.ascontiguousarray(frames).data)
        name = digest.hexdigest()
        path = self.folder / name[:2] / f"{name}.png"
        count, height, width, _ = frames.shape
        shape = (count - 1, height, width, 2)
        kept = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
        if kept is not None and kept.size == np.prod(shape):
            return kept.reshape(shape)
        levels = compute()
        if len(levels):
            picture = levels.reshape((count - 1) * height, width * 2)
            write_bytes(path, cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
        return levels
