"""Untrusted text made safe to store and show: no control characters, bounded length."""

import unicodedata

UNWANTED = {"Cc", "Cs"}  # control characters, NUL among them (PostgreSQL refuses it), and lone surrogates
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def bounded(text: str, length: int) -> str:
    """The text without control characters but line breaks and tabs, cut to `length` characters."""
    if text.isprintable():
        return text[: 2 * length].strip()[:length]
    kept = (c for c in text[: 2 * length] if c in "\n\t" or unicodedata.category(c) not in UNWANTED)
    return "".join(kept).strip()[:length]


def bounded_line(text: str, length: int) -> str:
    """The text as one line: white space and control characters become single spaces, cut to `length` characters."""
    if text.isprintable():
        return " ".join(text[: 2 * length].split())[:length]
    spaced = (" " if unicodedata.category(c) in UNWANTED else c for c in text[: 2 * length])
    return " ".join("".join(spaced).split())[:length]


def printable(name: str, length: int) -> str:
    """A file's name or path with each control character replaced, cut to `length` characters; other names unchanged."""
    if name.isprintable():
        return name[:length]
    return "".join(REPLACEMENT if unicodedata.category(c) in UNWANTED else c for c in name[:length])
