"""Both vendors at once and exports that outlive whoever asked: the daemon is killed, and the truth comes out."""

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import anyio
import msgspec
import pytest
from jsonschema import Draft202012Validator

from collector.commands.schema import event_types, json_schema
from collector.commands.verdict import QUIVIDI, SEEMETRIX, Reader, judge
from collector.kafka.follow import Followed
from collector.model import Head, floor_second
from collector.simulator import seemetrix, vidicenter
from collector.simulator.faults import Faults
from collector.simulator.server import Simulated, serving
from collector.simulator.vidicenter import Rules, VidiCenter
from collector.simulator.world import FAST, Visit, World
from tests.kafka.broker import free_port
from tests.kafka.daemon import EVENTS, Daemon, Told, reading, until
from tests.kafka.daemon import Reader as Following

pytestmark = pytest.mark.anyio

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
            if visit.begin_ms >= self.begun_ms:
                yield visit


def town(begun: datetime, until: datetime) -> Town:
    """One that was busy between these, by day and by night, with twins, and with some who came to be known late."""
    first_ms, last_ms = _ms(begun), _ms(until)
    for doublings in range(16):
        found = Town(devices=PLACES, rate=100.0 * 2**doublings, pace=FAST, begun_ms=first_ms)
        there = [visit for visit in visits(found, first_ms, last_ms) if visit.begin_ms <= last_ms]
        late = [visit for visit in there if visit.boxed_ms > visit.end_ms + 2000]
        if len(there) > 200 and len(late) > 3 and sum(visit.has_twin for visit in there) > 3:
            return found
    raise AssertionError("no town is busy enough")


def visits(world: World, first_ms: int, last_ms: int) -> list[Visit]:
    return [visit for device in world.devices for visit in world.between(device, first_ms, last_ms)]


class Counted(Faults):
    """Faults that are counted by kind."""

    def __init__(self, rates: Mapping[str, float], seed: int) -> None:
        super().__init__(rates, seed)
        self.counts = Counter[str]()

    def happens(self, kind: str) -> bool:
        self.counts[kind] += (found := super().happens(kind))
        return found


class Replica(Daemon):
    """A daemon with its own sources."""

    def __init__(self, home: Path, kafka: str, prefix: str, sources: str) -> None:
        self.port = free_port()
        self.log = home / f"collector-{self.port}.log"
        self.config = home / f"collector-{self.port}.toml"
        self._process = None
        self.config.write_text(
            f"""
[kafka]
bootstrap_servers = "{kafka}"
topic_prefix = "{prefix}"
group = "{prefix}group"
state_partitions = 4
partitions = 3
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

    async def heads(self) -> dict[str, Head | None]:
        return {name: _head(row) for name, row in (await self.streams()).items()}


def _head(row: Mapping[str, Any]) -> Head | None:
    if row["final"] is None:
        return None
    since, watermark, final = (datetime.fromisoformat(row[name]) for name in ("since", "watermark", "final"))
    return Head(since, watermark, final, timedelta(hours=1), since)


def mall(vendors: Simulated, since: datetime) -> str:
    return f"""
[sources.{SEEMETRIX}]
vendor = "seemetrix"
base_url = "{vendors.seemetrix_url}"
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
base_url = "{vendors.quividi_url}"
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


def read(told: Sequence[Told]) -> Reader:
    """As the demo's reader; each event keeps its schema."""
    schemas = {name: Draft202012Validator(json_schema(kind)) for name, kind in event_types().items()}
    reader = Reader()
    for each in told:
        schemas[each.headers["ce_type"]].validate(each.value)
        reader.note(Followed(each.topic, each.key.decode(), each.headers, msgspec.json.encode(each.value)))
    return reader


async def everything(reader: Following) -> list[Told]:
    """All that is there, once nothing more came for a second."""
    for _ in range(QUIET_POLLS):
        await reader.poll()
    return reader.told


async def test_nothing_of_either_vendor_is_lost_or_doubled_whenever_the_daemon_is_killed(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    random, start = Random(4), floor_second(datetime.now(UTC))
    since = start - timedelta(minutes=3)
    world = town(since, start)
    faults = Counted({"429": 0.05, "500": 0.05, "truncated": 0.05}, seed=2)
    rules = Rules(zone=ZONE, export_s=0.5, calls_per_minute=UNHURRIED)
    async with (
        serving(world, host="127.0.0.1", port=0, rules=rules, faults=faults) as vendors,
        reading(kafka, [prefix + topic for topic in ALL]) as reader,
    ):
        sources = mall(vendors, since) + airport(vendors, since, PLACES)
        daemon = Replica(tmp_path, kafka, prefix, sources)

        async def exporting() -> bool:
            return running(vendors.vidicenter) > 0

        try:
            for number in range(4):
                daemon.start()
                if number % 2:
                    await until(exporting, "an export runs")
                    await anyio.sleep(random.uniform(0, rules.export_s))
                else:
                    await anyio.sleep(random.uniform(0.5, 4))
                daemon.kill()
            daemon.start()
            awaited = datetime.now(UTC) + timedelta(seconds=2)

            async def all_final() -> bool:
                await reader.poll()
                heads = (await daemon.heads()).values()
                return len(heads) == 2 and all(head is not None and head.final > awaited for head in heads)

            await until(all_final, "what happened when the daemon was started last is final")
            heads = await daemon.heads()
            daemon.send(signal.SIGTERM)
            assert 0 == daemon.wait()
        finally:
            daemon.close()
        told = await everything(reader)
    vendor = vendors.vidicenter
    verdict = judge(world, vendor, since, heads, read(told))
    assert (0, 0) == (verdict.missing, verdict.duplicated)
    assert verdict.simulated > 400
    assert sum(each.value["occurrence"] for each in told if each.topic == f"{prefix}quividi.viewers") > 3
    assert [] == [each for each in told if each.topic == f"{prefix}collector.dead_letters"]
    assert (True, 0) == (1 <= vendor.most_at_once <= 3, vendor.refused)
    # One for each window that was asked for, and a few that were not known to be new: no poll forces a rebuild.
    assert len(vendor._exports) <= vendor.built <= 1.5 * len(vendor._exports)
    assert {"429", "500", "truncated"} == (+faults.counts).keys()
    log = daemon.log.read_text("utf-8")
    assert [] == [secret for secret in (seemetrix.KEY, vidicenter.TOKEN) if secret in log]


async def test_a_replica_waits_for_the_places_of_exports_that_a_dead_one_left_running(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    start = floor_second(datetime.now(UTC))
    since = start - timedelta(minutes=2)
    world = town(since, start)
    sources = {f"airport_{place}": place for place in PLACES}
    rules = Rules(zone=ZONE, export_s=8, calls_per_minute=UNHURRIED)
    async with (
        serving(world, host="127.0.0.1", port=0, rules=rules) as vendors,
        reading(kafka, [f"{prefix}quividi.viewers"]) as reader,
    ):
        vendor = vendors.vidicenter
        written = "".join(airport(vendors, since, [place], name) for name, place in sources.items())
        replicas = [Replica(tmp_path, kafka, prefix, written) for _ in range(2)]
        seen: set[str] = set()
        try:
            for replica in replicas:
                replica.start()

            async def three_run() -> bool:
                return running(vendor) == 3 and all([await each.states() for each in replicas])

            await until(three_run, "three exports run, and both replicas are there")
            (other,) = [each for each in replicas if {"not_owned"} == await each.states()]
            (owner,) = [each for each in replicas if each is not other]
            owner.kill()
            vendor._rules = msgspec.structs.replace(rules, export_s=0.5)  # of those that are begun from now on

            async def taken_over() -> bool:
                seen.update(await other.states())
                heads = (await other.heads()).values()
                return len(heads) == 3 and all(head is not None and head.watermark > start for head in heads)

            await until(taken_over, "the other replica has every source's viewers")
            heads = await other.heads()
            other.send(signal.SIGTERM)
            assert 0 == other.wait()
        finally:
            for replica in replicas:
                replica.close()
        told = await everything(reader)
    assert seen <= {"not_owned", "catching_up", "live"}
    assert "parked" not in other.log.read_text("utf-8")
    assert vendor.refused > 0
    assert 3 == vendor.most_at_once
    found = read(told)
    for name, place in sources.items():
        there = msgspec.structs.replace(world, devices=(place,))
        verdict = judge(there, vendor, since, {name: heads[name]}, found)
        assert (name, 0, 0) == (name, verdict.missing, verdict.duplicated)
        assert verdict.simulated > 20


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
