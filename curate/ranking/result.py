"""The result of `plusmv rank`: how every action's clips were ranked, and whether the action needs no more looking."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from plusmv.core.outcome import Ended
from plusmv.curate.ranking.rank import ActionRank
from plusmv.curate.ranking.stopping import Reason, Stopping


class RankTotals(TypedDict):
    """undecided = ranked + without_features"""

    clips: int
    undecided: int
    ranked: int
    without_features: int


class RankedAction(RankTotals):
    """expected_good, with its 95 % bounds, is of the undecided clips that are ranked; None where there is none."""

    signals: dict[str, int]  # clips that have each
    missing: dict[str, str]  # a signal that no clip has, and why
    reasons: dict[str, int]  # why clips have no features
    kept: int
    expected_good: float | None
    expected_good_at_least: float | None
    expected_good_at_most: float | None
    stop: Reason | None  # None: go on
    words: str


class RankResult(TypedDict):
    """The JSON of `plusmv rank`."""

    actions: dict[str, RankedAction]
    totals: RankTotals


def ended(totals: RankTotals) -> Ended:
    """The clips as done (ranked) and failed (without features); where all are decided, skipped."""
    decided = 0 if totals["undecided"] else totals["clips"]
    return {"done": totals["ranked"], "skipped": decided, "failed": totals["without_features"]}


def rank_result(ranked: Sequence[ActionRank], stops: Mapping[str, Stopping]) -> RankResult:
    """stops: {action: whether it may be left}."""
    return {
        "actions": {each.action: _ranked_action(each, stops[each.action]) for each in ranked},
        "totals": {
            "clips": sum(each.clips for each in ranked),
            "undecided": sum(each.undecided for each in ranked),
            "ranked": sum(each.ranked for each in ranked),
            "without_features": sum(each.without_features for each in ranked),
        },
    }


def _ranked_action(ranked: ActionRank, stop: Stopping) -> RankedAction:
    return {
        "clips": ranked.clips,
        "undecided": ranked.undecided,
        "ranked": ranked.ranked,
        "without_features": ranked.without_features,
        "signals": ranked.signals,
        "missing": ranked.missing,
        "reasons": ranked.reasons,
        "kept": stop.kept,
        "expected_good": stop.expected_good,
        "expected_good_at_least": stop.lower,
        "expected_good_at_most": stop.upper,
        "stop": stop.reason,
        "words": stop.words,
    }
