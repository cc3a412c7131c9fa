"""Puts it together: settings to objects, partitions to epochs, streams to tasks, signals to a clean stop."""

import os
import signal
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from random import Random
from typing import Any

import anyio
import structlog

from collector import __version__
from collector.clock import Clock, SystemClock
from collector.config import Settings
from collector.errors import EpochEnded, Park, Refused, leaves
from collector.kafka.connection import UNAVAILABLE
from collector.kafka.epoch import Epoch, Fenced, epoch, partition_of
from collector.kafka.group import Assignment, Membership
from collector.kafka.restore import refuse_orphans
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure, is_usable
from collector.model import Memory, Message
from collector.pipeline.message import Origin
from collector.pipeline.state import Shape, State, by_stream, load, stream_prefix
from collector.pipeline.strip import strip
from collector.secrets import conceal
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import Board, Look, SourceRow, StreamRow
from collector.telemetry.stream import StreamTelemetry
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors import VENDORS, backoff
from collector.vendors.base import Stream
from collector.vendors.http import Http, http
from collector.web.server import serving
from collector.worker import Worker

STOP_S = 25.0
"""A commit has 20 s at most, and orchestrators commonly kill after 30."""
LOOK_AGAIN_S = 5.0
"""Between two looks at topics that were not as they must be."""
AGAIN = (0.5, 15.0)
"""First and longest wait in seconds before the next epoch, after one that broke: longer while none commits anything."""


class Following:
    """A stream, and what outlives an epoch of it."""

    def __init__(self, stream: Stream[Any], settings: Settings, tell: StreamTelemetry) -> None:
        self.refused: Refused | None = None
        """The topic that Kafka refused last: the stream waits for it, its neighbours do not."""
        self.refusals = 0
        self.stream = stream
        self.tell = tell
        source = settings.sources[stream.source]
        self.since = source.since
        self.secrets = tuple(source.secrets.values())
        self.origin = Origin(stream.account.vendor, stream.source, stream.name, conceal)
        self.prefix = stream_prefix(stream.account, stream.source, stream.name)
        self.shape = Shape(stream.memory, stream.fields_version, stream.reach)

    def look_at(self, state: State) -> Look | None:
        """How to look at what was published lately; of what is only known as it is now, there is no such thing."""
        stream = self.stream
        return None if stream.memory is Memory.LATEST else partial(strip, state, stream.policy, stream.zone)

    def credentials(self) -> object:
        """What the account is proved with at present."""
        return [secret.peek() for secret in self.secrets]

    async def topic_is_back(self, kafka: KafkaSettings, clock: Clock, random: Random) -> None:
        """Return at once, or when the topic that Kafka refused seems usable again."""
        while (refused := self.refused) is not None and refused.topic is not None:
            self.refusals += 1
            delay_s = backoff.delay_s(self.refusals, backoff.PARKED, random.random())
            trouble = Park(str(refused), advice=refused.advice)
            self.tell.parked(None, trouble, failures=self.refusals, delay_s=delay_s, now=clock.now())
            await anyio.sleep(delay_s)
            if await is_usable(kafka, refused.topic):
                self.refused = None


class Daemon:
    """The running process."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._metrics = Metrics()
        self.board = Board(__version__, settings.kafka.group, started=clock.now())
        self._kafka = KafkaTelemetry(self._metrics, self.board, clock)
        self._membership = Membership(settings.kafka, self._kafka)
        self._random = Random()  # noqa: S311 - jitter is no secret

    async def run(self) -> None:
        """Until cancelled; never ends because of Kafka, a vendor or bad data."""
        async with AsyncExitStack() as stack:
            listen = self._settings.http
            await stack.enter_async_context(serving(listen.address, self.board, self._metrics.registry, self._clock))
            if not listen.is_loopback:
                advice = "whoever reaches this address can read it: it has no password, and shows no secret"
                structlog.get_logger().warning("listening_beyond_loopback", listen=listen.listen, advice=advice)
            client = await stack.enter_async_context(http(self._clock))
            by_partition = self._streams(client)
            await self._topics()
            member = anyio.CancelScope(shield=True)  # the epochs end first, and only then is the group left
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._be_member, member)
                try:
                    async with anyio.create_task_group() as partitions:
                        for partition, following in by_partition.items():
                            partitions.start_soon(self._hold, partition, following)
                finally:
                    member.cancel()

    async def _be_member(self, scope: anyio.CancelScope) -> None:
        with scope:
            await self._membership.keep()

    def _streams(self, client: Http) -> dict[int, list[Following]]:
        """The configured streams by their state partition: those of one account are together."""
        found: dict[int, list[Following]] = defaultdict(list)
        for name, source in self._settings.sources.items():
            vendor = VENDORS[source.vendor]
            self.board.sources.append(about := SourceRow(vendor.name, name))
            for stream in vendor.streams(name, source, client, VendorTelemetry(self._metrics, name, about)):
                row = StreamRow(vendor.name, name, stream.name)
                self.board.streams.append(row)
                types = [kind.name for kind in stream.event_types]
                tell = StreamTelemetry(self._metrics, row, types)
                partition = partition_of(str(stream.account), self._settings.kafka.state_partitions)
                found[partition].append(Following(stream, self._settings, tell))
        return found

    async def _topics(self) -> None:
        """Create or verify the topics, however long that takes."""
        names, compacted = self._settings.topics(), self._settings.compacted_topics()
        while True:
            try:
                await ensure(self._settings.kafka, names, compacted)
                await refuse_orphans(self._settings.kafka, names)
            except Refused as error:
                self._kafka.refused(str(error), error.advice)
            except UNAVAILABLE as error:
                self._kafka.unavailable(said(error))
            else:
                self._kafka.ready()
                return
            await anyio.sleep(LOOK_AGAIN_S)

    async def _hold(self, partition: int, following: Sequence[Following]) -> None:
        """Run the partition's streams whenever it is ours, epoch after epoch."""
        fenced_as = failures = 0
        while True:
            await self._membership.until(partial(_owns, partition, fenced_as))
            error, commits = await self._epoch(partition, following)
            self._kafka.epoch_ended(partition, said(error) if error else "assigned to another replica")
            if error is None:
                continue
            if isinstance(error, Fenced):
                # Whoever fenced us may have been assigned after us: only what is assigned from now on counts.
                fenced_as = self._membership.assignment.consumer
                self._membership.renew()
            elif isinstance(error, Refused) and error.topic is None:
                self._kafka.refused(str(error), error.advice)
            elif isinstance(error, UNAVAILABLE):
                self._kafka.unavailable(said(error))
            failures = 1 if commits else failures + 1
            await anyio.sleep(backoff.delay_s(failures, AGAIN, self._random.random()))

    async def _epoch(self, partition: int, following: Sequence[Following]) -> tuple[Exception | None, int]:
        """One ownership; why it broke, or None when the partition was assigned to another replica; and its commits."""

        def still_ours() -> bool:
            return partition in self._membership.assignment.partitions

        holding: Epoch | None = None
        cause: Exception | None = None
        try:
            async with epoch(partition, self._settings.kafka, self._kafka, still_ours) as holding:
                self._kafka.ready()
                pairs, holding.pairs = by_stream(holding.pairs), {}  # it may be large, and is needed once
                async with anyio.create_task_group() as streams:
                    streams.start_soon(self._until_reassigned, partition, streams.cancel_scope)
                    for each in following:
                        streams.start_soon(self._follow, each, holding, pairs.pop(each.prefix, {}))
                    del pairs
        except Exception as error:  # noqa: BLE001 - nothing that breaks an epoch ends the process
            cause = next(each for each in leaves(error) if isinstance(each, Exception))
            if isinstance(cause, EpochEnded) and holding is not None and holding.over is not None:
                cause = holding.over
            if not isinstance(cause, (EpochEnded, Fenced, Refused, *UNAVAILABLE)):
                self._kafka.unexpected(partition, error)
        finally:
            for each in following:
                each.tell.disowned()
        return cause, holding.commits if holding else 0

    async def _until_reassigned(self, partition: int, streams: anyio.CancelScope) -> None:
        """A revocation alone ends nothing: nobody else can commit without fencing us first."""
        await self._membership.until(lambda now: now.settled and partition not in now.partitions)
        streams.cancel()

    async def _follow(self, each: Following, holding: Epoch, pairs: Mapping[str, bytes]) -> None:
        try:
            state = load(each.prefix, each.shape, pairs)
        except Refused as error:
            each.tell.parked(None, Park(str(error), advice=error.advice), failures=1, delay_s=0, now=self._clock.now())
            return
        each.tell.owned(state.head, len(state.ledger), each.look_at(state))
        await each.topic_is_back(self._settings.kafka, self._clock, self._random)

        async def commit(messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
            try:
                await holding.commit(messages, state)
            except Refused as error:
                each.refused = error
                raise EpochEnded from error
            each.refused, each.refusals = None, 0

        worker: Worker[Any] = Worker(
            each.stream,
            state,
            commit,
            origin=each.origin,
            clock=self._clock,
            tell=each.tell,
            random=self._random,
            credentials=each.credentials,
        )
        await worker.follow(each.since)


async def run(settings: Settings) -> None:
    """The daemon, until SIGTERM or SIGINT. A second signal ends it at once, and loses nothing either."""
    async with anyio.create_task_group() as process:
        running = anyio.CancelScope()
        process.start_soon(_stop_on_signal, running)
        with running:
            await Daemon(settings, SystemClock()).run()
        process.cancel_scope.cancel()


async def _stop_on_signal(running: anyio.CancelScope) -> None:
    log = structlog.get_logger()
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as overdue:
            async for number in signals:
                if running.cancel_called:
                    os._exit(1)
                log.info("stopping", signal=signal.Signals(number).name, within_s=STOP_S)
                running.cancel()
                overdue.start_soon(_give_up)


async def _give_up() -> None:
    await anyio.sleep(STOP_S)
    structlog.get_logger().warning("stop_overdue", reason="Kafka did not answer in time; nothing is lost")
    os._exit(1)


def _owns(partition: int, fenced_as: int, now: Assignment) -> bool:
    """Whether an epoch may begin: assigned, and to a consumer that joined after the one that was fenced."""
    return now.settled and partition in now.partitions and now.consumer > fenced_as


def said(error: BaseException) -> str:
    """The error as a part of a sentence; some errors have no text of their own."""
    text = str(error)
    name = type(error).__name__
    return text if text and isinstance(error, Refused | Fenced) else f"{name}: {text}" if text else name
