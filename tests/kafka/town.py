"""Two simulated vendors that know the truth, the daemon that asks them, and what came out of Kafka."""

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
from tests.kafka.daemon import EVENTS, Daemon, Told
from tests.kafka.daemon import Reader as Following

PLACES = (3001, 3002, 3003)
ZONE = "Asia/Tokyo"  # where no hour comes twice
ALL = (*EVENTS, "quividi.viewers", "collector.dead_letters")
# What comes late in this world is there a quarter of a minute after it began, and in a box two seconds later.
PACE = 'settle = "2s"\nallowed_lateness = "20s"\nsweep_every = "4s"'
SOON_MS = 15 * 60_000
"""Further ahead than a test lasts."""
QUIET_POLLS = 5
"""Each waits for a fifth of a second."""
UNHURRIED = 100_000
"""Calls a minute: that limit has tests of its own."""


class Town(World, frozen=True, dict=True):
    """A world in which nothing happened before it began: however busy it is, it is soon looked through."""

    begun_ms: int = 0

    def between(self, device: int, first_ms: int, last_ms: int) -> Iterator[Visit]:
        first_ms, last_ms = max(first_ms, self.begun_ms), min(last_ms, self.begun_ms + SOON_MS)
        for visit in World.between(self, device, first_ms, last_ms):
            if visit.start_ms >= self.begun_ms:
                yield visit


def town(begun: datetime, until: datetime) -> Town:
    """One that was busy between these, by day and by night, with twins, and with some who came to be known late."""
    first_ms, last_ms = _ms(begun), _ms(until)
    for doublings in range(16):
        found = Town(devices=PLACES, rate=100.0 * 2**doublings, pace=FAST, begun_ms=first_ms)
        there = [visit for visit in visits(found, first_ms, last_ms) if visit.start_ms <= last_ms]
        late = [visit for visit in there if visit.boxed_ms > visit.end_ms + 2000]
        if len(there) > 200 and len(late) > 3 and sum(visit.has_twin for visit in there) > 3:
            return found
    raise AssertionError("no town is busy enough")


def visits(world: World, first_ms: int, last_ms: int) -> list[Visit]:
    return [visit for device in world.devices for visit in world.between(device, first_ms, last_ms)]


class Counted(Faults):
    """Faults that are counted by kind, and begin and end."""

    def __init__(self, rates: Mapping[str, float], seed: int) -> None:
        super().__init__(rates, seed)
        self.counts = Counter[str]()

    @contextmanager
    def at(self, rates: Mapping[str, float]) -> Iterator[None]:
        """They happen so often, until the end of the block."""
        self._rates.update(rates)
        try:
            yield
        finally:
            self._rates.clear()

    def happens(self, kind: str) -> bool:
        self.counts[kind] += (found := super().happens(kind))
        return found


class Replica(Daemon):
    """A daemon with its own sources."""

    def __init__(
        self, home: Path, kafka: str, prefix: str, sources: str, replication: int = 1, state_partitions: int = 4
    ) -> None:
        self._settle_in(home)
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

    async def streams(self) -> dict[str, dict[str, Any]]:
        """The status of the streams by their sources; empty while there is none."""
        code, body = await self.get("/api/status")
        rows: list[dict[str, Any]] = json.loads(body)["streams"] if code == 200 else []
        return {row["source"]: row for row in rows}

    async def states(self) -> set[str]:
        return {row["state"] for row in (await self.streams()).values()}

    async def checkpoints(self) -> dict[str, Checkpoint | None]:
        return {name: _checkpoint(row) for name, row in (await self.streams()).items()}


def _checkpoint(row: Mapping[str, Any]) -> Checkpoint | None:
    if row["final"] is None:
        return None
    since, watermark, final = (datetime.fromisoformat(row[name]) for name in ("since", "watermark", "final"))
    return Checkpoint(since, watermark, final, timedelta(hours=1), since)


def mall(vendors: Simulated, since: datetime) -> str:
    return f"""
[sources.{SEEMETRIX}]
vendor = "seemetrix"
base_url = "{vendors.url("seemetrix")}"
user_id = {seemetrix.USER}
user_key = "{seemetrix.KEY}"
since = {since.isoformat()}
timeout = "5s"
[sources.{SEEMETRIX}.streams.sessions]
interval = "1s"
{PACE}
"""


def airport(vendors: Simulated, since: datetime, places: Sequence[int], name: str = QUIVIDI) -> str:
    return f"""
[sources.{name}]
vendor = "quividi"
base_url = "{vendors.url("quividi")}"
username = "{vidicenter.USERNAME}"
token = "{vidicenter.TOKEN}"
locations = {list(places)}
timezone = "{ZONE}"
since = {since.isoformat()}
timeout = "5s"
max_requests_per_minute = {UNHURRIED}
[sources.{name}.streams.viewers]
interval = "2s"
{PACE}
"""


def running(vendor: VidiCenter) -> int:
    """Exports, at present."""
    now_ms = time.time_ns() // 1_000_000
    return sum(export.ready_ms > now_ms for export in vendor._exports.values())


def read(told: Sequence[Told]) -> ReceivedEvents:
    """As the demo's reader."""
    reader = ReceivedEvents()
    for each in told:
        reader.add(ConsumedMessage(each.topic, each.key.decode(), each.headers, msgspec.json.encode(each.value)))
    return reader


async def everything(reader: Following) -> list[Told]:
    """All that is there, once nothing more came for a second."""
    for _ in range(QUIET_POLLS):
        await reader.poll()
    return reader.told


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
