"""The testbed of a fault: busy simulated vendors, replicas, and a continuous reader, compared at the end."""

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

from collector.commands.verdict import judge
from collector.instants import floor_second
from collector.model import Checkpoint
from collector.simulator.rules import Rules
from collector.simulator.seemetrix import SOURCE as SEEMETRIX
from collector.simulator.server import Simulated, serving
from collector.simulator.vidicenter import SOURCE as QUIVIDI
from collector.simulator.world import FAST, World
from tests.faults.brokers import Cluster
from tests.faults.closing import ClosingConsumer, published_after_final
from tests.faults.table import Row
from tests.kafka.daemon import Received, TopicReader, reading, until
from tests.kafka.log_targets import LogTarget, started
from tests.kafka.scenario import (
    ALL_TOPICS,
    DEVICES,
    EVENT_TOPICS,
    MAX_CALLS,
    ZONE,
    CountedFaults,
    Replica,
    quividi_source,
    seemetrix_source,
    verdict_reader,
)

RATE = 3000.0
"""Visits per hour at each device, so that an event is published every second."""
SETTLE_MS = 2000
MAX_WAIT_S = 150
SESSION_TIMEOUT_S = 3.0
TARGET_S = SESSION_TIMEOUT_S + 1.0 + 10.0
"""The target for a recovery: the session timeout, a restore, and ten seconds."""
PARTS = {
    "seemetrix.attention.v1": "attention_count",
    "seemetrix.emotion.v1": "emotion_count",
    "seemetrix.content_view.v1": "content_view_count",
}


class Testbed:
    """Vendors, a cluster, replicas and a continuous reader for one fault."""

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
        """Faults of the vendors; none until one is injected."""
        self.prefix = prefix
        self.since = floor_second(datetime.now(UTC))
        self.received: list[Received] = []
        """The messages that the continuous reader has received."""
        self.closing = ClosingConsumer(cluster.reader_address, prefix, EVENT_TOPICS)
        self.slowest_s = 0.0
        self.replicas: list[Replica] = []
        self.resources = AsyncExitStack()
        """Contexts that are closed after the replicas have ended."""
        self.home = home

    def replica(
        self,
        kafka: str = "",
        vendors: str = "",
        target: LogTarget | None = None,
        program: Sequence[str] = Replica.program,
    ) -> Replica:
        """Start another replica, with brokers, vendors, a log target or a program of its own if given."""
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
            self.resources.enter_context(started(replica, target))
        return replica

    async def owners(self, source: str = SEEMETRIX) -> list[Replica]:
        """The replicas that report that they run the source's streams."""
        found = []
        for replica in self.replicas:
            row = (await replica.streams()).get(source)
            if row is not None and row["state"] != "not_owned":
                found.append(replica)
        return found

    async def owner(self, source: str = SEEMETRIX) -> Replica:
        """A replica that reports that it runs the source's streams; waits until there is one."""
        found: list[Replica] = []

        async def owned() -> bool:
            found[:] = await self.owners(source)
            return bool(found)

        await until(owned, "a replica runs the streams", within_s=MAX_WAIT_S)
        return found[0]

    async def wait_for_event(self) -> None:
        """Return when another event has been published."""
        before = len(self.received)
        await until_true(lambda: len(self.received) > before, "another event is published")

    async def wait_for_recovery(self, since_ms: int = 0) -> None:
        """Wait until the reader has received an event of each source published after `since_ms`, by default now.

        The duration counts as a recovery. Events that were published before, and received after, do not count.
        """
        since_ms = since_ms or now_ms()
        await self.wait_for_all_sources(since_ms)
        self.slowest_s = max(self.slowest_s, ((self._recovered_ms(since_ms) or since_ms) - since_ms) / 1000)

    async def wait_for_all_sources(self, since_ms: int = 0) -> None:
        """As `wait_for_recovery`, but the duration does not count, because the fault has not ended yet."""
        since_ms = since_ms or now_ms()
        await until_true(lambda: self._recovered_ms(since_ms) is not None, "each source publishes another event")

    def _recovered_ms(self, since_ms: int) -> int | None:
        """When the reader had received an event of each source that was published after `since_ms`."""
        first: dict[str, int] = {}
        for message in self.received[bisect_left(self.received, since_ms, key=lambda each: each.received_ms) :]:
            if message.published_ms > since_ms:
                first.setdefault(message.headers["ce_source"].rpartition("/")[2], message.received_ms)
        return max(first.values()) if first.keys() == {SEEMETRIX, QUIVIDI} else None

    async def checkpoints_when_final(self, instant: datetime) -> dict[str, Checkpoint | None]:
        """The checkpoints by source, once all streams are final up to the instant."""
        checkpoints: dict[str, Checkpoint | None] = {}

        async def are_final() -> bool:
            checkpoints.clear()
            for source in (SEEMETRIX, QUIVIDI):  # a replica that was cut off may still believe that it is the owner
                found = [(await owner.checkpoints()).get(source) for owner in await self.owners(source)]
                latest = max(filter(None, found), key=lambda checkpoint: checkpoint.final, default=None)
                if latest is not None and latest.final > instant:
                    checkpoints[source] = latest
            return len(checkpoints) == 2

        try:
            await until(are_final, f"all streams are final after {instant:%H:%M:%S}", within_s=MAX_WAIT_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; they are {await self._progress()}") from None
        return checkpoints

    async def read_to_the_end(self) -> list[Received]:
        """All messages as a new reader receives them, once the continuous reader has received them too."""
        async with reading(self.cluster.reader_address, [self.prefix + topic for topic in ALL_TOPICS]) as fresh:
            messages = await fresh.to_the_end()
        await until_true(lambda: len(self.received) >= len(messages), "the continuous reader has received all messages")
        return messages

    async def _progress(self) -> list[dict[str, object]]:
        """What each replica says of its streams: for the message of a failed test."""
        shown = ("source", "state", "last_error", "notices", "since", "watermark", "final")
        return [
            {name: row.get(name) for name in shown}
            for replica in self.replicas
            for row in (await replica.streams()).values()
        ]


@asynccontextmanager
async def testbed(home: Path, prefix: str, random: Random, cluster: Cluster) -> AsyncIterator[Testbed]:
    """A testbed without replicas; its replicas are killed at the end of the block."""
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
        tasks.start_soon(found.closing.follow)
        async with found.resources:
            try:
                yield found
            finally:
                for replica in found.replicas:
                    replica.close()
        tasks.cancel_scope.cancel()


async def _follow(reader: TopicReader, found: Testbed) -> None:
    while True:
        found.received = await reader.poll()
        await anyio.sleep(0.05)


async def until_true(condition: Callable[[], bool], what: str, within_s: float = MAX_WAIT_S) -> None:
    """As `until`, for a condition that is a plain function, and for longer."""

    async def holds() -> bool:
        return condition()

    await until(holds, what, within_s)


def rate_at(now: datetime) -> float:
    """The rate of a world that has `RATE` visits per hour at present, whatever the time of day."""
    world = World(devices=DEVICES, rate=100.0, pace=FAST)
    minute = int(now.timestamp()) // 60
    count = sum(len(world.minute(device, minute + n)) for device in DEVICES for n in range(-30, 60))
    return RATE * len(DEVICES) * 1.5 / max(1, count) * 100.0


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def verdict(
    found: Testbed,
    fault: str,
    times: int,
    *,
    since: datetime | None = None,
    in_time: Callable[[list[Received]], list[Received]] = list,
) -> Row:
    """Stop the replicas once all records up to now are final, and compare the messages with the simulated vendors.

    Records from `since` on are compared, by default from the start of the testbed. `in_time` selects the messages that
    must be in order and precede `final`: others were published later on purpose.
    """
    checkpoints, messages = await stop_when_final(found)
    result = judge(found.vendors.vendors, since or found.since, checkpoints, verdict_reader(messages))
    lost, wrong = result.missing + lacking_parts(messages), disordered(found, in_time(messages))
    if not found.closing.closed:
        raise AssertionError("the closing consumer received no progress")
    early = published_after_final(in_time(messages), found.closing.closed)
    return Row(fault, times, len(messages), lost, result.duplicated, wrong, found.slowest_s, early)


async def stop_when_final(found: Testbed) -> tuple[dict[str, Checkpoint | None], list[Received]]:
    """Stop the replicas once all records up to now are final.

    Returns the checkpoints by source, and all messages as a new reader receives them, which must be those that the
    continuous reader received.
    """
    checkpoints = await found.checkpoints_when_final(datetime.now(UTC) + timedelta(seconds=1))
    async with anyio.create_task_group() as stopping:  # in threads: their last commits may pass through this event loop
        for replica in found.replicas:
            stopping.start_soon(anyio.to_thread.run_sync, replica.stop)
    messages = await found.read_to_the_end()
    if by_partition(found.received) != by_partition(messages):
        raise AssertionError(
            f"the continuous reader received {len(found.received)} other messages, not {len(messages)}"
        )
    return checkpoints, messages


def by_partition(messages: list[Received]) -> dict[tuple[str, int], list[str]]:
    """The ids of the messages of each partition, in order."""
    ids = defaultdict(list)
    for each in messages:
        ids[each.topic, each.partition].append(each.id)
    return dict(ids)


def lacking_parts(messages: list[Received]) -> int:
    """The number of parts that are counted in a session and not published, or published and not counted."""
    expected, got = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for each in messages:
        kind = each.headers["ce_type"]
        if kind == "seemetrix.session.v1":
            expected.update({(each.id, part): each.value[count] for part, count in PARTS.items()})
        elif kind in PARTS:
            got[each.value["session_event_id"], kind] += 1
    return (expected - got).total() + (got - expected).total()


def disordered(found: Testbed, messages: list[Received]) -> int:
    """The number of sessions published after a later one of their device.

    Sessions do not count that were uploaded late, or later than that one.
    """
    if not messages:
        return 0
    visits = {}
    last_ms = max(_ms(each.value["started_at"]) for each in messages if "started_at" in each.value)
    for device in found.world.devices:
        for visit in found.world.between(device, _ms_of(found.since), last_ms):
            visits[device, visit.number] = visit
    wrong = 0
    latest: dict[int, list[Any]] = defaultdict(list)
    for each in messages:
        if each.headers["ce_type"] != "seemetrix.session.v1":
            continue
        visit = visits[each.value["device_id"], each.value["session_number"]]
        if visit.uploaded_ms - visit.start_ms < SETTLE_MS:
            before = latest[visit.device]
            wrong += any(o.start_ms > visit.start_ms and o.uploaded_ms >= visit.uploaded_ms for o in before[-50:])
            before.append(visit)
    return wrong


def _ms(timestamp: str) -> int:
    return _ms_of(datetime.fromisoformat(timestamp))


def _ms_of(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
