"""The transactional producer: what the promise needs of aiokafka's, how it is opened and how it is closed."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import aiokafka
import anyio
from aiokafka.codec import lz4_encode
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidTransactionTimeout,
    ProducerFenced,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.structs import TopicPartition

from collector.errors import KafkaMisconfigured
from collector.kafka.connection import CLOSE_S, options, start, stop
from collector.kafka.settings import KafkaSettings

MAX_BATCH_BYTES = 256 << 10
"""Of a prebuilt batch: prebuilt batches are not split, so one must fit into the topic's max.message.bytes (1 MiB)."""
LZ4_LEVEL = 1
"""aiokafka's is 9: a third of all the time that a backfill takes, for a fifth less on the wire."""
lz4_encode.__defaults__ = (LZ4_LEVEL,)  # there is no public way to set it; librdkafka's is the same
_DROP_S = 1.0
"""How long a producer that did not stop may take to close its connections."""


class Fenced(Exception):  # noqa: N818 - named by what happened
    """Another process has taken the transactional id over: nothing of this producer can be committed any more."""


class Producer(aiokafka.AIOKafkaProducer):  # type: ignore[misc]
    """Two things that the promise needs and aiokafka has no public way for."""

    ends_sent = 0
    """How often the end of the transaction was requested.

    When no answer comes, aiokafka requests it again by itself, over another connection. The first request may still be
    on its way, and would end whichever transaction it finds open, half-way: it names the same producer and epoch.
    """
    failure: Exception | None = None
    """Why the last transaction did not commit, translated; None while each one did."""

    async def start(self) -> None:
        await super().start()
        sender, add, end = self._sender, self._sender._do_add_partitions_to_txn, self._sender._do_txn_commit  # noqa: SLF001
        self._answered = asyncio.Event()

        async def answered(partitions: object) -> object:
            try:
                return await add(partitions)
            finally:
                self._answered.set()

        async def counted(result: object) -> object:
            self.ends_sent += 1
            return await end(result)

        sender._do_add_partitions_to_txn = answered  # noqa: SLF001
        sender._do_txn_commit = counted  # noqa: SLF001

    async def add_to_transaction(self, places: Iterable[tuple[str, int]]) -> None:
        """Register every partition of the transaction with the coordinator, before anything is sent to one.

        aiokafka does so by itself as batches come, but sends them also when the coordinator has refused: a batch that
        reaches a partition ahead of the previous transaction's marker is then committed by that one. Raises
        TopicAuthorizationFailedError, whose argument is the topics.
        """
        manager = self._txn_manager
        ended = manager.wait_for_transaction_end()
        for place in places:
            manager.maybe_add_partition_to_txn(TopicPartition(*place))
        while manager.partitions_to_add() and not ended.done():
            self._answered.clear()
            answered = asyncio.ensure_future(self._answered.wait())
            await asyncio.wait((answered, ended), return_when=asyncio.FIRST_COMPLETED)
            answered.cancel()
        if ended.done():
            ended.result()


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
            await start(producer, settings, settings.commit_deadline_s)
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
        if (sender := producer._sender.sender_task) is not None:  # noqa: SLF001 - there is no public way to drop it
            sender.cancel()
        with anyio.move_on_after(_DROP_S):
            await producer.client.close()


def translated(error: Exception, settings: KafkaSettings) -> Exception:
    """A client's error as what the caller does next: Fenced, Refused, TimeoutError, or the error itself."""
    match error:
        case ProducerFenced() | InvalidProducerEpoch():
            return Fenced("another process took the partition over")
        case TransactionalIdAuthorizationFailed():
            return no_permission()
        case InvalidTransactionTimeout():
            return too_long_for_the_brokers(settings)
        case TimeoutError():
            return TimeoutError("the transaction did not end within its deadline")
        case _:
            return error


def no_permission() -> KafkaMisconfigured:
    """The error of a user that may not use the transactional ids."""
    return KafkaMisconfigured(
        "no permission for the transactional ids",
        advice="allow the collector's user to Describe and Write transactional ids that begin with kafka.group",
    )


def too_long_for_the_brokers(settings: KafkaSettings, limit_s: float | None = None) -> KafkaMisconfigured:
    """The error of a transaction timeout above the brokers' limit, in seconds where it is known."""
    own_s = settings.transaction_timeout.total_seconds()
    limit = "the brokers allow" if limit_s is None else f"the {limit_s:g} s that the brokers allow"
    return KafkaMisconfigured(
        f"kafka.transaction_timeout = {own_s:g} s is longer than {limit} (transaction.max.timeout.ms)",
        advice="lower kafka.transaction_timeout, or raise the brokers' limit",
    )
