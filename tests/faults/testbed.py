"""Where faults happen: a busy town, replicas that follow it, a reader that sees all along; at the end, the truth."""

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import anyio

from collector.commands.verdict import QUIVIDI, SEEMETRIX, judge
from collector.instants import floor_second
from collector.model import Checkpoint
from collector.simulator.server import Simulated, serving
from collector.simulator.vidicenter import Rules
from collector.simulator.world import FAST, World
from tests.faults.brokers import Cluster
from tests.faults.table import Row
from tests.kafka.daemon import Received, TopicReader, reading, until
from tests.kafka.log_targets import LogTarget, started
from tests.kafka.scenario import (
    ALL_TOPICS,
    DEVICES,
    MAX_CALLS,
    ZONE,
    CountedFaults,
    Replica,
    quividi_source,
    seemetrix_source,
    verdict_reader,
)

RATE = 3000.0
"""Visits an hour at a device: something is published every second."""
SETTLE_MS = 2000
MAX_WAIT_S = 150
SESSION_TIMEOUT_S = 3.0
TARGET_S = SESSION_TIMEOUT_S + 1.0 + 10.0
"""For a recovery: the session's timeout, a restore, and ten seconds."""
PARTS = {
    "seemetrix.attention.v1": "attention_count",
    "seemetrix.emotion.v1": "emotion_count",
    "seemetrix.content_view.v1": "content_view_count",
}


class Testbed:
    """One scenario."""

    def __init__(
        self,
        home: Path,
        prefix: str,
        random: Random,
        cluster: Cluster,
        world: World,
        vendors: Simulated,
        faults: CountedFaults,
    ) -> None:
        self.random = random
        self.cluster = cluster
        self.world = world
        self.vendors = vendors
        self.faults = faults
        """The vendors'."""
        self.prefix = prefix
        self.since = floor_second(datetime.now(UTC))
        self.seen: list[Received] = []
        """What the reader that runs all along saw."""
        self.slowest_s = 0.0
        self.replicas: list[Replica] = []
        self.around = AsyncExitStack()
        """What is there until the replicas have ended."""
        self.home = home

    def replica(
        self,
        kafka: str = "",
        vendors: str = "",
        target: LogTarget | None = None,
        program: Sequence[str] = Replica.program,
    ) -> Replica:
        """One more, started; it may differ from the others in its brokers, its vendors, its log or its program."""
        sources = seemetrix_source(self.vendors, self.since) + quividi_source(self.vendors, self.since, DEVICES)
        sources = sources.replace(self.vendors.address, vendors or self.vendors.address)
        replica = Replica(
            self.home, kafka or self.cluster.address, self.prefix, sources, replication=len(self.cluster.nodes)
        )
        replica.program = program
        self.replicas.append(replica)
        if target is None:
            replica.start()
        else:
            self.around.enter_context(started(replica, target))
        return replica

    async def owners(self, source: str = SEEMETRIX) -> list[Replica]:
        """Those who believe that they run the source's streams."""
        found = []
        for replica in self.replicas:
            row = (await replica.streams()).get(source)
            if row is not None and row["state"] != "not_owned":
                found.append(replica)
        return found

    async def owner(self, source: str = SEEMETRIX) -> Replica:
        """The one of them, once there is one."""
        found: list[Replica] = []

        async def owned() -> bool:
            found[:] = await self.owners(source)
            return bool(found)

        await until(owned, "some replica runs the streams", within_s=MAX_WAIT_S)
        return found[0]

    async def wait_for_event(self) -> None:
        """Return when something more has been published."""
        before = len(self.seen)
        await until_true(lambda: len(self.seen) > before, "something more is published")

    async def wait_for_recovery(self, since_ms: int = 0) -> None:
        """Return when each source has published something after that moment, or after now; note how long that took.

        To when the reader saw it. What was committed before the moment, and seen after it, is no recovery.
        """
        since_ms = since_ms or now_ms()
        await self.wait_for_all_sources(since_ms)
        self.slowest_s = max(self.slowest_s, ((self._recovered_ms(since_ms) or since_ms) - since_ms) / 1000)

    async def wait_for_all_sources(self, since_ms: int = 0) -> None:
        """The same, of which the duration does not count: it lasts as long as its cause."""
        since_ms = since_ms or now_ms()
        await until_true(lambda: self._recovered_ms(since_ms) is not None, "each source publishes something more")

    def _recovered_ms(self, since_ms: int) -> int | None:
        first: dict[str, int] = {}
        for told in self.seen[bisect_left(self.seen, since_ms, key=lambda each: each.received_ms) :]:
            if told.published_ms > since_ms:
                first.setdefault(told.headers["ce_source"].rpartition("/")[2], told.received_ms)
        return max(first.values()) if first.keys() == {SEEMETRIX, QUIVIDI} else None

    async def final_since(self, instant: datetime) -> dict[str, Checkpoint | None]:
        """How far the streams are, once all of them are final up to the instant."""
        checkpoints: dict[str, Checkpoint | None] = {}

        async def final() -> bool:
            checkpoints.clear()
            for source in (SEEMETRIX, QUIVIDI):
                for owner in await self.owners(source):
                    checkpoints[source] = (await owner.checkpoints()).get(source)
            return len(checkpoints) == 2 and all(
                checkpoint is not None and checkpoint.final > instant for checkpoint in checkpoints.values()
            )

        await until(final, "all of it is final", within_s=MAX_WAIT_S)
        return checkpoints


@asynccontextmanager
async def testbed(home: Path, prefix: str, random: Random, cluster: Cluster) -> AsyncIterator[Testbed]:
    world = World(devices=DEVICES, rate=rate_at(datetime.now(UTC)), pace=FAST)
    rules = Rules(zone=ZONE, export_s=0.3, calls_per_minute=MAX_CALLS)
    faults = CountedFaults({}, seed=random.randrange(1 << 30))
    async with (
        serving(world, host="127.0.0.1", port=0, rules=rules, faults=faults) as vendors,
        reading(cluster.reader_address, [prefix + topic for topic in ALL_TOPICS]) as reader,
        anyio.create_task_group() as tasks,
    ):
        found = Testbed(home, prefix, random, cluster, world, vendors, faults)
        tasks.start_soon(_follow, reader, found)
        async with found.around:
            try:
                yield found
            finally:
                for replica in found.replicas:
                    replica.close()
        tasks.cancel_scope.cancel()


async def _follow(reader: TopicReader, found: Testbed) -> None:
    while True:
        found.seen = await reader.poll()
        await anyio.sleep(0.05)


async def until_true(condition: Callable[[], bool], what: str, within_s: float = MAX_WAIT_S) -> None:
    async def holds() -> bool:
        return condition()

    await until(holds, what, within_s)


def rate_at(now: datetime) -> float:
    """What makes `RATE` visits an hour now, by day and by night."""
    quiet = World(devices=DEVICES, rate=100.0, pace=FAST)
    minute = int(now.timestamp()) // 60
    there = sum(len(quiet.minute(place, minute + n)) for place in DEVICES for n in range(-30, 60))
    return RATE * len(DEVICES) * 1.5 / max(1, there) * 100.0


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def verdict(found: Testbed, fault: str, times: int) -> Row:
    """Wait until all that happened up to now is final; end the replicas; compare with the truth."""
    checkpoints, told = await ended(found)
    truth = judge(found.world, found.vendors.vidicenter, found.since, checkpoints, verdict_reader(told))
    lost = truth.missing + lacking_parts(told)
    return Row(fault, times, len(told), lost, truth.duplicated, disordered(found, told), found.slowest_s)


async def ended(found: Testbed) -> tuple[dict[str, Checkpoint | None], list[Received]]:
    """How far the streams are, once all that happened up to now is final; and, the replicas ended, everything.

    A fresh reader reads it, and must see what the one saw that ran all along.
    """
    checkpoints = await found.final_since(datetime.now(UTC) + timedelta(seconds=1))
    async with anyio.create_task_group() as ending:  # in threads: what they end with passes through this loop
        for replica in found.replicas:
            ending.start_soon(anyio.to_thread.run_sync, replica.stop)
    async with reading(found.cluster.reader_address, [found.prefix + topic for topic in ALL_TOPICS]) as fresh:
        told = await fresh.to_the_end()
    await until_true(lambda: len(found.seen) >= len(told), "the reader that ran all along is at the end too")
    if by_partition(found.seen) != by_partition(told):
        raise AssertionError(f"the reader that ran all along saw something else: {len(found.seen)}, not {len(told)}")
    return checkpoints, told


def by_partition(told: list[Received]) -> dict[tuple[str, int], list[str]]:
    ids = defaultdict(list)
    for each in told:
        ids[each.topic, each.partition].append(each.id)
    return dict(ids)


def lacking_parts(told: list[Received]) -> int:
    """Parts that a session says it has, and that are not there; or that are there, and it does not say so."""
    expected, got = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for each in told:
        kind = each.headers["ce_type"]
        if kind == "seemetrix.session.v1":
            expected.update({(each.id, part): each.value[count] for part, count in PARTS.items()})
        elif kind in PARTS:
            got[each.value["session_event_id"], kind] += 1
    return (expected - got).total() + (got - expected).total()


def disordered(found: Testbed, told: list[Received]) -> int:
    """Sessions that came after a later one of their device, though they were there when that was, and not late."""
    if not told:
        return 0
    visits = {}
    last_ms = max(_ms(each.value["start"]) for each in told if "start" in each.value)
    for device in found.world.devices:
        for visit in found.world.between(device, _ms_of(found.since), last_ms):
            visits[device, visit.number] = visit
    wrong = 0
    latest: dict[int, list[Any]] = defaultdict(list)
    for each in told:
        if each.headers["ce_type"] != "seemetrix.session.v1":
            continue
        visit = visits[each.value["device_id"], each.value["session_number"]]
        if visit.uploaded_ms - visit.begin_ms < SETTLE_MS:
            before = latest[visit.device]
            wrong += any(o.begin_ms > visit.begin_ms and o.uploaded_ms >= visit.uploaded_ms for o in before[-50:])
            before.append(visit)
    return wrong


def _ms(written: str) -> int:
    return _ms_of(datetime.fromisoformat(written))


def _ms_of(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
