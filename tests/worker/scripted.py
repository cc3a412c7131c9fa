"""A worker over a vendor whose responses the test decides, with its status and metrics."""

from collections.abc import AsyncGenerator, Callable
from datetime import datetime, timedelta
from random import Random

import pytest
from msgspec import structs

from collector.model import Account, DedupMode, FetchResult, FieldSample, Policy, Record, Window
from collector.pipeline.message import Origin
from collector.pipeline.state import State, StateFormat
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.worker import Worker
from tests.simulated import at
from tests.worker.harness import TYPE, EndingClock, ListSink, ListStream, SimulationOver, VendorRow, decode

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
    sample: FieldSample | None = None
    """What every response with rows has as its sample."""

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[VendorRow], None]:
        async for result in super().fetch(window):
            rows = [row.payload for row in result.records if isinstance(row, Record)]
            if self.script is not None:
                rows = self.script(window, rows)
            sample = self.sample if rows else None
            yield structs.replace(
                result, records=map(decode, rows), rows=len(rows), size=100 * len(rows), sample=sample
            )


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
        state = state or State("test/1/list/things", StateFormat(DedupMode.VERSIONED, 1, timedelta(0)))
        self.clock.state = state
        return Worker(
            self.stream,
            state,
            self.sink.commit,
            origin=Origin(Account("test", "632"), "list", "things"),
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
