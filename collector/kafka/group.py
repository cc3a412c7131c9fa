"""Which state partitions are ours: a consumer group on the state topic, joined for the assignment alone."""

from collections.abc import Callable, Iterable

import aiokafka
import anyio
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import InvalidSessionTimeoutError
from aiokafka.structs import TopicPartition
from msgspec import Struct, structs

from collector.errors import KafkaMisconfigured
from collector.kafka import causes
from collector.kafka.connection import UNAVAILABLE, credentials, options, reason_of, start, stop
from collector.kafka.header import state_topic_missing
from collector.kafka.hooks import is_coordinator_known, member_id, watch_heartbeats
from collector.kafka.settings import KafkaSettings
from collector.telemetry.kafka import KafkaTelemetry

REJOIN_S = 1.0
"""Between a consumer that failed and the next one."""
HEARTBEATS = 5
"""In a session: one that is lost, or late, costs nothing."""
MAX_SILENT_HEARTBEATS = 2
"""After which the coordinator counts as away: it moves to another broker within less."""
METADATA_S = 30.0
"""After which it is looked again which partitions the state topic has; aiokafka's five minutes are for a busy group."""
MISSING_S = 2.0
"""How long the state topic must be unknown before it counts as missing: brokers learn of topics one after the other."""
MAX_SILENT_SESSIONS = 2
"""After which a new consumer begins at the configured addresses: all brokers may have moved to others."""


class Assignment(Struct, frozen=True):
    """What the group assigned to this process last."""

    partitions: frozenset[int] = frozenset()
    settled: bool = False
    """False while a rebalance has revoked it: no epoch may begin, and none ends."""
    member: str = ""
    """The member to which it was assigned. Under another one, others may have owned the partitions in between."""
    confirmed_at: float = 0.0
    """Time of the loop at which it was received, or at which the last heartbeat that confirmed it was sent."""


class Membership:
    """This process's place in the group."""

    def __init__(self, settings: KafkaSettings, telemetry: KafkaTelemetry, suspect: Callable[[], None]) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._suspect = suspect
        self._assignment = Assignment()
        self._changed = anyio.Event()
        self._answered_at = 0.0
        """Time of the loop at which the coordinator last answered, or a consumer began."""
        self._missing_since: float | None = None
        """Time of the loop since which no partition is assigned, and the state topic is unknown."""

    @property
    def assignment(self) -> Assignment:
        """What was assigned last."""
        return self._assignment

    async def until(self, condition: Callable[[Assignment], bool]) -> None:
        """Return when the condition holds of the assignment."""
        while not condition(self._assignment):
            await self._changed.wait()

    def assigned(self, assignment: Assignment) -> None:
        """Take note, and wake all who wait for it."""
        self._assignment = assignment
        self._changed.set()
        self._changed = anyio.Event()

    def answered(self, sent_at: float, *, is_confirmed: bool) -> None:
        """Take note that the coordinator answered a heartbeat, and whether we are the member that we believe to be."""
        self._answered_at = anyio.current_time()
        if is_confirmed and self._assignment.settled:
            self.assigned(structs.replace(self._assignment, confirmed_at=sent_at))

    async def keep(self) -> None:
        """Be a member; never returns. Any unexpected error means a new consumer: the old one would never heal."""
        while True:
            reason, advice = "", None
            try:
                reason = await self._as_consumer()
            except KafkaMisconfigured as error:
                reason, advice = str(error), error.advice
            except InvalidSessionTimeoutError:
                cause = causes.session_timeout(self._settings)
                reason, advice = str(cause), cause.advice
            except Exception as error:  # noqa: BLE001 - whatever the client raises, the next consumer begins anew
                if not isinstance(error, UNAVAILABLE):
                    self._telemetry.unexpected(None, error)
                self._suspect()
                reason = reason_of(error)
            self.assigned(structs.replace(self._assignment, settled=False))
            self._telemetry.left_group(reason, advice)
            await anyio.sleep(REJOIN_S)

    async def _as_consumer(self) -> str:
        """Be a member, and return why a new consumer is needed."""
        began_with = credentials(self._settings)
        session_s = self._settings.session_timeout.total_seconds()
        heartbeat_s = max(0.1, session_s / HEARTBEATS)
        consumer = aiokafka.AIOKafkaConsumer(
            **options(self._settings),
            group_id=self._settings.group,
            partition_assignment_strategy=(StickyPartitionAssignor,),
            session_timeout_ms=int(session_s * 1000),
            heartbeat_interval_ms=int(heartbeat_s * 1000),
            rebalance_timeout_ms=int(session_s * 1000),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            metadata_max_age_ms=int(METADATA_S * 1000),
        )
        try:
            await start(consumer, self._settings.request_timeout_s * 2)
            self._answered_at = anyio.current_time()
            watch_heartbeats(consumer, anyio.current_time, self.answered)
            consumer.subscribe([self._settings.state_topic], listener=_Listener(self, consumer, self._telemetry))
            while (silent_s := anyio.current_time() - self._answered_at) < MAX_SILENT_SESSIONS * session_s:
                # A member that owns nothing must still poll, or it never rejoins. What is assigned is paused.
                await consumer.getmany(timeout_ms=200)
                self._look_for_topic(consumer)
                is_known, is_silent = is_coordinator_known(consumer), silent_s > MAX_SILENT_HEARTBEATS * heartbeat_s
                if is_silent or not is_known:
                    self._suspect()
                if is_known:
                    self._telemetry.coordinator_known()
                elif credentials(self._settings) != began_with:  # with which the old one would be refused each time
                    return "the password or the certificates have changed"
                elif is_silent:
                    self._telemetry.coordinator_away("")
                await anyio.sleep(0.2)
            return f"the group's coordinator has not answered for {silent_s:.0f} s"
        finally:
            await stop(consumer)  # leaves the group, so that others take over at once

    def _look_for_topic(self, consumer: aiokafka.AIOKafkaConsumer) -> None:
        """Report a missing state topic: nothing is assigned to anybody then, which looks like being on standby."""
        now, topic = anyio.current_time(), self._settings.state_topic
        if not self._assignment.settled:
            return
        if self._assignment.partitions or consumer.partitions_for_topic(topic):
            if self._missing_since is not None and now - self._missing_since > MISSING_S:
                self._telemetry.ready()
            self._missing_since = None
            return
        self._missing_since = self._missing_since or now
        if now - self._missing_since > MISSING_S:
            missing = state_topic_missing(topic)
            self._telemetry.refused(str(missing), missing.advice)


class _Listener(aiokafka.ConsumerRebalanceListener):  # type: ignore[misc]
    """Only notes what happens: heartbeats wait for a callback, and a slow one gets the member evicted."""

    def __init__(self, membership: Membership, consumer: aiokafka.AIOKafkaConsumer, telemetry: KafkaTelemetry) -> None:
        self._membership = membership
        self._consumer = consumer
        self._telemetry = telemetry

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        del revoked  # eager: it is everything, from everybody, for a moment
        self._membership.assigned(structs.replace(self._membership.assignment, settled=False))

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._consumer.pause(*assigned)
        partitions = frozenset(place.partition for place in assigned)
        self._telemetry.assigned(partitions)
        now = anyio.current_time()
        self._membership.assigned(Assignment(partitions, True, member_id(self._consumer), now))  # noqa: FBT003 - settled
        self._membership.answered(now, is_confirmed=True)
