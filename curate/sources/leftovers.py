"""What a download that was not finished leaves in a folder: parts and temporary files, which are no clips.

yt-dlp writes `X.mp4.part` and `X.mp4.ytdl`; `X.f137.mp4`, one stream of two, before it joins them; `X.temp.mp4` while
it does. The first two mean nothing else. A name like the others (`scene.temp.mp4`, `race.f1.mp4`) may be a person's
own: it is a leftover only where something beside it says so too: yt-dlp's `X.info.json`, a part of X, or a name that
ends in an id in brackets, as yt-dlp's own names do.
"""

import re
from collections.abc import Callable, Collection

UNFINISHED = re.compile(r"(?P<whole>.+)\.(part|ytdl|part-Frag[0-9]+(\.part)?)", re.IGNORECASE | re.DOTALL)
LOOKS_LEFT = re.compile(
    r"(?P<base>.+)\.(temp|f[0-9]+[\w+-]*|f(hls|dash|http)[\w+-]*)\.[a-z0-9]{2,5}", re.IGNORECASE | re.DOTALL
)
WITH_ID = re.compile(r".* \[[\w-]{5,}\]", re.DOTALL)


def leftover_of(name: str, beside: Collection[str], is_of_ytdlp: Callable[[str], bool]) -> str | None:
    """The name, without suffix, of the video that a file is a leftover of; None where it is none.

    beside: names of the files in the same folder. is_of_ytdlp: whether yt-dlp left what it knows of such a video.
    """
    if part := UNFINISHED.fullmatch(name):
        whole = part["whole"]
        looks = LOOKS_LEFT.fullmatch(whole)
        return looks["base"] if looks else whole.rpartition(".")[0] or whole
    looks = LOOKS_LEFT.fullmatch(name)
    if looks is None:
        return None
    base = looks["base"]
    parts = (other for other in beside if other.startswith(f"{base}.") and UNFINISHED.fullmatch(other))
    return base if WITH_ID.fullmatch(base) or any(parts) or is_of_ytdlp(base) else None
