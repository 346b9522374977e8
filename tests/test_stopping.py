"""The stop rule: quota, nothing left, and a rest that is expected to be good, in words."""

from plusmv.curate.ranking.rank import rank
from plusmv.curate.ranking.stopping import stopping
from tests.test_ranking import action_id, fill, judge, workspace

__all__ = ["workspace"]


def test_when_to_stop_and_when_to_go_on(catalog, workspace):
    clips = fill(catalog, 60, workspace, wrong_every=1)["GolfSwing"]
    golf = action_id(catalog, "GolfSwing")
    rank(catalog, workspace)
    with catalog.reading() as session:
        before = stopping(session, golf)
    assert (before.undecided, before.ranked, before.kept, before.reason) == (60, 60, 0, None)
    assert before.lower < before.expected_good
    assert before.words.startswith("go on: about ")
    judge(catalog, clips[:50], "GolfSwing", "keep")
    with catalog.reading() as session:
        assert stopping(session, golf, quota=50).words == "quota filled: 50 kept, 50 wanted"
        assert stopping(session, golf, quota=51).words.endswith("1 more to keep")
        after = stopping(session, golf, good=0.8)
        assert (after.reason, after.undecided) == ("good", 10)
        assert after.lower > 0.8
        assert stopping(session, golf, good=0.999).reason is None
    judge(catalog, clips[50:], "GolfSwing", "mistagged")
    with catalog.reading() as session:
        assert stopping(session, golf).words == "every clip is decided"


def test_a_rest_that_is_not_worth_a_look(catalog, workspace):
    clips = fill(catalog, 60, workspace)["GolfSwing"]
    rank(catalog, workspace)
    judge(catalog, clips[:50], "GolfSwing", "mistagged")
    with catalog.reading() as session:
        stop = stopping(session, action_id(catalog, "GolfSwing"), good=0.8)
    assert stop.reason == "wrong"
    assert stop.expected_good < stop.upper < 0.2
    assert stop.words.startswith("80% of the rest is expected wrong: good are about ")
