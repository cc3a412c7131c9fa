"""Counts the calls, exports and bytes that one published day of Quividi's viewers costs, in simulated time.

    python -m bench.calls

A simulated VidiCenter on loopback builds each export for 20 s (10 places) or 90 s (1000 places). The stream runs with
default settings, apart from those that the table names, until it has caught up and has learnt how long exports take.
Then one day is counted. "Before" is the first release, which polls each export after 1, 2, 4, 7, 12, 20, 33, 53, … s.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random
from unittest.mock import patch

import structlog
from aiohttp import web
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from collector.cloudevents import Message
from collector.pipeline.message import Origin
from collector.pipeline.state import StateFormat, load
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors.http import http
from collector.vendors.quividi import client, export
from collector.vendors.quividi.export import Export, ExportStatus, NextCall, UseRows
from collector.vendors.quividi.streams import streams
from collector.worker import Worker
from tests.simulated import SimulatedClock
from tests.vendors.loopback import serving
from tests.vendors.quividi.vidicenter import VidiCenter, source

DAY = timedelta(days=1)
START = datetime(2026, 6, 1, 7, 0, 17, tzinfo=UTC)
VIEWERS_PER_DAY = 7
"""Of each place. More of them would make the responses larger, and the simulation slower. With 6 or 8, windows of some
hours would have exactly 1000 or 2000 rows, and be fetched again in halves (`fetching.py`)."""
BUILD_S = {10: 20, 1000: 90}
"""The seconds for which an export is built, by the number of places."""
LATENESS_DAYS = (3, 7)
VARIANTS: Sequence[Mapping[str, str]] = ({"sweep_every": "24h"}, {"sweep_every": "24h", "interval": "30m"})
"""Other settings, for the longest lateness."""
FORMER_POLLS_S = (1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0)
"""The waits before the polls of the first release; the last one repeats."""


class Cost(Struct, frozen=True):
    """What one day costs."""

    calls: int
    exports: int
    bytes: int


class Over(BaseException):
    """Ends the simulation."""


class BoundedClock(SimulatedClock):
    """Ends the simulation at an instant."""

    def __init__(self, now: datetime, end: datetime) -> None:
        super().__init__(now)
        self._end = end

    async def until(self, instant: datetime) -> None:
        if instant >= self._end:
            raise Over
        await super().until(instant)


class Counted(VidiCenter):
    """Counts the bytes of its responses. Each place has a viewer at regular intervals."""

    def __init__(self, clock: SimulatedClock, build_s: float) -> None:
        super().__init__(clock, builds_for=timedelta(seconds=build_s))
        self.data = self._rows
        self.sent: list[tuple[datetime, int]] = []

    async def handle(self, request: web.BaseRequest) -> web.Response:
        response = await super().handle(request)
        self.sent.append((self.clock.now(), len(response.body) if isinstance(response.body, bytes) else 0))
        return response

    def cost(self, since: datetime) -> Cost:
        """What the time since then costs."""
        sizes = [size for at, size in self.sent if at >= since]
        return Cost(len(sizes), sum(each.started_at >= since for each in self.builds), sum(sizes))

    def _rows(self, query: Mapping[str, str]) -> bytes:
        first, last = (datetime.fromisoformat(query[name]).replace(tzinfo=UTC) for name in ("start", "end"))
        last = min(last, self.clock.now())
        return b"[" + b",".join(_viewers(query["locations"].split(","), first, last)) + b"]"


def _viewers(places: Sequence[str], first: datetime, last: datetime) -> Iterator[bytes]:
    every_s = 86_400 // VIEWERS_PER_DAY
    for place in places:
        offset_s = int(place) * 7919 % every_s
        start_s = int(first.timestamp())
        start_s += (offset_s - start_s) % every_s
        for at_s in range(start_s, int(last.timestamp()) + 1, every_s):
            start = datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            yield (
                f'{{"location_id": {place}, "period_start": "{start}", "gender": 1, "age": 2, "age_value": null, '
                '"dwell_time_in_tenths_of_sec": 54, "attention_time_in_tenths_of_sec": 39, "very_happy": null, '
                f'"happy": null, "neutral": null, "unhappy": null, "very_unhappy": null, "vr_id": {at_s}, '
                '"footfall_id": 0, "footfall_start": null}'
            ).encode()


def _former(state: Export, status: ExportStatus, first_wait_s: float) -> tuple[Export, NextCall | UseRows]:
    """The next step of an export, as it was in the first release."""
    state, step = export.advance(state, status, first_wait_s)
    if isinstance(step, NextCall) and state.is_running:
        step = NextCall(FORMER_POLLS_S[min(state.polls, len(FORMER_POLLS_S)) - 1])
    return state, step


async def cost(places: int, lateness_days: int, **settings: object) -> Cost:
    """What a day costs with these settings of the stream."""
    clock = BoundedClock(START, START + 2 * DAY)
    vendor = Counted(clock, BUILD_S[places])

    async def commit(messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        pass

    table = {"viewers": {"allowed_lateness": f"{lateness_days}d", **settings}}
    async with serving(vendor.handle) as url, http(clock) as session:
        given = source(url, streams=table, locations=list(range(1, places + 1)), timezone="UTC")
        [stream] = streams("lobby", given, session, standalone_telemetry())
        shape = StateFormat(stream.dedup_mode, stream.fields_version, stream.max_clock_offset, stream.former)
        worker = Worker(
            stream,
            load("prefix", shape, {}),
            commit,
            origin=Origin(stream.account, "lobby", "viewers"),
            clock=clock,
            telemetry=StreamTelemetry(
                Metrics(), StreamStatus("quividi", "lobby", "viewers"), [each.name for each in stream.event_types]
            ),
            random=Random(1),
        )
        with suppress(Over):
            await worker.run(START - (lateness_days + 1) * DAY)
    return vendor.cost(START + DAY)


def table() -> Table:
    """The costs by number of places, allowed lateness and further settings, before and after."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    shown = Table("one day of viewers", "", "exports", "calls", "calls per export", "MB")
    for places in BUILD_S:
        name = ""
        for lateness_days in LATENESS_DAYS:
            name = f"{places:,} places, lateness {lateness_days}d"
            with patch.object(client, "advance", _former):
                _add_row(shown, name, "before", asyncio.run(cost(places, lateness_days)))
            _add_row(shown, name, "after", asyncio.run(cost(places, lateness_days)))
        for settings in VARIANTS:
            changes = "".join(f", {key} {value}" for key, value in settings.items())
            _add_row(shown, name + changes, "after", asyncio.run(cost(places, LATENESS_DAYS[-1], **settings)))
    return shown


def _add_row(shown: Table, name: str, what: str, one: Cost) -> None:
    shown.add_row(
        name,
        what,
        f"{one.exports:,}",
        f"{one.calls:,}",
        f"{one.calls / one.exports:.2f}",
        f"{one.bytes / 1e6:.1f}",
    )


if __name__ == "__main__":
    Console(highlight=False, width=120).print(table())
