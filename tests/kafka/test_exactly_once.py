"""The whole path with real parts: HTTP on loopback, Apache Kafka, and the daemon as a process that is killed.

On the newest and on the oldest release of Apache Kafka that the collector supports.
"""

import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import anyio
import pytest

from tests.kafka.daemon import EVENTS, Daemon, contents, reading, until
from tests.vendor import KEY, Known, Select, Vendor, expected_events, serving, session

pytestmark = pytest.mark.anyio

SELECTS: tuple[Select, ...] = ("begin", "end", "overlap", "strict overlap")


def history(random: Random, now: datetime, number: int = 120) -> list[Known]:
    """Sessions of the last half hour and of the next seconds; some of the latter become known late."""
    known = []
    for n in range(number):
        begin = now + timedelta(seconds=random.uniform(-1800, 8) if n % 2 else random.uniform(-2, 8))
        record = session(begin, random, n, device=random.choice([5315, 5316, 77]))
        end = datetime.fromisoformat(record["e"]).replace(tzinfo=UTC)
        late = random.choice([0, 0, random.uniform(0, 12)]) if n % 2 == 0 else 0
        known.append(Known(record, end + timedelta(seconds=late)))
    return known


def revise(vendor: Vendor, numbers: range) -> None:
    """From now on, the vendor reports the sessions with these numbers as longer."""
    now = datetime.now(UTC)
    for index, each in enumerate(list(vendor.known)):
        if each.session["o"] in numbers:
            end = datetime.fromisoformat(each.session["e"]) + timedelta(milliseconds=700)
            longer = {**each.session, "i": each.session["i"] + 700, "e": end.isoformat(timespec="microseconds")}
            vendor.known[index] = Known(each.session, each.since, now)
            vendor.known.append(Known(longer, now))


def expected_of(known: list[Known]) -> Counter[tuple[str, str]]:
    """The events of every session and of every revision."""
    revisions = Counter[int]()
    expected = Counter[tuple[str, str]]()
    for each in known:
        number = each.session["o"]
        expected.update(expected_events(each.session, revisions[number]))
        revisions[number] += 1
    return expected


async def test_every_session_is_published_once_while_the_daemon_is_killed(
    each_kafka: str, prefix: str, tmp_path: Path
) -> None:
    """All ways in which the vendor may select sessions, concurrently, because each mostly waits.

    A revision is published if it becomes known within the allowed lateness of the record's start. The lateness is far
    longer than a slow machine needs for the kills; afterwards it is so short that all records become final, and leave
    the ledger, within seconds.
    """
    async with anyio.create_task_group() as tasks:
        for select in SELECTS:
            tasks.start_soon(
                _every_session_is_published_once, each_kafka, f"{prefix}{select.split()[0]}-", tmp_path, select
            )


async def _every_session_is_published_once(kafka: str, prefix: str, tmp_path: Path, select: Select) -> None:
    random, start = Random(select), datetime.now(UTC)
    since = (start - timedelta(minutes=31)).strftime("%Y-%m-%dT%H:%M:%SZ")
    vendor = Vendor(history(random, start), select, inclusive=select != "end")
    async with serving(vendor), reading(kafka, [prefix + topic for topic in EVENTS]) as reader:
        daemon = Daemon(tmp_path, kafka, prefix, vendor, since=since, allowed_lateness='"10m"')

        async def all_published() -> bool:
            return not expected_of(vendor.known) - contents(await reader.poll())

        async def all_final() -> bool:
            final = (await daemon.stream()).get("final")
            return final is not None and datetime.fromisoformat(final) > start + timedelta(seconds=10)

        try:
            for kills in (4, 2):
                for _ in range(kills):
                    daemon.start()
                    await anyio.sleep(random.uniform(0.5, 4))
                    daemon.kill()
                daemon.start()
                await until(all_published, "every session and every revision is published")
                if kills == 4:
                    revise(vendor, range(0, 30, 2))
                    daemon.kill()
            daemon.kill()
            daemon.configure(since=since, allowed_lateness='"5s"')
            daemon.start()
            await until(all_final, "all sessions are final")
            assert expected_of(vendor.known) == contents(await reader.poll())
            assert 1 == max(Counter(message.id for message in reader.received).values())
        finally:
            daemon.close()
    for message in reader.received:
        assert str(message.value["device_id"]).encode() == message.key
        assert "/seemetrix/mall" == message.headers["ce_source"]
        assert message.value["started_at"] == message.headers["ce_time"]
        device, number = message.value["device_id"], message.value["session_number"]
        assert f"device/{device}/session/{number}" == message.headers["ce_subject"]
    sessions = {message.id for message in reader.received if message.topic == prefix + EVENTS[0]}
    assert sessions >= {m.value["session_event_id"] for m in reader.received if m.topic != prefix + EVENTS[0]}


async def test_another_replica_takes_over_and_publishes_nothing_twice(
    each_kafka: str, prefix: str, tmp_path: Path
) -> None:
    random, now = Random(1), datetime.now(UTC)
    vendor = Vendor([])
    async with serving(vendor), reading(each_kafka, [prefix + topic for topic in EVENTS]) as reader:
        since = (now - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        replicas = [Daemon(tmp_path, each_kafka, prefix, vendor, since=since) for _ in range(2)]
        expected: Counter[tuple[str, str]] = Counter()
        try:
            for replica in replicas:
                replica.start()
            for number in range(4):

                async def owned() -> bool:
                    states = [(await replica.stream()).get("state") for replica in replicas]
                    return "live" in states

                await until(owned, "a replica runs the stream")
                added = session(datetime.now(UTC) - timedelta(seconds=5), random, number)
                vendor.known.append(Known(added, now))
                expected.update(expected_events(added))

                async def is_published() -> bool:
                    return not expected - contents(await reader.poll())

                await until(is_published, "the session is published")
                owners: list[Daemon] = []

                async def is_live(owners: list[Daemon] = owners) -> bool:
                    owners[:] = [each for each in replicas if (await each.stream()).get("state") == "live"]
                    return len(owners) == 1

                await until(is_live, "exactly one replica runs the stream, and is live")
                (owner,) = owners
                if number % 2:
                    owner.kill()
                else:
                    owner.send(signal.SIGTERM)
                    assert 0 == owner.wait()
                owner.start()
            assert expected == contents(await reader.poll())
        finally:
            for replica in replicas:
                replica.close()


async def test_a_restart_publishes_nothing_again(each_kafka: str, prefix: str, tmp_path: Path) -> None:
    random, now = Random(2), datetime.now(UTC)
    known = [Known(session(now - timedelta(seconds=9 + n), random, n), now) for n in range(20)]
    vendor = Vendor(known)
    since = (now - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    expected = expected_of(known)
    async with serving(vendor), reading(each_kafka, [prefix + topic for topic in EVENTS]) as reader:
        daemon = Daemon(tmp_path, each_kafka, prefix, vendor, since=since)
        try:
            for _ in range(3):
                before = len(vendor.requests)
                daemon.start()

                async def is_polled(before: int = before) -> bool:
                    return len(vendor.requests) > before + 2 and await reader.has(expected.total())

                await until(is_polled, "the vendor is polled three times, and the events are published")
                daemon.send(signal.SIGTERM)
                assert 0 == daemon.wait()
            assert expected == contents(await reader.poll())
            assert KEY not in daemon.log.read_text("utf-8")
        finally:
            daemon.close()
