"""curate.duplicates.groups: stars and who stands for them, what a person rules, copies under several actions."""

import itertools

import pytest
from sqlalchemy import delete, func, select

from plusmv.core.errors import BadInput, Missing
from plusmv.curate.duplicates.alignment import SURE, SURE_CORRELATION
from plusmv.curate.duplicates.fingerprint import VERSION
from plusmv.curate.duplicates.groups import across_actions, duplicate_groups, edges
from plusmv.curate.duplicates.rulings import rule
from plusmv.db.models import Clip, DuplicateEdge, DuplicateRuling, EdgeKind, FileState, Post, RulingKind
from tests.test_decisions import a_clip

COPY = EdgeKind.COPY


def star(catalog, clips, found):
    """Groups, as names, of clips {name: (duration, bytes)} with edges between names."""
    with catalog.writing() as session:
        rows = {
            name: Clip(sha256=name * 64, suffix=".mp4", bytes=size, duration=duration, width=100, height=100,
                       state=FileState.DONE, posts=[Post(platform="folder", platform_id=f"{name}.mp4")])
            for name, (duration, size) in clips.items()
        }  # fmt: skip
        session.add_all(rows.values())
        session.flush()
        for a, b, kind, mirror in found:
            session.add(DuplicateEdge(
                a_id=rows[a].id, b_id=rows[b].id, version=VERSION, kind=kind, mirror=mirror, score=1.0,
                correlation=1.0,
            ))  # fmt: skip
    return groups(catalog)


def groups(catalog):
    with catalog.reading() as session:
        return [[clip.sha256[0] for clip in group] for group in duplicate_groups(session)]


def ruled(catalog, kind, *names):
    with catalog.writing() as session:
        rule(session, kind, names, "me")


def test_a_chain_of_copies_is_not_one_group(catalog):
    clips = {name: (10.0, 1000 + index) for index, name in enumerate("abcd")}
    chain = [("a", "b", COPY, False), ("b", "c", COPY, False), ("c", "d", COPY, False)]
    assert star(catalog, clips, chain) == [["d", "c"], ["b", "a"]]


def test_the_longest_then_the_richest_then_the_unmirrored_stands_for_a_group(catalog):
    clips = {"a": (10.0, 1000), "b": (12.0, 500), "c": (12.0, 900), "d": (12.0, 900)}
    copies = [(a, b, COPY, "c" in a + b) for a, b in itertools.combinations("abcd", 2)]
    assert star(catalog, clips, copies) == [["d", "c", "b", "a"]]


def test_parts_and_same_scenes_are_not_grouped(catalog):
    clips = dict.fromkeys("abc", (10.0, 1000))
    found = [("a", "b", EdgeKind.PART, False), ("b", "c", EdgeKind.SAME_SCENE, False)]
    assert star(catalog, clips, found) == []


@pytest.mark.parametrize(("figure", "least"), [("score", SURE), ("correlation", SURE_CORRELATION)])
def test_only_sure_copies_are_grouped_until_a_person_says_so(catalog, figure, least):
    clips = dict.fromkeys("ab", (10.0, 1000))
    assert star(catalog, clips, [("a", "b", COPY, False)]) == [["a", "b"]]
    with catalog.writing() as session:
        setattr(session.scalar(select(DuplicateEdge)), figure, least - 0.01)
    assert groups(catalog) == []
    ruled(catalog, RulingKind.DUPLICATE, "a.mp4", "b.mp4")
    assert groups(catalog) == [["a", "b"]]


def test_what_is_no_duplicate_is_never_proposed_again(catalog):
    clips = dict.fromkeys("abc", (10.0, 1000))
    assert star(catalog, clips, [(a, b, COPY, False) for a, b in itertools.combinations("abc", 2)]) == [["a", "b", "c"]]
    ruled(catalog, RulingKind.NOT_DUPLICATE, "b" * 64, "a.mp4")
    with catalog.reading() as session:
        assert len(edges(session)) == 2
    assert groups(catalog) == [["a", "c"]]
    ruled(catalog, RulingKind.DUPLICATE, "a.mp4", "b.mp4")  # the newest word counts, the first one stays
    assert groups(catalog) == [["a", "b", "c"]]
    with catalog.reading() as session:
        assert session.scalar(select(func.count()).select_from(DuplicateRuling)) == 2


def test_a_person_chooses_who_stands_for_a_group(catalog):
    clips = {"a": (10.0, 1000), "b": (12.0, 500)}
    assert star(catalog, clips, [("a", "b", COPY, False)]) == [["b", "a"]]
    ruled(catalog, RulingKind.KEEP_THIS, "a.mp4")
    assert groups(catalog) == [["a", "b"]]
    ruled(catalog, RulingKind.KEEP_THIS, "b.mp4")
    assert groups(catalog) == [["b", "a"]]


def test_when_the_representative_is_taken_down_the_next_stands_for_the_group(catalog):
    clips = {"a": (10.0, 1000), "b": (11.0, 1000), "c": (12.0, 1000)}
    assert star(catalog, clips, [(a, b, COPY, False) for a, b in itertools.combinations("abc", 2)]) == [["c", "b", "a"]]
    ruled(catalog, RulingKind.NOT_DUPLICATE, "a.mp4", "c.mp4")
    ruled(catalog, RulingKind.KEEP_THIS, "c.mp4")
    with catalog.writing() as session:
        clip = session.scalar(select(Clip).where(Clip.sha256 == "c" * 64))
        session.execute(delete(DuplicateEdge).where((DuplicateEdge.a_id == clip.id) | (DuplicateEdge.b_id == clip.id)))
        session.execute(delete(Post).where(Post.clip_id == clip.id))
        session.execute(delete(Clip).where(Clip.id == clip.id))
    assert groups(catalog) == [["b", "a"]]
    with catalog.reading() as session:
        assert session.scalar(select(func.count()).select_from(DuplicateRuling)) == 0  # they go with the clip


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [(("a.mp4", "none"), Missing, "no clip 'none'"), (("a.mp4", "a" * 64), BadInput, "one clip")],
)
def test_a_ruling_names_two_clips_that_are_there(catalog, names, error, words):
    star(catalog, dict.fromkeys("ab", (10.0, 1000)), [])
    with pytest.raises(error, match=words):
        ruled(catalog, RulingKind.NOT_DUPLICATE, *names)


def test_copies_under_several_actions_are_contradictions_unless_these_go_together(catalog):
    with catalog.writing() as session:
        made = {"a": a_clip(session, "a", "GolfSwing"), "b": a_clip(session, "b", "TennisSwing"),
                "c": a_clip(session, "c", "Diving"), "d": a_clip(session, "d", "CliffDiving"),
                "e": a_clip(session, "e", "Diving", "CliffDiving"), "f": a_clip(session, "f", "Shotput"),
                "g": a_clip(session, "g", "Shotput")}  # fmt: skip
        for a, b in ("ab", "cd", "fg"):
            session.add(DuplicateEdge(
                a_id=made[a].id, b_id=made[b].id, version=VERSION, kind=COPY, score=1.0, correlation=1.0
            ))  # fmt: skip
    with catalog.reading() as session:
        found = across_actions(session, duplicate_groups(session))
    assert [(one["kind"], [sha256[0] for sha256 in one["clips"]]) for one in found] == [
        ("contradiction", ["a", "b"]), ("several-labels", ["c", "d"]), ("several-labels", ["e"])
    ]  # fmt: skip
    assert found[0]["actions"] == {"GolfSwing": ["a" * 64], "TennisSwing": ["b" * 64]}
