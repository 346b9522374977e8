"""Contradictions: clips under several actions; which of them are right? In the browser: assets/contradictions.js."""

import streamlit as st

from plusmv.labeler_ui import frame
from plusmv.labeler_ui.connection import Connection

LISTS = {
    "contradiction": "Under actions that do not go together",
    "several-labels": "Several labels: actions that go together",
}


def main() -> None:
    """Draw the page."""
    frame.show(contradictions)


def contradictions(connection: Connection, annotator: str) -> None:
    """The page's content."""
    chosen = st.selectbox("List", list(LISTS), format_func=LISTS.__getitem__, label_visibility="collapsed")
    frame.browser_component("contradictions", connection, annotator, list=chosen)


if __name__ == "__main__":
    main()
