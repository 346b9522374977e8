"""Audit: how pure the kept clips really are, estimated from a random sample that somebody looks at again.

Suspicion's own expectation is a model's word; this is a measurement. Pairs are drawn from those that stand as keep, in
an order that depends on nothing but their content, so that the first n of an action are a random sample whoever asks,
and its verdicts carry How.AUDIT.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from statistics import NormalDist
from typing import NotRequired, TypedDict

from sqlalchemy import Row, or_, select
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.elements import ColumnElement

from plusmv.db.models import Action, Clip, Decision, How, Verdict
from plusmv.db.queries import live_decisions

TWO_SIDED = NormalDist().inv_cdf(0.975)
FEW = 2000  # keeps of an action that are sorted rather than walked along


class PurityRow(TypedDict):
    """What an audit found, with Wilson's 95 % interval; None where nothing was audited."""

    audited: int
    good: int  # audited as keep again
    purity: float | None
    lower: float | None
    upper: float | None
    covers: NotRequired[float]  # of "all": the share of all kept clips that the audited actions hold


class Purity(TypedDict):
    all: PurityRow  # each audited action weighted by its kept clips
    actions: dict[str, PurityRow]
    by_how: dict[str, PurityRow]  # by how the keep came about, over all actions


def audit_order(sha256: str, action_id: int) -> int:
    """Where a clip stands in the audit of an action: contents' hashes are random, and each action starts elsewhere."""
    return (int(sha256, 16) - int(_start(action_id), 16)) % 2**256


def next_to_audit(session: Session, action_id: int, count: int) -> list[int]:
    """Ids of the next clips to audit: they stand as keep under the action, nobody has audited them yet."""
    keeps = Decision.action_id == action_id, Decision.verdict == Verdict.KEEP
    if session.scalar(select(Decision.id).where(*keeps).offset(FEW).limit(1)) is None:
        kept = select(Clip.id, Clip.sha256).where(Clip.id.in_(select(Decision.clip_id).where(*keeps)), _kept(action_id))
        ordered = sorted(session.execute(kept), key=lambda row: audit_order(row.sha256, action_id))
        return [clip_id for clip_id, _ in ordered[:count]]
    walk = select(Clip.id).where(_kept(action_id)).order_by(Clip.sha256).limit(count)
    start = _start(action_id)
    found = list(session.scalars(walk.where(Clip.sha256 >= start)))
    return found + list(session.scalars(walk.where(Clip.sha256 < start).limit(count - len(found))))


def wilson(share: float, count: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share seen in `count` draws."""
    if count <= 0:
        return 0.0, 1.0
    z = TWO_SIDED**2 / count
    middle = (share + z / 2) / (1 + z)
    half = TWO_SIDED / (1 + z) * (share * (1 - share) / count + z / (4 * count)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)


def purity(session: Session, kept: Mapping[str, int]) -> Purity:
    """Purity of what stood as keep before it was audited. kept: {action: clips that are kept now}."""
    names = dict(session.execute(select(Action.id, Action.name)).all())
    by_action: dict[str, list[bool]] = defaultdict(list)
    by_how: dict[str, list[bool]] = defaultdict(list)
    for action_id, how, good in audited(session):
        by_action[names[action_id]].append(good)
        by_how[str(how or "unknown")].append(good)
    return {
        "all": _stratified(by_action, kept),
        "actions": {name: _row(by_action[name]) for name in sorted(by_action)},
        "by_how": {how: _row(by_how[how]) for how in sorted(by_how)},
    }


def audited(session: Session) -> list[tuple[int, How | None, bool]]:
    """(action, how the keep came about, whether it was good) of each audited pair, by its newest audit."""
    columns = (Decision.id, Decision.clip_id, Decision.action_id, Decision.verdict, Decision.how)
    looked = live_decisions().where(Decision.how == How.AUDIT).with_only_columns(Decision.clip_id)
    rows = live_decisions().where(Decision.clip_id.in_(looked)).with_only_columns(*columns).order_by(Decision.id)
    of_clip: dict[int, list] = defaultdict(list)
    for row in session.execute(rows):
        of_clip[row.clip_id].append(row)
    found = []
    for decisions in of_clip.values():
        for action_id in sorted({row.action_id for row in decisions if row.action_id is not None}):
            before: Row | None = None
            good: bool | None = None
            for row in decisions:
                if row.action_id not in (action_id, None):
                    continue
                if row.how != How.AUDIT:
                    before = row if good is None else before
                elif before is not None and before.verdict == Verdict.KEEP:
                    good = row.verdict == Verdict.KEEP
            if before is not None and good is not None:
                found.append((action_id, before.how, good))
    return found


def _stratified(by_action: Mapping[str, list[bool]], kept: Mapping[str, int]) -> PurityRow:
    """The mean over actions weighted by their kept clips; its interval is that of as many draws as it is worth."""
    good = {name: sum(seen) for name, seen in by_action.items()}
    before = {name: kept.get(name, 0) + len(seen) - good[name] for name, seen in by_action.items()}  # found wrong since
    total = sum(before.values())
    if not total:
        return {**_row([]), "covers": 0.0}
    share = sum(before[name] / total * good[name] / len(seen) for name, seen in by_action.items())
    worth = 1 / sum((before[name] / total) ** 2 / len(seen) for name, seen in by_action.items())
    lower, upper = wilson(share, worth)
    everything = total + sum(clips for name, clips in kept.items() if name not in by_action)
    return {
        "audited": sum(map(len, by_action.values())),
        "good": sum(good.values()),
        "purity": share,
        "lower": lower,
        "upper": upper,
        "covers": total / everything,
    }


def _row(seen: list[bool]) -> PurityRow:
    share = sum(seen) / len(seen) if seen else None
    lower, upper = (None, None) if share is None else wilson(share, len(seen))
    return {"audited": len(seen), "good": sum(seen), "purity": share, "lower": lower, "upper": upper}


def _kept(action_id: int) -> ColumnElement[bool]:
    """Whether a clip's newest standing decision under the action is a keep, and none is an audit."""
    keep, newer, audit = aliased(Decision), aliased(Decision), aliased(Decision)
    kept = select(keep.id).where(
        keep.clip_id == Clip.id,
        keep.action_id == action_id,
        keep.verdict == Verdict.KEEP,
        ~_undone(keep),
        ~select(newer.id).where(_stands(newer, keep), newer.id > keep.id).exists(),
        ~select(audit.id).where(_stands(audit, keep), audit.how == How.AUDIT).exists(),
    )
    return kept.exists()


def _stands(decision: type[Decision], keep: type[Decision]) -> ColumnElement[bool]:
    """Whether a decision stands for what another one is about."""
    same = (decision.clip_id == keep.clip_id) & or_(decision.action_id == keep.action_id, decision.action_id.is_(None))
    return same & (decision.verdict != Verdict.UNDO) & ~_undone(decision)


def _undone(decision: type[Decision]) -> ColumnElement[bool]:
    later = aliased(Decision)
    return select(later.id).where(later.undoes_id == decision.id).exists()


def _start(action_id: int) -> str:
    """Where in the circle of all hashes an action's audit begins."""
    return hashlib.sha256(f"audit of action {action_id}".encode()).hexdigest()
