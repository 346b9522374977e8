"""The HTML that the review page shows of a clip. What people wrote elsewhere (captions, names) is escaped here."""

import html

from labeler_ui.review_queue import Card

STYLE = """<style>
.stMainBlockContainer { max-width: 1240px; padding: 1.3rem 1.5rem 1rem; }
.stAppHeader { display: none; }
.review-question { margin: 0; font-size: 1.5rem; font-weight: 650; line-height: 1.25; overflow-wrap: anywhere; }
.review-definition { margin: .15rem 0 0; opacity: .75; }
.review-reason { display: flex; align-items: center; justify-content: center; height: min(64vh, 75vw); padding: 2rem;
  box-sizing: border-box; text-align: center; background: #000; color: #eee; border-radius: .6rem;
  overflow-wrap: anywhere; }
.stHtml .review-facts { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; margin: 0; padding: 0; }
.review-facts dt { opacity: .65; font-weight: 400; }
.review-facts dd { margin: 0; overflow-wrap: anywhere; }
.review-caption { max-height: 6em; overflow-y: auto; white-space: pre-line; }
.review-tag { padding: .05rem .5rem; border-radius: 1rem; background: color-mix(in srgb, #0d9488 22%, transparent); }
@media (max-width: 640px) {
  .stMainBlockContainer { padding: .8rem .8rem 1rem; }
  .review-reason { height: min(40vh, 75vw); }
  .review-question { font-size: 1.3rem; }
}
</style>"""


def question(card: Card) -> str:
    """What the curator is asked: whether this is the action, and what counts as one."""
    definition = f'<p class="review-definition">{html.escape(card.definition)}</p>' if card.definition else ""
    return f'<p class="review-question">Is this {html.escape(card.action)}?</p>{definition}'


def not_playing(reason: str) -> str:
    """A panel in the clip's place that says why there is none."""
    return f'<div class="review-reason">This clip cannot be played: {html.escape(reason)}</div>'


def facts(card: Card) -> str:
    """Where the clip came from: tags, caption, platform, length."""
    rows = {
        "Tag": " ".join(f'<span class="review-tag">#{html.escape(tag)}</span>' for tag in card.tags),
        "Caption": _caption(card),
        "Source": html.escape(_source(card)),
        "Length": f"{card.clip.duration:.1f} s" if card.clip.duration else "",
    }
    shown = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows.items() if value)
    return f'<dl class="review-facts">{shown}</dl>'


def _caption(card: Card) -> str:
    caption = card.post.caption if card.post else ""
    return caption and f'<div class="review-caption" dir="auto">{html.escape(caption)}</div>'


def _source(card: Card) -> str:
    if card.post is None:
        return ""
    more = f" and {card.posts - 1} more" if card.posts > 1 else ""
    return (card.post.origin or f"{card.post.platform}: {card.post.platform_id}") + more
