"""The transactional producer: what the promise needs of aiokafka's, how it is opened and how it is closed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiokafka
import anyio
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidTransactionTimeout,
    ProducerFenced,
    TransactionalIdAuthorizationFailed,
)

from collector.kafka import causes
from collector.kafka.connection import CLOSE_S, options, start, stop
from collector.kafka.hooks import TransactionHook, cancel_sender, set_lz4_level
from collector.kafka.settings import KafkaSettings

MAX_BATCH_BYTES = 256 << 10
"""Of a prebuilt batch: prebuilt batches are not split, so one must fit into the topic's max.message.bytes (1 MiB)."""
LZ4_LEVEL = 1
"""aiokafka's is 9: a third of all the time that a backfill takes, for a fifth less on the wire. librdkafka's is 1."""
set_lz4_level(LZ4_LEVEL)
_DROP_S = 1.0
"""How long a producer that did not stop may take to close its connections."""


class Fenced(Exception):  # noqa: N818 - named by what happened
    """Another process has taken the transactional id over: nothing of this producer can be committed any more."""


class Producer(aiokafka.AIOKafkaProducer):  # type: ignore[misc]
    """A producer that also knows how its transactions are registered and ended, and why the last one failed."""

    transactions: TransactionHook
    """Set once it is started."""
    failure: Exception | None = None
    """Why the last transaction did not commit, translated; None while each one did."""

    async def start(self) -> None:
        await super().start()
        self.transactions = TransactionHook(self)


@asynccontextmanager
async def opened(settings: KafkaSettings, transactional_id: str) -> AsyncIterator[Producer]:
    """A producer that has fenced every earlier one of its id and ended what that left open; closed at the end.

    Raises Fenced, Refused, KafkaError, OSError or TimeoutError when it cannot be opened.
    """
    producer = Producer(
        **options(settings),
        transactional_id=transactional_id,
        transaction_timeout_ms=int(settings.transaction_timeout.total_seconds() * 1000),
        compression_type=None if settings.compression == "none" else settings.compression,
        max_batch_size=MAX_BATCH_BYTES,
    )
    try:
        try:
            await start(producer, settings.commit_deadline_s)
        except Exception as error:
            raise translated(error, settings) from error
        yield producer
    finally:
        with anyio.CancelScope(shield=True):
            await _close(producer)


async def _close(producer: Producer) -> None:
    """Abort what is open, since stop() does not and readers would stall; then close, or leave it behind.

    Soon, since the next epoch waits for it, and aborts what is still open. A Kafka that did not answer the commit is
    not asked to abort it.
    """
    ends = anyio.current_time() + CLOSE_S
    if producer.failure is not None and not isinstance(producer.failure, Fenced | TimeoutError):
        with anyio.CancelScope(deadline=ends):
            try:
                await producer.abort_transaction()
            except Exception as error:  # noqa: BLE001 - the broker aborts it after transaction_timeout
                del error
    if not await stop(producer, max(0.0, ends - anyio.current_time())):
        # What it still wants to send would be refused, since the next producer fences it; but it would retry endlessly.
        cancel_sender(producer)
        with anyio.move_on_after(_DROP_S):
            await producer.client.close()


def translated(error: Exception, settings: KafkaSettings) -> Exception:
    """A client's error as what the caller does next: Fenced, Refused, TimeoutError, or the error itself."""
    match error:
        case ProducerFenced() | InvalidProducerEpoch():
            return Fenced("another process took the partition over")
        case TransactionalIdAuthorizationFailed():
            return causes.transactional_id_denied(settings)
        case InvalidTransactionTimeout():
            return causes.transaction_timeout(settings)
        case TimeoutError():
            return TimeoutError("the transaction did not end within its deadline")
        case _:
            return error
