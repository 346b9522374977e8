"""What all pages have in common: the style, signing in, and one line where the catalog does not answer."""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import streamlit as st
from sqlalchemy import select

from plusmv.core.errors import PlusmvError
from plusmv.db.models import Action
from plusmv.labeler_ui import access, sign_in
from plusmv.labeler_ui.bundle import bundle
from plusmv.labeler_ui.connection import Connection, connect

ASSETS = Path(__file__).with_name("assets")
STYLE = """<style>
.stMainBlockContainer { max-width: 1500px; padding: 4.4rem 1.5rem 1rem; }
@media (max-width: 640px) { .stMainBlockContainer { padding: 4.4rem .8rem 1rem; } }
</style>"""
Page = Callable[[Connection, str], None]


def show(page: Page) -> None:
    """Draw a page for who is signed in, or one line that says what is wrong."""
    with _one_line_of_errors():
        draw(page, access.annotator_of_page(st.context.headers, st.context.cookies))


def draw(page: Page, annotator: str) -> None:
    """Draw a page for this person."""
    st.html(STYLE)
    with _one_line_of_errors():
        connection = connect()
        with st.sidebar:
            st.caption(f"Signed in as **{plain(annotator)}**")
            st.html(f'<a href="{sign_in.PATH}" target="_self">Sign out, or switch</a>')
        page(connection, annotator)


@contextlib.contextmanager
def _one_line_of_errors() -> Iterator[None]:
    try:
        yield
    except PlusmvError as error:
        st.error(plain(str(error)))
        st.button("Try again", shortcut="t")


def browser_component(name: str, connection: Connection, annotator: str, **props: Any) -> None:
    """The part of the page that runs in the browser: assets/<name>.js, with `Props` of assets/types.d.ts."""
    workspace = connection.workspace
    common = {
        "workspace": f"plusmv_{workspace.keyed_hash('labeler cookie')[:12]}",  # names what the browser keeps
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
