"""The rules of HTTP that need no connection: when to come again, and where keys may be sent."""

from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.vendors.failures import retry_after_s
from collector.vendors.http import Response, clock_skew_s, is_private
from tests.simulated import START

DAY_S = 86_400.0


@given(st.integers(min_value=0, max_value=86_400))
def test_seconds_are_taken_as_they_are(seconds: int) -> None:
    assert float(seconds) == retry_after_s(str(seconds), START)
    assert float(seconds) == retry_after_s(f" {seconds} ", START)


@given(st.integers(min_value=0, max_value=86_400))
def test_a_date_is_counted_from_now(seconds: int) -> None:
    moment = START + timedelta(seconds=seconds)

    assert float(seconds) == retry_after_s(format_datetime(moment, usegmt=True), START)


def test_a_date_of_another_zone_is_the_same_moment() -> None:
    assert 60.0 == retry_after_s("Sun, 01 Nov 2026 03:01:00 +0300", START)
    assert 60.0 == retry_after_s("Sun, 01 Nov 2026 00:01:00 -0000", START)


def test_a_date_that_has_passed_asks_for_nothing() -> None:
    assert 0.0 == retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT", START)


@pytest.mark.parametrize("header", ["86401", "9" * 400, "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_nobody_is_waited_for_longer_than_a_day(header: str) -> None:
    assert DAY_S == retry_after_s(header, START)


@pytest.mark.parametrize("header", [None, "", " ", "soon", "-5", "1.5", "inf", "nan", "1e9", "²", "Sun, 99 Nov 2026"])
def test_what_is_neither_asks_for_nothing(header: str | None) -> None:
    assert 0.0 == retry_after_s(header, START)


@given(st.text() | st.from_regex(r"\w{3}, \d{1,30} [A-Z][a-z]{2} \d{1,30} \d+:\d+:\d+ ([+-]\d{1,30}|GMT)"))
def test_no_header_is_an_error(header: str) -> None:
    assert 0.0 <= retry_after_s(header, START) <= DAY_S


@pytest.mark.parametrize(
    "header",
    ["5" * 5000, "Mon, 01 Jan 99999999999999 00:00:00 GMT", "Mon, 01 Jan 2024 00:00:00 +999999999999999999"],
    ids=["endless number", "year", "offset"],
)
def test_no_number_in_a_header_is_too_large(header: str) -> None:
    assert 0.0 <= retry_after_s(header, START) <= DAY_S


@pytest.mark.parametrize(
    "base_url",
    [
        "https://analytics.3divi.ru/api",
        "https://10.0.0.1",
        "http://localhost:8080/api",
        "http://LOCALHOST",
        "http://127.0.0.1:1",
        "http://127.1.2.3",
        "http://[::1]:8080",
    ],
)
def test_keys_go_where_nobody_listens(base_url: str) -> None:
    assert is_private(base_url, insecure_http=False)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://analytics.3divi.ru/api",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "http://127.example.com",
        "http://127.0.0.1.example.com",
        "http://[::2]",
        "http://example.com/127.0.0.1",
    ],
)
def test_keys_go_nowhere_in_the_clear_unless_it_is_allowed(base_url: str) -> None:
    assert not is_private(base_url, insecure_http=False)
    assert is_private(base_url, insecure_http=True)


def test_only_http_is_spoken() -> None:
    assert not is_private("ftp://localhost", insecure_http=True)


@pytest.mark.parametrize(
    ("date", "took_s", "ahead_s"),
    [
        (START, 0, 0.0),
        (START - timedelta(seconds=1), 0, 0.0),  # the second was cut off, and is nearly over
        (START - timedelta(seconds=20), 20, 0.0),  # it may have been written when it was asked for
        (START + timedelta(seconds=3), 0, 3.0),
        (START + timedelta(hours=1), 20, 3600.0),
        (START - timedelta(seconds=30), 20, -9.0),
        (None, 0, None),
    ],
)
def test_a_vendors_clock_is_off_by_what_is_certain(date: datetime | None, took_s: int, ahead_s: float | None) -> None:
    response = Response(b"", timedelta(seconds=took_s), date, lambda: None)

    assert ahead_s == clock_skew_s(response, received_at=START)
