"""Strangers' text as values: JSON, whole numbers, numbers, moments. Whatever the text is, it is a value or a BadInput.

Python's own readers raise half a dozen kinds (RecursionError for JSON nested 100,000 deep, ValueError for 5,000 digits,
OverflowError for the year 99999) and take what no format means: "1_0", digits of other scripts, a line break after.
"""

import json
import math
import re
import sys
from datetime import UTC, datetime
from typing import Any, NoReturn

from plusmv.core.errors import BadInput, one_line

DIGITS = re.compile(r"[0-9]{1,19}")
NUMBER = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,4})?")
LARGEST = 2**63 - 1  # what databases and arrays hold
LARGEST_FACT = 1e15  # seconds, bytes: more is no fact of a video


def parse_json(content: str | bytes, name: str, strict: bool = True) -> Any:
    """The value of a JSON text. Raises BadInput, which calls it `name`, for a text that is none.

    strict: a key that occurs twice, NaN and Infinity, and half of a surrogate pair are refused too. Otherwise the last
    of equal keys counts, as in browsers, and who reads the value must expect the rest: a platform's metadata hold
    emojis cut in two.
    """
    try:
        if not strict:
            return json.loads(content)
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_number)
        if "\\u" in text:  # only an escape can make half a pair
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} is not JSON: {_why(error)}") from error


def whole_number(value: object, least: int = 0, most: int = LARGEST) -> int:
    """A whole number, or its ASCII digits. Raises BadInput for anything else, True and 1.0 included."""
    number = None
    if type(value) is int:
        number = value
    elif isinstance(value, str) and DIGITS.fullmatch(value):
        number = int(value)
    if number is None or not least <= number <= most:
        raise BadInput(f"{_shown(value)} is not a whole number from {least} to {most}")
    return number


def finite_number(value: object) -> float:
    """A number, or one in ASCII digits with spaces around it. Raises BadInput for anything else, NaN included."""
    number = math.nan
    if isinstance(value, str):
        plain = value.strip(" ")
        number = float(plain) if NUMBER.fullmatch(plain) else math.nan
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value) if -1e300 < value < 1e300 else math.nan
    if not math.isfinite(number):
        raise BadInput(f"{_shown(value)} is not a finite number")
    return number


def positive(value: object) -> float | None:
    """A fact that metadata give in a number, such as seconds or bytes; None where it is no positive, sensible one."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if numeric and 0 < value <= LARGEST_FACT else None  # type: ignore[operator,arg-type]


def moment_of(value: object) -> datetime:
    """A moment in UTC: seconds since 1970, 20191027, or ISO 8601 (UTC where it names no zone). Raises BadInput."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(float(value), UTC)
        text = value.strip(" ") if isinstance(value, str) else ""
        if NUMBER.fullmatch(text) and len(text) > len("20191027"):
            return datetime.fromtimestamp(float(text), UTC)
        moment = datetime.fromisoformat(text if text.isascii() else "")
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BadInput(f"{_shown(value)} is not a date; write it as 2019-10-27 or 2019-10-27T09:00:00Z") from error


def moment_or_none(value: object) -> datetime | None:
    """As `moment_of`; None where there is none."""
    try:
        return moment_of(value)
    except BadInput:
        return None


class _NotJson(ValueError):
    """What Python's reader takes, though it is no JSON or loses something."""


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if type(error) is ValueError:  # of int(): all others are of a kind of their own
        return f"a whole number has more than {sys.get_int_max_str_digits()} digits"
    return one_line(error)[:200]


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object. Raises _NotJson for a key that occurs twice: Python would silently keep the last value."""
    unique = dict(pairs)
    if len(unique) < len(pairs):
        met: set[str] = set()
        again = next(name for name, _ in pairs if name in met or met.add(name))  # type: ignore[func-returns-value]
        raise _NotJson(f"{again!r:.60} occurs twice in one object")
    return unique


def _no_number(name: str) -> NoReturn:
    raise _NotJson(f"{name} is not a number in JSON")


def _shown(value: object) -> str:
    """The value for an error; an integer of 5,000 digits cannot even be printed."""
    if isinstance(value, int) and not -(10**30) < value < 10**30:
        return "a number of more than 30 digits"
    return repr(value[:40]) if isinstance(value, str) else f"{value!r:.40}"
