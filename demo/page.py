"""The parts of the demo's report as HTML, from the macros in page.html: for screens of any width, light or dark.

Text is escaped, Markup is taken as it is.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

TEMPLATE = Path(__file__).with_name("page.html")
_macros: Any = Environment(autoescape=True).from_string(TEMPLATE.read_text(encoding="utf-8")).module


def page(title: str, body: Markup) -> str:
    """A whole HTML document that needs nothing from anywhere."""
    return str(_macros.page(title, body))


def section(title: str, *parts: Markup) -> Markup:
    """A section with a heading."""
    return _macros.section(title, parts)


def paragraph(text: str, kind: str = "") -> Markup:
    """A paragraph; kind: "", "note", "warn" or "badge"."""
    return _macros.paragraph(text, kind)


def table(heads: Sequence[str], rows: Sequence[Sequence], words: bool = False) -> Markup:
    """A table, numbers to the right unless `words`; it scrolls by itself where it is too wide."""
    return _macros.table(heads, rows, "words" if words else "numbers")


def figure(source: str, caption: str, strong: str = "") -> Markup:
    """A picture given as data URI, with text below; `strong` stands out at its end."""
    return _macros.figure(source, caption, strong)
