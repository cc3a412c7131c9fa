"""Which state partitions are ours: a consumer group on the state topic, joined for the assignment alone."""

from collections.abc import Callable, Iterable

import aiokafka
import anyio
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.structs import TopicPartition
from msgspec import Struct, structs

from collector.errors import Refused
from collector.kafka.connection import CLOSE_S, UNAVAILABLE, credentials, options, start
from collector.kafka.refusal import refusal
from collector.kafka.settings import KafkaSettings
from collector.telemetry.kafka import KafkaTelemetry

REJOIN_S = 1.0
"""Between a consumer that failed and the next one."""
ASK_EVERY_S = 5.0
"""While the coordinator does not answer, how often the brokers are asked why they do not let us in."""


class Assignment(Struct, frozen=True):
    """What the group said last."""

    partitions: frozenset[int] = frozenset()
    settled: bool = False
    """False while a rebalance has revoked it: no epoch may begin, and none ends."""
    consumer: int = 0
    """Which of this process's consumers received it."""


class Membership:
    """This process's place in the group."""

    def __init__(self, settings: KafkaSettings, tell: KafkaTelemetry) -> None:
        self._settings = settings
        self._tell = tell
        self._assignment = Assignment()
        self._changed = anyio.Event()
        self._renewal = anyio.Event()
        self._away: tuple[float, str] | None = None
        """Since the coordinator does not answer: when to ask why again, and what was the reason last."""

    @property
    def assignment(self) -> Assignment:
        return self._assignment

    async def until(self, condition: Callable[[Assignment], bool]) -> None:
        while not condition(self._assignment):
            await self._changed.wait()

    def renew(self) -> None:
        """Join anew: after a fence, only an assignment received later, by a new consumer, counts."""
        self._renewal.set()

    def assigned(self, assignment: Assignment) -> None:
        """Take note, and wake whoever waits for it."""
        self._assignment = assignment
        self._changed.set()
        self._changed = anyio.Event()

    async def keep(self) -> None:
        """Be a member for ever. Any unexpected error means a new consumer: the old one would never heal."""
        number = 0
        while True:
            number += 1
            try:
                reason = await self._as_consumer(number)
            except Refused as error:
                reason = f"{error}; {error.advice}"
            except (*UNAVAILABLE, AssertionError) as error:
                reason = f"{type(error).__name__}: {error}"
            self._renewal = anyio.Event()
            self.assigned(structs.replace(self._assignment, settled=False))
            self._tell.left_group(reason)
            await anyio.sleep(REJOIN_S)

    async def _as_consumer(self, number: int) -> str:
        """Be a member, until it is told why a new consumer is needed."""
        began_with = credentials(self._settings)
        session_ms = int(self._settings.session_timeout.total_seconds() * 1000)
        consumer = aiokafka.AIOKafkaConsumer(
            **options(self._settings),
            group_id=self._settings.group,
            partition_assignment_strategy=(StickyPartitionAssignor,),
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=max(100, session_ms // 5),
            rebalance_timeout_ms=session_ms,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            await start(consumer, self._settings, self._settings.request_timeout_s * 2)
            consumer.subscribe([self._settings.state_topic], listener=_Listener(self, consumer, number, self._tell))
            while not self._renewal.is_set():
                # A member that owns nothing must still poll, or it never rejoins. What is assigned is paused.
                await consumer.getmany(timeout_ms=200)
                if consumer._coordinator.coordinator_id is not None:  # noqa: SLF001 - only there
                    self._away = None
                    self._tell.coordinator_known()
                elif credentials(self._settings) != began_with:  # with which the old one would be refused for ever
                    return "the password or the certificates have changed"
                else:
                    self._tell.coordinator_away(await self._why_away())
                await anyio.sleep(0.2)
            return "fenced"
        finally:
            with anyio.move_on_after(CLOSE_S, shield=True):
                await consumer.stop()  # leaves the group, so that others take over at once

    async def _why_away(self) -> str:
        """What an operator must mend before the brokers let us in again, as far as is known."""
        ask_at, why = self._away or (anyio.current_time() + ASK_EVERY_S, "")
        if self._settings.is_guarded and anyio.current_time() >= ask_at:
            refused = await refusal(self._settings, options(self._settings))
            ask_at, why = anyio.current_time() + ASK_EVERY_S, f"{refused}; {refused.advice}" if refused else ""
        self._away = ask_at, why
        return why


class _Listener(aiokafka.ConsumerRebalanceListener):  # type: ignore[misc]
    """Only notes what happens: heartbeats wait for a callback, and a slow one gets the member evicted."""

    def __init__(
        self, membership: Membership, consumer: aiokafka.AIOKafkaConsumer, number: int, tell: KafkaTelemetry
    ) -> None:
        self._membership = membership
        self._consumer = consumer
        self._number = number
        self._tell = tell

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        del revoked  # eager: it is everything, from everybody, for a moment
        self._membership.assigned(structs.replace(self._membership.assignment, settled=False))

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._consumer.pause(*assigned)
        partitions = frozenset(place.partition for place in assigned)
        self._tell.assigned(partitions)
        self._membership.assigned(Assignment(partitions, settled=True, consumer=self._number))
