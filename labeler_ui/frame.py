"""What all pages have in common: the style, signing in, and one line where the catalog does not answer."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st
from sqlalchemy import select

from plusmv.core.errors import PlusmvError
from plusmv.curate.review.passwords import checked_name, is_password
from plusmv.db.models import Action
from plusmv.labeler_ui import access
from plusmv.labeler_ui.bundle import bundle
from plusmv.labeler_ui.connection import Connection, connect

ASSETS = Path(__file__).with_name("assets")
STYLE = """<style>
.stMainBlockContainer { max-width: 1500px; padding: 4.4rem 1.5rem 1rem; }
@media (max-width: 640px) { .stMainBlockContainer { padding: 4.4rem .8rem 1rem; } }
</style>"""


def show(page: Callable[[Connection, str], None]) -> None:
    """Draw a page for the annotator who is signed in, the sign-in form, or one line that says what is wrong."""
    st.html(STYLE)
    try:
        connection = connect()
        name = _annotator()
        if name:
            page(connection, name)
    except PlusmvError as error:
        st.error(plain(str(error)))
        st.button("Try again", shortcut="t")


def browser_component(name: str, connection: Connection, annotator: str, **props: Any) -> None:
    """The part of the page that runs in the browser: assets/<name>.js, with `Props` of assets/types.d.ts."""
    workspace = connection.workspace
    common = {
        "token": access.session_token(workspace, annotator),
        "cookie": access.cookie_name(workspace),
        "workspace": access.cookie_name(workspace),
        "annotator": annotator,
        "actions": _actions(connection),
    }
    _component(name)(data=common | props, key=name)


def action_filter(connection: Connection) -> int | None:
    """The action to work on, None for all of them."""
    with connection.reading() as session:
        rows = session.execute(select(Action.id, Action.name).order_by(Action.name))
        names = {row.id: row.name for row in rows}
    chosen: int | None = st.session_state.get("action")  # kept from page to page
    choices: list[int | None] = [None, *names]
    picked = st.selectbox(
        "Action",
        choices,
        index=choices.index(chosen) if chosen in names else 0,
        format_func=lambda key: "All actions" if key is None else names[key],
        label_visibility="collapsed",
    )
    st.session_state.action = picked
    return picked


def plain(text: str) -> str:
    """The text as Markdown that shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]()<>#+.!|~$:-])", r"\\\1", text)


def _annotator() -> str | None:
    """Who is signed in, None while the form is shown. Without a password file any name is accepted."""
    state, file = st.session_state, access.password_file()
    if "annotator" not in state and file is None:
        state.annotator = access.default_annotator()
    if "annotator" in state:
        with st.sidebar:
            st.caption(f"Signed in as **{plain(state.annotator)}**")
            if st.button("Switch annotator"):
                del state["annotator"]
                state.asked_name = True
                st.rerun()
    if state.get("asked_name") or "annotator" not in state:
        _sign_in(file)
    return state.get("annotator") if not state.get("asked_name") else None


def _sign_in(file: Path | None) -> None:
    with st.form("sign-in"):
        name = st.text_input("Your name", max_chars=200)
        password = st.text_input("Your password", type="password") if file else ""
        if st.form_submit_button("Start"):
            if file and not is_password(file, name, password):
                st.error("Wrong name or password.")
                return
            st.session_state.annotator = checked_name(name)
            st.session_state.asked_name = False
            st.rerun()


def _actions(connection: Connection) -> dict[str, dict[str, str]]:
    """{action id: its name and definition} for the browser."""
    with connection.reading() as session:
        rows = session.execute(select(Action.id, Action.name, Action.definition))
        return {str(action_id): {"name": name, "definition": definition} for action_id, name, definition in rows}


@functools.cache
def _component(name: str) -> Callable[..., Any]:
    style = (ASSETS / "labeler.css").read_text(encoding="utf-8")
    html = f'<div class="plusmv {name}"></div>'
    return st.components.v2.component(f"plusmv_{name}", html=html, css=style, js=bundle(ASSETS / f"{name}.js"))
