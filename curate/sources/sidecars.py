"""What downloaders left beside a clip of a folder: yt-dlp's `name.info.json`, Instaloader's `name.json.xz`.

Each becomes what a manifest's row would say. They are strangers' text: bounded in size, also unpacked, and where they
cannot be read the clip is taken without them.
"""

import json
import lzma
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from plusmv.curate.sources.base import PostFailed
from plusmv.curate.sources.manifest import ManifestRow
from plusmv.curate.sources.redact import redact_personal_data

LARGEST = 16 << 20  # bytes, unpacked
UNREADABLE = (
    PostFailed,
    OSError,
    ValueError,
    RecursionError,
    lzma.LZMAError,
    EOFError,
    KeyError,
    TypeError,
    AttributeError,
)
HEAVY = ("formats", "requested_formats", "requested_downloads", "thumbnails", "subtitles", "automatic_captions")


def sidecar(relative: str, open_file: Callable[[str], BinaryIO]) -> tuple[ManifestRow, dict[str, Any] | None]:
    """(a manifest's row, raw metadata) of the clip at a path; ({}, None) where nothing readable lies beside it.

    open_file: opens a path of the folder, or raises PostFailed.
    """
    stem = str(PurePosixPath(relative).with_suffix(""))
    for suffix, read, row_of in ((".info.json", _plain, _of_ytdlp), (".json.xz", _unpacked, _of_instaloader)):
        try:
            with open_file(stem + suffix) as file:
                content = json.loads(read(file))
            return row_of(content)
        except UNREADABLE:
            continue
    return ManifestRow(), None


def _plain(file: BinaryIO) -> bytes:
    content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError("too large")
    return content


def _unpacked(file: BinaryIO) -> bytes:
    unpacking = lzma.LZMADecompressor(memlimit=256 << 20)
    content = unpacking.decompress(_plain(file), max_length=LARGEST)
    if not unpacking.eof:
        raise ValueError("too large, or cut short")
    return content


def _of_ytdlp(info: dict[str, Any]) -> tuple[ManifestRow, dict[str, Any] | None]:
    texts = dict.fromkeys(str(info[name]) for name in ("title", "description") if info.get(name))
    uploader = next((info[n] for n in ("channel_id", "uploader_id", "channel", "uploader") if info.get(n)), "")
    row: ManifestRow = {
        "platform": str(info.get("extractor_key") or info.get("extractor") or "").casefold(),
        "platform_id": str(info["id"]),
        "url": str(info.get("webpage_url") or ""),
        "uploader": str(uploader),
        "caption": "\n".join(texts),
        "licence": str(info.get("license") or ""),
        "taken_at": _iso(info.get("timestamp")) or _day(info.get("upload_date")),
    }
    kept = {name: value for name, value in info.items() if name not in HEAVY and not name.startswith("_")}
    return row, redact_personal_data(kept) or None


def _of_instaloader(content: dict[str, Any]) -> tuple[ManifestRow, dict[str, Any] | None]:
    node = content["node"]
    caption = node.get("edge_media_to_caption") or {}
    texts = [edge["node"]["text"] for edge in caption.get("edges", ())]
    code = str(node.get("shortcode") or node["code"])
    row: ManifestRow = {
        "platform": "instagram",
        "platform_id": code,
        "url": f"https://www.instagram.com/p/{code}/",
        "uploader": str((node.get("owner") or {}).get("id") or ""),
        "caption": str(texts[0]) if texts else "",
        "taken_at": _iso(node.get("taken_at_timestamp", node.get("date"))),
    }
    return row, redact_personal_data(node) or None


def _iso(seconds: Any) -> str:
    try:
        return datetime.fromtimestamp(float(seconds), UTC).isoformat()
    except (TypeError, ValueError, OverflowError, OSError):
        return ""


def _day(text: Any) -> str:
    try:
        return datetime.strptime(str(text), "%Y%m%d").replace(tzinfo=UTC).isoformat()
    except ValueError:
        return ""
