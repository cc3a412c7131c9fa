"""A damaged record in the state topic of a real broker parks its own stream, until an operator removes the record.

An operator removes it with the tools of Kafka, or with `collector state rewind`, while the daemon runs.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import aiokafka
import pytest

from collector.kafka.epoch import partition_of
from tests.commands.harness import Completed, collector
from tests.kafka.daemon import EVENTS, Daemon, reading, until
from tests.vendor import USER, Known, Vendor, serving, session

pytestmark = pytest.mark.anyio


class Scenario:
    """The sources `mall` and `hall` of one account, with one session each, and the daemon that fetches them."""

    def __init__(self, kafka: str, prefix: str, folder: Path) -> None:
        self.now = datetime.now(UTC)
        self.since = f"{self.now - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
        self.vendor = Vendor([Known(session(self.now - timedelta(seconds=30), Random(1), 1), self.now)])
        self._kafka, self._topic, self._folder = kafka, f"{prefix}collector.state", folder
        self._prefix = prefix

    def start(self) -> None:
        """Start the daemon; the vendor must be served."""
        self.daemon = Daemon(
            self._folder, self._kafka, self._prefix, self.vendor, since=self.since, allowed_lateness='"1h"'
        )
        text = self.daemon.config.read_text("utf-8")
        copy = text[text.index("[sources.mall]") :].replace("sources.mall", "sources.hall")
        self.daemon.config.write_text(f"{text}\n{copy}", "utf-8")
        self.daemon.start()

    async def states(self) -> dict[str, str]:
        code, body = await self.daemon.get("/api/status")
        return {each["source"]: each["state"] for each in json.loads(body)["streams"]} if code == 200 else {}

    async def both_run(self) -> bool:
        return await self.states() == {"mall": "live", "hall": "live"}

    async def only_hall_runs(self) -> bool:
        return await self.states() == {"mall": "parked", "hall": "live"}

    async def write(self, records: Mapping[str, bytes | None]) -> None:
        """Write records of `mall`, by the rest of the key, while the daemon is stopped."""
        self.daemon.stop()
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=self._kafka) as producer:
            for rest, value in records.items():
                key = f"seemetrix/{USER}/mall/sessions{rest}".encode("utf-8", "surrogateescape")
                partition = partition_of(f"seemetrix/{USER}", 4)
                await producer.send_and_wait(self._topic, value, key=key, partition=partition)
        self.daemon.start()

    def add_session(self, number: int) -> None:
        """So that a stream that runs commits something."""
        known_at = datetime.now(UTC)
        self.vendor.known.append(Known(session(known_at, Random(number), number), known_at))

    async def command(self, *arguments: str) -> Completed:
        return await collector("state", *arguments, "--config", str(self.daemon.config))


@pytest.fixture
async def scenario(kafka: str, prefix: str, tmp_path: Path) -> AsyncIterator[Scenario]:
    created = Scenario(kafka, prefix, tmp_path)
    async with serving(created.vendor):
        created.start()
        try:
            await until(created.both_run, "both streams run")
            yield created
            assert not created.daemon.log_lines("unexpected")
        finally:
            created.daemon.close()


async def test_the_neighbours_of_a_damaged_stream_go_on_and_it_continues_after_a_repair(scenario: Scenario) -> None:
    await scenario.write({"/\n/0": b"damaged"})
    await until(scenario.only_hall_runs, "the damaged stream is parked, and its neighbour runs")
    assert await scenario.daemon.is_ready()
    shown = await scenario.command("show")
    assert 0 == shown.code
    assert 3 == len(shown.out.splitlines()), "a header and both streams"
    assert f"seemetrix/{USER}/mall/sessions/\\n/0" in shown.err.replace("\n", "")
    await scenario.write({"/\n/0": None})
    await until(scenario.both_run, "both streams run again")


async def test_a_rewind_removes_the_damaged_records_of_a_stream_and_nothing_else(
    scenario: Scenario, kafka: str, prefix: str
) -> None:
    async with reading(kafka, [f"{prefix}{EVENTS[0]}"]) as reader:

        async def published() -> Counter[tuple[str, int]]:
            return Counter((each.value["source"], each.value["session_number"]) for each in await reader.poll())

        async def first_is_published() -> bool:
            return await published() == {("mall", 1): 1, ("hall", 1): 1}

        async def second_is_published() -> bool:
            return await published() >= Counter({("mall", 2): 1, ("hall", 2): 1})

        await until(first_is_published, "the session is published for both sources")
        damaged = {"/\n/0": b"damaged", "/7/\udcff": b"damaged", "/seven/0": b"", "/7": b"damaged"}
        await scenario.write(damaged)
        await until(scenario.only_hall_runs, "the damaged stream is parked, and its neighbour runs")
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"

        refused = await scenario.command("rewind", "mall", "sessions", "--to", now)

        assert 1 == refused.code, "nobody confirmed"
        assert all(fact in refused.err.replace("\n", "") for fact in ("sessions/\\n/0", "sessions/7/\\xff", "--yes"))
        assert await scenario.only_hall_runs()
        done = await scenario.command("rewind", "mall", "sessions", "--to", now, "--yes")
        assert 0 == done.code, done.err
        scenario.add_session(2)  # so that the owner commits
        await until(scenario.both_run, "both streams run again, without a restart")
        await until(second_is_published, "the next session is published for both sources")
        assert {("mall", 1): 1, ("hall", 1): 1, ("mall", 2): 1, ("hall", 2): 1} == await published()
        shown = await scenario.command("show")
        assert (0, "") == (shown.code, shown.err)


async def test_a_rewind_replaces_a_damaged_checkpoint_and_keeps_the_ledger(
    scenario: Scenario, kafka: str, prefix: str
) -> None:
    async with reading(kafka, [f"{prefix}{EVENTS[0]}"]) as reader:

        async def second_is_published() -> bool:
            found = Counter((each.value["source"], each.value["session_number"]) for each in await reader.poll())
            return found == {("mall", 1): 1, ("hall", 1): 1, ("mall", 2): 1, ("hall", 2): 1}

        await scenario.write({"": b"damaged"})
        await until(scenario.only_hall_runs, "the damaged stream is parked, and its neighbour runs")
        to = f"{scenario.now - timedelta(minutes=2):%Y-%m-%dT%H:%M:%SZ}"
        done = await scenario.command("rewind", "mall", "sessions", "--to", to, "--yes")
        assert 0 == done.code, done.err
        scenario.add_session(2)
        await until(scenario.both_run, "both streams run again, without a restart")
        await until(second_is_published, "each session is published once: the ledger still contains the first one")
        shown = await scenario.command("show", "--json")
        row = next(row for row in map(json.loads, shown.out.splitlines()) if row["source"] == "mall")
        assert (scenario.since, None) == (row["since"], row["problem"])


async def test_a_rewind_leaves_the_state_of_a_newer_version_alone(scenario: Scenario) -> None:
    await scenario.write({"": b'{"version": 99}', "/seven/0": b"damaged"})
    await until(scenario.only_hall_runs, "the stream is parked")
    refused = await scenario.command("rewind", "mall", "sessions", "--to", scenario.since, "--yes")
    assert 1 == refused.code
    assert "version 99" in refused.err
    assert await scenario.only_hall_runs()
