"""Clips, and groups of copies, that stand under several actions: which of these are right (the contradictions page).

A case is open while two actions or more claim it that do not go together, unless a person has said of all of them that
they are right. Clips that are called duplicate or unusable claim nothing.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from plusmv.core.errors import BadInput, Refused
from plusmv.curate.duplicates.groups import AcrossActions, across_actions, duplicate_groups, go_together
from plusmv.curate.review import decisions
from plusmv.curate.review.entries import read_seconds
from plusmv.curate.review.idempotency import (
    idempotency_keys,
    is_recorded,
    read_id,
    read_ids,
    read_request_id,
    request_of,
    rows_of_request,
)
from plusmv.curate.review.leases import ClipAction, release
from plusmv.curate.review.undo import undo_request
from plusmv.db.models import Action, Clip, Decision, FileState, How, Post, Sighting, Verdict
from plusmv.db.queries import clip_actions, live_decisions

BATCH = 100  # cases that are looked through at a time
CLIPS = 150  # copies of one case that are decided at a time
RECENT = 50
KINDS = ("contradiction", "several-labels")
# The newest decision on a clip under an action, or on the clip as a whole.
Standing = Mapping[ClipAction, Decision | None]


@dataclass(frozen=True)
class Choice:
    """An action that claims a case, by which tags, and what was said so far."""

    action: int
    name: str
    definition: str
    tags: tuple[str, ...]
    clips: int
    verdict: str | None


@dataclass(frozen=True)
class Case:
    """One clip, or copies of one. sha and error are of the one that plays; newest: the last decision made on it."""

    place: str
    clips: tuple[int, ...]
    sha: str
    error: str | None
    choices: tuple[Choice, ...]
    newest: int


@dataclass(frozen=True)
class Answer:
    """What a person says of a case: right under these actions, wrong under those; or unusable; or an undo."""

    request_id: str
    clips: tuple[int, ...] = ()
    right: tuple[int, ...] = ()
    wrong: tuple[int, ...] = ()
    unusable: bool = False
    newest: int = 0
    seconds: float | None = None
    undoes: str | None = None


def version(session: Session) -> tuple[int | None, ...]:
    """Changes whenever there may be other cases; with curate.review.group_queue.version."""
    newest = (select(func.max(table.id)).scalar_subquery() for table in (Sighting, Decision))
    return tuple(session.execute(select(*newest)).one())


def all_cases(session: Session, shares: dict[int, float] | None = None) -> list[AcrossActions]:
    """All cases, open or not, as `across_actions` gives them: in the order of their first clips' sha256."""
    return across_actions(session, duplicate_groups(session, shares))


def open_cases(
    session: Session, listed: Sequence[AcrossActions], kind: str, after: str | None, count: int
) -> list[Case]:
    """The first `count` open cases of a kind after a place."""
    first = bisect_right(listed, after, key=lambda case: case["clips"][0]) if after else 0
    names = {row.id: row for row in session.scalars(select(Action))}
    found: list[Case] = []
    while first < len(listed) and len(found) < count:
        some = [case for case in listed[first : first + BATCH] if case["kind"] == kind]
        clips = _clips(session, [sha256 for case in some for sha256 in case["clips"]])
        standing = _standing(session, [clip.id for clip in clips.values()])
        for case in some:
            there = [clips[sha256] for sha256 in case["clips"] if sha256 in clips]
            if _is_open(_claims(there, standing), names, kind):
                found.append(_case(session, case["clips"][0], there, standing, names))
        first += BATCH
    return found[:count]


def read_answer(sent: Mapping[str, Any]) -> Answer:
    """An answer from JSON. Raises BadInput for an invalid one."""
    try:
        answer = Answer(
            request_id=read_request_id(sent) or "",
            clips=read_ids(sent.get("clips"), CLIPS),
            right=read_ids(sent.get("right")),
            wrong=read_ids(sent.get("wrong")),
            unusable=bool(sent.get("unusable")),
            newest=read_id(sent.get("newest") or 0),
            seconds=read_seconds(sent.get("seconds")),
            undoes=read_request_id(sent, "undo"),
        )
    except (BadInput, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"invalid answer to a contradiction: {error}") from error
    if not answer.request_id or set(answer.right) & set(answer.wrong) or not (answer.clips or answer.undoes):
        raise BadInput("an answer needs an id and clips, and no action is both right and wrong")
    return answer


def record(session: Session, answer: Answer, annotator: str) -> None:
    """Record an answer, or find it recorded. Raises Refused where somebody else has decided meanwhile."""
    if is_recorded(session, answer.request_id):
        return
    ids = idempotency_keys(answer.request_id)
    if answer.undoes is not None:
        undo_request(session, rows_of_request(session, answer.undoes), annotator, ids)
        return
    lock = select(Clip).where(Clip.id.in_(answer.clips)).order_by(Clip.id).with_for_update()
    clips = {clip.id: clip for clip in session.scalars(lock)}
    there = [clips[clip_id] for clip_id in answer.clips if clip_id in clips]
    _refuse_if_decided(session, answer, annotator)
    standing = _standing(session, list(clips))
    seconds = answer.seconds
    for pair, verdict in _verdicts(there, answer, standing):
        decisions.decide(
            session, pair.clip_id, verdict, annotator, pair.action_id, seconds, "", How.CONTRADICTIONS, next(ids)
        )
        release(session, pair)
        seconds = None  # the time is that of the whole answer


def recent(session: Session, annotator: str) -> list[str]:
    """The annotator's newest answers that stand, newest first: what "undo" undoes next, also after a reload."""
    made = live_decisions().where(Decision.annotator == annotator, Decision.how == How.CONTRADICTIONS)
    rows = session.scalars(made.where(Decision.request_id.is_not(None)).order_by(Decision.id.desc()).limit(RECENT))
    return list(dict.fromkeys(request_of(row.request_id or "") for row in rows))


def _verdicts(clips: Sequence[Clip], answer: Answer, standing: Standing) -> Iterator[tuple[ClipAction, Verdict]]:
    claimed = [pair for pair in sorted(standing) if not _is_out(standing[pair])]
    alive = [clip.id for clip in clips if any(pair.clip_id == clip.id for pair in claimed)]
    if answer.unusable:
        yield from ((next(pair for pair in claimed if pair.clip_id == clip_id), Verdict.UNUSABLE) for clip_id in alive)
        return
    for pair in claimed:
        if pair.action_id in (*answer.right, *answer.wrong):
            yield pair, Verdict.KEEP if pair.action_id in answer.right else Verdict.MISTAGGED
    for action_id in answer.right:  # of an action whose own copies have all been removed
        if alive and not any(pair.action_id == action_id for pair in claimed):
            yield ClipAction(alive[0], action_id), Verdict.KEEP


def _refuse_if_decided(session: Session, answer: Answer, annotator: str) -> None:
    newer = live_decisions().where(
        Decision.clip_id.in_(answer.clips), Decision.id > answer.newest, Decision.annotator != annotator
    )
    other = session.scalar(newer.limit(1))
    if other is not None:
        raise Refused(f"this was decided meanwhile: {other.verdict} by {other.annotator}")


def _standing(session: Session, clip_ids: Sequence[int]) -> Standing:
    pairs = clip_actions(clip_ids)
    found: dict[ClipAction, Decision | None] = {ClipAction(*row): None for row in session.execute(select(pairs))}
    of_clip = defaultdict(list)
    for pair in found:
        of_clip[pair.clip_id].append(pair)
    for decision in session.scalars(live_decisions().where(Decision.clip_id.in_(clip_ids)).order_by(Decision.id)):
        for pair in of_clip[decision.clip_id]:
            if decision.action_id in (None, pair.action_id):
                found[pair] = decision
    return found


def _claims(clips: Sequence[Clip], standing: Standing) -> dict[int, list[Decision | None]]:
    """{action that claims one of the clips: what was said of each, None where nobody has judged it}"""
    ids, claims = {clip.id for clip in clips}, defaultdict(list)
    for pair, decision in standing.items():
        if pair.clip_id in ids and not _is_out(decision) and not (decision and decision.verdict == Verdict.MISTAGGED):
            claims[pair.action_id].append(decision)
    return claims


def _is_out(decision: Decision | None) -> bool:
    return decision is not None and decision.action_id is None


def _is_open(claims: Mapping[int, Sequence[Decision | None]], actions: Mapping[int, Action], kind: str) -> bool:
    if len(claims) < 2 or (kind == "contradiction" and go_together([actions[action_id].name for action_id in claims])):
        return False
    return not all(said and said.how == How.CONTRADICTIONS for each in claims.values() for said in each)


def _case(
    session: Session, place: str, clips: Sequence[Clip], standing: Standing, actions: Mapping[int, Action]
) -> Case:
    ids = {clip.id for clip in clips}
    mine = {pair: said for pair, said in standing.items() if pair.clip_id in ids}
    alive = [clip for clip in clips if any(pair.clip_id == clip.id and not _is_out(mine[pair]) for pair in mine)]
    plays = next((clip for clip in alive if clip.state == FileState.DONE), clips[0])
    tags = _tags(session, ids)
    choices = []
    for action_id in sorted({pair.action_id for pair in mine}, key=lambda id_: actions[id_].name):
        said = [decision for pair, decision in mine.items() if pair.action_id == action_id]
        newest = max((decision for decision in said if decision), key=lambda decision: decision.id, default=None)
        verdict = str(newest.verdict) if newest else None
        row = actions[action_id]
        choices.append(Choice(action_id, row.name, row.definition, tuple(tags[action_id]), len(said), verdict))
    error = None if plays.state == FileState.DONE else plays.error or "it cannot be decoded"
    newest_id = max((decision.id for decision in mine.values() if decision), default=0)
    return Case(place, tuple(clip.id for clip in alive[:CLIPS]), plays.sha256, error, tuple(choices), newest_id)


def _clips(session: Session, hashes: Sequence[str]) -> dict[str, Clip]:
    return {clip.sha256: clip for clip in session.scalars(select(Clip).where(Clip.sha256.in_(hashes)))}


def _tags(session: Session, clip_ids: set[int]) -> defaultdict[int, list[str]]:
    """{action: tags that the clips were found by}"""
    found = defaultdict(list)
    rows = select(Sighting.action_id, Sighting.tag).join(Post, Post.id == Sighting.post_id)
    for action_id, tag in session.execute(rows.where(Post.clip_id.in_(clip_ids)).distinct().order_by(Sighting.tag)):
        found[action_id].append(tag)
    return found
