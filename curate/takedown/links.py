"""Links as takedown reads them: which site, and which parts of path and query may be ids.

An id counts where such links have one: of a post after the first part (/p/<id>/) or in the query (watch?v=<id>), of an
uploader as the whole path, after "channel" or the like, before a post, or with an @.
"""

import itertools
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from plusmv.curate.crawl.tombstones import canonical_url

LINK = re.compile(r"(?:https?:)?//[^\s<>\"']+|(?:[\w-]+\.)+[a-z]{2,}/[^\s<>\"']*", re.IGNORECASE)
NICKNAMES = {"youtu": "youtube", "nicovideo": "niconico", "nico": "niconico", "dai": "dailymotion", "x": "twitter",
             "b23": "bilibili"}  # fmt: skip
POST_KEYS = {"v", "id", "vid", "video", "video_id", "post", "post_id", "shortcode", "fbid", "story_fbid"}
UPLOADER_KEYS = {"user", "user_id", "u", "channel", "channel_id", "uploader", "owner", "author"}
SHORTENED = {"youtu", "nico", "dai", "b23", "vimeo"}  # hosts whose whole path is the id of a post
SHARED = re.compile(r"(utm_\w+|igsh|igshid|si|fbclid|gclid|feature|ref|ref_src|share_id|is_from_webapp)(=|$)")
BEFORE_UPLOADER = {"channel", "user", "users", "c", "u", "profile"}
BEFORE_POST = {"p", "reel", "reels", "tv", "video", "videos", "shorts", "status", "post", "posts", "live", "stories"}
POST_FORMS = (  # where the id of a post stands in a link, on sites that we search
    ("instagram", re.compile(r"/(?:p|reel|reels|tv)/([\w-]+)")),
    ("youtube", re.compile(r"(?:[?&]v=|/shorts/|/embed/|/live/|youtu\.be/)([\w-]{11})")),
    ("tiktok", re.compile(r"/video/(\d+)")),
)


@dataclass(frozen=True)
class Link:
    """A link taken apart. sites: platforms that its host may be; posts, uploaders: what may be ids there."""

    canonical: str  # as `plain` gives it
    sites: frozenset[str]
    posts: frozenset[str]
    uploaders: frozenset[str]


def parsed(text: str) -> Link | None:
    """None for what is no link as a whole."""
    text = text.strip()
    if not LINK.fullmatch(text):
        return None
    try:
        parts = urlsplit(text if "//" in text.partition("?")[0] else f"//{text}")
        labels = [label for label in (parts.hostname or "").split(".") if label]
    except ValueError:
        return None
    path = [unquote(part) for part in parts.path.split("/") if part]
    query = parse_qsl(parts.query)
    return Link(
        plain(text),
        frozenset(labels[:-1]) | {NICKNAMES[label] for label in labels[:-1] if label in NICKNAMES},
        frozenset(path if SHORTENED.intersection(labels) else path[1:])
        | {value for name, value in query if name.casefold() in POST_KEYS},
        _uploaders(path) | {value for name, value in query if name.casefold() in UPLOADER_KEYS},
    )


def plain(url: str) -> str:
    """A link as links are compared: as tombstones know it, without what sharing adds, on a phone's host or not."""
    canonical = canonical_url(url if "//" in url.partition("?")[0] else f"//{url}")
    place, _, query = canonical.partition("?")
    place = re.sub(r"^(m|mobile)\.", "", place.rstrip("/"))
    kept = [pair for pair in query.split("&") if pair and not SHARED.match(pair)]
    return f"{place}?{'&'.join(kept)}" if kept else place


def post_of(url: str) -> str | None:
    """The "platform:id" of a link to a post whose form is known."""
    link = parsed(url)
    for platform, form in POST_FORMS:
        found = form.search(url)
        if link is not None and found and platform in link.sites:
            return f"{platform}:{found[1]}"
    return None


def _uploaders(path: list[str]) -> frozenset[str]:
    marked = {part for part in path if part.startswith("@")}
    named = {name for before, name in itertools.pairwise(path) if before.casefold() in BEFORE_UPLOADER}
    if path and (len(path) == 1 or path[1].casefold() in BEFORE_POST):
        named.add(path[0])
    return frozenset(marked | {part.removeprefix("@") for part in marked} | named)
