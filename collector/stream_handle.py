"""A configured stream, and what it keeps from one epoch to the next."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, NoReturn

import anyio
from msgspec import structs

from collector.clock import Clock
from collector.cloudevents import Message
from collector.config import Settings
from collector.errors import EpochEnded, KafkaMisconfigured, Park, UnreadableState, release_frames
from collector.kafka.connection import UNAVAILABLE, reason_of
from collector.kafka.epoch import Epoch
from collector.kafka.producer import Fenced
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import prepare_event_topics
from collector.model import DedupMode, whole_name
from collector.pipeline.activity import activity_timeline
from collector.pipeline.batch import TransactionSize
from collector.pipeline.message import topics_of
from collector.pipeline.progress import Progress
from collector.pipeline.shards import Shards, whole_prefix
from collector.pipeline.state import State, StateFormat, stream_prefix
from collector.registry.ids import SchemaIds
from collector.telemetry.status import TimelineFunction
from collector.telemetry.stream import StreamTelemetry
from collector.vendors import backoff
from collector.vendors.base import Stream
from collector.worker import SAVE_INTERVAL, Worker

PAUSE_STEP = timedelta(seconds=1)
"""How soon a stream that waits for a topic notices that it can be used."""


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
    ) -> None:
        """`registry` has the ids of schemas; None if no schema registry is configured."""
        self.stream = stream
        self.telemetry = telemetry
        self.prefix = stream_prefix(stream.account, stream.source, stream.name)
        self.whole_prefix = whole_prefix(self.prefix)
        """Equal for all shards of a stream."""
        self._kafka: KafkaSettings = settings.kafka
        self._clock = clock
        self._random = random
        self._on_commit = on_commit
        self._format = StateFormat(stream.dedup_mode, stream.fields_version, stream.max_clock_offset, stream.former)
        self._registry = registry
        self._schema_ids: dict[str, bytes] = {}
        """By the name of the type. Complete when the stream begins to fetch."""
        origin = settings.origin(stream.account, stream.source, whole_name(stream.name))
        self._origin = structs.replace(origin, schema_ids=self._schema_ids)
        self._topics = topics_of(stream.event_types, origin.topic_prefix, origin.progress_prefix)
        self._topic_errors: dict[str, KafkaMisconfigured] = {}
        """Why event topics are unusable, by name. This stream waits for them; its neighbours do not."""
        self._topic_failures = 0
        self._transaction = TransactionSize()
        self._failures: list[str] = []
        """Why the last commits failed, since the last one that succeeded."""
        source = settings.sources[stream.source]
        self._since = source.since
        self._secrets = tuple(source.secrets.values())

    @property
    def missing_topics(self) -> set[str]:
        """The topics for which it waits because they do not exist."""
        return {name for name, error in self._topic_errors.items() if error.is_missing}

    def topics_unusable(self, errors: Mapping[str, KafkaMisconfigured]) -> None:
        """These topics cannot be used, for these reasons: if it publishes to one of them, it waits."""
        self._topic_errors |= {name: error for name, error in errors.items() if name in self._topics}

    def topics_usable(self, names: Collection[str]) -> None:
        """These topics can be used now: it need not wait for them any longer."""
        self._topic_errors = {name: error for name, error in self._topic_errors.items() if name not in names}

    def shards(self, handles: Sequence["StreamHandle"]) -> Shards:
        """What the shards of this stream share in one epoch, given all streams of the partition."""
        zones = {each.prefix: each.stream.zone for each in handles if each.whole_prefix == self.whole_prefix}
        return Shards(self._format, zones, Progress(self._origin, self.stream.policy, zones.keys()), anyio.Lock())

    async def run(self, epoch: Epoch, shards: Shards) -> None:
        """Run the stream in an epoch until it is complete. `shards` contain its stored state.

        Raises EpochEnded when the epoch can commit nothing more: the next epoch runs the stream again. When the stored
        state cannot be read, the stream is parked for the rest of the epoch, which ends when an operator repairs it.
        """
        try:
            state = shards.load(self.prefix)
        except UnreadableState as error:
            reason = f"{error} (partition {epoch.partition} of {self._kafka.state_topic})"
            parked = Park(reason, code=error.code, advice=error.advice)
            self.telemetry.parked(None, parked, failures=1, delay_s=0, now=self._clock.now())
            await self._until_repaired(epoch)
        self.telemetry.owned(state.checkpoint, len(state.ledger), self._timeline(state))
        if len(self._failures) > 1:  # its commits keep failing, although its state can be read
            self.telemetry.blocked(self._failures[-1], None, 0, self._clock.now())
        await self._wait_for_topics()
        await self._wait_for_schemas()

        async def commit(messages: Sequence[Message], changes: Mapping[bytes, bytes | None]) -> None:
            try:
                took_s = await epoch.commit(messages, changes)
            except KafkaMisconfigured as error:
                if error.topic is not None:
                    self._topic_errors[error.topic] = error
                raise EpochEnded from error
            except EpochEnded:
                if epoch.is_overdue:
                    # Also if it was a neighbor's transaction: both produce under the same quota, or to the same slow
                    # broker. If this one would have been in time, the next large one doubles the limit again.
                    self._transaction.timed_out()
                if epoch.failure is not None and not isinstance(epoch.failure, Fenced | KafkaMisconfigured):
                    self._failures = [*self._failures[-1:], reason_of(epoch.failure)]
                raise
            self._transaction.committed(messages, took_s, epoch.deadline_s)
            self._topic_failures, self._failures = 0, []
            self._on_commit()

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
        )
        await worker.run(self._since)

    async def _until_repaired(self, epoch: Epoch) -> NoReturn:
        """Commit a record regularly, which fails once an operator has repaired the state. Raises EpochEnded then."""
        while True:
            await self._clock.until(self._clock.now() + SAVE_INTERVAL)
            await epoch.verify()

    def _timeline(self, state: State) -> TimelineFunction | None:
        """Return the function that computes the activity timeline; None for LATEST streams, which have no history."""
        if self.stream.dedup_mode is DedupMode.LATEST:
            return None
        return partial(activity_timeline, state, self.stream.policy, self.stream.zone)

    async def _wait_for_topics(self) -> None:
        """Return when no event topic is known to be unusable. Until then the stream is parked, and checks them."""
        while self._topic_errors:
            error = next(iter(self._topic_errors.values()))
            self._topic_failures += 1
            parked = Park(str(error), code=error.code, advice=error.advice)
            await self._pause(parked, self._topic_failures, lambda: not self._topic_errors)
            if self._topic_errors:
                await self._check_topics()

    async def _check_topics(self) -> None:
        """Describe the unusable topics again, and keep those that still are."""
        compacted = {name for name, kind in self._topics.items() if kind.compacted}
        try:
            found = await prepare_event_topics(self._kafka, self._topic_errors, compacted, may_create=False)
        except (KafkaMisconfigured, *UNAVAILABLE):
            return
        # Why a topic could not be created explains more than that it is missing.
        self._topic_errors = {
            name: self._topic_errors.get(name, error) if error.is_missing else error
            for name, error in found.unusable.items()
        }

    async def _wait_for_schemas(self) -> None:
        """Return when the schema registry has the schema of each type that the stream may publish.

        Until then the stream backs off or is parked, and its neighbours continue: nothing is fetched that could not be
        committed. Dead letters and progress count too, because a transaction may contain them.
        """
        if self._registry is None:
            return
        failures = 0
        while True:
            failure: Exception
            try:
                found = await self._registry.of_types(self._topics)
            except Exception as error:  # noqa: BLE001 - a failing stream must not stop its neighbours
                failure = error
            else:
                self._schema_ids.update(found)
                return
            failures += 1
            await self._pause(failure, failures)

    async def _pause(self, failure: Exception, failures: int, is_over: Callable[[], bool] = lambda: False) -> None:
        """Report why the stream cannot begin, and wait before the next attempt, or until `is_over`."""
        now, delay_s = self._clock.now(), backoff.delay_after_s(failure, failures, self._random.random())
        self.telemetry.interrupted(None, failure, failures=failures, delay_s=delay_s, now=now)
        release_frames(failure)
        end = now + timedelta(seconds=delay_s)
        while self._clock.now() < end and not is_over():
            await self._clock.until(min(end, self._clock.now() + PAUSE_STEP))
