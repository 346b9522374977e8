"""The report: counts that add up, retention of what is decided, seconds of the decisions that count."""

from html.parser import HTMLParser

import pytest

from core.actions import Action
from curate.decisions import decide, last_decision, undo
from curate.report import cells, html_page, report
from db.queries import save_actions
from tests.test_decisions import a_clip

EMPTY = {
    "clips": 0, "kept": 0, "mistagged": 0, "duplicate": 0, "unusable": 0, "undecided": 0,
    "retention": None, "seconds_per_clip": None,
}  # fmt: skip


def test_an_empty_catalog(catalog):
    assert report(catalog) == {"actions": {}, "totals": EMPTY}


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
        undo(session, last_decision(session, "me").id, "me")
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
