"""What a crawl writes into and asks of the catalog: runs, and pages of posts with their sightings and clips.

A page's rows, the run's counts and its cursor are one transaction. All of it may be written again without harm.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from core.actions import Action as ActionFacts
from core.workspace import Workspace
from curate.media import ClipFacts, Received
from curate.source import FoundPost
from db.models import Clip, CrawlRun, FileState, Post, PostState, Sighting, now
from db.queries import save_actions

ENDINGS = ("downloaded", "known", "filtered", "failed", "gone", "tombstoned")


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
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENDINGS, 0))

    @property
    def found(self) -> int:
        return sum(self.counts.values())

    def summary(self) -> dict[str, str | int]:
        """The run as the command's JSON has it."""
        names = {"source": self.source, "tag": self.target.tag, "action": self.target.action.name}
        return {**names, "found": self.found, **self.counts}


@dataclass(frozen=True)
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
    return RunRecord(source, target, row.id, action.id, row.cursor, counts)


def known_posts(session: Session, platform: str, posts: Collection[FoundPost]) -> dict[tuple[str, str], Post]:
    """The rows, clips loaded, of those of these posts that the catalog has, by FoundPost.key."""
    ids = {post.platform_id for post in posts}
    rows = select(Post).where(Post.platform == platform, Post.platform_id.in_(ids)).options(joinedload(Post.clip))
    wanted = {post.key for post in posts}
    return {(r.platform_id, r.identity): r for r in session.scalars(rows) if (r.platform_id, r.identity) in wanted}


def save_page(
    session: Session, workspace: Workspace, run: RunRecord, settled: Collection[SettledPost], cursor: dict | None
) -> None:
    """Save a page's posts, who found them, their clips, and where the run stands after them (None: at its end)."""
    for platform in {one.post.platform for one in settled}:
        here = [one for one in settled if one.post.platform == platform]
        rows = known_posts(session, platform, [one.post for one in here])
        for one in here:
            rows[one.post.key] = _save_post(session, workspace, rows.get(one.post.key), one)
        session.flush()
        _save_sightings(session, run, rows.values())
    row = session.get_one(CrawlRun, run.id)
    for ending in ENDINGS:
        setattr(row, ending, run.counts[ending])
    row.found = run.found
    if cursor is None:
        row.ended_at = now()
    else:
        row.cursor = cursor


def _save_post(session: Session, workspace: Workspace, row: Post | None, settled: SettledPost) -> Post:
    post = settled.post
    if row is None:
        row = Post(
            platform=post.platform,
            platform_id=post.platform_id,
            identity=post.identity,
            origin=post.origin,
            url=post.url,
            uploader_hash=workspace.keyed_hash(post.uploader) if post.uploader else None,
            caption=post.caption,
            taken_at=post.taken_at,
            licence=post.licence,
        )
        session.add(row)
    if settled.ending != "known":
        row.state, row.reason, row.retryable = PostState(settled.ending), settled.reason, settled.retryable
        if settled.received is not None:
            row.clip = _save_clip(session, settled.received, settled.facts)
    return row


def _save_clip(session: Session, received: Received, facts: ClipFacts) -> Clip:
    clip = session.scalar(select(Clip).where(Clip.sha256 == received.sha256))
    if clip is None:
        clip = Clip(sha256=received.sha256, bytes=received.bytes, state=FileState.DONE, **vars(facts))
        session.add(clip)
    return clip


def _save_sightings(session: Session, run: RunRecord, posts: Iterable[Post]) -> None:
    tag, action_id = run.target.tag, run.action_id
    ids = {post.id for post in posts}
    there = select(Sighting.post_id).where(
        Sighting.post_id.in_(ids), Sighting.action_id == action_id, Sighting.tag == tag
    )
    for post_id in sorted(ids - set(session.scalars(there))):
        session.add(Sighting(post_id=post_id, action_id=action_id, tag=tag, run_id=run.id))
