"""Responses that are too large, too slow or capped: the worker requests smaller windows and loses nothing."""

import logging
from datetime import timedelta

import anyio
import anyio.lowlevel
import pytest
import structlog
from structlog.testing import capture_logs

from collector import fetching
from collector.errors import RetryLater, Split
from collector.fetching import fetch_whole, looks_capped
from collector.model import Window
from collector.pipeline.ledger import MAX_VERSIONS
from collector.turns import MAX_TURN_STEPS
from collector.vendors import base
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


async def test_more_rows_than_the_smallest_window_may_have_park_the_stream_with_advice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "MAX_ROWS", 100)
    rows = [VendorRow(T0 + n % 60, T0 + n % 60, f"{n}", "hello", T0) for n in range(101)]
    scenario = Scenario(rows, start_s=T0 + 48 * HOUR, final_s=T0 + 600)
    refused = 0

    def script(window: Window, found: list[VendorRow]) -> list[VendorRow]:
        nonlocal refused
        if len(found) == 101 and window.length <= timedelta(seconds=61):
            refused += 1
            if refused == 2:
                assert "parked" == scenario.status.state
                assert scenario.status.last_error is not None
                assert "100 rows" in scenario.status.last_error.error
                assert scenario.stream.narrowing_advice == scenario.status.last_error.advice
                assert set() == names(scenario)
                monkeypatch.setattr(base, "MAX_ROWS", 101)
        return found

    scenario.stream.script = script
    await scenario.run()
    assert refused >= 2
    assert {row.name for row in rows} == names(scenario)


async def test_the_halves_of_a_window_that_looks_capped_have_no_more_rows_than_one_response(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetching, "MAX_ROWS", 3500)
    scenario = Scenario([], start_s=T0 + 48 * HOUR, final_s=T0 + 600)
    scenario.stream.script = lambda window, _: [VendorRow(T0, T0, f"{window} {n}", "hello", T0) for n in range(1000)]
    with pytest.raises(Split) as raised:
        async for _ in fetch_whole(scenario.stream, Window(at(T0), at(T0 + 60)), scenario.telemetry):
            pass
    assert "too_many_rows" == raised.value.code
    assert len(scenario.stream.requests) < 20


async def test_other_tasks_run_while_a_response_is_compared_and_published() -> None:
    rows = [VendorRow(T0 + n % 3000, T0 + n % 3000, f"{n}", "hello", T0) for n in range(9001)]
    scenario = Scenario(rows, start_s=T0 + 48 * HOUR, final_s=T0 + HOUR)
    turns = longest = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    def script(_: Window, found: list[VendorRow]) -> list[VendorRow]:
        nonlocal turns, longest
        longest, turns = max(longest, turns), 0
        return found

    scenario.stream.script = script
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await scenario.run()
        tasks.cancel_scope.cancel()
    assert longest >= 2 * 9001 // MAX_TURN_STEPS
    assert {row.name for row in rows} == names(scenario)


@pytest.mark.parametrize("number", [MAX_VERSIONS, MAX_VERSIONS + 1])
async def test_a_key_with_too_many_versions_parks_its_stream(number: int) -> None:
    rows = [VendorRow(T0 + 30, T0 + 30, "one", f"{n}", T0) for n in range(number)]
    rows.append(VendorRow(T0 + 3700, T0 + 3700, "two", "hello", T0))
    scenario = Scenario(rows, start_s=T0 + 48 * HOUR, final_s=T0 + HOUR)
    parked = 0

    def script(window: Window, found: list[VendorRow]) -> list[VendorRow]:
        nonlocal parked
        del window
        if "parked" == scenario.status.state:
            assert scenario.status.last_error is not None
            assert f"{MAX_VERSIONS}" in scenario.status.last_error.error
            parked += 1
            return [row for row in found if row.name != "one"]
        return found

    scenario.stream.script = script
    await scenario.run()
    assert (number > MAX_VERSIONS) == (parked > 0)
    assert ({"one", "two"} if number == MAX_VERSIONS else {"two"}) == names(scenario)
