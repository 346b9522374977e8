"""The labeler's pages, and the way from one to the next. Streamlit runs this file anew at every visit."""

from pathlib import Path

import streamlit as st

PAGES = (
    ("review_page.py", "Review", "review"),
    ("grid_page.py", "Grid", "grid"),
    ("duplicates_page.py", "Duplicates", "duplicates"),
    ("contradictions_page.py", "Contradictions", "contradictions"),
    ("progress_page.py", "Progress", "progress"),
)


def main() -> None:
    """Show the page that the address names."""
    st.set_page_config(page_title="plusmv", layout="wide", initial_sidebar_state="collapsed")
    folder = Path(__file__).parent
    pages = [
        st.Page(folder / file, title=title, url_path=path, default=path == "review") for file, title, path in PAGES
    ]
    st.navigation(pages, position="top").run()


if __name__ == "__main__":
    main()
