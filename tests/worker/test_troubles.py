"""The worker's reaction to a vendor that fails, is slow, caps its responses or changes its format."""

import logging
from collections.abc import AsyncGenerator, Callable
from datetime import datetime, timedelta
from random import Random

import pytest
import structlog
from msgspec import structs
from structlog.testing import capture_logs

from collector.errors import EpochEnded, Park, RetryLater, Split
from collector.model import DedupMode, FetchResult, Policy, Reject, Window
from collector.pipeline.message import Origin
from collector.pipeline.state import Shape, State
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.worker import Worker
from tests.simulated import at
from tests.worker.harness import MALFORMED, TYPE, EndingClock, ListSink, ListStream, SimulationOver, VendorRow, decode

pytestmark = pytest.mark.anyio

T0, HOUR = 1_000_000_800, 3600
POLICY = Policy(
    interval=timedelta(minutes=1),
    settle=timedelta(seconds=30),
    allowed_lateness=timedelta(hours=2),
    sweep_every=timedelta(hours=1),
    span=timedelta(hours=6),
)
Script = Callable[[Window, list[VendorRow]], list[VendorRow]]
"""Given a window and the rows in it, returns the rows of the response, or raises an error instead."""


class ScriptedStream(ListStream):
    """A vendor whose responses a test may replace."""

    script: Script | None = None

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[VendorRow], None]:
        async for result in super().fetch(window):
            rows = [row.payload for row in result.records if not isinstance(row, Reject)]
            if self.script is not None:
                rows = self.script(window, rows)
            yield structs.replace(result, records=map(decode, rows), rows=len(rows), size=100 * len(rows))


class Scenario:
    """One worker over a scripted stream."""

    def __init__(self, rows: list[VendorRow], *, start_s: int, final_s: int, policy: Policy = POLICY) -> None:
        self.clock = EndingClock(at(start_s), at(final_s))
        self.random = Random(4)
        self.stream = ScriptedStream(
            rows, self.clock, policy, DedupMode.VERSIONED, select="start", inclusive=True, random=self.random
        )
        self.sink = ListSink(self.random)
        self.status = StreamStatus("test", "list", "things")
        self.metrics = Metrics()
        self.telemetry = StreamTelemetry(self.metrics, self.status, [TYPE.name])

    def worker(self, state: State | None = None) -> Worker[VendorRow]:
        state = state or State("test/1/list/things", Shape(DedupMode.VERSIONED, 1, timedelta(0)))
        self.clock.state = state
        return Worker(
            self.stream,
            state,
            self.sink.commit,
            origin=Origin("test", "list", "things"),
            clock=self.clock,
            telemetry=self.telemetry,
            random=self.random,
        )

    async def run(self, since: datetime | None = None) -> None:
        with pytest.raises(SimulationOver):
            await self.worker().run(since or at(T0))

    def metric(self, name: str, **labels: str) -> float:
        value = self.metrics.registry.get_sample_value(name, {"source": "list", "stream": "things", **labels})
        return 0 if value is None else value


def rows_each(seconds: int, hours: int = 6) -> list[VendorRow]:
    """Return rows that start `seconds` apart, for some hours."""
    return [VendorRow(t, t, f"at {t}", "hello", t) for t in range(T0, T0 + hours * HOUR, seconds)]


def names(scenario: Scenario) -> set[str]:
    return {name for name, _ in scenario.sink.contents()}


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
                assert scenario.status.trouble is not None
                assert "max_response_bytes" in scenario.status.trouble.advice
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


async def test_each_failure_doubles_the_wait_up_to_two_minutes() -> None:
    scenario = Scenario([], start_s=T0 + 60, final_s=T0 + HOUR)
    failures = [0] * 8

    def script(_: Window, found: list[VendorRow]) -> list[VendorRow]:
        if failures:
            failures.pop()
            raise RetryLater("HTTP 503")
        return found

    scenario.stream.script = script
    await scenario.run()
    waits = [
        (b[1] - a[1]).total_seconds()
        for a, b in zip(scenario.stream.requests[:8], scenario.stream.requests[1:9], strict=True)
    ]
    for number, wait in enumerate(waits):
        full = min(120, 2**number)
        assert full / 2 <= wait - 1 <= full + 1, f"wait {number}"
    assert 8 == scenario.metric("collector_polls_total", outcome="retry")
    assert "live" == scenario.status.state


async def test_a_wait_that_the_vendor_requests_is_kept() -> None:
    scenario = Scenario([], start_s=T0 + 60, final_s=T0 + 2 * HOUR)
    failures = [0]

    def script(_: Window, found: list[VendorRow]) -> list[VendorRow]:
        if failures:
            failures.pop()
            raise RetryLater("HTTP 429", after_s=1800)
        return found

    scenario.stream.script = script
    await scenario.run()
    assert scenario.stream.requests[1][1] >= scenario.stream.requests[0][1] + timedelta(seconds=1800)


async def test_a_parked_stream_is_retried_slowly_and_recovers_by_itself() -> None:
    scenario = Scenario(rows_each(600), start_s=T0 + 60, final_s=T0 + 6 * HOUR)
    failures, states = [0] * 5, list[str]()

    def script(_: Window, found: list[VendorRow]) -> list[VendorRow]:
        if failures:
            failures.pop()
            states.append(scenario.status.state)
            raise Park("HTTP 401", advice="the key is wrong")
        return found

    scenario.stream.script = script
    await scenario.run()
    gap = scenario.stream.requests[1][1] - scenario.stream.requests[0][1]
    assert timedelta(seconds=15) <= gap <= timedelta(seconds=32)
    assert {row.name for row in rows_each(600)} == names(scenario)
    assert 5 == scenario.metric("collector_polls_total", outcome="park")
    assert ["not_owned", *["parked"] * 4] == states


async def test_an_unexpected_exception_parks_the_stream_and_loses_nothing() -> None:
    scenario = Scenario(rows_each(600), start_s=T0 + 60, final_s=T0 + 6 * HOUR)
    failures, states = [0, 0], list[str]()

    def script(_: Window, found: list[VendorRow]) -> list[VendorRow]:
        if failures:
            failures.pop()
            states.append(scenario.status.state)
            raise ZeroDivisionError
        return found

    scenario.stream.script = script
    await scenario.run()
    assert ["not_owned", "parked"] == states
    assert {row.name for row in rows_each(600)} == names(scenario)


async def test_if_a_tenth_of_the_rows_is_malformed_the_stream_is_parked_before_it_publishes_them() -> None:
    good = rows_each(60)
    bad = [VendorRow(t, t, f"bad {t}", MALFORMED, t) for t in range(T0, T0 + 6 * HOUR, 400)]
    scenario = Scenario(good, start_s=T0 + 48 * HOUR, final_s=T0 + 7 * HOUR)
    repaired = [False]

    def script(window: Window, found: list[VendorRow]) -> list[VendorRow]:
        if repaired[0]:
            return found
        if scenario.status.state == "parked":
            repaired[0] = True
            assert scenario.status.trouble is not None
        return [*found, *(row for row in bad if window.start <= at(row.start_s) < window.end)]

    scenario.stream.script = script
    await scenario.run()
    assert repaired[0]
    assert {row.name for row in good} == names(scenario)


async def test_a_few_malformed_rows_are_dead_letters_and_the_stream_continues() -> None:
    good = rows_each(60)
    bad = [VendorRow(t, t, f"bad {t}", MALFORMED, t) for t in range(T0, T0 + 6 * HOUR, 3000)]
    scenario = Scenario(good, start_s=T0 + 48 * HOUR, final_s=T0 + 7 * HOUR)
    scenario.stream.script = lambda window, found: [
        *found,
        *(row for row in bad if window.start <= at(row.start_s) < window.end),
    ]
    await scenario.run()
    assert {row.name for row in good} == names(scenario)
    letters = [message for message in scenario.sink.messages if message.topic == "collector.dead_letters"]
    assert len(bad) == len(letters)
    assert len(bad) == scenario.metric("collector_dead_letters_total", reason="malformed")


async def test_outcomes_are_counted_after_the_commit() -> None:
    start_s = T0 + 10 * 60
    rows = [
        VendorRow(start_s, start_s + 60, "fresh", "hello", start_s + 60),
        VendorRow(start_s, start_s + 60, "late", "hello", start_s + 40 * 60),
        VendorRow(start_s, start_s + 60, "twice", "one", start_s + 60, replaced_s=start_s + 30 * 60),
        VendorRow(start_s, start_s + 60, "twice", "two", start_s + 30 * 60),
        VendorRow(T0 - 60, T0 - 60, "outside", "hello", T0),
    ]
    scenario = Scenario(rows, start_s=T0 + 1, final_s=T0 + HOUR)
    await scenario.run()
    outcomes = {"fresh": 2, "late": 1, "revision": 1, "rejected": 0}
    assert outcomes == {name: scenario.metric("collector_records_total", outcome=name) for name in outcomes}
    assert scenario.metric("collector_records_total", outcome="duplicate") > 0
    assert 4 == scenario.metric("collector_events_published_total", type=TYPE.name)
    assert 2 == scenario.metric("collector_event_delay_seconds_count")


async def test_records_whose_commit_failed_are_not_counted() -> None:
    scenario = Scenario(rows_each(60, hours=1), start_s=T0 + HOUR, final_s=T0 + 6 * HOUR)

    async def fence(messages: object, state: object) -> None:
        del state
        if messages:
            raise EpochEnded

    worker = scenario.worker()
    worker._commit = fence
    with pytest.raises(EpochEnded):
        await worker.run(at(T0))
    assert 0 == scenario.metric("collector_records_total", outcome="fresh")
    assert 0 == scenario.metric("collector_events_published_total", type=TYPE.name)


async def test_a_changed_since_or_selection_moves_nothing_and_is_noted_in_the_status() -> None:
    scenario = Scenario(rows_each(600), start_s=T0 + HOUR, final_s=T0 + 2 * HOUR)
    await scenario.run()
    state = scenario.clock.state
    assert state is not None
    scenario.clock.final = at(T0 + 3 * HOUR)
    scenario.stream.selection = "two devices"
    with pytest.raises(SimulationOver):
        await scenario.worker(state).run(at(T0 - 5 * HOUR))
    assert state.checkpoint is not None
    assert at(T0) == state.checkpoint.since
    assert 2 == len(scenario.status.notices)
    assert "since" in scenario.status.notices[0]
    assert "two devices" in scenario.status.notices[1]
