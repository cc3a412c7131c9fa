"""Assigns the state partitions to processes: a consumer group on the state topic, used only for its assignment."""

from collections.abc import Callable, Iterable

import aiokafka
import anyio
from aiokafka.errors import ConsumerStoppedError, InvalidSessionTimeoutError
from aiokafka.structs import TopicPartition
from msgspec import Struct, structs

from collector.errors import KafkaMisconfigured
from collector.kafka import causes
from collector.kafka.assignor import Streams, assignor
from collector.kafka.connection import (
    UNAVAILABLE,
    credentials_digest,
    have_credentials_changed,
    options,
    reason_of,
    start_client,
    stop_client,
)
from collector.kafka.header import state_topic_missing
from collector.kafka.hooks import Sessions, is_coordinator_known, member_id, watch_heartbeats
from collector.kafka.owners import member_client_id
from collector.kafka.settings import KafkaSettings
from collector.telemetry.kafka import KafkaTelemetry

REJOIN_S = 1.0
"""The wait before a new consumer replaces one that failed."""
HEARTBEATS_PER_SESSION = 5
"""Enough that one heartbeat that is lost or late does not end the session."""
MAX_SILENT_HEARTBEATS = 2
"""Heartbeats without a response until the coordinator counts as unavailable: a move to another broker is faster."""
RENEWAL_LEFT_S = 1.0
"""A connection is renewed when less of its session is left: twice the time between two attempts, and more."""
METADATA_S = 30.0
"""How often the partitions of the state topic are read. aiokafka's five minutes are for groups that read data."""
MISSING_S = 2.0
"""How long the state topic must be unknown before it counts as missing: brokers learn of a topic at different times."""
MAX_SILENT_SESSIONS = 2
"""Sessions without a response after which a new consumer connects to the configured servers: all brokers may have
moved."""


class Assignment(Struct, frozen=True):
    """The latest assignment of the group to this process."""

    partitions: frozenset[int] = frozenset()
    is_settled: bool = False
    """False while a rebalance has revoked it: then no epoch may start, but a running one may continue."""
    member: str = ""
    """The member id to which it was assigned. When the id changes, others may have owned the partitions in between."""
    confirmed_at: float = 0.0
    """When it was received, or the last heartbeat that confirmed it was sent: time of the event loop, in seconds."""


class Membership:
    """The membership of this process in the group."""

    def __init__(
        self,
        settings: KafkaSettings,
        telemetry: KafkaTelemetry,
        suspect: Callable[[], None],
        streams: Callable[[], Streams] = dict,
    ) -> None:
        """`suspect` is called when the brokers may be unavailable; `streams` returns those of the configuration."""
        self._settings = settings
        self._telemetry = telemetry
        self._suspect = suspect
        self._assignor = assignor(settings.state_topic, streams)
        self._assignment = Assignment()
        self._changed = anyio.Event()
        self._responded_at = 0.0
        """Time of the event loop at which the coordinator last responded, or a consumer started."""
        self._consumer: aiokafka.AIOKafkaConsumer | None = None
        """The started consumer."""
        self._missing_since: float | None = None
        """Time of the event loop since which no partition is assigned and the state topic is unknown."""

    @property
    def assignment(self) -> Assignment:
        """The latest assignment."""
        return self._assignment

    async def until(self, condition: Callable[[Assignment], bool]) -> None:
        """Return as soon as the condition holds for the assignment."""
        while not condition(self._assignment):
            await self._changed.wait()

    def set_assignment(self, assignment: Assignment) -> None:
        """Replace the assignment, and wake the tasks that wait in `until`."""
        self._assignment = assignment
        self._changed.set()
        self._changed = anyio.Event()

    def heartbeat_responded(self, sent_at: float, *, is_confirmed: bool) -> None:
        """The coordinator responded to a heartbeat. `is_confirmed`: it confirmed that this process is a member."""
        self._responded_at = anyio.current_time()
        if is_confirmed and self._assignment.is_settled:
            self.set_assignment(structs.replace(self._assignment, confirmed_at=sent_at))

    async def end_of(self, partition: int) -> int | None:
        """The offset after the last record of a state partition, committed or not; None if it is not known."""
        if self._consumer is None:
            return None
        topic_partition = TopicPartition(self._settings.state_topic, partition)
        try:
            ends = await self._consumer.end_offsets([topic_partition])
        except (ConsumerStoppedError, *UNAVAILABLE):
            return None
        return int(ends[topic_partition])

    async def run(self) -> None:
        """Stay a member; never returns. After any error a new consumer joins: the old one may never recover."""
        while True:
            reason, advice = "", None
            try:
                reason = await self._run_consumer()
            except KafkaMisconfigured as error:
                reason, advice = str(error), error.advice
            except InvalidSessionTimeoutError:
                cause = causes.session_timeout(self._settings)
                reason, advice = str(cause), cause.advice
            except Exception as error:  # noqa: BLE001 - a new consumer may work after any error
                if not isinstance(error, UNAVAILABLE):
                    self._telemetry.unexpected(None, error)
                self._suspect()
                reason = reason_of(error)
            self.set_assignment(structs.replace(self._assignment, is_settled=False))
            self._telemetry.left_group(reason, advice)
            await anyio.sleep(REJOIN_S)

    async def _run_consumer(self) -> str:
        """Stay a member with one consumer. Returns why it must be replaced.

        Raises KafkaMisconfigured, InvalidSessionTimeoutError, or what the client raises.
        """
        used_credentials = credentials_digest(self._settings)
        session_s = self._settings.session_timeout.total_seconds()
        consumer = self._new_consumer()
        sessions = Sessions(consumer)
        try:
            await start_client(consumer, self._settings.request_timeout_s * 2)
            self._consumer = consumer
            self._responded_at = anyio.current_time()
            watch_heartbeats(consumer, anyio.current_time, self.heartbeat_responded)
            consumer.subscribe([self._settings.state_topic], listener=_Listener(self, consumer, self._telemetry))
            while (silent_s := anyio.current_time() - self._responded_at) < MAX_SILENT_SESSIONS * session_s:
                # A member must poll even when it owns nothing, or it never rejoins. Assigned partitions are paused.
                await consumer.getmany(timeout_ms=200)
                failure = await sessions.renew(RENEWAL_LEFT_S)
                self._telemetry.sessions_renewed(None if failure is None else reason_of(failure))
                self._check_topic(consumer)
                is_known = is_coordinator_known(consumer)
                is_silent = silent_s > MAX_SILENT_HEARTBEATS * self._heartbeat_s
                if is_silent or not is_known:
                    self._suspect()
                if is_known:
                    self._telemetry.coordinator_available()
                elif have_credentials_changed(self._settings, used_credentials):  # the brokers may refuse those in use
                    return "the password or the certificates have changed"
                elif is_silent:
                    self._telemetry.coordinator_unavailable()
                await anyio.sleep(0.2)
            return f"the group's coordinator has not responded for {silent_s:.0f} s"
        finally:
            self._consumer = None
            sessions.close()
            await stop_client(consumer)  # leaves the group, so that other replicas take over at once

    @property
    def _heartbeat_s(self) -> float:
        return max(0.1, self._settings.session_timeout.total_seconds() / HEARTBEATS_PER_SESSION)

    def _new_consumer(self) -> aiokafka.AIOKafkaConsumer:
        session_ms = int(self._settings.session_timeout.total_seconds() * 1000)
        return aiokafka.AIOKafkaConsumer(
            **options(self._settings) | {"client_id": member_client_id()},
            group_id=self._settings.group,
            partition_assignment_strategy=(self._assignor,),
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=int(self._heartbeat_s * 1000),
            rebalance_timeout_ms=session_ms,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            metadata_max_age_ms=int(METADATA_S * 1000),
        )

    def _check_topic(self, consumer: aiokafka.AIOKafkaConsumer) -> None:
        """Report a missing state topic. Without it no partition is assigned, as on a replica on standby."""
        now, topic = anyio.current_time(), self._settings.state_topic
        if not self._assignment.is_settled:
            return
        if self._assignment.partitions or consumer.partitions_for_topic(topic):
            if self._missing_since is not None and now - self._missing_since > MISSING_S:
                self._telemetry.topics_ready()
            self._missing_since = None
            return
        self._missing_since = self._missing_since or now
        if now - self._missing_since > MISSING_S:
            missing = state_topic_missing(topic)
            self._telemetry.topics_refused(str(missing), missing.advice)


class _Listener(aiokafka.ConsumerRebalanceListener):  # type: ignore[misc]
    """Only stores the assignment: heartbeats wait for these callbacks, so a slow callback would end the membership."""

    def __init__(self, membership: Membership, consumer: aiokafka.AIOKafkaConsumer, telemetry: KafkaTelemetry) -> None:
        self._membership = membership
        self._consumer = consumer
        self._telemetry = telemetry

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        del revoked  # the eager protocol revokes all partitions of all members during a rebalance
        self._membership.set_assignment(structs.replace(self._membership.assignment, is_settled=False))

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._consumer.pause(*assigned)
        partitions = frozenset(each.partition for each in assigned)
        self._telemetry.assigned(partitions)
        now = anyio.current_time()
        member = member_id(self._consumer)
        self._membership.set_assignment(Assignment(partitions, is_settled=True, member=member, confirmed_at=now))
        self._membership.heartbeat_responded(now, is_confirmed=True)
