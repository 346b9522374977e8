"""Entries from the browser: recorded once, refused where somebody was faster, undone as a whole."""

import random
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from plusmv.core.actions import Action as ActionFacts
from plusmv.core.errors import BadInput, Refused
from plusmv.curate.duplicates.rulings import rulings
from plusmv.curate.review import group_actions
from plusmv.curate.review.decisions import decide
from plusmv.curate.review.entries import Entry, read_entry, record, standing
from plusmv.curate.review.group_actions import DuplicateReview
from plusmv.curate.review.leases import ClipAction
from plusmv.curate.review.queue import QueueFilter, next_batch, to_revisit
from plusmv.db.models import Action, ClipLease, Decision, How, RulingKind
from plusmv.db.queries import save_actions
from tests.test_labeler import add_clip

pytestmark = pytest.mark.postgres


@pytest.fixture
def pairs(catalog) -> list[ClipAction]:
    """One clip under GolfSwing, and the same under Dive."""
    with catalog.writing() as session:
        actions = save_actions(session, [ActionFacts("GolfSwing", ("golf",)), ActionFacts("Dive", ("dive",))])
        clip = add_clip(session, actions["GolfSwing"], "0" * 64)
    return [ClipAction(clip.id, action.id) for action in actions.values()]


def entry(pair: ClipAction | None = None, verdict: str = "keep", **more) -> Entry:
    return Entry(more.pop("request_id", str(uuid.uuid4())), pair, verdict, **more)


def rows(session) -> int:
    return session.scalar(select(func.count()).select_from(Decision))


def test_an_entry_sent_twice_is_recorded_once(catalog, pairs):
    sent = entry(pairs[0], seconds=1.5, how=How.GRID)
    for _ in range(2):
        with catalog.writing() as session:
            record(session, sent, "ann")
            made = standing(session, pairs[0])
            assert (made.verdict, made.seconds, made.how, rows(session)) == ("keep", 1.5, How.GRID, 1)


def test_an_entry_sent_twice_at_once_is_not_refused(catalog, pairs):
    for sent in (first := entry(pairs[0]), entry(undoes=first.request_id)):
        together = threading.Barrier(4)

        def send(sent=sent, together=together) -> None:
            together.wait()
            with catalog.writing() as session:
                record(session, sent, "ann")

        with ThreadPoolExecutor(4) as tabs:
            for tab in [tabs.submit(send) for _ in range(4)]:
                tab.result()
    with catalog.reading() as session:
        assert rows(session) == 2


def test_whoever_comes_second_is_refused(catalog, pairs):
    with catalog.writing() as session:
        record(session, entry(pairs[0]), "ann")
        with pytest.raises(Refused, match="keep by ann"):
            record(session, entry(pairs[0], "mistagged"), "bob")
        with pytest.raises(Refused):
            record(session, entry(pairs[0], "mistagged"), "ann")  # another tab


def test_a_second_opinion_is_taken_once_from_another(catalog, pairs):
    with catalog.writing() as session:
        record(session, entry(pairs[0]), "ann", overlap=0.1)
        with pytest.raises(Refused):
            record(session, entry(pairs[0], "mistagged"), "ann", overlap=0.1)
        record(session, entry(pairs[0], "mistagged"), "bob", overlap=0.1)
        with pytest.raises(Refused):
            record(session, entry(pairs[0]), "cat", overlap=0.1)


def test_the_right_action_is_kept_there_and_undone_with_it(catalog, pairs):
    golf, dive = pairs
    sent = entry(golf, "mistagged", other_action=dive.action_id)
    with catalog.writing() as session:
        record(session, sent, "ann")
        assert (standing(session, golf).verdict, standing(session, dive).verdict) == ("mistagged", "keep")
        undoing = entry(undoes=sent.request_id)
        for _ in range(2):
            record(session, undoing, "ann")
        assert (standing(session, golf), standing(session, dive), rows(session)) == (None, None, 4)


def test_undo_by_number_takes_the_companion_along_and_only_ones_own(catalog, pairs):
    golf, dive = pairs
    with catalog.writing() as session:
        record(session, entry(golf, "mistagged", other_action=dive.action_id), "ann")
        made = standing(session, golf)
        with pytest.raises(Refused, match="nothing of yours"):
            record(session, entry(undoes=made.id), "bob")
        record(session, entry(undoes=made.id), "ann")
        assert standing(session, dive) is None
        with pytest.raises(Refused):
            record(session, entry(undoes=made.id), "ann")


def test_a_revision_takes_the_place_of_the_decision_it_names(catalog, pairs):
    with catalog.writing() as session:
        record(session, entry(pairs[0]), "ann")
        first = standing(session, pairs[0])
        record(session, entry(pairs[0], "mistagged", revises=first.id), "ann")
        assert standing(session, pairs[0]).verdict == "mistagged"
        with pytest.raises(Refused):
            record(session, entry(pairs[0], "keep", revises=first.id), "ann")


def test_a_revision_takes_back_the_companion_and_its_undo_brings_both_back(catalog, pairs):
    golf, dive = pairs
    with catalog.writing() as session:
        record(session, entry(golf, "mistagged", other_action=dive.action_id), "ann")
        first = standing(session, golf)
        revision = entry(golf, revises=first.id)
        record(session, revision, "ann")
        assert (standing(session, golf).verdict, standing(session, dive)) == ("keep", None)
        undo = entry(undoes=revision.request_id)
        for _ in range(2):
            record(session, undo, "ann")
        assert (standing(session, golf).verdict, standing(session, dive).verdict) == ("mistagged", "keep")
        record(session, entry(golf, "unusable", revises=undo.request_id), "ann")
        assert standing(session, golf).verdict == "unusable"
        with pytest.raises(Refused):
            record(session, entry(golf, revises=undo.request_id), "ann")  # of another tab


def test_after_an_undo_the_decision_that_stands_again_may_be_revised(catalog, pairs):
    with catalog.writing() as session:
        record(session, entry(pairs[0]), "ann")
        removed = decide(session, pairs[0].clip_id, "duplicate", "ann", request_id=str(uuid.uuid4()))
        undo = entry(undoes=removed.id)
        record(session, undo, "ann")
        assert standing(session, pairs[0]).verdict == "keep"
        record(session, entry(pairs[0], "mistagged", revises=undo.request_id), "ann")
        assert standing(session, pairs[0]).verdict == "mistagged"


def test_undo_upon_undo_goes_through_a_chain_of_revisions(catalog, pairs):
    with catalog.writing() as session:
        sent = [entry(pairs[0])]
        record(session, sent[0], "ann")
        for verdict in ("mistagged", "unusable"):
            sent.append(entry(pairs[0], verdict, revises=standing(session, pairs[0]).id))
            record(session, sent[-1], "ann")
        stood = []
        for one in reversed(sent):
            stood.append(standing(session, pairs[0]).verdict)
            record(session, entry(undoes=one.request_id), "ann")
        assert (stood, standing(session, pairs[0])) == (["unusable", "mistagged", "keep"], None)
        for one in sent:
            with pytest.raises(Refused):
                record(session, entry(undoes=one.request_id), "ann")


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_undo_upon_undo_goes_back_through_whatever_was_done(catalog, pairs, seed):
    """Random verdicts, revisions, removals and undos, the undone named by request or decision, on either page."""
    draw = random.Random(seed)
    with catalog.writing() as session:
        golf = session.get(Action, pairs[0].action_id)
        clips = [pairs[0].clip_id, *(add_clip(session, golf, digit * 64).id for digit in "12")]

        def state() -> list:
            said = [standing(session, ClipAction(clip, pair.action_id), "ann") for clip in clips for pair in pairs]
            return [[row and str(row.verdict) for row in said], rulings(session)]

        stack = []  # (request, what stood before it), oldest first
        for _ in range(40):
            act_id, before, clip = str(uuid.uuid4()), state(), draw.choice(clips)
            pair = ClipAction(clip, draw.choice(pairs).action_id)
            now_there = standing(session, pair)
            if stack and draw.random() < 0.45:
                request, was = stack.pop()
                named = session.scalar(select(Decision.id).where(Decision.request_id == request))
                if draw.random() < 0.5:
                    group_actions.record(session, DuplicateReview(act_id, undoes=request), "ann")
                else:
                    record(session, Entry(act_id, undoes=named if named and draw.random() < 0.5 else request), "ann")
                assert state() == was
            elif draw.random() < 0.3:
                others = tuple(other for other in clips if other != clip)
                try:
                    with session.begin_nested():
                        same = (clip, others[0]) if draw.random() < 0.5 else ()
                        group_actions.record(
                            session, DuplicateReview(act_id, keep=clip, remove=others, duplicates=same), "ann"
                        )
                    stack.append((act_id, before))
                except Refused:
                    assert state() == before
            else:
                verdict = draw.choice(["keep", "mistagged", "unusable"])
                other = draw.choice(pairs).action_id if verdict == "mistagged" else None
                revises = now_there.id if now_there else None
                record(session, entry(pair, verdict, revises=revises, other_action=other, request_id=act_id), "ann")
                stack.append((act_id, before))
        undos = session.scalars(select(Decision).where(Decision.verdict == "undo")).all()
        assert all(row.undoes_id for row in undos)


def test_a_revision_leaves_the_other_clips_of_a_request_alone(catalog, pairs):
    with catalog.writing() as session:
        other = add_clip(session, session.get(Action, pairs[0].action_id), "1" * 64)
        request_id = str(uuid.uuid4())
        first = decide(session, pairs[0].clip_id, "duplicate", "ann", request_id=request_id)
        second = decide(session, other.id, "duplicate", "ann", request_id=f"{request_id}.2")
        record(session, entry(pairs[0], revises=first.id), "ann")
        assert standing(session, pairs[0]).verdict == "keep"
        assert standing(session, ClipAction(other.id, pairs[0].action_id)) is second


def test_a_ruling_goes_with_the_decision_of_its_request(catalog, pairs):
    with catalog.writing() as session:
        other = add_clip(session, session.get(Action, pairs[0].action_id), "1" * 64)
        review = DuplicateReview(
            str(uuid.uuid4()), keep=other.id, remove=(pairs[0].clip_id,), duplicates=(pairs[0].clip_id, other.id)
        )
        group_actions.record(session, review, "ann")
        assert set(rulings(session).values()) == {RulingKind.DUPLICATE}
        record(session, entry(undoes=standing(session, pairs[0]).id), "ann")
        assert (standing(session, pairs[0]), rulings(session), group_actions.recent(session, "ann")) == (None, {}, [])


def test_a_request_is_taken_back_though_one_of_its_clips_was_revised_and_restored(catalog, pairs):
    with catalog.writing() as session:
        golf = session.get(Action, pairs[0].action_id)
        others = [add_clip(session, golf, digit * 64) for digit in "12"]
        review = DuplicateReview(str(uuid.uuid4()), keep=pairs[0].clip_id, remove=tuple(clip.id for clip in others))
        group_actions.record(session, review, "ann")
        for clip in reversed(others):
            pair = ClipAction(clip.id, golf.id)
            revision = entry(pair, "mistagged", revises=standing(session, pair).id)
            record(session, revision, "ann")
            record(session, entry(undoes=revision.request_id), "ann")
            assert standing(session, pair).verdict == "duplicate"
        group_actions.record(session, DuplicateReview(str(uuid.uuid4()), undoes=review.request_id), "ann")
        assert [standing(session, ClipAction(clip.id, golf.id)) for clip in others] == [None, None]


def test_what_was_taken_back_twice_is_refused_whichever_page_asks(catalog, pairs):
    with catalog.writing() as session:
        other = add_clip(session, session.get(Action, pairs[0].action_id), "1" * 64)
        review = DuplicateReview(
            str(uuid.uuid4()), keep=other.id, remove=(pairs[0].clip_id,), duplicates=(pairs[0].clip_id, other.id)
        )
        group_actions.record(session, review, "ann")
        removed = standing(session, pairs[0])
        group_actions.record(session, DuplicateReview(str(uuid.uuid4()), undoes=review.request_id), "ann")
        for undoes in (removed.id, review.request_id):
            with pytest.raises(Refused, match="nothing of yours"):
                record(session, entry(undoes=undoes), "ann")
        with pytest.raises(Refused, match="nothing of yours"):
            group_actions.record(session, DuplicateReview(str(uuid.uuid4()), undoes=review.request_id), "ann")


def test_what_was_taken_back_is_given_to_nobody_else(catalog, pairs):
    with catalog.writing() as session:
        sent = entry(pairs[0])
        record(session, sent, "ann")
        record(session, entry(undoes=sent.request_id), "ann")
        assert next_batch(session, QueueFilter("bob"), 5)[0] == []
        assert next_batch(session, QueueFilter("ann"), 5)[0] == [pairs[0]]


def test_ones_own_decision_that_a_newer_one_overruled_is_not_shown_again(catalog, pairs):
    with catalog.writing() as session:
        record(session, entry(pairs[0]), "ann")
        assert len(to_revisit(session, QueueFilter("ann"), "keep", 5)) == 1
        decide(session, pairs[0].clip_id, "duplicate", "bob")
        assert len(to_revisit(session, QueueFilter("ann"), "keep", 5)) == 1
        decide(session, pairs[0].clip_id, "duplicate", "ann")
        assert to_revisit(session, QueueFilter("ann"), "keep", 5) == []


def test_each_of_two_judges_revises_the_own_decision(catalog, pairs):
    with catalog.writing() as session:
        record(session, entry(pairs[0]), "ann", overlap=1)
        first = standing(session, pairs[0])
        record(session, entry(pairs[0]), "bob", overlap=1)
        record(session, entry(pairs[0], "mistagged", revises=first.id), "ann", overlap=1)
        assert [standing(session, pairs[0], name).verdict for name in ("ann", "bob")] == ["mistagged", "keep"]


def test_an_audit_looks_again_at_what_was_kept(catalog, pairs):
    with catalog.writing() as session:
        record(session, entry(pairs[0], how=How.ACCEPTED), "ann")
        record(session, entry(pairs[0], "mistagged", how=How.AUDIT), "ann")
        assert standing(session, pairs[0]).verdict == "mistagged"


def test_a_decision_ends_the_lease(catalog, pairs):
    with catalog.writing() as session:
        next_batch(session, QueueFilter("ann"), 5)
        record(session, entry(pairs[0]), "ann")
        assert session.scalar(select(ClipLease)) is None


def test_a_clip_taken_down_meanwhile_is_refused(catalog, pairs):
    with catalog.writing() as session, pytest.raises(Refused, match="not in the catalog"):
        record(session, entry(ClipAction(99, pairs[0].action_id)), "ann")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "1"},
        {"id": None},
        {"clip": "x"},
        {"action": None},
        {"how": "guessed"},
        {"undo": "last"},
        {"seconds": "fast"},
        {"revises": "a"},
        {"other": []},
    ],
)
def test_what_is_no_entry_is_refused(change):
    good = {"id": str(uuid.uuid4()), "clip": 1, "action": 2, "verdict": "keep", "seconds": 1.0}
    assert read_entry(good).pair == ClipAction(1, 2)
    with pytest.raises(BadInput):
        read_entry(good | change)


def test_time_away_is_not_recorded_as_work():
    sent = {"id": str(uuid.uuid4()), "clip": 1, "action": 2, "verdict": "keep"}
    assert [read_entry(sent | {"seconds": seconds}).seconds for seconds in (5, 600, -1)] == [5.0, None, None]
