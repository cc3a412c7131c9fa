"""Both simulated vendors with a known history, replicas that poll them, and what these published to Kafka."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from collector.commands.verdict import ReceivedEvents
from collector.kafka.reader import ConsumedMessage
from collector.model import Checkpoint
from collector.simulator import seemetrix, vidicenter
from collector.simulator.faults import Faults
from collector.simulator.seemetrix import SOURCE as SEEMETRIX
from collector.simulator.server import Simulated
from collector.simulator.vidicenter import SOURCE as QUIVIDI
from collector.simulator.vidicenter import VidiCenter
from collector.simulator.world import FAST, Visit, World
from tests.kafka.daemon import EVENTS, Daemon, Received, TopicReader

DEVICES = (3001, 3002, 3003)
"""Ids of Seemetrix's devices, and of Quividi's locations."""
ZONE = "Asia/Tokyo"  # without daylight saving time, so no local hour is repeated
EVENT_TOPICS = (*EVENTS, "quividi.viewers")
ALL_TOPICS = (*EVENT_TOPICS, "collector.dead_letters")
"""All topics but that of progress, which is not compared with the simulated vendors."""
# A late record of this world is available 15 s after it started, and in a box two seconds after that.
TIMING = 'settle = "2s"\nallowed_lateness = "20s"\nsweep_every = "4s"'
LOOKAHEAD_MS = 15 * 60_000
"""Longer than a test runs."""
EMPTY_POLLS = 5
"""Each waits for 0.2 s."""
MAX_CALLS = 100_000
"""Requests per minute: a limit that is never reached, because it has its own tests."""


class BoundedWorld(World, frozen=True, dict=True):
    """A world without visits before `begun_ms`, so that a busy one can be searched quickly."""

    begun_ms: int = 0

    def between(self, device: int, first_ms: int, last_ms: int) -> Iterator[Visit]:
        first_ms, last_ms = max(first_ms, self.begun_ms), min(last_ms, self.begun_ms + LOOKAHEAD_MS)
        for visit in World.between(self, device, first_ms, last_ms):
            if visit.start_ms >= self.begun_ms:
                yield visit


def busy_world(start: datetime, end: datetime) -> BoundedWorld:
    """A world with many visits in this period, at any time of day; some are twins, and some are uploaded late."""
    first_ms, last_ms = _ms(start), _ms(end)
    for doublings in range(16):
        world = BoundedWorld(devices=DEVICES, rate=100.0 * 2**doublings, pace=FAST, begun_ms=first_ms)
        found = [visit for visit in visits(world, first_ms, last_ms) if visit.start_ms <= last_ms]
        late = [visit for visit in found if visit.box_uploaded_ms > visit.end_ms + 2000]
        if len(found) > 200 and len(late) > 3 and sum(visit.has_twin for visit in found) > 3:
            return world
    raise AssertionError("no rate makes the world busy enough")


def visits(world: World, first_ms: int, last_ms: int) -> list[Visit]:
    """The visits at all devices of the world."""
    return [visit for device in world.devices for visit in world.between(device, first_ms, last_ms)]


class CountedFaults(Faults):
    """Faults of the vendors that are counted by kind, and can be limited to a period."""

    def __init__(self, rates: Mapping[str, float], seed: int) -> None:
        super().__init__(rates, seed)
        self.counts = Counter[str]()

    @contextmanager
    def at(self, rates: Mapping[str, float]) -> Iterator[None]:
        """Inject faults at these rates until the end of the block; none after it."""
        self._rates.update(rates)
        try:
            yield
        finally:
            self._rates.clear()

    def happens(self, kind: str) -> bool:
        happens = super().happens(kind)
        self.counts[kind] += happens
        return happens


class Replica(Daemon):
    """A replica of the collector with the given sources."""

    def __init__(
        self, home: Path, kafka: str, prefix: str, sources: str, replication: int = 1, state_partitions: int = 4
    ) -> None:
        self._set_up_files(home)
        self.config.write_text(
            f"""
[kafka]
bootstrap_servers = "{kafka}"
topic_prefix = "{prefix}"
group = "{prefix}group"
state_partitions = {state_partitions}
partitions = 3
replication_factor = {replication}
session_timeout = "3s"
transaction_timeout = "9s"
[http]
listen = "127.0.0.1:{self.port}"
[log]
level = "debug"
{sources}""",
            "utf-8",
        )

    async def all_rows(self) -> list[dict[str, Any]]:
        """The status of all streams and of their backfills; empty if the replica does not respond."""
        code, body = await self.get("/api/status")
        return json.loads(body)["streams"] if code == 200 else []

    async def streams(self) -> dict[str, dict[str, Any]]:
        """The status of one stream of each source, by source; empty if the replica does not respond."""
        return {row["source"]: row for row in await self.all_rows() if not row["backfill"]}

    async def states(self) -> set[str]:
        """The states of the streams; empty if the replica does not respond."""
        return {row["state"] for row in (await self.streams()).values()}

    async def checkpoints(self) -> dict[str, Checkpoint | None]:
        """The checkpoint of one stream of each source, by source; None if it is not restored yet."""
        return {name: _checkpoint(row) for name, row in (await self.streams()).items()}


def _checkpoint(row: Mapping[str, Any]) -> Checkpoint | None:
    if row["final"] is None:
        return None
    since, watermark, final = (datetime.fromisoformat(row[name]) for name in ("since", "watermark", "final"))
    return Checkpoint(since, watermark, final, timedelta(hours=1), since)


def seemetrix_table(vendors: Simulated, since: datetime) -> str:
    """The table of a source of the simulated Seemetrix, without its streams."""
    return f"""
[sources.{SEEMETRIX}]
vendor = "seemetrix"
base_url = "{vendors.url("seemetrix")}"
user_id = {seemetrix.USER}
user_key = "{seemetrix.KEY}"
since = {since.isoformat()}
"""


def seemetrix_source(vendors: Simulated, since: datetime) -> str:
    """The configuration of a source of the simulated Seemetrix."""
    return f"""{seemetrix_table(vendors, since)}timeout = "5s"
[sources.{SEEMETRIX}.streams.sessions]
interval = "1s"
{TIMING}
"""


def quividi_source(vendors: Simulated, since: datetime, locations: Sequence[int], name: str = QUIVIDI) -> str:
    """The configuration of a source of the simulated Quividi."""
    return f"""
[sources.{name}]
vendor = "quividi"
base_url = "{vendors.url("quividi")}"
username = "{vidicenter.USERNAME}"
token = "{vidicenter.TOKEN}"
locations = {list(locations)}
timezone = "{ZONE}"
since = {since.isoformat()}
timeout = "5s"
max_requests_per_minute = {MAX_CALLS}
[sources.{name}.streams.viewers]
interval = "2s"
{TIMING}
"""


def running_exports(vendor: VidiCenter) -> int:
    """How many exports the simulated Quividi builds at present."""
    now_ms = time.time_ns() // 1_000_000
    return sum(export.ready_ms > now_ms for export in vendor._exports.values())


def verdict_reader(messages: Sequence[Received]) -> ReceivedEvents:
    """The reader that the demo's verdict is computed from, with these messages."""
    reader = ReceivedEvents()
    for each in messages:
        reader.add(ConsumedMessage(each.topic, each.key.decode(), each.headers, msgspec.json.encode(each.value)))
    return reader


async def read_all(reader: TopicReader) -> list[Received]:
    """All messages, once none has arrived for a second."""
    for _ in range(EMPTY_POLLS):
        await reader.poll()
    return reader.received


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
