"""Agreement: kappa against textbook figures, whose opinion counts, and sums per annotator and per way of deciding."""

import pytest

from plusmv.core.actions import Action
from plusmv.curate.report.agreement import agreement, annotators, cohens_kappa, mean_kappa, pace
from plusmv.curate.review.decisions import decide, undo
from plusmv.db.models import How
from plusmv.db.queries import save_actions
from tests.test_decisions import a_clip


def test_cohens_own_table():
    """Cohen 1960, table 1: proportions .25 .13 .12 / .12 .02 .16 / .03 .15 .02 give kappa -.093."""
    table = {"aa": 25, "ab": 13, "ac": 12, "ba": 12, "bb": 2, "bc": 16, "ca": 3, "cb": 15, "cc": 2}
    pairs = [pair for pair, count in table.items() for _ in range(count)]
    kappa = cohens_kappa([a for a, _ in pairs], [b for _, b in pairs])
    assert kappa.agreed == pytest.approx(0.29)
    chance = 0.50 * 0.40 + 0.30 * 0.30 + 0.20 * 0.30
    assert kappa.value == pytest.approx((0.29 - chance) / (1 - chance))


@pytest.mark.parametrize(
    ("first", "second", "value", "told"),
    [
        ("kkmm", "kkmm", 1.0, "kappa 1.00"),
        ("kkmm", "mmkk", -1.0, "0% of 4"),
        ("kmkm", "kkmm", 0.0, "50% of 4"),
        ("kkkk", "kkkk", None, "all 4 agree on k: kappa is not defined"),
        ("kkkk", "mmmm", 0.0, "0% of 4"),
        ("", "", None, "no clip was judged by two"),
    ],
)
def test_the_ends_of_kappa(first, second, value, told):
    kappa = cohens_kappa(list(first), list(second))
    assert kappa.value == value
    assert told in kappa.words


def test_more_than_two_annotators_are_taken_by_pairs():
    said = {"a": dict(enumerate("kkmm")), "b": dict(enumerate("kkmm")), "c": {0: "m", 1: "m"}, "d": {9: "k"}}
    kappa = mean_kappa(said)
    assert kappa.value == pytest.approx((1 + 0 + 0) / 3)
    assert kappa.clips == 4 + 2 + 2
    assert mean_kappa({"a": {0: "k"}, "b": {0: "k"}, "c": {0: "k"}}).value is None


def test_opinions_in_the_catalog(catalog):
    """Own newest standing ones; a verdict on the clip as a whole is one under each action; audits are no opinion."""
    with catalog.writing() as session:
        a, b, c, d, e = (a_clip(session, digit, "Diving").id for digit in "abcde")
        diving = save_actions(session, [Action("Diving", ())])["Diving"].id
        decide(session, a, "mistagged", "ann", diving, how=How.SINGLE)
        decide(session, a, "keep", "ann", diving, how=How.SINGLE)
        decide(session, a, "keep", "bob", diving, how=How.SINGLE)
        decide(session, b, "keep", "ann", diving, how=How.ACCEPTED)
        decide(session, b, "duplicate", "bob", how=How.SINGLE)
        decide(session, c, "keep", "ann", diving)
        decide(session, c, "mistagged", "bob", diving, how=How.AUDIT)
        decide(session, d, "keep", "ann", diving)
        undo(session, decide(session, d, "mistagged", "bob", diving).id, "bob")
        decide(session, e, "unusable", "ann")
        decide(session, e, "unusable", "bob")
        sha256 = "b" * 64
        result = agreement(session)
    assert result["disagreements"] == [
        {"clip": sha256, "clip_id": b, "action": "Diving", "action_id": diving,
         "verdicts": {"ann": "keep", "bob": "duplicate"}}
    ]  # fmt: skip
    assert (result["all"]["clips"], result["all"]["annotators"], result["all"]["agreed"]) == (2, 2, 0.5)
    assert result["actions"]["Diving"] == result["all"]
    assert {name: row["clips"] for name, row in result["by_look"].items()} == {"alone": 1, "glanced": 1}


def test_who_decided_what_and_at_which_pace(catalog):
    with catalog.writing() as session:
        a, b = (a_clip(session, digit, "Diving").id for digit in "ab")
        diving = save_actions(session, [Action("Diving", ())])["Diving"].id
        decide(session, a, "keep", "ann", diving, 2.0, how=How.SINGLE)
        decide(session, b, "mistagged", "ann", diving, 4.0, how=How.SINGLE)
        undo(session, decide(session, b, "unusable", "bob", seconds=9.0, how=How.GRID).id, "bob")
        decide(session, b, "duplicate", "bob")
        people, ways = annotators(session), pace(session)
    nothing = {"keep": 0, "mistagged": 0, "duplicate": 0, "unusable": 0}
    assert people["ann"] == nothing | {
        "decisions": 2, "keep": 1, "mistagged": 1, "undone": 0, "seconds": 6.0, "seconds_per_clip": 3.0}  # fmt: skip
    assert people["bob"] == nothing | {
        "decisions": 1, "duplicate": 1, "undone": 1, "seconds": 0.0, "seconds_per_clip": None}  # fmt: skip
    assert ways == {
        "single": {"decisions": 2, "timed": 2, "seconds_per_clip": 3.0},
        "unknown": {"decisions": 1, "timed": 0, "seconds_per_clip": None},
    }
