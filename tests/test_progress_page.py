"""The progress page: its numbers on both databases, its tables as CSV, and the page itself, also while it counts."""

import csv
import io
import itertools
import json
import threading

import pytest
from sqlalchemy import select

from plusmv.core.errors import Missing
from plusmv.curate.report.progress import csv_text, decisions_over_time, progress, stop_words, tables
from plusmv.curate.review.decisions import decide, undo
from plusmv.db.models import Action, How
from plusmv.labeler_ui.connection import connect
from plusmv.labeler_ui.counting import progress_of
from plusmv.labeler_ui.latest import Latest
from plusmv.labeler_ui.progress_page import interval, time_left
from tests.browser import wait_until
from tests.test_decisions import a_clip
from tests.test_labeler import open_page, workspace  # noqa: F401


@pytest.fixture
def judged(catalog) -> None:
    """Four clips of Golf, two of them decided, one by two people and once audited; one of Dunk."""
    with catalog.writing() as session:
        clips = [a_clip(session, digit, "Golf").id for digit in "abcd"]
        a_clip(session, "e", "Dunk")
        golf = session.scalar(select(Action.id).where(Action.name == "Golf"))
        decide(session, clips[0], "keep", "ann", golf, 2.0, how=How.SINGLE)
        decide(session, clips[0], "keep", "bob", golf, 4.0, how=How.SINGLE)
        decide(session, clips[1], "mistagged", "ann", golf, 1.0, how=How.GRID)
        decide(session, clips[0], "keep", "ann", golf, 2.0, how=How.AUDIT)
        undo(session, decide(session, clips[2], "keep", "ann", golf, 60.0, how=How.SINGLE).id, "ann")


def test_what_is_left_and_how_long_it_takes(catalog, judged):
    result = progress(catalog)
    golf, dunk = result["actions"]["Golf"], result["actions"]["Dunk"]
    assert (golf["clips"], golf["decided"], golf["kept"], golf["retention"]) == (4, 2, 1, 0.5)
    assert golf["seconds_left"] == 2 * golf["seconds_per_clip"] == 2 * (2.0 + 1.0) / 2
    assert dunk["seconds_left"] == golf["seconds_per_clip"]  # nobody has begun with it: at the pace of all
    assert result["totals"]["seconds_left"] == golf["seconds_left"] + dunk["seconds_left"]
    stops = stop_words(catalog)
    assert set(stops) == {"Golf", "Dunk"} and all(stops.values())
    json.dumps(result, allow_nan=False)


def test_nobody_knows_how_long_before_anything_was_decided(catalog):
    assert progress(catalog)["totals"]["seconds_left"] == 0
    with catalog.writing() as session:
        a_clip(session, "a", "Golf")
    assert progress(catalog)["totals"]["seconds_left"] is None


def test_decisions_over_time_are_those_that_stand(catalog, judged):
    with catalog.reading() as session:
        rows = decisions_over_time(session)
    assert {row["how"]: row["decisions"] for row in rows} == {"single": 2, "marked in grid": 1, "audit": 1}
    assert sum(row["seconds"] for row in rows) == 9.0
    assert len({row["hour"] for row in rows}) <= 2 and all(len(row["hour"]) == 13 for row in rows)


def test_tables_as_csv(catalog, judged):
    shown = tables(progress(catalog), stop_words(catalog))
    assert set(shown) == {"actions", "annotators", "pace", "agreement", "disagreements", "over_time"}
    golf = next(row for row in csv.DictReader(io.StringIO(csv_text(shown["actions"]))) if row["action"] == "Golf")
    assert (golf["clips"], golf["kept"], golf["audited"], golf["purity"]) == ("4", "1", "1", "1.0")
    assert golf["kappa"] == ""  # one clip, both said keep: not defined
    assert csv_text([]) == ""
    assert csv_text([{"name": "=1+1", "of": None}, {"name": "-5", "of": -5}]) == "name,of\n'=1+1,\n'-5,-5\n"


def test_words():
    assert [time_left(seconds) for seconds in (None, 0, 89, 3900.0)] == ["–", "0 min", "1 min", "1 h 05 min"]
    assert interval({"purity": None}) == "–"
    assert interval({"purity": 0.96, "lower": 0.9, "upper": 0.987}) == "96% (90 to 99)"


def test_the_page_before_and_after_the_first_decision(workspace):  # noqa: F811
    page = open_page("progress")
    numbers = {metric.label: metric.value for metric in page.metric}
    assert (numbers["Clips"], numbers["Decided"], numbers["Retention"], numbers["Time left"]) == (
        "3",
        "0 (0%)",
        "–",
        "–",
    )
    assert any("15% to 89%" in caption.value for caption in page.caption)
    with connect().writing() as session:
        for clip_id, who in ((1, "ann"), (1, "<b>"), (2, "ann")):
            decide(session, clip_id, "keep" if who == "ann" else "mistagged", who, 1, 3.0, how=How.SINGLE)
    progress_of.cache_clear()
    page = open_page("progress")
    numbers = {metric.label: metric.value for metric in page.metric}
    assert (numbers["Kept"], numbers["Retention"], numbers["Time left"]) == ("1", "50%", "0 min")
    (actions, _, split, people) = (table.value for table in page.dataframe)
    assert list(actions["Action"]) == ["GolfSwing"]
    assert list(split["Verdicts"]) == ["<b>: mistagged; ann: keep"]
    assert list(people["Annotator"]) == ["<b>", "ann"]


def test_while_it_counts_the_page_says_so_and_then_shows_what_it_counted(workspace, monkeypatch):  # noqa: F811
    counted, real = threading.Event(), progress
    monkeypatch.setattr("plusmv.curate.report.progress.progress", lambda catalog: counted.wait(60) and real(catalog))
    progress_of.cache_clear()
    page = open_page("progress")
    assert "Counting" in page.info[0].value
    counted.set()
    latest = progress_of(connect())
    wait_until(lambda: latest.value() is not None, "it has counted")
    page.run()
    assert {metric.label: metric.value for metric in page.metric}["Clips"] == "3"


def test_a_value_is_made_again_where_its_version_is_another():
    made = itertools.count(1)
    latest = Latest(lambda: next(made), fresh_s=0.0, rest=0.0)
    assert [latest.value(version, 20) for version in ("a", "a", "b")] == [1, 1, 2]
    resting = Latest(lambda: next(made), fresh_s=60.0)
    assert (resting.value("a", 20), resting.value("b"), resting.value()) == (3, 3, 3)


def test_what_cannot_be_read_is_tried_again():
    answers = iter([Missing("away"), "here"])

    def read() -> str:
        answer = next(answers)
        if isinstance(answer, Missing):
            raise answer
        return answer

    latest = Latest(read, fresh_s=0.0, rest=0.0)
    assert latest.value("a", 20) == "here"
