"""Duplicates: copies of one clip side by side, in step; one stays, others go. In the browser: assets/duplicates.js."""

import streamlit as st

from plusmv.labeler_ui import frame
from plusmv.labeler_ui.connection import Connection

LISTS = {
    "groups": "Groups of copies",
    "pairs": "Proposed pairs: parts, and copies that are not sure",
    "shared": "Clips that share something, such as an intro or an end card",
}


def main() -> None:
    """Draw the page."""
    frame.show(duplicates)


def duplicates(connection: Connection, annotator: str) -> None:
    """The page's content."""
    chosen = st.selectbox("List", list(LISTS), format_func=LISTS.__getitem__, label_visibility="collapsed")
    frame.browser_component("duplicates", connection, annotator, list=chosen)


if __name__ == "__main__":
    main()
