"""The review page: one clip plays, one key decides. Streamlit runs this file anew at every press (see streamlit_app).

Every button is bound to the clip it was drawn for, so a press never lands on another one. A press sooner than QUIET_S
after the clip appeared, or after the press before it, is a double click or a held key and counts for nothing: nobody
has looked at that clip. The page goes on once the catalog has the decision; until then the clip stays.
"""

import math
import re
import time
from collections.abc import Callable
from typing import TypeVar

import streamlit as st
from sqlalchemy.orm import Session

from core.errors import PlusmvError, Refused
from curate import decisions
from db.models import Decision, FileState
from labeler_ui import card_html, player, review_queue
from labeler_ui.clip_files import playable_files
from labeler_ui.connection import Connection, annotator, connect
from labeler_ui.review_queue import Card, Pair, Progress

QUIET_S = 0.3
AWAY_S = 120.0  # whoever takes longer went away; that time is not recorded as work
PREPARED = 4  # clips made ready ahead
REMEMBERED = 50  # decisions that the pace is taken from
SHOWN = 6  # of them, to take back
CHOICES = (  # verdict, label, key, meaning; the keys c and r are Streamlit's own
    ("keep", "Keep", "k", "the clip shows the action"),
    ("mistagged", "Mis-tagged", "m", "the action is not in it, whatever the tag says"),
    ("duplicate", "Duplicate", "d", "another clip shows the same recording"),
    ("unusable", "Unusable", "u", "broken, a still picture, or nothing can be made out"),
)
T = TypeVar("T")


def main() -> None:
    """Draw the page for the clip at hand, or say why there is none."""
    st.set_page_config(page_title="plusmv review", layout="wide")
    st.html(card_html.STYLE)
    _show_notice()
    try:
        _review(connect())
    except PlusmvError as error:
        st.error(_plain(str(error)))
        st.button("Try again", shortcut="t")


def _review(connection: Connection) -> None:
    with connection.reading() as session:
        progress = review_queue.progress(session)
        made = review_queue.last_decisions(session, annotator(), REMEMBERED)
    clip_side, facts_side = st.columns([5, 3], gap="large")
    with facts_side:
        action_id = _filter(progress)
        facts = st.container()
        _show_progress(progress, action_id, review_queue.pace(made))
        _show_last_decisions(connection, made[:SHOWN])
        _show_help()
    with clip_side:
        card = _next_card(connection, action_id)
        if card is None:
            _show_end(progress, action_id)
        else:
            facts.html(card_html.facts(card))
            st.html(card_html.question(card))
            _play(connection, card, action_id)
        _buttons(connection, card, made)


def _next_card(connection: Connection, action_id: int | None) -> Card | None:
    """The clip to come back to or the one on screen, if undecided, else the next; those after it are made ready."""
    state = st.session_state
    with connection.reading() as session:
        at_hand = [review_queue.undecided_pair(session, *pair) for pair in (state.wanted, state.shown) if pair]
        ahead = review_queue.upcoming(session, action_id, state.later, PREPARED + 1)
        pairs = dict.fromkeys(pair for pair in [*at_hand, *ahead] if pair)
        cards = [review_queue.card(session, pair) for pair in pairs]
    playable_files(connection.workspace).prepare(card.clip for card in cards if card.clip.state == FileState.DONE)
    return cards[0] if cards else None


def _play(connection: Connection, card: Card, action_id: int | None) -> None:
    """Show the clip, or why it cannot play; from here on it is the clip on screen, and its clock runs."""
    reason = _why_it_cannot_play(connection, card)
    state = st.session_state
    if state.shown != card.pair:
        state.shown_at = time.monotonic()
    state.shown, state.wanted = card.pair, None
    if reason is None:
        player.play(card.clip.sha256, action_id)
    else:
        st.html(card_html.not_playing(reason))


def _why_it_cannot_play(connection: Connection, card: Card) -> str | None:
    """None once the clip's file is ready."""
    if card.clip.state == FileState.FAILED:
        return card.clip.error or "it cannot be decoded"
    try:
        with st.spinner("Preparing the clip"):
            playable_files(connection.workspace).path(card.clip)
    except PlusmvError as error:
        return str(error)


def _buttons(connection: Connection, card: Card | None, made: list[Decision]) -> None:
    with st.container(horizontal=True, gap="small"):
        for verdict, label, key, meaning in CHOICES if card else ():
            st.button(
                label,
                key=f"{verdict}-{card.pair.clip_id}-{card.pair.action_id}",
                shortcut=key,
                help=meaning,
                type="primary" if verdict == "keep" else "secondary",
                on_click=_decide,
                args=(connection, card.pair, verdict),
            )
        if card:
            key = f"later-{card.pair.clip_id}-{card.pair.action_id}"
            st.button("Later", key=key, shortcut="s", help="put it off to the end", on_click=_put_off, args=card.pair)
        last_id = made[0].id if made else 0
        st.button(
            "Undo",
            key=f"undo-last-{last_id}",
            shortcut="z",
            disabled=not made,
            help="take back your last decision; again for the one before it",
            on_click=_undo,
            args=(connection, lambda session: review_queue.undo_last(session, annotator(), last_id)),
        )


def _filter(progress: dict[int, Progress]) -> int | None:
    """The action to review, None for all of them."""
    return st.selectbox(
        "Action",
        [None, *progress],
        format_func=lambda key: "All actions" if key is None else progress[key].action,
        key="filter",
        on_change=_leave_clip,
        label_visibility="collapsed",
    )


def _show_progress(progress: dict[int, Progress], action_id: int | None, pace: float | None) -> None:
    chosen = [each for key, each in progress.items() if action_id in (None, key)]
    decided, total = sum(each.decided for each in chosen), sum(each.total for each in chosen)
    if total:
        left = f", about {math.ceil((total - decided) * pace / 60)} min left" if pace and decided < total else ""
        timing = f" · {pace:.1f} s a clip{left}" if pace is not None else ""
        st.progress(decided / total, text=f"{decided} of {total} decided{timing}")


def _show_last_decisions(connection: Connection, made: list[Decision]) -> None:
    with st.container(gap=None):
        for decision in made:
            row = st.container(horizontal=True, vertical_alignment="center", gap="small")
            row.button(
                "Undo",
                key=f"undo-{decision.id}",
                icon=":material/undo:",
                type="tertiary",
                on_click=_undo,
                args=(connection, lambda session, row_id=decision.id: decisions.undo(session, row_id, annotator())),
            )
            of = f" · {_plain(decision.action.name)}" if decision.action else ""
            row.caption(f"{decision.verdict}{of} · clip {decision.clip_id}")


def _show_help() -> None:
    with st.popover("Help", icon=":material/help:", type="tertiary"):
        keys = "\n".join(f"- **{label}** ({key}): {meaning}" for _, label, key, meaning in CHOICES)
        st.markdown(
            f"{keys}\n- **Later** (s): the clip comes again at the end\n- **Undo** (z): as often as there are decisions"
            "\n\nDuplicate and unusable hold for the clip under every action, keep and mis-tagged for this one. A "
            f"decision is safe as soon as the next clip shows. You decide as **{_plain(annotator())}**."
        )


def _show_end(progress: dict[int, Progress], action_id: int | None) -> None:
    if not progress:
        st.info("No clips yet. Next: `plusmv crawl --source folder --path DIR`, then reload this page.")
    elif action_id is not None and any(each.decided < each.total for each in progress.values()):
        st.success("Every clip of this action is decided. Choose another action.")
    else:
        st.success("Every clip is decided. Next: `plusmv report`, then `plusmv export`.")


# What presses do: callbacks, which Streamlit runs before it draws the page again.


def _decide(connection: Connection, pair: Pair, verdict: str) -> None:
    state = st.session_state
    if not _too_soon() and state.shown == pair:
        took = time.monotonic() - state.shown_at
        seconds = took if took <= AWAY_S else None
        _write(connection, lambda session: review_queue.judge(session, pair, verdict, annotator(), seconds))


def _put_off(clip_id: int, action_id: int) -> None:
    state, pair = st.session_state, Pair(clip_id, action_id)
    if not _too_soon() and state.shown == pair:
        state.later = [*(other for other in state.later if other != pair), pair]
        _leave_clip()


def _undo(connection: Connection, take_back: Callable[[Session], Decision]) -> None:
    if not _too_soon():
        undone = _write(connection, take_back)
        st.session_state.wanted = undone and (undone.clip_id, undone.action_id)


def _leave_clip() -> None:
    st.session_state.shown = None


def _write(connection: Connection, change: Callable[[Session], T]) -> T | None:
    """Run a change in a transaction of its own; None, and a notice for the person, where the catalog has not got it."""
    try:
        with connection.writing() as session:
            return change(session)
    except PlusmvError as error:
        st.session_state.notice = error
        return None


def _too_soon() -> bool:
    state, now = st.session_state, time.monotonic()
    before, state.pressed_at = max(state.shown_at, state.pressed_at), now
    if now - before < QUIET_S:
        state.notice = Refused("that press came too quickly and was not counted")
    return now - before < QUIET_S


def _show_notice() -> None:
    """Set up a new browser tab's state, and show what the last press has to say: once."""
    state = st.session_state
    for name, first in {"shown": None, "shown_at": 0.0, "pressed_at": 0.0, "wanted": None, "later": []}.items():
        state.setdefault(name, first)
    notice = state.pop("notice", None)
    if isinstance(notice, Refused):
        st.toast(_plain(str(notice)))
    elif notice:
        st.error(_plain(str(notice)))


def _plain(text: str) -> str:
    """The text as Markdown that shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]()<>#+.!|~$:-])", r"\\\1", text)


if __name__ == "__main__":
    main()
