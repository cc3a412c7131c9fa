"""One ownership of one state partition: fence, restore, hand out commit; if anything goes wrong, begin again.

The order is the promise (KIP-98, KIP-618): a new producer with the partition's transactional id fences every earlier
owner and ends what it left open; only then is the state read, up to its end; only then may anything be committed.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic

import anyio
import msgspec
from aiokafka.errors import (
    InvalidProducerEpoch,
    ProducerFenced,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.partitioner import murmur2
from msgspec import Struct

from collector.crash import crash_point
from collector.errors import EpochEnded, Refused
from collector.kafka.connection import CLOSE_S, options, start
from collector.kafka.restore import restore
from collector.kafka.settings import KafkaSettings
from collector.kafka.transaction import BATCH_BYTES, Producer, transact
from collector.model import Message
from collector.telemetry.kafka import KafkaTelemetry

HEADER = b"#header"
"""The key of a state partition's header; no stream has such a name."""
RESTORE_S = 120.0
"""A partition of three million entries is some 100 MB: read in seconds; longer means that something hangs."""
_FENCED = (ProducerFenced, InvalidProducerEpoch)


class Fenced(Exception):  # noqa: N818 - named by what happened
    """Another process has taken the partition over."""


class Header(Struct, frozen=True):
    """To whom a state partition belongs."""

    version: int
    group: str
    partitions: int


class Epoch:
    """The right to commit, until it ends."""

    def __init__(
        self,
        partition: int,
        pairs: dict[bytes, bytes],
        producer: Producer,
        settings: KafkaSettings,
        tell: KafkaTelemetry,
    ) -> None:
        self.partition = partition
        self.pairs = pairs
        """What was restored: for whoever begins from it, who may take it away."""
        self.over: Exception | None = None
        """Why nothing can be committed any more."""
        self.commits = 0
        self._producer = producer
        self._settings = settings
        self._tell = tell
        self._turn = anyio.Lock()

    async def commit(self, messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        """One transaction. Streams take turns; who waits may be cancelled, who is in it is not.

        Raises EpochEnded when it is not known to be durable: then nothing of this epoch may be kept. Raises Refused for
        a trouble of this batch's own, which ends the epoch too.
        """
        async with self._turn:
            if self.over is not None:
                raise EpochEnded from self.over
            with anyio.CancelScope(shield=True):
                began = monotonic()
                try:
                    with anyio.fail_after(self._settings.commit_deadline_s):
                        await transact(
                            self._producer,
                            messages,
                            prefix=self._settings.topic_prefix,
                            state=state,
                            state_topic=self._settings.state_topic,
                            state_partition=self.partition,
                        )
                except Exception as error:
                    self.over = _translated(error)
                    if isinstance(self.over, Fenced):
                        self._tell.fenced(self.partition)
                    else:
                        self._tell.aborted(str(self.over))
                    raise self.over if isinstance(self.over, Refused) else EpochEnded from error
                self.commits += 1
                self._tell.committed(monotonic() - began)


@asynccontextmanager
async def epoch(
    partition: int, settings: KafkaSettings, tell: KafkaTelemetry, still_ours: Callable[[], bool]
) -> AsyncIterator[Epoch]:
    """Take the partition over, and give it back at the end.

    Raises Fenced, Refused, KafkaError, OSError or TimeoutError when it cannot be taken.
    """
    began = monotonic()
    producer = Producer(
        **options(settings),
        transactional_id=settings.transactional_id(partition),
        transaction_timeout_ms=int(settings.transaction_timeout.total_seconds() * 1000),
        compression_type=None if settings.compression == "none" else settings.compression,
        max_batch_size=BATCH_BYTES,
    )
    holding: Epoch | None = None
    try:
        await start(producer, settings, settings.commit_deadline_s)
        crash_point("after_init")
        if not still_ours():
            raise Fenced("the partition was assigned to another replica before the epoch began")
        with anyio.fail_after(RESTORE_S):
            holding = Epoch(partition, await restore(settings, partition), producer, settings, tell)
        try:
            await _check_header(holding, settings)
        except EpochEnded as error:
            raise holding.over or error from error
        tell.epoch_began(partition, monotonic() - began, len(holding.pairs))
        yield holding
    except (*_FENCED, TransactionalIdAuthorizationFailed) as error:
        raise _translated(error) from error
    finally:
        with anyio.CancelScope(shield=True):
            await _close(producer, holding)


async def _check_header(holding: Epoch, settings: KafkaSettings) -> None:
    ours = Header(1, settings.group, settings.state_partitions)
    written = holding.pairs.get(HEADER)
    if written is None:
        if holding.pairs:
            raise Refused(
                f"partition {holding.partition} of {settings.state_topic} holds something else than our state",
                advice="set kafka.topic_prefix, so that the state topic is the collector's own",
            )
        await holding.commit((), {HEADER: msgspec.json.encode(ours)})
        return
    try:
        theirs = msgspec.json.decode(written, type=Header)
    except msgspec.MsgspecError:
        theirs = None
    if theirs != ours:
        raise Refused(
            f"{settings.state_topic} belongs to another deployment: {written.decode('utf-8', 'replace')}",
            advice="set kafka.group and kafka.state_partitions as they were, or another kafka.topic_prefix",
        )


async def _close(producer: Producer, holding: Epoch | None) -> None:
    """Abort what is open, since stop() does not and readers would stall; then close, or leave it behind.

    Soon, since the next epoch waits for it, and aborts what is still open. A Kafka that did not answer the commit is
    not asked to abort it.
    """
    ends = anyio.current_time() + CLOSE_S
    if holding is not None and holding.over is not None and not isinstance(holding.over, Fenced | TimeoutError):
        with anyio.CancelScope(deadline=ends):
            try:
                await producer.abort_transaction()
            except Exception as error:  # noqa: BLE001 - the broker aborts it after transaction_timeout
                del error
    with anyio.CancelScope(deadline=ends) as closing:
        await producer.stop()
    if closing.cancelled_caught:
        # What it still wants to send would be refused, since the next producer fences it; but it would try for ever.
        if (sender := producer._sender.sender_task) is not None:  # noqa: SLF001 - there is no public way to drop it
            sender.cancel()
        with anyio.move_on_after(1):
            await producer.client.close()


def _translated(error: Exception) -> Exception:
    if isinstance(error, _FENCED):
        return Fenced("another process took the partition over")
    if isinstance(error, TransactionalIdAuthorizationFailed):
        return no_permission()
    if isinstance(error, TimeoutError):
        return TimeoutError("the transaction did not end within its deadline")
    return error


def no_permission() -> Refused:
    return Refused(
        "no permission for the transactional ids",
        advice="allow the collector's user to Describe and Write transactional ids that begin with kafka.group",
    )


def partition_of(account: str, partitions: int) -> int:
    """The state partition of an account: murmur2, as keys are partitioned."""
    return int(murmur2(account.encode()) & 0x7FFFFFFF) % partitions
