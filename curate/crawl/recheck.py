"""Recheck: posts are visited again, and what vanished is marked gone.

Media and decisions stay: an export or a takedown is a person's to decide. A post that cannot be looked at now is left
as it was.
"""

import collections
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal, TypedDict, get_args

from sqlalchemy import or_, select, update

from plusmv.core.errors import PlusmvError
from plusmv.core.outcome import Ended
from plusmv.core.text import bounded_line
from plusmv.curate.crawl.records import reason_columns
from plusmv.curate.sources.base import FoundPost, PostGone, Reason, SearchAborted, Source
from plusmv.curate.sources.http import persistent
from plusmv.curate.sources.rate_limit import RateLimiter
from plusmv.db.models import Clip, Post, PostState, now
from plusmv.db.session import Catalog

PAGE = 50  # posts whose outcome is saved together
Outcome = Literal["there", "gone", "back", "unknown", "not_visited"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class RecheckError(TypedDict):
    """What ended the visits early."""

    error: str  # the name of a sources.base.SearchAborted, such as "login wall"
    reason: str


class RecheckResult(TypedDict):
    """What `plusmv recheck --json` prints; `posts` is the sum of the five outcomes."""

    posts: int
    there: int
    gone: int
    back: int
    unknown: int
    not_visited: int
    vanished: list[str]  # platform ids of those that were there the last time
    errors: list[RecheckError]


def ended(result: RecheckResult) -> Ended:
    """The posts as done (visited) and failed; what this visit could not be meant for is skipped, unless nothing was."""
    done = result["there"] + result["gone"] + result["back"]
    elsewhere = result["not_visited"]
    if done:
        return {"done": done, "skipped": elsewhere, "failed": result["unknown"]}
    return {"done": 0, "skipped": 0, "failed": result["unknown"] + elsewhere}


Visit = tuple[Outcome, Reason | None]


@dataclass(frozen=True)
class _Row:
    id: int
    state: PostState
    post: FoundPost
    sha256: str | None


def recheck(
    catalog: Catalog,
    sources: Callable[[str], Source | None],
    rate_limiter: RateLimiter,
    older_than: timedelta = timedelta(0),
    limit: int | None = None,
    on_page: Callable[[int], None] = lambda posts: None,
) -> RecheckResult:
    """Visit posts, those longest unvisited first. sources: platform -> the source to look them up with, or None."""
    sums: collections.Counter[Outcome] = collections.Counter()
    vanished: list[str] = []
    errors: list[RecheckError] = []
    for page in _pages(catalog, older_than, limit):
        outcomes: dict[int, Visit] = {}
        try:
            for row in page:
                outcomes[row.id] = _visit(sources(row.post.platform), row, rate_limiter)
                if outcomes[row.id][0] == "gone" and row.state != PostState.GONE:
                    vanished.append(row.post.platform_id)
        except SearchAborted as error:
            errors.append({"error": error.name, "reason": str(error)})
        _save(catalog, page, outcomes)
        sums.update(outcome for outcome, _ in outcomes.values())
        on_page(len(page))
        if errors:
            break
    return {
        "posts": sums.total(),
        "there": sums["there"],
        "gone": sums["gone"],
        "back": sums["back"],
        "unknown": sums["unknown"],
        "not_visited": sums["not_visited"],
        "vanished": vanished,
        "errors": errors,
    }


def _pages(catalog: Catalog, older_than: timedelta, limit: int | None) -> Iterator[list[_Row]]:
    """Posts with media, or gone before, in the order of their last visit; each once."""
    moment, last, left = now(), 0, limit
    columns = (Post.id, Post.state, Post.platform, Post.platform_id, Post.identity, Post.url, Clip.sha256)
    with catalog.reading() as session:
        wanted = (
            select(Post.id)
            .where(Post.state.in_([PostState.DOWNLOADED, PostState.GONE]))
            .where(or_(Post.checked_at.is_(None), Post.checked_at <= moment - older_than, Post.checked_at > moment))
            .order_by(Post.checked_at.is_not(None), Post.checked_at, Post.id)
        )
        ids = list(session.scalars(wanted if left is None else wanted.limit(left)))
    while last < len(ids):
        with catalog.reading() as session:
            some = select(*columns).join(Clip, Clip.id == Post.clip_id, isouter=True)
            rows = session.execute(some.where(Post.id.in_(ids[last : last + PAGE]))).all()
        last += PAGE
        yield [
            _Row(r.id, r.state, FoundPost(r.platform, r.platform_id, r.identity, url=r.url, complete=False), r.sha256)
            for r in rows
        ]


def _visit(source: Source | None, row: _Row, rate_limiter: RateLimiter) -> Visit:
    if source is None or not source.can_look_up(row.post, row.sha256):
        return "not_visited", None
    try:
        persistent(rate_limiter, row.post.platform, lambda: source.look(row.post), attempts=3)
    except PostGone as error:
        return "gone", replace(error.reason, text=bounded_line(str(error), 500))
    except SearchAborted:
        raise
    except PlusmvError:
        return "unknown", None
    return ("back" if row.state == PostState.GONE and row.sha256 else "there"), None


def _save(catalog: Catalog, page: list[_Row], outcomes: Mapping[int, Visit]) -> None:
    moment = now()
    with catalog.writing() as session:
        for row in page:
            outcome, reason = outcomes.get(row.id, ("unknown", None))
            if outcome in ("unknown", "not_visited"):
                continue
            values: dict[str, Any] = {"checked_at": moment}
            if outcome == "gone":
                values |= {"state": PostState.GONE, **reason_columns(reason)}
            elif outcome == "back":
                values |= {"state": PostState.DOWNLOADED, **reason_columns(None)}
            session.execute(update(Post).where(Post.id == row.id).values(values))
