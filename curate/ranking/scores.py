"""What ranking reads from and writes to the catalog: an action's clips, its standing verdicts, its scores by signal.

All of one action and along its indexes, never of the whole catalog: an action of 50,000 clips takes a part of a second.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from sqlalchemy import Select, bindparam, delete, exists, func, select, text
from sqlalchemy.orm import Session
from sqlalchemy.types import NullType

from plusmv.core.batching import batched
from plusmv.core.errors import BadInput
from plusmv.core.parsing import finite_number
from plusmv.core.reading import csv_rows
from plusmv.curate.ranking.signals import trainer_suspicion
from plusmv.db.models import Clip, Decision, Post, Sighting, SuspicionScore, UtcDateTime, Verdict, now
from plusmv.db.queries import live_decisions
from plusmv.db.session import Catalog

SCORES_BATCH = 500  # lines of a scores file
COMBINED = "combined"  # the signal that queues are ordered by
SOURCES = {  # both read one JSON array of [clip id, score]
    "sqlite": "SELECT json_extract(value, '$[0]') AS clip, json_extract(value, '$[1]') AS score FROM json_each(:pairs)",
    "postgresql": (
        "SELECT CAST(p->>0 AS bigint) AS clip, CAST(p->>1 AS float8) AS score "
        "FROM json_array_elements(CAST(:pairs AS json)) AS p"
    ),
}
SAVE = """
INSERT INTO suspicion_scores (clip_id, action_id, signal, score, scored_at)
SELECT clip, CAST(:action AS bigint), :signal, score, :now FROM ({source}) AS given
WHERE EXISTS (SELECT 1 FROM clips WHERE clips.id = clip)
ON CONFLICT (clip_id, action_id, signal) DO UPDATE SET score = excluded.score, scored_at = excluded.scored_at
"""


def found_clips(session: Session, action_id: int) -> np.ndarray:
    """(N,) ids of the clips that some tag found for this action, ascending."""
    ids = (
        select(Post.clip_id)
        .join(Sighting, Sighting.post_id == Post.id)
        .where(Sighting.action_id == action_id, Post.clip_id.is_not(None))
        .distinct()
    )
    return np.sort(np.fromiter(session.scalars(ids), dtype=np.int64))


def standing_verdicts(session: Session, action_id: int) -> dict[int, Verdict]:
    """{clip id: verdict} by the newest standing decision of each decided clip of an action, oldest decision first."""
    shown = select(Post.id).join(Sighting, Sighting.post_id == Post.id)
    found = shown.where(Post.clip_id == Decision.clip_id, Sighting.action_id == action_id)
    columns = (Decision.clip_id, Decision.id, Decision.verdict)
    of_action = live_decisions().where(Decision.action_id == action_id).with_only_columns(*columns)
    of_clip = live_decisions().where(Decision.action_id.is_(None), exists(found)).with_only_columns(*columns)
    rows = [row for found in (of_action, of_clip) for row in zip(*_packed(session, found), strict=True)]
    newest = {clip_id: (decision_id, verdict) for clip_id, decision_id, verdict in sorted(rows, key=lambda row: row[1])}
    in_order = sorted(newest.items(), key=lambda pair: pair[1][0])
    return {clip_id: Verdict(verdict) for clip_id, (_, verdict) in in_order}


def stored_signals(session: Session, action_id: int, signals: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(N,) ids of the clips that have any of these signals, ascending, and (N, S) scores, NaN where one is missing."""
    columns = []
    for signal in signals:
        wanted = (SuspicionScore.action_id == action_id) & (SuspicionScore.signal == signal)
        row = _packed(session, select(SuspicionScore.clip_id, SuspicionScore.score).where(wanted))
        columns.append((np.array(row[0], dtype=np.int64), np.array(row[1], dtype=float)))
    ids = np.unique(np.concatenate([column[0] for column in columns]))
    scores = np.full((len(ids), len(signals)), np.nan)
    for index, (of_clips, values) in enumerate(columns):
        scores[np.searchsorted(ids, of_clips), index] = values
    return ids, scores


def _packed(session: Session, statement: Select) -> list[list]:
    """A statement's columns as lists, by way of one row of JSON arrays: a tenth of the time that a row a clip takes."""
    together = func.json_agg if session.get_bind().dialect.name == "postgresql" else func.json_group_array
    rows = statement.subquery()
    arrays = session.execute(select(*(together(column, type_=NullType()) for column in rows.c))).one()
    return [json.loads(array) if isinstance(array, str) else array or [] for array in arrays]


def save_scores(session: Session, action_id: int, signal: str, clip_ids: np.ndarray, scores: np.ndarray) -> None:
    """Write scores of one signal, over those that are there; a clip that is gone by now is left out."""
    if not len(clip_ids):
        return
    pairs = json.dumps(list(zip(clip_ids.tolist(), scores.tolist(), strict=True)), allow_nan=False)
    statement = text(SAVE.format(source=SOURCES[session.get_bind().dialect.name]))
    statement = statement.bindparams(bindparam("now", type_=UtcDateTime))
    session.execute(statement, {"pairs": pairs, "action": action_id, "signal": signal, "now": now()})


def save_trainer_scores(catalog: Catalog, path: Path, actions: Mapping[str, int]) -> int:
    """Write the "trainer" signal from a CSV of id (sha256), label (action's name) and score; returns how many pairs.

    The first score of an action removes those of the action that an earlier file left: trainers share no scale. Labels
    and ids that are not the catalog's are passed over. Raises BadInput for a file that is none, or has nothing of ours.
    """
    saved = 0
    met: set[int] = set()
    for lines in batched(_read_scores(path), SCORES_BATCH):
        ours = [(sha256, actions[label], score) for sha256, label, score in lines if label in actions]
        with catalog.writing() as session:
            for action_id in {action_id for _, action_id, _ in ours} - met:
                old = (SuspicionScore.action_id == action_id) & (SuspicionScore.signal == "trainer")
                session.execute(delete(SuspicionScore).where(old))
                met.add(action_id)
            saved += _save_trainer_batch(session, ours)
    if not saved:
        raise BadInput(f"no score in {path} is of a clip under its own tag; make it with plusmv detect --scores")
    return saved


def _save_trainer_batch(session: Session, lines: Iterable[tuple[str, int, float]]) -> int:
    scores = {(sha256, action_id): score for sha256, action_id, score in lines}
    names = {sha256 for sha256, _ in scores}
    found = (
        select(Clip.sha256, Sighting.action_id, Clip.id)
        .join(Post, Post.clip_id == Clip.id)
        .join(Sighting, Sighting.post_id == Post.id)
        .where(Clip.sha256.in_(names))
        .distinct()
    )
    by_action: dict[int, list[tuple[int, float]]] = {}
    for sha256, action_id, clip_id in session.execute(found):
        if (sha256, action_id) in scores:
            by_action.setdefault(action_id, []).append((clip_id, scores[sha256, action_id]))
    for action_id, pairs in by_action.items():
        ids, values = zip(*pairs, strict=True)
        save_scores(session, action_id, "trainer", np.array(ids), trainer_suspicion(np.array(values)))
    return sum(map(len, by_action.values()))


def _read_scores(path: Path) -> Iterator[tuple[str, str, float]]:
    for line, row in csv_rows(path, (), ("id", "label", "score")):
        try:
            yield row["id"], row["label"], finite_number(row["score"])
        except BadInput as error:
            raise BadInput(f"{path} line {line}: the score {error}; make it with plusmv detect --scores") from error
