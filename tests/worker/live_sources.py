"""Sources of both vendors with their real streams, in simulated time, epoch after epoch, and without Kafka."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from random import Random
from typing import Any, cast

import anyio
import anyio.lowlevel
from aiohttp import web

from collector.cloudevents import Message
from collector.config import load
from collector.configured import ConfiguredSources, Surroundings
from collector.epoch_streams import EpochStreams
from collector.pipeline.state import by_stream
from collector.simulator.base import Simulation
from collector.simulator.faults import Faults
from collector.simulator.rules import Rules
from collector.simulator.vendors import VENDORS
from collector.simulator.vidicenter import VidiCenter
from collector.simulator.world import World
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from collector.vendors.http import http
from tests.worker.quividi_account import EventClock

STATE_PARTITIONS = 32


class KeptState:
    """The state topic in memory, as an epoch commits to it. Messages are counted, and not kept."""

    failure: Exception | None = None
    is_overdue = False
    partition = 0
    deadline_s = 20.0

    def __init__(self) -> None:
        self.pairs: dict[bytes, bytes] = {}
        """What belongs to the partition: nothing."""
        self.stored: dict[bytes, bytes] = {}
        self.messages = 0
        self.commits = 0

    async def commit(self, messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> float:
        self.commits += 1
        self.messages += len(messages)
        for key, value in state.items():
            if value is None:
                self.stored.pop(key, None)
            else:
                self.stored[key] = value
        return 0.01


class LiveSources:
    """The configured sources of one process."""

    def __init__(
        self, surroundings: Surroundings, clock: EventClock, path: Path, urls: Mapping[str, str], vidicenter: VidiCenter
    ) -> None:
        """`path` is that of the configuration file, `urls` are the vendors' by their names."""
        self.state = KeptState()
        self.process_status = surroundings.process_status
        self._metrics = surroundings.metrics
        self._sources = ConfiguredSources(surroundings, STATE_PARTITIONS)
        self._clock = clock
        self._path = path
        self._urls = urls
        self._vidicenter = vidicenter

    def apply(self, config: str) -> None:
        """Load a configuration, or reload it between two epochs. `{vendor}` in it is the URL of this vendor."""
        for vendor, url in self._urls.items():
            config = config.replace(f"{{{vendor}}}", url)
        self._path.write_text(config, "utf-8")
        self._sources.apply(load(self._path))
        self._sources.release_replaced()

    def series(self) -> list[tuple[str, Mapping[str, str]]]:
        """The time series of the metrics, each by its name and its labels."""
        return [(each.name, each.labels) for metric in self._metrics.registry.collect() for each in metric.samples]

    async def run(self, length: timedelta) -> None:
        """Run all streams for so long in one epoch, which restores the state of the one before."""
        streams = EpochStreams(cast("Any", self.state), list(self._sources.handles()), self._read)
        async with anyio.create_task_group() as running:
            running.start_soon(streams.run, await self._read())
            await self._clock.run_until(self._clock.now() + length)
            running.cancel_scope.cancel()
        self._clock.forget()
        for handle in self._sources.handles():
            handle.telemetry.released()

    async def forget(self) -> None:
        """Forget what only the test keeps: the vendor's exports, and the cancelled timers of the event loop.

        asyncio removes the latter once they are more than a hundred, and more than half of all timers.
        """
        self._vidicenter._exports.clear()
        loop = asyncio.get_running_loop()
        for _ in range(1000):
            loop.call_later(3600, int).cancel()
        await anyio.lowlevel.checkpoint()

    async def _read(self) -> dict[str, dict[str, bytes]]:
        return by_stream(self.state.stored)


@asynccontextmanager
async def live_sources(
    home: Path, config: str, now: datetime, world: World, rules: Rules, faults: Faults
) -> AsyncIterator[LiveSources]:
    """Serve both vendors, and configure sources of them. It is `now`, and time passes while `LiveSources.run` runs."""
    clock = EventClock(now)
    simulation = Simulation(world, lambda: int(clock.now().timestamp() * 1000), rules, faults)
    vendors = [kind(simulation) for kind in VENDORS]

    async def set_date(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = format_datetime(clock.now(), usegmt=True)

    app = web.Application(middlewares=[faults.middleware])
    app.on_response_prepare.append(set_date)
    app.add_routes([route for vendor in vendors for route in vendor.routes()])
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with http(clock) as client:
            clock.count_requests(client)
            status = ProcessStatus("1", "g")
            surroundings = Surroundings(Metrics(), status, clock, Random(1), client, None, lambda: None)
            urls = {each.vendor: address + each.base_path for each in vendors}
            (vidicenter,) = (each for each in vendors if isinstance(each, VidiCenter))
            live = LiveSources(surroundings, clock, home / "config.toml", urls, vidicenter)
            live.apply(config)
            yield live
    finally:
        await runner.cleanup()
