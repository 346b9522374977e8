"""What a takedown is of, and how a text names it: by a content, a link, a "platform:id", or an id in a field for ids.

An id is never searched for within a text. It counts as the whole value of a field that holds such ids; its full form
"platform:id", a link to it and a content's sha256 are mistaken for nothing else, and count as a whole value anywhere.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from plusmv.curate.crawl.letter_case import post_id, uploader_id
from plusmv.curate.takedown.links import LINK, Link, parsed

CONTENT = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])")
PUNCTUATION = "()[]{}<>\"'`,;!?."


class Field(Enum):
    """What a field of a file or row holds."""

    POST = auto()
    UPLOADER = auto()
    CAPTION = auto()
    SEARCH = auto()  # where a crawl searched: also ids of either kind, and paths
    OTHER = auto()


class Ids:
    """Ids of posts, or of uploaders, each on its platform ("" where nobody said which)."""

    def __init__(self, compared: Callable[[str, str], str] = post_id):
        self._compared = compared  # (platform, id) -> the id as that platform compares it
        self._platforms: dict[str, set[str]] = {}  # {id in lower case: platforms}
        self._known: set[tuple[str, str]] = set()

    def add(self, platform: str, name: str) -> None:
        if name:
            self._platforms.setdefault(name.casefold(), set()).add(platform.casefold())
            self._known.add(self._key(platform, name))

    def discard(self, platform: str, name: str) -> None:
        self._known.discard(self._key(platform, name))

    def has(self, name: str, platform: str | None = None) -> bool:
        """platform: None where the text does not say."""
        platforms = self._platforms.get(name.casefold(), ())
        return any(self._key(one, name) in self._known for one in (platforms if platform is None else (platform,)))

    def has_full(self, text: str) -> bool:
        """Whether a text is a "platform:id" of them."""
        platform, _, name = text.partition(":")
        return bool(platform and name) and self._key(platform, name) in self._known

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(sorted(self._known))

    def __bool__(self) -> bool:
        return bool(self._known)

    def _key(self, platform: str, name: str) -> tuple[str, str]:
        return platform.casefold(), self._compared(platform, name)


@dataclass
class Subject:
    """What is to be found nowhere. Empty: nothing is known of what was asked for."""

    contents: set[str] = field(default_factory=set)
    posts: Ids = field(default_factory=Ids)
    uploaders: Ids = field(default_factory=lambda: Ids(uploader_id))
    links: set[str] = field(default_factory=set)  # as links.plain gives them
    others: set[str] = field(default_factory=set)  # links that belong to posts that stay

    def __bool__(self) -> bool:
        return bool(self.contents or self.posts or self.uploaders or self.links)

    def names_content(self, text: str) -> bool:
        """Whether a content stands in a text: nothing else has its 64 digits."""
        return len(text) >= 64 and any(found in self.contents for found in map(str.casefold, CONTENT.findall(text)))

    def named_by(self, text: str) -> bool:
        """Whether a whole value is a content or its file, a link to it, or its full id."""
        text = text.strip()
        if self.names_content(text) and not any(map(str.isspace, text)):
            return True
        if ":" not in text and "/" not in text:
            return False
        return self.posts.has_full(text) or self.uploaders.has_full(text.replace(":@", ":", 1)) or self._linked(text)

    def named_in(self, value: object, held: Field, platform: str | None = None) -> bool:
        """Whether the whole value of a field names it. platform: as the same record says, None where it does not."""
        if isinstance(value, bool) or not isinstance(value, str | int):
            return False
        text = str(value).strip()
        if self.named_by(text):
            return True
        if held is Field.POST:
            return self.posts.has(text, platform)
        if held is Field.UPLOADER:
            return self.uploaders.has(text.removeprefix("@"), platform)
        if held is Field.SEARCH:
            return not LINK.fullmatch(text) and self._searched_by(text)
        return held is Field.CAPTION and self._is_id(text)

    def quick_look(self) -> Callable[[str], bool]:
        """A function that says whether a JSON text may name it: true now and then for one that does not."""
        ids = {name.casefold() for some in (self.posts, self.uploaders) for _, name in some}
        ids |= {f"@{name}" for name in ids}
        numbers = {name for name in ids if name.isdecimal()}

        def may_name(text: str) -> bool:
            if "\\" in text or not ids.isdisjoint(words := [word.strip().casefold() for word in text.split('"')]):
                return True
            if numbers and not numbers.isdisjoint(re.findall(r"\d+", text)):
                return True
            return any(":" in word or "/" in word or len(word) >= 64 for word in words[1::2])

        return may_name

    def cut_from(self, text: str) -> str:
        """A text without the contents, links and full ids in it; the very same text where it has none."""
        given = text
        if self.contents and len(text) >= 64:
            text = CONTENT.sub(lambda found: "" if found[0].casefold() in self.contents else found[0], text)
        if ":" in text or "/" in text:
            text = re.sub(r"\S+", lambda found: self._cut_word(found[0]), text)
        return given if text == given else text

    def _cut_word(self, word: str) -> str:
        inner = word.strip(PUNCTUATION)
        if inner and (":" in inner or "/" in inner) and (self.named_by(inner) or self._links_within(inner)):
            return word.replace(inner, "", 1)
        return word

    def _links_within(self, word: str) -> bool:
        found = LINK.search(word)
        return found is not None and self._linked(found[0])

    def _searched_by(self, text: str) -> bool:
        """Whether a search is for an id, also behind "ytsearch5:", or of a folder or list called by an uploader."""
        return (
            self._is_id(text) or self._is_id(text.rpartition(":")[2]) or any(map(self.uploaders.has, _path_parts(text)))
        )

    def _is_id(self, text: str) -> bool:
        return self.posts.has(text) or self.uploaders.has(text.removeprefix("@"))

    def _linked(self, text: str) -> bool:
        link = parsed(text)
        return link is not None and link.canonical not in self.others and self.links_to(link)

    def links_to(self, link: Link) -> bool:
        """Whether a link leads to it."""
        if link.canonical in self.links:
            return True
        return any(self.posts.has(part, site) for part in link.posts for site in link.sites) or any(
            self.uploaders.has(part, site) for part in link.uploaders for site in link.sites
        )


def _path_parts(text: str) -> list[str]:
    """Names of folders and files in a path, also without the files' suffixes."""
    if "/" not in text and "\\" not in text and "." not in text:
        return []
    parts = [part for part in re.split(r"[/\\]", text) if part]
    return parts + [part.rpartition(".")[0] for part in parts if "." in part]
