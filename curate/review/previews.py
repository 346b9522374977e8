"""Previews: for every clip a file that browsers play, the media itself or a small H.264 copy made once, and a still."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypedDict

import av
import cv2
import numpy as np
from sqlalchemy import select

from plusmv.core.errors import BadInput, Missing
from plusmv.core.workers import Outcome, map_unordered
from plusmv.core.workspace import Workspace, atomic_path, check_content, remove_stale_parts
from plusmv.db.models import Clip, FileState
from plusmv.db.session import Catalog
from plusmv.features.decode import probe, sample_frames

SHORT_SIDE = 240  # pixels at most
SECONDS = 60.0  # at most: enough to judge a clip
FPS = 25
STILL_SECONDS = 5
SMALL_H264 = {"preset": "veryfast", "crf": "26", "tune": "fastdecode", "g": str(FPS)}  # two dozen play at once
BROWSERS_PLAY = ("yuv420p", "yuvj420p")  # 4:2:0 of 8 bits; browsers refuse other H.264


def playable(workspace: Workspace, clip: Clip) -> Path:
    """A file of this clip that browsers play: its media if that is 8-bit H.264 in MP4 or MOV, else its preview.

    Raises Missing where the media is gone, BadInput where it cannot be decoded.
    """
    media = _media(workspace, clip.sha256, clip.suffix)
    return media if _plays_in_browsers(media) else preview(workspace, clip)


def preview(workspace: Workspace, clip: Clip) -> Path:
    """A small copy (at most 240 pixels, 60 s, 25 fps, upright, silent), made once. Raises as `playable`."""
    return _preview(workspace, clip.sha256, clip.suffix)


def is_cut(workspace: Workspace, clip: Clip, file: Path) -> bool:
    """Whether this file, which `playable` or `preview` gave, ends a second or more before the clip does."""
    return file == workspace.preview(clip.sha256) and (clip.duration or 0.0) >= SECONDS + 1


def still(workspace: Workspace, clip: Clip) -> bytes:
    """A JPEG from the middle of the clip's first seconds, not kept. Raises as `playable`."""
    media = _media(workspace, clip.sha256, clip.suffix)
    pictures = list(itertools.islice(sample_frames(media, 1, SHORT_SIDE), STILL_SECONDS))
    if not pictures:
        raise BadInput(f"clip {clip.sha256[:12]} holds no picture")
    middle = cv2.cvtColor(pictures[len(pictures) // 2], cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", middle)[1].tobytes()


def make_previews(
    catalog: Catalog, workspace: Workspace, workers: int | None
) -> tuple[int, int, Iterator[Outcome[tuple[str, str], Path]]]:
    """Make all that are lacking, ahead of the grid: (how many clips, how many have one, outcomes of the rest)."""
    remove_stale_parts(workspace.home / "previews")
    with catalog.reading() as session:
        clips = session.execute(select(Clip.sha256, Clip.suffix).where(Clip.state == FileState.DONE)).all()
    tasks = [(clip.sha256, clip.suffix) for clip in clips if not workspace.preview(clip.sha256).is_file()]
    return len(clips), len(clips) - len(tasks), map_unordered(PreviewStage(workspace), tasks, workers=workers)


class FailedPreview(TypedDict):
    clip: str  # sha256
    reason: str


class PreviewsResult(TypedDict):
    """The JSON of `plusmv previews`; clips = done + skipped + failed."""

    clips: int
    done: int
    skipped: int
    failed: int
    failures: list[FailedPreview]


def previews_result(clips: int, skipped: int, outcomes: Iterable[Outcome[tuple[str, str], Path]]) -> PreviewsResult:
    """What became of the clips. outcomes: of those that had no preview."""
    failures: list[FailedPreview] = [
        {"clip": outcome.task[0], "reason": outcome.error} for outcome in outcomes if outcome.error is not None
    ]
    done = clips - skipped - len(failures)
    return {"clips": clips, "done": done, "skipped": skipped, "failed": len(failures), "failures": failures}


class PreviewStage:
    """(sha256, suffix) -> the preview's path, for map_unordered."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace

    def setup(self) -> None:
        pass

    def process(self, clip: tuple[str, str]) -> Path:
        return _preview(self.workspace, *clip)


def _preview(workspace: Workspace, sha256: str, suffix: str) -> Path:
    made = workspace.preview(sha256)
    if not made.is_file():
        media = _media(workspace, sha256, suffix)
        check_content(media)
        with atomic_path(made) as part:
            _encode(media, part)
            _media(workspace, sha256, suffix)  # taken down meanwhile: nothing of it may stay
    return made


def _media(workspace: Workspace, sha256: str, suffix: str) -> Path:
    media = workspace.media(sha256, suffix)
    if not media.is_file():
        raise Missing(f"the media of clip {sha256[:12]} is not in {media.parent}; crawl it again")
    return media


def _plays_in_browsers(media: Path) -> bool:
    if media.suffix not in (".mp4", ".mov"):
        return False
    try:
        with av.open(str(media), metadata_errors="ignore") as container:
            codec = container.streams.video[0].codec_context
            return codec.name == "h264" and codec.pix_fmt in BROWSERS_PLAY
    except (av.FFmpegError, IndexError, ValueError):
        return False


def _encode(media: Path, target: Path) -> None:
    facts = probe(media)
    short_side = max(2, min(SHORT_SIDE, facts.width, facts.height))
    pictures = itertools.islice(sample_frames(media, FPS, short_side), int(SECONDS * FPS))
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        even = map(_even, pictures)
        first = next(even)  # a video without a picture fails in `probe`
        stream = container.add_stream("libx264", rate=FPS, options=SMALL_H264)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in itertools.chain([first], even):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _even(picture: np.ndarray) -> np.ndarray:
    """4:2:0 needs even sides."""
    return np.ascontiguousarray(picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2])
