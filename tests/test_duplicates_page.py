"""The duplicates page without a browser: which groups are open, what is shown of them, acts recorded once."""

import itertools
import json
import uuid

import pytest
from sqlalchemy import func, select, update

from plusmv.core.errors import BadInput, Refused
from plusmv.curate.duplicates.fingerprint import VERSION
from plusmv.curate.duplicates.groups import duplicate_groups
from plusmv.curate.duplicates.rulings import rulings
from plusmv.curate.review import group_actions, group_queue
from plusmv.curate.review.decisions import decide, undo
from plusmv.curate.review.group_actions import read_review
from plusmv.curate.review.group_queue import Edit, Listing
from plusmv.curate.review.queue import QueueFilter, next_batch, next_groups
from plusmv.db.models import Clip, ClipLease, Decision, DuplicateEdge, DuplicateRuling, EdgeKind, FileState, How, now
from plusmv.labeler_ui.connection import connect
from plusmv.labeler_ui.group_listing import Groups
from tests.test_decisions import a_clip
from tests.test_labeler import open_page, workspace  # noqa: F401

COPY, PART, SHARED = EdgeKind.COPY, EdgeKind.PART, EdgeKind.SHARED


def edge(a: Clip, b: Clip, kind: EdgeKind = COPY, **facts) -> DuplicateEdge:
    return DuplicateEdge(
        a_id=a.id, b_id=b.id, version=VERSION, kind=kind, **({"score": 1.0, "correlation": 1.0} | facts)
    )


@pytest.fixture
def clips(catalog) -> dict[str, int]:
    """a, b and c are copies, c the longest; d and e too; f is a part of a and of c, g perhaps a copy of d; b and g
    share something."""
    with catalog.writing() as session:
        made = {name: a_clip(session, name, "Diving") for name in "abcdefg"}
        made["c"].duration = made["d"].duration = 9.0
        session.add_all(edge(made[a], made[b]) for a, b in itertools.combinations("abc", 2))
        session.add(edge(made["d"], made["e"], speed=2.0, offset_s=1.0, mirror=True, overlap_s=4.0))
        session.add_all([edge(made["f"], made["a"], PART, score=0.9), edge(made["f"], made["c"], PART, score=0.8)])
        session.add(edge(made["d"], made["g"], score=0.5))
        session.add(edge(made["b"], made["g"], SHARED, correlation=0.9, turn=90))
        return {name: clip.id for name, clip in made.items()}


def listed(catalog) -> Listing:
    with catalog.reading() as session:
        return group_queue.listing(session)


def open_groups(catalog, kind: str = "groups", after=None, count: int = 9) -> list[str]:
    """Open groups as the digits that their clips' hashes are made of."""
    with catalog.reading() as session:
        stars = group_queue.open_stars(session, getattr(listed(catalog), kind), after, count)
        return ["".join(member.sha[0] for member in group.members) for group in group_queue.show(session, stars)]


def act(catalog, annotator: str = "ann", **sent) -> str:
    """Record an act twice, as a browser that had no answer does; its id."""
    sent = {"id": str(uuid.uuid4())} | sent
    for _ in range(2):
        with catalog.writing() as session:
            group_actions.record(session, read_review(json.loads(json.dumps(sent))), annotator)
    return sent["id"]


def decided(catalog) -> list[tuple[int, str, str | None, float | None]]:
    with catalog.reading() as session:
        columns = (Decision.clip_id, Decision.verdict, Decision.how, Decision.seconds)
        return [tuple(row) for row in session.execute(select(*columns).order_by(Decision.id))]


def test_open_groups_and_pairs_come_in_parts_from_where_one_was(catalog, clips):
    assert open_groups(catalog) == ["cab", "de"]
    assert open_groups(catalog, count=1) == ["cab"]
    first, second = listed(catalog).groups
    assert open_groups(catalog, after=list(first.place)) == ["de"]
    assert open_groups(catalog, after=list(second.place)) == []
    assert open_groups(catalog, "pairs") == ["cf", "gd"]  # one pair for each group that a clip may belong to
    assert open_groups(catalog, "shared") == ["gb"]


def test_settled_groups_are_not_shown_again_until_that_is_undone(catalog, clips):
    id_ = act(catalog, keep=clips["c"], remove=[clips["a"], clips["b"]], seconds=5)
    made = [(clips[name], "duplicate", How.DUPLICATES, 2.5) for name in "ab"]
    assert decided(catalog) == made
    assert open_groups(catalog) == ["de"]
    assert len(listed(catalog).groups) == 2
    act(catalog, undo=id_)
    assert [row[1] for row in decided(catalog)[2:]] == ["undo", "undo"]
    assert open_groups(catalog) == ["cab", "de"]


def test_a_clip_that_is_kept_since_is_open_again(catalog, clips):
    act(catalog, keep=clips["d"], remove=[clips["e"]])
    with catalog.writing() as session:
        decide(session, clips["e"], "keep", "bob", 1)
    assert open_groups(catalog) == ["cab", "de"]


def test_who_removes_the_one_that_another_keeps_is_refused(catalog, clips):
    act(catalog, keep=clips["d"], remove=[clips["e"]])
    with pytest.raises(Refused, match="removed meanwhile"):
        act(catalog, "bob", keep=clips["e"], remove=[clips["d"]])
    with pytest.raises(Refused, match="have been removed meanwhile"):
        act(catalog, "bob", keep=clips["d"], remove=[clips["e"]])
    assert len(decided(catalog)) == 1


def test_no_copies_are_never_shown_together_again_and_undo_takes_it_back(catalog, clips):
    id_ = act(catalog, apart=[clips[name] for name in "cab"])
    assert open_groups(catalog) == ["de"]
    with catalog.reading() as session:
        assert len(rulings(session)) == 3
        assert group_actions.recent(session, "ann") == [id_]
        assert group_actions.recent(session, "bob") == []
    with pytest.raises(Refused, match="nothing of yours"):
        act(catalog, "bob", undo=id_)
    act(catalog, undo=id_)
    assert open_groups(catalog) == ["cab", "de"]
    with catalog.reading() as session:
        assert (rulings(session), group_actions.recent(session, "ann")) == ({}, [])
        assert session.scalar(select(func.count()).select_from(DuplicateRuling)) == 6  # none is ever changed


def test_one_is_split_off_and_another_stands_for_the_group(catalog, clips):
    act(catalog, apart=[clips["c"], clips["a"]])
    assert open_groups(catalog) == ["cb", "de"]
    id_ = act(catalog, keep=clips["b"], stands=True)
    assert open_groups(catalog) == ["bca", "de"]  # b is near both
    act(catalog, undo=id_)
    assert open_groups(catalog) == ["cb", "de"]


def test_undo_goes_back_to_what_was_ruled_before_and_leaves_newer_rulings_alone(catalog, clips):
    pair = [clips["d"], clips["g"]]
    first = act(catalog, same=pair)
    assert open_groups(catalog) == ["cab", "dge"]
    second = act(catalog, apart=pair)
    assert open_groups(catalog) == ["cab", "de"]
    act(catalog, undo=second)
    assert open_groups(catalog) == ["cab", "dge"]
    act(catalog, apart=pair)
    act(catalog, undo=first)
    assert open_groups(catalog) == ["cab", "de"]
    with pytest.raises(Refused, match="nothing of yours"):
        act(catalog, undo=first)


def test_undo_upon_undo_of_the_clip_that_is_to_stay(catalog, clips):
    a, b = clips["a"], clips["b"]
    sent, led = [], []
    for keep in (b, a, b):
        sent.append(act(catalog, keep=keep, stands=True))
        led.append(open_groups(catalog)[0][0])
    assert led == ["b", "a", "b"]
    for one, leads in zip(reversed(sent), "abc", strict=True):
        act(catalog, undo=one)
        assert open_groups(catalog)[0][0] == leads


def test_what_is_shown_of_a_clip(catalog, clips):
    with catalog.writing() as session:
        session.get_one(Clip, clips["e"]).state = FileState.FAILED
        decide(session, clips["b"], "unusable", "bob")
        stars = group_queue.listing(session).groups
        whole, turned = group_queue.show(session, stars)
    assert [member.out for member in whole.members] == [None, None, "unusable"]
    first, second = turned.members
    assert (first.edit, first.actions, first.tags, first.posts) == (None, ("Diving",), ("Diving",), 1)
    assert second.edit == Edit("copy", 2.0, 1.0, True, 0, 1.0, 4.0)
    assert second.error == "it cannot be decoded"


def test_an_edit_seen_from_the_other_side():
    part = Edit("part", 2.0, 1.0, True, 90, 0.9, 4.0)
    assert part.inverse() == Edit("whole", 0.5, -0.5, True, 90, 0.9, 2.0)
    assert Edit("shared", 1.0, 0.0, False, 90, 0.9, 2.0).inverse() == Edit("shared", 1.0, 0.0, False, 270, 0.9, 2.0)
    assert part.inverse().inverse() == part
    seconds = 3.0
    there = part.speed * seconds + part.offset_s
    assert part.inverse().speed * there + part.inverse().offset_s == seconds


def test_a_group_that_is_taken_down_in_part_is_not_shown(catalog, clips):
    stars = listed(catalog).groups
    with catalog.reading() as session:
        gone = [star._replace(clip_ids=(star.clip_ids[0], 999)) for star in stars]
        assert group_queue.show(session, gone) == []
    with pytest.raises(Refused, match="not in the catalog"):
        act(catalog, keep=clips["a"], remove=[999])


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"id": "x"},
        {"id": str(uuid.UUID(int=1)), "remove": [1]},
        {"id": str(uuid.UUID(int=1)), "keep": 1, "remove": [1]},
        {"id": str(uuid.UUID(int=1)), "same": [1]},
        {"id": str(uuid.UUID(int=1)), "apart": list(range(25))},
        {"id": str(uuid.UUID(int=1)), "apart": [2**70]},
        {"id": str(uuid.UUID(int=1)), "keep": float("inf")},
        "no entry",
    ],
)
def test_what_is_no_act_is_refused(sent):
    with pytest.raises(BadInput):
        read_review(sent)


def test_the_list_is_read_anew_when_something_changed(workspace):  # noqa: F811
    connection = connect()
    with connection.writing() as session:
        one, two, three = session.scalars(select(Clip).order_by(Clip.id))
        session.add(edge(one, two))
    groups = Groups(connection)
    with connection.reading() as session:
        assert len(groups.now(session, 20).groups) == 1
        assert groups.now(session) is groups.now(session)
    with connection.writing() as session:
        session.add(edge(one, three))
    with connection.reading() as session:
        (star,) = groups.now(session, 20).groups
        assert len(star.clip_ids) == 3
        assert [[clip.id for clip in group] for group in duplicate_groups(session)] == [list(star.clip_ids)]


def test_the_page(workspace):  # noqa: F811
    page = open_page("duplicates")
    assert "Proposed pairs" in page.selectbox[0].options[1]
    for index in (1, 2):
        page.selectbox[0].select_index(index).run()
        assert not page.exception


def test_undoing_a_decision_on_the_review_page_opens_its_group(catalog, clips):
    act(catalog, keep=clips["d"], remove=[clips["e"]])
    with catalog.writing() as session:
        undo(session, session.scalar(select(func.max(Decision.id))), "ann")
    assert open_groups(catalog) == ["cab", "de"]


def give(session, listing: Listing, annotator: str, count: int = 9) -> list[str]:
    """Groups that a person is given, as `open_groups` shows them."""

    def more(after, count):
        return group_queue.open_stars(session, listing.groups, after, count)

    stars = next_groups(session, None, count, annotator, more, lambda star: star.clip_ids)
    return ["".join(member.sha[0] for member in group.members) for group in group_queue.show(session, stars)]


def test_a_group_is_given_to_one_person_until_the_lease_runs_out(catalog, clips):
    with catalog.writing() as session:
        assert give(session, listed(catalog), "ann", count=1) == ["cab"]
        for _ in range(2):
            assert give(session, listed(catalog), "bob") == ["de"]
        assert give(session, listed(catalog), "ann") == ["cab"]
        assert len(next_batch(session, QueueFilter("ann"), 50)[0]) == len(
            clips
        )  # a look at copies keeps no clip from the review
    act(catalog, keep=clips["b"], stands=True)  # another clip comes first now
    act(catalog, keep=clips["b"], remove=[clips["a"]])
    with catalog.writing() as session:
        assert give(session, listed(catalog), "bob") == ["de"]
        session.execute(update(ClipLease).values(until=now()))
        assert give(session, listed(catalog), "bob") == ["bca", "de"]
