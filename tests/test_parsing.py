"""Strangers' text as values: whatever it is, a value or a BadInput."""

from datetime import UTC, datetime

import pytest

from plusmv.core.errors import BadInput
from plusmv.core.parsing import finite_number, moment_of, moment_or_none, parse_json, positive, whole_number

DIGITS = "9" * 5000
ODD_DIGITS = ["", " ", "1_0", "\N{ARABIC-INDIC DIGIT ONE}", "\N{SUPERSCRIPT TWO}", "1\n", "0x1", "\x001", DIGITS, "nan"]


@pytest.mark.parametrize(
    "text", [*ODD_DIGITS, " 7", "+7", "-1", "7.0", "9223372036854775808", True, 7.0, None, [7], {}]
)
def test_what_is_no_whole_number(text):
    with pytest.raises(BadInput):
        whole_number(text)


def test_whole_numbers():
    assert [whole_number(value) for value in (0, "0", "007", 2**63 - 1)] == [0, 0, 7, 2**63 - 1]
    with pytest.raises(BadInput):
        whole_number(7, most=6)
    with pytest.raises(BadInput):
        whole_number(10**4000)


@pytest.mark.parametrize(
    "text", [*ODD_DIGITS, "inf", "1e400", "-Infinity", "1e", ".", True, None, [1], 10**400, float("nan")]
)
def test_what_is_no_finite_number(text):
    with pytest.raises(BadInput):
        finite_number(text)


def test_finite_numbers():
    assert [finite_number(value) for value in (" 1.5 ", "-2e-3", ".5", "5.", 7)] == [1.5, -0.002, 0.5, 5.0, 7.0]
    assert [positive(value) for value in (7, 0.5, 0, -1, True, "7", 10**400, float("inf"), float("nan"), None)] == [
        7.0, 0.5, *[None] * 8]  # fmt: skip


@pytest.mark.parametrize(
    "value",
    ["", "never", DIGITS, "1e300", "99999-01-01", "0001-01-01T00:00:00+14:00", "2019-13-01", ODD_DIGITS[3] * 8,
     10**400, 1e20, float("nan"), float("inf"), -1e17, True, None, [], {}],
)  # fmt: skip
def test_what_is_no_moment(value):
    with pytest.raises(BadInput):
        moment_of(value)
    assert moment_or_none(value) is None


def test_moments():
    noon = datetime(2019, 10, 27, 9, tzinfo=UTC)
    for value in (
        1572166800,
        1572166800.0,
        "1572166800",
        "2019-10-27T09:00:00Z",
        "2019-10-27 09:00:00",
        " 20191027T09 ",
    ):
        assert moment_of(value) == noon
    assert moment_of("20191027") == datetime(2019, 10, 27, tzinfo=UTC)
    assert moment_of("2019-10-27T11:00:00+0200") == noon


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000, DIGITS, "NaN",
     "[Infinity]", '{"a": 1, "a": 2}', r'"\ud800"', r'{"\udfff": 1}', b"\xff", b"\xff\xfe[\x00]\x00", "1 2", "\x00"],
)  # fmt: skip
def test_what_is_no_json(text):
    with pytest.raises(BadInput) as caught:
        parse_json(text, "the file")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_json():
    assert parse_json('\ufeff{"a": "\\ud83d\\ude00"}'.encode(), "the file") == {"a": "\N{GRINNING FACE}"}
    lenient = parse_json(r'{"a": 1, "a": "\ud83d", "b": NaN}', "metadata", strict=False)
    assert lenient["a"] == "\ud83d"


def test_an_error_of_too_many_digits_names_no_function_of_python():
    with pytest.raises(BadInput) as caught:
        parse_json(DIGITS, "a.json")
    assert "sys." not in str(caught.value)
