"""One state partition: runs its streams, epoch after epoch, while the partition is assigned to this process."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random

import anyio

from collector.backfill import States
from collector.clock import Clock
from collector.epoch_streams import EpochStreams
from collector.errors import EpochEnded, KafkaMisconfigured, leaves, release_frames
from collector.kafka.availability import Availability
from collector.kafka.connection import UNAVAILABLE, reason_of
from collector.kafka.epoch import Epoch, KnownOffset, epoch
from collector.kafka.group import Assignment, Membership
from collector.kafka.header import HeaderMissing
from collector.kafka.producer import Fenced
from collector.kafka.settings import KafkaSettings
from collector.pipeline.state import by_stream
from collector.pipeline.state_records import reserved, unnamed_keys
from collector.stream_handle import StreamHandle
from collector.telemetry.kafka import KafkaTelemetry
from collector.vendors import backoff

RETRY_S = (0.5, 15.0)
"""First and longest wait, in seconds, after a failed epoch. It doubles while no epoch commits anything."""
STABLE_S = 15.0
"""After an unexpected error the partition is shown as blocked until an epoch has lasted this long, in seconds."""
Claim = Callable[[HeaderMissing], Awaitable[Exception | None]]
"""Claims the state topic if nothing was ever published. Returns None on success, else why that was not possible."""


class Partition:
    """A state partition with configured streams. A reload of the configuration may replace them."""

    def __init__(
        self,
        number: int,
        streams: Sequence[StreamHandle],
        settings: KafkaSettings,
        telemetry: KafkaTelemetry,
        membership: Membership,
        availability: Availability,
        *,
        claim: Claim,
        restores: anyio.Semaphore,
        clock: Clock,
        random: Random,
    ) -> None:
        self._number = number
        self._streams = streams
        self._settings = settings
        self._telemetry = telemetry
        self._membership = membership
        self._availability = availability
        self._claim = claim
        self._restores = restores
        self._clock = clock
        self._random = random
        self._known_offset = KnownOffset()
        self._running: EpochStreams | None = None
        """The streams of the present epoch."""
        self._fenced_at = 0.0
        """When another process last fenced this one: time of the event loop, in seconds."""

    async def replace(self, streams: Sequence[StreamHandle]) -> None:
        """Run these streams instead. Those that are in both do not notice. Returns when the others have ended."""
        self._streams = streams
        if self._running is not None:
            await self._running.replace(streams)

    async def run(self) -> None:
        """Start an epoch whenever the partition is assigned to this process. Never returns."""
        failures = 0
        while True:
            await self._until_assigned()
            error, commits = await self._run_epoch()
            self._telemetry.epoch_ended(self._number, reason_of(error) if error else self._reassignment())
            if error is None:
                continue
            failures = 1 if commits else failures + 1
            delay_s = backoff.delay_s(failures, RETRY_S, self._random.random())
            is_claimed = await self._handle(error, failures, delay_s)
            release_frames(error)  # it is kept during the next epoch
            if not is_claimed or failures > 1:
                await anyio.sleep(delay_s)

    def _reassignment(self) -> str:
        """Why an epoch ended without an error."""
        if self._number in self._membership.assignment.partitions:
            return "this process was not a member of the group for a while, and has joined it again"
        return "assigned to another replica"

    async def _handle(self, error: Exception, failures: int, delay_s: float) -> bool:
        """Act on the error that ended an epoch, and report it. The caller then waits `delay_s` and retries.

        Returns whether the header that the partition lacked has been written meanwhile.
        """
        if isinstance(error, Fenced):
            # The process that fenced this one may hold a newer assignment: wait for the group to confirm this one.
            self._fenced_at = anyio.current_time()
            return False
        reason = await self._claim(error) if isinstance(error, HeaderMissing) else error
        if isinstance(reason, UNAVAILABLE):
            self._availability.suspect()
        if reason is not None and not isinstance(reason, Fenced):
            self._block(reason, failures, delay_s)
        return reason is None

    async def _until_assigned(self) -> None:
        """Return when an epoch may start: the partition is assigned, and confirmed since the last fence."""

        def can_start(now: Assignment) -> bool:
            return now.is_settled and self._number in now.partitions and now.confirmed_at > self._fenced_at

        def is_elsewhere(now: Assignment) -> bool:
            return now.is_settled and self._number not in now.partitions

        await self._membership.until(lambda now: can_start(now) or is_elsewhere(now))
        if is_elsewhere(self._membership.assignment):
            self._telemetry.unblocked(self._number)
            for stream in self._streams:
                stream.telemetry.released()
            await self._membership.until(can_start)

    def _block(self, error: Exception, failures: int, delay_s: float) -> None:
        """Report that the partition cannot be run. A transient error is reported from its second occurrence on.

        An unusable event topic blocks only the streams that publish to it.
        """
        advice = error.advice if isinstance(error, KafkaMisconfigured) else None
        shared_topics = (None, self._settings.state_topic)
        affects_some_streams = isinstance(error, KafkaMisconfigured) and error.topic not in shared_topics
        is_transient = isinstance(error, (EpochEnded, *UNAVAILABLE))
        if affects_some_streams or (is_transient and failures == 1):
            return
        is_unexpected = not is_transient and advice is None
        reason = f"unexpected {type(error).__name__}: {reason_of(error)}" if is_unexpected else reason_of(error)
        self._telemetry.blocked(self._number, reason, advice)
        for stream in self._streams:
            stream.telemetry.blocked(reason, advice, delay_s, self._clock.now())

    async def _run_epoch(self) -> tuple[Exception | None, int]:
        """Run one epoch. Returns the error that ended it (None after a reassignment) and the number of commits."""
        current: Epoch | None = None
        cause: Exception | None = None
        taking_over = epoch(
            self._number,
            self._settings,
            self._telemetry,
            lambda: self._number in self._membership.assignment.partitions,
            slots=self._restores,
            known_offset=self._known_offset,
            progress=self._report_restore,
        )
        try:
            async with anyio.create_task_group() as ownership:
                ownership.start_soon(self._until_reassigned, self._membership.assignment.member, ownership.cancel_scope)
                async with taking_over as current, anyio.create_task_group() as running:
                    self._telemetry.unnamed_records(self._number, unnamed_keys(current.pairs))
                    self._running = EpochStreams(current, self._streams, partial(self._read_states, current))
                    states, current.pairs = by_stream(current.pairs), reserved(current.pairs)  # the former are large
                    running.start_soon(self._running.run, states)
                    del states
                    running.start_soon(current.watch, partial(self._membership.end_of, self._number))
                    running.start_soon(self._report_stable)
                ownership.cancel_scope.cancel()
        except Exception as error:  # noqa: BLE001 - no failed epoch ends the process
            cause = next(each for each in leaves(error) if isinstance(each, Exception))
            if isinstance(cause, EpochEnded) and current is not None and current.failure is not None:
                cause = current.failure
            if not isinstance(cause, (EpochEnded, Fenced, KafkaMisconfigured, *UNAVAILABLE)):
                self._telemetry.unexpected(self._number, error)
                self._telemetry.epoch_failed(self._number)
        finally:
            self._running = None
            if current is not None:
                for stream in self._streams:
                    stream.telemetry.released()
        return cause, current.commits if current else 0

    async def _read_states(self, current: Epoch) -> States:
        """The stored states as of now, for streams that begin during the epoch."""
        async with self._restores:
            return by_stream(await current.read_state())

    async def _report_stable(self) -> None:
        """Report that the partition was taken over, once the epoch has lasted: its last one may have failed at once."""
        await anyio.sleep(STABLE_S)
        self._telemetry.unblocked(self._number)

    def _report_restore(self, done: int, total: int) -> None:
        self._telemetry.restoring(self._number, done, total)
        for stream in self._streams:
            stream.telemetry.restoring(done / total)

    async def _until_reassigned(self, member: str, ownership: anyio.CancelScope) -> None:
        """End the epoch when a settled assignment lacks its partition, or belongs to another member.

        A revocation alone does not end it: no other process can commit without fencing this one first. But a member
        that was removed from the group, or left it, may have been fenced meanwhile and would only notice at its next
        commit.
        """
        await self._membership.until(
            lambda now: now.is_settled and (self._number not in now.partitions or now.member != member)
        )
        ownership.cancel()
