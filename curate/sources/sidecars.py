"""What downloaders left beside a clip of a folder, as what a manifest's row would say.

    yt-dlp        name.info.json
    Instaloader   name.json.xz, name.json; of a carousel <date>_UTC.json.xz beside <date>_UTC_1.mp4, <date>_UTC_2.mp4
    gallery-dl    name.mp4.json, name.json

The name only says where to look: what the file is, its content tells. They are strangers' text: bounded in size, also
unpacked, and where they cannot be read the clip is taken without them.
"""

import base64
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from plusmv.core.errors import PlusmvError
from plusmv.core.limits import SIDECAR_BYTES
from plusmv.core.parsing import moment_or_none, parse_json
from plusmv.core.reading import bounded_bytes, unpacked_xz
from plusmv.curate.sources.manifest import ManifestRow
from plusmv.curate.sources.redact import redact_personal_data

OpenFile = Callable[[str], BinaryIO]  # opens a path of the folder, or raises PostFailed
Found = tuple[ManifestRow, dict[str, Any] | None]  # a manifest's row, raw metadata
ODD = (PlusmvError, OSError, KeyError, IndexError, TypeError, ValueError, AttributeError)  # of JSON in another form
OF_INSTALOADER = (".json.xz", ".json")
OF_CAROUSEL = re.compile(r"(?P<post>.+)_[0-9]{1,3}", re.DOTALL)
HEAVY = ("formats", "requested_formats", "requested_downloads", "thumbnails", "subtitles", "automatic_captions")


def sidecar(relative: str, open_file: OpenFile) -> Found:
    """What lies beside the clip at a path says of it; ({}, None) where nothing readable does."""
    for name, only_carousels in _names(relative):
        try:
            content = _content(name, open_file)
            if not only_carousels or _is_carousel(content["node"]):
                row, raw = _tool(name, content)(content)
                return row, redact_personal_data(raw) or None
        except ODD:
            continue
    return ManifestRow(), None


def carousel_of(name: str, beside: Collection[str]) -> str | None:
    """The name, without suffix, of the carousel whose clip and metadata lie under these names; None where of none."""
    post = OF_CAROUSEL.fullmatch(PurePosixPath(name).stem)
    return post["post"] if post and any(post["post"] + end in beside for end in OF_INSTALOADER) else None


def is_of_ytdlp(stem: str, open_file: OpenFile) -> bool:
    """Whether yt-dlp has left what it knows of a video of this name, without suffix."""
    try:
        name = f"{stem}.info.json"
        content = _content(name, open_file)
        return "id" in content and _tool(name, content) is _of_ytdlp
    except ODD:
        return False


def _names(relative: str) -> Iterator[tuple[str, bool]]:
    """(path of a sidecar that may be there, whether it counts for a carousel's only), the clip's own first."""
    stem = str(PurePosixPath(relative).with_suffix(""))
    for end in (".info.json", *OF_INSTALOADER):
        yield stem + end, False
    yield f"{relative}.json", False
    if post := OF_CAROUSEL.fullmatch(stem):
        for end in OF_INSTALOADER:
            yield post["post"] + end, True


def _content(name: str, open_file: OpenFile) -> dict[str, Any]:
    with open_file(name) as file:
        content = bounded_bytes(file, SIDECAR_BYTES, name)
    if name.endswith(".xz"):
        content = unpacked_xz(content, SIDECAR_BYTES, name)
    value = parse_json(content, name, strict=False)
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _tool(name: str, content: Mapping[str, Any]) -> Callable[[dict[str, Any]], tuple[ManifestRow, dict[str, Any]]]:
    """The reader of what the tool that wrote this writes, told by what only that one writes. Raises KeyError."""
    if isinstance(content.get("node"), dict):
        return _of_instaloader
    if name.endswith(".info.json") or "extractor" in content or "extractor_key" in content:
        return _of_ytdlp
    if "category" in content:
        return _of_gallery_dl
    raise KeyError("no tool that is known")


def _of_ytdlp(info: dict[str, Any]) -> tuple[ManifestRow, dict[str, Any]]:
    texts = dict.fromkeys(str(info[name]) for name in ("title", "description") if info.get(name))
    row: ManifestRow = {
        "platform": str(info.get("extractor_key") or info.get("extractor") or "").casefold(),
        "platform_id": str(info["id"]),
        "url": str(info.get("webpage_url") or ""),
        "uploader": _first(info, "channel_id", "uploader_id", "channel", "uploader"),
        "caption": "\n".join(texts),
        "licence": str(info.get("license") or ""),
        "taken_at": _moment(info.get("timestamp")) or _moment(info.get("upload_date")),
    }
    return row, {name: value for name, value in info.items() if name not in HEAVY and not name.startswith("_")}


def _of_instaloader(content: dict[str, Any]) -> tuple[ManifestRow, dict[str, Any]]:
    node = content["node"]
    phone = _object(node, "iphone_struct")
    owner = _object(node, "owner") or _object(node, "user") or _object(phone, "user")
    code = _first(node, "shortcode", "code") or _first(phone, "code") or _shortcode(str(node["id"]))
    row: ManifestRow = {
        "platform": "instagram",
        "platform_id": code,
        "url": f"https://www.instagram.com/p/{code}/",
        "uploader": _first(owner, "id", "pk"),
        "caption": _caption(node) or str(_object(phone, "caption").get("text") or ""),
        "taken_at": _moment(node.get("taken_at_timestamp", node.get("date", phone.get("taken_at")))),
    }
    return row, node


def _shortcode(media_id: str) -> str:
    """The code in a post's link: its number in other digits. What Instaloader saves of a story has the number alone."""
    number = int(media_id.partition("_")[0])
    if not 0 < number < 1 << 64:
        raise ValueError("no id of a post")
    return base64.urlsafe_b64encode(number.to_bytes(9, "big")).decode().lstrip("A")


def _of_gallery_dl(content: dict[str, Any]) -> tuple[ManifestRow, dict[str, Any]]:
    people = [_object(content, name) for name in ("owner", "author", "user", "uploader", "channel")]
    ids = [_first(person, "id", "pk", "name") for person in people if person]
    row: ManifestRow = {
        "platform": str(content["category"]).casefold(),
        "platform_id": _first(content, "shortcode", "post_shortcode", "post_id", "tweet_id", "id"),
        "url": _first(content, "post_url", "webpage_url"),
        "uploader": _first(content, "owner_id", "author_id", "user_id", "uploader_id")
        or next(filter(None, ids), "")
        or _first(content, "username", "author", "user", "uploader"),
        "caption": _first(content, "description", "content", "title"),
        "licence": _first(content, "license"),
        "taken_at": _moment(content.get("date")),
    }
    if not row["platform_id"]:
        raise KeyError("id")
    return row, content


def _is_carousel(node: Mapping[str, Any]) -> bool:
    children = ("edge_sidecar_to_children", "carousel_media")
    return "Sidecar" in str(node.get("__typename")) or any(
        _object(node, name) or isinstance(node.get(name), list) for name in children
    )


def _caption(node: Mapping[str, Any]) -> str:
    """The first text of a post; none where its form is another."""
    try:
        return str(node["edge_media_to_caption"]["edges"][0]["node"]["text"] or "")
    except (KeyError, IndexError, TypeError):
        return ""


def _object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object within an object; an empty one where there is none."""
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _first(facts: Mapping[str, Any], *names: str) -> str:
    """The first of these facts that is a text or a whole number, as text."""
    found = (facts.get(name) for name in names)
    return next((str(value) for value in found if value and type(value) in (str, int)), "")


def _moment(value: object) -> str:
    moment = moment_or_none(value)
    return moment.isoformat() if moment else ""
