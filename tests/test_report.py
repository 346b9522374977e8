"""The report: counts that add up, retention of what is decided, seconds of the decisions that count."""

import csv
import io
from html.parser import HTMLParser

import pytest

from plusmv.core.actions import Action
from plusmv.curate.report.page import html_page
from plusmv.curate.report.summary import cells, csv_text, report, sentences
from plusmv.curate.review.decisions import decide, undo
from plusmv.curate.review.queue import last_decisions
from plusmv.db.models import How
from plusmv.db.queries import save_actions
from tests.test_decisions import a_clip

EMPTY = {
    "clips": 0, "kept": 0, "mistagged": 0, "duplicate": 0, "unusable": 0, "undecided": 0,
    "retention": None, "seconds_per_clip": None,
}  # fmt: skip


def test_an_empty_catalog(catalog):
    result = report(catalog)
    assert (result["actions"], result["totals"], result["annotators"], result["pace"]) == ({}, EMPTY, {}, {})
    assert result["purity"]["all"] == {
        "audited": 0,
        "good": 0,
        "purity": None,
        "lower": None,
        "upper": None,
        "covers": 0,
    }
    assert result["agreement"]["all"]["words"] == "no clip was judged by two"
    assert sentences(result) == []


def test_every_verdict_is_counted_under_every_action(catalog):
    with catalog.writing() as session:
        a, b, c, d, e = (a_clip(session, digit, "Diving").id for digit in "abcde")
        f = a_clip(session, "f", "Diving", "<Golf>").id
        ids = {
            name: row.id for name, row in save_actions(session, [Action("Diving", ()), Action("<Golf>", ())]).items()
        }
        decide(session, a, "mistagged", "me", ids["Diving"], 100.0)
        decide(session, a, "keep", "me", ids["Diving"], 2.0)
        decide(session, b, "keep", "me", ids["Diving"], 4.0)
        decide(session, c, "mistagged", "me", ids["Diving"])
        decide(session, d, "duplicate", "me", seconds=3.0)
        decide(session, f, "unusable", "me", seconds=1.0)
        decide(session, e, "keep", "me", ids["Diving"], 50.0)
        undo(session, last_decisions(session, "me", 1)[0].id, "me")
    result = report(catalog)
    assert result["actions"] == {
        "<Golf>": EMPTY | {"clips": 1, "unusable": 1, "retention": 0.0, "seconds_per_clip": 1.0},
        "Diving": {
            "clips": 6, "kept": 2, "mistagged": 1, "duplicate": 1, "unusable": 1, "undecided": 1,
            "retention": pytest.approx(2 / 5), "seconds_per_clip": pytest.approx((2 + 4 + 3 + 1) / 4),
        },
    }  # fmt: skip
    for name in ("clips", "kept", "mistagged", "duplicate", "unusable", "undecided"):
        assert result["totals"][name] == sum(row[name] for row in result["actions"].values())
    assert result["totals"]["retention"] == pytest.approx(2 / 6)
    assert result["totals"]["seconds_per_clip"] == pytest.approx((2 + 4 + 3 + 1 + 1) / 5)


def test_what_is_measured_of_the_decisions_in_words_and_as_csv(catalog):
    with catalog.writing() as session:
        a, b = (a_clip(session, digit, "Diving").id for digit in "ab")
        a_clip(session, "c", "=Golf")
        (diving,) = (row.id for row in save_actions(session, [Action("Diving", ())]).values())
        decide(session, a, "keep", "ann", diving, 3.0, how=How.SINGLE)
        decide(session, b, "keep", "ann", diving, 0.5, how=How.ACCEPTED)
        decide(session, b, "mistagged", "bob", diving, 2.0, how=How.AUDIT)
        decide(session, a, "keep", "bob", diving, 4.0, how=How.SINGLE)
    result = report(catalog)
    pace = {how: row["seconds_per_clip"] for how, row in result["pace"].items()}
    assert pace == {"single": 3.5, "accepted in grid": 0.5, "audit": 2.0}
    told = "\n".join(sentences(result))
    assert "single: 3.5 s a clip over 2 decisions" in told
    assert "by 1 audited at random: 0.0% (0.0% to 79.3%), of actions that hold 100% of them" in told
    assert "all 1 agree on keep" in told
    assert "bob: 2 decisions in 0.1 minutes, 0 undone" in told
    golf_row, diving_row = csv.DictReader(io.StringIO(csv_text(result)))
    assert (golf_row["action"], golf_row["clips"], golf_row["retention"], golf_row["kappa"]) == ("=Golf", "1", "", "")
    assert (diving_row["kept"], diving_row["audited"], diving_row["purity"]) == ("1", "1", "0.0")
    assert (diving_row["judged_twice"], diving_row["agreed"]) == ("1", "1.0")


def test_a_clip_of_two_posts_counts_once(catalog):
    with catalog.writing() as session:
        a_clip(session, "a", "Diving", platform_ids=["x.mp4", "y.mp4"])
    assert report(catalog)["actions"]["Diving"]["clips"] == 1


def test_what_is_not_known_is_left_empty():
    assert cells(EMPTY) == ["0", "0", "0", "0", "0", "0", "", ""]
    assert cells(EMPTY | {"retention": 0.456, "seconds_per_clip": 3.62})[-2:] == ["46%", "3.6"]


class Cells(HTMLParser):
    """The texts of a page's table cells."""

    def __init__(self, page: str):
        super().__init__()
        self.texts, self._inside = [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self._inside = tag in ("td", "th")

    def handle_data(self, text):
        if self._inside:
            self.texts.append(text)


def test_the_page_holds_the_figures_and_escapes_names():
    row = EMPTY | {"clips": 20, "kept": 9, "mistagged": 11, "retention": 0.45, "seconds_per_clip": 3.6}
    page = html_page({"actions": {"<script>alert(1)</script>": row}, "totals": row})
    assert "<script" not in page
    assert "http" not in page
    texts = Cells(page).texts
    assert "<script>alert(1)</script>" in texts
    assert texts.count("45%") == 2
    assert texts.count("3.6") == 2
