"""The labeler's entry: `streamlit run labeler_ui` (or `plusmv label`) serves the review page and the clips it plays.

PLUSMV_HOME names the workspace (default ./plusmv-data), PLUSMV_DB a catalog elsewhere, PLUSMV_ANNOTATOR who decides
(default: the login name). Streamlit recognises the `st.App` below and serves its routes beside the page.
"""

from pathlib import Path

import streamlit as st
from starlette.routing import Route

from labeler_ui.clip_files import serve_clip

app = st.App(Path(__file__).with_name("review_page.py"), routes=[Route("/clips/{sha256}", serve_clip)])
