"""How often the vendor must build and rebuild exports of periods: it may disable an account that rebuilds too often."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from aiohttp import web

from collector.cloudevents import Message
from collector.instants import SECOND
from collector.pipeline.message import Origin
from collector.pipeline.state import StateFormat, load
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors.http import http
from collector.vendors.quividi.streams import streams
from collector.worker import Worker
from tests.simulated import SimulatedClock
from tests.vendors.loopback import serving
from tests.vendors.quividi.example import PARIS
from tests.vendors.quividi.vidicenter import VidiCenter, source

pytestmark = pytest.mark.anyio

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
SETTLE = 45 * MINUTE
START = datetime(2026, 6, 1, 7, 0, 17, tzinfo=UTC)


class SimulationOver(BaseException):
    """Ends the simulation."""


class EndingClock(SimulatedClock):
    """Ends the simulation at an instant."""

    def __init__(self, now: datetime, end: datetime) -> None:
        super().__init__(now)
        self._end = end

    async def until(self, instant: datetime) -> None:
        if instant >= self._end:
            raise SimulationOver
        await super().until(instant)


class Requested(VidiCenter):
    """Records when each call was made."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__(clock)
        self.called_at: list[datetime] = []

    def calls_of(self, start: datetime, end: datetime) -> Sequence[str]:
        """The calls made in this time."""
        return [call for call, at in zip(self.calls, self.called_at, strict=True) if start <= at < end]

    async def handle(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/api/v1/data/":
            self.called_at.append(self.clock.now())
        return await super().handle(request)


async def run(start: datetime, days: int, *, since: timedelta, skew: timedelta = timedelta(0)) -> Requested:
    """Run an hourly OTS stream with default settings from `start` on, and return what the vendor received."""
    clock = EndingClock(start, start + days * DAY)
    vendor = Requested(clock)
    vendor.skew = skew

    async def commit(messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        pass

    async with serving(vendor.handle) as url, http(clock) as client:
        [stream] = streams("lobby", source(url, streams={"ots": {}}), client, standalone_telemetry())
        shape = StateFormat(stream.dedup_mode, stream.fields_version, stream.max_clock_offset, stream.former)
        worker = Worker(
            stream,
            load("prefix", shape, {}),
            commit,
            origin=Origin(stream.account, "lobby", "ots"),
            clock=clock,
            telemetry=StreamTelemetry(Metrics(), StreamStatus("quividi", "lobby", "ots"), ["quividi.ots.v1"]),
            random=Random(1),
        )
        with suppress(SimulationOver):
            await worker.run(start - since)
    return vendor


def rebuilds(calls: Sequence[str]) -> int:
    return sum("force_rebuild" in call for call in calls)


@pytest.mark.parametrize("minute", [0, 14, 15, 29, 30, 44, 45, 59])
async def test_no_rebuild_is_forced_whenever_a_stream_is_started(minute: int) -> None:
    start = START + minute * MINUTE
    vendor = await run(start, 2, since=10 * DAY)

    assert 0 == rebuilds(vendor.calls)
    builds = [build for build in vendor.builds if build.started_at >= start + DAY]
    assert 24 + 2 == len(builds), "one of each hour, and two sweeps"


@pytest.mark.parametrize("since", [timedelta(0), 5 * HOUR, 2 * DAY, 100 * HOUR])
async def test_no_rebuild_is_forced_while_a_stream_catches_up(since: timedelta) -> None:
    vendor = await run(START + 20 * MINUTE, 1, since=since)

    assert 0 == rebuilds(vendor.calls)


async def test_each_hour_is_requested_as_soon_as_it_has_settled() -> None:
    vendor = await run(START, 1, since=DAY)

    for hour in range(2, 22):
        end = START.replace(second=0) + hour * HOUR
        local_end = (end.astimezone(PARIS) - SECOND).strftime("end=%Y-%m-%dT%H:%M:%S")
        calls = vendor.calls_of(end + SETTLE, end + SETTLE + MINUTE)
        assert any(local_end in call for call in calls)


@pytest.mark.parametrize("skew_s", [-59, -1, 1, 300])
async def test_a_vendor_with_another_clock_builds_each_hour_once(skew_s: int) -> None:
    vendor = await run(START + 20 * MINUTE, 1, since=DAY, skew=timedelta(seconds=skew_s))

    assert 0 == rebuilds(vendor.calls)
