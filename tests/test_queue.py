"""Queues of work: their order, leases between annotators, second opinions, and that decided clips never come again."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from plusmv.core.actions import Action as ActionFacts
from plusmv.curate.review import leases, queue
from plusmv.curate.review.decisions import decide, undo
from plusmv.curate.review.leases import ClipAction
from plusmv.curate.review.queue import Cursor, QueueFilter, next_batch
from plusmv.db.models import Clip, ClipLease, CrawlRun, Post, PostState, Sighting, SuspicionScore, now
from plusmv.db.queries import save_actions
from tests.test_labeler import add_clip

pytestmark = pytest.mark.postgres

ANN, BOB = QueueFilter("ann"), QueueFilter("bob")


@pytest.fixture
def golf(catalog) -> tuple[int, list[ClipAction]]:
    """Ten clips of one action and two of another: (the first action's id, its pairs)."""
    facts = [ActionFacts("GolfSwing", ("golfswing",)), ActionFacts("Dive", ("dive",))]
    with catalog.writing() as session:
        actions = save_actions(session, facts)
        clips = [
            add_clip(session, actions["GolfSwing"], f"{number:064x}", caption=f"no {number}") for number in range(10)
        ]
        for number in (11, 12):
            add_clip(session, actions["Dive"], f"{number:064x}")
        action_id = actions["GolfSwing"].id
    return action_id, [ClipAction(clip.id, action_id) for clip in clips]


def rank(session, pairs, scores) -> None:
    session.add_all(
        SuspicionScore(clip_id=pair.clip_id, action_id=pair.action_id, signal=queue.COMBINED, score=score)
        for pair, score in zip(pairs, scores, strict=False)
    )
    session.flush()


def all_pages(session, filters: QueueFilter, count: int) -> list[ClipAction]:
    """Everything that a page would be given, page by page, until a page from the start has nothing new."""
    found, cursor = [], Cursor()
    while True:
        pairs, cursor = next_batch(session, filters, count, cursor)
        if not pairs:
            return found
        found += pairs


def test_pages_go_through_an_action_in_the_order_found(catalog, golf):
    action_id, pairs = golf
    with catalog.writing() as session:
        assert all_pages(session, QueueFilter("ann", action_id), 3) == pairs


def test_the_newest_action_comes_first_where_all_are_asked_for(catalog, golf):
    _, pairs = golf
    with catalog.writing() as session:
        found = all_pages(session, ANN, 4)
    assert [pair.action_id for pair in found[:2]] != [pairs[0].action_id] * 2
    assert found[2:] == pairs


def test_the_most_suspicious_come_first_then_what_nothing_has_ranked(catalog, golf):
    action_id, pairs = golf
    with catalog.writing() as session:
        rank(session, pairs[3:8], [0.1, 0.9, 0.5, 0.9, 0.2])
        most = [pairs[index] for index in (6, 4, 5, 7, 3)]
        unranked = [*pairs[:3], *pairs[8:]]
        assert all_pages(session, QueueFilter("ann", action_id), 2) == most + unranked
        session.query(ClipLease).delete()
        assert all_pages(session, QueueFilter("ann", action_id, least=True), 2) == most[::-1] + unranked


def test_two_annotators_are_never_given_the_same(catalog, golf):
    action_id, pairs = golf
    with catalog.writing() as session:
        ann, _ = next_batch(session, QueueFilter("ann", action_id), 4)
        bob, _ = next_batch(session, QueueFilter("bob", action_id), 4)
        assert (ann, bob) == (pairs[:4], pairs[4:8])
        assert next_batch(session, QueueFilter("ann", action_id), 4)[0] == pairs[:4]  # a reload: where one was


def test_a_lease_that_ran_out_is_free(catalog, golf):
    action_id, pairs = golf
    with catalog.writing() as session:
        next_batch(session, QueueFilter("ann", action_id), 4)
        session.execute(update(ClipLease).values(until=now() - timedelta(seconds=1)))
        assert next_batch(session, QueueFilter("bob", action_id), 4)[0] == pairs[:4]


def test_what_is_decided_never_comes_and_what_is_undone_comes_again(catalog, golf):
    action_id, pairs = golf
    filters = QueueFilter("ann", action_id)
    with catalog.writing() as session:
        decide(session, pairs[0].clip_id, "keep", "bob", action_id)
        unusable = decide(session, pairs[1].clip_id, "unusable", "bob")
        assert next_batch(session, filters, 2)[0] == pairs[2:4]
        undo(session, unusable.id, "bob")
        assert next_batch(session, filters, 2)[0] == pairs[1:3]


def test_put_off_clips_come_at_the_end_and_others_may_take_them(catalog, golf):
    action_id, pairs = golf
    filters = QueueFilter("ann", action_id)
    with catalog.writing() as session:
        next_batch(session, filters, 3)
        leases.postpone(session, pairs[0], "ann")
        for pair in pairs[1:]:
            decide(session, pair.clip_id, "keep", "ann", action_id)
        assert next_batch(session, filters, 5)[0] == pairs[:1]
        leases.postpone(session, pairs[0], "ann")
        assert next_batch(session, QueueFilter("bob", action_id), 5)[0] == pairs[:1]
        assert next_batch(session, filters, 5)[0] == []


def test_search_finds_captions_and_takes_signs_literally(catalog, golf):
    action_id, pairs = golf
    with catalog.writing() as session:
        assert next_batch(session, QueueFilter("ann", action_id, "NO 7"), 5)[0] == [pairs[7]]
        assert next_batch(session, QueueFilter("ann", action_id, "n%7"), 5)[0] == []


def test_a_clip_of_several_posts_comes_once(catalog, golf):
    action_id, pairs = golf
    with catalog.writing() as session:
        run = session.scalar(select(CrawlRun))
        post = Post(platform="x", platform_id="again", clip_id=pairs[0].clip_id, state=PostState.DOWNLOADED)
        session.add(post)
        session.flush()
        session.add(Sighting(post_id=post.id, action_id=action_id, tag="golf", run_id=run.id))
        session.flush()
        assert next_batch(session, QueueFilter("ann", action_id), 50)[0] == pairs


def test_a_share_is_judged_twice_blind_and_never_three_times(catalog, golf):
    action_id, pairs = golf  # sha256 of 0 to 9 as numbers: all below any bound
    half = {"action_id": action_id, "overlap": 0.5}
    with catalog.writing() as session:
        decide(session, pairs[0].clip_id, "keep", "ann", action_id)
        decide(session, pairs[1].clip_id, "unusable", "ann")
        assert next_batch(session, QueueFilter("ann", **half), 8)[0] == pairs[2:]
        session.query(ClipLease).delete()
        given, _ = next_batch(session, QueueFilter("bob", **half), 8)
        assert given[:2] == pairs[:2]
        assert next_batch(session, QueueFilter("cat", **half), 8)[0][:1] != pairs[:1]  # bob holds the second look
        decide(session, pairs[0].clip_id, "mistagged", "bob", action_id)
        session.query(ClipLease).delete()
        assert next_batch(session, QueueFilter("cat", **half), 8)[0][0] == pairs[1]


def test_the_share_is_the_share():
    hashes = [f"{number:08x}" + "0" * 56 for number in range(0, 2**32, 2**24)]
    assert sum(queue.is_judged_twice(sha256, 0.25) for sha256 in hashes) == len(hashes) // 4
    assert not any(queue.is_judged_twice(sha256, 0.0) for sha256 in hashes)
    assert all(queue.is_judged_twice(sha256, 1.0) for sha256 in [*hashes, "f" * 64])


def test_revisiting_lists_the_annotators_own_decisions(catalog, golf):
    action_id, pairs = golf
    with catalog.writing() as session:
        made = [decide(session, pair.clip_id, "keep", "ann", action_id) for pair in pairs[:3]]
        decide(session, pairs[3].clip_id, "keep", "bob", action_id)
        assert [one.id for one in queue.to_revisit(session, ANN, "keep", 2)] == [made[2].id, made[1].id]
        assert [one.id for one in queue.to_revisit(session, ANN, "keep", 2, before=made[1].id)] == [made[0].id]
        assert queue.to_revisit(session, BOB, "mistagged", 2) == []
        assert queue.action_found_for(session, pairs[0].clip_id) == action_id


def test_clips_that_are_gone_take_their_leases_along(catalog, golf):
    action_id, _ = golf
    with catalog.writing() as session:
        clip = Clip(sha256="f" * 64, suffix=".mp4", bytes=1, state="done")
        session.add(clip)
        session.flush()
        session.execute(leases._upsert(session, [ClipAction(clip.id, action_id)], "ann", 0, until=now(), put_off=False))
        session.delete(clip)
        session.flush()
        assert session.scalar(select(ClipLease)) is None
