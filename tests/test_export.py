"""The export: kept clips and no others, in the field's format, the same bytes for the same decisions."""

import json

from sqlalchemy import func, select

from plusmv.core.annotations import Instance, read_annotations
from plusmv.core.workspace import Workspace, sha256_of
from plusmv.curate.dataset.export import export_microvideos
from plusmv.curate.report.summary import report
from plusmv.curate.review.decisions import decide, undo
from plusmv.curate.review.queue import last_decisions
from plusmv.db.models import Action, Export
from tests.test_decisions import a_clip


def decided(catalog) -> None:
    """a kept; b kept under two actions; c mistagged; d duplicate; e undecided; f kept, then unusable; g undone."""
    with catalog.writing() as session:
        clips = {digit: a_clip(session, digit, "Diving").id for digit in "gfedca"}
        clips["b"] = a_clip(session, "b", "Diving", "CliffDiving").id
        ids = {action.name: action.id for action in session.scalars(select(Action))}
        for digit in "abfg":
            decide(session, clips[digit], "keep", "me", ids["Diving"])
        undo(session, last_decisions(session, "me", 1)[0].id, "me")
        decide(session, clips["b"], "keep", "me", ids["CliffDiving"])
        decide(session, clips["c"], "mistagged", "me", ids["Diving"])
        decide(session, clips["d"], "duplicate", "me")
        decide(session, clips["f"], "unusable", "me")


def exports(catalog) -> int:
    with catalog.reading() as session:
        return session.scalar(select(func.count()).select_from(Export))


def test_kept_clips_are_exported_with_every_action_they_were_kept_for(catalog, tmp_path):
    workspace = Workspace(tmp_path)
    decided(catalog)
    result = export_microvideos(catalog, workspace)
    videos = read_annotations(workspace.exports / "microvideos.json", "microvideo")
    assert list(videos) == ["a" * 64, "b" * 64]
    assert videos["a" * 64].instances == (Instance("Diving", 0.0, 6.0, weak=True),)
    assert videos["b" * 64].labels == ("CliffDiving", "Diving")
    assert (videos["a" * 64].duration, videos["a" * 64].fps) == (6.0, 25.0)
    assert result["per_action"] == {"CliffDiving": 1, "Diving": 2}
    assert (result["clips"], result["labels"]) == (2, 3)
    assert result["left_out"] == {"mistagged": 1, "duplicate": 1, "unusable": 1, "undecided": 2}
    assert result["labels"] + sum(result["left_out"].values()) == report(catalog)["totals"]["clips"]


def test_the_same_decisions_give_the_same_bytes_and_one_row(catalog, tmp_path):
    workspace = Workspace(tmp_path)
    decided(catalog)
    first = export_microvideos(catalog, workspace)
    again = export_microvideos(catalog, workspace)
    assert again == first | {"changes": {"added": [], "left": [], "taken_down": 0}}
    assert first["sha256"] == sha256_of(workspace.exports / "microvideos.json")
    assert exports(catalog) == 1
    with catalog.writing() as session:
        undo(session, last_decisions(session, "me", 1)[0].id, "me")  # f is kept again
        row = session.scalar(select(Export))
        assert (row.path, row.format, row.clips) == ("exports/microvideos.json", "activitynet", ["a" * 64, "b" * 64])
    assert export_microvideos(catalog, workspace)["clips"] == 3
    assert exports(catalog) == 2


def test_nothing_kept_is_an_empty_data_set(catalog, tmp_path):
    result = export_microvideos(catalog, Workspace(tmp_path))
    assert (result["clips"], result["labels"], result["per_action"]) == (0, 0, {})
    assert json.loads((tmp_path / "exports" / "microvideos.json").read_text())["database"] == {}
