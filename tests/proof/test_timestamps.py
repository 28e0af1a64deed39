"""CometBFT's times against Go's, and against the standard library's calendar where that reaches."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.proof.timestamps import LAST_TIME, NO_TIME, NS_PER_SECOND, format_time, parse_time
from tallystick.wire.errors import DecodeError
from tests.proof.vectors import comet


@pytest.mark.parametrize("name", comet("times"))
def test_vectors(name: str) -> None:
    vector = comet("times")[name]
    time = vector["seconds"] * NS_PER_SECOND + vector["nanos"]
    assert format_time(time) == vector["text"]
    assert parse_time(vector["text"]) == time


def test_the_ends_of_time() -> None:
    assert format_time(NO_TIME) == "0001-01-01T00:00:00Z"
    assert format_time(LAST_TIME) == "9999-12-31T23:59:59.999999999Z"
    for time in (NO_TIME - 1, LAST_TIME + 1):
        with pytest.raises(ValueError, match="years 1 to 9999"):
            format_time(time)


@given(st.integers(NO_TIME, LAST_TIME))
def test_what_is_written_is_read_again(time: int) -> None:
    assert parse_time(format_time(time)) == time


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_the_calendar_is_the_usual_one(moment: dt.datetime) -> None:
    since = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    time = (since // dt.timedelta(microseconds=1)) * 1000
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    assert format_time(time) == moment.isoformat(timespec="seconds")[:19] + fraction + "Z"


@pytest.mark.parametrize(
    "text",
    [
        None,
        0,
        "",
        "2026-11-22",
        "2026-11-22T08:22:05",
        "2026-11-22t08:22:05Z",
        "2026-11-22T08:22:05+00:00",
        "2026-11-22T08:22:05.Z",
        "2026-11-22T08:22:05.120Z",
        "2026-11-22T08:22:05.0000000001Z",
        "2026-11-22T08:22:05Z\n",
        "２026-11-22T08:22:05Z",
        "0000-11-22T08:22:05Z",
        "2026-00-22T08:22:05Z",
        "2026-13-22T08:22:05Z",
        "2026-11-00T08:22:05Z",
        "2026-11-31T08:22:05Z",
        "2026-02-29T08:22:05Z",
        "1900-02-29T08:22:05Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T08:60:05Z",
        "2026-11-22T08:22:60Z",
    ],
)
def test_other_forms_are_unreadable(text: object) -> None:
    with pytest.raises(DecodeError):
        parse_time(text)
