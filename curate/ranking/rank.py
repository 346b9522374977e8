"""Ranking: the suspicion of every clip under every action, in the catalog (`plusmv rank`).

A row of suspicion_scores for each signal, and one named "combined": the probability that the clip should not be kept
under the action, by which queues and grids are ordered. `rank` reads features, batch by batch; `rerank` only what is
stored and decided, so that the labeler may call it after every page. Both may be stopped and run again at any moment.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from plusmv.core.actions import THUMOS14
from plusmv.core.actions import Action as ActionFacts
from plusmv.core.batching import batched
from plusmv.core.errors import BadInput, PlusmvError
from plusmv.core.progress import Progress
from plusmv.core.workspace import Workspace
from plusmv.curate.ranking.pooled_features import Classifier, Kind, Pooled, commonest_kind, read_pooled, vectors
from plusmv.curate.ranking.scores import (
    COMBINED,
    found_clips,
    save_scores,
    save_trainer_scores,
    standing_verdicts,
    stored_signals,
)
from plusmv.curate.ranking.signals import (
    PRIOR_RATE,
    SIGNALS,
    Combination,
    Neighbours,
    combine,
    kinetics_suspicion,
    neighbour_suspicion,
    neighbours,
    normal_scores,
)
from plusmv.db.models import Action, Clip, FeatureFile, FileState, Verdict
from plusmv.db.session import Catalog
from plusmv.db.taken_down import unchanged
from plusmv.features.classify import KINETICS_CLASSES
from plusmv.features.feature_files import NoFeatures

TOLERANCE = 1e-3  # a probability that moved by less is left as it is
BATCH = 500  # clips whose features are in memory
DECIDED_REFERENCE = 1500  # an action's clips are compared with its newest decisions ...
SAMPLE = 300  # ... some of its clips, decided or not ...
SAMPLE_OF_OTHERS = 200  # ... and some of all other actions together
GUESS = 0.1  # trust in what nobody has decided, against a decision
OTHER_KIND = "its features are of another recipe or other streams than most; run plusmv extract again"
Reference = tuple[Kind | None, Neighbours | None]
GOOD, WRONG = (Verdict.KEEP,), (Verdict.MISTAGGED, Verdict.UNUSABLE)  # a duplicate says nothing of the tag


@dataclass
class ActionRank:
    """What became of one action. undecided = ranked + without_features; reasons: why the latter have none, and what is
    damaged of the decided clips."""

    action: str
    action_id: int
    clips: int
    undecided: int = 0
    ranked: int = 0
    without_features: int = 0
    signals: dict[str, int] = field(default_factory=dict)  # clips that have it
    missing: dict[str, str] = field(default_factory=dict)  # a signal that no clip has, and why
    reasons: dict[str, int] = field(default_factory=dict)


def rank(
    catalog: Catalog,
    workspace: Workspace,
    scores: Path | None = None,
    facts: Sequence[ActionFacts] = THUMOS14,
    watch: Progress = lambda clips, total, description: clips,
    only: Sequence[int] | None = None,
) -> list[ActionRank]:
    """Score every clip under every action that found it (`only`: under these), by action name.

    scores: a CSV of `plusmv detect --scores` (id = sha256, label = action's name, score). facts: the actions' Kinetics
    classes. watch: wraps clip ids, as core.commandline.track does. Raises BadInput for any other file.
    """
    known = {action.name: _class_indices(action) for action in facts}
    with catalog.reading() as session:
        actions = {row.id: row.name for row in session.scalars(select(Action).order_by(Action.name))}
        clips = {action_id: found_clips(session, action_id) for action_id in actions}
    clips = {action_id: ids for action_id, ids in clips.items() if len(ids)}
    if scores is not None:
        save_trainer_scores(catalog, scores, {actions[action_id]: action_id for action_id in clips})
    wanted = [action_id for action_id in actions if action_id in clips and (only is None or action_id in only)]
    reader, classifier = _Reader(catalog, workspace), Classifier()
    samples = _samples(reader, clips)
    result = []
    for action_id in wanted:
        ranked = ActionRank(actions[action_id], action_id, len(clips[action_id]))
        reference = _reference(catalog, reader, action_id, clips[action_id], samples)
        classes = known.get(ranked.action, ())
        failures = _score_clips(reader, ranked, clips[action_id], reference, classifier, classes, watch)
        if not classes:
            ranked.missing["kinetics"] = "no Kinetics-400 class shows this action"
        elif classifier.label is None:
            ranked.missing["kinetics"] = classifier.why_not
        _count(ranked, rerank(catalog, action_id), clips[action_id], failures, reader.damaged)
        result.append(ranked)
    return result


def _score_clips(
    reader: "_Reader",
    ranked: ActionRank,
    clip_ids: np.ndarray,
    reference: Reference,
    classifier: Classifier,
    classes: Sequence[int],
    watch: Progress,
) -> dict[int, str]:
    """Write the signals of an action's clips that come from features; returns {clip id: why it has none}."""
    failures: dict[int, str] = {}
    for batch in batched(watch(clip_ids.tolist(), len(clip_ids), f"rank {ranked.action}"), BATCH):
        pooled, failed = reader.read(batch)
        failures |= failed
        found = _signals(pooled, reference, classifier, classes)
        with reader.catalog.writing() as session:
            same = np.array(sorted(unchanged(session, {clip_id: each.sha256 for clip_id, each in pooled.items()})), int)
            for signal, (of_clips, values) in found.items():
                there = np.isin(of_clips, same)  # the rest was taken down meanwhile
                save_scores(session, ranked.action_id, signal, of_clips[there], values[there])
    return failures


@dataclass(frozen=True)
class Fitted:
    """An action's clips that have a signal, how likely each is wrong, and the combination that says so."""

    clip_ids: np.ndarray  # (N,)
    probability: np.ndarray  # (N,) of being wrong, in [0, 1]
    undecided: np.ndarray  # (N,) bool
    scores: np.ndarray  # (N, S) normal scores
    combination: Combination
    signals: dict[str, int]  # name -> clips that have it
    verdicts: dict[int, Verdict]  # of the action's decided clips, those without a signal too


def fit(session: Session, action_id: int) -> Fitted:
    """Combine an action's stored signals, given the decisions that stand. Reads only."""
    clip_ids, signals = stored_signals(session, action_id, SIGNALS)
    there = [index for index in range(len(SIGNALS)) if np.isfinite(signals[:, index]).any()]
    names = [SIGNALS[index] for index in there]
    verdicts = standing_verdicts(session, action_id)
    wrong = np.array([_wrong(verdicts.get(clip_id)) for clip_id in clip_ids.tolist()], dtype=float)
    scores = normal_scores(signals[:, there])
    combination = combine(scores, wrong, names)
    undecided = np.array([clip_id not in verdicts for clip_id in clip_ids.tolist()], dtype=bool)
    counts = {name: int(np.isfinite(signals[:, index]).sum()) for name, index in zip(names, there, strict=True)}
    return Fitted(clip_ids, combination.probability_wrong(scores), undecided, scores, combination, counts, verdicts)


def rerank(catalog: Catalog, action_id: int) -> Fitted:
    """Write an action's "combined" scores anew, from its stored signals and the decisions so far."""
    with catalog.reading() as session:
        fitted = fit(session, action_id)
        there, before = stored_signals(session, action_id, (COMBINED,))
    old = dict(zip(there.tolist(), before[:, 0].tolist(), strict=True))
    pairs = zip(fitted.clip_ids.tolist(), fitted.probability.tolist(), strict=True)
    changed = [(clip_id, value) for clip_id, value in pairs if abs(old.get(clip_id, 9) - value) > TOLERANCE]
    for start in range(0, len(changed), 5000):  # short transactions: decisions wait for none of them
        with catalog.writing() as session:
            ids, values = zip(*changed[start : start + 5000], strict=True)
            save_scores(session, action_id, COMBINED, np.array(ids), np.array(values))
    return fitted


def _wrong(verdict: Verdict | None) -> float:
    return 1.0 if verdict in WRONG else 0.0 if verdict in GOOD else np.nan


def _class_indices(action: ActionFacts) -> tuple[int, ...]:
    unknown = [name for name in action.kinetics if name not in KINETICS_CLASSES]
    if unknown:
        raise BadInput(f"{action.name}: Kinetics-400 has no class {unknown[0]!r}; correct the actions' file")
    return tuple(KINETICS_CLASSES.index(name) for name in action.kinetics)


@dataclass(frozen=True)
class _Reader:
    catalog: Catalog
    workspace: Workspace
    damaged: dict[int, str] = field(default_factory=dict)  # {clip id: reason}, of files that are there

    def read(self, clip_ids: Sequence[int]) -> tuple[dict[int, Pooled], dict[int, str]]:
        """Pooled features of these clips, and {clip id: reason} of those that have none."""
        pooled, failed = {}, {}
        with self.catalog.reading() as session:
            clips = session.execute(select(Clip.id, Clip.sha256, Clip.error).where(Clip.id.in_(clip_ids))).all()
            tried = select(FeatureFile.clip_id, FeatureFile.error).where(
                FeatureFile.clip_id.in_(clip_ids), FeatureFile.state == FileState.FAILED
            )
            errors = dict(session.execute(tried).all())
        for clip_id, sha256, error in clips:
            try:
                pooled[clip_id] = read_pooled(self.workspace, sha256)
            except NoFeatures:
                failed[clip_id] = errors.get(clip_id) or error or "run plusmv extract"
            except PlusmvError as problem:
                failed[clip_id] = errors.get(clip_id) or error or str(problem)
                self.damaged[clip_id] = failed[clip_id]
        return pooled, failed


def _samples(reader: _Reader, clips: Mapping[int, np.ndarray]) -> dict[int, Pooled]:
    """Some clips of every action, the same ones every time."""
    size = max(1, SAMPLE_OF_OTHERS // max(1, len(clips) - 1))
    drawn = [clip_id for key in list(clips)[:SAMPLE_OF_OTHERS] for clip_id in _drawn(key, clips[key], size)]
    pooled: dict[int, Pooled] = {}
    for batch in batched(drawn, BATCH):
        pooled |= reader.read(batch)[0]
    return pooled


def _drawn(action_id: int, ids: np.ndarray, size: int) -> list[int]:
    return np.random.default_rng(action_id).permutation(ids)[:size].tolist()


def _reference(
    catalog: Catalog, reader: _Reader, action_id: int, ids: np.ndarray, samples: Mapping[int, Pooled]
) -> Reference:
    """What an action's clips are compared with, and which kind of features that is."""
    with catalog.reading() as session:
        verdicts = standing_verdicts(session, action_id)
    decided = {clip_id: _wrong(verdict) for clip_id, verdict in verdicts.items() if verdict != Verdict.DUPLICATE}
    own = set(ids.tolist())
    pooled = {key: each for key, each in samples.items() if key not in own}
    for batch in batched([*list(decided)[-DECIDED_REFERENCE:], *_drawn(action_id, ids, SAMPLE)], BATCH):
        pooled |= reader.read(batch)[0]
    kind = commonest_kind(pooled.values())
    there, stacked = vectors(pooled, kind)
    if not len(there):
        return kind, None
    keys = there.tolist()
    wrong = [decided.get(key, PRIOR_RATE if key in own else 1.0) for key in keys]
    trust = [1.0 if key in decided else GUESS for key in keys]
    return kind, neighbours(there, stacked, np.array(wrong, dtype=float), np.array(trust))


def _signals(
    pooled: Mapping[int, Pooled], reference: Reference, classifier: Classifier, classes: Sequence[int]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{signal: (clip ids, scores)} of a batch."""
    found, (kind, known) = {}, reference
    ids, stacked = vectors(pooled, kind)
    if known is not None and len(ids):
        found["neighbours"] = (ids, neighbour_suspicion(known, stacked, ids))
    if classes:
        ids, logits = classifier.logits(pooled)
        found["kinetics"] = (ids, kinetics_suspicion(logits, classes) if len(ids) else np.zeros(0))
    return found


def _count(
    ranked: ActionRank,
    fitted: Fitted,
    clip_ids: np.ndarray,
    failures: Mapping[int, str],
    damaged: Mapping[int, str],
) -> None:
    """Fill in what came of an action. Decided clips need no features, but a damaged file of theirs is said."""
    scored = set(fitted.clip_ids.tolist())
    undecided = [clip_id for clip_id in clip_ids.tolist() if clip_id not in fitted.verdicts]
    without = [failures.get(clip_id, OTHER_KIND) for clip_id in undecided if clip_id not in scored]
    ranked.undecided, ranked.without_features = len(undecided), len(without)
    ranked.ranked = len(undecided) - len(without)
    decided = [damaged[clip_id] for clip_id in clip_ids.tolist() if clip_id in fitted.verdicts and clip_id in damaged]
    ranked.signals, ranked.reasons = fitted.signals, dict(Counter(without + decided))
