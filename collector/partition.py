"""One state partition: its streams run whenever it is ours, epoch after epoch."""

from collections.abc import Awaitable, Callable, Sequence
from random import Random

import anyio

from collector.clock import Clock
from collector.errors import EpochEnded, KafkaMisconfigured, leaves
from collector.kafka.availability import Availability
from collector.kafka.connection import UNAVAILABLE, reason_of
from collector.kafka.epoch import Epoch, SeenOffset, epoch
from collector.kafka.group import Assignment, Membership
from collector.kafka.header import HeaderMissing
from collector.kafka.producer import Fenced
from collector.kafka.settings import KafkaSettings
from collector.pipeline.state import by_stream
from collector.stream_handle import StreamHandle
from collector.telemetry.kafka import KafkaTelemetry
from collector.vendors import backoff

RETRY_S = (0.5, 15.0)
"""First and longest wait in seconds before the next epoch, after one that broke: longer while none commits anything."""
Claim = Callable[[HeaderMissing], Awaitable[Exception | None]]
"""Claims the state topic where nothing was ever written; else returns why not."""


class Partition:
    """A state partition with configured streams."""

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
        self._seen = SeenOffset()
        self._fenced_at = 0.0
        """Time of the loop at which another process took the partition over last."""

    async def hold(self) -> None:
        """Begin an epoch whenever the partition is ours; never returns."""
        failures = 0
        while True:
            await self._until_ours()
            error, commits = await self._epoch()
            self._telemetry.epoch_ended(self._number, reason_of(error) if error else "assigned to another replica")
            if error is None:
                continue
            failures = 1 if commits else failures + 1
            delay_s = backoff.delay_s(failures, RETRY_S, self._random.random())
            await self._after(error, failures, delay_s)
            await anyio.sleep(delay_s)

    async def _after(self, error: Exception, failures: int, delay_s: float) -> None:
        """Do what the end of an epoch calls for, and report it."""
        if isinstance(error, Fenced):
            # The one that fenced us may have been assigned after us: only what the group confirms from now on counts.
            self._fenced_at = anyio.current_time()
            return
        reason = await self._claim(error) if isinstance(error, HeaderMissing) else error
        if isinstance(reason, UNAVAILABLE):
            self._availability.suspect()
        if reason is not None and not isinstance(reason, Fenced):
            self._block(reason, failures, delay_s)

    async def _until_ours(self) -> None:
        """Return when an epoch may begin: assigned, and confirmed by the group since we were fenced last."""

        def may_begin(now: Assignment) -> bool:
            return now.settled and self._number in now.partitions and now.confirmed_at > self._fenced_at

        def is_elsewhere(now: Assignment) -> bool:
            return now.settled and self._number not in now.partitions

        await self._membership.until(lambda now: may_begin(now) or is_elsewhere(now))
        if is_elsewhere(self._membership.assignment):
            self._telemetry.unblocked(self._number)
            for stream in self._streams:
                stream.telemetry.disowned()
            await self._membership.until(may_begin)

    def _block(self, error: Exception, failures: int, delay_s: float) -> None:
        """Report that the partition cannot be taken over. Trouble that passes is reported when it comes again.

        A topic that is refused blocks the streams that need it, and no others.
        """
        advice = error.advice if isinstance(error, KafkaMisconfigured) else None
        of_some = isinstance(error, KafkaMisconfigured) and error.topic not in (None, self._settings.state_topic)
        if of_some or (advice is None and failures == 1):
            return
        self._telemetry.blocked(self._number, reason_of(error), advice)
        for stream in self._streams:
            stream.telemetry.blocked(reason_of(error), advice, delay_s, self._clock.now())

    async def _epoch(self) -> tuple[Exception | None, int]:
        """One ownership; why it broke, or None when the partition was assigned to another replica; and its commits."""
        holding: Epoch | None = None
        cause: Exception | None = None
        taking_over = epoch(
            self._number,
            self._settings,
            self._telemetry,
            lambda: self._number in self._membership.assignment.partitions,
            slots=self._restores,
            seen=self._seen,
            progress=self._restoring,
        )
        try:
            async with anyio.create_task_group() as ownership:
                ownership.start_soon(self._until_reassigned, self._membership.assignment.member, ownership.cancel_scope)
                async with taking_over as holding, anyio.create_task_group() as running:
                    pairs, holding.pairs = by_stream(holding.pairs), {}  # it may be large, and is needed once
                    for stream in self._streams:
                        running.start_soon(stream.run, holding, pairs.pop(stream.prefix, {}))
                    del pairs
                    running.start_soon(anyio.sleep_forever)  # also when every stream is complete, or waits for somebody
                ownership.cancel_scope.cancel()
        except Exception as error:  # noqa: BLE001 - nothing that breaks an epoch ends the process
            cause = next(each for each in leaves(error) if isinstance(each, Exception))
            if isinstance(cause, EpochEnded) and holding is not None and holding.failure is not None:
                cause = holding.failure
            if not isinstance(cause, (EpochEnded, Fenced, KafkaMisconfigured, *UNAVAILABLE)):
                self._telemetry.unexpected(self._number, error)
        finally:
            if holding is not None:
                for stream in self._streams:
                    stream.telemetry.disowned()
        return cause, holding.commits if holding else 0

    def _restoring(self, done: int, total: int) -> None:
        self._telemetry.restoring(self._number, done, total)
        for stream in self._streams:
            stream.telemetry.restoring(done / total)

    async def _until_reassigned(self, began_as: str, ownership: anyio.CancelScope) -> None:
        """End the epoch when a settled assignment lacks its partition, or is another member's.

        A revocation alone ends nothing: nobody else can commit without fencing us first. But a member that was put out
        of the group, or left it, may have been fenced meanwhile, and would find that out at its next commit only.
        """
        await self._membership.until(
            lambda now: now.settled and (self._number not in now.partitions or now.member != began_as)
        )
        ownership.cancel()
