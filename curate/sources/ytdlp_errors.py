"""What an error of yt-dlp means for a search or for one post: a wall by its name, gone, expired, worth another try."""

import contextlib
import re
from collections.abc import Callable, Iterator

from yt_dlp.networking.exceptions import HTTPError, RequestError, TransportError
from yt_dlp.utils import ExtractorError, UnsupportedError, YoutubeDLError

from plusmv.core.errors import BadInput, PlusmvError, Refused
from plusmv.core.least_speed import TooSlow
from plusmv.core.text import bounded_line
from plusmv.curate.sources.base import (
    ChangedFormat,
    Checkpoint,
    EmptyPage,
    LinkExpired,
    LoginWall,
    NeedsProgram,
    PageTooLarge,
    PostFailed,
    PostGone,
    SearchAborted,
    TransientError,
)
from plusmv.curate.sources.http import EXPIRED
from plusmv.curate.sources.rate_limit import retry_after
from plusmv.db.models import ReasonCode
from plusmv.features.connections import LEAST_SPEED, is_too_slow

COOKIES = "then give its cookies (--cookies-from-browser, PLUSMV_COOKIES)"
ADVICE = f"log in there in a browser, {COOKIES}"
GONE = re.compile(
    r"(?i)\b(deleted|removed|private|unavailable|not available|no longer|not exist|not found|terminated)\b"
)
CONFIRM = re.compile(r"(?i)not a bot|captcha|checkpoint|challenge|confirm you|verify (that )?you")
LOG_IN = re.compile(r"(?i)log[ -]?in|sign[ -]?in|account is required|cookies|login_required|members only")
PROGRAM = re.compile(r"(?i)\b(ffmpeg|rtmpdump|mplayer|mpv|aria2c|phantomjs)\b")  # what yt-dlp says it lacks
BODY = 4096  # bytes of an error's page that are looked at
PARSE_ERRORS = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError)  # of extractors, over
# another format, or JSON that is nested too deep


@contextlib.contextmanager
def translated(meaning: Callable[[Exception], Exception]) -> Iterator[None]:
    """Raise errors of yt-dlp and of its extractors as ours."""
    try:
        yield
    except PlusmvError:
        raise
    except (YoutubeDLError, RequestError, *PARSE_ERRORS) as error:
        raise meaning(error) from error


def search_error(error: Exception) -> Exception:
    """What an error of a search means."""
    causes, text = list(_causes(error)), _text(error)
    for cause in causes:
        if isinstance(cause, SearchAborted | Refused | TransientError):
            return cause
        if isinstance(cause, PageTooLarge):
            return ChangedFormat(str(cause))
    status, body = _status(causes)
    if any(isinstance(cause, UnsupportedError) for cause in causes):
        return BadInput(f"yt-dlp knows no site for this query: {text}; see --query in plusmv crawl --help")
    if status == 429:
        return TransientError(f"the site answers 429 ({text})", _asked_to_wait(causes), limited=True)
    if CONFIRM.search(text + body):
        return Checkpoint(f"the site wants a person to confirm something; do so in a browser, {COOKIES} ({text})")
    if status in (401, 403) or LOG_IN.search(text):
        return LoginWall(f"the site asks for a login; {ADVICE} ({text})")
    if status in (404, 410):
        return EmptyPage(f"the site has no such page; look at it in a browser ({text})")
    if (status or 0) >= 500 or any(isinstance(cause, TransportError) for cause in causes):
        return TransientError(f"the site does not answer ({text})")
    return ChangedFormat(f"yt-dlp cannot read the answer, it may need an update ({text})")


def post_error(error: Exception) -> Exception:
    """What an error of one video means."""
    causes, text = list(_causes(error)), _text(error)
    for cause in causes:
        if isinstance(cause, SearchAborted | Refused | PostFailed):
            return cause
    if any(map(is_too_slow, causes)) or TooSlow.__name__ in text:  # yt-dlp's downloader keeps the words alone
        return TransientError(str(LEAST_SPEED.error().strerror))
    if PROGRAM.search(text):
        return NeedsProgram(f"yt-dlp cannot fetch its video by itself ({text})")
    status, body = _status(causes)
    if status == 429:
        return TransientError(f"the site answers 429 ({text})", _asked_to_wait(causes), limited=True)
    if CONFIRM.search(text + body):
        return Checkpoint(f"the site wants a person to confirm something; do so in a browser, {COOKIES} ({text})")
    if status in EXPIRED and not any(isinstance(cause, ExtractorError) for cause in causes):
        return LinkExpired(text)
    if status in (404, 410):
        return PostGone(text)
    if status in (401, 403):  # a page whose own link to the file had run out by then: the next look has a fresh one
        return TransientError(text)
    if (status or 0) >= 500 or any(isinstance(cause, TransportError) for cause in causes):
        return TransientError(text)
    if LOG_IN.search(text):
        return PostFailed(f"needs a login: {text}", ReasonCode.LOGIN_REQUIRED)
    return PostGone(text) if GONE.search(text) else PostFailed(text)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        raised = getattr(one, "exc_info", None)
        waiting += [getattr(one, "cause", None), raised[1] if raised else None, one.__cause__, one.__context__]


def _status(causes: list[BaseException]) -> tuple[int | None, str]:
    """(status, start of the page) of the answer that was refused, if one was."""
    for cause in causes:
        if isinstance(cause, HTTPError):
            return cause.status, getattr(cause, "body", b"")[:BODY].decode("utf-8", "replace")
    return None, ""


def _asked_to_wait(causes: list[BaseException]) -> float | None:
    answers = [cause.response for cause in causes if isinstance(cause, HTTPError)]
    return retry_after(answers[0].headers.get("Retry-After")) if answers else None


def _text(error: Exception) -> str:
    """The message as one line without colours, links (they may carry signatures) and yt-dlp's advice."""
    plain = re.sub(r"\x1b\[[0-9;]*m|https?://\S+|^ERROR:\s*", "", str(error)).partition("; please report")[0]
    return bounded_line(plain, 200) or type(error).__name__
