"""The whole path, for real: HTTP on loopback, Apache Kafka, the daemon as a process that is killed."""

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
    """Sessions of the last half hour and of the next seconds; of these, some are late."""
    known = []
    for n in range(number):
        begin = now + timedelta(seconds=random.uniform(-1800, 8) if n % 2 else random.uniform(-2, 8))
        told = session(begin, random, n, device=random.choice([5315, 5316, 77]))
        end = datetime.fromisoformat(told["e"]).replace(tzinfo=UTC)
        late = random.choice([0, 0, random.uniform(0, 12)]) if n % 2 == 0 else 0
        known.append(Known(told, end + timedelta(seconds=late)))
    return known


def revise(vendor: Vendor, numbers: range) -> None:
    """From now on the vendor tells some sessions otherwise: longer ones, that end later."""
    now = datetime.now(UTC)
    for index, each in enumerate(list(vendor.known)):
        if each.session["o"] in numbers:
            end = datetime.fromisoformat(each.session["e"]) + timedelta(milliseconds=700)
            longer = {**each.session, "i": each.session["i"] + 700, "e": end.isoformat(timespec="microseconds")}
            vendor.known[index] = Known(each.session, each.since, now)
            vendor.known.append(Known(longer, now))


def truth(known: list[Known]) -> Counter[tuple[str, str]]:
    revisions = Counter[int]()
    found = Counter[tuple[str, str]]()
    for each in known:
        number = each.session["o"]
        found.update(expected_events(each.session, revisions[number]))
        revisions[number] += 1
    return found


async def test_every_session_comes_out_once_whatever_kills_the_daemon(kafka: str, prefix: str, tmp_path: Path) -> None:
    """Side by side, since most of it is waiting.

    Revisions count while they come within the allowed lateness of a record's start: it is far above what a slow machine
    needs for the kills, and only afterwards so short that everything becomes final, and is forgotten, within seconds.
    """
    async with anyio.create_task_group() as tasks:
        for select in SELECTS:
            tasks.start_soon(_every_session_comes_out_once, kafka, f"{prefix}{select.split()[0]}-", tmp_path, select)


async def _every_session_comes_out_once(kafka: str, prefix: str, tmp_path: Path, select: Select) -> None:
    random, start = Random(select), datetime.now(UTC)
    since = (start - timedelta(minutes=31)).strftime("%Y-%m-%dT%H:%M:%SZ")
    vendor = Vendor(history(random, start), select, inclusive=select != "end")
    async with serving(vendor), reading(kafka, [prefix + topic for topic in EVENTS]) as reader:
        daemon = Daemon(tmp_path, kafka, prefix, vendor, since=since, allowed_lateness='"10m"')

        async def all_there() -> bool:
            return not truth(vendor.known) - contents(await reader.poll())

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
                await until(all_there, "every session, and every revision, is published")
                if kills == 4:
                    revise(vendor, range(0, 30, 2))
                    daemon.kill()
            daemon.kill()
            daemon.configure(since=since, allowed_lateness='"5s"')
            daemon.start()
            await until(all_final, "final passes the last session")
            assert truth(vendor.known) == contents(await reader.poll())
            assert 1 == max(Counter(message.id for message in reader.told).values())
        finally:
            daemon.close()
    for message in reader.told:
        assert str(message.value["device_id"]).encode() == message.key
        assert "/seemetrix/mall" == message.headers["ce_source"]
        assert message.value["start"] == message.headers["ce_time"]
        device, number = message.value["device_id"], message.value["session_number"]
        assert f"device/{device}/session/{number}" == message.headers["ce_subject"]
    sessions = {message.id for message in reader.told if message.topic == prefix + EVENTS[0]}
    assert sessions >= {m.value["session_event_id"] for m in reader.told if m.topic != prefix + EVENTS[0]}


async def test_another_replica_takes_over_and_nothing_comes_twice(kafka: str, prefix: str, tmp_path: Path) -> None:
    random, now = Random(1), datetime.now(UTC)
    vendor = Vendor([])
    async with serving(vendor), reading(kafka, [prefix + topic for topic in EVENTS]) as reader:
        since = (now - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        replicas = [Daemon(tmp_path, kafka, prefix, vendor, since=since) for _ in range(2)]
        expected: Counter[tuple[str, str]] = Counter()
        try:
            for replica in replicas:
                replica.start()
            for number in range(4):

                async def owned() -> bool:
                    states = [(await replica.stream()).get("state") for replica in replicas]
                    return "live" in states

                await until(owned, "some replica runs the stream")
                told = session(datetime.now(UTC) - timedelta(seconds=5), random, number)
                vendor.known.append(Known(told, now))
                expected.update(expected_events(told))

                async def there() -> bool:
                    return not expected - contents(await reader.poll())

                await until(there, "the session is published")
                owners: list[Daemon] = []

                async def is_live(owners: list[Daemon] = owners) -> bool:
                    owners[:] = [each for each in replicas if (await each.stream()).get("state") == "live"]
                    return len(owners) == 1

                await until(is_live, "one replica runs the stream, and is up to date")
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


async def test_a_second_start_publishes_nothing_again(kafka: str, prefix: str, tmp_path: Path) -> None:
    random, now = Random(2), datetime.now(UTC)
    known = [Known(session(now - timedelta(seconds=9 + n), random, n), now) for n in range(20)]
    vendor = Vendor(known)
    since = (now - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    expected = truth(known)
    async with serving(vendor), reading(kafka, [prefix + topic for topic in EVENTS]) as reader:
        daemon = Daemon(tmp_path, kafka, prefix, vendor, since=since)
        try:
            for _ in range(3):
                before = len(vendor.requests)
                daemon.start()

                async def asked(before: int = before) -> bool:
                    return len(vendor.requests) > before + 2 and await reader.has(expected.total())

                await until(asked, "the vendor is asked thrice")
                daemon.send(signal.SIGTERM)
                assert 0 == daemon.wait()
            assert expected == contents(await reader.poll())
            assert KEY not in daemon.log.read_text("utf-8")
        finally:
            daemon.close()
