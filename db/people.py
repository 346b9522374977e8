"""What of people a column of the catalog may hold: said where the column is declared, and followed by takedown.

`info=holds("words")` beside a column; each column of text, JSON or bytes has it. What is an id, a link or a content of
the row's own post or clip goes with that row; "words", "metadata" and "search" may name somebody else's too, and are
searched in every row (curate.takedown.rows).
"""

from typing import Any, Literal, get_args

from sqlalchemy import Column, Enum, LargeBinary, String
from sqlalchemy.types import JSON

Held = Literal[
    "nothing",  # words of this program, or of its users about their own work
    "post id",  # of the row's own post
    "uploader id",  # as a keyed hash
    "content id",  # a sha256, or what is called by one
    "content",  # made from a video's pictures
    "link",  # to the row's own post
    "words",  # what people or programs wrote: may name any post, uploader or content
    "metadata",  # JSON of a platform
    "search",  # where a crawl searched, and how far it came: JSON, also as text
]
SEARCHED: frozenset[Held] = frozenset({"words", "metadata", "search"})


def holds(*held: Held) -> dict[str, Any]:
    """The `info` of a column that may hold this. Raises ValueError for a word that is none of Held."""
    if not held or set(held) - set(get_args(Held)):
        raise ValueError(f"a column holds some of {', '.join(get_args(Held))}, not {held}")
    return {"holds": frozenset(held)}


def held_by(column: Column[Any]) -> frozenset[Held] | None:
    """What a column says it may hold; None where it says nothing."""
    return column.info.get("holds")


def must_say(column: Column[Any]) -> bool:
    """Whether a column could hold anything of anybody: text, JSON and bytes, but no choice of our own words."""
    return isinstance(column.type, String | JSON | LargeBinary) and not isinstance(column.type, Enum)
