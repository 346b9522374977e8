"""Decisions: added, never changed; undone at any depth; recorded from a file all or none, and once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from plusmv.core.actions import Action as ActionFacts
from plusmv.core.errors import BadInput, Missing, Refused
from plusmv.core.workspace import Workspace
from plusmv.curate.review.decisions import decide, decide_from_csv, undo
from plusmv.curate.review.queue import last_decisions
from plusmv.db.models import Action, Clip, CrawlRun, Decision, FileState, Post, PostState, Sighting, Verdict
from plusmv.db.queries import save_actions, verdicts
from plusmv.db.session import open_catalog


def a_clip(session, digit: str, *action_names: str, platform_ids=()) -> Clip:
    """A clip that tags of these actions found."""
    clip = Clip(sha256=digit * 64, suffix=".mp4", bytes=1, duration=6.0, fps=25.0, state=FileState.DONE)
    actions = save_actions(session, [ActionFacts(name, (name,)) for name in action_names])
    for platform_id in platform_ids or (f"{digit}.mp4",):
        post = Post(platform="folder", platform_id=platform_id, identity=digit, state=PostState.DOWNLOADED, clip=clip)
        session.add(post)
        session.flush()
        for action in actions.values():
            run = CrawlRun(source="folder", tag=action.name, action_id=action.id)
            session.add(run)
            session.flush()
            session.add(Sighting(post_id=post.id, action_id=action.id, tag=action.name, run_id=run.id))
    session.flush()
    return clip


@pytest.fixture
def ids(catalog) -> dict[str, int]:
    """Clip "a" of Diving, clip "b" of Diving and CliffDiving."""
    with catalog.writing() as session:
        made = {"a": a_clip(session, "a", "Diving").id, "b": a_clip(session, "b", "Diving", "CliffDiving").id}
        return made | {row.name: row.id for row in session.scalars(select(Action))}


def current(catalog) -> dict[tuple[int, int], str | None]:
    with catalog.reading() as session:
        return {(clip, action): verdict for clip, action, _, verdict in session.execute(verdicts())}


def rows(catalog) -> int:
    with catalog.reading() as session:
        return session.scalar(select(func.count()).select_from(Decision))


def test_keep_and_mistagged_belong_to_a_clip_under_an_action(catalog, ids):
    with catalog.writing() as session:
        decide(session, ids["b"], "keep", "me", ids["Diving"], 1.5, "clear")
        decide(session, ids["b"], Verdict.MISTAGGED, "me", ids["CliffDiving"])
    assert current(catalog) == {
        (ids["a"], ids["Diving"]): None,
        (ids["b"], ids["Diving"]): "keep",
        (ids["b"], ids["CliffDiving"]): "mistagged",
    }


def test_duplicate_and_unusable_belong_to_the_clip(catalog, ids):
    with catalog.writing() as session:
        assert decide(session, ids["b"], "unusable", "me", ids["Diving"]).action_id is None
    assert current(catalog)[ids["b"], ids["Diving"]] == current(catalog)[ids["b"], ids["CliffDiving"]] == "unusable"
    assert current(catalog)[ids["a"], ids["Diving"]] is None


def test_the_newest_decision_counts_and_the_older_stay(catalog, ids):
    with catalog.writing() as session:
        decide(session, ids["a"], "keep", "me", ids["Diving"])
        decide(session, ids["a"], "mistagged", "you", ids["Diving"])
    assert current(catalog)[ids["a"], ids["Diving"]] == "mistagged"
    assert rows(catalog) == 2


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"verdict": "maybe"}, BadInput, "none of keep"),
        ({"verdict": "undo"}, BadInput, "none of keep"),
        ({"action_id": None}, BadInput, "needs the action"),
        ({"action_id": 404}, Missing, "no action 404"),
        ({"clip_id": 404}, Missing, "no clip 404"),
        ({"annotator": " \n"}, BadInput, "annotator"),
        ({"annotator": "x" * 201}, BadInput, "annotator"),
        ({"seconds": -1.0}, BadInput, "seconds"),
        ({"seconds": float("nan")}, BadInput, "seconds"),
        ({"seconds": float("inf")}, BadInput, "seconds"),
    ],
)
def test_what_is_no_decision(catalog, ids, change, error, words):
    given = {"clip_id": ids["a"], "verdict": "keep", "annotator": "me", "action_id": ids["Diving"]} | change
    with pytest.raises(error, match=words), catalog.writing() as session:
        decide(session, **given)
    assert rows(catalog) == 0


def test_text_is_stored_without_control_characters(catalog, ids):
    with catalog.writing() as session:
        decision = decide(session, ids["a"], "unusable", "m\x00e", reason="black\x00\n frame\ud800" + "x" * 5000)
    assert decision.annotator == "m e"
    assert decision.reason.startswith("black frame x")
    assert len(decision.reason) == 2000


def test_undo_at_any_depth(catalog, ids):
    with catalog.writing() as session:
        for verdict in ("keep", "mistagged", "unusable"):
            decide(session, ids["a"], verdict, "me", ids["Diving"])
        decide(session, ids["b"], "keep", "you", ids["Diving"])
    seen = []
    for _ in range(3):
        with catalog.writing() as session:
            undo(session, last_decisions(session, "me", 1)[0].id, "me")
        seen.append(current(catalog)[ids["a"], ids["Diving"]])
    assert seen == ["mistagged", "keep", None]
    with catalog.reading() as session:
        assert last_decisions(session, "me", 1) == []
        assert last_decisions(session, "you", 1)[0].clip_id == ids["b"]
    assert rows(catalog) == 7


def test_undoing_twice_an_undo_or_nothing_is_refused(catalog, ids):
    with catalog.writing() as session:
        decision = decide(session, ids["a"], "keep", "me", ids["Diving"])
        taken_back = undo(session, decision.id, "me")
    for decision_id, words in {decision.id: "undone already", taken_back.id: "cannot be undone"}.items():
        with catalog.writing() as session:
            with pytest.raises(Refused, match=words):
                undo(session, decision_id, "me")
            decide(session, ids["a"], "keep", "me", ids["Diving"])  # the session goes on working
    with pytest.raises(Missing), catalog.writing() as session:
        undo(session, 404, "me")
    assert rows(catalog) == 4


def test_of_many_undos_at_once_one_wins(catalog, ids):
    with catalog.writing() as session:
        decision = decide(session, ids["a"], "keep", "me", ids["Diving"])
    refused = []

    def take_back() -> None:
        try:
            with catalog.writing() as session:
                undo(session, decision.id, "me")
        except Refused as error:
            refused.append(error)

    threads = [threading.Thread(target=take_back) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(refused), rows(catalog)) == (3, 2)


HEADER = "clip,action,verdict,annotator,seconds,reason\n"


def from_csv(catalog, tmp_path, text: str) -> dict:
    path = tmp_path / "decisions.csv"
    path.write_text(text, encoding="utf-8")
    return decide_from_csv(catalog, path)


def test_a_file_is_recorded_once(catalog, ids, tmp_path):
    text = HEADER + f"a.mp4,diving,keep,me,2.5,\n{'b' * 64},,duplicate,me,1,of a\n\nb.mp4,,duplicate,you,,\n"
    assert from_csv(catalog, tmp_path, text) == {"rows": 3, "recorded": 3, "skipped": 0}
    assert from_csv(catalog, tmp_path, text) == {"rows": 3, "recorded": 0, "skipped": 3}
    assert from_csv(catalog, tmp_path, text + "b.mp4,,duplicate,me,,again\n") == {
        "rows": 4,
        "recorded": 0,
        "skipped": 4,
    }
    with catalog.reading() as session:
        assert [(d.verdict, d.seconds, d.reason) for d in session.scalars(select(Decision).order_by(Decision.id))] == [
            ("keep", 2.5, ""),
            ("duplicate", 1.0, "of a"),
            ("duplicate", None, ""),
        ]


def test_what_was_taken_back_is_recorded_again(catalog, ids, tmp_path):
    text = "verdict,clip,annotator\nunusable,a.mp4,me\n"
    from_csv(catalog, tmp_path, text)
    with catalog.writing() as session:
        undo(session, last_decisions(session, "me", 1)[0].id, "me")
    assert from_csv(catalog, tmp_path, text)["recorded"] == 1


def test_the_last_word_counts_when_an_earlier_file_comes_again(catalog, ids, tmp_path):
    keep, mistagged = (HEADER + f"a.mp4,Diving,{verdict},me,,\n" for verdict in ("keep", "mistagged"))
    for text, verdict in ((keep, "keep"), (mistagged, "mistagged"), (keep, "keep")):
        assert from_csv(catalog, tmp_path, text)["recorded"] == 1
        assert current(catalog)[ids["a"], ids["Diving"]] == verdict


def test_a_word_on_the_clip_takes_the_place_of_one_under_an_action(catalog, ids, tmp_path):
    keep, unusable = HEADER + "a.mp4,Diving,keep,me,,\n", HEADER + "a.mp4,,unusable,me,,\n"
    assert [from_csv(catalog, tmp_path, text)["recorded"] for text in (keep, unusable, unusable, keep)] == [1, 1, 0, 1]
    assert current(catalog)[ids["a"], ids["Diving"]] == "keep"


def test_a_repost_of_the_same_bytes_called_duplicate_leaves_the_clip_kept(catalog, ids, tmp_path):
    with catalog.writing() as session:
        twice = a_clip(session, "e", platform_ids=["first.mp4", "second.mp4"])
        action_id, clip_id = ids["Diving"], twice.id
    text = HEADER + "second.mp4,,duplicate,me,,of first.mp4\nfirst.mp4,Diving,keep,me,,\n"
    assert from_csv(catalog, tmp_path, text) == {"rows": 2, "recorded": 1, "skipped": 1}
    assert from_csv(catalog, tmp_path, text) == {"rows": 2, "recorded": 0, "skipped": 2}
    assert current(catalog)[clip_id, action_id] == "keep"


def test_another_action_is_a_mistagged_here_and_a_keep_there(catalog, ids, tmp_path):
    text = HEADER + "a.mp4,Diving,mistagged,me,,\na.mp4,HighJump,keep,me,,\n"
    assert from_csv(catalog, tmp_path, text)["recorded"] == 2
    with catalog.reading() as session:
        high_jump = session.scalar(select(Action.id).where(Action.name == "HighJump"))
    assert current(catalog)[ids["a"], ids["Diving"]] == "mistagged"
    assert current(catalog)[ids["a"], high_jump] == "keep"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lacks the column 'clip'"),
        ("clip,verdict\n", "lacks the column 'annotator'"),
        (HEADER[:-1] + ",mood\n", "unknown column 'mood'"),
        (HEADER + "none.mp4,,unusable,me,,\n", "line 2: no clip is called 'none.mp4'"),
        (HEADER + "a\x00.mp4,,unusable,me,,\n", "line 2: no clip is called"),
        (HEADER + "same.mp4,,unusable,me,,\n", "line 2: 2 clips are called 'same.mp4'"),
        (HEADER + "a.mp4,,keep,me,,\n", "line 2: keep needs a known action"),
        (HEADER + "a.mp4,Sleeping,keep,me,,\n", "line 2: keep needs a known action, not 'Sleeping'"),
        (HEADER + "a.mp4,Diving,undo,me,,\n", "line 2: verdict 'undo'"),
        (HEADER + "a.mp4,Diving,keep,,,\n", "line 2: the annotator"),
        (HEADER + "a.mp4,Diving,keep,me,soon,\n", "line 2: seconds"),
        (HEADER + "a.mp4,Diving,keep,me,1,x,y\n", "line 2: 7 cells under 6 columns"),
        (
            HEADER + "a.mp4,Diving,keep,me,,\na.mp4,Diving,mistagged,me,,\n",
            "line 3: says mistagged where line 2 says keep",
        ),
        (
            HEADER + "a.mp4,Diving,keep,me,,\na.mp4,,unusable,me,,\n",
            "line 3: says unusable where line 2 says keep",
        ),
        (HEADER + 'a.mp4,"Diving,keep', "not CSV"),
    ],
)
def test_one_line_at_fault_and_nothing_is_recorded(catalog, ids, tmp_path, text, words):
    with catalog.writing() as session:
        a_clip(session, "c", platform_ids=["same.mp4"])
        a_clip(session, "d", platform_ids=["same.mp4"])
    good = "b.mp4,Diving,keep,me,,\n" if text.endswith("\n") and text != HEADER else ""
    with pytest.raises(BadInput) as caught:
        from_csv(catalog, tmp_path, text + good)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert rows(catalog) == 0


def test_files_that_cannot_be_read(tmp_path):
    catalog = open_catalog(Workspace(tmp_path))
    with pytest.raises(BadInput, match="cannot read"):
        decide_from_csv(catalog, tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + b"caf\xe9,,unusable,me,,\n")
    with pytest.raises(BadInput, match="not UTF-8"):
        decide_from_csv(catalog, tmp_path / "latin.csv")


def test_many_faults_are_told_in_a_line_that_can_be_read(tmp_path):
    catalog = open_catalog(Workspace(tmp_path))
    with pytest.raises(BadInput, match=r"\(and 90 more lines\)"):
        from_csv(catalog, tmp_path, HEADER + "x.mp4,,unusable,me,,\n" * 100)


def test_the_same_file_from_several_processes_is_recorded_once(catalog, ids, tmp_path):
    lines = "".join(f"{name}.mp4,Diving,keep,me\n" for name in "ab")
    (tmp_path / "d.csv").write_text("clip,action,verdict,annotator\n" + lines)
    start = threading.Barrier(6)

    def record(_) -> dict[str, int]:
        start.wait()
        return decide_from_csv(catalog, tmp_path / "d.csv")

    with ThreadPoolExecutor(6) as threads:
        outcomes = list(threads.map(record, range(6)))
    assert sorted(outcome["recorded"] for outcome in outcomes) == [0, 0, 0, 0, 0, 2]
    assert rows(catalog) == 2


def test_an_action_that_several_ask_for_first_is_made_once(catalog):
    start = threading.Barrier(6)

    def ask(_) -> None:
        start.wait()
        with catalog.writing() as session:
            save_actions(session, [ActionFacts("Curling", ("curling", "curlingstone"))])

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(ask, range(6)))
    with catalog.reading() as session:
        assert len(session.scalars(select(Action)).all()) == 1
