"""The benchmark's history: sessions with five attention, five emotion and two movie intervals, and their messages."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from collector.cloudevents import Message
from collector.model import Account, DedupMode, Window
from collector.pipeline.batch import Context, batches
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import Ledger
from collector.pipeline.message import Origin
from collector.steps import at_once
from collector.vendors.seemetrix import events, wire

SESSIONS = 200_000
EVENTS_PER_SESSION = 13
SINCE = datetime(2026, 10, 1, tzinfo=UTC)
UNTIL = datetime(2026, 10, 11, tzinfo=UTC)
DEVICES = 20
USER, KEY = 864, "bench-key"


def session(number: int, total: int) -> tuple[datetime, bytes]:
    """The start of a session, and its JSON as the vendor returns it. Depends only on the arguments."""
    start = SINCE + (UNTIL - SINCE) * (number / total)
    start = start.replace(microsecond=start.microsecond // 1000 * 1000)
    length_ms, fields = contents(Random(number))
    row = {
        **fields,
        "b": _raw_time(start),
        "d": 5300 + number % DEVICES,
        "e": _raw_time(start + timedelta(milliseconds=length_ms)),
        "o": number,
    }
    return start, json.dumps(dict(sorted(row.items()))).encode()


def contents(random: Random, looks: int = 5, plays: int = 2) -> tuple[int, Mapping[str, Any]]:
    """The length of a session in milliseconds, and the fields that depend on neither its start nor its device."""
    attentions = [{"a": (index + 1) % 2, "d": random.randrange(500, 20_000)} for index in range(looks)]
    length_ms = sum(each["d"] for each in attentions)
    return length_ms, {
        "a": random.randrange(4),
        "at": attentions,
        "em": [{"d": length_ms // looks, "e": random.randrange(-1, 4)} for _ in range(looks)],
        "i": length_ms,
        "s": random.randrange(2),
        "v": [{"d": length_ms, "i": 8000 + random.randrange(40), "s": 0} for _ in range(plays)],
    }


def response(rows: list[bytes]) -> bytes:
    return b'{"objects":[' + b",".join(rows) + b"]}"


def messages(sessions: int) -> Iterator[Message]:
    """The encoded messages that the collector publishes for the first sessions."""
    rows = [session(number, SESSIONS)[1] for number in range(sessions)]
    deduplicator: Deduplicator[Any] = Deduplicator.without_limits(Ledger(DedupMode.VERSIONED), requested_s=0)
    deduplicator.add(wire.read(at_once(wire.decode(response(rows)))))
    origin = Origin(Account("seemetrix", "632"), "mall", "sessions")
    context = Context(DedupMode.VERSIONED, origin, Window(SINCE, UNTIL), UNTIL, SINCE, is_live=False)

    def explode(record: Any, digest: str, number: int) -> Any:  # noqa: ANN401 - the signature of streams
        return events.explode_session(record, digest, number, 632)

    for batch in filter(None, batches(deduplicator, explode, context)):
        yield from batch.messages


def _raw_time(instant: datetime) -> str:
    return instant.replace(tzinfo=None).isoformat(timespec="microseconds")
