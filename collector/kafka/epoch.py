"""One ownership of one state partition: fence, find the end, restore, hand out commits. Whatever goes wrong ends it.

The order is the promise (KIP-98, KIP-618):

1. A new producer with the partition's transactional id fences every earlier owner and ends what it left open.
2. A barrier: a small record is committed through that producer. Its offset, as the broker acknowledged it, is the end
   of what has to be restored.
3. The state is restored up to the barrier.
4. The header is verified: a partition without one is not opened.
5. Only then may anything be committed; each state record must land above all that came before it.
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
"""Partitions restored at a time: each takes memory twice over while it is read, and one core decodes no faster."""
_NONCE_BYTES = 16


class SeenOffset(Struct):
    """The largest offset that this process appended to a state partition; outlives epochs."""

    last: int = -1
    """-1 when there is none."""
    header: str = ""
    """Id of the header that the partition had then. Under another one the offsets begin anew: an operator said so."""


class Epoch:
    """The right to commit, until it ends."""

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
        """What was restored: for the streams that begin from it, which may take it away."""
        self.over: Exception | None = None
        """Why nothing can be committed any more."""
        self.commits = 0
        self._seen = seen
        self._producer = producer
        self._settings = settings
        self._telemetry = telemetry
        self._turn = anyio.Lock()

    async def commit(self, messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        """Commit one transaction. Streams take turns; one that waits may be cancelled, one that is in it is not.

        Raises EpochEnded when it is not known to be durable: then nothing of this epoch may be kept. Raises Refused for
        a trouble of this batch's own, which ends the epoch too.
        """
        async with self._turn:
            if self.over is not None:
                raise EpochEnded from self.over
            began = monotonic()
            try:
                await _append(self._producer, self._settings, self.partition, self._seen, messages, state)
            except Exception as error:
                self.over = error
                if isinstance(error, Fenced):
                    self._telemetry.fenced(self.partition)
                else:
                    self._telemetry.aborted(reason_of(error))
                raise error if isinstance(error, KafkaMisconfigured) else EpochEnded from error
            self.commits += 1
            self._telemetry.committed(monotonic() - began)


@asynccontextmanager
async def epoch(
    partition: int,
    settings: KafkaSettings,
    telemetry: KafkaTelemetry,
    still_ours: Callable[[], bool],
    *,
    slots: anyio.Semaphore | None = None,
    seen: SeenOffset | None = None,
    progress: Progress = lambda *_: None,
) -> AsyncIterator[Epoch]:
    """Take the partition over, and give it back at the end.

    `slots` bounds how many are restored at a time; `seen` is what this process knows of the partition's offsets, and is
    kept up to date; `progress` is called while the state is read. Raises HeaderMissing for a partition that was never
    claimed or is lost; Fenced, Refused, KafkaError, OSError or TimeoutError when it cannot be taken over.
    """
    began = monotonic()
    seen = seen or SeenOffset()
    async with opened(settings, settings.transactional_id(partition)) as producer:  # 1.
        crash_point("after_init")
        if not still_ours():
            raise Fenced("the partition was assigned to another replica before the epoch began")
        nonce, end = os.urandom(_NONCE_BYTES), SeenOffset()
        await _append(producer, settings, partition, end, (), {BARRIER: nonce})  # 2.
        crash_point("after_barrier")
        async with slots or anyio.Semaphore(1):
            if not still_ours():
                raise Fenced("the partition was assigned to another replica before it was restored")
            pairs = await restore(settings, partition, end.last, progress)  # 3.
        if pairs.pop(BARRIER, None) != nonce:
            log = f"partition {partition} of {settings.state_topic}"
            raise ConnectionError(f"{log} was restored from a replica that lacks the barrier at offset {end.last}")
        header = verify_header(settings, partition, pairs)  # 4.
        if header.id != seen.header:
            seen.last, seen.header = -1, header.id
        if end.last <= seen.last:
            lost = StateLost(settings.state_topic, partition, known=seen.last, landed=end.last)
            # Other processes have not seen those offsets: by the mark they refuse the partition, too.
            await _append(producer, settings, partition, end, (), {TRUNCATED: str(lost).encode()})
            raise lost
        seen.last = end.last
        telemetry.epoch_began(partition, monotonic() - began, len(pairs))
        yield Epoch(partition, pairs, producer, settings, telemetry, seen)  # 5.


async def _append(
    producer: Producer,
    settings: KafkaSettings,
    partition: int,
    seen: SeenOffset,
    messages: Sequence[Message],
    state: Mapping[bytes, bytes | None],
) -> None:
    """Commit messages and state records of the partition, which must land above `seen`; then note where they did."""
    with anyio.CancelScope(shield=True):
        landed = await transact(producer, settings, messages, {partition: state}, {partition: seen.last})
        seen.last = landed.get(partition, seen.last)


def partition_of(account: str, partitions: int) -> int:
    """The state partition of an account: murmur2, as keys are partitioned."""
    return int(murmur2(account.encode()) & 0x7FFFFFFF) % partitions
