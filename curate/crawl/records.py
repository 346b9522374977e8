"""What a crawl writes into and asks of the catalog: pages of posts with their sightings and clips.

A page's rows, the run's counts and its cursor are one transaction. All of it may be written again without harm. Rows go
in bulk, so that a manifest of a million posts is not slowed down by one object for each.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from plusmv.core.workspace import Workspace
from plusmv.curate.crawl.letter_case import uploader_name
from plusmv.curate.crawl.media import ClipFacts, Received
from plusmv.curate.crawl.results import Ending
from plusmv.curate.crawl.runs import RunRecord, save_run
from plusmv.curate.crawl.tombstones import tombstoned
from plusmv.curate.sources.base import Cursor, FoundPost, PostKey, Reason
from plusmv.db.models import Base, Clip, FileState, Post, PostState, ReasonCode, Sighting, now

LISTED_ENDINGS: dict[PostState, Ending] = {
    PostState.FILTERED: "filtered",
    PostState.FAILED: "failed",
    PostState.GONE: "gone",
}
SQL_IN_LIMIT = 500  # values in one IN (...)
POSTS, SIGHTINGS = (Base.metadata.tables[model.__tablename__] for model in (Post, Sighting))
# Not named in an INSERT of thousands where no post has one:
MOSTLY_EMPTY = ("raw", "clip_id", "reason", "reason_code", "reason_limit")
KNOWN = select(
    Post.platform,
    Post.platform_id,
    Post.identity,
    Post.id,
    Post.state,
    Post.reason_code,
    Post.reason_limit,
    Post.retryable,
    Clip.sha256,
    Clip.suffix,
).join_from(Post, Clip, isouter=True)


@dataclass(frozen=True, slots=True)
class KnownPost:
    """What the catalog has of a post. sha256 and suffix are None where it has no clip."""

    id: int
    state: PostState
    reason_code: ReasonCode | None
    reason_limit: float | None
    retryable: bool
    sha256: str | None
    suffix: str | None


@dataclass(frozen=True, slots=True)
class NewClip:
    """Media that have come in, and what their bytes say."""

    received: Received
    facts: ClipFacts


@dataclass(frozen=True, slots=True)
class SettledPost:
    """A post with its ending, and its clip where one was downloaded."""

    post: FoundPost
    ending: Ending
    reason: Reason | None = None
    retryable: bool = False
    clip: "NewClip | None" = None

    @classmethod
    def as_listed(cls, post: FoundPost) -> "SettledPost":
        """A post whose source has settled it already: filtered, failed or gone."""
        return cls(post, LISTED_ENDINGS[post.state], post.reason, post.retryable)


def known_posts(session: Session, posts: Collection[FoundPost]) -> dict[PostKey, KnownPost]:
    """What the catalog has of these posts, by FoundPost.key; one that was taken in without media counts as its own."""
    wanted = {post.key: post.key for post in posts}
    wanted |= {(post.platform, post.platform_id, post.former): post.key for post in posts if post.former is not None}
    known: dict[PostKey, KnownPost] = {}
    for platform in {key[0] for key in wanted}:
        for some in _parts({key[1] for key in wanted if key[0] == platform}):
            wanted_rows = KNOWN.where(Post.platform == platform, Post.platform_id.in_(some))
            for _, platform_id, identity, *facts in session.execute(wanted_rows):
                stored = (platform, platform_id, identity)
                key = wanted.get(stored)
                if key is not None and (key == stored or key not in known):
                    known[key] = KnownPost(*facts)
    return known


def met_in_run(session: Session, run: RunRecord, posts: Iterable[KnownPost]) -> set[int]:
    """Ids of those of these posts that this run has met before: a repeated page, or one that moved on."""
    met: set[int] = set()
    for some in _parts({post.id for post in posts}):
        of_run = select(Sighting.post_id).where(Sighting.post_id.in_(some), Sighting.last_run_id == run.id)
        met |= set(session.scalars(of_run))
    return met


def save_page(
    session: Session,
    workspace: Workspace,
    run: RunRecord,
    settled: Collection[SettledPost],
    cursor: Cursor | None,
    ends: bool = False,
    new: Collection[PostKey] = (),
) -> list[SettledPost]:
    """Save a page's posts, who found them, their clips, and where the run stands after them, or that it has ended.

    What was taken down is not saved, also where that happened since it was looked at. A post that was new and that
    another crawl has saved meanwhile, just as it ended here, is known. Returns the posts as they ended.
    """
    settled = _without_tombstoned(session, workspace, settled)
    known = known_posts(session, [one.post for one in settled])
    settled = [replace(one, ending="known") if _as_saved(one, known, new) else one for one in settled]
    ids, inserted = _save_posts(session, workspace, [one for one in settled if one.ending != "tombstoned"], known)
    repeated = met_in_run(session, run, known.values())
    _save_sightings(session, run, set(ids.values()), inserted)
    videos = {ids.get(one.post.key, one.post.key) for one in settled if one.post.is_video}
    run.counted += len(videos - repeated)
    for one in settled:
        run.counts[one.ending] += 1
    save_run(session, run, cursor, ends)
    return settled


def _as_saved(settled: SettledPost, known: Mapping[PostKey, KnownPost], new: Collection[PostKey]) -> bool:
    row = known.get(settled.post.key) if settled.post.key in new else None
    content = settled.clip.received.sha256 if settled.clip is not None else None
    return row is not None and (row.state, row.sha256) == (_state(settled), content)


def _without_tombstoned(session: Session, workspace: Workspace, settled: Collection[SettledPost]) -> list[SettledPost]:
    contents = {one.post.key: one.clip.received.sha256 for one in settled if one.clip is not None}
    dead = tombstoned(session, workspace, [one.post for one in settled], contents)
    if not dead:
        return list(settled)
    return [replace(one, ending="tombstoned") if one.post.key in dead else one for one in settled]


def _save_posts(
    session: Session, workspace: Workspace, settled: Collection[SettledPost], known: Mapping[PostKey, KnownPost]
) -> tuple[dict[PostKey, int], set[int]]:
    """({key: row id} of these posts, the ids of those that are new)."""
    clips = _save_clips(session, settled)
    ids = _insert_posts(session, workspace, [one for one in settled if one.post.key not in known], clips)
    inserted = set(ids.values())
    for one in settled:
        row = known.get(one.post.key)
        if row is not None:
            ids[one.post.key] = row.id
            if one.ending != "known":
                _update_post(session, workspace, row, one, clips)
    return ids, inserted


def _insert_posts(
    session: Session, workspace: Workspace, settled: Iterable[SettledPost], clips: Mapping[str, int]
) -> dict[PostKey, int]:
    """New rows; {key: row id}. A post that stands twice on a page is one row, as it ended where it was not known."""
    inserted = sorted(settled, key=lambda one: one.ending != "known")
    rows = {one.post.key: _post_row(workspace, one, clips) for one in inserted}
    if not rows:
        return {}
    moment, ids = now(), _new_ids(session, len(rows))
    for post_id, row in zip(ids, rows.values(), strict=True):
        row |= {"id": post_id, "found_at": moment}
    values = list(rows.values())
    for name in MOSTLY_EMPTY:
        if all(row[name] is None for row in values):
            for row in values:
                del row[name]
    session.connection().execute(insert(POSTS), values)
    return dict(zip(rows, ids, strict=True))


def _new_ids(session: Session, count: int) -> list[int]:
    """Ids of rows to be inserted: known beforehand, so that thousands go in one statement."""
    if session.get_bind().dialect.name == "postgresql":
        sequence = func.nextval(func.pg_get_serial_sequence("posts", "id"))
        return list(session.scalars(select(sequence).select_from(func.generate_series(1, count))))
    first = (session.scalar(select(func.max(Post.id))) or 0) + 1  # nobody else writes meanwhile
    return list(range(first, first + count))


def _post_row(workspace: Workspace, settled: SettledPost, clips: Mapping[str, int]) -> dict[str, Any]:
    post = settled.post
    return {
        "platform": post.platform,
        "platform_id": post.platform_id,
        "identity": post.identity,
        "origin": post.origin,
        "url": post.url,
        "uploader_hash": workspace.keyed_hash(uploader_name(post.uploader)) if post.uploader else None,
        "caption": post.caption,
        "taken_at": post.taken_at,
        "licence": post.licence,
        "found_at": None,
        "raw": post.raw,
        **_end(settled, clips),
    }


def _end(settled: SettledPost, clips: Mapping[str, int]) -> dict[str, Any]:
    """The columns that say how a post ended."""
    return {
        "state": _state(settled),
        **reason_columns(settled.reason),
        "retryable": settled.retryable,
        "clip_id": clips[settled.clip.received.sha256] if settled.clip is not None else None,
    }


def reason_columns(reason: Reason | None) -> dict[str, Any]:
    """The columns of a post that hold a reason, or none."""
    if reason is None:
        return {"reason": None, "reason_code": None, "reason_limit": None}
    return {"reason": reason.text, "reason_code": reason.code, "reason_limit": reason.limit}


def _state(settled: SettledPost) -> PostState:
    """Where only metadata were taken in, a post stays FOUND."""
    taken = settled.ending == "downloaded" and settled.clip is None
    return PostState.FOUND if taken or settled.ending == "known" else PostState(settled.ending)


def _update_post(
    session: Session, workspace: Workspace, row: KnownPost, settled: SettledPost, clips: Mapping[str, int]
) -> None:
    """A known post that ended anew: what is known better now, and how it ended. Its first sighting stays."""
    values = {name: value for name, value in _post_row(workspace, settled, clips).items() if value is not None}
    for name in ("platform", "platform_id") + (() if settled.post.caption else ("caption",)):
        values.pop(name)
    if settled.post.licence == "unknown":
        values.pop("licence")
    session.execute(update(Post).where(Post.id == row.id).values(**values | reason_columns(settled.reason)))


def _save_clips(session: Session, settled: Iterable[SettledPost]) -> dict[str, int]:
    """{sha256: row id} of the contents that came in."""
    came = {one.clip.received.sha256: one.clip for one in settled if one.clip is not None}
    if not came:
        return {}
    known = session.execute(select(Clip.sha256, Clip.id).where(Clip.sha256.in_(came)))
    rows = {row.sha256: row.id for row in known}
    for sha256, new in came.items():
        if sha256 not in rows:
            clip = Clip(sha256=sha256, bytes=new.received.bytes, state=FileState.DONE, **asdict(new.facts))
            session.add(clip)
            session.flush()
            rows[sha256] = clip.id
    return rows


def _save_sightings(session: Session, run: RunRecord, posts: set[int], new: set[int]) -> None:
    """Which tag met which post in which run: one row for each post, action and tag, with its first and last run.

    new: those whose posts are new themselves, which no sighting can have.
    """
    present: set[int] = set()
    for some in _parts(posts - new):
        of_tag = (Sighting.post_id.in_(some), Sighting.action_id == run.action_id, Sighting.tag == run.target.tag)
        present |= set(session.scalars(select(Sighting.post_id).where(*of_tag)))
        session.execute(update(Sighting).where(*of_tag).values(last_run_id=run.id))
    moment = now()
    rows = [
        {"post_id": post_id, "action_id": run.action_id, "tag": run.target.tag, "run_id": run.id,
         "last_run_id": run.id, "found_at": moment}
        for post_id in sorted(posts - present)
    ]  # fmt: skip
    if rows:
        session.connection().execute(insert(SIGHTINGS), rows)


def _parts(values: Collection[Any]) -> Iterable[list[Any]]:
    ordered = sorted(values)
    return (ordered[start : start + SQL_IN_LIMIT] for start in range(0, len(ordered), SQL_IN_LIMIT))
