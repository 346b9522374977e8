"""Progress: per action: decisions, pace, purity and agreement; charts, CSV and JSON."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from plusmv.curate.report.progress import PAPER, ProgressResult, csv_text, tables
from plusmv.labeler_ui import charts, frame
from plusmv.labeler_ui.connection import Connection
from plusmv.labeler_ui.counting import progress_of, stops_of
from plusmv.labeler_ui.latest import Latest

SHOWN_DISAGREEMENTS = 500
COLUMNS = {
    "action": "Action",
    "clips": "Clips",
    "decided": "Decided",
    "kept": "Kept",
    "retention": "Retention",
    "seconds_per_clip": "s a clip",
    "left": "Left",
    "purity": "Purity (95 %)",
    "kappa": "Kappa",
    "stop_rule": "Stop rule",
}


def main() -> None:
    """Draw the page."""
    frame.show(progress)


def progress(connection: Connection, annotator: str) -> None:
    """The page's content."""
    frame.browser_component("unsent", connection, annotator)
    with connection.reading():  # raises where the catalog does not answer
        result = progress_of(connection).value()
    if result is None:
        _wait(progress_of(connection), "Counting ... a million clips take a few seconds.")
        return
    if not result["totals"]["clips"]:
        st.info("No clips yet. Next: `plusmv crawl --source folder --path DIR`")
        return
    stops = stops_of(connection).value()
    shown = tables(result, stops or dict.fromkeys(result["actions"], "..."))
    _numbers(result)
    st.dataframe(
        _by_action(shown["actions"]),
        hide_index=True,
        column_config={COLUMNS["retention"]: st.column_config.ProgressColumn(format="percent", max_value=1.0)},
    )
    if stops is None:
        _wait(stops_of(connection), "Checking which actions need no more review ...")
    _charts(shown)
    _people(result, shown)
    _downloads({**result, "stops": stops}, shown)


@st.fragment(run_every=1.0)
def _wait(latest: Latest[Any], message: str) -> None:
    st.info(message)
    if latest.value() is not None:
        st.rerun()


def _numbers(result: ProgressResult) -> None:
    totals, pure = result["totals"], result["purity"]["all"]
    facts = {
        "Clips": f"{totals['clips']:,}",
        "Decided": f"{totals['decided']:,} ({totals['decided'] / totals['clips']:.0%})",
        "Kept": f"{totals['kept']:,}",
        "Retention": _share(totals["retention"]),
        "Seconds a clip": _number(totals["seconds_per_clip"]),
        "Time left": time_left(totals["seconds_left"]),
        "Purity": interval(pure),
    }
    with st.container(horizontal=True):
        for name, value in facts.items():
            st.metric(name, value, width="content")
    asked, refresh = st.columns([5, 1], vertical_alignment="center")
    asked.caption(
        f"The paper kept {PAPER['lowest']:.0%} to {PAPER['highest']:.0%} of an action's clips, {PAPER['mean']:.0%} on "
        f"average, at {PAPER['seconds_per_clip']} s a clip. Only active time counts. "
        f"As of {datetime.fromisoformat(result['at']):%H:%M:%S} UTC."
    )
    refresh.button("Refresh", shortcut="f")


def _by_action(rows: list[dict[str, Any]]) -> pd.DataFrame:
    shown = [
        row
        | {
            "left": time_left(row["seconds_left"]),
            "seconds_per_clip": _number(row["seconds_per_clip"]),
            "kappa": _number(row["kappa"], 2),
            "purity": interval({"purity": row["purity"], "lower": row["purity_lower"], "upper": row["purity_upper"]}),
        }
        for row in rows
    ]
    return pd.DataFrame(shown, columns=list(COLUMNS)).rename(columns=COLUMNS)


def _charts(shown: dict[str, list[dict[str, Any]]]) -> None:
    left, right = st.columns(2)
    left.subheader("Retention of each action")
    left.altair_chart(charts.retention(shown["actions"], PAPER))
    right.subheader("Decisions over time")
    if not shown["over_time"]:
        right.caption("Nothing is decided yet.")
        return
    right.altair_chart(charts.over_time(shown["over_time"]))
    right.subheader("Seconds a clip, by way of deciding")
    right.altair_chart(charts.pace([row for row in shown["pace"] if row["timed"]], PAPER["seconds_per_clip"]))


def _people(result: ProgressResult, shown: dict[str, list[dict[str, Any]]]) -> None:
    st.subheader("Agreement")
    agreement = result["agreement"]
    st.text(f"All: {agreement['all']['words']}")
    by_look = agreement["by_look"]
    for look, row in (("Looked at alone", by_look["alone"]), ("Glanced at in a grid", by_look["glanced"])):
        if row["clips"]:
            st.text(f"{look}: {row['words']}")
    if shown["agreement"]:
        _table([{name: value for name, value in row.items() if name != "words"} for row in shown["agreement"]])
    if shown["disagreements"]:
        st.subheader(f"{len(shown['disagreements'])} disagreements to look at")
        _table([row | {"clip": row["clip"][:12]} for row in shown["disagreements"][:SHOWN_DISAGREEMENTS]])
    st.subheader("Who decided what")
    if shown["annotators"]:
        _table(shown["annotators"])
    else:
        st.caption("Nobody has decided anything yet.")


def _table(rows: list[dict[str, Any]]) -> None:
    """Rows as they are, numbers to two digits."""
    table = pd.DataFrame(rows).rename(columns=lambda name: name.replace("_", " ").capitalize())
    st.dataframe(table.round(2), hide_index=True)


def _downloads(result: dict[str, Any], shown: dict[str, list[dict[str, Any]]]) -> None:
    st.subheader("All of it as files")
    with st.container(horizontal=True):
        st.download_button("progress.json", json.dumps(result, indent=1), "progress.json", "application/json")
        for name, rows in shown.items():
            st.download_button(f"{name}.csv", csv_text(rows), f"{name}.csv", "text/csv", key=name)


def time_left(seconds: float | None) -> str:
    """ "1 h 05 min"; a dash where it is not known."""
    if seconds is None:
        return "–"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def interval(row: Mapping[str, Any]) -> str:
    """ "96 % (90 to 99)"; a dash where nothing was audited."""
    if row["purity"] is None:
        return "–"
    return f"{row['purity']:.0%} ({100 * row['lower']:.0f} to {100 * row['upper']:.0f})"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _number(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
