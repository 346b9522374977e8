"""Previews: for every clip a file that browsers play, the media itself or a small H.264 copy made once."""

import itertools
from pathlib import Path

import av

from core.errors import Missing
from core.workspace import Workspace, atomic_path
from db.models import Clip
from features.decode import probe, sample_frames

SHORT_SIDE = 360  # pixels at most
SECONDS = 60.0  # at most: enough to judge a clip
FPS = 25
BROWSERS_PLAY = ("yuv420p", "yuvj420p")  # 4:2:0 of 8 bits; browsers refuse other H.264


def preview_path(workspace: Workspace, clip: Clip) -> Path:
    """A file of this clip that browsers play: its media if that is 8-bit H.264 in MP4 or MOV, else a copy.

    The copy (at most 360 pixels, 60 s, 25 fps, upright, silent) is made at the first call. Raises Missing where the
    media is gone, BadInput where it cannot be decoded.
    """
    media = workspace.media(clip.sha256, clip.suffix)
    if not media.is_file():
        raise Missing(f"the media of clip {clip.sha256[:12]} is not in {media.parent}; crawl it again")
    if _plays_in_browsers(media):
        return media
    preview = workspace.preview(clip.sha256)
    if not preview.is_file():
        with atomic_path(preview) as part:
            _encode(media, part)
    return preview


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
        stream = None
        for picture in pictures:
            picture = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]  # 4:2:0 needs even sides
            if stream is None:
                stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "26"})
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.thread_count = 1
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
