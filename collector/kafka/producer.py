"""Opens and closes the transactional producer, and translates its errors."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiokafka
import anyio
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidTransactionTimeout,
    ProducerFenced,
    TransactionalIdAuthorizationFailed,
)

from collector.kafka import causes
from collector.kafka.connection import CLOSE_S, options, start_client, stop_client
from collector.kafka.hooks import Sessions, TransactionHook, cancel_sender, set_levels
from collector.kafka.records import CODECS, RecordBatch
from collector.kafka.settings import KafkaSettings

MAX_BATCH_BYTES = 256 << 10
"""The size of a prebuilt batch. It is not split, so it must fit into max.message.bytes of the topic (1 MiB)."""
LEVELS = {"lz4": 1, "zstd": 1, "gzip": 6}
"""By measurement (`bench/codecs.py`): aiokafka's own levels take up to ten times the CPU time for a few percent of the
bytes."""
set_levels(**LEVELS)
_DROP_S = 1.0
"""How long a producer that did not stop may take to close its connections."""


class Fenced(Exception):  # noqa: N818 - named by what happened
    """Another process now uses the transactional id, so this producer can commit nothing more.

    The caller starts a new producer only after the group has confirmed its assignment.
    """


class Producer(aiokafka.AIOKafkaProducer):  # type: ignore[misc]
    """A producer that controls how its transactions are registered and ended, and keeps why the last one failed."""

    transactions: TransactionHook
    """Available once the producer is started."""
    failure: Exception | None = None
    """The translated error of the last transaction; None while every transaction has been committed."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of aiokafka
        super().__init__(**options)
        self._codec = CODECS[options.get("compression_type")]
        self.sessions = Sessions(self)

    async def start(self) -> None:
        await super().start()
        self.transactions = TransactionHook(self)

    def create_batch(self) -> RecordBatch:
        return RecordBatch(MAX_BATCH_BYTES, self._codec, int(time.time() * 1000))

    async def stop(self) -> None:
        self.sessions.close()
        await super().stop()


@asynccontextmanager
async def open_producer(settings: KafkaSettings, transactional_id: str) -> AsyncIterator[Producer]:
    """A producer that has fenced every earlier one of its id and aborted their open transaction; closed at the end.

    Raises KafkaMisconfigured for what an operator must change; Fenced, KafkaError, OSError or TimeoutError when the
    caller can retry.
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
            await start_client(producer, settings.commit_deadline_s)
        except Exception as error:
            raise translated(error, settings) from error
        yield producer
    finally:
        with anyio.CancelScope(shield=True):
            await _close(producer)


async def _close(producer: Producer) -> None:
    """Abort the open transaction, since stop() does not and consumers would stall; then close, within CLOSE_S.

    The next epoch waits for this, and aborts what is still open. After a commit that timed out, no abort is requested:
    Kafka would not respond to it either.
    """
    deadline = anyio.current_time() + CLOSE_S
    if producer.failure is not None and not isinstance(producer.failure, Fenced | TimeoutError):
        with anyio.CancelScope(deadline=deadline):
            try:
                await producer.abort_transaction()
            except Exception as error:  # noqa: BLE001 - the broker aborts it after transaction_timeout
                del error
    if not await stop_client(producer, max(0.0, deadline - anyio.current_time())):
        cancel_sender(producer)  # the next producer fences this one, so nothing that it still sends is committed
        with anyio.move_on_after(_DROP_S):
            await producer.client.close()


def translated(error: Exception, settings: KafkaSettings) -> Exception:
    """A client's error by what the caller does next: Fenced, KafkaMisconfigured, TimeoutError, or the error itself."""
    match error:
        case ProducerFenced() | InvalidProducerEpoch():
            return Fenced("another process took the partition over")
        case TransactionalIdAuthorizationFailed():
            return causes.transactional_id_denied(settings)
        case InvalidTransactionTimeout():
            return causes.transaction_timeout(settings)
        case TimeoutError():
            return TimeoutError("the transaction did not end before its deadline")
        case _:
            return error
