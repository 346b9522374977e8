"""Raw metadata as a platform gave it, with people's names dropped and everything bounded, before it is stored.

What names a person (names, handles, ids, pictures, mentions, comments, places) goes; links to media go too: they expire
and carry signatures. What is left says what the post is: numbers, sizes, types, flags, tags.
"""

import re
from typing import Any

from plusmv.core.text import bounded_line

NAMING = re.compile(
    r"user|owner|author|uploader|channel|creator|artist|account|profile|full_?name|screen_?name|nick|^name$|handle|email|"
    r"comment|liker|mention|tagged|coauthor|location|latitude|longitude|^lat$|^lng$|caption|text|description|title|"
    r"(^|_)(pk|id|ids|xid|code|shortcode)$|token|cookie|header|session",
    re.IGNORECASE,
)
LONGEST, MOST, DEEPEST = 200, 60, 4  # characters of a string, entries of an object or list, levels
LINK = re.compile(r"(?i)\bhttps?:|^//|@")


def redact_personal_data(value: Any, depth: int = 0) -> Any:
    """What of a JSON value may be stored: objects lose keys that name people, ids and links. None: nothing is left."""
    if isinstance(value, dict) and depth < DEEPEST:
        kept = {
            bounded_line(str(key), 60): redact_personal_data(entry, depth + 1)
            for key, entry in list(value.items())[: 4 * MOST]
            if not NAMING.search(str(key)[:200])
        }
        return dict([(key, entry) for key, entry in kept.items() if entry not in (None, {}, [])][:MOST])
    if isinstance(value, list | tuple) and depth < DEEPEST:
        return [
            entry
            for entry in (redact_personal_data(one, depth + 1) for one in value[:MOST])
            if entry not in (None, {}, [])
        ]
    if isinstance(value, str):
        return None if LINK.search(value[:500]) or len(value) > LONGEST else bounded_line(value, LONGEST) or None
    if isinstance(value, bool | int):
        return value if -(1 << 53) < value < 1 << 53 else None
    return value if isinstance(value, float) and value == value and abs(value) != float("inf") else None
