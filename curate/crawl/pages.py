"""Settling pages: what becomes of each post that a source lists, and the page's one transaction with the run's cursor.

A post is settled without a download (known, tombstoned, or as its listing shows it), or by what a fetch and the
inspection of its file gave. Every post ends in one of records.ENDINGS.
"""

import importlib.metadata
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy.exc import IntegrityError

from plusmv.core.workers import Outcome
from plusmv.core.workspace import Workspace
from plusmv.curate.crawl.fetch import Limits
from plusmv.curate.crawl.media import ClipFacts, Received, drop, settle
from plusmv.curate.crawl.records import (
    KnownPost,
    NewClip,
    SettledPost,
    known_posts,
    met_in_run,
    save_page,
)
from plusmv.curate.crawl.results import Failure
from plusmv.curate.crawl.runs import RunRecord, Target, begin_run, clips_without_uploader
from plusmv.curate.crawl.tombstones import tombstoned
from plusmv.curate.sources.accounts import Lease
from plusmv.curate.sources.base import Cursor, FoundPost, Page, PostKey, Reason, Source
from plusmv.db.models import PostState, ReasonCode
from plusmv.db.queries import clips_by_name
from plusmv.db.session import Catalog

COLLISIONS = 3  # transactions tried when another crawl saves the same posts at the same moment
NO_LIMITS = Limits()


@dataclass(frozen=True)
class CrawlOptions:
    """retry_failed: try posts again that failed before; otherwise they are known. dry_run: only list, write nothing.

    metadata_only: take posts in without their media.
    """

    limits: Limits = NO_LIMITS
    retry_failed: bool = False
    dry_run: bool = False
    metadata_only: bool = False


@dataclass
class OpenPage:
    """A page whose posts are being settled. The last of a run has no posts and no cursor."""

    run: RunRecord
    cursor: Cursor | None
    order: dict[PostKey, int] = field(default_factory=dict)  # where each post stands on it
    new: set[PostKey] = field(default_factory=set)  # posts that the catalog did not have when they were looked at
    listed: bool = False
    broken: bool = False  # the search stopped among its posts: what is settled is saved, the cursor stays
    waiting: int = 0  # files that are being inspected
    settled: list[SettledPost] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return self.listed and not self.waiting

    @property
    def next_cursor(self) -> Cursor | None:
        return self.run.cursor if self.broken else self.cursor


class PageSettler:
    """Settles the pages of one crawl; calls nobody back. failures, failed_before: for the crawl's result."""

    def __init__(self, catalog: Catalog, workspace: Workspace, options: CrawlOptions, lease: Lease):
        self._catalog, self._workspace, self._options, self._lease = catalog, workspace, options, lease
        self._in_progress: set[PostKey] = set()  # on pages that are not saved yet
        self.failures: list[Failure] = []
        self.failed_before = 0

    def begin(self, source: Source, target: Target) -> RunRecord:
        """The run of a target: a new one, or the same that was cut short."""
        if self._options.dry_run:
            return RunRecord(source.name, target)
        options = {"retry_failed": self._options.retry_failed, "metadata_only": self._options.metadata_only}
        query = source.query(target.tag) | asdict(self._options.limits) | options
        tool = ", ".join(filter(None, (f"plusmv {importlib.metadata.version('plusmv')}", source.tool)))
        with self._catalog.writing() as session:
            return begin_run(session, source.name, target, query, tool[:40])

    def met_before(self, run: RunRecord, page: Page) -> set[PostKey]:
        """Keys of posts on a page that this run met before it was cut short."""
        if run.id is None or run.cursor is None:
            return set()
        with self._catalog.reading() as session:
            known = known_posts(session, page.posts)
            again = met_in_run(session, run, known.values())
        return {key for key, post in known.items() if post.id in again}

    def without_uploader(self, runs: Iterable[RunRecord]) -> int:
        """How many clips these runs met of which no post names an uploader."""
        with self._catalog.reading() as session:
            return clips_without_uploader(session, runs)

    def is_tombstoned(self, post: FoundPost) -> bool:
        with self._catalog.reading() as session:
            return bool(tombstoned(session, self._workspace, [post]))

    def open(self, run: RunRecord, page: Page) -> tuple[OpenPage, list[FoundPost]]:
        """(the page, those of its posts that have to be fetched); the rest is settled."""
        opened = OpenPage(run, page.cursor, {post.key: place for place, post in enumerate(page.posts)})
        with self._catalog.reading() as session:
            known = known_posts(session, page.posts)
            dead = tombstoned(session, self._workspace, page.posts)
        to_fetch = []
        for post in page.posts:
            settled = self._settled_at_once(opened, post, known.get(post.key), post.key in dead)
            if settled is None:
                to_fetch.append(post)
            else:
                self.end(opened, settled)
        return opened, to_fetch

    def end(self, page: OpenPage, settled: SettledPost) -> None:
        """Note how a post ended."""
        page.settled.append(settled)
        if settled.ending == "failed" and settled.reason is not None:
            reason = settled.reason
            self.failures.append({"post": settled.post.platform_id, "code": reason.code, "reason": reason.text})

    def end_inspected(
        self, page: OpenPage, post: FoundPost, received: Received, outcome: Outcome[str, ClipFacts]
    ) -> None:
        """A worker has inspected a received file: into the store with it, or away."""
        page.waiting -= 1
        if outcome.value is None:
            text = (outcome.error or "").replace(outcome.task, Path(post.platform_id).name)
            settled = SettledPost(post, "failed", Reason(ReasonCode.UNDECODABLE, text))
        elif violation := self._options.limits.violation(outcome.value.duration, received.bytes):
            settled = SettledPost(post, "filtered", violation, retryable=True)
        else:
            settle(self._workspace, received, outcome.value.suffix)
            settled = SettledPost(post, "downloaded", clip=NewClip(received, outcome.value))
        if settled.clip is None:
            drop(received)
        self.end(page, settled)

    def save(self, page: OpenPage) -> None:
        """Write the page's posts with the run's counts and cursor in one transaction."""
        run, counts, counted = page.run, dict(page.run.counts), page.run.counted
        page.settled.sort(key=lambda settled: page.order.get(settled.post.key, -1))
        for attempt in range(1, COLLISIONS + 1):
            run.counts, run.counted = dict(counts), counted
            try:
                self._write(page)
                break
            except IntegrityError:
                if attempt == COLLISIONS:
                    raise
        run.cursor = page.next_cursor
        self._in_progress.difference_update(settled.post.key for settled in page.settled)

    def _settled_at_once(
        self, page: OpenPage, post: FoundPost, row: KnownPost | None, is_tombstoned: bool
    ) -> SettledPost | None:
        """The post as it ends without a download; None where it needs one."""
        if is_tombstoned:
            return SettledPost(post, "tombstoned")
        if post.key in self._in_progress or (row is not None and self._is_settled(row, post)):
            self.failed_before += row is not None and row.state == PostState.FAILED
            return SettledPost(post, "known")
        self._in_progress.add(post.key)
        if row is None:
            page.new.add(post.key)
        if post.state != PostState.FOUND:
            return SettledPost.as_listed(post)
        if self._options.dry_run or self._options.metadata_only:
            return SettledPost(post, "downloaded")
        return None

    def _is_settled(self, row: KnownPost, post: FoundPost) -> bool:
        """Whether a post that the catalog has needs no second look."""
        if row.state == PostState.FOUND:
            return self._options.metadata_only
        if row.state in (PostState.FAILED, PostState.GONE) and row.sha256 is None:
            return not self._options.retry_failed
        if row.state == PostState.FILTERED:
            reason = (row.reason_code, row.reason_limit)
            listed = post.reason is not None and (post.reason.code, post.reason.limit) == reason
            return not row.retryable or listed or self._options.limits.still_set(*reason)
        if row.sha256 is None or self._options.metadata_only:
            return True
        return self._workspace.media(row.sha256, row.suffix or "").is_file()

    def _write(self, page: OpenPage) -> None:
        if self._options.dry_run:
            for settled in page.settled:
                page.run.counts[settled.ending] += 1
            return
        ends = page.cursor is None and not page.broken
        with self._catalog.writing() as session:
            saved = save_page(session, self._workspace, page.run, page.settled, page.next_cursor, ends, page.new)
            self._lease.renew(session)
        self._remove_tombstoned(saved)

    def _remove_tombstoned(self, saved: Iterable[SettledPost]) -> None:
        """Media that came in while their content was taken down, unless another post holds them."""
        for one in saved:
            if one.ending == "tombstoned" and one.clip is not None:
                sha256, suffix = one.clip.received.sha256, one.clip.facts.suffix
                with self._catalog.reading() as session:
                    held = clips_by_name(session, sha256)
                if not held:
                    self._workspace.media(sha256, suffix).unlink(missing_ok=True)
