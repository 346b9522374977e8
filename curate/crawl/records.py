"""What a crawl writes into and asks of the catalog: runs, and pages of posts with their sightings and clips.

A page's rows, the run's counts and its cursor are one transaction. All of it may be written again without harm. Rows go
in bulk, so that a manifest of a million posts is not slowed down by one object for each.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from plusmv.core.actions import Action as ActionFacts
from plusmv.core.workspace import Workspace
from plusmv.curate.crawl.media import ClipFacts, Received
from plusmv.curate.crawl.tombstones import tombstoned
from plusmv.curate.sources.base import FoundPost
from plusmv.db.models import Clip, CrawlRun, FileState, Post, PostState, Sighting, now
from plusmv.db.queries import save_actions

ENDINGS = ("downloaded", "known", "filtered", "failed", "gone", "tombstoned")
SQL_IN_LIMIT = 500  # values in one IN (...)
Key = tuple[str, str, str]
POSTS = Post.__table__.c  # plain columns: a page of thousands makes no objects
MOSTLY_EMPTY = ("raw", "clip_id", "reason")  # not named in an INSERT of thousands where no post has one
KNOWN = select(
    *(POSTS.platform, POSTS.platform_id, POSTS.identity),
    *(POSTS.id, POSTS.state, POSTS.reason, POSTS.retryable, Clip.__table__.c.sha256, Clip.__table__.c.suffix),
).join_from(Post.__table__, Clip.__table__, isouter=True)


@dataclass(frozen=True)
class Target:
    """A tag to crawl, and the action it is crawled for."""

    tag: str
    action: ActionFacts


@dataclass
class RunRecord:
    """A crawl run as the crawl goes: where it stands, and how its posts ended, also before a kill."""

    source: str
    target: Target
    id: int | None = None  # None in a dry run
    action_id: int | None = None
    cursor: dict | None = None
    counted: int = 0  # different videos met, which a limit counts
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENDINGS, 0))

    @property
    def found(self) -> int:
        return sum(self.counts.values())

    def summary(self) -> dict[str, str | int]:
        """The run as the command's JSON has it."""
        names = {"source": self.source, "tag": self.target.tag, "action": self.target.action.name}
        return {**names, "found": self.found, **self.counts}


@dataclass(frozen=True, slots=True)
class KnownPost:
    """What the catalog has of a post. sha256 and suffix are None where it has no clip."""

    id: int
    state: PostState
    reason: str | None
    retryable: bool
    sha256: str | None
    suffix: str | None


@dataclass(frozen=True, slots=True)
class SettledPost:
    """A post with its end: one of ENDINGS, and its clip where it has one."""

    post: FoundPost
    ending: str
    reason: str | None = None
    retryable: bool = False
    received: Received | None = None
    facts: ClipFacts | None = None


def begin_run(session: Session, source: str, target: Target, query: dict, version: str) -> RunRecord:
    """The run of this very search that was cut short, else a new one."""
    action = save_actions(session, [target.action])[target.action.name]
    text = json.dumps(query, sort_keys=True)
    same = select(CrawlRun).where(
        CrawlRun.source == source,
        CrawlRun.tag == target.tag,
        CrawlRun.action_id == action.id,
        CrawlRun.query == text,
        CrawlRun.ended_at.is_(None),
    )
    row = session.scalar(same.order_by(CrawlRun.id.desc()).limit(1))
    if row is None:
        row = CrawlRun(source=source, tag=target.tag, action_id=action.id, query=text, tool_version=version)
        session.add(row)
        session.flush()
    counts = {name: getattr(row, name) or 0 for name in ENDINGS}
    return RunRecord(source, target, row.id, action.id, row.cursor, row.counted or 0, counts)


def known_posts(session: Session, posts: Collection[FoundPost]) -> dict[Key, KnownPost]:
    """What the catalog has of these posts, by FoundPost.key; one that was taken in without media counts as its own."""
    wanted = {post.key: post.key for post in posts}
    wanted |= {(post.platform, post.platform_id, post.former): post.key for post in posts if post.former is not None}
    found: dict[Key, KnownPost] = {}
    for platform in {key[0] for key in wanted}:
        for some in _parts({key[1] for key in wanted if key[0] == platform}):
            for row in session.execute(KNOWN.where(POSTS.platform == platform, POSTS.platform_id.in_(some))):
                key = wanted.get(tuple(row[:3]))
                if key is not None and (key == tuple(row[:3]) or key not in found):
                    found[key] = KnownPost(*row[3:])
    return found


def met_in_run(session: Session, run: RunRecord, posts: Iterable[KnownPost]) -> set[int]:
    """Ids of those of these posts that this run has met before: a repeated page, or one that moved on."""
    seen: set[int] = set()
    for some in _parts({post.id for post in posts}):
        of_run = select(Sighting.post_id).where(Sighting.post_id.in_(some), Sighting.last_run_id == run.id)
        seen |= set(session.scalars(of_run))
    return seen


def save_page(
    session: Session,
    workspace: Workspace,
    run: RunRecord,
    settled: Collection[SettledPost],
    cursor: dict | None,
    ends: bool = False,
    new: Collection[Key] = (),
) -> list[SettledPost]:
    """Save a page's posts, who found them, their clips, and where the run stands after them, or that it has ended.

    What was taken down is not saved, also where that happened since it was looked at. A post that was new and that
    another crawl has saved meanwhile, just as it ended here, is known. Returns the posts as they ended.
    """
    settled = _without_buried(session, workspace, settled)
    known = known_posts(session, [one.post for one in settled])
    settled = [replace(one, ending="known") if _as_saved(one, known, new) else one for one in settled]
    saved = [one for one in settled if one.ending != "tombstoned"]
    clips = _save_clips(session, saved)
    ids = _insert_posts(session, workspace, [one for one in saved if one.post.key not in known], clips)
    new = set(ids.values())
    for one in saved:
        row = known.get(one.post.key)
        if row is not None:
            ids[one.post.key] = row.id
            if one.ending != "known":
                _update_post(session, workspace, row, one, clips)
    repeated = met_in_run(session, run, known.values())
    _save_sightings(session, run, set(ids.values()), new)
    videos = {ids.get(one.post.key, one.post.key) for one in settled if one.post.is_video}
    run.counted += len(videos - repeated)
    for one in settled:
        run.counts[one.ending] += 1
    row = session.get_one(CrawlRun, run.id)
    for ending in ENDINGS:
        setattr(row, ending, run.counts[ending])
    row.found, row.counted = run.found, run.counted
    row.cursor = cursor
    if ends:
        row.ended_at = now()
    return settled


def _as_saved(settled: SettledPost, known: Mapping[Key, KnownPost], new: Collection[Key]) -> bool:
    row = known.get(settled.post.key) if settled.post.key in new else None
    content = settled.received.sha256 if settled.received is not None else None
    return row is not None and (row.state, row.sha256) == (_state(settled), content)


def _without_buried(session: Session, workspace: Workspace, settled: Collection[SettledPost]) -> list[SettledPost]:
    contents = {one.post.key: one.received.sha256 for one in settled if one.received is not None}
    dead = tombstoned(session, workspace, [one.post for one in settled], contents)
    if not dead:
        return list(settled)
    return [replace(one, ending="tombstoned") if one.post.key in dead else one for one in settled]


def _insert_posts(
    session: Session, workspace: Workspace, settled: Iterable[SettledPost], clips: Mapping[str, int]
) -> dict[Key, int]:
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
    session.connection().execute(insert(Post.__table__), values)
    return dict(zip(rows, ids, strict=True))


def _new_ids(session: Session, count: int) -> list[int]:
    """Ids of rows to be inserted: known beforehand, so that thousands go in one statement."""
    if session.get_bind().dialect.name == "postgresql":
        sequence = func.nextval(func.pg_get_serial_sequence("posts", "id"))
        return list(session.scalars(select(sequence).select_from(func.generate_series(1, count))))
    first = (session.scalar(select(func.max(POSTS.id))) or 0) + 1  # nobody else writes meanwhile
    return list(range(first, first + count))


def _post_row(workspace: Workspace, settled: SettledPost, clips: Mapping[str, int]) -> dict:
    post = settled.post
    return {
        "platform": post.platform,
        "platform_id": post.platform_id,
        "identity": post.identity,
        "origin": post.origin,
        "url": post.url,
        "uploader_hash": workspace.keyed_hash(post.uploader) if post.uploader else None,
        "caption": post.caption,
        "taken_at": post.taken_at,
        "licence": post.licence,
        "found_at": None,
        "raw": post.raw,
        **_end(settled, clips),
    }


def _end(settled: SettledPost, clips: Mapping[str, int]) -> dict:
    """The columns that say how a post ended."""
    return {
        "state": _state(settled),
        "reason": settled.reason,
        "retryable": settled.retryable,
        "clip_id": clips[settled.received.sha256] if settled.received is not None else None,
    }


def _state(settled: SettledPost) -> PostState:
    """Where only metadata were taken in, a post stays FOUND."""
    taken = settled.ending == "downloaded" and settled.received is None
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
    session.execute(update(Post).where(Post.id == row.id).values(**values | {"reason": settled.reason}))


def _save_clips(session: Session, settled: Iterable[SettledPost]) -> dict[str, int]:
    """{sha256: row id} of the contents that came in."""
    came = {one.received.sha256: one for one in settled if one.received is not None}
    if not came:
        return {}
    rows = dict(session.execute(select(Clip.sha256, Clip.id).where(Clip.sha256.in_(came))).all())
    for sha256, one in came.items():
        if sha256 not in rows:
            clip = Clip(sha256=sha256, bytes=one.received.bytes, state=FileState.DONE, **vars(one.facts))
            session.add(clip)
            session.flush()
            rows[sha256] = clip.id
    return rows


def _save_sightings(session: Session, run: RunRecord, posts: set[int], new: set[int]) -> None:
    """Which tag met which post in which run: one row for each post, action and tag, with its first and last run.

    new: those whose posts are new themselves, which no sighting can have.
    """
    there: set[int] = set()
    for some in _parts(posts - new):
        of_tag = (Sighting.post_id.in_(some), Sighting.action_id == run.action_id, Sighting.tag == run.target.tag)
        there |= set(session.scalars(select(Sighting.post_id).where(*of_tag)))
        session.execute(update(Sighting).where(*of_tag).values(last_run_id=run.id))
    moment = now()
    rows = [
        {"post_id": post_id, "action_id": run.action_id, "tag": run.target.tag, "run_id": run.id,
         "last_run_id": run.id, "found_at": moment}
        for post_id in sorted(posts - there)
    ]  # fmt: skip
    if rows:
        session.connection().execute(insert(Sighting.__table__), rows)


def _parts(values: Collection) -> Iterable[list]:
    ordered = sorted(values)
    return (ordered[start : start + SQL_IN_LIMIT] for start in range(0, len(ordered), SQL_IN_LIMIT))
