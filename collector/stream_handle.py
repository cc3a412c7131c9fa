"""A configured stream, and what it keeps from one epoch to the next."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, NoReturn, Protocol

import anyio
from msgspec import structs

from collector.clock import Clock
from collector.cloudevents import Message
from collector.config import Settings
from collector.errors import EpochEnded, KafkaMisconfigured, Park, UnreadableState, release_frames
from collector.kafka.connection import reason_of
from collector.kafka.epoch import Epoch
from collector.kafka.producer import Fenced
from collector.kafka.settings import KafkaSettings
from collector.live_first import LiveFirst
from collector.model import Backfill, DedupMode, published_name
from collector.pausing import wait_while_paused
from collector.pipeline.activity import activity_timeline
from collector.pipeline.batch import Batch, TransactionSize
from collector.pipeline.message import StreamProgress, topics_of
from collector.pipeline.plan import Cursors, Done, next_step
from collector.pipeline.progress import Progress
from collector.pipeline.shards import Shards, published_prefix, whole_prefix
from collector.pipeline.state import State, StateFormat, stream_prefix
from collector.registry.ids import SchemaIds
from collector.saving import next_save
from collector.stream_topics import StreamTopics
from collector.telemetry.status import TimelineFunction
from collector.telemetry.stream import StreamTelemetry
from collector.turns import in_turns
from collector.vendors import backoff
from collector.vendors.base import Stream
from collector.worker import Commit, Worker

PAUSE_STEP = timedelta(seconds=1)
"""How soon a stream that waits for a topic notices that it can be used."""


class BackfillView(Protocol):
    """Where a backfill is shown: in the status and the metrics."""

    def show(self) -> None: ...

    def hide(self) -> None: ...


class StreamHandle:
    """Runs its stream in each epoch of the stream's partition."""

    def __init__(
        self,
        stream: Stream[Any],
        settings: Settings,
        telemetry: StreamTelemetry,
        clock: Clock,
        random: Random,
        on_commit: Callable[[], None],
        registry: SchemaIds | None = None,
        *,
        turns: LiveFirst | None = None,
        make_backfill: Callable[[Backfill], "StreamHandle"] | None = None,
        view: BackfillView | None = None,
    ) -> None:
        """`registry` has the ids of schemas; None if no schema registry is configured.

        `turns` are those of the account. `make_backfill` returns the handle of a backfill of this stream, or of this
        shard. A backfill has a `view`.
        """
        self.stream = stream
        self.telemetry = telemetry
        self.prefix = stream_prefix(stream.account, stream.source, stream.name)
        self.whole_prefix = whole_prefix(self.prefix)
        """Equal for all shards of a stream."""
        self.published_prefix = published_prefix(self.prefix)
        """The prefix of the whole stream, also of a backfill."""
        self._turns = turns or LiveFirst()
        self._make_backfill = make_backfill
        self._view = view
        self._backfill: tuple[Backfill, StreamHandle] | None = None
        """The latest backfill: its handle outlives the epochs too."""
        self._kafka: KafkaSettings = settings.kafka
        self._clock = clock
        self._random = random
        self._on_commit = on_commit
        self._format = StateFormat(stream.dedup_mode, stream.fields_version, stream.max_clock_offset, stream.former)
        self._registry = registry
        self._schema_ids: dict[str, bytes] = {}
        """By the name of the type. Complete when the stream begins to fetch."""
        origin = settings.origin(stream.account, stream.source, published_name(stream.name))
        self._origin = structs.replace(origin, schema_ids=self._schema_ids, timezone=str(stream.zone))
        types = topics_of(stream.event_types, origin.topic_prefix, origin.progress_prefix)
        self.topics = StreamTopics(settings.kafka, types)
        self._topic_failures = 0
        self._transaction = TransactionSize()
        self._failures: list[str] = []
        """Why the last commits failed, since the last one that succeeded."""
        source = settings.sources[stream.source]
        self._since = source.since  # of a backfill, its start
        self._secrets = tuple(source.secrets.values())

    def shards(self, handles: Sequence["StreamHandle"]) -> Shards:
        """What the shards of this stream share in one epoch, given all streams of the partition."""
        zones = {each.prefix: each.stream.zone for each in handles if each.whole_prefix == self.whole_prefix}
        progress = Progress(self._origin, self.stream.policy, zones.keys(), is_silent=self._view is not None)
        return Shards(self._format, zones, progress, anyio.Lock())

    def backfill(self, requested: Backfill) -> "StreamHandle":
        """The handle of a backfill of this stream, or of this shard. It is shown from now on."""
        if self._make_backfill is None:
            raise AssertionError("a backfill has no backfills")
        if self._backfill is None or self._backfill[0] != requested:
            self._backfill = requested, self._make_backfill(requested)
            self._backfill[1].topics = self.topics  # they are the same: when one can be used, both go on
        _, handle = self._backfill
        handle.show()
        return handle

    def show(self) -> None:
        """This process runs the backfill: show it."""
        if self._view is not None:
            self._view.show()

    def hide(self) -> None:
        """The backfill has ended, or this process no longer runs it: show it no more."""
        self.telemetry.released()
        if self._view is not None:
            self._view.hide()

    async def run(self, epoch: Epoch, shards: Shards) -> None:
        """Run the stream in an epoch until it is complete. `shards` contain its stored state.

        Raises EpochEnded when the epoch can commit nothing more: the next epoch runs the stream again. When the stored
        state cannot be read, the stream is parked for the rest of the epoch, which ends when an operator repairs it.
        """
        try:
            async with shards.lock:
                state = await in_turns(shards.load_in_steps(self.prefix))
        except UnreadableState as error:
            reason = f"{error} (partition {epoch.partition} of {self._kafka.state_topic})"
            parked = Park(reason, code=error.code, advice=error.advice)
            self.telemetry.parked(None, parked, failures=1, delay_s=0, now=self._clock.now())
            await self._until_repaired(epoch)
        self.telemetry.owned(state.checkpoint, len(state.ledger), self._timeline(state))
        if len(self._failures) > 1:  # its commits keep failing, although its state can be read
            self.telemetry.blocked(self._failures[-1], None, 0, self._clock.now())
        commit = partial(self._commit, epoch)
        phase = epoch.partition / self._kafka.state_partitions
        report = partial(self._report_paused, state, shards, commit)
        await wait_while_paused(epoch, self.published_prefix, self._clock, self.telemetry, report, save_phase=phase)
        await self._wait_for_topics()
        await self._wait_for_schemas()
        worker: Worker[Any] = Worker(
            self.stream,
            state,
            commit,
            origin=self._origin,
            clock=self._clock,
            telemetry=self.telemetry,
            random=self._random,
            credentials=lambda: [secret.peek() for secret in self._secrets],
            shards=shards,
            transaction=self._transaction,
            turn=self._turns.live if self._view is None else self._turns.backfill,
            save_phase=phase,
        )
        await worker.run(self._since)

    async def _commit(self, epoch: Epoch, messages: Sequence[Message], changes: Mapping[bytes, bytes | None]) -> None:
        """Commit, and remember what the next epoch must know of a failure. Raises EpochEnded."""
        try:
            took_s = await epoch.commit(messages, changes)
        except KafkaMisconfigured as error:
            self.topics.failed(error)
            raise EpochEnded from error
        except EpochEnded:
            if epoch.is_overdue:
                # Also if it was a neighbour's transaction: both produce under the same quota, or to the same slow
                # broker. If this one would have been in time, the next large one doubles the limit again.
                self._transaction.timed_out()
            if epoch.failure is not None and not isinstance(epoch.failure, Fenced | KafkaMisconfigured):
                self._failures = [*self._failures[-1:], reason_of(epoch.failure)]
            raise
        self._transaction.committed(messages, took_s, epoch.deadline_s)
        self._topic_failures, self._failures = 0, []
        self._on_commit()

    async def _report_paused(self, state: State, shards: Shards, commit: Commit) -> bool:
        """Report to consumers that a paused stream is not live. Its last report may say that it is.

        Returns False if the topics or the schema registry cannot be used at present, which alone does not end a pause.
        """
        checkpoint = state.checkpoint
        if checkpoint is None:
            return True
        shards.progress.begin(self.prefix, checkpoint)
        if not (self.topics.are_usable or await self.topics.check()):
            return False
        try:
            await self._find_schemas()
        except Exception as error:  # noqa: BLE001 - the stream reports it once it is resumed, if it persists
            release_frames(error)
            return False
        now = self._clock.now()
        is_complete = isinstance(next_step(checkpoint, self.stream.policy, Cursors(due=now), now), Done)
        progress_state: StreamProgress = "complete" if is_complete else "catching_up"
        async with shards.lock:
            message = shards.progress.message(checkpoint, progress_state, now, self.prefix)
            if message is not None:
                batch = Batch(checkpoint=checkpoint)
                await commit([message], state.pairs(batch))
                state.apply(batch)
                shards.progress.committed(checkpoint, progress_state, now, self.prefix)
        return True

    async def _until_repaired(self, epoch: Epoch) -> NoReturn:
        """Commit a record regularly, which fails once an operator has repaired the state. Raises EpochEnded then."""
        while True:
            await self._clock.until(next_save(self._clock.now(), epoch.partition / self._kafka.state_partitions))
            await epoch.verify()

    def _timeline(self, state: State) -> TimelineFunction | None:
        """Return the function that computes the activity timeline; None for LATEST streams, which have no history."""
        if self.stream.dedup_mode is DedupMode.LATEST:
            return None
        return partial(activity_timeline, state, self.stream.policy, self.stream.zone)

    async def _wait_for_topics(self) -> None:
        """Return when no topic is known to be unusable. Until then the stream is parked, and checks them."""
        while not self.topics.are_usable:
            self._topic_failures += 1
            await self._retry_later(self.topics.problem, self._topic_failures, lambda: self.topics.are_usable)
            if not self.topics.are_usable:
                await self.topics.check()

    async def _wait_for_schemas(self) -> None:
        """Return when the schema registry has the schema of each type that the stream may publish.

        Until then the stream backs off or is parked, and its neighbours continue: nothing is fetched that could not be
        committed. Dead letters and progress count too, because a transaction may contain them.
        """
        failures = 0
        while True:
            failure: Exception
            try:
                await self._find_schemas()
            except Exception as error:  # noqa: BLE001 - a failing stream must not stop its neighbours
                failure = error
            else:
                return
            failures += 1
            await self._retry_later(failure, failures)

    async def _find_schemas(self) -> None:
        """Take the ids of the schemas from the registry, if one is configured. Raises why that is not possible."""
        if self._registry is None:
            return
        self._schema_ids.update(await self._registry.of_types(self.topics.types))

    async def _retry_later(
        self, failure: Exception, failures: int, is_over: Callable[[], bool] = lambda: False
    ) -> None:
        """Report why the stream cannot begin, and wait before the next attempt, or until `is_over`."""
        now, delay_s = self._clock.now(), backoff.delay_after_s(failure, failures, self._random.random())
        self.telemetry.interrupted(None, failure, failures=failures, delay_s=delay_s, now=now)
        release_frames(failure)
        end = now + timedelta(seconds=delay_s)
        while self._clock.now() < end and not is_over():
            await self._clock.until(min(end, self._clock.now() + PAUSE_STEP))
