"""`collector state show` and `rewind` against a real broker, with the daemon running."""

import json
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import anyio
import pytest

from tests.commands.harness import collector
from tests.commands.terminal import Terminal
from tests.kafka.daemon import EVENTS, Daemon, reading, until
from tests.vendor import Known, Vendor, serving, session

pytestmark = pytest.mark.anyio


def utc_seconds(moment: datetime) -> str:
    """As `since` and `--to` are written."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def vendor_with_sessions(now: datetime, number: int = 20) -> Vendor:
    random = Random(3)
    return Vendor([Known(session(now - timedelta(seconds=60 + 2 * n), random, n), now) for n in range(number)])


def session_before(now: datetime, seconds: float, random: Random, number: int) -> Known:
    """A session that started this many seconds before now, and that the vendor knows from now on."""
    return Known(session(now - timedelta(seconds=seconds), random, number), now)


def answer_prompt(arguments: tuple[str, ...], keys: str, last: str) -> tuple[int, bool]:
    """Run the command in a terminal, and type `keys` at its prompt.

    Returns the exit code, and whether the last visible line contains `last`.
    """
    with Terminal(*arguments) as terminal:
        terminal.until("(y/N)")
        terminal.type(keys)
        code = terminal.end()
    assert "reading the state: " in terminal.output
    assert "Traceback" not in terminal.output
    return code, last in terminal.screen[-1]


async def test_a_rewind_while_the_group_runs_publishes_final_records_again(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    since = utc_seconds(now - timedelta(minutes=10))
    vendor = vendor_with_sessions(now)
    async with serving(vendor), reading(kafka, [prefix + topic for topic in EVENTS]) as reader:
        daemon = Daemon(tmp_path, kafka, prefix, vendor, since=since, allowed_lateness='"5s"')

        async def publications() -> Counter[int]:
            """How many sessions were published once, twice, and so on."""
            sessions = [message for message in await reader.poll() if message.topic.endswith("sessions")]
            return Counter(Counter(message.id for message in sessions).values())

        async def final_is_reached() -> bool:
            final = (await daemon.stream()).get("final")
            return final is not None and datetime.fromisoformat(final) > now

        async def all_final() -> bool:
            return await final_is_reached() and await publications() == {1: 20}

        async def all_twice() -> bool:
            return await publications() == {2: 20, 1: 1}

        try:
            daemon.start()
            await until(all_final, "every session is published and final")
            daemon.send(signal.SIGTERM)  # which commits the checkpoint
            assert 0 == daemon.wait()
            daemon.start()
            await until(final_is_reached, "the stream runs again")
            arguments = ("state", "rewind", "mall", "sessions", "--config", str(daemon.config), "--to", since)
            refused = await collector(*arguments)
            assert 1 == refused.code
            assert all(fact in refused.err for fact in (since, "--yes")), "the warning names what is published again"
            assert f"to {since}? (y/N)" in refused.err
            assert "epoch_began" not in refused.out + refused.err
            for keys, code, last in (("n\n", 1, "nothing was changed"), ("\x03", 130, "^C")):
                assert (code, True) == await anyio.to_thread.run_sync(answer_prompt, arguments, keys, last)
            assert {1: 20} == await publications()

            done = await collector(*arguments, "--yes")

            assert 0 == done.code, done.err
            assert all(fact in done.err for fact in ("mall sessions", since))
            assert "epoch_began" not in done.out + done.err
            again = await collector(*arguments)
            assert (0, "") == (again.code, again.out)
            assert "nothing to do" in again.err
            # The owner is fenced at its next commit: with the next session, or after two minutes.
            vendor.known.append(Known(session(datetime.now(UTC), Random(4), 99), now))
            await until(all_twice, "every session is published again with the same id, and the new one once")
        finally:
            daemon.close()


async def test_records_in_the_ledger_are_not_published_again(kafka: str, prefix: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    since = utc_seconds(now - timedelta(minutes=10))
    vendor = vendor_with_sessions(now)
    async with serving(vendor), reading(kafka, [prefix + EVENTS[0]]) as reader:
        daemon = Daemon(tmp_path, kafka, prefix, vendor, since=since, allowed_lateness='"1h"')

        async def all_published() -> bool:
            return len(await reader.poll()) >= 20

        async def has_polled_again() -> bool:
            row = await daemon.stream()
            return row.get("state") == "live" and row["counts"]["records"].get("duplicate", 0) >= 40

        try:
            daemon.start()
            await until(all_published, "every session is published")
            before = (await daemon.stream())["watermark"]
            config = ("--config", str(daemon.config))
            done = await collector("state", "rewind", "mall", "sessions", *config, "--to", since, "--yes")
            assert 0 == done.code, done.err
            assert 1 == done.err.count(since), "there is a warning, although nothing is published again"
            await until(has_polled_again, "the stream has polled the whole period again")
            assert 20 == len(await reader.poll())

            shown = await collector("state", "show", *config, "--json")
            row = json.loads(shown.out)
            assert ("mall", "sessions", "seemetrix", since) == tuple(
                row[name] for name in ("source", "stream", "vendor", "since")
            )
            assert row["ledger_entries"] == 20
            assert row["final"] <= row["watermark"]
            assert before <= (await daemon.stream())["watermark"]
            table = await collector("state", "show", *config)
            header, cells = (line.split("  ") for line in table.out.splitlines())
            assert ["SOURCE", "STREAM", "VENDOR", "ACCOUNT"] == [name.strip() for name in header if name][:4]
            assert ["mall", "sessions", "seemetrix", "864", since] == [value.strip() for value in cells if value][:5]
        finally:
            daemon.close()


async def test_records_missed_because_of_a_clock_ahead_are_published_after_a_rewind(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    """The vendor's responses have no Date header, by which the collector would detect the wrong clock."""
    now, random = datetime.now(UTC), Random(5)
    vendor = Vendor([session_before(now, 60 + 10 * n, random, n) for n in range(5)])
    vendor.is_dated = False
    async with serving(vendor), reading(kafka, [prefix + EVENTS[0]]) as reader:
        since = utc_seconds(now - timedelta(minutes=10))
        daemon = Daemon(tmp_path, kafka, prefix, vendor, since=since, allowed_lateness='"45s"')
        daemon.program = (str(Path(__file__).with_name("clock_skew.py")), "20")

        async def published() -> Counter[int]:
            return Counter(message.value["session_number"] for message in await reader.poll())

        async def final_too_early() -> bool:
            final = (await daemon.stream()).get("final") or since
            return len(await published()) == 5 and datetime.fromisoformat(final) > now - timedelta(seconds=28)

        async def timely_is_published() -> bool:
            return 20 in await published()

        async def running() -> bool:
            return bool((await daemon.stream()).get("state", "not_owned") != "not_owned")

        async def all_published() -> bool:
            return len(await published()) == 5 + 5 + 1 + 1

        async def has_duplicates() -> bool:
            duplicates: int = (await daemon.stream())["counts"]["records"].get("duplicate", 0)
            return duplicates > 0

        try:
            daemon.start()
            await until(final_too_early, "`final` has passed records that are within the allowed lateness")
            vendor.known += [session_before(now, 30 + 2 * n, random, 10 + n) for n in range(5)]  # within the lateness
            vendor.known.append(Known(session(datetime.now(UTC), random, 20), now))
            await until(timely_is_published, "a session that is not late is published")
            assert 6 == len(await published())
            daemon.stop()
            del daemon.program  # the clock is correct again
            daemon.start()
            await until(running, "the stream runs again")  # and waits until its clock reaches the watermark

            arguments = (
                "mall",
                "sessions",
                "--config",
                str(daemon.config),
                "--to",
                utc_seconds(now - timedelta(seconds=45)),
            )
            done = await collector("state", "rewind", *arguments, "--yes")

            assert 0 == done.code, done.err
            vendor.known.append(Known(session(datetime.now(UTC), random, 30), now))  # so that the owner commits
            await until(all_published, "the late sessions are published")
            await until(has_duplicates, "the records in the ledger are polled again")
            assert {1} == set((await published()).values())
        finally:
            daemon.close()


async def test_a_rewind_refuses_invalid_arguments(kafka: str, prefix: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    since = utc_seconds(now - timedelta(minutes=10))
    vendor = vendor_with_sessions(now, number=1)
    async with serving(vendor), reading(kafka, [prefix + EVENTS[0]]) as reader:
        daemon = Daemon(tmp_path, kafka, prefix, vendor, since=since)

        async def is_published() -> bool:
            return await reader.has(1)

        try:
            daemon.start()
            await until(is_published, "the session is published")
            config = ("--config", str(daemon.config))
            for arguments, facts in (
                (("mall", "sessions", "--to", "2020-01-01T00:00:00Z"), (since, "collector backfill")),
                (("mall", "sessions", "--to", "2036-01-01T00:00:00Z"), ("2036-01-01T00:00:00Z",)),
                (("mall", "viewers", "--to", since), ("mall", "viewers", "sessions")),
                (("hall", "sessions", "--to", since), ("hall", "did you mean mall?")),
                (("mall", "sessions", "--to", "yesterday"), ("--to", "00:00:00Z")),
                (("mall", "sessions", "--to", since.removesuffix("Z")), ("--to", "offset")),
            ):
                refused = await collector("state", "rewind", *arguments, *config, "--yes")
                assert 2 == refused.code, refused.err
                assert all(fact in refused.err for fact in facts), refused.err
        finally:
            daemon.close()
