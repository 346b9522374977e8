"""Which tags are crawled, and for which actions."""

import pytest

from plusmv.core.actions import THUMOS14, Action, actions_named
from plusmv.core.errors import BadInput
from plusmv.curate.crawl.targets import known_actions, targets_in_source, targets_of_actions, targets_of_tags
from plusmv.curate.sources.folder import FolderSource
from plusmv.db.queries import save_actions

COOKING = Action("Cooking", ("kochen", "cuisine"))


def named(targets) -> list[tuple[str, str]]:
    return [(target.tag, target.action.name) for target in targets]


def test_an_action_is_crawled_by_all_of_its_tags_and_its_name():
    assert named(targets_of_actions(["cooking"], [COOKING])) == [
        ("kochen", "Cooking"),
        ("cuisine", "Cooking"),
        ("cooking", "Cooking"),
    ]
    tags = named(targets_of_actions(["golfswing"], THUMOS14))
    assert [tag for tag, _ in tags].count("golfswing") == 1


def test_a_tag_without_an_action_names_its_own():
    assert named(targets_of_tags(["#Kochen", "New Thing", "kochen"], [COOKING])) == [
        ("kochen", "Cooking"),
        ("newthing", "newthing"),
    ]


def test_an_unknown_action_is_refused_with_those_that_are_known():
    with pytest.raises(BadInput, match="unknown action 'Sleeping'; known are Cooking"):
        targets_of_actions(["Sleeping"], [COOKING])


def test_actions_by_name_or_file(tmp_path):
    assert actions_named("THUMOS14") == THUMOS14
    (tmp_path / "own.csv").write_text("action,tags\nCooking,kochen cuisine\n")
    assert actions_named(str(tmp_path / "own.csv")) == (COOKING,)


def test_only_tags_that_the_source_has_are_crawled(tmp_path):
    for tag in ("golf", "cuisine"):
        (tmp_path / tag).mkdir()
        (tmp_path / tag / "a.mp4").write_bytes(b"clip")
    source, chosen = FolderSource(tmp_path), targets_of_actions(["Cooking"], [COOKING])
    assert named(targets_in_source(chosen, source, [COOKING])) == [("cuisine", "Cooking")]
    assert named(targets_in_source([], source, [COOKING])) == [("cuisine", "Cooking"), ("golf", "golf")]
    with pytest.raises(BadInput, match=r"no post is tagged surf here; the tags are cuisine, golf"):
        targets_in_source(targets_of_tags(["surf"], []), source, [])


def test_the_catalog_remembers_actions_of_ones_own(catalog):
    with catalog.writing() as session:
        save_actions(session, [COOKING, THUMOS14[0]])
    assert named(targets_of_tags(["cuisine", "diving"], known_actions(catalog))) == [
        ("cuisine", "Cooking"),
        ("diving", "Diving"),
    ]
    assert len(known_actions(catalog)) == 21
