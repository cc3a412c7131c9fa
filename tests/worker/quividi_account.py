"""A source of the simulated VidiCenter, its streams and their workers, in simulated time and without Kafka.

Everything between the vendor's HTTP responses and the commits is real: requests, exports, windows, shards, ledgers.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from email.utils import format_datetime
from heapq import heappop, heappush
from itertools import count
from random import Random
from types import SimpleNamespace
from typing import Any

import aiohttp
import anyio
import anyio.lowlevel
from aiohttp import web
from anyio.abc import TaskGroup

from collector.clock import Clock
from collector.cloudevents import Message
from collector.errors import EpochEnded
from collector.instants import UNIX_EPOCH
from collector.model import whole_name
from collector.pipeline.message import DEAD_LETTER, PROGRESS, Origin
from collector.pipeline.progress import Progress
from collector.pipeline.shards import Shards, whole_prefix
from collector.pipeline.state import StateFormat, by_stream, stream_prefix
from collector.schemas import event_types
from collector.simulator.base import Simulation
from collector.simulator.rules import Rules
from collector.simulator.vidicenter import TOKEN, USERNAME, VidiCenter
from collector.simulator.world import World
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors.base import Stream
from collector.vendors.http import Http, http
from collector.vendors.quividi.settings import QuividiSource
from collector.vendors.quividi.streams import streams
from collector.worker import Worker
from tests.contracts.kept import check_message
from tests.worker.harness import Crash

SOURCE = "mall"
IDLE_TURNS = 40
"""After so many turns of the event loop without a request, every task waits for the clock."""
TYPES = {each.topic: each for each in (*event_types().values(), DEAD_LETTER, PROGRESS)}


class EventClock(Clock):
    """A clock that moves to the next instant that a task waits for, once all tasks wait."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._waits: list[tuple[datetime, int, anyio.Event]] = []
        self._numbers = count()
        self._requests = 0

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return (self._now - UNIX_EPOCH).total_seconds()

    async def until(self, instant: datetime) -> None:
        await anyio.lowlevel.checkpoint()
        if instant > self._now:
            reached = anyio.Event()
            heappush(self._waits, (instant, next(self._numbers), reached))
            await reached.wait()

    def count_requests(self, client: Http) -> None:
        """Let no time pass while a request of this client is sent, or its response is read."""
        session = client._session

        @asynccontextmanager
        async def get(*arguments: Any, **named: Any) -> AsyncIterator[aiohttp.ClientResponse]:  # noqa: ANN401 - those of aiohttp
            self._requests += 1
            try:
                async with session.get(*arguments, **named) as response:
                    yield response
            finally:
                self._requests -= 1

        client._session = SimpleNamespace(get=get)  # type: ignore[assignment]

    async def run_until(self, end: datetime) -> None:
        """Let time pass until then. It does not pass while no task waits for it."""
        while True:
            idle_turns = 0
            while idle_turns < IDLE_TURNS:
                await anyio.lowlevel.checkpoint()
                idle_turns = 0 if self._requests else idle_turns + 1
            if not self._waits or self._waits[0][0] > end:
                self._now = max(self._now, end)
                return
            instant, _, reached = heappop(self._waits)
            self._now = max(self._now, instant)
            reached.set()

    def pass_s(self, seconds: float) -> None:
        """Let time pass while nothing runs."""
        self._now += timedelta(seconds=seconds)

    def forget(self) -> None:
        """Forget the waits of tasks that have ended."""
        self._waits.clear()


class Topics:
    """The event topics and the state topic in memory. A commit writes to both or to neither, and may crash."""

    def __init__(self, random: Random, crash_rate: float) -> None:
        self.messages: list[Message] = []
        self.pairs: dict[bytes, bytes] = {}
        self._random = random
        self._crash_rate = crash_rate

    async def commit(self, messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        self._maybe_crash()
        for message in messages:
            check_message(message, TYPES[message.topic])
        self.messages += messages
        for key, value in state.items():
            if value is None:
                self.pairs.pop(key, None)
            else:
                self.pairs[key] = value
        self._maybe_crash()

    def _maybe_crash(self) -> None:
        if self._random.random() < self._crash_rate:
            raise Crash

    def values(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(each.value) for each in self.messages if each.topic == topic]


class Account:
    """The simulated vendor, and the streams of one source of it that run in processes one after the other."""

    def __init__(self, address: str, vendor: VidiCenter, clock: EventClock, topics: Topics) -> None:
        self.vendor = vendor
        self.topics = topics
        self.statuses: list[StreamStatus] = []
        self._address = address
        self._clock = clock

    def source(self, **settings: object) -> QuividiSource:
        given = {
            "vendor": "quividi",
            "base_url": f"{self._address}/api/v1",
            "username": USERNAME,
            "token": TOKEN,
        }
        return QuividiSource.model_validate(given | settings)

    async def run(self, source: QuividiSource, until: datetime) -> None:
        """Run the streams of a configuration until an instant. After a crash, a new process continues."""
        while self._clock.now() < until:
            try:
                async with http(self._clock) as client, anyio.create_task_group() as running:
                    self._clock.count_requests(client)
                    self._start(streams(SOURCE, source, client, standalone_telemetry()), source.since, running)
                    await self._clock.run_until(until)
                    running.cancel_scope.cancel()
            except BaseExceptionGroup as group:
                if group.subgroup((Crash, EpochEnded)) is None:
                    raise
                self._clock.pass_s(300)
            self._clock.forget()

    def _start(self, found: Sequence[Stream[Any]], since: datetime | None, running: TaskGroup) -> None:
        wholes: dict[str, list[Stream[Any]]] = {}
        for stream in found:
            wholes.setdefault(whole_name(stream.name), []).append(stream)
        self.statuses = []
        for name, parts in wholes.items():
            stored = by_stream(self.topics.pairs)
            prefixes = {stream_prefix(each.account, SOURCE, each.name): each for each in parts}
            first, origin = parts[0], Origin(parts[0].account, SOURCE, name)
            shape = StateFormat(first.dedup_mode, first.fields_version, first.max_clock_offset, first.former)
            shards = Shards(
                shape,
                {prefix: each.zone for prefix, each in prefixes.items()},
                Progress(origin, first.policy, prefixes.keys()),
                anyio.Lock(),
            )
            whole = whole_prefix(next(iter(prefixes)))
            shards.pairs.update((each, pairs) for each, pairs in stored.items() if whole_prefix(each) == whole)
            for prefix, stream in prefixes.items():
                self.statuses.append(StreamStatus("quividi", SOURCE, stream.name))
                worker: Worker[Any] = Worker(
                    stream,
                    shards.load(prefix),
                    self.topics.commit,
                    origin=origin,
                    clock=self._clock,
                    telemetry=StreamTelemetry(Metrics(), self.statuses[-1], [kind.name for kind in stream.event_types]),
                    random=Random(1),
                    shards=shards,
                )
                running.start_soon(worker.run, since)


@asynccontextmanager
async def account(
    world: World, rules: Rules, now: datetime, crash_rate: float = 0.0, seed: int = 1
) -> AsyncIterator[Account]:
    """The simulated vendor over HTTP, with a client. It is `now`, and time passes while `Account.run` runs."""
    clock = EventClock(now)
    vendor = VidiCenter(Simulation(world, lambda: int(clock.now().timestamp() * 1000), rules))

    async def set_date(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = format_datetime(clock.now(), usegmt=True)

    app = web.Application()
    app.on_response_prepare.append(set_date)
    app.add_routes(vendor.routes())
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield Account(address, vendor, clock, Topics(Random(seed), crash_rate))
    finally:
        await runner.cleanup()
