"""Crawl runs in the catalog: one for each tag, with its cursor and counts, which goes on where it was cut short."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from plusmv.core.actions import Action as ActionFacts
from plusmv.curate.crawl.results import ENDINGS, Ending, RunSummary
from plusmv.curate.sources.base import Cursor
from plusmv.db.models import Clip, CrawlRun, Post, Sighting, now
from plusmv.db.queries import save_actions


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
    cursor: Cursor | None = None
    counted: int = 0  # different videos met, which a limit counts
    counts: dict[Ending, int] = field(default_factory=lambda: dict.fromkeys(ENDINGS, 0))

    @property
    def found(self) -> int:
        return sum(self.counts.values())

    def summary(self, without_uploader: int) -> RunSummary:
        """The run as the command's JSON has it."""
        return {
            "source": self.source,
            "tag": self.target.tag,
            "action": self.target.action.name,
            "found": self.found,
            "downloaded": self.counts["downloaded"],
            "known": self.counts["known"],
            "filtered": self.counts["filtered"],
            "failed": self.counts["failed"],
            "gone": self.counts["gone"],
            "tombstoned": self.counts["tombstoned"],
            "without_uploader": without_uploader,
        }


def begin_run(session: Session, source: str, target: Target, query: dict[str, Any], version: str) -> RunRecord:
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


def save_run(session: Session, run: RunRecord, cursor: Cursor | None, ends: bool) -> None:
    """Where the run stands now, in the transaction of a page."""
    row = session.get_one(CrawlRun, run.id)
    for ending in ENDINGS:
        setattr(row, ending, run.counts[ending])
    row.found, row.counted = run.found, run.counted
    row.cursor = cursor
    if ends:
        row.ended_at = now()


def clips_without_uploader(session: Session, runs: Iterable[RunRecord]) -> int:
    """How many clips these runs met of which no post, of any run, names an uploader."""
    ids = [run.id for run in runs if run.id is not None]
    met = select(Post.clip_id).join(Sighting, Sighting.post_id == Post.id).where(Sighting.last_run_id.in_(ids))
    named = select(Post.clip_id).where(Post.clip_id == Clip.id, Post.uploader_hash.is_not(None))
    return session.scalar(select(func.count(Clip.id)).where(Clip.id.in_(met), ~named.exists())) or 0
