"""What a crawl gives back: the JSON of `plusmv crawl --json`."""

from typing import Literal, TypedDict, get_args

from plusmv.core.outcome import Ended

Ending = Literal["downloaded", "known", "filtered", "failed", "gone", "tombstoned"]
ENDINGS: tuple[Ending, ...] = get_args(Ending)


class Counts(TypedDict):
    """How posts ended: `found` is the sum of the six endings.

    without_uploader: the clips among them of which no post names an uploader, so that no takedown of one reaches them.
    """

    found: int
    downloaded: int
    known: int
    filtered: int
    failed: int
    gone: int
    tombstoned: int
    without_uploader: int


class RunSummary(Counts):
    """How the posts of one tag ended."""

    source: str
    tag: str
    action: str


class Failure(TypedDict):
    """A post that failed."""

    post: str
    code: str  # a db.models.ReasonCode
    reason: str


class SearchError(TypedDict):
    """A search that stopped: its cursor stays where it was."""

    tag: str
    error: str  # the name of a sources.base.SearchAborted, such as "login wall"
    reason: str


class CrawlResult(TypedDict):
    """What `plusmv crawl --json` prints."""

    runs: list[RunSummary]
    totals: Counts
    failures: list[Failure]
    errors: list[SearchError]
    failed_before: int  # of the known posts
    dry_run: bool


def ended(result: CrawlResult) -> Ended:
    """The posts as done (downloaded), skipped (known, not wanted or tombstoned) and failed, now or before, or gone."""
    totals, before = result["totals"], result["failed_before"]
    return {
        "done": totals["downloaded"],
        "skipped": totals["known"] - before + totals["filtered"] + totals["tombstoned"],
        "failed": totals["failed"] + totals["gone"] + before,
    }
