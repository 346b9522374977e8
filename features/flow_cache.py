"""Flow kept on disk, so that another stride, crop or network needs no flow again.

A chunk's quantised flow is one grey PNG, in a folder called by its video's id and named by a hash of the very frames it
was made of and of the settings: it can belong to nothing else, whatever videos are renamed or replaced, and goes with
its video. Delete the folder at any time.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import xxhash

from plusmv.core.workspace import write_bytes, write_json

CACHES = "flow-caches.json"  # of a workspace: the folders that its clips' flow was kept in


@dataclass(frozen=True)
class FlowCache:
    """A folder of flow; `settings` is text that tells how the flow was computed and quantised."""

    folder: Path
    settings: str

    def levels(self, video_id: str, frames: np.ndarray, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """(N, H, W, 3) uint8 frames -> (N - 1, H, W, 2) uint8 levels, from the folder or by `compute()`."""
        digest = xxhash.xxh3_128(self.settings.encode())
        digest.update(str(frames.shape).encode())
        digest.update(np.ascontiguousarray(frames).data)
        path = self.folder / _folder_of(video_id) / f"{digest.hexdigest()}.png"
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


def note_cache(home: Path, folder: Path) -> None:
    """Note in a workspace that its clips' flow is kept in this folder, so that a takedown finds it."""
    caches = known_caches(home)
    if folder.resolve() not in caches:
        write_json(home / CACHES, [str(cache) for cache in [*caches, folder.resolve()]])


def known_caches(home: Path) -> list[Path]:
    """The folders that were noted."""
    try:
        return [Path(cache) for cache in json.loads((home / CACHES).read_bytes())]
    except (FileNotFoundError, ValueError, TypeError):
        return []


def unnamed_flow(folder: Path) -> Iterator[Path]:
    """Flow as earlier versions kept it, under a hash alone: whose it is cannot be told."""
    for path in folder.glob("??/*.png"):
        if re.fullmatch(r"[0-9a-f]{32}", path.stem) and path.stem.startswith(path.parent.name):
            yield path


def _folder_of(video_id: str) -> str:
    """The id itself where it is a plain file name, as those of clips and of all that have feature files are."""
    plain = re.fullmatch(r"[^/\\\0]{1,60}|[0-9a-f]{64}", video_id) and video_id.strip(".")
    return video_id if plain else xxhash.xxh3_128(video_id.encode(errors="surrogatepass")).hexdigest()
