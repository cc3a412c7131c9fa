"""The log has a line at the start and at the end of the process, and one with totals every ten minutes."""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest
import structlog
from structlog.testing import capture_logs

from collector.model import Tally
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.process import SUMMARY_INTERVAL, ProcessTelemetry
from collector.telemetry.status import ProcessStatus, StreamStatus
from collector.telemetry.stream import StreamTelemetry
from tests.simulated import SimulatedClock
from tests.telemetry.test_stream import CHECKPOINT

pytestmark = pytest.mark.anyio
TYPE = "seemetrix.session.v1"


class Watched(SimulatedClock):
    """A clock that ends the summaries after a number of waits."""

    def __init__(self, waits: int) -> None:
        super().__init__()
        self.scope = anyio.CancelScope()
        self._waits = waits

    async def until(self, instant: datetime) -> None:
        if self._waits == 0:
            self.scope.cancel()
        self._waits -= 1
        await super().until(instant)


class Process:
    """A process with two streams."""

    def __init__(self, waits: int = 0) -> None:
        self.clock, self.metrics = Watched(waits), Metrics()
        self.status = ProcessStatus("1.2.3", "collector", started=self.clock.now())
        self.process = ProcessTelemetry(self.metrics, self.status, self.clock)
        self.kafka = KafkaTelemetry(self.metrics, self.status, self.clock)
        self.mall, self.airport = self.add("mall"), self.add("airport")

    def add(self, source: str) -> StreamTelemetry:
        row = StreamStatus("seemetrix", source, "sessions")
        self.status.streams.append(row)
        return StreamTelemetry(self.metrics, row, [TYPE])

    def commit(self, stream: StreamTelemetry, fresh: int, **others: int) -> None:
        dead = {"malformed": others["rejected"]} if "rejected" in others else {}
        stream.committed(Tally({"fresh": fresh, **others}, {TYPE: fresh}, dead), CHECKPOINT, 0, self.clock.now())
        self.kafka.committed(0.01)

    async def summarize(self) -> None:
        with self.clock.scope:
            await self.process.run()


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as lines:
        yield lines


def named(logs: list[Any], event: str) -> list[dict[str, Any]]:
    return [
        {key: line[key] for key in line if key not in ("event", "log_level")} for line in logs if line["event"] == event
    ]


async def test_the_first_line_says_what_runs(logs: list[Any]) -> None:
    Process().process.started(config="config.toml", listen="127.0.0.1:9464", brokers="kafka:9092", group="g", sources=2)

    assert [
        {
            "version": "1.2.3",
            "config": "config.toml",
            "listen": "127.0.0.1:9464",
            "brokers": "kafka:9092",
            "group": "g",
            "sources": 2,
            "streams": 2,
        }
    ] == named(logs, "started")


async def test_a_summary_counts_since_the_last_one_and_since_the_start(logs: list[Any]) -> None:
    each = Process(waits=1)
    each.mall.owned(None, 0)
    each.commit(each.mall, 5, duplicate=9, rejected=1)
    await each.summarize()
    each.clock.scope = anyio.CancelScope()
    each.commit(each.airport, 2, late=3)
    each.clock._waits = 1
    await each.summarize()

    first, second = named(logs, "summary")
    counts = {"records": 5, "events": 5, "dead_letters": 1, "transactions": 1}
    assert {"period_s": 600, **counts, "total": counts, "streams": {"catching_up": 1, "not_owned": 1}} == first
    assert {"records": 5, "events": 2, "dead_letters": 0, "transactions": 1}.items() <= second.items()
    assert {"records": 10, "events": 7, "dead_letters": 1, "transactions": 2} == second["total"]


async def test_there_is_a_summary_every_ten_minutes_also_of_an_idle_replica(logs: list[Any]) -> None:
    await Process(waits=6).summarize()

    assert [600] * 6 == [line["period_s"] for line in named(logs, "summary")]
    assert timedelta(minutes=10) == SUMMARY_INTERVAL


async def test_a_stream_that_is_removed_still_counts(logs: list[Any]) -> None:
    each = Process()
    each.commit(each.mall, 5)
    assert 5 == each.process._totals()["records"]
    each.status.streams.clear()
    each.commit(each.add("hall"), 2)
    each.clock.pass_s(90)
    each.process.stopped()

    total = {"records": 7, "events": 7, "dead_letters": 0, "transactions": 2}
    assert [{"ran_s": 90, "total": total}] == named(logs, "stopped")


async def test_a_backfill_counts_also_after_it_has_ended() -> None:
    each = Process()
    row = StreamStatus("seemetrix", "mall", "sessions~backfill")
    each.status.streams[0].backfills.append(row)
    each.commit(StreamTelemetry(each.metrics, row, [TYPE]), 4)
    assert 4 == each.process._totals()["records"]
    each.status.streams[0].backfills.clear()
    assert 4 == each.process._totals()["records"]
    each.status.streams[0].backfills.append(row)  # the epoch has ended, and another one runs the backfill

    assert 4 == each.process._totals()["records"]


async def test_a_backfill_that_is_cancelled_before_the_next_summary_counts() -> None:
    each = Process()
    row = StreamStatus("seemetrix", "mall", "sessions~backfill")
    each.status.streams[0].backfills.append(row)
    each.commit(StreamTelemetry(each.metrics, row, [TYPE]), 4)
    each.status.streams[0].backfills.clear()

    assert 4 == each.process._totals()["records"]
