"""Crawling: from the posts that a source lists under a tag to rows of the catalog and media in the store.

This is the loop: pages of a search, threads that fetch media (crawl.fetch), worker processes that inspect the files
(which a damaged one may crash or hang), and stopping. What becomes of each post is settled in crawl.pages; pages are
saved one after the other, so a killed crawl goes on after the last saved one.
"""

import collections
import concurrent.futures
import contextlib
import gc
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from plusmv.core.workers import Outcome, map_unordered
from plusmv.core.workspace import Workspace, remove_stale_parts
from plusmv.curate.crawl.fetch import Fetched, Fetcher, Limits
from plusmv.curate.crawl.media import ClipFacts, InspectStage, Received
from plusmv.curate.crawl.pages import NO_LIMITS, CrawlOptions, OpenPage, PageSettler
from plusmv.curate.crawl.results import Counts, CrawlResult, RunSummary, SearchError
from plusmv.curate.crawl.runs import RunRecord, Target
from plusmv.curate.sources.accounts import Lease
from plusmv.curate.sources.base import FoundPost, Page, PostKey, SearchAborted, Source
from plusmv.curate.sources.rate_limit import RateLimiter
from plusmv.db.session import Catalog

INSPECTION_SECONDS = 120.0  # a worker may take for one file
CONNECTIONS = 4  # downloads at once
LISTED_PER_WANTED = 10  # posts that a tag may list for each video that is wanted, before its pictures are enough


class Crawl:
    """One crawl of one source; `run` does it. Options: see CrawlOptions.

    on_page: called with the run and the number of posts saved.
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
        self._workspace, self._source, self._limits, self._dry_run = workspace, source, limits, dry_run
        self._on_page, self._rate_limiter = on_page, rate_limiter or RateLimiter()
        self._lease = Lease(catalog, workspace, source.account)
        options = CrawlOptions(limits, retry_failed, dry_run, metadata_only)
        self._settler = PageSettler(catalog, workspace, options, self._lease)
        self._fetcher = Fetcher(workspace, source, limits, self._rate_limiter, self._settler.is_tombstoned)
        self._runs: list[RunRecord] = []
        self._pages: collections.deque[OpenPage] = collections.deque()
        self._inspected: dict[str, tuple[OpenPage, FoundPost, Received]] = {}
        self._errors: list[SearchError] = []

    def run(self, targets: Iterable[Target], workers: int | None = None) -> CrawlResult:
        """Crawl every target."""
        remove_stale_parts(self._workspace.home / "media")
        pool = concurrent.futures.ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="fetch")
        files = self._received_files(targets, pool)
        outcomes = map_unordered(InspectStage(), files, workers=workers, time_limit=INSPECTION_SECONDS)
        lease = contextlib.nullcontext() if self._dry_run else self._lease
        try:
            with lease, _rare_collections(), contextlib.closing(outcomes):
                for outcome in outcomes:
                    self._take_in(outcome)
        finally:
            self._rate_limiter.stop()
            pool.shutdown(cancel_futures=True)
            self._remove_parts()
        return self._result()

    def _result(self) -> CrawlResult:
        runs = [run.summary(self._settler.without_uploader([run])) for run in self._runs]
        return {
            "runs": runs,
            "totals": _totals(runs, self._settler.without_uploader(self._runs)),
            "failures": self._settler.failures,
            "errors": self._errors,
            "failed_before": self._settler.failed_before,
            "dry_run": self._dry_run,
        }

    def _remove_parts(self) -> None:
        """What had come in and was not settled when the crawl ended early."""
        for part in (self._workspace.home / "media").glob(f".incoming.{os.getpid()}-*"):
            part.unlink(missing_ok=True)

    def _received_files(self, targets: Iterable[Target], pool: concurrent.futures.Executor) -> Iterator[str]:
        """Paths of received files to inspect, drawn as workers become free; pages open and close along the way."""
        for target in targets:
            run = self._settler.begin(self._source, target)
            self._runs.append(run)
            try:
                for page in self._within_limit(run):
                    yield from self._fetch(run, page, pool)
                    self._save_complete_pages()
            except SearchAborted as error:
                self._errors.append({"tag": target.tag, "error": error.name, "reason": str(error)})
                self._save_complete_pages()
                if error.everywhere:
                    return
            else:
                self._pages.append(OpenPage(run, None, listed=True))
                self._save_complete_pages()

    def _within_limit(self, run: RunRecord) -> Iterator[Page]:
        """The source's pages until the tag's limit of videos is reached; a post met before in this run counts once."""
        pages = self._source.search(run.target.tag, run.cursor)
        if self._limits.posts is None:
            yield from pages
            return
        wanted, counted, listed = self._limits.posts, run.counted, 0
        met: set[PostKey] = set()
        if counted >= wanted:
            return
        for page in pages:
            again = self._settler.met_before(run, page)
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

    def _fetch(self, run: RunRecord, page: Page, pool: concurrent.futures.Executor) -> Iterator[str]:
        """Fetch a page's posts; paths of media that have come in are yielded, to be inspected."""
        opened, posts = self._settler.open(run, page)
        self._pages.append(opened)
        futures = [pool.submit(self._fetcher.fetch, post) for post in posts]
        try:
            for future in concurrent.futures.as_completed(futures):
                yield from self._fetched(opened, future.result())
        except SearchAborted:
            opened.broken = True
            for future in futures:
                future.cancel()
            raise
        finally:
            opened.listed = True

    def _fetched(self, page: OpenPage, fetched: Fetched) -> Iterator[str]:
        """The path of the file that has come in, or none: then the post has ended without."""
        if fetched.settled is not None:
            self._settler.end(page, fetched.settled)
        elif fetched.received is not None:
            page.waiting += 1
            path = str(fetched.received.path)
            self._inspected[path] = page, fetched.post, fetched.received
            yield path

    def _take_in(self, outcome: Outcome[str, ClipFacts]) -> None:
        self._settler.end_inspected(*self._inspected.pop(outcome.task), outcome)
        self._save_complete_pages()

    def _save_complete_pages(self) -> None:
        """Save pages in the source's order: a page's cursor says that all before it is done."""
        while self._pages and self._pages[0].complete:
            page = self._pages.popleft()
            self._settler.save(page)
            self._on_page(page.run, len(page.settled))


def _totals(runs: Sequence[RunSummary], without_uploader: int) -> Counts:
    return {
        "found": sum(run["found"] for run in runs),
        "downloaded": sum(run["downloaded"] for run in runs),
        "known": sum(run["known"] for run in runs),
        "filtered": sum(run["filtered"] for run in runs),
        "failed": sum(run["failed"] for run in runs),
        "gone": sum(run["gone"] for run in runs),
        "tombstoned": sum(run["tombstoned"] for run in runs),
        "without_uploader": without_uploader,
    }


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """Looking for garbage in cycles after every 700 new objects takes an eighth of the time of a page of thousands."""
    before = gc.get_threshold()
    gc.set_threshold(20_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
