"""Writes the state that accounts leave which have been at the live edge for days."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import anyio

from collector.commands import state as state_command
from collector.config import load
from collector.instants import unix_s
from collector.kafka.epoch import partition_of
from collector.kafka.producer import open_producer
from collector.kafka.settings import KafkaSettings
from collector.kafka.transaction import transact
from collector.model import Account, Checkpoint
from collector.pipeline.ledger import PAGE_S
from collector.pipeline.page import ENTRY, Chunk
from collector.pipeline.state import stream_prefix
from collector.pipeline.state_records import chunk_key, encode_checkpoint, encode_chunk
from collector.vendors.seemetrix.wire import FIELDS_VERSION

POLL_S = 60
TRANSACTION_BYTES = 8 << 20


def write_state(config: Path, accounts: Sequence[int], entries: int, days: int, now: datetime) -> None:
    """Write headers, and for each Seemetrix account so many ledger entries, evenly over the last days.

    Each minute has added a chunk to the page of its time, as the polls of a live stream do.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it warns of each partition that has no leader yet
    state_command.init(config)
    sources = {int(source.account.user): name for name, source in load(config).sources.items()}
    chunks = list(_chunks(now - timedelta(days=days), now, entries))
    anyio.run(_write, load(config).kafka, {sources[each]: each for each in accounts}, chunks, days, now)


def spread_accounts(partitions: int) -> Sequence[int]:
    """Accounts of which each one is in a state partition of its own, for all partitions."""
    found: dict[int, int] = {}
    number = 0
    while len(found) < partitions:
        number += 1
        found.setdefault(partition_of(str(Account("seemetrix", str(number))), partitions), number)
    return sorted(found.values())


def _chunks(start: datetime, end: datetime, entries: int) -> Iterator[tuple[int, int, bytes]]:
    """The chunks of one stream: page, number within the page, and value."""
    random, minutes, written = Random(1), range(unix_s(start), unix_s(end), POLL_S), 0
    for index, minute in enumerate(minutes, 1):
        number = entries * index // len(minutes) - written
        written += number
        packed = b"".join(ENTRY.pack(random.randbytes(8), random.randbytes(8), 0) for _ in range(number))
        yield (
            minute // PAGE_S,
            minute % PAGE_S // POLL_S,
            encode_chunk(Chunk(packed, minute + POLL_S - 1, FIELDS_VERSION)),
        )


async def _write(
    kafka: KafkaSettings,
    accounts: Mapping[str, int],
    chunks: Sequence[tuple[int, int, bytes]],
    days: int,
    now: datetime,
) -> None:
    start = now - timedelta(days=days)
    checkpoint = Checkpoint(start, now, start, span=timedelta(hours=1), swept_at=now, selection="every device")
    async with open_producer(kafka, f"{kafka.transactional_id_prefix}bench") as producer:
        for source, number in accounts.items():
            account = Account("seemetrix", str(number))
            partition, prefix = partition_of(str(account), kafka.state_partitions), _prefix(account, source)
            pairs: dict[bytes, bytes | None] = {prefix.encode(): encode_checkpoint(checkpoint)}
            size = 0
            for page, nth, value in chunks:
                pairs[chunk_key(prefix, page, nth)] = value
                size += len(value)
                if size > TRANSACTION_BYTES:
                    await transact(producer, kafka, (), {partition: pairs}, {})
                    pairs, size = {}, 0
            if pairs:
                await transact(producer, kafka, (), {partition: pairs}, {})


def _prefix(account: Account, source: str) -> str:
    return stream_prefix(account, source, "sessions")
