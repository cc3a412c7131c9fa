"""One ownership of one state partition: fence, find the end, restore, commit. Any failure ends it.

The order of the steps is what makes commits exactly once (KIP-98, KIP-618):

1. A new producer with the partition's transactional id fences every earlier owner and aborts its open transaction.
2. A barrier, a small record, is committed through that producer. Earlier owners can append nothing after it. So its
   offset, as the broker acknowledged it, is the end of the state to restore.
3. The state is restored up to the barrier.
4. The header is verified: a partition without a header is refused.
5. Only then may anything else be committed. Each state record must have a larger offset than all earlier ones.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from math import inf
from time import monotonic

import anyio
from aiokafka.partitioner import murmur2
from msgspec import Struct

from collector.cloudevents import Message
from collector.crash import crash_point
from collector.errors import EpochEnded, KafkaMisconfigured
from collector.kafka.commit_queue import CommitQueue, Ready
from collector.kafka.connection import reason_of
from collector.kafka.header import BARRIER, TRUNCATED, StateLost, verify_header
from collector.kafka.producer import Fenced, Producer, open_producer
from collector.kafka.reader import Progress
from collector.kafka.restore import restore
from collector.kafka.settings import KafkaSettings
from collector.kafka.transaction import transact
from collector.telemetry.kafka import KafkaTelemetry

MAX_RESTORES = 4
"""The most partitions restored at a time. Each needs twice its memory while it is read, and more would not be faster:
one core decodes all of them."""
WATCH_S = 10.0
"""How often the end of a partition is compared with what this process has written: one small request."""
OWN_RECORDS = 2
"""What follows the offset of the last state record if no other process has written: itself, and the commit's marker."""
_NONCE_BYTES = 16


class KnownOffset(Struct):
    """The largest offset at which this process appended to a state partition. Kept from one epoch to the next."""

    last: int = -1
    """-1 if nothing was appended."""
    header_id: str = ""
    """The id of the partition's header at that time. If the id has changed since, an operator has accepted the loss of
    records, and the offset must not be compared."""


class Epoch:
    """The right to commit to one state partition, until a commit fails or another process fences this one."""

    def __init__(
        self,
        partition: int,
        pairs: dict[bytes, bytes],
        producer: Producer,
        settings: KafkaSettings,
        telemetry: KafkaTelemetry,
        known_offset: KnownOffset,
    ) -> None:
        self.partition = partition
        self.pairs = pairs
        """The restored state. It may be large: once the streams have started from it, the owner keeps only the records
        that belong to the partition."""
        self.failure: Exception | None = None
        """Why nothing more can be committed; None while the epoch lasts."""
        self.is_overdue = False
        """Whether the transaction that failed had taken longer than `deadline_s`."""
        self.commits = 0
        """The number of transactions committed so far."""
        self._known_offset = known_offset
        self._producer = producer
        self._settings = settings
        self._telemetry = telemetry
        self._queue = CommitQueue()
        self._lock = anyio.Lock()

    @property
    def deadline_s(self) -> float:
        """How long a transaction may take. A connection has at least half of its session when one begins."""
        return min(self._settings.commit_deadline_s, self._producer.sessions.shortest_s() / 2)

    async def commit(self, messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> float:
        """Commit messages and state in one transaction. Returns how many seconds that took, without new connections.

        Streams that share the partition commit one after the other, or together what is small and ready at the same
        moment.

        Cancelling takes effect while the stream waits for its turn, or for new connections, and not during the
        transaction.

        Raises EpochEnded when the transaction may not be durable: the caller discards what it derived in this epoch and
        starts again from the restored state. Raises KafkaMisconfigured when an operator must change something that this
        batch needs, such as a topic; that ends the epoch too.
        """
        ready = Ready(messages, state)
        self._queue.add(ready)
        try:
            async with self._lock:
                if not ready.is_taken and self.failure is None:
                    await self._commit(ready)
        except anyio.get_cancelled_exc_class():
            if not ready.is_taken:
                raise
            with anyio.CancelScope(shield=True):
                await ready.ended.wait()  # it is in the transaction of another stream
        finally:
            self._queue.withdraw(ready)
        if ready.failure is not None:
            raise ready.failure
        if ready.took_s is None:
            raise EpochEnded from self.failure
        return ready.took_s

    async def _commit(self, first: Ready) -> None:
        """Commit in one transaction what has become ready first, and what can share it. Notes the outcome in each."""
        taken: Sequence[Ready] = [first]
        started = inf
        try:
            await self._renew_sessions()
            started = monotonic()
            taken = self._queue.take(first)
            messages = list(chain.from_iterable(each.messages for each in taken))
            state = dict(chain.from_iterable(each.state.items() for each in taken))
            await _append(self._producer, self._settings, self.partition, self._known_offset, messages, state)
        except Exception as error:  # noqa: BLE001 - each stream raises it
            self.failure = error
            self.is_overdue = monotonic() - started >= self.deadline_s
            if isinstance(error, Fenced):
                self._telemetry.fenced(self.partition)
            else:
                self._telemetry.aborted(reason_of(error))
            for each in taken:
                each.failure = error if self._must_be_changed_for(each, error) else None
        else:
            self.commits += 1
            took_s = monotonic() - started
            self._telemetry.committed(took_s)
            for each in taken:
                each.took_s = took_s
        finally:
            for each in taken:
                each.ended.set()

    def _must_be_changed_for(self, ready: Ready, error: Exception) -> bool:
        """Whether an operator must change something that this stream needs: not the topic of another one."""
        if not isinstance(error, KafkaMisconfigured):
            return False
        return error.topic in (None, self._settings.state_topic) or ready.publishes_to(error.topic)

    async def _renew_sessions(self) -> None:
        """Replace connections that the brokers would close during the transaction, before it begins.

        Raises why that is not possible if one will certainly be closed. Others may last until the next attempt.
        """
        sessions = self._producer.sessions
        failure = await sessions.renew(self._settings.commit_deadline_s)
        if failure is not None and sessions.has_ended():
            raise failure

    async def read_state(self) -> dict[bytes, bytes]:
        """The state of the partition as committed so far. Streams that do not run yet start from it.

        Raises as `restore`.
        """
        async with self._lock:
            end = self._known_offset.last  # no other process can have committed anything later
        pairs = await restore(self._settings, self.partition, end, lambda *_: None)
        pairs.pop(BARRIER, None)
        return pairs

    async def watch(self, end: Callable[[], Awaitable[int | None]]) -> None:
        """Verify the epoch when the partition has records that this process did not write. Never returns.

        So a command that changes the state is noticed although no stream commits anything. `end` returns the offset
        after the last record of the partition, or None if it is not known. Raises as `verify`.
        """
        while True:
            await anyio.sleep(WATCH_S)
            commits, found = self.commits, await end()
            is_quiet = commits == self.commits and not self._lock.statistics().locked
            if is_quiet and found is not None and found > self._known_offset.last + OWN_RECORDS:
                await self.verify()

    async def verify(self) -> None:
        """Commit a record that means nothing. Raises as `commit`, if another process has taken over the partition."""
        await self.commit((), {BARRIER: b""})


@asynccontextmanager
async def epoch(
    partition: int,
    settings: KafkaSettings,
    telemetry: KafkaTelemetry,
    is_assigned: Callable[[], bool],
    *,
    slots: anyio.Semaphore | None = None,
    known_offset: KnownOffset | None = None,
    progress: Progress = lambda *_: None,
) -> AsyncIterator[Epoch]:
    """Take over the partition, yield its epoch, and close the producer at the end.

    `is_assigned` returns whether the group still assigns the partition to this process. `slots` limits how many
    partitions are restored at the same time. `known_offset` is updated by each commit; the caller passes the same
    object to every epoch of the partition. `progress` is called while the state is read.

    Raises HeaderMissing for a partition that was never claimed or has lost its state, KafkaMisconfigured for what an
    operator must change, and Fenced, KafkaError, OSError or TimeoutError, after which the caller tries again.
    """
    started = monotonic()
    known_offset = known_offset or KnownOffset()
    async with open_producer(settings, settings.transactional_id(partition)) as producer:  # 1.
        crash_point("after_init")
        if not is_assigned():
            raise Fenced("the partition was assigned to another replica before the epoch started")
        nonce, barrier = os.urandom(_NONCE_BYTES), KnownOffset()
        await _append(producer, settings, partition, barrier, (), {BARRIER: nonce})  # 2.
        crash_point("after_barrier")
        async with slots or anyio.Semaphore(1):
            if not is_assigned():
                raise Fenced("the partition was assigned to another replica before it was restored")
            pairs = await restore(settings, partition, barrier.last, progress)  # 3.
        if pairs.pop(BARRIER, None) != nonce:
            name = f"partition {partition} of {settings.state_topic}"
            raise ConnectionError(f"{name} was restored from a broker that lacks the barrier at offset {barrier.last}")
        await _verify(producer, settings, partition, pairs, known_offset, barrier)  # 4.
        telemetry.epoch_began(partition, monotonic() - started, len(pairs))
        current = Epoch(partition, pairs, producer, settings, telemetry, known_offset)
        del pairs  # large: this frame lives as long as the epoch, and its owner keeps only a few of them
        yield current  # 5.


async def _verify(
    producer: Producer,
    settings: KafkaSettings,
    partition: int,
    pairs: Mapping[bytes, bytes],
    known_offset: KnownOffset,
    barrier: KnownOffset,
) -> None:
    """Verify the header, and that the barrier's offset is larger than the known offset; update the latter.

    Raises HeaderMissing, StateLost, or KafkaMisconfigured for the state of another deployment or a marked partition.
    """
    header = verify_header(settings, partition, pairs)
    if header.id != known_offset.header_id:
        known_offset.last, known_offset.header_id = -1, header.id
    if barrier.last <= known_offset.last:
        lost = StateLost(settings.state_topic, partition, known_offset=known_offset.last, new_offset=barrier.last)
        # Other processes do not know the offset. The mark makes them refuse the partition as well.
        await _append(producer, settings, partition, barrier, (), {TRUNCATED: str(lost).encode()})
        raise lost
    known_offset.last = barrier.last


async def _append(
    producer: Producer,
    settings: KafkaSettings,
    partition: int,
    known_offset: KnownOffset,
    messages: Sequence[Message],
    state: Mapping[bytes, bytes | None],
) -> None:
    """Commit messages and state records of the partition, and update the known offset. Not cancellable.

    Raises StateLost when the state records were not appended above the known offset, and what `transact` raises.
    """
    with anyio.CancelScope(shield=True):
        last = await transact(producer, settings, messages, {partition: state}, {partition: known_offset.last})
        known_offset.last = last.get(partition, known_offset.last)


def partition_of(account: str, partitions: int) -> int:
    """The state partition of an account: the murmur2 hash by which Kafka's clients partition keys."""
    return int(murmur2(account.encode()) & 0x7FFFFFFF) % partitions
