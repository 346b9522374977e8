"""The player: one looping, silent video that starts by itself, whichever way the page around it is redrawn.

A `<video autoplay>` in st.html stood still in 4 of 10 page loads, and st.video plays a clip only at its first showing,
so that a clip brought back by undo stands still: hence these lines of JavaScript.
"""

import functools

import streamlit as st

HTML = "<video loop muted playsinline controls></video>"
CSS = """
video { display: block; width: 100%; height: min(64vh, 75vw); object-fit: contain; background: #000;
  border-radius: .6rem; }
@media (max-width: 640px) { video { height: min(40vh, 75vw); } }
"""
JAVASCRIPT = """
export default function ({ parentElement, data }) {
  const video = parentElement.querySelector("video");
  if (video.dataset.filter !== data.filter) document.activeElement?.blur();  // a select box keeps the keys to itself
  video.dataset.filter = data.filter;
  const address = new URL(data.address, document.baseURI).href;
  if (video.src === address) return;  // the page was redrawn around the same clip: leave it as it is
  video.muted = true;
  video.src = address;
  video.play().catch(() => {});  // refused where the next clip comes first
}
"""


def play(sha256: str, action_id: int | None) -> None:
    """Show the clip that clip_files serves under this content address, chosen from this action (None: from all)."""
    _component()(data={"address": f"clips/{sha256}", "filter": str(action_id)}, key="player")


@functools.cache
def _component():
    return st.components.v2.component("plusmv_player", html=HTML, css=CSS, js=JAVASCRIPT)
