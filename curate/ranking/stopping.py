"""When an action needs no more looking: its quota is filled, or what is left is expected nearly all good, or wrong.

Whoever begins with the most suspicious clips ends at a rest that may be kept, whoever begins with the least suspicious
ones at a rest that is not worth a look; the latter keeps nothing unseen.

The expectation is ranking.signals's, calibrated on the action's own decisions; what holds a person to account is the
audit (curate.report.audit), not this.
"""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy.orm import Session

from plusmv.curate.ranking.rank import Fitted, fit
from plusmv.curate.ranking.scores import found_clips
from plusmv.curate.ranking.signals import expected_good
from plusmv.db.models import Verdict

GOOD = 0.95  # of the rest is of one kind, by the bound on the careful side


Reason = Literal["done", "quota", "good", "wrong"]


@dataclass(frozen=True)
class Stopping:
    """How an action stands. expected_good, with its 95 % bounds, is of the undecided clips that are ranked."""

    undecided: int
    ranked: int  # of the undecided ones
    kept: int
    decided: int
    expected_good: float | None  # None where nothing undecided is ranked
    lower: float | None
    upper: float | None
    reason: Reason | None  # None: go on
    words: str


def stopping(
    session: Session, action_id: int, quota: int | None = None, good: float = GOOD, fitted: Fitted | None = None
) -> Stopping:
    """Whether an action may be left. quota: kept clips wanted; good: share of the rest that is enough.

    fitted: what `rerank` returned, to spare fitting again.
    """
    fitted = fitted or fit(session, action_id)
    found = set(found_clips(session, action_id).tolist())
    undecided, kept = len(found - fitted.verdicts.keys()), list(fitted.verdicts.values()).count(Verdict.KEEP)
    ranked = int(fitted.undecided.sum())
    expected = lower = upper = None
    if ranked:
        expected, lower, upper = expected_good(fitted.combination, fitted.scores[fitted.undecided])
    reason: Reason | None
    if quota is not None and kept >= quota:
        reason, words = "quota", f"quota filled: {kept} kept, {quota} wanted"
    elif not undecided:
        reason, words = "done", "every clip is decided"
    elif expected is not None and lower is not None and lower >= good:
        reason, words = "good", f"{good:.0%} of the rest is expected good: {_share(expected, lower, ranked)}"
    elif expected is not None and upper is not None and upper <= 1 - good:
        reason, words = (
            "wrong",
            f"{good:.0%} of the rest is expected wrong: good are {_share(expected, upper, ranked, 'most')}",
        )
    else:
        reason, words = None, "go on: " + _left(expected, lower, ranked, undecided, quota, kept)
    if reason in ("good", "wrong") and undecided > ranked:
        words += f"; {undecided - ranked} without features need a look"
    return Stopping(undecided, ranked, kept, len(fitted.verdicts), expected, lower, upper, reason, words)


def _left(
    expected: float | None, lower: float | None, ranked: int, undecided: int, quota: int | None, kept: int
) -> str:
    left = f"{undecided} left, none of them ranked"
    if expected is not None and lower is not None:
        left = _share(expected, lower, ranked)
    return left if quota is None else f"{left}; {quota - kept} more to keep"


def _share(expected: float, bound: float, ranked: int, side: str = "least") -> str:
    return f"about {expected:.0%} of {ranked} (at {side} {bound:.0%})"
