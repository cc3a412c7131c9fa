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


def written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def vendor_of(now: datetime, number: int = 20) -> Vendor:
    random = Random(3)
    return Vendor([Known(session(now - timedelta(seconds=60 + 2 * n), random, n), now) for n in range(number)])


def known_before(now: datetime, seconds: float, random: Random, number: int) -> Known:
    """A session that began so long ago, and is known from now on."""
    return Known(session(now - timedelta(seconds=seconds), random, number), now)


def at_a_terminal(arguments: tuple[str, ...], keys: str, last: str) -> tuple[int, bool]:
    """Answered so when it asks: its exit code, and whether that is all that is left to be seen of it."""
    with Terminal(*arguments) as terminal:
        terminal.until("Move it back? (y/N)")
        terminal.type(keys)
        code = terminal.end()
    assert "reading the state: " in terminal.written
    assert "Traceback" not in terminal.written
    return code, last in terminal.seen[-1]


async def test_a_rewind_while_the_group_runs_publishes_again_what_was_forgotten(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    since = written(now - timedelta(minutes=10))
    vendor = vendor_of(now)
    async with serving(vendor), reading(kafka, [prefix + topic for topic in EVENTS]) as reader:
        daemon = Daemon(tmp_path, kafka, prefix, vendor, since=since, allowed_lateness='"5s"')

        async def times() -> Counter[int]:
            """How many sessions were published so often."""
            sessions = [told for told in await reader.poll() if told.topic.endswith("sessions")]
            return Counter(Counter(told.id for told in sessions).values())

        async def as_far_as_before() -> bool:
            final = (await daemon.stream()).get("final")
            return final is not None and datetime.fromisoformat(final) > now

        async def all_final() -> bool:
            return await as_far_as_before() and await times() == {1: 20}

        async def all_twice() -> bool:
            return await times() == {2: 20, 1: 1}

        try:
            daemon.start()
            await until(all_final, "every session is published and final")
            daemon.send(signal.SIGTERM)  # how far it is becomes durable
            assert 0 == daemon.wait()
            daemon.start()
            await until(as_far_as_before, "it runs again")
            arguments = ("state", "rewind", "mall", "sessions", "--config", str(daemon.config), "--to", since)
            refused = await collector(*arguments)
            assert 1 == refused.code
            assert "published again" in refused.err
            for keys, code, last in (("n\n", 1, "nothing was changed"), ("\x03", 130, "^C")):
                assert (code, True) == await anyio.to_thread.run_sync(at_a_terminal, arguments, keys, last)
            assert {1: 20} == await times()

            done = await collector(*arguments, "--yes")

            assert 0 == done.code, done.err
            assert f"mall sessions is polled from {since} on" in done.err
            # The owner learns of it when it commits next: with the next session, or after two minutes.
            vendor.known.append(Known(session(datetime.now(UTC), Random(4), 99), now))
            await until(all_twice, "every session is published again with equal ids, and the new one once")
        finally:
            daemon.close()


async def test_what_the_ledger_knows_is_not_published_again(kafka: str, prefix: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    since = written(now - timedelta(minutes=10))
    vendor = vendor_of(now)
    async with serving(vendor), reading(kafka, [prefix + EVENTS[0]]) as reader:
        daemon = Daemon(tmp_path, kafka, prefix, vendor, since=since, allowed_lateness='"1h"')

        async def all_there() -> bool:
            return len(await reader.poll()) >= 20

        async def back_at_the_edge() -> bool:
            row = await daemon.stream()
            return row.get("state") == "live" and row["counts"]["records"].get("duplicate", 0) >= 40

        try:
            daemon.start()
            await until(all_there, "every session is published")
            before = (await daemon.stream())["watermark"]
            config = ("--config", str(daemon.config))
            done = await collector("state", "rewind", "mall", "sessions", *config, "--to", since, "--yes")
            assert 0 == done.code, done.err
            assert "published again" not in done.err
            await until(back_at_the_edge, "the stream has asked for all of it once more")
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
            checkpoint, told = (line.split("  ") for line in table.out.splitlines())
            assert ["SOURCE", "STREAM", "VENDOR"] == [name.strip() for name in checkpoint if name][:3]
            assert ["mall", "sessions", "seemetrix", since] == [value.strip() for value in told if value][:4]
        finally:
            daemon.close()


async def test_a_clock_that_ran_ahead_is_made_good_by_a_rewind(kafka: str, prefix: str, tmp_path: Path) -> None:
    """With a vendor that does not say the time; what one says is what such a clock is measured by."""
    now, random = datetime.now(UTC), Random(5)
    vendor = Vendor([known_before(now, 60 + 10 * n, random, n) for n in range(5)])
    vendor.is_dated = False
    async with serving(vendor), reading(kafka, [prefix + EVENTS[0]]) as reader:
        since = written(now - timedelta(minutes=10))
        daemon = Daemon(tmp_path, kafka, prefix, vendor, since=since, allowed_lateness='"45s"')
        daemon.program = (str(Path(__file__).with_name("clock_skew.py")), "20")

        async def published() -> Counter[int]:
            return Counter(told.value["session_number"] for told in await reader.poll())

        async def final_too_early() -> bool:
            final = (await daemon.stream()).get("final") or since
            return len(await published()) == 5 and datetime.fromisoformat(final) > now - timedelta(seconds=28)

        async def in_time_there() -> bool:
            return 20 in await published()

        async def running() -> bool:
            return bool((await daemon.stream()).get("state", "not_owned") != "not_owned")

        async def all_there() -> bool:
            return len(await published()) == 5 + 5 + 1 + 1

        async def recognised() -> bool:
            duplicates: int = (await daemon.stream())["counts"]["records"].get("duplicate", 0)
            return duplicates > 0

        try:
            daemon.start()
            await until(final_too_early, "the stream is final to within the lateness that was promised")
            vendor.known += [known_before(now, 30 + 2 * n, random, 10 + n) for n in range(5)]  # late, and promised
            vendor.known.append(Known(session(datetime.now(UTC), random, 20), now))
            await until(in_time_there, "what comes in time is published")
            assert 6 == len(await published())
            daemon.stop()
            del daemon.program  # the clock is set right
            daemon.start()
            await until(running, "it runs again")  # and waits until its clock comes to where it believes to be

            arguments = (
                "mall",
                "sessions",
                "--config",
                str(daemon.config),
                "--to",
                written(now - timedelta(seconds=45)),
            )
            done = await collector("state", "rewind", *arguments, "--yes")

            assert 0 == done.code, done.err
            vendor.known.append(Known(session(datetime.now(UTC), random, 30), now))  # so that the owner commits
            await until(all_there, "what was late is published")
            await until(recognised, "what the ledger knows was looked at again")
            assert {1} == set((await published()).values())
        finally:
            daemon.close()


async def test_a_rewind_refuses_what_makes_no_sense(kafka: str, prefix: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    since = written(now - timedelta(minutes=10))
    vendor = vendor_of(now, number=1)
    async with serving(vendor), reading(kafka, [prefix + EVENTS[0]]) as reader:
        daemon = Daemon(tmp_path, kafka, prefix, vendor, since=since)

        async def there() -> bool:
            return await reader.has(1)

        try:
            daemon.start()
            await until(there, "the session is published")
            config = ("--config", str(daemon.config))
            for arguments, code, text in (
                (("mall", "sessions", "--to", "2020-01-01T00:00:00Z"), 2, "a source of its own"),
                (("mall", "sessions", "--to", "2036-01-01T00:00:00Z"), 2, "has not come yet"),
                (("mall", "viewers", "--to", since), 2, "it has sessions"),
                (("hall", "sessions", "--to", since), 2, "(did you mean mall?): the configuration has mall"),
                (("mall", "sessions", "--to", "yesterday"), 2, "--to: expected"),
            ):
                refused = await collector("state", "rewind", *arguments, *config, "--yes")
                assert (code, True) == (refused.code, text in refused.err), refused.err
        finally:
            daemon.close()
