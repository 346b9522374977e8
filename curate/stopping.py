"""When an action needs no more looking: its quota is filled, or nearly all that is left is expected to be good.

The expectation is curate.suspicion's, calibrated on the action's own decisions; what holds a person to account is the
audit (curate.audit), not this.
"""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy.orm import Session

from curate.ranking import Fitted, fit
from curate.suspicion import expected_good
from curate.suspicion_rows import found_clips
from db.models import Verdict

GOOD = 0.95  # of the rest, by the lower bound


@dataclass(frozen=True)
class Stopping:
    """How an action stands. expected_good and its lower 95 % bound are of the undecided clips that are ranked."""

    undecided: int
    ranked: int  # of the undecided ones
    kept: int
    decided: int
    expected_good: float | None  # None where nothing undecided is ranked
    lower: float | None
    reason: Literal["done", "quota", "good"] | None  # None: go on
    words: str


def stopping(
    session: Session, action_id: int, quota: int | None = None, good: float = GOOD, fitted: Fitted | None = None
) -> Stopping:
    """Whether an action may be left. quota: kept clips wanted; good: share of the rest that is good enough.

    fitted: what `rerank` returned, to spare fitting again.
    """
    fitted = fitted or fit(session, action_id)
    found = set(found_clips(session, action_id).tolist())
    undecided, kept = len(found - fitted.verdicts.keys()), list(fitted.verdicts.values()).count(Verdict.KEEP)
    ranked, expected, lower = int(fitted.undecided.sum()), None, None
    if ranked:
        expected, lower = expected_good(fitted.combination, fitted.scores[fitted.undecided])
    if quota is not None and kept >= quota:
        reason, words = "quota", f"quota filled: {kept} kept, {quota} wanted"
    elif not undecided:
        reason, words = "done", "every clip is decided"
    elif lower is not None and lower >= good:
        reason, words = "good", f"{good:.0%} of the rest is expected good: {_share(expected, lower, ranked)}"
    else:
        reason, words = None, "go on: " + _left(expected, lower, ranked, undecided, quota, kept)
    if reason == "good" and undecided > ranked:
        words += f"; {undecided - ranked} without features need a look"
    return Stopping(undecided, ranked, kept, len(fitted.verdicts), expected, lower, reason, words)


def _left(
    expected: float | None, lower: float | None, ranked: int, undecided: int, quota: int | None, kept: int
) -> str:
    told = f"{undecided} clips left, none of them ranked"
    if expected is not None and lower is not None:
        told = _share(expected, lower, ranked)
    return told if quota is None else f"{told}; {quota - kept} more to keep"


def _share(expected: float, lower: float, ranked: int) -> str:
    return f"about {expected:.0%} of {ranked} (at least {lower:.0%})"
