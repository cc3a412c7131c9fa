"""Many accounts, and fences among them: what one fence does to the others."""

import json
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
"""As many as by default: some have several accounts, and some none."""
FENCES = 8
"""Of each ignition."""
INTERVAL_S = 12
"""Between two polls: shorter than the default of a minute, so that the test is short, and far longer than a rebalance.

So most of what a rebalance fences is noticed only after it, and may cause the next one."""
WAVES = 2
"""Of new sessions after each ignition: with the first the fences are noticed, with the other what they caused."""
MAX_REJOINS = 2
"""Of each ignition, over both replicas. Each of them gives both replicas one assignment."""
SETTLES_S = 15.0
"""From the last fence that was noticed to when everything runs."""
HISTORY = timedelta(minutes=10)
REBALANCES = "collector_rebalances_total"


class ManyUsers(Vendor):
    """A Seemetrix with users that have a device each, of the user's number."""

    def __init__(self, users: Sequence[int]) -> None:
        super().__init__([])
        self.sessions: dict[int, list[Session]] = {user: [] for user in users}
        self._waiting = set[int]()
        self._answers = anyio.Event()
        self._answers.set()

    @asynccontextmanager
    async def holding_back(self) -> AsyncIterator[None]:
        """ErrorResponse nobody before every user was asked for; then everybody at once."""
        self._answers = anyio.Event()
        self._waiting.clear()
        try:
            yield
            await until_true(lambda: self._waiting == self.sessions.keys(), "every account is polled")
        finally:
            self._answers.set()

    async def raw_data(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.rel_url.raw_query_string)
        if request.query.get("key") != KEY:
            return web.Response(status=401)
        first, last = (datetime.strptime(request.query[name], "%Y/%m/%d %H:%M:%S") for name in ("b", "e"))  # noqa: DTZ007
        self._waiting.add(user := int(request.match_info["user"]))
        await self._answers.wait()
        of_user = self.sessions[user]
        return web.json_response({"objects": [each for each in of_user if self._selects(each, first, last)]})


class Crowd:
    """Two replicas that follow all accounts, and a reader that sees all along."""

    def __init__(self, home: Path, prefix: str, random: Random, cluster: Cluster, vendor: ManyUsers) -> None:
        self.random = random
        self.cluster = cluster
        self.prefix = prefix
        self.vendor = vendor
        self.since = floor_second(datetime.now(UTC) - HISTORY)
        self.seen: list[Received] = []
        self.users = {_name(user): user for user in vendor.sessions}
        sources = "".join(self._source(name, user) for name, user in self.users.items())
        self.replicas = [
            Replica(home, cluster.address, prefix, sources, state_partitions=STATE_PARTITIONS) for _ in range(2)
        ]
        self.settled_at: float | None = None
        """Since when everything runs, as far as was seen; None while something does not."""

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

    async def wave(self) -> None:
        """Everybody has a new session, at the same moment, and it is published."""
        async with self.vendor.holding_back():
            for user, sessions in self.vendor.sessions.items():
                begin = datetime.now(UTC) - timedelta(seconds=2)  # within what is requested from now on
                sessions.append(session(begin, self.random, len(sessions), device=user))
        expected = self.truth()
        await until_true(lambda: not expected - contents(self.seen), "every account has published its new session")

    def truth(self) -> Counter[tuple[str, str]]:
        """Every event of every session."""
        found = Counter[tuple[str, str]]()
        for name, user in self.users.items():
            for each in self.vendor.sessions[user]:
                found.update(expected_events(each, source=name))
        return found

    def chosen(self) -> list[str]:
        """Sources in as many state partitions."""
        chosen: dict[int, str] = {}
        for name in self.random.sample(sorted(self.users), ACCOUNTS):
            chosen.setdefault(partition_of(f"seemetrix/{self.users[name]}", STATE_PARTITIONS), name)
        return self.random.sample(sorted(chosen.values()), FENCES)

    async def is_settled(self) -> bool:
        """Whether both replicas are ready, and each stream is run by one of them, without trouble."""
        running = Counter[str]()
        for replica in self.replicas:
            if not await replica.is_ready():
                return False
            for source, row in (await replica.streams()).items():
                if row["state"] != "not_owned":
                    running[source] += 1 if row["state"] in ("live", "catching_up") else 2
        return running == dict.fromkeys(self.users, 1)

    async def total(self, metric: str) -> float:
        return sum([await replica.metric(metric) for replica in self.replicas])

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The lines of this event in the logs of both replicas."""
        logs = [line for replica in self.replicas for line in replica.log.read_text("utf-8").splitlines()]
        return [json.loads(line) for line in logs if f'"event":"{event}"' in line]

    async def follow(self, reader: TopicReader) -> None:
        """What the reader sees, and since when everything runs: until cancelled."""
        while True:
            self.seen = await reader.poll()
            if not await self.is_settled():
                self.settled_at = None
            elif self.settled_at is None:
                self.settled_at = time.time()
            await anyio.sleep(0.5)

    async def settles(self) -> float:
        """Return when everything runs: how long that took from the last fence that was noticed, in seconds."""
        await until_true(lambda: self.settled_at is not None, "both are ready, and each stream is run once")
        noticed = [datetime.fromisoformat(line["timestamp"]).timestamp() for line in self.lines("epoch_fenced")]
        return max(0.0, (self.settled_at or time.time()) - max(noticed, default=time.time()))


@asynccontextmanager
async def crowd(home: Path, prefix: str, random: Random, cluster: Cluster) -> AsyncIterator[Crowd]:
    async with (
        serving(vendor := ManyUsers(range(FIRST_USER, FIRST_USER + ACCOUNTS))),
        reading(cluster.address, [prefix + topic for topic in EVENTS]) as reader,
        anyio.create_task_group() as tasks,
    ):
        found = Crowd(home, prefix, random, cluster, vendor)
        tasks.start_soon(found.follow, reader)
        try:
            yield found
        finally:
            for replica in found.replicas:
                replica.close()
        tasks.cancel_scope.cancel()


async def one_among_many(found: Crowd, times: int) -> Row:
    """Eight of 64 streams are rewound with the real command, which fences eight epochs: no other epoch is disturbed.

    Each is rewound to an instant after `final`, so nothing is published again. An owner notices with its next commit,
    for which every account has a new session; the vendor returns all of them at once.
    """
    for replica in found.replicas:
        replica.start()
    await found.wave()
    await found.settles()
    fences, before = await found.total(FENCED), [await each.metric(REBALANCES) for each in found.replicas]
    rejoins, epochs = len(found.lines("group_rejoining")), len(found.lines("epoch_began"))
    slowest_s = 0.0
    for _ in range(times):
        await _rewound(found)
        for _ in range(WAVES):
            await found.wave()
        slowest_s = max(slowest_s, await found.settles())
    fences = await found.total(FENCED) - fences
    rebalances = max([await each.metric(REBALANCES) - was for each, was in zip(found.replicas, before, strict=True)])
    rejoins, epochs = len(found.lines("group_rejoining")) - rejoins, len(found.lines("epoch_began")) - epochs
    row = await _verdict(found, times, slowest_s)
    counts = f"{rejoins} rejoins, {rebalances:.0f} rebalances, {fences:.0f} fences, {epochs} epochs; {row}"
    assert max(rejoins, rebalances) <= MAX_REJOINS * times, counts
    assert fences <= FENCES * times, counts
    assert slowest_s <= SETTLES_S, counts
    return row


async def _rewound(found: Crowd) -> None:
    config, at_once = str(found.replicas[0].config), anyio.CapacityLimiter(2)
    to = f"{found.since + HISTORY / 2:%Y-%m-%dT%H:%M:%SZ}"

    async def rewind(source: str) -> None:
        async with at_once:
            done = await collector("state", "rewind", source, "sessions", "--config", config, "--to", to, "--yes")
        assert 0 == done.code, done.err

    async with anyio.create_task_group() as tasks:
        for source in found.chosen():
            tasks.start_soon(rewind, source)


async def _verdict(found: Crowd, times: int, slowest_s: float) -> Row:
    """Compared with the truth; a fresh reader must see what the one saw that ran all along."""
    for replica in found.replicas:
        await anyio.to_thread.run_sync(replica.stop)
    async with reading(found.cluster.address, [found.prefix + topic for topic in EVENTS]) as fresh:
        messages = await fresh.to_the_end()
    await until_true(lambda: len(found.seen) >= len(messages), "the reader that ran all along is at the end too")
    assert by_partition(found.seen) == by_partition(messages), "the reader that ran all along saw something else"
    expected, got = found.truth(), contents(messages)
    twice = sum(count - 1 for count in Counter(message.id for message in messages).values())
    lost, duplicated = (expected - got).total(), max(twice, (got - expected).total())
    return Row("", times, len(messages), lost, duplicated, _disordered(messages), slowest_s)


def _disordered(messages: Sequence[Received]) -> int:
    """Messages of a key in a topic that came after those of a later session."""
    latest, wrong = dict[tuple[str, bytes], int](), 0
    for each in messages:
        number = each.value["session_number"]
        wrong += number < latest.setdefault((each.topic, each.key), number)
        latest[each.topic, each.key] = max(number, latest[each.topic, each.key])
    return wrong


def _name(user: int) -> str:
    return f"a{user - FIRST_USER:02}"
