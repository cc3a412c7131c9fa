"""Topics for consumers to read: what the daemon committed, and what was not committed, between and behind it."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import aiokafka
from msgspec import Struct

from tests.kafka.daemon import EVENTS, Daemon, Received, contents, reading, until
from tests.vendor import Known, Session, Vendor, expected_events, serving, session

ABORTED, OPEN = "aborted", "open"
PARTITIONS = range(3)
LONG_MS = 600_000
"""Nobody ends the open transaction while a test lasts."""


class Published(Struct, frozen=True):
    kafka: str
    topics: Sequence[str]
    told: Sequence[Received]
    """What was committed."""

    @property
    def unseen(self) -> set[str]:
        """The ids of the others."""
        return {
            _id(kind, topic, partition) for kind in (ABORTED, OPEN) for topic in self.topics for partition in PARTITIONS
        }


async def publish(kafka: str, prefix: str, home: Path) -> Published:
    """Sessions by the daemon, a part of them twice: the vendor changes them."""
    random, now = Random(1), datetime.now(UTC)
    sessions = [session(now - timedelta(seconds=60 + n), random, n, (5315, 5316, 77)[n % 3]) for n in range(60)]
    changed = {n: _longer(sessions[n]) for n in range(0, 60, 4)}
    topics = [prefix + topic for topic in EVENTS]
    vendor = Vendor([Known(each, now) for each in sessions])
    truth = Counter(event for each in sessions for event in expected_events(each))
    async with serving(vendor), reading(kafka, topics) as reader:
        since = f"{now - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}"
        daemon = Daemon(home, kafka, prefix, vendor, since=since, allowed_lateness='"1h"')

        async def all_there() -> bool:
            return truth == contents(await reader.poll())

        try:
            daemon.start()
            await until(all_there, "every session is published")
            await _leave(kafka, topics, ABORTED)
            vendor.known = [Known(changed.get(n, each), now) for n, each in enumerate(sessions)]
            truth.update(event for each in changed.values() for event in expected_events(each, revision=1))
            await until(all_there, "every change is published")
            daemon.stop()
        finally:
            daemon.close()
        await _leave(kafka, topics, OPEN)
        return Published(kafka, topics, reader.received)


def _longer(told: Session) -> Session:
    end = datetime.fromisoformat(told["e"]) + timedelta(milliseconds=700)
    return {**told, "i": told["i"] + 700, "e": end.isoformat(timespec="microseconds")}


async def _leave(kafka: str, topics: Sequence[str], kind: str) -> None:
    """A message in every partition, in a transaction that is aborted, or that nobody ends."""
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=kafka, transactional_id=f"{topics[0]}-{kind}", transaction_timeout_ms=LONG_MS
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        for topic in topics:
            for partition in PARTITIONS:
                headers = {"ce_id": _id(kind, topic, partition), "ce_type": kind, "ce_time": "2026-11-01T00:00:00.000Z"}
                written = [(name, text.encode()) for name, text in headers.items()]
                await producer.send_and_wait(topic, b"{}", key=b"1", partition=partition, headers=written)
        if kind == ABORTED:
            await producer.abort_transaction()
    finally:
        await producer.stop()


def _id(kind: str, topic: str, partition: int) -> str:
    return f"{kind}/{topic}/{partition}"
