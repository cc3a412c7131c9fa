"""Topics for consumers to read: messages that the daemon committed, and messages of aborted and open transactions."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import aiokafka
import msgspec
from msgspec import Struct

from tests.kafka.daemon import EVENTS, Daemon, Received, contents, reading, until
from tests.vendor import Known, Session, Vendor, expected_events, serving, session

ABORTED, OPEN = "aborted", "open"
OTHERS = ("collector.dead_letters", "collector.progress")
PARTITIONS = range(3)
LONG_MS = 600_000
"""The broker does not abort the open transaction during a test."""


class Published(Struct, frozen=True):
    kafka: str
    topics: Sequence[str]
    messages: Sequence[Received]
    """The committed ones."""
    uncommitted: Sequence[tuple[str, str]]
    """Topic and id of all other messages."""


async def publish(kafka: str, prefix: str, home: Path) -> Published:
    """Publish sessions, a dead letter, and a revision of every fourth session; then leave an open transaction."""
    random, now = Random(1), datetime.now(UTC)
    sessions = [session(now - timedelta(seconds=60 + n), random, n, (5315, 5316, 77)[n % 3]) for n in range(60)]
    revised = {n: _revise(sessions[n], n) for n in range(0, 60, 4)}
    malformed = {**sessions[1], "o": 99, "at": [{"a": 1, "d": "long"}]}
    topics = [prefix + topic for topic in (*EVENTS, *OTHERS)]
    vendor = Vendor([Known(each, now) for each in (*sessions, malformed)])
    expected = Counter(event for each in sessions for event in expected_events(each))
    async with serving(vendor), reading(kafka, topics) as reader:
        since = f"{now - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}"
        daemon = Daemon(home, kafka, prefix, vendor, since=since, allowed_lateness='"1h"')

        async def all_published() -> bool:
            return expected == contents([each for each in await reader.poll() if each.topic in topics[: len(EVENTS)]])

        try:
            daemon.start()
            await until(all_published, "every session is published")
            uncommitted = await _abort_transactions(kafka, topics)
            vendor.known = [Known(revised.get(n, each), now) for n, each in enumerate(sessions)]
            expected.update(event for each in revised.values() for event in expected_events(each, revision=1))
            await until(all_published, "every revision is published")
            daemon.stop()
        finally:
            daemon.close()
        messages = list(await reader.to_the_end())
        uncommitted += await _leave_open(kafka, topics)
        return Published(kafka, topics, messages, uncommitted)


def _revise(row: Session, number: int) -> Session:
    """A longer session: with one interval of attention less, or with none and no content, or with as many as before."""
    end = datetime.fromisoformat(row["e"]) + timedelta(milliseconds=700)
    longer = {**row, "i": row["i"] + 700, "e": end.isoformat(timespec="microseconds")}
    match number % 3:
        case 0:
            return {**longer, "at": row["at"][:-1]}
        case 1:
            return {**longer, "at": [], "v": []}
        case _:
            return longer


async def _abort_transactions(kafka: str, topics: Sequence[str]) -> list[tuple[str, str]]:
    """Abort two transactions of each of two producers in every partition; the second begins and ends in the first.

    Some clients deliver such messages as if they were committed: those of a producer's first transaction if a response
    also contains its second one, and those of a transaction that began before another one and ended after it.
    """
    sent = []
    async with _producer(kafka, f"{topics[0]}-outer") as outer, _producer(kafka, f"{topics[0]}-inner") as inner:
        for turn in range(2):
            await outer.begin_transaction()
            sent += await _send(outer, topics, f"{ABORTED}-{turn}-first")
            await inner.begin_transaction()
            sent += await _send(inner, topics, f"{ABORTED}-{turn}-inner")
            await inner.abort_transaction()
            sent += await _send(outer, topics, f"{ABORTED}-{turn}-last")
            await outer.abort_transaction()
    return sent


async def _leave_open(kafka: str, topics: Sequence[str]) -> list[tuple[str, str]]:
    """Send a message to every partition in a transaction that is left open."""
    async with _producer(kafka, f"{topics[0]}-{OPEN}") as producer:
        await producer.begin_transaction()
        return await _send(producer, topics, OPEN)


@asynccontextmanager
async def _producer(kafka: str, transactional_id: str) -> AsyncIterator[aiokafka.AIOKafkaProducer]:
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=kafka,
        transactional_id=transactional_id,
        transaction_timeout_ms=LONG_MS,
        compression_type="lz4",
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def _send(producer: aiokafka.AIOKafkaProducer, topics: Sequence[str], state: str) -> list[tuple[str, str]]:
    """Send a message to every partition. Returns the topics and the ids."""
    sent = []
    for topic in topics:
        for partition in PARTITIONS:
            value = {"event_id": f"{state}/{topic}/{partition}", "type": "uncommitted"}
            await send(producer, topic, value, partition)
            sent.append((topic, value["event_id"]))
    return sent


async def send(producer: aiokafka.AIOKafkaProducer, topic: str, value: Mapping[str, Any], partition: int = 0) -> None:
    """Send a value, with the id as its only header: consumers use the values."""
    headers = [("ce_id", value["event_id"].encode())]
    await producer.send_and_wait(topic, msgspec.json.encode(value), key=b"1", partition=partition, headers=headers)
