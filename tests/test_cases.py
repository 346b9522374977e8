"""The small inputs of ../shared/cases that once went wrong: which module tests each, and here those that no other does.

make_sidecars.py: test_sidecars. late_video.mp4, two_video.mkv: test_clock. sar2.mp4: test_display. truncated.mp4:
test_cut_short. eval: test_evaluation_notes. own.csv, own.json, decisions.csv (microvideos that add nothing):
test_exit_codes. Arrays of one stream or in another layout: test_feature_source. Clips turned in their pixels and clips
with one end card, which are no files there: here, as a user runs the commands.
"""

from pathlib import Path

import numpy as np
import pytest

from tests.moving_scenes import scene, write
from tests.test_curate_commands import result
from tests.test_stills import still


def test_every_case_has_its_module(shared):
    cases = {path.name for path in (shared / "cases").iterdir()} - {"README.md"}
    assert {case for case in cases if case not in __doc__} == set()


@pytest.mark.slow
def test_turned_clips_are_one_group_and_clips_with_one_end_card_are_none(tmp_path):
    """As `plusmv dedup` says it."""
    frames, end = scene(1, 1, 3.0), still(2.0)
    clips = {"upright": frames, "quarter": [np.rot90(frame, -1) for frame in frames],
             "half": [np.rot90(frame, 2) for frame in frames], "one": scene(2, 2, 3.0) + end,
             "other": scene(3, 3, 3.0) + end}  # fmt: skip
    for name, shown in clips.items():
        write(tmp_path / "clips" / "golfswing" / f"{name}.mp4", shown)
    result(tmp_path / "home", "crawl", "--path", tmp_path / "clips", "--workers", 1)
    found = result(tmp_path / "home", "dedup", "--workers", 1)
    names = {side["sha256"]: Path(side["posts"][0]).stem for pair in found["pairs"] for side in (pair["a"], pair["b"])}
    told = {frozenset(names[pair[side]["sha256"]] for side in "ab"): pair for pair in found["pairs"]}
    assert {pair: how["kind"] for pair, how in told.items()} == {
        frozenset(("upright", "quarter")): "copy",
        frozenset(("upright", "half")): "copy",
        frozenset(("quarter", "half")): "copy",
        frozenset(("one", "other")): "shared",
    }
    quarter = told[frozenset(("upright", "quarter"))]
    assert quarter["turn"] == (90 if names[quarter["a"]["sha256"]] == "upright" else 270)
    assert [sorted(names[sha256] for sha256 in group) for group in found["groups"]] == [["half", "quarter", "upright"]]
