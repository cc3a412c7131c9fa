"""Many accounts of which some are fenced: the fence of one partition must not disturb the others."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import anyio
from aiohttp import web

from collector.instants import floor_second
from collector.kafka.epoch import partition_of
from tests.commands.harness import collector
from tests.faults.brokers import Cluster
from tests.faults.network import FENCED
from tests.faults.table import Row
from tests.faults.testbed import by_partition, until_true
from tests.kafka.daemon import EVENTS, Received, TopicReader, contents, reading
from tests.kafka.scenario import Replica
from tests.vendor import KEY, Session, Vendor, expected_events, serving, session

ACCOUNTS = 64
FIRST_USER = 1000
STATE_PARTITIONS = 32
"""The default: some partitions have several accounts, and some none."""
FENCES = 8
"""At each injection of the fault."""
INTERVAL_S = 12
"""Between two polls: shorter than the default of a minute, to keep the test short, and far longer than a rebalance.

So most epochs that a rebalance fences notice it only afterwards, which may cause the next rebalance.
"""
WAVES = 2
"""Waves of new sessions after each injection: the first reveals the fences, the second what they caused."""
MAX_REJOINS = 2
"""For each injection, of both replicas together. A rejoin gives each replica one assignment."""
MAX_SETTLING_S = 15.0
"""From the last fence that was noticed until all streams run."""
HISTORY = timedelta(minutes=10)
REBALANCES = "collector_rebalances_total"


class ManyUsers(Vendor):
    """A Seemetrix with many users, each with one device, whose id is the user's."""

    def __init__(self, users: Sequence[int]) -> None:
        super().__init__([])
        self.sessions: dict[int, list[Session]] = {user: [] for user in users}
        self._waiting = set[int]()
        self._may_respond = anyio.Event()
        self._may_respond.set()

    @asynccontextmanager
    async def synchronized(self) -> AsyncIterator[None]:
        """Hold all responses until every user has been requested, then send all at once."""
        self._may_respond = anyio.Event()
        self._waiting.clear()
        try:
            yield
            await until_true(lambda: self._waiting == self.sessions.keys(), "every account is polled")
        finally:
            self._may_respond.set()

    async def raw_data(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.rel_url.raw_query_string)
        if request.query.get("key") != KEY:
            return web.Response(status=401)
        first, last = (datetime.strptime(request.query[name], "%Y/%m/%d %H:%M:%S") for name in ("b", "e"))  # noqa: DTZ007
        self._waiting.add(user := int(request.match_info["user"]))
        await self._may_respond.wait()
        of_user = self.sessions[user]
        return web.json_response({"objects": [each for each in of_user if self._selects(each, first, last)]})


class ManyAccounts:
    """Two replicas with all accounts, and a continuous reader."""

    def __init__(self, home: Path, prefix: str, random: Random, cluster: Cluster, vendor: ManyUsers) -> None:
        self.random = random
        self.cluster = cluster
        self.prefix = prefix
        self.vendor = vendor
        self.since = floor_second(datetime.now(UTC) - HISTORY)
        self.received: list[Received] = []
        self.users = {_name(user): user for user in vendor.sessions}
        sources = "".join(self._source(name, user) for name, user in self.users.items())
        self.replicas = [
            Replica(home, cluster.address, prefix, sources, state_partitions=STATE_PARTITIONS) for _ in range(2)
        ]
        self.settled_at: float | None = None
        """Since when all streams run, as a Unix time; None while one does not."""

    def _source(self, name: str, user: int) -> str:
        return f"""
[sources.{name}]
vendor = "seemetrix"
base_url = "{self.vendor.base_url}"
user_id = {user}
user_key = "{KEY}"
since = {self.since.isoformat()}
[sources.{name}.streams.sessions]
interval = "{INTERVAL_S}s"
allowed_lateness = "1h"
"""

    async def publish_wave(self) -> None:
        """Add a session to every user at the same time, and return when all are published."""
        async with self.vendor.synchronized():
            for user, sessions in self.vendor.sessions.items():
                begin = datetime.now(UTC) - timedelta(seconds=2)  # within the windows that are polled next
                sessions.append(session(begin, self.random, len(sessions), device=user))
        expected = self.expected()
        await until_true(lambda: not expected - contents(self.received), "every account has published its new session")

    def expected(self) -> Counter[tuple[str, str]]:
        """Every event of every session."""
        events = Counter[tuple[str, str]]()
        for name, user in self.users.items():
            for each in self.vendor.sessions[user]:
                events.update(expected_events(each, source=name, user=user))
        return events

    def random_sources(self) -> list[str]:
        """`FENCES` sources, each in another state partition."""
        chosen: dict[int, str] = {}
        for name in self.random.sample(sorted(self.users), ACCOUNTS):
            chosen.setdefault(partition_of(f"seemetrix/{self.users[name]}", STATE_PARTITIONS), name)
        return self.random.sample(sorted(chosen.values()), FENCES)

    async def is_settled(self) -> bool:
        """Whether both replicas are ready, and each stream is healthy and run by exactly one of them."""
        running = Counter[str]()
        for replica in self.replicas:
            if not await replica.is_ready():
                return False
            for source, row in (await replica.streams()).items():
                if row["state"] != "not_owned":
                    running[source] += 1 if row["state"] in ("live", "catching_up") else 2
        return running == dict.fromkeys(self.users, 1)

    async def total(self, metric: str) -> float:
        """The sum of a metric over both replicas."""
        return sum([await replica.metric(metric) for replica in self.replicas])

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log lines of this event, of both replicas."""
        return [line for replica in self.replicas for line in replica.log_lines(event)]

    async def follow(self, reader: TopicReader) -> None:
        """Update `received` and `settled_at` until cancelled."""
        while True:
            self.received = await reader.poll()
            if not await self.is_settled():
                self.settled_at = None
            elif self.settled_at is None:
                self.settled_at = time.time()
            await anyio.sleep(0.5)

    async def wait_until_settled(self) -> float:
        """Return when all streams run: how many seconds that took from the last fence that was noticed."""
        await until_true(lambda: self.settled_at is not None, "each stream is run by one ready replica")
        noticed = [datetime.fromisoformat(line["timestamp"]).timestamp() for line in self.lines("epoch_fenced")]
        return max(0.0, (self.settled_at or time.time()) - max(noticed, default=time.time()))


@asynccontextmanager
async def many_accounts(home: Path, prefix: str, random: Random, cluster: Cluster) -> AsyncIterator[ManyAccounts]:
    async with (
        serving(vendor := ManyUsers(range(FIRST_USER, FIRST_USER + ACCOUNTS))),
        reading(cluster.address, [prefix + topic for topic in EVENTS]) as reader,
        anyio.create_task_group() as tasks,
    ):
        found = ManyAccounts(home, prefix, random, cluster, vendor)
        tasks.start_soon(found.follow, reader)
        try:
            yield found
        finally:
            for replica in found.replicas:
                replica.close()
        tasks.cancel_scope.cancel()


async def one_among_many(found: ManyAccounts, times: int) -> Row:
    """Eight of 64 streams are rewound with the real command, which fences eight epochs; no other epoch is disturbed.

    Each is rewound to an instant after `final`, so nothing is published again. An owner notices at its next commit, for
    which every account has a new session; the vendor returns all of them at once.
    """
    for replica in found.replicas:
        replica.start()
    await found.publish_wave()
    await found.wait_until_settled()
    fences, before = await found.total(FENCED), [await each.metric(REBALANCES) for each in found.replicas]
    rejoins, epochs = len(found.lines("group_rejoining")), len(found.lines("epoch_began"))
    slowest_s = 0.0
    for _ in range(times):
        await _rewind_some(found)
        for _ in range(WAVES):
            await found.publish_wave()
        slowest_s = max(slowest_s, await found.wait_until_settled())
    fences = await found.total(FENCED) - fences
    rebalances = max([await each.metric(REBALANCES) - was for each, was in zip(found.replicas, before, strict=True)])
    rejoins, epochs = len(found.lines("group_rejoining")) - rejoins, len(found.lines("epoch_began")) - epochs
    row = await _verdict(found, times, slowest_s)
    counts = f"{rejoins} rejoins, {rebalances:.0f} rebalances, {fences:.0f} fences, {epochs} epochs; {row}"
    assert max(rejoins, rebalances) <= MAX_REJOINS * times, counts
    assert fences <= FENCES * times, counts
    assert slowest_s <= MAX_SETTLING_S, counts
    return row


async def _rewind_some(found: ManyAccounts) -> None:
    config, limiter = str(found.replicas[0].config), anyio.CapacityLimiter(2)
    to = f"{found.since + HISTORY / 2:%Y-%m-%dT%H:%M:%SZ}"

    async def rewind(source: str) -> None:
        async with limiter:
            done = await collector("state", "rewind", source, "sessions", "--config", config, "--to", to, "--yes")
        assert 0 == done.code, done.err

    async with anyio.create_task_group() as tasks:
        for source in found.random_sources():
            tasks.start_soon(rewind, source)


async def _verdict(found: ManyAccounts, times: int, slowest_s: float) -> Row:
    """The messages compared with the vendor's sessions; a new reader must receive what the continuous one received."""
    for replica in found.replicas:
        await anyio.to_thread.run_sync(replica.stop)
    async with reading(found.cluster.address, [found.prefix + topic for topic in EVENTS]) as fresh:
        messages = await fresh.to_the_end()
    await until_true(lambda: len(found.received) >= len(messages), "the continuous reader has received all messages")
    assert by_partition(found.received) == by_partition(messages), "the continuous reader received other messages"
    expected, published = found.expected(), contents(messages)
    repeated = sum(count - 1 for count in Counter(message.id for message in messages).values())
    lost, duplicated = (expected - published).total(), max(repeated, (published - expected).total())
    return Row("", times, len(messages), lost, duplicated, _disordered(messages), slowest_s)


def _disordered(messages: Sequence[Received]) -> int:
    """The number of messages that follow, in their topic and key, a message of a later session."""
    latest, wrong = dict[tuple[str, bytes], int](), 0
    for each in messages:
        number = each.value["session_number"]
        wrong += number < latest.setdefault((each.topic, each.key), number)
        latest[each.topic, each.key] = max(number, latest[each.topic, each.key])
    return wrong


def _name(user: int) -> str:
    return f"a{user - FIRST_USER:02}"
