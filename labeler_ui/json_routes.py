"""Routes that take JSON by POST from a page that shows its pass, and record what it sends, each entry once."""

import functools
import json
import logging
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from plusmv.core.errors import BadInput, PlusmvError, Refused
from plusmv.labeler_ui import access
from plusmv.labeler_ui.connection import Connection, connect

PAGE = 200  # clips of one answer, or entries of one request, at most
BODY = 1 << 20  # bytes of a request, at most
LARGEST = 2**63 - 1
LOG = logging.getLogger(__name__)


def json_route(answer: Callable[[Connection, str, dict], dict]) -> Callable[[Request], Response]:
    """A route: JSON in, JSON out, from a page that shows its pass."""

    @functools.wraps(answer)
    async def route(request: Request) -> Response:
        try:
            connection = await run_in_threadpool(connect)
            annotator = await run_in_threadpool(access.annotator_of, connection.workspace, request)
            asked = await _json(request)
            return JSONResponse(await run_in_threadpool(answer, connection, annotator, asked))
        except Refused as error:
            return JSONResponse({"error": str(error)}, status_code=403)
        except BadInput as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        except IntegrityError:  # taken down in the meantime
            return JSONResponse({"error": "what this is about is not in the catalog any more"}, status_code=409)
        except PlusmvError as error:
            return JSONResponse({"error": str(error)}, status_code=503)

    return route


async def _json(request: Request) -> dict[str, Any]:
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > BODY:
                raise BadInput("the request is too long")
    except ClientDisconnect as error:  # there is nobody to be told
        raise BadInput("the page was closed before it had sent its request") from error
    try:
        asked = json.loads(body, parse_int=_whole)
        json.dumps(asked, ensure_ascii=False, allow_nan=False).encode()  # no catalog takes NaN or half a character
    except (ValueError, RecursionError) as error:
        raise BadInput("the request is no JSON") from error
    if not isinstance(asked, dict):
        raise BadInput("the request is no JSON object")
    return asked


def _whole(digits: str) -> int:
    number = int(digits)
    if abs(number) > LARGEST:
        raise ValueError("a number that no catalog holds")
    return number


def record_each(connection: Connection, asked: dict, record: Callable[[Session, Any], None]) -> list[dict]:
    """[{"id", "state": recorded | refused, "reason"}] in the order of the entries, once the catalog has them.

    What `record` raises refuses its entry alone.
    """
    entries = asked.get("entries")
    if not isinstance(entries, list) or len(entries) > PAGE:
        raise BadInput("the request holds no list of entries")
    for attempt in (1, 2):  # another tab may send the same at the same moment: then it is found recorded
        try:
            with connection.writing() as session:
                return [_recorded(session, entry, record) for entry in entries]
        except IntegrityError:
            if attempt == 2:
                raise
    return []


def _recorded(session: Session, sent: Any, record: Callable[[Session, Any], None]) -> dict:
    id_ = sent.get("id") if isinstance(sent, dict) else None
    try:
        with session.begin_nested():
            record(session, sent)
        return {"id": id_, "state": "recorded"}
    except PlusmvError as error:
        return {"id": id_, "state": "refused", "reason": str(error)}
    except SQLAlchemyError:
        raise  # the catalog's trouble: the page sends all of them again
    except Exception:  # ours: what comes after this entry must not wait for ever
        LOG.exception("an entry of the labeler failed")
        return {"id": id_, "state": "refused", "reason": "the labeler failed at this; its log says why"}
