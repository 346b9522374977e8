"""The contradictions page without a browser: which cases are open, and what an answer records, once."""

import json
import uuid

import pytest
from sqlalchemy import select

from plusmv.core.errors import BadInput, Refused
from plusmv.curate.duplicates.fingerprint import VERSION
from plusmv.curate.review import contradictions
from plusmv.curate.review.contradictions import Case, read_answer
from plusmv.curate.review.decisions import decide
from plusmv.db.models import Action, Clip, Decision, DuplicateEdge, EdgeKind, FileState, How
from plusmv.db.queries import verdicts
from plusmv.labeler_ui.connection import connect
from plusmv.labeler_ui.contradiction_routes import cases_of
from tests.test_decisions import a_clip
from tests.test_labeler import open_page, workspace  # noqa: F401


@pytest.fixture
def names(catalog) -> dict[str, int]:
    """a: Golf and Dunk. b: CliffDiving and Diving. c (Golf) and d (Dunk) are copies. e: Golf alone."""
    with catalog.writing() as session:
        made = {"a": a_clip(session, "a", "Golf", "Dunk"), "b": a_clip(session, "b", "CliffDiving", "Diving"),
                "c": a_clip(session, "c", "Golf"), "d": a_clip(session, "d", "Dunk"),
                "e": a_clip(session, "e", "Golf")}  # fmt: skip
        sure = {"kind": EdgeKind.COPY, "score": 1.0, "correlation": 1.0}
        edge = DuplicateEdge(a_id=made["c"].id, b_id=made["d"].id, version=VERSION, **sure)
        session.add(edge)
        return {name: clip.id for name, clip in made.items()} | {
            row.name: row.id for row in session.scalars(select(Action))
        }


def cases(catalog, kind: str = "contradiction", after: str | None = None) -> list[Case]:
    with catalog.reading() as session:
        return contradictions.open_cases(session, contradictions.all_cases(session), kind, after, 9)


def answer(catalog, annotator: str = "ann", **sent) -> str:
    """Send an answer twice, as a browser that had no answer does; its id."""
    sent = {"id": str(uuid.uuid4())} | sent
    for _ in range(2):
        with catalog.writing() as session:
            contradictions.record(session, read_answer(json.loads(json.dumps(sent))), annotator)
    return sent["id"]


def rows(catalog) -> list[tuple]:
    with catalog.reading() as session:
        columns = (Decision.clip_id, Decision.action_id, Decision.verdict, Decision.seconds, Decision.how)
        return [tuple(row) for row in session.execute(select(*columns).order_by(Decision.id))]


def test_cases_come_with_their_actions_and_those_that_go_together_apart(catalog, names):
    first, second = cases(catalog)
    assert (first.clips, second.clips) == ((names["a"],), (names["c"], names["d"]))
    assert [(choice.name, choice.tags, choice.clips) for choice in first.choices] == [
        ("Dunk", ("Dunk",), 1), ("Golf", ("Golf",), 1)
    ]  # fmt: skip
    assert cases(catalog, after=first.place) == [second]
    assert [case.clips for case in cases(catalog, "several-labels")] == [(names["b"],)]


def test_an_answer_is_recorded_once_and_undone(catalog, names):
    case = cases(catalog)[0]
    id_ = answer(catalog, clips=case.clips, right=[names["Golf"]], wrong=[names["Dunk"]], newest=case.newest, seconds=4)
    made = rows(catalog)
    assert sorted(row[:3] for row in made) == sorted(
        [(names["a"], names["Golf"], "keep"), (names["a"], names["Dunk"], "mistagged")]
    )
    assert ([row[3] for row in made], {row[4] for row in made}) == ([4.0, None], {How.CONTRADICTIONS})
    assert [each.clips for each in cases(catalog)] == [(names["c"], names["d"])]
    with catalog.reading() as session:
        assert contradictions.recent(session, "ann") == [id_]
    with pytest.raises(Refused, match="nothing of yours"):
        answer(catalog, "bob", undo=id_)
    answer(catalog, undo=id_)
    assert len(cases(catalog)) == 2
    assert [row[2] for row in rows(catalog)[2:]] == ["undo", "undo"]


def test_all_may_be_right(catalog, names):
    answer(catalog, clips=[names["a"]], right=[names["Golf"], names["Dunk"]])
    answer(catalog, clips=[names["b"]], right=[names["Diving"], names["CliffDiving"]])
    assert [case.clips for case in cases(catalog)] == [(names["c"], names["d"])]
    assert cases(catalog, "several-labels") == []


def test_of_copies_each_is_judged_where_it_stands(catalog, names):
    answer(catalog, clips=[names["c"], names["d"]], right=[names["Dunk"]], wrong=[names["Golf"]])
    assert [row[:3] for row in rows(catalog)] == [
        (names["c"], names["Golf"], "mistagged"), (names["d"], names["Dunk"], "keep")
    ]  # fmt: skip


def test_a_label_of_a_copy_that_was_removed_goes_to_the_one_that_stays(catalog, names):
    with catalog.writing() as session:
        decide(session, names["d"], "duplicate", "ann")
    case = cases(catalog)[0]
    assert case.clips == (names["a"],)  # the other one is settled
    answer(catalog, clips=[names["c"], names["d"]], right=[names["Dunk"]], newest=1)
    assert rows(catalog)[1][:3] == (names["c"], names["Dunk"], "keep")
    with catalog.reading() as session:
        assert {row.verdict for row in session.execute(verdicts()) if row.clip_id == names["d"]} == {"duplicate"}


def test_unusable_and_what_was_said_elsewhere_settle_a_case(catalog, names):
    answer(catalog, clips=[names["c"], names["d"]], unusable=True)
    assert [row[:3] for row in rows(catalog)] == [(names[name], None, "unusable") for name in "cd"]
    with catalog.writing() as session:
        decide(session, names["a"], "mistagged", "bob", names["Golf"])
    assert cases(catalog) == []


def test_two_keeps_are_still_a_contradiction_and_show_what_was_said(catalog, names):
    with catalog.writing() as session:
        for name in ("Golf", "Dunk"):
            decide(session, names["a"], "keep", "bob", names[name])
        session.get_one(Clip, names["a"]).state = FileState.FAILED
    first = cases(catalog)[0]
    assert [choice.verdict for choice in first.choices] == ["keep", "keep"]
    assert first.error == "it cannot be decoded"
    with pytest.raises(Refused, match="decided meanwhile: keep by bob"):
        answer(catalog, clips=first.clips, right=[names["Golf"]], wrong=[names["Dunk"]], newest=0)
    answer(catalog, clips=first.clips, right=[names["Golf"]], wrong=[names["Dunk"]], newest=first.newest)
    assert len(cases(catalog)) == 1


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"id": "x", "clips": [1]},
        {"id": str(uuid.UUID(int=1))},
        {"id": str(uuid.UUID(int=1)), "clips": [1], "right": [1], "wrong": [1]},
        {"id": str(uuid.UUID(int=1)), "clips": [-1]},
        [],
    ],
)
def test_what_is_no_answer_is_refused(sent):
    with pytest.raises(BadInput):
        read_answer(sent)


def test_the_page_and_its_list(workspace):  # noqa: F811
    page = open_page("contradictions")
    page.selectbox[0].select_index(1).run()
    assert not page.exception
    assert cases_of(connect()).value((1,), 20) == []
