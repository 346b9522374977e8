"""The audit: a random order that nobody chooses, pairs that stand as keep, and intervals that hold."""

import hashlib

import numpy as np
import pytest

from plusmv.core.actions import Action
from plusmv.curate.report import audit
from plusmv.curate.report.audit import audit_order, next_to_audit, purity, wilson
from plusmv.curate.review.decisions import decide, undo
from plusmv.db.models import Clip, FileState, How
from plusmv.db.queries import save_actions
from tests.test_decisions import a_clip


def clips_of(session, count: int) -> dict[int, str]:
    """{id: sha256} of clips with contents' hashes."""
    hashes = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]
    rows = [Clip(sha256=sha256, suffix=".mp4", bytes=1, state=FileState.DONE) for sha256 in hashes]
    session.add_all(rows)
    session.flush()
    return {row.id: row.sha256 for row in rows}


@pytest.mark.parametrize("few", [0, 2000])
def test_the_order_is_the_same_whether_sorted_or_walked(catalog, monkeypatch, few):
    monkeypatch.setattr(audit, "FEW", few)
    with catalog.writing() as session:
        clips = clips_of(session, 60)
        golf, dive = (row.id for row in save_actions(session, [Action("Golf", ()), Action("Dive", ())]).values())
        for clip_id in clips:
            decide(session, clip_id, "keep", "me", golf)
            decide(session, clip_id, "keep", "me", dive)
        for action in (golf, dive):
            expected = sorted(clips, key=lambda clip_id: audit_order(clips[clip_id], action))
            assert next_to_audit(session, action, 60) == expected
            assert next_to_audit(session, action, 7) == expected[:7]
        assert next_to_audit(session, golf, 7) != next_to_audit(session, dive, 7)


@pytest.mark.parametrize("few", [0, 2000])
def test_only_what_stands_as_keep_and_was_not_audited(catalog, monkeypatch, few):
    monkeypatch.setattr(audit, "FEW", few)
    with catalog.writing() as session:
        kept, undone, changed, whole, looked, again, never = clips_of(session, 7)
        golf, dive = (row.id for row in save_actions(session, [Action("Golf", ()), Action("Dive", ())]).values())
        for clip_id in (kept, undone, changed, whole, looked, again):
            first = decide(session, clip_id, "keep", "me", golf)
            if clip_id == undone:
                undo(session, first.id, "me")
        decide(session, changed, "mistagged", "me", golf)
        decide(session, whole, "duplicate", "me")
        decide(session, looked, "keep", "you", golf, how=How.AUDIT)
        decide(session, again, "mistagged", "me", golf)
        decide(session, again, "keep", "me", golf)
        decide(session, never, "keep", "me", dive)
        assert set(next_to_audit(session, golf, 99)) == {kept, again}


def test_purity_by_action_and_by_how_the_keep_came_about(catalog):
    with catalog.writing() as session:
        ids = [a_clip(session, digit, "Golf").id for digit in "abcdef"]
        golf, dive = (row.id for row in save_actions(session, [Action("Golf", ()), Action("Dive", ())]).values())
        for clip_id, how, verdict in zip(
            ids, [How.SINGLE, How.ACCEPTED, How.ACCEPTED, How.SINGLE], ["keep", "keep", "mistagged", "unusable"],
            strict=False,
        ):  # fmt: skip
            decide(session, clip_id, "keep", "me", golf, how=how)
            decide(session, clip_id, verdict, "you", golf, how=How.AUDIT)
        decide(session, ids[4], "mistagged", "me", golf, how=How.SINGLE)
        decide(session, ids[4], "keep", "you", golf, how=How.AUDIT)  # did not stand as keep: no draw of this sample
        decide(session, ids[5], "keep", "me", dive, how=How.SINGLE)
        decide(session, ids[5], "keep", "you", dive, how=How.AUDIT)
        found = purity(session, {"Golf": 2, "Dive": 1, "Chess": 4})
    golf_row = found["actions"]["Golf"]
    assert (golf_row["audited"], golf_row["good"], golf_row["purity"]) == (4, 2, 0.5)
    assert (golf_row["lower"], golf_row["upper"]) == wilson(0.5, 4)
    assert {how: (row["good"], row["audited"]) for how, row in found["by_how"].items()} == {
        "accepted in grid": (1, 2),
        "single": (2, 3),
    }
    assert found["all"]["purity"] == pytest.approx((4 * 0.5 + 1 * 1.0) / 5)
    assert found["all"]["covers"] == pytest.approx(5 / 9)
    assert found["all"]["lower"] < found["all"]["purity"] < found["all"]["upper"]


def test_wilson_against_a_published_value_and_its_coverage():
    """Newcombe 1998, table I: 15 of 148 gives .0624 to .1605; and 95 % of intervals hold the true share."""
    assert wilson(15 / 148, 148) == (pytest.approx(0.0624, abs=1e-4), pytest.approx(0.1605, abs=1e-4))
    assert wilson(1.0, 0) == (0.0, 1.0)
    draws = np.random.default_rng(0).binomial(60, 0.93, 4000) / 60
    held = np.mean([low <= 0.93 <= high for low, high in (wilson(share, 60) for share in draws)])
    assert 0.93 < held < 0.985
