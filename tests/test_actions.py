"""The built-in actions and actions of one's own."""

import csv

import pytest

from plusmv.core.actions import THUMOS14, Action, action_of_tag, normalise_tag, read_actions
from plusmv.core.errors import BadInput


def test_thumos14_has_its_twenty_actions_under_tags_of_their_own():
    assert len(THUMOS14) == 20
    assert [action.name for action in THUMOS14] == sorted(action.name for action in THUMOS14)
    tags = [tag for action in THUMOS14 for tag in action.tags]
    assert len(set(tags)) == len(tags)
    assert tags == [normalise_tag(tag) for tag in tags]
    assert all(action.definition for action in THUMOS14)


def test_thumos14_names_are_those_of_the_annotations(shared):
    assert {action.name for action in THUMOS14} <= set((shared / "thumos14" / "thumos14.json").read_text().split('"'))


def test_kinetics_names_are_classes_and_only_billiards_has_none(shared):
    with open(shared / "fixtures" / "kinetics400_classes.csv", encoding="utf-8") as file:
        classes = {cell for row in csv.reader(file) for cell in row}
    assert {name for action in THUMOS14 for name in action.kinetics} <= classes
    assert [action.name for action in THUMOS14 if not action.kinetics] == ["Billiards"]


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("#GolfSwing", "golfswing"),
        (" golf swing\n", "golfswing"),
        ("ＧＯＬＦ", "golf"),
        ("ゴルフ", "ゴルフ"),
        ("straße", "strasse"),
        ("##a#b", "ab"),
        ("⛳golf", "⛳golf"),
        ("x" * 200, "x" * 200),
        ("' OR 1=1--", "'or1=1--"),
    ],
)
def test_tags_are_compared_as_platforms_do(given, normal):
    assert normalise_tag(given) == normal
    assert normalise_tag(normal) == normal


@pytest.mark.parametrize("tag", ["", "#", " \t", "x" * 201, "a\x00b", "a\u202eb", "\ud800"])
def test_what_is_no_tag_is_refused_in_one_line(tag):
    with pytest.raises(BadInput, match="invalid tag") as caught:
        normalise_tag(tag)
    assert "\n" not in str(caught.value)


def test_a_tag_finds_its_action():
    assert action_of_tag("#GolfDrive").name == "GolfSwing"
    assert action_of_tag("golfswing").name == "GolfSwing"
    assert action_of_tag("cooking") is None
    assert action_of_tag("Kochen", [Action("Cooking", ("kochen",))]).name == "Cooking"


def test_actions_of_ones_own(tmp_path):
    path = tmp_path / "actions.csv"
    path.write_text(
        "\ufeffaction,tags,kinetics\nCooking,#Kochen cuisine,cooking chicken|frying vegetables\nJuggling,,\n",
        encoding="utf-8",
    )
    cooking, juggling = read_actions(path)
    assert cooking == Action("Cooking", ("kochen", "cuisine"), "", ("cooking chicken", "frying vegetables"))
    assert juggling.tags == ("juggling",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "lacks the column"),
        (b"action,tags\n", "has no actions"),
        (b"action,tags,colour\nA,a,red\n", "unknown column"),
        (b"action,tags\nA,a\n,b\n", "line 3"),
        (b"action,tags\nA,a,b,c\n", "line 2"),
        (b"action,tags\nA,\x00\n", "invalid tag"),
        (b"action,tags\nCaf\xe9,cafe\n", "not UTF-8"),
        (b'action,tags\n"A,a\n', "not CSV"),
        (b"action,tags\nA,#\n", "invalid tag"),
        (b"action,tags\nA,a\nA,b\n", "twice"),
    ],
)
def test_a_file_of_actions_that_cannot_be_used(tmp_path, content, words):
    path = tmp_path / "actions.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=words) as caught:
        read_actions(path)
    assert "\n" not in str(caught.value)


def test_a_file_of_actions_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="cannot read"):
        read_actions(tmp_path / "none.csv")
