"""Agreement: Cohen's kappa between annotators, what they disagree on, who decided what, and at which pace.

Two opinions count as independent: what is decided again on purpose (audits, contradictions) is left out, and each
annotator's own newest standing decision of a clip under an action is their opinion of it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypedDict

import numpy as np
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from plusmv.db.models import Action, Clip, Decision, How, Verdict
from plusmv.db.queries import live_decisions

NOT_BLIND = (How.AUDIT, How.CONTRADICTIONS)
COUNTED: dict[Verdict, Literal["keep", "mistagged", "duplicate", "unusable"]] = {
    Verdict.KEEP: "keep",
    Verdict.MISTAGGED: "mistagged",
    Verdict.DUPLICATE: "duplicate",
    Verdict.UNUSABLE: "unusable",
}
GLANCES = (How.GRID, How.ACCEPTED)
ClipAction = tuple[int, int]  # clip id, action id
Opinions = Mapping[ClipAction, Mapping[str, tuple[Verdict, How | None]]]  # of a pair, by annotator


class AgreementRow(TypedDict):
    clips: int  # pairs of opinions
    annotators: int
    agreed: float | None
    kappa: float | None
    words: str


class Disagreement(TypedDict):
    clip: str  # sha256
    clip_id: int
    action: str
    action_id: int
    verdicts: dict[str, str]  # by annotator


class ByLook(TypedDict):
    alone: AgreementRow
    glanced: AgreementRow  # somebody saw the clip only in a grid


class Agreement(TypedDict):
    all: AgreementRow
    actions: dict[str, AgreementRow]
    by_look: ByLook
    disagreements: list[Disagreement]


class AnnotatorCounts(TypedDict):
    """The standing decisions of one annotator, by verdict, those undone, and active time where it is known."""

    decisions: int
    keep: int
    mistagged: int
    duplicate: int
    unusable: int
    undone: int
    seconds: float
    seconds_per_clip: float | None


class Pace(TypedDict):
    """The standing decisions made one way (How, or "unknown")."""

    decisions: int
    timed: int
    seconds_per_clip: float | None


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa. None where it is not defined; `words` then say why."""

    value: float | None
    agreed: float | None  # share of the clips on which both said the same
    clips: int
    words: str


def cohens_kappa(first: Sequence[object], second: Sequence[object]) -> Kappa:
    """Agreement of two annotators on the same N clips, beyond what their own rates would give by chance (Cohen 1960).

    Where both always say one and the same thing chance explains everything: not defined, and said so.
    """
    _, codes = np.unique(np.array([*map(str, first), *map(str, second)]), return_inverse=True)
    if not len(codes):
        return Kappa(None, None, 0, "no clip was judged by two")
    a, b = codes[: len(first)], codes[len(first) :]
    agreed = float((a == b).mean())
    by_chance = sum(float((a == code).mean() * (b == code).mean()) for code in range(codes.max() + 1))
    if by_chance == 1.0:
        return Kappa(None, agreed, len(a), f"all {len(a)} agree on {first[0]}: kappa is not defined")
    value = (agreed - by_chance) / (1 - by_chance)
    return Kappa(value, agreed, len(a), f"kappa {value:.2f}, {agreed:.0%} of {len(a)} agreed")


def mean_kappa(opinions: Mapping[str, Mapping[ClipAction, object]]) -> Kappa:
    """Of all annotators: the plain mean over their pairs that share clips (Light 1971); {name: {pair: verdict}}."""
    each = []
    for one, other in combinations(sorted(opinions), 2):
        shared = sorted(opinions[one].keys() & opinions[other].keys())
        if shared:
            each.append(cohens_kappa(*([opinions[who][pair] for pair in shared] for who in (one, other))))
    if len(each) == 1:
        return each[0]
    if not each:
        return cohens_kappa((), ())
    clips = sum(kappa.clips for kappa in each)
    agreed = sum((kappa.agreed or 0.0) * kappa.clips for kappa in each) / clips
    defined = [kappa.value for kappa in each if kappa.value is not None]
    if not defined:
        return Kappa(None, agreed, clips, f"no two annotators saw two kinds of clips: {agreed:.0%} agreed, no kappa")
    value = float(np.mean(defined))
    words = f"mean kappa {value:.2f} over {len(defined)} pairs of annotators, {agreed:.0%} of {clips} agreed"
    return Kappa(value, agreed, clips, words)


def agreement(session: Session) -> Agreement:
    """Cohen's kappa over all clips that two or more annotators judged, by action, by how they looked; what differs."""
    shared = shared_opinions(session)
    names = dict(session.execute(select(Action.id, Action.name)).all())
    by_action: dict[str, dict[ClipAction, Mapping]] = defaultdict(dict)
    by_look: dict[str, dict[ClipAction, Mapping]] = {"alone": {}, "glanced": {}}
    for pair, opinions in shared.items():
        by_action[names[pair[1]]][pair] = opinions
        glanced = any(how in GLANCES for _, how in opinions.values())
        by_look["glanced" if glanced else "alone"][pair] = opinions
    split = {pair: said for pair, said in shared.items() if len({verdict for verdict, _ in said.values()}) > 1}
    clip_ids = {clip_id for clip_id, _ in split}
    hashes = dict(session.execute(select(Clip.id, Clip.sha256).where(Clip.id.in_(clip_ids))).all())
    return {
        "all": _row(shared),
        "actions": {name: _row(by_action[name]) for name in sorted(by_action)},
        "by_look": {"alone": _row(by_look["alone"]), "glanced": _row(by_look["glanced"])},
        "disagreements": [
            {
                "clip": hashes[clip_id],
                "clip_id": clip_id,
                "action": names[action_id],
                "action_id": action_id,
                "verdicts": {who: str(verdict) for who, (verdict, _) in sorted(said.items())},
            }
            for (clip_id, action_id), said in sorted(split.items(), key=lambda pair: (names[pair[0][1]], pair[0]))
        ],
    }


def shared_opinions(session: Session) -> Opinions:
    """{(clip, action): {annotator: (verdict, how)}} of what two or more annotators judged, each on their own."""
    blind = or_(Decision.how.is_(None), Decision.how.not_in(NOT_BLIND))
    standing = live_decisions().where(blind)
    seen = standing.subquery()
    several = select(seen.c.clip_id).group_by(seen.c.clip_id).having(func.count(seen.c.annotator.distinct()) > 1)
    columns = (Decision.clip_id, Decision.action_id, Decision.annotator, Decision.verdict, Decision.how)
    rows = session.execute(
        standing.where(Decision.clip_id.in_(several))
        .with_only_columns(*columns)
        .order_by(Decision.clip_id, Decision.id)
    )
    of_clip: dict[int, list] = defaultdict(list)
    for clip_id, *opinion in rows:
        of_clip[clip_id].append(opinion)
    found = {}
    for clip_id, said in of_clip.items():
        for action_id in {action_id for action_id, *_ in said if action_id is not None}:
            newest = {who: (verdict, how) for action, who, verdict, how in said if action in (action_id, None)}
            if len(newest) > 1:
                found[clip_id, action_id] = newest
    return found


def annotators(session: Session) -> dict[str, AnnotatorCounts]:
    """{annotator: counts}, by name."""
    standing = live_decisions().subquery()
    columns = (standing.c.annotator, standing.c.verdict)
    timed = (func.count(), func.sum(standing.c.seconds), func.count(standing.c.seconds))
    rows: dict[str, AnnotatorCounts] = {}
    spent: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    for name, verdict, count, seconds, with_seconds in session.execute(select(*columns, *timed).group_by(*columns)):
        row = rows.setdefault(name, _nothing())
        row["decisions"] += count
        row[COUNTED[verdict]] = count
        spent[name][0] += seconds or 0.0
        spent[name][1] += with_seconds
    later = Decision.__table__.alias()
    undone = select(Decision.annotator, func.count()).join(later, later.c.undoes_id == Decision.id)
    for name, count in session.execute(undone.group_by(Decision.annotator)):
        rows.setdefault(name, _nothing())["undone"] = count
    for name, (seconds, count) in spent.items():
        rows[name]["seconds"], rows[name]["seconds_per_clip"] = seconds, seconds / count if count else None
    return dict(sorted(rows.items()))


def pace(session: Session) -> dict[str, Pace]:
    """{How a decision was made: pace}, "unknown" where the decision does not say."""
    standing = live_decisions().subquery()
    sums = (func.count(), func.count(standing.c.seconds), func.sum(standing.c.seconds))
    found: dict[str, Pace] = {}
    for how, count, timed, seconds in session.execute(select(standing.c.how, *sums).group_by(standing.c.how)):
        per_clip = seconds / timed if timed else None
        found[str(how or "unknown")] = {"decisions": count, "timed": timed, "seconds_per_clip": per_clip}
    return dict(sorted(found.items()))


def _nothing() -> AnnotatorCounts:
    return {
        "decisions": 0,
        "keep": 0,
        "mistagged": 0,
        "duplicate": 0,
        "unusable": 0,
        "undone": 0,
        "seconds": 0.0,
        "seconds_per_clip": None,
    }


def _row(opinions: Opinions) -> AgreementRow:
    by_annotator: dict[str, dict[ClipAction, str]] = defaultdict(dict)
    for pair, said in opinions.items():
        for who, (verdict, _) in said.items():
            by_annotator[who][pair] = str(verdict)
    kappa = mean_kappa(by_annotator)
    return {
        "clips": kappa.clips,
        "annotators": len(by_annotator),
        "agreed": kappa.agreed,
        "kappa": kappa.value,
        "words": kappa.words,
    }
