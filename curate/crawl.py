"""Crawling: from the posts that a source lists under a tag to rows of the catalog and media in the store.

Every post ends as downloaded, known, filtered, failed, gone or tombstoned; the counts add up to what was found. Pages
are saved one after the other, each in one transaction with the run's cursor, so a killed crawl goes on after the last
saved page. Media are copied by this process and looked at in workers, which a damaged file may crash or hang.
"""

import collections
import contextlib
import errno
import functools
import importlib.metadata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import IntegrityError

from core.errors import PlusmvError
from core.workers import Outcome, map_unordered
from core.workspace import Workspace, remove_stale_parts
from curate.crawl_records import ENDINGS, RunRecord, SettledPost, Target, begin_run, known_posts, save_page
from curate.media import ClipFacts, InspectStage, Received, drop, receive, settle
from curate.source import FoundPost, Page, Source
from db.models import Post, PostState
from db.session import Catalog

INSPECTION_SECONDS = 120.0  # a worker may take for one file
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
COLLISIONS = 3  # transactions tried when another crawl saves the same posts at the same moment


@dataclass(frozen=True)
class Limits:
    """What to take. None: no limit."""

    posts: int | None = None  # found for each tag, the source's first ones
    min_seconds: float | None = None
    max_seconds: float | None = None

    def objection(self, seconds: float) -> str | None:
        """Why a clip of this length is filtered; None where it is not."""
        if self.min_seconds is not None and seconds < self.min_seconds:
            return f"lasts {seconds:.2f} s, {self._endings()[0]}"
        if self.max_seconds is not None and seconds > self.max_seconds:
            return f"lasts {seconds:.2f} s, {self._endings()[1]}"
        return None

    def stand_by(self, objection: str) -> bool:
        """Whether an earlier objection was made under these same limits."""
        return objection.endswith(self._endings())

    def _endings(self) -> tuple[str, str]:
        return f"under the limit of {self.min_seconds} s", f"over the limit of {self.max_seconds} s"


@dataclass
class _OpenPage:
    """A page whose posts are being settled. The last of a run has no posts and no cursor."""

    run: RunRecord
    cursor: dict | None
    listed: bool = False
    waiting: int = 0
    settled: list[SettledPost] = field(default_factory=list)


class Crawl:
    """One crawl of one source; `run` does it. After `run`, `failures` and `failed_before` say what went wrong.

    retry_failed: try posts again that failed before; otherwise they are known. dry_run: only list, write nothing.
    on_page: called with the number of posts of each page that was saved.
    """

    def __init__(
        self,
        catalog: Catalog,
        workspace: Workspace,
        source: Source,
        limits: Limits = Limits(),
        retry_failed: bool = False,
        dry_run: bool = False,
        on_page: Callable[[int], None] = lambda posts: None,
    ):
        self._catalog, self._workspace, self._source, self._limits = catalog, workspace, source, limits
        self._retry_failed, self._dry_run, self._on_page = retry_failed, dry_run, on_page
        self._version = importlib.metadata.version("plusmv")
        self._runs: list[RunRecord] = []
        self._pages: collections.deque[_OpenPage] = collections.deque()
        self._inspected: dict[str, tuple[_OpenPage, FoundPost, Received]] = {}
        self._in_hand: set[tuple[str, str]] = set()
        self.failures: list[dict[str, str]] = []
        self.failed_before = 0

    def run(self, targets: Iterable[Target], workers: int | None = None) -> dict:
        """Crawl every target. Returns {"runs", "totals", "failures", "failed_before", "dry_run"}."""
        remove_stale_parts(self._workspace.home / "media")
        tasks = self._tasks(targets)
        outcomes = map_unordered(InspectStage(), tasks, workers=workers, time_limit=INSPECTION_SECONDS)
        try:
            with contextlib.closing(outcomes):
                for outcome in outcomes:
                    self._take(outcome)
                    self._save_complete_pages()
        finally:
            for _, _, received in self._inspected.values():
                drop(received)
        runs = [run.summary() for run in self._runs]
        return {
            "runs": runs,
            "totals": {name: sum(run[name] for run in runs) for name in ("found", *ENDINGS)},
            "failures": self.failures,
            "failed_before": self.failed_before,
            "dry_run": self._dry_run,
        }

    def _tasks(self, targets: Iterable[Target]) -> Iterator[str]:
        """Paths of received files to inspect, drawn as workers become free; pages open and close along the way."""
        for target in targets:
            run = self._begin(target)
            for page in self._within_limit(run):
                opened = _OpenPage(run, page.cursor)
                self._pages.append(opened)
                yield from self._receive_new(opened, page.posts)
                opened.listed = True
                self._save_complete_pages()
            self._pages.append(_OpenPage(run, None, listed=True))
            self._save_complete_pages()

    def _begin(self, target: Target) -> RunRecord:
        if self._dry_run:
            run = RunRecord(self._source.name, target)
        else:
            query = self._source.query(target.tag) | vars(self._limits) | {"retry_failed": self._retry_failed}
            with self._catalog.writing() as session:
                run = begin_run(session, self._source.name, target, query, self._version)
        self._runs.append(run)
        return run

    def _within_limit(self, run: RunRecord) -> Iterator[Page]:
        """The source's pages until the tag's limit of posts is reached."""
        found = run.found
        limit = float("inf") if self._limits.posts is None else self._limits.posts
        if found >= limit:
            return
        for page in self._source.search(run.target.tag, run.cursor):
            found += len(page.posts)
            if found >= limit:
                yield Page(page.posts[: len(page.posts) - int(found - limit)], page.cursor)
                return
            yield page

    def _receive_new(self, page: _OpenPage, posts: tuple[FoundPost, ...]) -> Iterator[str]:
        with self._catalog.reading() as session:
            rows = known_posts(session, self._source.platform, posts)
        for post in posts:
            row = rows.get(post.key)
            if post.key in self._in_hand or (row is not None and self._is_settled(row, post)):
                self.failed_before += row is not None and row.state == PostState.FAILED
                page.settled.append(SettledPost(post, "known"))
                continue
            self._in_hand.add(post.key)
            received = self._receive(page, post)
            if received is not None:
                page.waiting += 1
                self._inspected[str(received.path)] = page, post, received
                yield str(received.path)

    def _is_settled(self, row: Post, post: FoundPost) -> bool:
        """Whether a post that the catalog has needs no second look."""
        if row.state == PostState.DOWNLOADED:
            return self._workspace.media(row.clip.sha256, row.clip.suffix).is_file()
        if row.state == PostState.FAILED:
            return not self._retry_failed
        if row.state == PostState.FILTERED:
            return not row.retryable or post.reason == row.reason or self._limits.stand_by(row.reason)
        return row.state != PostState.FOUND

    def _receive(self, page: _OpenPage, post: FoundPost) -> Received | None:
        """The post's media; None where the post ended without."""
        if post.state != PostState.FOUND:
            self._end(page, SettledPost(post, post.state.value, post.reason, post.retryable))
        elif self._dry_run:
            self._end(page, SettledPost(post, "downloaded"))
        else:
            try:
                return receive(self._workspace, functools.partial(self._source.download, post))
            except PlusmvError as error:
                self._end(page, SettledPost(post, "failed", str(error), retryable=True))
            except OSError as error:
                if error.errno in FULL_DISK:
                    raise PlusmvError(f"cannot write media: {error.strerror}; make room and crawl again") from error
                self._end(page, SettledPost(post, "failed", f"{error.strerror or error}", retryable=True))
        return None

    def _take(self, outcome: Outcome[str, ClipFacts]) -> None:
        """What a worker says of a received file: into the store with it, or away."""
        page, post, received = self._inspected.pop(outcome.task)
        page.waiting -= 1
        if outcome.error is not None:
            reason = outcome.error.replace(outcome.task, Path(post.platform_id).name)
            settled = SettledPost(post, "failed", reason)
        elif objection := self._limits.objection(outcome.value.duration):
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
            self.failures.append({"post": settled.post.platform_id, "reason": settled.reason})

    def _save_complete_pages(self) -> None:
        """Save pages in the source's order: a page's cursor says that all before it is done."""
        while self._pages and self._pages[0].listed and not self._pages[0].waiting:
            self._save(self._pages.popleft())

    def _save(self, page: _OpenPage) -> None:
        for settled in page.settled:
            page.run.counts[settled.ending] += 1
            self._in_hand.discard(settled.post.key)
        if not self._dry_run:
            for attempt in range(1, COLLISIONS + 1):
                try:
                    with self._catalog.writing() as session:
                        save_page(session, self._workspace, page.run, page.settled, page.cursor)
                    break
                except IntegrityError:
                    if attempt == COLLISIONS:
                        raise
        self._on_page(len(page.settled))
