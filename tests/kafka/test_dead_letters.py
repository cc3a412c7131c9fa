"""Dead letters of a former release are published once by `collector dead-letters replay`, against a real broker.

The command is killed, repeated, and run beside the daemon. In the end, every session is published exactly once.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import anyio
import pytest

from collector.crash import VARIABLE
from collector.kafka.scan import existing
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin
from tests.commands.harness import Completed, collector
from tests.kafka.daemon import EVENTS, Daemon, TopicReader, reading, until
from tests.vendor import Known, Vendor, expected_events, serving, session

pytestmark = pytest.mark.anyio

FORMER = (str(Path(__file__).with_name("former_release.py")),)
SESSIONS, REJECTED = 20, 4


class Scenario:
    """A daemon of a former release, which has published some sessions, and others as dead letters."""

    def __init__(self, daemon: Daemon, vendor: Vendor, reader: TopicReader) -> None:
        self.daemon = daemon
        self.vendor = vendor
        self.reader = reader

    async def command(self, *arguments: str, crash: str = "") -> Completed:
        """Run `collector dead-letters`; killed at a crash point, if one is named."""
        environment = {VARIABLE: crash} if crash else {}
        return await collector("dead-letters", *arguments, "--config", str(self.daemon.config), env=environment)

    async def published(self) -> Counter[int]:
        """How often each session was published."""
        found = [each for each in await self.reader.poll() if each.topic.endswith("sessions")]
        return Counter(each.value["session_number"] for each in found)

    async def assert_whole(self) -> None:
        """Every session is published once, with all of its events, and with the ids that the daemon would make."""
        values = Counter[tuple[str, str]]()
        for each in await self.reader.to_the_end():
            value = {name: part for name, part in each.value.items() if name not in ("event_id", "session_event_id")}
            values[value["type"], json.dumps(value, sort_keys=True)] += 1
        expected = Counter(each for known in self.vendor.known for each in expected_events(known.session))
        assert expected == values
        assert {1} == set(Counter(each.id for each in self.reader.received).values())

    async def is_final(self) -> bool:
        final = (await self.daemon.stream()).get("final")
        return final is not None and datetime.fromisoformat(final) > self.started

    async def former_is_done(self) -> bool:
        return sum((await self.published()).values()) == len(self.vendor.known) - REJECTED

    async def has_polled_all(self) -> bool:
        """Whether the daemon has received each session, be it a duplicate, and has published what is new."""
        row = await self.daemon.stream()
        is_live = row.get("state") == "live" and row["counts"]["records"].get("duplicate", 0) >= SESSIONS - REJECTED
        return is_live and sum((await self.published()).values()) >= len(self.vendor.known)

    def add_session(self, number: int) -> None:
        """So that a daemon that runs commits something."""
        known_at = datetime.now(UTC)
        self.vendor.known.append(Known(session(known_at, Random(number), number), known_at))

    started: datetime


@asynccontextmanager
async def former_release(kafka: str, prefix: str, folder: Path, lateness: str) -> AsyncIterator[Scenario]:
    now, random = datetime.now(UTC), Random(7)
    vendor = Vendor([Known(session(now - timedelta(seconds=20 + 2 * n), random, n), now) for n in range(SESSIONS)])
    since = f"{now - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}"
    async with serving(vendor), reading(kafka, [prefix + topic for topic in EVENTS]) as reader:
        daemon = Daemon(folder, kafka, prefix, vendor, since=since, allowed_lateness=f'"{lateness}"')
        daemon.program = FORMER
        scenario = Scenario(daemon, vendor, reader)
        scenario.started = now
        try:
            daemon.start()
            await until(scenario.former_is_done, "the former release has published what it understands")
            yield scenario
        finally:
            daemon.close()


@pytest.mark.timeout(400)  # nine commands, and transactions that their owners have left open
async def test_dead_letters_older_than_final_are_published_once_though_the_command_is_killed(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    async with former_release(kafka, prefix, tmp_path, "5s") as scenario:
        await until(scenario.is_final, "every session is final")
        scenario.daemon.stop()
        listed = await scenario.command("list", "--json")
        lines = [json.loads(line) for line in listed.out.splitlines()]
        assert REJECTED == len(lines), listed.err
        assert {("mall", "sessions", "malformed", "understood")} == {
            (line["source"], line["stream"], line["reason"], line["replay"]) for line in lines
        }
        shown = json.loads((await scenario.command("show", lines[0]["id"])).out)
        assert 0 == shown["payload"]["o"] % 5
        assert "UTC" == shown["timezone"]

        dry = await scenario.command("replay", "--all", "--dry-run")
        assert REJECTED == dry.out.count("would publish"), dry.err
        assert await scenario.former_is_done()
        for point in ("after_barrier", "after_begin", "after_sends:2", "commit_sent:2"):
            killed = await scenario.command("replay", "--all", "--yes", crash=point)
            assert -9 == killed.code, (point, killed)
        done = await scenario.command("replay", "--all", "--yes")
        assert 0 == done.code, done.err
        again = await scenario.command("replay", lines[0]["id"])
        assert 0 == again.code, again.err
        assert "already published" in again.out
        listed = await scenario.command("list", "--json")
        replayed = [json.loads(line) for line in listed.out.splitlines()]
        assert [(line["id"], "published") for line in lines] == [(line["id"], line["replay"]) for line in replayed]
        await scenario.assert_whole()


@pytest.mark.parametrize("first", ["command", "daemon", "both"])
async def test_rows_that_the_vendor_returns_again_are_published_once(
    kafka: str, prefix: str, tmp_path: Path, first: str
) -> None:
    """Whether the new release or the command publishes them first: the ledger tells the other one."""
    async with former_release(kafka, prefix, tmp_path, "1h") as scenario:
        if first == "command":  # also beside the former release, which continues
            done = await scenario.command("replay", "--all", "--yes", "mall", "sessions")
            assert (0, REJECTED) == (done.code, done.out.count("published 1 event") + done.out.count("events")), done
        scenario.daemon.stop()
        del scenario.daemon.program
        scenario.daemon.start()
        if first == "daemon":
            await until(scenario.has_polled_all, "the new release has polled the whole period")
        if first != "command":
            done = await scenario.command("replay", "--all", "--yes")
            assert 0 == done.code, done.err

        scenario.add_session(99)
        await until(scenario.has_polled_all, "the daemon runs again, and has polled the whole period")
        done = await scenario.command("replay", "--all", "--yes")
        assert f"{REJECTED} already published" in done.err, done
        await scenario.assert_whole()


async def test_a_command_names_dead_letters_by_the_beginning_of_their_ids(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    async with former_release(kafka, prefix, tmp_path, "1h") as scenario:
        listed = await scenario.command("list")
        digests = [line.split("  ")[0] for line in listed.out.splitlines()]
        assert REJECTED == len(set(digests))
        for arguments, fact in (
            (("replay", "00000000"), "00000000"),
            (("show", "zz"), "zz"),
            (("replay",), "--all"),
            (("replay", "--all", "hall"), "did you mean mall?"),
            (("list", "mall", "viewers"), "sessions"),
        ):
            refused = await scenario.command(*arguments)
            assert 2 == refused.code, refused
            assert fact in refused.err
        unconfirmed = await scenario.command("replay", "--all")
        assert (1, "") == (unconfirmed.code, unconfirmed.out)
        assert f"{REJECTED} of {REJECTED}" in unconfirmed.err
        assert "--yes" in unconfirmed.err
        done = await scenario.command("replay", digests[0][:10], f"{digests[1]}/dead_letter/0")
        assert (0, 2) == (done.code, len(done.out.splitlines())), done
        assert 0 == (await scenario.command("list", "mall", "--json")).code


async def test_a_missing_topic_is_reported_and_is_not_created(kafka: str, prefix: str, tmp_path: Path) -> None:
    async with former_release(kafka, prefix, tmp_path, "1h") as scenario:
        scenario.daemon.stop()
        missing, settings = prefix + EVENTS[0], KafkaSettings(bootstrap_servers=kafka)
        async with admin(settings) as client:
            await client.delete_topics([missing])

        async def is_gone() -> bool:
            return not await existing(settings, [missing])

        await until(is_gone, "the topic is deleted")
        done = await scenario.command("replay", "--all", "--yes")
        assert (1, REJECTED) == (done.code, done.out.count("not replayable")), done
        assert f"{REJECTED} not replayable" in done.err
        assert missing in done.err
        assert await is_gone()


@pytest.mark.parametrize(
    "arguments", [("list",), ("list", "--json"), ("replay", "--all", "--yes"), ("replay", "--all", "--dry-run")]
)
async def test_output_that_cannot_be_written_is_not_a_fault_of_the_brokers(
    kafka: str, prefix: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """As in `collector dead-letters list | head -1`, and on a full disk."""
    async with former_release(kafka, prefix, tmp_path, "1h") as scenario:
        options = ("--config", str(scenario.daemon.config))
        command = [sys.executable, "-m", "collector", "dead-letters", *arguments, *options]
        for stdout, fact in ((closed_pipe(), ""), (os.open("/dev/full", os.O_WRONLY), "cannot write to stdout")):
            try:
                done = await anyio.run_process(command, stdout=stdout, check=False)
            finally:
                os.close(stdout)
            assert 1 == done.returncode
            error = done.stderr.decode()
            assert "brokers" not in error
            assert "Traceback" not in error
            assert fact in error
            assert fact or not error


def closed_pipe() -> int:
    """The write end of a pipe without a reader."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    return write_end
