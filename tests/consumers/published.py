"""Topics for consumers to read: messages that the daemon committed, and messages of aborted and open transactions."""

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
"""The broker does not abort the open transaction during a test."""


class Published(Struct, frozen=True):
    kafka: str
    topics: Sequence[str]
    messages: Sequence[Received]
    """The committed ones."""

    @property
    def uncommitted(self) -> set[str]:
        """The ids of all other messages."""
        return {
            _id(state, topic, partition)
            for state in (ABORTED, OPEN)
            for topic in self.topics
            for partition in PARTITIONS
        }


async def publish(kafka: str, prefix: str, home: Path) -> Published:
    """Publish sessions with the daemon, and a revision of every fourth one; then leave an open transaction."""
    random, now = Random(1), datetime.now(UTC)
    sessions = [session(now - timedelta(seconds=60 + n), random, n, (5315, 5316, 77)[n % 3]) for n in range(60)]
    revised = {n: _longer(sessions[n]) for n in range(0, 60, 4)}
    topics = [prefix + topic for topic in EVENTS]
    vendor = Vendor([Known(each, now) for each in sessions])
    expected = Counter(event for each in sessions for event in expected_events(each))
    async with serving(vendor), reading(kafka, topics) as reader:
        since = f"{now - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}"
        daemon = Daemon(home, kafka, prefix, vendor, since=since, allowed_lateness='"1h"')

        async def all_published() -> bool:
            return expected == contents(await reader.poll())

        try:
            daemon.start()
            await until(all_published, "every session is published")
            await _send_uncommitted(kafka, topics, ABORTED)
            vendor.known = [Known(revised.get(n, each), now) for n, each in enumerate(sessions)]
            expected.update(event for each in revised.values() for event in expected_events(each, revision=1))
            await until(all_published, "every revision is published")
            daemon.stop()
        finally:
            daemon.close()
        await _send_uncommitted(kafka, topics, OPEN)
        return Published(kafka, topics, reader.received)


def _longer(row: Session) -> Session:
    end = datetime.fromisoformat(row["e"]) + timedelta(milliseconds=700)
    return {**row, "i": row["i"] + 700, "e": end.isoformat(timespec="microseconds")}


async def _send_uncommitted(kafka: str, topics: Sequence[str], state: str) -> None:
    """Send a message to every partition in a transaction that is aborted or left open."""
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=kafka, transactional_id=f"{topics[0]}-{state}", transaction_timeout_ms=LONG_MS
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        for topic in topics:
            for partition in PARTITIONS:
                headers = {
                    "ce_id": _id(state, topic, partition),
                    "ce_type": state,
                    "ce_time": "2026-11-01T00:00:00.000Z",
                }
                encoded = [(name, text.encode()) for name, text in headers.items()]
                await producer.send_and_wait(topic, b"{}", key=b"1", partition=partition, headers=encoded)
        if state == ABORTED:
            await producer.abort_transaction()
    finally:
        await producer.stop()


def _id(state: str, topic: str, partition: int) -> str:
    return f"{state}/{topic}/{partition}"
