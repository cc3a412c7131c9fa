"""A configured stream, and what outlives its epochs."""

from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

import anyio

from collector.clock import Clock
from collector.cloudevents import Message
from collector.config import Settings
from collector.errors import EpochEnded, KafkaMisconfigured, Park, UnreadableState
from collector.kafka.connection import reason_of
from collector.kafka.epoch import Epoch
from collector.kafka.producer import Fenced
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import is_usable
from collector.model import DedupMode
from collector.pipeline.activity import activity_timeline
from collector.pipeline.message import Origin
from collector.pipeline.state import Shape, State, load, stream_prefix
from collector.secrets import redact
from collector.telemetry.status import Timeline
from collector.telemetry.stream import StreamTelemetry
from collector.vendors import backoff
from collector.vendors.base import Stream
from collector.worker import Worker


class StreamHandle:
    """A stream, run in each epoch of its partition."""

    def __init__(
        self, stream: Stream[Any], settings: Settings, telemetry: StreamTelemetry, clock: Clock, random: Random
    ) -> None:
        self.stream = stream
        self.telemetry = telemetry
        self.prefix = stream_prefix(stream.account, stream.source, stream.name)
        self._kafka: KafkaSettings = settings.kafka
        self._clock = clock
        self._random = random
        self._shape = Shape(stream.dedup_mode, stream.fields_version, stream.max_clock_offset, stream.former)
        self._origin = Origin(stream.account.vendor, stream.source, stream.name, redact)
        self._refused: KafkaMisconfigured | None = None
        """The topic that Kafka refused last: the stream waits for it, its neighbours do not."""
        self._refusals = 0
        self._failures: list[str] = []
        """Why its last commits came to nothing, without one that did not."""
        source = settings.sources[stream.source]
        self._since = source.since
        self._secrets = tuple(source.secrets.values())

    async def run(self, holding: Epoch, pairs: Mapping[str, bytes]) -> None:
        """Run the stream in an epoch, from its own state, until it is complete. Raises EpochEnded."""
        try:
            state = load(self.prefix, self._shape, pairs)
        except UnreadableState as error:
            trouble = Park(str(error), advice=error.advice)
            self.telemetry.parked(None, trouble, failures=1, delay_s=0, now=self._clock.now())
            return
        self.telemetry.owned(state.checkpoint, len(state.ledger), self._timeline(state))
        if len(self._failures) > 1:  # it is not well only because its state could be read again
            self.telemetry.blocked(self._failures[-1], None, 0, self._clock.now())
        await self._topic_is_usable()

        async def commit(messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
            try:
                await holding.commit(messages, state)
            except KafkaMisconfigured as error:
                self._refused = error
                raise EpochEnded from error
            except EpochEnded:
                if holding.failure is not None and not isinstance(holding.failure, Fenced | KafkaMisconfigured):
                    self._failures = [*self._failures[-1:], reason_of(holding.failure)]
                raise
            self._refused, self._refusals, self._failures = None, 0, []

        worker: Worker[Any] = Worker(
            self.stream,
            state,
            commit,
            origin=self._origin,
            clock=self._clock,
            telemetry=self.telemetry,
            random=self._random,
            credentials=lambda: [secret.peek() for secret in self._secrets],
        )
        await worker.run(self._since)

    def _timeline(self, state: State) -> Timeline | None:
        """How to show what was published lately; a stream that is only known as it is now has no such thing."""
        stream = self.stream
        return (
            None
            if stream.dedup_mode is DedupMode.LATEST
            else partial(activity_timeline, state, stream.policy, stream.zone)
        )

    async def _topic_is_usable(self) -> None:
        """Return at once, or when the topic that Kafka refused seems usable again."""
        while (refused := self._refused) is not None and refused.topic is not None:
            self._refusals += 1
            delay_s = backoff.delay_s(self._refusals, backoff.PARKED, self._random.random())
            trouble = Park(str(refused), advice=refused.advice)
            self.telemetry.parked(None, trouble, failures=self._refusals, delay_s=delay_s, now=self._clock.now())
            await anyio.sleep(delay_s)
            if await is_usable(self._kafka, refused.topic):
                self._refused = None
