"""demo.walk and the report: the whole way on the tiny world, through the real commands, with random weights."""

import json
import re

import pytest

from plusmv.core.errors import PlusmvError, Refused
from plusmv.demo.report import write_report
from plusmv.demo.walk import WalkSettings, found_copies, sums_up, walk
from plusmv.demo.world import TINY

SETTINGS = WalkSettings(TINY, ("rgb",), seeds=(0,), steps=20, shown="rendered_test_0001")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def nothing_to_download(tmp_path_factory):
    """No weights here, and a pip that may not look for any."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLUSMV_WEIGHTS", str(tmp_path_factory.mktemp("weights")))
        patch.setenv("PIP_NO_INDEX", "1")
        yield


@pytest.fixture(scope="module")
def walked(home, nothing_to_download):
    return walk(home, SETTINGS, print)


@pytest.mark.slow
def test_the_whole_way(walked, home):
    clips = walked.answers["report"]["totals"]
    assert clips["clips"] == clips["kept"] + clips["mistagged"] + clips["duplicate"] > 0
    assert clips["kept"] == walked.answers["export"]["clips"] == len(walked.answers["extract kept clips"]["clips"])
    assert walked.answers["crawl"]["totals"]["failed"] == 1  # the broken file
    assert walked.answers["copies"]["exact"] == (1, 1)
    assert [len(answers) for answers in walked.evaluations.values()] == [1, 1]
    with_mv, without = (walked.answers[f"train {arm}"]["runs"][0] for arm in ("+MV", "without"))
    assert with_mv["videos"] == without["videos"] + clips["kept"]
    assert with_mv["settings"]["steps"] == without["settings"]["steps"] == SETTINGS.steps


@pytest.mark.slow
def test_random_weights_are_named_everywhere(walked):
    assert walked.random_weights
    assert walked.label == "rendered data, random weights"
    page = write_report(walked).read_text(encoding="utf-8")
    assert page.count(walked.label) >= 4
    assert "The networks are random" in page


@pytest.mark.slow
def test_the_report_needs_no_network(walked):
    page = write_report(walked).read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == len(re.findall(r"src=|href=", page))
    assert [source[:40] for source in sources if not source.startswith("data:image/")] == []
    assert "url(" not in page and "<script" not in page
    assert page.count('src="data:image') >= 4 + 6 + 3  # strips, clips, plots


@pytest.mark.slow
def test_the_same_walk_again_does_nothing_twice(walked, home, nothing_to_download):
    again = walk(home, SETTINGS, print)
    assert again.answers["crawl"]["totals"]["downloaded"] == 0
    assert again.answers["report"] == walked.answers["report"]
    assert [again.answers[f"extract {what}"]["done"] for what in ("videos", "kept clips")] == [0, 0]
    assert all(run["finished_before"] for run in again.answers["train +MV"]["runs"])
    assert json.dumps(again.evaluations) == json.dumps(walked.evaluations)


def test_counts_that_do_not_add_up_are_an_error():
    assert sums_up("found", {"found": 5, "new": 3, "known": 2, "failed": 0}, ("new", "known", "failed")) == (
        "5 found = 3 new + 2 known"
    )
    with pytest.raises(PlusmvError, match="do not add up"):
        sums_up("found", {"found": 6, "new": 3, "known": 2}, ("new", "known"))


def test_found_copies_are_counted_by_kind_and_wrong_pairs_apart():
    truth = [
        {"file": "a", "of": "", "verdict": "keep", "how": "original"},
        {"file": "b", "of": "a", "verdict": "duplicate", "how": "mirrored"},
        {"file": "c", "of": "a", "verdict": "duplicate", "how": "mirrored"},
        {"file": "d", "of": "", "verdict": "keep", "how": "original"},
    ]
    pairs = [{"a": {"posts": ["a"]}, "b": {"posts": ["b"]}}, {"a": {"posts": ["d"]}, "b": {"posts": ["c"]}}]
    assert found_copies({"pairs": pairs}, truth) == {"mirrored": (1, 2), "wrong pairs": (1, 2)}


def test_a_workspace_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "catalog.db").touch()
    with pytest.raises(Refused, match="of its own"):
        walk(tmp_path, SETTINGS, print)
    assert [path.name for path in tmp_path.iterdir()] == ["catalog.db"]
