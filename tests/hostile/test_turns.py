"""Whatever a vendor sends, little work is done between two moments at which other tasks may run. In simulated time."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from collector.cloudevents import Message, RecordEnvelope
from collector.errors import CollectorError
from collector.pipeline import batch
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import MAX_VERSIONS
from collector.pipeline.message import Origin
from collector.pipeline.state import State, StateFormat
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.turns import MAX_TURN_STEPS
from collector.vendors import damage, raw_rows
from collector.vendors.base import Stream
from collector.vendors.http import http
from collector.vendors.leniency import RowDecoder
from collector.worker import Worker
from tests.hostile.attacks import NOW, ROWS, body_of, slug
from tests.simulated import SimulatedClock, at
from tests.vendors.loopback import responding, serving
from tests.vendors.quividi import vidicenter
from tests.vendors.seemetrix.fetching import stream_of
from tests.worker.scripted import HOUR, T0, Scenario, names, rows_each

pytestmark = pytest.mark.anyio

SCALE = 20
"""Responses of this part of the size have more work than some turns may have."""
TURNS_PER_POLL = 2
"""A poll of the neighbour takes no more turns than this."""
POLLS = 100
"""How many polls of the neighbour are counted. In simulated time, it would poll thousands of times."""
STEPS_PER_ROW = 4
"""A row may be found, decoded, compared and published in one step of the work."""


class Work:
    """Counts calls of the functions whose number depends on what a vendor sends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = self.most = self.turns_beside = 0
        for owner, name in (
            (raw_rows, "end_of_value"),
            (damage._Reader, "_read"),
            (RowDecoder, "__call__"),
            (Deduplicator, "add_row"),
            (batch, "encoded"),
            (RecordEnvelope, "event"),
            (batch, "dead_letter_message"),
        ):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - of any function
            self.count += 1
            return function(*arguments, **named)

        return counted

    async def watch(self, neighbour: Scenario) -> None:
        """Note the work of each turn, and run the neighbour beside the first ones."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(neighbour.worker().run, at(T0))
            while len(neighbour.stream.requests) < POLLS:
                await self._note_turn()
                self.turns_beside += 1
            tasks.cancel_scope.cancel()
        while True:
            await self._note_turn()

    async def _note_turn(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.most, self.count = max(self.most, self.count), 0


async def polled(stream: Stream[Any], work: Work, neighbour: Scenario) -> None:
    """Poll the stream some times with a worker, whatever comes of it, beside another worker."""
    clock = SimulatedClock(NOW)
    state = State("test", StateFormat(stream.dedup_mode, stream.fields_version, stream.max_clock_offset, stream.former))
    telemetry = StreamTelemetry(Metrics(), StreamStatus(stream.source, stream.source, stream.name), [])

    async def commit(messages: list[Message], pairs: object) -> None:
        del messages, pairs
        await anyio.lowlevel.checkpoint()

    worker: Worker[Any] = Worker(
        stream,
        state,
        commit,  # type: ignore[arg-type]
        origin=Origin(stream.account, stream.source, stream.name, lambda text: text),
        clock=clock,
        telemetry=telemetry,
        random=Random(1),
    )
    with anyio.move_on_after(60) as scope:
        polls = 0
        until = clock.until

        async def ending(instant: Any) -> None:  # noqa: ANN401 - of the clock
            nonlocal polls
            polls += 1
            if polls > 3:
                scope.cancel()
            await until(instant)

        clock.until = ending  # type: ignore[method-assign]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work.watch, neighbour)
            try:
                await worker.run(NOW - timedelta(seconds=30))
            except CollectorError as error:
                raise AssertionError(error) from error
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("stream", ["sessions", "devices", "breakdown", "viewers"])
async def test_the_work_of_one_turn_is_bounded(name: str, stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = {"sessions": "/raw/data/", "devices": "/devices/", "breakdown": "/v2/", "viewers": "/data/"}[stream]
    body = body_of(slug(name), path, SCALE)
    monkeypatch.setattr(damage, "MIN_BUDGET", damage.MIN_BUDGET // SCALE)
    work = Work(monkeypatch)
    neighbour = Scenario(rows_each(60), start_s=T0 + HOUR, final_s=T0 + 1_000_000 * HOUR)
    async with serving(responding(body)) as url:
        if stream == "viewers":
            async with http(SimulatedClock(NOW)) as client:
                await polled(vidicenter.stream(url, client, None, timezone="UTC"), work, neighbour)
        else:
            table: dict[str, object] = {"levels": ["devices"]} if stream == "breakdown" else {}
            async with stream_of(url, stream, table, max_response_bytes=1 << 30, timeout="60s") as polled_stream:
                await polled(polled_stream, work, neighbour)

    assert work.most <= STEPS_PER_ROW * max(MAX_TURN_STEPS, MAX_VERSIONS)
    assert len(neighbour.stream.requests) >= work.turns_beside // TURNS_PER_POLL
    assert names(neighbour), "the neighbour's events are published meanwhile"
