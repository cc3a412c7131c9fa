"""The backfill: sessions of five attention, five emotion and two movie intervals each, and what they become."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from collector.cloudevents import Message
from collector.model import DedupMode, Window
from collector.pipeline.batch import Context, batches
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import Ledger
from collector.pipeline.message import Origin
from collector.vendors.seemetrix import events, wire

SESSIONS = 200_000
EVENTS_A_SESSION = 13
SINCE = datetime(2026, 10, 1, tzinfo=UTC)
UNTIL = datetime(2026, 10, 11, tzinfo=UTC)
DEVICES = 20
USER, KEY = 864, "bench"


def session(number: int, number_of_all: int) -> tuple[datetime, bytes]:
    """One session's begin, and the session as the vendor writes it. The same for the same number."""
    random = Random(number)
    begin = SINCE + (UNTIL - SINCE) * (number / number_of_all)
    begin = begin.replace(microsecond=begin.microsecond // 1000 * 1000)
    looks = [{"a": (index + 1) % 2, "d": random.randrange(500, 20_000)} for index in range(5)]
    total = sum(look["d"] for look in looks)
    told = {
        "a": random.randrange(4),
        "at": looks,
        "b": _written(begin),
        "d": 5300 + number % DEVICES,
        "e": _written(begin + timedelta(milliseconds=total)),
        "em": [{"d": total // 5, "e": random.randrange(-1, 4)} for _ in range(5)],
        "i": total,
        "o": number,
        "s": random.randrange(2),
        "v": [{"d": total, "i": 8000 + random.randrange(40), "s": 0} for _ in range(2)],
    }
    return begin, json.dumps(told).encode()


def answer(rows: list[bytes]) -> bytes:
    return b'{"objects":[' + b",".join(rows) + b"]}"


def messages(sessions: int) -> Iterator[Message]:
    """What the collector would publish of the first sessions, encoded."""
    rows = [session(number, SESSIONS)[1] for number in range(sessions)]
    deduplicator: Deduplicator[Any] = Deduplicator(
        Ledger(DedupMode.VERSIONED), since_ms=-(1 << 62), until_ms=None, final_s=-(1 << 62), requested_s=0
    )
    deduplicator.add(wire.read(wire.rows(answer(rows))))
    origin = Origin("seemetrix", "mall", "sessions")
    context = Context(DedupMode.VERSIONED, origin, Window(SINCE, UNTIL), UNTIL, SINCE, live=False)

    def explode(record: Any, digest: str, number: int) -> Any:  # noqa: ANN401 - as the stream has it
        return events.explode_session(record, digest, number, "mall")

    for batch in batches(deduplicator, explode, context):
        yield from batch.messages


def _written(instant: datetime) -> str:
    return instant.replace(tzinfo=None).isoformat(timespec="microseconds")
