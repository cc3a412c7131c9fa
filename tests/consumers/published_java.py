"""Messages by the contract for the Java consumers, in transactions whose order a test chooses."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import aiokafka
import msgspec
from aiokafka.admin import NewTopic
from msgspec import Struct

from collector.kafka.reader import CommittedReader, open_reader
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin
from tests.kafka.daemon import EVENTS

PARTITIONS = 3
LONG_MS = 600_000
"""The broker does not abort an open transaction during a test."""


class Sent(Struct, frozen=True):
    """A message; `topic` is without the prefix."""

    topic: str
    key: str
    value: dict[str, Any]

    @property
    def partition(self) -> int:
        """Chosen here, so that a test knows what is behind an open transaction: the last digit of the key."""
        return int(self.key[-1]) % PARTITIONS if self.key[-1].isdigit() else 0


def session(number: int, started_at: str, *, revision: int = 0, parts: int = 0, device: int = 5315) -> Sent:
    """The event of a session with this number of attention intervals, which `attention` returns."""
    record = f"seemetrix/371/session/{device}/{number}/{started_at}"
    value = {
        **_common(f"{number}r{revision}/session/0", "seemetrix.session.v1", "mall"),
        "record_id": record,
        "revision": revision,
        "device_id": device,
        "session_number": number,
        "started_at": started_at,
        "ended_at": _later(started_at, 9),
        "duration_ms": 9000,
        "attention_ms": None,
        "gender": "female",
        "gender_code": 0,
        "age_group": "young_adult",
        "age_code": 1,
        "attention_count": parts,
        "emotion_count": 0,
        "content_view_count": 0,
    }
    return Sent("seemetrix.sessions", str(device), value)


def attention(of: Sent) -> list[Sent]:
    """The attention intervals of a session."""
    whole = of.value
    digest, same = whole["event_id"].partition("/")[0], ("device_id", "session_number", "gender", "age_group")
    return [
        Sent(
            "seemetrix.attention",
            of.key,
            {
                **_common(f"{digest}/attention/{position}", "seemetrix.attention.v1", "mall"),
                "record_id": whole["record_id"],
                "revision": whole["revision"],
                "session_event_id": whole["event_id"],
                "position": position,
                "looking": position % 2 == 0,
                "started_at": _later(whole["started_at"], position),
                "duration_ms": 1000,
                "ended_at": _later(whole["started_at"], position + 1),
                **{name: whole[name] for name in same},
            },
        )
        for position in range(whole["attention_count"])
    ]


def viewer(location: int, started_at: str, occurrence: int = 0) -> Sent:
    local, unknown = started_at[:19], ("vr_id", "footfall_id", "footfall_started_at", "mood")
    record = f"quividi/airport/viewer/{location}/{local}/2-2-2400-800/{occurrence}"
    value = {
        **_common(f"{location}{local}{occurrence}/viewer/0", "quividi.viewer.v1", "airport"),
        "record_id": record,
        "location_id": location,
        "started_at": started_at,
        "started_local": local,
        "utc_offset_s": 0,
        "ambiguous": False,
        "ended_at": _later(started_at, 2),
        "dwell_ms": 2000,
        "attention_ms": 800,
        "gender": "female",
        "gender_code": 2,
        "age_group": "young_adult",
        "age_code": 2,
        "age_years": 27.0,
        "glasses": None,
        "mustache": None,
        "beard": None,
        "occurrence": occurrence,
        **dict.fromkeys(unknown),
    }
    return Sent("quividi.viewers", str(location), value)


def progress(final: str, source: str = "airport", stream: str = "viewers") -> Sent:
    vendor = {"airport": "quividi", "mall": "seemetrix"}[source]
    value = {
        **_common(f"{source}{final}/progress/0", "collector.progress.v1", source, vendor),
        "stream": stream,
        "watermark": _later(final, 600),
        "final": final,
        "state": "live",
        "committed_at": _later(final, 900),
    }
    return Sent("collector.progress", f"{source}/{stream}", value)


def _common(event_id: str, kind: str, source: str, vendor: str = "") -> dict[str, Any]:
    return {"event_id": event_id, "type": kind, "vendor": vendor or kind.partition(".")[0], "source": source}


def _later(time: str, seconds: int) -> str:
    moment = datetime.fromisoformat(time) + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"


async def create_topics(kafka: str, prefix: str) -> None:
    """Create the topics as the collector creates them."""
    names = (*EVENTS, "quividi.viewers")
    topics = [NewTopic(prefix + name, PARTITIONS, 1) for name in names]
    compacted = {"cleanup.policy": "compact"}
    topics.append(NewTopic(f"{prefix}collector.progress", PARTITIONS, 1, topic_configs=compacted))
    async with admin(KafkaSettings(bootstrap_servers=kafka)) as client:
        await client.create_topics(topics)


class Transactions:
    """Sends messages in transactions of one producer."""

    def __init__(self, producer: aiokafka.AIOKafkaProducer, prefix: str) -> None:
        self._producer, self._prefix = producer, prefix

    async def commit(self, *messages: Sent) -> None:
        """Send the messages, after those of `begin`, and commit."""
        await self.begin(*messages)
        await self._producer.commit_transaction()

    async def begin(self, *messages: Sent) -> None:
        """Send messages in an open transaction."""
        if not self._producer._txn_manager.is_in_transaction():
            await self._producer.begin_transaction()
        for message in messages:
            await self._producer.send_and_wait(
                self._prefix + message.topic,
                msgspec.json.encode(message.value),
                key=message.key.encode(),
                partition=message.partition,
            )

    async def abort(self, *messages: Sent) -> None:
        """Send the messages, after those of `begin`, and abort."""
        await self.begin(*messages)
        await self._producer.abort_transaction()


@asynccontextmanager
async def transactions(kafka: str, prefix: str, name: str) -> AsyncIterator[Transactions]:
    """A producer, whose open transaction stays open until the end of the block."""
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=kafka,
        transactional_id=f"{prefix}{name}",
        transaction_timeout_ms=LONG_MS,
        compression_type="lz4",  # the collector's default
    )
    await producer.start()
    try:
        yield Transactions(producer, prefix)
    finally:
        await producer.stop()


@asynccontextmanager
async def results(kafka: str, topic: str) -> AsyncIterator["Results"]:
    async with open_reader(KafkaSettings(bootstrap_servers=kafka)) as reader:
        yield Results(reader, topic)


class Results:
    """All messages that a program has committed to a topic, which it may create later."""

    def __init__(self, reader: CommittedReader, topic: str) -> None:
        self._reader, self._topic = reader, topic
        self._read: list[tuple[str, Any]] = []

    async def poll(self) -> Sequence[tuple[str, Any]]:
        """Return keys and values in the order of each partition."""
        if self._reader.is_assigned or await self._reader.assign_topics([self._topic]):
            self._read += [
                (record.key.decode(), msgspec.json.decode(record.value)) for record in await self._reader.poll()
            ]
        return self._read
