"""Review: one clip loops, one key decides. In the browser: assets/review.js."""

import streamlit as st

from plusmv.labeler_ui import frame
from plusmv.labeler_ui.connection import Connection

LISTS = {
    "new": "Undecided",
    "audit": "A random sample of what was kept",
    "keep": "My decisions: keep",
    "mistagged": "My decisions: mis-tagged",
    "duplicate": "My decisions: duplicate",
    "unusable": "My decisions: unusable",
}


def main() -> None:
    """Draw the page."""
    frame.show(review)


def review(connection: Connection, annotator: str) -> None:
    """The page's content."""
    actions, lists, words = st.columns([2, 2, 3])
    with actions:
        action = frame.action_filter(connection)
    mode = lists.selectbox("List", list(LISTS), format_func=LISTS.__getitem__, label_visibility="collapsed", key="list")
    search = words.text_input("Search", placeholder="Search captions, tags, ids", label_visibility="collapsed")
    frame.browser_component("review", connection, annotator, filter={"action": action, "mode": mode, "search": search})


if __name__ == "__main__":
    main()
