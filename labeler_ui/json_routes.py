"""Routes that take JSON by POST from who is signed in; entries they record are idempotent, by id."""

import functools
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal, NotRequired, TypedDict

from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from plusmv.core.errors import BadInput, PlusmvError, Refused
from plusmv.labeler_ui import access
from plusmv.labeler_ui.connection import Connection, connect

PAGE = 200  # most clips a response, and most entries a request
BODY = 1 << 20  # most bytes a request
LARGEST = 2**63 - 1  # what the databases' integers hold
Json = dict[str, Any]
LOG = logging.getLogger(__name__)


class Answer(TypedDict):
    """What became of an entry."""

    id: Any
    state: Literal["recorded", "refused"]
    reason: NotRequired[str]


def json_route(answer: Callable[[Connection, str, Json], Json]) -> Callable[[Request], Awaitable[Response]]:
    """Make a route of a function from (connection, annotator, request's JSON) to the response's JSON."""

    @functools.wraps(answer)
    async def route(request: Request) -> Response:
        try:
            connection = await run_in_threadpool(connect)
            annotator = access.annotator_of(request)
            sent = await _json(request)
            if sent.get("annotator", annotator) != annotator:  # a page of before somebody else signed in
                raise Refused(f"you are signed in as {annotator} now: reload this page")
            return JSONResponse(await run_in_threadpool(answer, connection, annotator, sent))
        except Refused as error:
            return JSONResponse({"error": str(error)}, status_code=403)
        except BadInput as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        except IntegrityError:  # taken down in the meantime
            return JSONResponse({"error": "the clip or action is no longer in the catalog"}, status_code=409)
        except PlusmvError as error:
            return JSONResponse({"error": str(error)}, status_code=503)

    return route


async def read_body(request: Request, most: int = BODY) -> bytes:
    """The request's body. Raises BadInput for more than so many bytes, or where the page closed meanwhile."""
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > most:
                raise BadInput("the request is too long")
    except ClientDisconnect as error:  # nobody reads the response
        raise BadInput("the page was closed while it sent its request") from error
    return bytes(body)


async def _json(request: Request) -> Json:
    body = await read_body(request)
    try:
        sent = json.loads(body, parse_int=_integer)
        json.dumps(sent, ensure_ascii=False, allow_nan=False).encode()  # databases refuse NaN and lone surrogates
    except (ValueError, RecursionError) as error:
        raise BadInput("the request is not valid JSON") from error
    if not isinstance(sent, dict):
        raise BadInput("the request is not a JSON object")
    return sent


def _integer(digits: str) -> int:
    number = int(digits)
    if abs(number) > LARGEST:
        raise ValueError("integer out of range")
    return number


def record_each(connection: Connection, request: Json, record: Callable[[Session, Any], None]) -> list[Answer]:
    """Record the request's entries, in one transaction; an answer for each, in their order, once it is committed.

    An exception from `record` refuses that entry only.
    """
    entries = request.get("entries")
    if not isinstance(entries, list) or len(entries) > PAGE:
        raise BadInput(f"entries must be a list of at most {PAGE}")
    for attempt in (1, 2):  # another tab may record the same at this moment: then it is found recorded
        try:
            with connection.writing() as session:
                return [_recorded(session, entry, record) for entry in entries]
        except IntegrityError:
            if attempt == 2:
                raise
    return []


def _recorded(session: Session, sent: Any, record: Callable[[Session, Any], None]) -> Answer:
    id_ = sent.get("id") if isinstance(sent, dict) else None
    try:
        with session.begin_nested():
            record(session, sent)
        return {"id": id_, "state": "recorded"}
    except PlusmvError as error:
        return {"id": id_, "state": "refused", "reason": str(error)}
    except SQLAlchemyError:
        raise  # the database failed: the page sends all of them again
    except Exception:  # a bug of ours: the entries after this one must not wait forever
        LOG.exception("recording an entry failed")
        return {"id": id_, "state": "refused", "reason": "internal error; see the labeler's log"}
