"""JSON values and rows without what names a takedown's subject. Which field holds what, is said by its name here.

A record whose post, uploader or content is the subject goes as a whole. Another's caption loses the subject, and a
field of any other kind goes where its whole value is a content, a link or a full id.
"""

import functools
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from plusmv.curate.takedown.subject import Field, Subject

POSTS = {"id", "post", "postid", "platformid", "shortcode", "mediaid", "videoid", "displayid", "origin", "identifier",
         "pk", "file", "clip"}  # fmt: skip
PEOPLE = {"uploader", "user", "owner", "author", "channel", "creator", "account", "artist", "profile", "handle",
          "nickname", "screenname", "username", "fullname", "uploaderid", "userid", "ownerid", "ownerusername",
          "authorid", "channelid", "creatorid", "accountid"}  # fmt: skip
OF_PERSON = {"id", "pk", "name", "username", "handle", "fullname", "nickname"}  # within an object that is a person
IDENTITIES = {"sha256", "clip", "video", "content", "url", "link", "webpageurl", "permalink", "href", "uploaderurl",
              "channelurl", "source", "path", "key"}  # fmt: skip
CAPTIONS = {"caption", "title", "description", "text", "alt"}
SEARCHES = {"query", "path", "list", "after", "page"}  # of a crawl
PLATFORMS = ("platform", "extractorkey", "extractor", "site")
VAGUE = {"channel"}  # also of pictures and networks: an uploader's only where the record names a platform


class Gone(Exception):
    """Nothing of the record is left: it is the subject's."""


@dataclass(frozen=True)
class Place:
    """Where a value stands: what the field holds, on which platform as far as is said, and whether in a list."""

    held: Field = Field.OTHER
    platform: str | None = None
    listed: bool = False


def field_of(name: str, within: Field = Field.OTHER) -> Field:
    """What a field of that name holds. within: what holds the object that it stands in."""
    plain = _plain(name)
    if within is Field.UPLOADER and plain in OF_PERSON:
        return Field.UPLOADER
    if within is Field.SEARCH and plain in SEARCHES:
        return Field.SEARCH
    for names, held in ((POSTS, Field.POST), (PEOPLE, Field.UPLOADER), (CAPTIONS, Field.CAPTION)):
        if plain in names or (plain.endswith("s") and plain[:-1] in names):
            return held
    return Field.OTHER


def platform_of(record: Mapping[str, Any]) -> str | None:
    """The platform that a record says it is of."""
    said = {_plain(name): value for name, value in record.items()}
    return next((said[name] for name in PLATFORMS if isinstance(said.get(name), str) and said[name]), None)


def names_record(subject: Subject, name: str, value: Any, held: Field, platform: str | None) -> bool:
    """Whether a field says that its record is the subject's. A number does where it is called an id of something."""
    plain = _plain(name)
    if plain in IDENTITIES and isinstance(value, str) and subject.named_by(value):
        return True
    if held not in (Field.POST, Field.UPLOADER) or (plain in VAGUE and platform is None):
        return False
    is_number = isinstance(value, int)
    if is_number and not (plain.endswith(("id", "pk")) and (len(plain) > 2 or platform)):
        return False
    return subject.named_in(value, held, None if plain == "file" else platform)


def without(value: Any, subject: Subject, place: Place = Place()) -> Any:
    """A JSON value without what names the subject; the very same value where nothing does.

    Raises Gone where it is the subject's as a whole.
    """
    if isinstance(value, dict):
        return _object(value, subject, place)
    if isinstance(value, list):
        inner = replace(place, listed=True)
        entries = [_or_gone(entry, subject, inner) for entry in value]
        kept = [entry for entry in entries if entry is not Gone]
        return value if all(map(operator.is_, entries, value)) else kept
    if isinstance(value, str):
        if place.held is Field.CAPTION:
            return caption(value, subject)
        if subject.named_in(value, place.held, place.platform):
            raise Gone
        return subject.cut_from(value)
    return value


def caption(text: str, subject: Subject) -> str:
    """A caption without the subject; nothing is left where all of it is an id."""
    return "" if subject.named_in(text, Field.CAPTION) else subject.cut_from(text)


def _object(record: dict[str, Any], subject: Subject, place: Place) -> dict[str, Any]:
    platform = platform_of(record) or place.platform
    kept = {}
    for name, value in record.items():
        held, single = field_of(name, place.held), not isinstance(value, dict | list)
        if place.held is not Field.SEARCH and single and names_record(subject, name, value, held, platform):
            raise Gone
        typed = held if not single or held is not Field.UPLOADER or _plain(name) not in VAGUE else Field.OTHER
        left = Gone if subject.named_by(name) else _or_gone(value, subject, Place(typed, platform))
        if left is Gone and isinstance(value, dict) and held is Field.UPLOADER:
            raise Gone  # whose record it is, is an object of its own
        if left is Gone and single and place.listed:
            raise Gone
        if left is not Gone:
            kept[name] = left
    if record and not kept and not any(map(subject.named_by, record)):
        raise Gone
    same = len(kept) == len(record) and all(kept[name] is value for name, value in record.items())
    return record if same else kept


def _or_gone(value: Any, subject: Subject, place: Place) -> Any:
    try:
        return without(value, subject, place)
    except Gone:
        return Gone


@functools.lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
