"""The ablation: its rows, its seeds, and tables with mean and sd."""

import pytest

from plusmv.core.errors import BadInput
from plusmv.wsal.experiments import PROPOSAL_VARIANTS, Score, ablation_rows, as_markdown, seeded, summarised
from plusmv.wsal.settings import Settings


def test_the_rows_are_every_choice_of_three_terms():
    rows = ablation_rows(Settings())
    terms = {settings.own for settings in rows.values()}
    assert len(rows) == len(terms) == 8
    assert next(iter(rows)) == "fg"
    assert rows["fg + bg + guide + cluster"] == Settings()
    assert rows["fg + bg"] == Settings.of(guide_weight=0.0, cluster_weight=0.0)
    assert ablation_rows(Settings(), [Settings(method="stpn")])["STPN"].method == "stpn"


def test_all_runs_of_a_method_can_be_trained_as_one_stack():
    runs = seeded(ablation_rows(Settings(), [Settings(method="stpn")]), 5)
    assert len(runs) == len(set(runs.values())) == 45
    assert len({settings.shared() for settings in runs.values()}) == 2
    with pytest.raises(BadInput, match="at least one seed"):
        seeded({}, 0)


def test_tables_hold_mean_and_sd_over_seeds():
    first, *rest = PROPOSAL_VARIANTS
    scores = [
        Score(row="fg", seed=seed, way=first, mAP=[value] * 9, top1=value, attention=[0, value, 1])
        for seed, value in enumerate((0.1, 0.3))
    ]
    scores += [Score(row="fg", seed=0, way=way, mAP=[0.0] * 9, top1=0, attention=[0, 0, 0]) for way in rest]
    table, *others = summarised(scores, ["fg"])
    assert table["rows"][0]["mAP"]["mean"] == pytest.approx([0.2] * 9)
    assert table["rows"][0]["mAP"]["sd"] == pytest.approx([0.02**0.5] * 9)
    assert others[0]["rows"][0]["mAP"]["sd"] is None  # one seed
    counts = {"training_videos": 1, "test_videos": 2, "epochs": 3, "seeds": 2}
    labels = {"features": "SIMULATED", "timeline": "drawn", "protocol": "p", "note": "n"}
    result = counts | labels | {"settings": Settings().to_json(), "tables": [table]}
    text = as_markdown(result)
    assert "| fg | 20.0 ± 14.1 |" in text
    assert "SIMULATED" in text
    assert first in text
