"""Responses that are too large, too slow or capped: the worker requests smaller windows and loses nothing."""

import logging
from datetime import timedelta

import pytest
import structlog
from structlog.testing import capture_logs

from collector.errors import RetryLater, Split
from collector.fetching import looks_capped
from collector.model import Window
from tests.simulated import at
from tests.worker.harness import VendorRow
from tests.worker.scripted import HOUR, T0, Scenario, names, rows_each

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("rows", "is_capped"),
    [
        (999, False),
        (1000, True),
        (1001, False),
        (2000, True),
        (3000, False),
        (5000, True),
        (10_000, True),
        (100, False),
    ],
)
def test_a_round_number_of_rows_looks_like_a_cap(rows: int, is_capped: bool) -> None:
    assert is_capped == looks_capped(rows)


async def test_a_silent_cap_loses_nothing() -> None:
    rows = rows_each(2)
    scenario = Scenario(rows, start_s=T0 + 48 * HOUR, final_s=T0 + 7 * HOUR)
    scenario.stream.script = lambda _, found: sorted(found, key=lambda row: row.start_s)[:1000]
    await scenario.run()
    assert {row.name for row in rows} == names(scenario)


async def test_a_cap_below_the_rows_of_one_minute_is_found_by_requesting_both_halves() -> None:
    rows = [VendorRow(t, t, f"{t} {n}", "hello", t) for t in range(T0, T0 + 120) for n in range(30)]
    scenario = Scenario(rows, start_s=T0 + 48 * HOUR, final_s=T0 + 600)
    scenario.stream.script = lambda _, found: sorted(found, key=lambda row: row.start_s)[:1000]
    await scenario.run()
    assert {row.name for row in rows} == names(scenario)


async def test_a_round_number_of_rows_that_the_halves_confirm_is_accepted_with_a_warning() -> None:
    rows = [VendorRow(T0 + 30, T0 + 30, f"{n}", "hello", T0 + 30) for n in range(1000)]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with capture_logs() as logs:
        scenario = Scenario(rows, start_s=T0 + 48 * HOUR, final_s=T0 + 600)
        await scenario.run()
    assert 1000 == len(names(scenario))
    assert {("perhaps_capped", 1000)} == {(each["event"], each["rows"]) for each in logs}


async def test_the_window_of_a_response_that_is_too_large_is_requested_in_halves() -> None:
    rows = rows_each(60)
    scenario = Scenario(rows, start_s=T0 + 48 * HOUR, final_s=T0 + 7 * HOUR)

    def script(_: Window, found: list[VendorRow]) -> list[VendorRow]:
        if len(found) > 20:
            raise Split("too large")
        return found

    scenario.stream.script = script
    await scenario.run()
    assert {row.name for row in rows} == names(scenario)


async def test_a_response_that_is_too_large_at_the_smallest_window_parks_the_stream_and_is_never_skipped() -> None:
    scenario = Scenario(rows_each(60), start_s=T0 + 48 * HOUR, final_s=T0 + 7 * HOUR)
    refused = 0

    def script(window: Window, found: list[VendorRow]) -> list[VendorRow]:
        nonlocal refused
        if window.start <= at(T0 + 3 * HOUR) < window.end:
            refused += 1
            if refused == 15:
                assert "parked" == scenario.status.state
                assert scenario.status.last_error is not None
                assert "max_response_bytes" in scenario.status.last_error.advice
                assert scenario.clock.state is not None
                assert scenario.clock.state.checkpoint is not None
                assert scenario.clock.state.checkpoint.watermark <= at(T0 + 3 * HOUR)
            if refused < 20:
                raise Split("too large")
        return found

    scenario.stream.script = script
    await scenario.run()
    assert refused >= 20
    assert {row.name for row in rows_each(60)} == names(scenario)


async def test_the_window_of_a_response_that_times_out_is_requested_in_halves_after_a_wait() -> None:
    scenario = Scenario(rows_each(60), start_s=T0 + 48 * HOUR, final_s=T0 + 7 * HOUR)

    def script(window: Window, found: list[VendorRow]) -> list[VendorRow]:
        if window.length > timedelta(minutes=10):
            raise RetryLater("timeout", narrower=True)
        return found

    scenario.stream.script = script
    await scenario.run()
    assert {row.name for row in rows_each(60)} == names(scenario)
    (first, first_at), (second, second_at), *_ = scenario.stream.requests
    assert second.length < first.length
    assert second_at > first_at + timedelta(seconds=1)
