"""The shell of the demo's report: style, tables and figures as HTML, for screens of any width, light or dark."""

import html
from collections.abc import Sequence


def page(title: str, body: str) -> str:
    """A whole HTML document that needs nothing from anywhere."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>
{body}
</body></html>
"""


def section(title: str, *parts: str) -> str:
    """A section with a heading; `parts` are ready HTML."""
    return f"<section><h2>{html.escape(title)}</h2>\n" + "\n".join(parts) + "</section>"


def paragraph(text: str, kind: str = "") -> str:
    """Plain text as a paragraph; kind: "", "note", "warn" or "badge"."""
    return f"<p class='{kind}'>{html.escape(text)}</p>"


def table(heads: Sequence[str], rows: Sequence[Sequence], words: bool = False) -> str:
    """A table of ready HTML cells, numbers to the right unless `words`; it scrolls by itself where it is too wide."""
    head = "".join(f"<th>{html.escape(str(name))}" for name in heads)
    body = "".join(f"<tr><th>{row[0]}" + "".join(f"<td>{cell}" for cell in row[1:]) for row in rows)
    kind = "words" if words else "numbers"
    return f"<div class=wide><table class={kind}><thead><tr>{head}<tbody>{body}</table></div>"


def figure(source: str, caption: str, strong: str = "") -> str:
    """A picture given as data URI, with plain text below; `strong` stands out at its end."""
    words = html.escape(caption)
    shown = f"{words} <b>{html.escape(strong)}</b>" if strong else words
    return f'<figure><img src="{source}" alt="{words}"><figcaption>{shown}</figcaption></figure>'


STYLE = """
:root { color-scheme: light dark; --ink: #1d2329; --soft: #626d78; --paper: #fff; --rule: #e2e5e8; --accent: #c24f1c;
  --card: #f5f6f7 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ea; --soft: #98a2ac; --paper: #14181c; --rule: #2c333a; --accent: #f08a5d; --card: #1c2127 } }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: var(--ink);
  background: var(--paper); max-width: 58rem; margin: 0 auto; padding: 2rem 1.1rem 4rem }
h1 { font-size: 2.1rem; line-height: 1.1; margin: .5rem 0 1rem; letter-spacing: -.02em }
h2 { font-size: 1.35rem; margin: 3rem 0 .6rem; letter-spacing: -.01em }
h3 { font-size: 1rem; margin: 2rem 0 .5rem }
.badge { display: inline-block; margin: 0; padding: .1rem .6rem; border-radius: 1rem; font-size: .8rem;
  font-weight: 600; color: var(--accent); border: 1.5px solid var(--accent) }
.warn { border-left: 4px solid var(--accent); padding-left: .8rem }
.note, figcaption { color: var(--soft); font-size: .875rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .94rem }
th, td { padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--rule); font-weight: 400; vertical-align: top }
th:last-child, td:last-child { padding-right: 0 }
thead th { color: var(--soft); font-size: .85rem }
th { text-align: left; white-space: nowrap }
.numbers td, .numbers thead th:not(:first-child) { text-align: right; white-space: nowrap }
small { color: var(--soft); display: block; line-height: 1.1 }
figure { margin: 0 0 1rem }
img { display: block; width: 100%; border-radius: 6px; background: #fff }
figcaption { margin-top: .3rem }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .2rem 1rem;
  align-items: end }
pre { background: var(--card); border-radius: 6px; padding: .9rem; overflow-x: auto; font-size: .8rem;
  line-height: 1.6 }
"""
