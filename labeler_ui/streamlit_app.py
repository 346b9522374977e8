"""The labeler's entry: `streamlit run labeler_ui` (or `plusmv label`) serves its pages, clips and decisions.

PLUSMV_HOME names the workspace (default ./plusmv-data), PLUSMV_DB a catalog elsewhere, PLUSMV_ANNOTATOR who decides
(default: the login name), PLUSMV_PASSWORDS a file of names and passwords, PLUSMV_OVERLAP the share of clips that two
people judge. Streamlit recognises the `st.App` below and serves its routes beside the pages.
"""

from pathlib import Path

import streamlit as st

from labeler_ui.contradiction_routes import CONTRADICTION_ROUTES
from labeler_ui.duplicate_routes import DUPLICATE_ROUTES
from labeler_ui.routes import ROUTES

app = st.App(Path(__file__).with_name("main_page.py"), routes=[*ROUTES, *DUPLICATE_ROUTES, *CONTRADICTION_ROUTES])
