"""The collector's CPU time by stage: calls its own functions one after the other, with one response."""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import anyio
from rich.table import Table

from bench.history import EVENTS_PER_SESSION, KEY, SINCE, USER
from collector.clock import SystemClock
from collector.cloudevents import Message
from collector.kafka.producer import MAX_BATCH_BYTES, Producer
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure_topics
from collector.kafka.transaction import transact
from collector.model import Account, DedupMode, Window
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import Ledger
from collector.pipeline.message import Origin, event_message, record_digest
from collector.steps import at_once
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors.http import http
from collector.vendors.seemetrix import events, wire
from collector.vendors.seemetrix.client import Client
from collector.vendors.seemetrix.settings import SeemetrixSource

REPEATS = 3
PREFIX = "stages."
TOPICS = {PREFIX + kind.topic for kind in events.TYPES}


def table(url: str, kafka: str) -> Table:
    """The CPU time of each stage, in microseconds per session: the lowest of a few runs."""
    cpu_by_stage = anyio.run(_measure, url, kafka, backend_options={"use_uvloop": True})
    result = Table("stage of (a)", "µs CPU/session", "events/CPU s", title="CPU time by stage", title_justify="left")
    for stage, us in [*cpu_by_stage.items(), ("all stages", sum(cpu_by_stage.values()))]:
        result.add_row(stage, f"{us:.1f}", f"{EVENTS_PER_SESSION / us * 1e6:,.0f}")
    return result


async def _measure(url: str, kafka: str) -> dict[str, float]:
    source = SeemetrixSource.model_validate({"vendor": "seemetrix", "base_url": url, "user_id": USER, "user_key": KEY})
    window = Window(SINCE, SINCE + timedelta(hours=6))
    query = {"b": f"{window.start:%Y/%m/%d %H:%M:%S}", "e": f"{window.end:%Y/%m/%d %H:%M:%S}", "tzo": "0"}
    path = "/statistics/user/{user_id}/raw/data/"
    cpu_by_stage: dict[str, float] = {}
    async with http(SystemClock()) as client:
        vendor = Client("mall", source, client, standalone_telemetry())

        async def fetch() -> bytes:
            with await vendor.get(path, query) as response:
                return response.body

        body, fetch_s = await _best_async(fetch)
    records, decode_s = _best(lambda: list(wire.read(at_once(wire.decode(body)))))
    count = len(records)

    def deduplicate() -> list[Any]:
        deduplicator: Deduplicator[Any] = Deduplicator.without_limits(Ledger(DedupMode.VERSIONED), requested_s=0)
        deduplicator.add(records)
        return list(deduplicator.take_new())

    new, deduplicate_s = _best(deduplicate)
    records_to_publish = [each.record for new_records in new for each in new_records.records]
    origin = Origin(Account("seemetrix", "632"), "mall", "sessions", topic_prefix=PREFIX)
    digests, digest_s = _best(
        lambda: [record_digest(DedupMode.VERSIONED, record, 0, origin.account) for record in records_to_publish]
    )
    exploded, explode_s = _best(
        lambda: [
            event
            for record, digest in zip(records_to_publish, digests, strict=True)
            for event in events.explode_session(record, digest, 0, 632)
        ]
    )
    encoded, encode_s = _best(lambda: [event_message(event, origin) for event in exploded])
    cpu_by_stage |= {
        "fetch": fetch_s,
        "decode": decode_s,
        "ledger": deduplicate_s + digest_s,
        "explode": explode_s,
        "encode": encode_s,
    }
    cpu_by_stage |= await _send(kafka, encoded)
    return {stage: seconds / count * 1e6 for stage, seconds in cpu_by_stage.items()}


async def _send(kafka: str, encoded: Sequence[Message]) -> dict[str, float]:
    settings = KafkaSettings(bootstrap_servers=kafka, topic_prefix=PREFIX)
    await ensure_topics(settings, TOPICS)
    producer = Producer(
        bootstrap_servers=kafka, transactional_id="stages", compression_type="lz4", max_batch_size=MAX_BATCH_BYTES
    )
    async with producer:

        async def commit() -> None:
            for first in range(0, len(encoded), 8_000):
                await transact(producer, settings, encoded[first : first + 8_000], {0: {}}, {})

        _, commit_s = await _best_async(commit)
    return {"pack, send, commit": commit_s}


def _best(run: Callable[[], Any]) -> tuple[Any, float]:
    """The result, and the CPU seconds of the fastest of several runs."""
    best, result = float("inf"), None
    for _ in range(REPEATS):
        started = time.process_time()
        result = run()
        best = min(best, time.process_time() - started)
    return result, best


async def _best_async(run: Callable[[], Awaitable[Any]]) -> tuple[Any, float]:
    """As `_best`, for an asynchronous function."""
    best, result = float("inf"), None
    for _ in range(REPEATS):
        started = time.process_time()
        result = await run()
        best = min(best, time.process_time() - started)
    return result, best
