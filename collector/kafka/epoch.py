"""One ownership of one state partition: fence, find the end, restore, commit. Any failure ends it.

The order of the steps is what makes commits exactly once (KIP-98, KIP-618):

1. A new producer with the partition's transactional id fences every earlier owner and aborts its open transaction.
2. A barrier, a small record, is committed through that producer. Its offset, as the broker acknowledged it, is the end
   of what has to be restored.
3. The state is restored up to the barrier.
4. The header is verified: a partition without a header is refused.
5. Only then may anything else be committed. Each state record must be appended above all earlier ones.
"""

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic

import anyio
from aiokafka.partitioner import murmur2
from msgspec import Struct

from collector.cloudevents import Message
from collector.crash import crash_point
from collector.errors import EpochEnded, KafkaMisconfigured
from collector.kafka.connection import reason_of
from collector.kafka.header import BARRIER, TRUNCATED, StateLost, verify_header
from collector.kafka.producer import Fenced, Producer, opened
from collector.kafka.reader import Progress
from collector.kafka.restore import restore
from collector.kafka.settings import KafkaSettings
from collector.kafka.transaction import transact
from collector.telemetry.kafka import KafkaTelemetry

MAX_RESTORES = 4
"""Partitions restored at a time. Each needs twice its memory while it is read, and one core decodes no faster."""
_NONCE_BYTES = 16


class SeenOffset(Struct):
    """The largest offset that this process appended to a state partition. It outlives epochs."""

    last: int = -1
    """-1 when there is none."""
    header: str = ""
    """The id of the header that the partition had then. With another id, an operator accepted the loss of records, and
    offsets are not comparable."""


class Epoch:
    """The right to commit to one state partition, until a commit fails or another process fences this one."""

    def __init__(
        self,
        partition: int,
        pairs: dict[bytes, bytes],
        producer: Producer,
        settings: KafkaSettings,
        telemetry: KafkaTelemetry,
        seen: SeenOffset,
    ) -> None:
        self.partition = partition
        self.pairs = pairs
        """What was restored. The owner may take it away once the streams have started from it: it may be large."""
        self.failure: Exception | None = None
        """Why nothing more can be committed."""
        self.commits = 0
        self._seen = seen
        self._producer = producer
        self._settings = settings
        self._telemetry = telemetry
        self._lock = anyio.Lock()

    async def commit(self, messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        """Commit messages and state in one transaction. Streams that share the partition commit one after the other.

        Cancelling takes effect while the stream waits for its turn, and not during the transaction.

        Raises EpochEnded when the transaction may not be durable: the caller discards what it derived in this epoch and
        starts again from the restored state. Raises KafkaMisconfigured when an operator must change something that this
        batch needs, such as a topic; that ends the epoch too.
        """
        async with self._lock:
            if self.failure is not None:
                raise EpochEnded from self.failure
            started = monotonic()
            try:
                await _append(self._producer, self._settings, self.partition, self._seen, messages, state)
            except Exception as error:
                self.failure = error
                if isinstance(error, Fenced):
                    self._telemetry.fenced(self.partition)
                else:
                    self._telemetry.aborted(reason_of(error))
                raise error if isinstance(error, KafkaMisconfigured) else EpochEnded from error
            self.commits += 1
            self._telemetry.committed(monotonic() - started)


@asynccontextmanager
async def epoch(
    partition: int,
    settings: KafkaSettings,
    telemetry: KafkaTelemetry,
    is_assigned: Callable[[], bool],
    *,
    slots: anyio.Semaphore | None = None,
    seen: SeenOffset | None = None,
    progress: Progress = lambda *_: None,
) -> AsyncIterator[Epoch]:
    """Take the partition over, and close the producer at the end.

    `is_assigned` returns whether the group still assigns the partition to this process. `slots` limits how many
    partitions are restored at the same time. `seen` is what this process knows of the partition's offsets; it is
    updated. `progress` is called while the state is read.

    Raises HeaderMissing for a partition that was never claimed or has lost its state, KafkaMisconfigured for what an
    operator must change, and Fenced, KafkaError, OSError or TimeoutError, after which the caller tries again.
    """
    started = monotonic()
    seen = seen or SeenOffset()
    async with opened(settings, settings.transactional_id(partition)) as producer:  # 1.
        crash_point("after_init")
        if not is_assigned():
            raise Fenced("the partition was assigned to another replica before the epoch started")
        nonce, end = os.urandom(_NONCE_BYTES), SeenOffset()
        await _append(producer, settings, partition, end, (), {BARRIER: nonce})  # 2.
        crash_point("after_barrier")
        async with slots or anyio.Semaphore(1):
            if not is_assigned():
                raise Fenced("the partition was assigned to another replica before it was restored")
            pairs = await restore(settings, partition, end.last, progress)  # 3.
        if pairs.pop(BARRIER, None) != nonce:
            name = f"partition {partition} of {settings.state_topic}"
            raise ConnectionError(f"{name} was restored from a broker that lacks the barrier at offset {end.last}")
        await _verify(producer, settings, partition, pairs, seen, end)  # 4.
        telemetry.epoch_began(partition, monotonic() - started, len(pairs))
        yield Epoch(partition, pairs, producer, settings, telemetry, seen)  # 5.


async def _verify(
    producer: Producer,
    settings: KafkaSettings,
    partition: int,
    pairs: Mapping[bytes, bytes],
    seen: SeenOffset,
    end: SeenOffset,
) -> None:
    """Verify the header, and that the barrier is above all offsets that this process has seen; update `seen`.

    Raises HeaderMissing, StateLost, or KafkaMisconfigured for the state of another deployment or a marked partition.
    """
    header = verify_header(settings, partition, pairs)
    if header.id != seen.header:
        seen.last, seen.header = -1, header.id
    if end.last <= seen.last:
        lost = StateLost(settings.state_topic, partition, known=seen.last, landed=end.last)
        # Other processes do not know those offsets. The mark makes them refuse the partition as well.
        await _append(producer, settings, partition, end, (), {TRUNCATED: str(lost).encode()})
        raise lost
    seen.last = end.last


async def _append(
    producer: Producer,
    settings: KafkaSettings,
    partition: int,
    seen: SeenOffset,
    messages: Sequence[Message],
    state: Mapping[bytes, bytes | None],
) -> None:
    """Commit messages, and state records of the partition above the offset `seen.last`; update it. Not cancellable."""
    with anyio.CancelScope(shield=True):
        last = await transact(producer, settings, messages, {partition: state}, {partition: seen.last})
        seen.last = last.get(partition, seen.last)


def partition_of(account: str, partitions: int) -> int:
    """The state partition of an account: the murmur2 hash by which Kafka's clients partition keys."""
    return int(murmur2(account.encode()) & 0x7FFFFFFF) % partitions
