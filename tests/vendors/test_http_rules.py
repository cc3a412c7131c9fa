"""Rules of HTTP that need no connection: Retry-After, the vendor's clock, and where keys may be sent."""

import math
from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.settings import can_carry_secrets
from collector.vendors.failures import retry_after_s
from collector.vendors.http import Response, clock_skew_s
from tests.simulated import START


@given(st.integers(min_value=0, max_value=86_400))
def test_retry_after_in_seconds(seconds: int) -> None:
    assert float(seconds) == retry_after_s(str(seconds), START)
    assert float(seconds) == retry_after_s(f" {seconds} ", START)


@given(st.integers(min_value=0, max_value=86_400))
def test_retry_after_as_a_date(seconds: int) -> None:
    instant = START + timedelta(seconds=seconds)

    assert float(seconds) == retry_after_s(format_datetime(instant, usegmt=True), START)


def test_retry_after_as_a_date_in_another_zone() -> None:
    assert 60.0 == retry_after_s("Sun, 01 Nov 2026 03:01:00 +0300", START)
    assert 60.0 == retry_after_s("Sun, 01 Nov 2026 00:01:00 -0000", START)


def test_a_date_in_the_past_is_zero() -> None:
    assert 0.0 == retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT", START)


@pytest.mark.parametrize("header", [None, "", " ", "soon", "-5", "1.5", "inf", "nan", "1e9", "²", "Sun, 99 Nov 2026"])
def test_an_invalid_retry_after_is_zero(header: str | None) -> None:
    assert 0.0 == retry_after_s(header, START)


@given(st.text() | st.from_regex(r"\w{3}, \d{1,30} [A-Z][a-z]{2} \d{1,30} \d+:\d+:\d+ ([+-]\d{1,30}|GMT)"))
def test_no_retry_after_header_raises(header: str) -> None:
    assert 0.0 <= retry_after_s(header, START) < math.inf


@pytest.mark.parametrize(
    "header",
    ["5" * 5000, "Mon, 01 Jan 99999999999999 00:00:00 GMT", "Mon, 01 Jan 2024 00:00:00 +999999999999999999"],
    ids=["endless number", "year", "offset"],
)
def test_huge_numbers_in_retry_after_do_not_raise(header: str) -> None:
    assert 0.0 <= retry_after_s(header, START) < math.inf


@pytest.mark.parametrize(
    "base_url",
    [
        "https://analytics.3divi.ru/api",
        "https://cloud.seemetrix.3divi.com/analytics/api",
        "https://10.0.0.1",
        "http://localhost:8080/api",
        "http://LOCALHOST",
        "http://127.0.0.1:1",
        "http://127.1.2.3",
        "http://[::1]:8080",
    ],
)
def test_keys_may_be_sent_over_https_and_to_loopback(base_url: str) -> None:
    assert can_carry_secrets(base_url, insecure_http=False)


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
def test_keys_are_sent_over_plain_http_only_if_allowed(base_url: str) -> None:
    assert not can_carry_secrets(base_url, insecure_http=False)
    assert can_carry_secrets(base_url, insecure_http=True)


def test_other_schemes_are_rejected() -> None:
    assert not can_carry_secrets("ftp://localhost", insecure_http=True)


@pytest.mark.parametrize(
    ("date", "took_s", "skew_s"),
    [
        (START, 0, 0.0),
        (START - timedelta(seconds=1), 0, 0.0),  # the vendor truncates to whole seconds
        (START - timedelta(seconds=20), 20, 0.0),  # it may be the time of the request
        (START + timedelta(seconds=3), 0, 3.0),
        (START + timedelta(hours=1), 20, 3600.0),
        (START - timedelta(seconds=30), 20, -9.0),
        (None, 0, None),
    ],
)
def test_clock_skew_is_the_least_possible_one(date: datetime | None, took_s: int, skew_s: float | None) -> None:
    response = Response(b"", timedelta(seconds=took_s), None, lambda: None, date)

    assert skew_s == clock_skew_s(response, received_at=START)
