"""`collector pause` and `resume` against a real broker, with two replicas under load."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from collector.instants import floor_second
from tests.commands.harness import Completed, collector
from tests.kafka.daemon import EVENTS, TopicReader, contents, reading, until
from tests.kafka.scenario import Replica
from tests.vendor import KEY, USER, Known, Vendor, expected_events, serving, session

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

SOURCES = {"mall": 5315, "hall": 77}
"""The device of each source. Both have the same account, so they share a partition."""
MAX_WAIT_S = 150
"""A takeover, and the start of a command, may be slow where many tests run."""
QUIET_S = 4.0
"""How long a paused source is observed. It would be polled once per second."""


class Scenario:
    """Two replicas, and a vendor whose devices have new sessions all the time."""

    def __init__(self, vendor: Vendor, reader: TopicReader, kafka: str, prefix: str, home: Path) -> None:
        self.vendor = vendor
        self.reader = reader
        since = floor_second(datetime.now(UTC) - timedelta(minutes=1))
        tables = "".join(self._table(name, device, since) for name, device in SOURCES.items())
        self.replicas = [Replica(home, kafka, prefix, tables) for _ in range(2)]
        self.is_busy = True

    def _table(self, name: str, device: int, since: datetime) -> str:
        return f"""
[sources.{name}]
vendor = "seemetrix"
base_url = "{self.vendor.base_url}"
user_id = {USER}
user_key = "{KEY}"
device_ids = [{device}]
since = {since.isoformat()}
[sources.{name}.streams.sessions]
interval = "1s"
settle = "1s"
allowed_lateness = "10m"
sweep_every = "3s"
"""

    async def add_sessions(self) -> None:
        random, number = Random(7), 0
        while self.is_busy:
            number, now = number + 1, datetime.now(UTC)
            device = random.choice(list(SOURCES.values()))
            self.vendor.known.append(Known(session(now - timedelta(seconds=1), random, number, device), now))
            await anyio.sleep(0.2)

    async def command(self, *arguments: str) -> Completed:
        done = await collector(*arguments, "--config", str(self.replicas[0].config))
        assert 0 == done.code, done.err
        return done

    async def owner(self) -> Replica | None:
        """The replica that owns both sources; None while there is none."""
        for each in self.replicas:
            if (await each.streams()) and "not_owned" not in await each.states():
                return each
        return None

    async def until_shown(self, mall: str, hall: str = "live") -> Replica:
        """Return when the owner shows these states."""

        async def are_shown() -> bool:
            owner = await self.owner()
            rows = {} if owner is None else await owner.streams()
            return [mall, hall] == [rows.get(name, {}).get("state") for name in SOURCES]

        await until(are_shown, f"mall is {mall}, and hall is {hall}", MAX_WAIT_S)
        owner = await self.owner()
        assert owner is not None
        return owner

    def requests(self, source: str) -> int:
        return sum(f"device_id={SOURCES[source]}" in each for each in self.vendor.requests)

    async def published(self, source: str) -> int:
        key = str(SOURCES[source]).encode()
        return sum(each.key == key for each in await self.reader.poll())

    async def until_hall_publishes(self) -> None:
        before = await self.published("hall")

        async def has_published() -> bool:
            return await self.published("hall") > before

        await until(has_published, "the neighbour publishes", MAX_WAIT_S)

    def expected(self) -> Counter[tuple[str, str]]:
        names = {device: name for name, device in SOURCES.items()}
        events = Counter[tuple[str, str]]()
        for known in self.vendor.known:
            events.update(expected_events(known.session, source=names[known.session["d"]]))
        return events

    async def until_all_published(self) -> None:
        async def all_published() -> bool:
            return not self.expected() - contents(await self.reader.poll())

        self.is_busy = False
        await until(all_published, "every session is published", MAX_WAIT_S)


@asynccontextmanager
async def running(kafka: str, prefix: str, home: Path) -> AsyncIterator[Scenario]:
    vendor = Vendor([])
    async with (
        serving(vendor),
        reading(kafka, [prefix + topic for topic in EVENTS]) as reader,
        anyio.create_task_group() as tasks,
    ):
        scenario = Scenario(vendor, reader, kafka, prefix, home)
        tasks.start_soon(scenario.add_sessions)
        try:
            for replica in scenario.replicas:
                replica.start()
            await scenario.until_shown("live")
            yield scenario
        finally:
            scenario.is_busy = False
            for replica in scenario.replicas:
                replica.close()


def shown(output: str) -> dict[str, Any]:
    """The pauses that `state show --json` prints, by source."""
    return {row["source"]: row["paused"] for row in map(json.loads, output.splitlines())}


async def test_a_paused_source_is_not_polled_by_any_replica_and_loses_nothing(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    async with running(kafka, prefix, tmp_path) as scenario:
        await scenario.command("pause", "mall", "sessions", "--reason", f"the vendor revoked {KEY}")
        owner = await scenario.until_shown("paused")
        before = scenario.requests("mall")
        await scenario.until_hall_publishes()
        await anyio.sleep(QUIET_S)
        assert before == scenario.requests("mall")
        pause = (await owner.streams())["mall"]["paused"]
        assert ("the vendor revoked [secret]", None) == (pause["reason"], pause["until"])

        owner.kill()
        other = await scenario.until_shown("paused")
        assert other is not owner
        owner.start()
        await scenario.until_shown("paused")
        await scenario.until_hall_publishes()
        await anyio.sleep(QUIET_S)
        assert before == scenario.requests("mall")
        listed = await scenario.command("state", "show", "--json")
        assert {"mall": pause, "hall": None} == shown(listed.out)

        refused = await collector("resume", "mall", "session", "--config", str(owner.config))
        assert 2 == refused.code
        again = await scenario.command("resume", "hall")
        assert "not paused" in again.err
        resumed = await scenario.command("resume", "mall", "sessions")
        assert "mall sessions" in resumed.err
        assert "" == resumed.out  # log lines do not belong there
        await scenario.until_shown("live")
        assert scenario.requests("mall") > before
        await scenario.until_all_published()
        assert scenario.expected() == contents(await scenario.reader.poll())
        assert {1} == set(Counter(message.id for message in scenario.reader.received).values())
        listed = await scenario.command("state", "show", "--json")
        assert {"mall": None, "hall": None} == shown(listed.out)


async def test_a_pause_of_a_source_ends_by_itself_and_survives_a_rewind(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    async with running(kafka, prefix, tmp_path) as scenario:
        done = await scenario.command("pause", "mall", "--reason", "maintenance", "--for", "1h")
        assert "collector resume mall" in done.err
        await scenario.until_shown("paused")
        refused = await collector("resume", "mall", "sessions", "--config", str(scenario.replicas[0].config))
        assert (2, True) == (refused.code, "whole source" in refused.err)
        since = f"{datetime.now(UTC) - timedelta(seconds=50):%Y-%m-%dT%H:%M:%SZ}"
        await scenario.command("state", "rewind", "mall", "sessions", "--to", since, "--yes")
        await scenario.until_shown("paused")
        before, ends = scenario.requests("mall"), datetime.now(UTC) + timedelta(seconds=5)

        await scenario.command("pause", "mall", "--reason", "nearly done", "--for", "6s")
        await scenario.until_shown("live")

        assert scenario.requests("mall") > before
        assert datetime.now(UTC) >= ends
        await scenario.until_all_published()
        assert scenario.expected() == contents(await scenario.reader.poll())
        listed = await scenario.command("state", "show", "--json")
        assert {"mall": None, "hall": None} == shown(listed.out)


async def test_a_pause_needs_the_state_topic_and_no_replica(kafka: str, prefix: str, tmp_path: Path) -> None:
    async with serving(Vendor([])) as vendor, reading(kafka, [prefix + EVENTS[0]]) as reader:
        scenario = Scenario(vendor, reader, kafka, prefix, tmp_path)
        config = ("--config", str(scenario.replicas[0].config))
        refused = await collector("pause", "mall", "--reason", "not yet", *config)
        assert (1, True) == (refused.code, "does not exist" in refused.err)
        await scenario.command("state", "init")

        await scenario.command("pause", "mall", "--reason", "not yet")
        await scenario.command("pause", "mall", "--reason", "next week", "--for", "7d")
        await scenario.command("state", "init")

        listed = await scenario.command("state", "show", "--json")
        (row,) = map(json.loads, listed.out.splitlines())
        assert ("mall", None, None) == (row["source"], row["stream"], row["watermark"])
        assert "next week" == row["paused"]["reason"]
        try:
            scenario.replicas[0].start()
            await scenario.until_shown("paused")
            assert scenario.requests("mall") == 0
        finally:
            scenario.replicas[0].close()
