"""An alert that is raised and terminated between polls is two events of one record, also with restarts in between."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest

from collector.pipeline.message import Origin
from collector.pipeline.state import StateFormat, by_stream, load
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.vendors.base import Stream
from collector.vendors.quividi import alerts
from collector.worker import Worker
from tests.simulated import START, SimulatedClock
from tests.vendors.quividi.status import Lists, stream_of
from tests.worker import harness
from tests.worker.harness import ListSink, SimulationOver

pytestmark = pytest.mark.anyio

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
PREFIX = "quividi/ann/lobby/alerts"


class StoppingClock(SimulatedClock):
    """A clock that ends the simulation before it would pass an instant."""

    def __init__(self) -> None:
        super().__init__()
        self.stop_at = START

    async def until(self, instant: datetime) -> None:
        if instant > self.stop_at:
            self._now = max(self._now, self.stop_at)
            raise SimulationOver
        await super().until(instant)


class Scenario:
    """A stream of alerts whose vendor has what a test puts there."""

    def __init__(self, stream: Stream[Any], vendor: Lists, clock: StoppingClock) -> None:
        self.stream = stream
        self.vendor = vendor
        self.clock = clock
        self.sink = ListSink(Random(1))

    async def run(self, time: timedelta) -> list[dict[str, Any]]:
        """Start a process that loads the durable state, and end it after this time. Returns what it published."""
        self.clock.stop_at = self.clock.now() + time
        before = len(self.sink.messages)
        stream = self.stream
        shape = StateFormat(stream.dedup_mode, stream.fields_version, stream.max_clock_offset, stream.former)
        worker = Worker(
            stream,
            load(PREFIX, shape, by_stream(self.sink.pairs).get(PREFIX, {})),
            self.sink.commit,
            origin=Origin(stream.account, stream.source, stream.name),
            clock=self.clock,
            telemetry=StreamTelemetry(Metrics(), StreamStatus("quividi", "lobby", "alerts"), []),
            random=Random(1),
        )
        with pytest.raises(SimulationOver):
            await worker.run(START - MINUTE)
        return [msgspec.json.decode(message.value) for message in self.sink.messages[before:]]


@asynccontextmanager
async def scenario_of(**table: object) -> AsyncIterator[Scenario]:
    clock = StoppingClock()
    vendor = Lists(clock=clock)
    async with stream_of(vendor, "alerts", **table) as stream:
        yield Scenario(stream, vendor, clock)


@pytest.fixture(autouse=True)
def _known_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(harness.TYPES, alerts.ALERT.topic, alerts.ALERT)


@pytest.fixture
async def scenario() -> AsyncIterator[Scenario]:
    async with scenario_of() as made:
        yield made


def alert(status: str, **changes: object) -> dict[str, Any]:
    """An alert that was raised now, on a clock eight hours behind UTC."""
    row = {
        "id": 7,
        "alert_type": 1,
        "status": status,
        "timestamp": "2026-10-31T16:00:00",
        "location": 8264,
        "label": "x",
    }
    return row | changes


def states(published: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    return [(each["alert_id"], each["revision"], each["status"]) for each in published]


async def test_raised_and_terminated_are_revisions_of_one_record(scenario: Scenario) -> None:
    scenario.vendor.rows = [alert("raised")]
    first = await scenario.run(25 * MINUTE)
    assert [(7, 0, "raised")] == states(first)

    assert [] == await scenario.run(25 * MINUTE)

    scenario.vendor.rows = [alert("terminated", label="another text"), alert("raised", id=3)]
    second = await scenario.run(25 * MINUTE)
    assert {(7, 1, "terminated"), (3, 0, "raised")} == set(states(second))
    assert [] == await scenario.run(2 * DAY)
    assert 1 == len({each["record_id"] for each in [*first, *second] if each["alert_id"] == 7})
    assert 1 == max(scenario.sink.event_ids().values())


async def test_an_alert_that_lasts_for_weeks_is_one_record() -> None:
    async with scenario_of(interval="6h") as scenario:
        scenario.vendor.rows = [alert("raised")]
        await scenario.run(55 * DAY)
        scenario.vendor.rows = [alert("terminated")]
        assert [(7, 1, "terminated")] == states(await scenario.run(DAY))


async def test_an_alert_that_is_no_longer_returned_for_its_hours_still_ends(scenario: Scenario) -> None:
    scenario.vendor.rows = [alert("raised")]
    await scenario.run(30 * MINUTE)
    scenario.vendor.rows = [alert("terminated", age_h=36)]
    assert [(7, 1, "terminated")] == states(await scenario.run(DAY))


async def test_a_quiet_day_takes_one_request_for_each_poll_and_one_more(scenario: Scenario) -> None:
    await scenario.run(10 * MINUTE - timedelta(seconds=1))
    scenario.vendor.calls.clear()
    await scenario.run(DAY)
    assert 144 <= len(scenario.vendor.calls) <= 146
    assert 1 == scenario.vendor.calls.count("/alerts/")
