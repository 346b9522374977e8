"""The charts of the progress page."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

TEAL, AMBER = "#0d9488", "#d97706"
STEP = 26  # pixels a bar
AXES = 70  # pixels
FEW = 24  # hours that are named one by one
Rows = Sequence[Mapping[str, Any]]


def retention(rows: Rows, paper: Mapping[str, float]) -> alt.LayerChart:
    """A bar an action, the paper's range as a band and its mean as a line."""
    table = pd.DataFrame([{"action": row["action"], "retention": row["retention"]} for row in rows])
    axis = alt.Axis(format="%", title="kept / decided; band and line: the paper")
    share = alt.X("retention:Q", scale=alt.Scale(domain=[0, 1]), axis=axis)
    bars = alt.Chart(table).mark_bar(color=TEAL).encode(
        x=share, y=alt.Y("action:N", title=None, axis=alt.Axis(labelLimit=130, labelOverlap=False)),
        tooltip=["action", alt.Tooltip("retention", format=".0%")],
    )  # fmt: skip
    of_paper = pd.DataFrame([paper])
    band = alt.Chart(of_paper).mark_rect(color=AMBER, opacity=0.15).encode(x="lowest:Q", x2="highest:Q")
    mean = alt.Chart(of_paper).mark_rule(color=AMBER, size=2).encode(x="mean:Q")
    return (band + bars + mean).properties(height=AXES + STEP * len(rows))


def over_time(rows: Rows) -> alt.Chart:
    """Decisions an hour, by how they came about."""
    table = pd.DataFrame([{**row, "hour": pd.Timestamp(f"{row['hour']}:00")} for row in rows])
    few = table["hour"].nunique() <= FEW
    table["name"] = table["hour"].dt.strftime("%d %b, %Hh")
    x = (
        alt.X("name:O", title="hour (UTC)", sort=list(table["name"].unique()))
        if few
        else alt.X("hour:T", title="hour (UTC)")
    )
    return alt.Chart(table).mark_bar().encode(
        x=x,
        y=alt.Y("decisions:Q", title=None),
        color=alt.Color("how:N", legend=alt.Legend(orient="bottom", title=None)),
        tooltip=["how", "decisions"],
    ).properties(height=320)  # fmt: skip


def pace(rows: Rows, paper_seconds: float) -> alt.LayerChart:
    """Seconds a clip for each way of deciding, the paper's as a line."""
    bars = alt.Chart(pd.DataFrame(rows, columns=["how", "seconds_per_clip", "timed"])).mark_bar(color=TEAL).encode(
        x=alt.X("seconds_per_clip:Q", title="seconds; the paper's as a line"),
        y=alt.Y("how:N", title=None, axis=alt.Axis(labelLimit=130, labelOverlap=False)),
        tooltip=["how", alt.Tooltip("seconds_per_clip", format=".1f"), "timed"],
    )  # fmt: skip
    line = alt.Chart(pd.DataFrame([{"paper": paper_seconds}])).mark_rule(color=AMBER, size=2).encode(x="paper:Q")
    return (bars + line).properties(height=AXES + STEP * len(rows))
