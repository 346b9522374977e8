"""Grid: many clips of an action play together, only the wrong ones are touched. In the browser: assets/grid.js."""

import streamlit as st

from plusmv.labeler_ui import frame
from plusmv.labeler_ui.connection import Connection

SIZES = (12, 24, 36, 48)


def main() -> None:
    """Draw the page."""
    frame.show(grid)


def grid(connection: Connection, annotator: str) -> None:
    """The page's content."""
    actions, orders, sizes = st.columns([2, 2, 3], vertical_alignment="center")
    with actions:
        action = frame.action_filter(connection)
    least = orders.selectbox(
        "Order",
        [False, True],
        format_func=lambda least: "Least suspicious first" if least else "Most suspicious first",
        label_visibility="collapsed",
    )
    size = sizes.segmented_control("Clips", SIZES, default=24, label_visibility="collapsed") or 24
    asked = {"action": action, "least": least, "mode": "new"}
    frame.browser_component("grid", connection, annotator, filter=asked, size=size)


if __name__ == "__main__":
    main()
