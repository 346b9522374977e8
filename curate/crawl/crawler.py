"""Crawling: from the posts that a source lists under a tag to rows of the catalog and media in the store.

Every post ends as downloaded, known, filtered, failed, gone or tombstoned; the counts add up to what was found. Pages
are saved one after the other, each in one transaction with the run's cursor, so a killed crawl goes on after the last
saved page. Media come in through a few threads (crawl.fetch) and are looked at in worker processes, which a damaged
file may crash or hang.
"""

import collections
import concurrent.futures
import contextlib
import gc
import importlib.metadata
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import IntegrityError

from plusmv.core.workers import Outcome, map_unordered
from plusmv.core.workspace import Workspace, remove_stale_parts
from plusmv.curate.crawl.fetch import Fetched, Fetcher, Limits
from plusmv.curate.crawl.media import ClipFacts, InspectStage, Received, drop, settle
from plusmv.curate.crawl.records import (
    ENDINGS,
    KnownPost,
    RunRecord,
    SettledPost,
    Target,
    begin_run,
    known_posts,
    met_in_run,
    save_page,
)
from plusmv.curate.crawl.tombstones import tombstoned
from plusmv.curate.sources.accounts import Lease
from plusmv.curate.sources.base import FoundPost, Page, SearchAborted, Source
from plusmv.curate.sources.rate_limit import RateLimiter
from plusmv.db.models import PostState
from plusmv.db.queries import clips_by_name
from plusmv.db.session import Catalog

INSPECTION_SECONDS = 120.0  # a worker may take for one file
CONNECTIONS = 4  # downloads at once
COLLISIONS = 3  # transactions tried when another crawl saves the same posts at the same moment
LISTED_PER_WANTED = 10  # posts that a tag may list for each video that is wanted, before its pictures are enough

NO_LIMITS = Limits()


@contextlib.contextmanager
def _collected_rarely() -> Iterator[None]:
    """Looking for garbage in cycles after every 700 new objects takes an eighth of the time of a page of thousands."""
    before = gc.get_threshold()
    gc.set_threshold(20_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@dataclass
class _OpenPage:
    """A page whose posts are being settled. The last of a run has no posts and no cursor."""

    run: RunRecord
    cursor: dict | None
    order: dict[tuple, int] = field(default_factory=dict)  # where each post stands on it
    new: set[tuple] = field(default_factory=set)  # posts that the catalog did not have when they were looked at
    listed: bool = False
    broken: bool = False  # the search stopped among its posts: what is settled is saved, the cursor stays
    waiting: int = 0
    settled: list[SettledPost] = field(default_factory=list)


class Crawl:
    """One crawl of one source; `run` does it.

    retry_failed: try posts again that failed before; otherwise they are known. dry_run: only list, write nothing.
    metadata_only: take posts in without their media. on_page: called with the run and the number of posts saved.
    """

    def __init__(
        self,
        catalog: Catalog,
        workspace: Workspace,
        source: Source,
        limits: Limits = NO_LIMITS,
        retry_failed: bool = False,
        dry_run: bool = False,
        metadata_only: bool = False,
        rate_limiter: RateLimiter | None = None,
        on_page: Callable[[RunRecord, int], None] = lambda run, posts: None,
    ):
        self._catalog, self._workspace, self._source, self._limits = catalog, workspace, source, limits
        self._retry_failed, self._dry_run, self._metadata_only = retry_failed, dry_run, metadata_only
        self._on_page, self._politeness = on_page, rate_limiter or RateLimiter()
        self._lease = Lease(catalog, workspace, source.account)
        self._fetcher = Fetcher(workspace, source, limits, self._politeness, self._is_buried)
        self._runs: list[RunRecord] = []
        self._pages: collections.deque[_OpenPage] = collections.deque()
        self._inspected: dict[str, tuple[_OpenPage, FoundPost, Received]] = {}
        self._in_hand: set[tuple] = set()
        self._result: dict = {"runs": [], "totals": {}, "failures": [], "errors": [], "failed_before": 0}

    def run(self, targets: Iterable[Target], workers: int | None = None) -> dict:
        """Crawl every target. Returns {"runs", "totals", "failures", "errors", "failed_before", "dry_run"}.

        errors: [{"tag", "error", "reason"}], the searches that stopped; their cursors stay where they were.
        """
        remove_stale_parts(self._workspace.home / "media")
        pool = concurrent.futures.ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="fetch")
        outcomes = map_unordered(
            InspectStage(), self._tasks(targets, pool), workers=workers, time_limit=INSPECTION_SECONDS
        )
        alone = contextlib.nullcontext() if self._dry_run else self._lease
        try:
            with alone, _collected_rarely(), contextlib.closing(outcomes):
                for outcome in outcomes:
                    self._take(outcome)
                    self._save_complete_pages()
        finally:
            self._politeness.stop()
            pool.shutdown(cancel_futures=True)
            self._sweep()
        runs = [run.summary() for run in self._runs]
        totals = {name: sum(run[name] for run in runs) for name in ("found", *ENDINGS)}
        return self._result | {"runs": runs, "totals": totals, "dry_run": self._dry_run}

    def _sweep(self) -> None:
        """What had come in and was not settled when the crawl ended early."""
        for part in (self._workspace.home / "media").glob(f".incoming.{os.getpid()}-*"):
            part.unlink(missing_ok=True)

    def _tasks(self, targets: Iterable[Target], pool: concurrent.futures.Executor) -> Iterator[str]:
        """Paths of received files to inspect, drawn as workers become free; pages open and close along the way."""
        for target in targets:
            run = self._begin(target)
            try:
                for page in self._within_limit(run):
                    yield from self._settle(run, page, pool)
            except SearchAborted as error:
                stop = {"tag": target.tag, "error": error.name, "reason": str(error)}
                self._result["errors"].append(stop)
                self._save_complete_pages()
                if error.everywhere:
                    return
            else:
                self._pages.append(_OpenPage(run, None, listed=True))
                self._save_complete_pages()

    def _begin(self, target: Target) -> RunRecord:
        if self._dry_run:
            run = RunRecord(self._source.name, target)
        else:
            options = vars(self._limits) | {"retry_failed": self._retry_failed, "metadata_only": self._metadata_only}
            tool = f"plusmv {importlib.metadata.version('plusmv')}" + f", {self._source.tool}" * bool(self._source.tool)
            with self._catalog.writing() as session:
                run = begin_run(session, self._source.name, target, self._source.query(target.tag) | options, tool[:40])
        self._runs.append(run)
        return run

    def _within_limit(self, run: RunRecord) -> Iterator[Page]:
        """The source's pages until the tag's limit of videos is reached; a post met before in this run counts once."""
        wanted, counted, listed, met = self._limits.posts or 0, run.counted, 0, set()
        if self._limits.posts is not None and counted >= wanted:
            return
        for page in self._source.search(run.target.tag, run.cursor):
            if self._limits.posts is None:
                yield page
                continue
            again = self._met_before(run, page)
            for place, post in enumerate(page.posts, start=1):
                counted += post.is_video and post.key not in met and post.key not in again
                met.add(post.key)
                if counted >= wanted:
                    yield Page(page.posts[:place], page.cursor)
                    return
            yield page
            listed += len(page.posts)
            if listed >= LISTED_PER_WANTED * wanted:
                return

    def _met_before(self, run: RunRecord, page: Page) -> set[tuple]:
        """Keys of posts on a page that this run met before it was cut short."""
        if run.id is None or run.cursor is None:
            return set()
        with self._catalog.reading() as session:
            known = known_posts(session, page.posts)
            again = met_in_run(session, run, known.values())
        return {key for key, post in known.items() if post.id in again}

    def _settle(self, run: RunRecord, page: Page, pool: concurrent.futures.Executor) -> Iterator[str]:
        """Settle a page's posts; those whose media have come in are yielded, to be inspected."""
        opened = _OpenPage(run, page.cursor, {post.key: place for place, post in enumerate(page.posts)})
        self._pages.append(opened)
        futures = [pool.submit(self._fetcher.fetch, post) for post in self._new(opened, page.posts)]
        try:
            for future in concurrent.futures.as_completed(futures):
                fetched: Fetched = future.result()
                if fetched.settled is not None:
                    self._end(opened, fetched.settled)
                    continue
                opened.waiting += 1
                self._inspected[str(fetched.received.path)] = opened, fetched.post, fetched.received
                yield str(fetched.received.path)
        except SearchAborted:
            opened.broken = True
            for future in futures:
                future.cancel()
            raise
        finally:
            opened.listed = True
        self._save_complete_pages()

    def _new(self, page: _OpenPage, posts: tuple[FoundPost, ...]) -> list[FoundPost]:
        """Settle what needs no download; the rest is returned."""
        with self._catalog.reading() as session:
            rows = known_posts(session, posts)
            dead = tombstoned(session, self._workspace, posts)
        new = []
        for post in posts:
            row = rows.get(post.key)
            if post.key in dead:
                self._end(page, SettledPost(post, "tombstoned"))
            elif post.key in self._in_hand or (row is not None and self._is_settled(row, post)):
                self._result["failed_before"] += row is not None and row.state == PostState.FAILED
                page.settled.append(SettledPost(post, "known"))
            else:
                self._in_hand.add(post.key)
                if row is None:
                    page.new.add(post.key)
                if post.state != PostState.FOUND:
                    self._end(page, SettledPost(post, post.state.value, post.reason, post.retryable))
                elif self._dry_run or self._metadata_only:
                    self._end(page, SettledPost(post, "downloaded"))
                else:
                    new.append(post)
        return new

    def _is_settled(self, row: KnownPost, post: FoundPost) -> bool:
        """Whether a post that the catalog has needs no second look."""
        if row.state == PostState.FOUND:
            return self._metadata_only
        if row.state in (PostState.FAILED, PostState.GONE) and row.sha256 is None:
            return not self._retry_failed
        if row.state == PostState.FILTERED:
            return not row.retryable or post.reason == row.reason or self._limits.stand_by(row.reason)
        if row.sha256 is None or self._metadata_only:
            return True
        return self._workspace.media(row.sha256, row.suffix).is_file()

    def _is_buried(self, post: FoundPost) -> bool:
        with self._catalog.reading() as session:
            return bool(tombstoned(session, self._workspace, [post]))

    def _take(self, outcome: Outcome[str, ClipFacts]) -> None:
        """What a worker says of a received file: into the store with it, or away."""
        page, post, received = self._inspected.pop(outcome.task)
        page.waiting -= 1
        if outcome.error is not None:
            reason = outcome.error.replace(outcome.task, Path(post.platform_id).name)
            settled = SettledPost(post, "failed", reason)
        elif objection := self._limits.objection(outcome.value.duration, received.bytes):
            settled = SettledPost(post, "filtered", objection, retryable=True)
        else:
            settle(self._workspace, received, outcome.value.suffix)
            settled = SettledPost(post, "downloaded", received=received, facts=outcome.value)
        if settled.received is None:
            drop(received)
        self._end(page, settled)

    def _end(self, page: _OpenPage, settled: SettledPost) -> None:
        page.settled.append(settled)
        if settled.ending == "failed":
            self._result["failures"].append({"post": settled.post.platform_id, "reason": settled.reason})

    def _save_complete_pages(self) -> None:
        """Save pages in the source's order: a page's cursor says that all before it is done."""
        while self._pages and self._pages[0].listed and not self._pages[0].waiting:
            self._save(self._pages.popleft())

    def _save(self, page: _OpenPage) -> None:
        run, cursor = page.run, page.run.cursor if page.broken else page.cursor
        page.settled.sort(key=lambda settled: page.order.get(settled.post.key, -1))
        counts, counted = dict(run.counts), run.counted
        for attempt in range(1, COLLISIONS + 1):
            run.counts, run.counted = dict(counts), counted
            try:
                self._write(page, cursor)
                break
            except IntegrityError:
                if attempt == COLLISIONS:
                    raise
        run.cursor = cursor
        self._in_hand.difference_update(settled.post.key for settled in page.settled)
        self._on_page(run, len(page.settled))

    def _write(self, page: _OpenPage, cursor: dict | None) -> None:
        if self._dry_run:
            for settled in page.settled:
                page.run.counts[settled.ending] += 1
            return
        ends = cursor is None and not page.broken
        with self._catalog.writing() as session:
            settled = save_page(session, self._workspace, page.run, page.settled, cursor, ends, page.new)
            self._lease.renew(session)
        for one in settled:
            if one.ending == "tombstoned" and one.received is not None:
                self._remove_unheld(one)

    def _remove_unheld(self, settled: SettledPost) -> None:
        """Media that came in while its content was taken down."""
        with self._catalog.reading() as session:
            if not clips_by_name(session, settled.received.sha256):
                self._workspace.media(settled.received.sha256, settled.facts.suffix).unlink(missing_ok=True)
