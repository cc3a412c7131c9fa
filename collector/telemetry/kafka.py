"""What happens between this process and Kafka."""

from collections.abc import Iterable
from typing import Any

import structlog

from collector.clock import Clock, SystemClock
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import LastError, Problem, ProcessStatus
from collector.telemetry.stream import publish_state


class _Demoted:
    """A logger whose lines are debug, whatever their level."""

    def __init__(self, log: Any) -> None:  # noqa: ANN401 - a logger of structlog's
        self.info = self.warning = log.debug


class KafkaTelemetry:
    """Log lines, metrics and status of connections, membership, epochs and transactions.

    A Kafka that is away is one line when that begins and one when it ends: what follows from it is logged as debug.
    """

    def __init__(self, metrics: Metrics, process_status: ProcessStatus, clock: Clock | None = None) -> None:
        self._metrics = metrics
        self._process_status = process_status
        self._clock = clock or SystemClock()
        self._ready = False
        self._log = structlog.get_logger()
        self._refusals: set[str] = set()
        """Reasons that are logged and last."""
        self._restores: dict[int, tuple[int, int]] = {}
        """Of each partition that is being restored: records read, and of how many."""

    def topics_ready(self) -> None:
        """Kafka answers, and its topics are as they must be."""
        if self._process_status.topics is not None:
            self._log.info("kafka_ready")
        self._process_status.topics = None
        self._note()

    def available(self) -> None:
        """The brokers answer, and let us in."""
        if self._process_status.access is None:
            return
        self._process_status.access = None
        self._interrupt(None)
        self._log.info("kafka_ready")
        self._note()

    def unavailable(self, reason: str, advice: str) -> None:
        """No broker answers: nothing is lost, and it goes on by itself."""
        self._no_access("away", reason, advice)

    def denied(self, reason: str, advice: str) -> None:
        """The brokers answer and do not let us in: an operator is needed."""
        self._no_access("refused", reason, advice)

    def _no_access(self, state: str, reason: str, advice: str) -> None:
        problem = Problem("away" if state == "away" else "refused", f"{reason}; {advice}")
        before, self._process_status.access = self._process_status.access, problem
        self._interrupt(LastError(reason, advice, self._clock.now()))
        self._note()
        if before is None or before.state != problem.state:
            if state == "away":
                self._log.warning("kafka_unavailable", reason=reason, advice=advice)
            else:
                self._log.error("kafka_refused", reason=reason, advice=advice)

    def topics_refused(self, reason: str, advice: str) -> None:
        """The topics are not as they must be: an operator is needed."""
        self._process_status.topics = Problem("refused", f"{reason}; {advice}")
        self._log_refusal(reason, advice)
        self._note()

    def blocked(self, partition: int, reason: str, advice: str | None = None) -> None:
        """An assigned partition cannot be taken over; with advice, an operator is needed."""
        is_news = partition not in self._process_status.partitions
        if advice is not None:
            self._process_status.partitions[partition] = Problem("refused", f"{reason}; {advice}")
            self._log_refusal(reason, advice)
        else:
            self._process_status.partitions[partition] = Problem("away", f"state partition {partition}: {reason}")
            if is_news:
                self._consequence.warning("partition_blocked", partition=partition, reason=reason)
        self._note()

    def unblocked(self, partition: int) -> None:
        """The partition was taken over, or is not ours to take over any more."""
        if self._process_status.partitions.pop(partition, None) is None:
            return
        if not self._process_status.partitions:
            self._refusals.clear()
        self._note()

    def assigned(self, partitions: Iterable[int]) -> None:
        """The group assigned these partitions to this process."""
        self._metrics.rebalances.inc()
        self._process_status.group_problem = None
        self._note()
        self._log.info("partitions_assigned", partitions=sorted(partitions))

    def coordinator_unavailable(self, reason: str) -> None:
        """The group's coordinator does not answer: nothing is lost, but nothing can be taken over."""
        if self._process_status.access is not None:
            return
        text = "the consumer group's coordinator does not answer" + (f": {reason}" if reason else "")
        before, self._process_status.coordinator = self._process_status.coordinator, Problem("no_coordinator", text)
        if before != self._process_status.coordinator:
            self._log.warning("group_coordinator_away", **({"reason": reason} if reason else {}))
        self._note()

    def coordinator_available(self) -> None:
        """The group's coordinator answers."""
        if self._process_status.coordinator is not None:
            self._log.info("group_coordinator_back")
        self._process_status.coordinator = None
        self._note()

    def left_group(self, reason: str, advice: str | None = None) -> None:
        """The group's consumer failed, and a new one joins; with advice, an operator is needed."""
        if advice is not None:
            problem = Problem("refused", f"{reason}; {advice}")
            self._log_refusal(reason, advice)
        else:
            problem = Problem("joining", f"joining the consumer group: {reason}")
            if self._process_status.group_problem != problem:
                self._consequence.warning("group_rejoining", reason=reason)
        self._process_status.group_problem, self._process_status.coordinator = problem, None
        self._note()

    def restoring(self, partition: int, done: int, total: int) -> None:
        """So many of the records of a partition's state are read."""
        self._restores[partition] = done, total
        self._note_restores()

    def epoch_began(self, partition: int, took_s: float, pairs: int) -> None:
        """The partition is ours, and restored."""
        self._metrics.restore_duration.observe(took_s)
        self._process_status.owned_partitions = sorted({*self._process_status.owned_partitions, partition})
        self._metrics.owned_partitions.set(len(self._process_status.owned_partitions))
        self._restores.pop(partition, None)
        self._note_restores()
        self.unblocked(partition)
        self._log.info("epoch_began", partition=partition, took_s=round(took_s, 3), pairs=pairs)

    def epoch_ended(self, partition: int, reason: str) -> None:
        """The epoch ended, or did not come to begin."""
        self._restores.pop(partition, None)
        self._note_restores()
        if partition not in self._process_status.owned_partitions:
            self._log.debug("epoch_failed", partition=partition, reason=reason)
            return
        self._process_status.owned_partitions = [
            own for own in self._process_status.owned_partitions if own != partition
        ]
        self._metrics.owned_partitions.set(len(self._process_status.owned_partitions))
        self._consequence.info("epoch_ended", partition=partition, reason=reason)

    def unexpected(self, partition: int | None, error: BaseException) -> None:
        """A fault of this program's own, or of a library: what failed starts over; of a partition, its epoch."""
        self._log.error("unexpected", partition=partition, exc_info=error)

    def committed(self, took_s: float) -> None:
        """A transaction is durable."""
        self._process_status.last_commit = self._clock.now()
        self._metrics.transactions.labels("committed").inc()
        self._metrics.transaction_duration.observe(took_s)

    def aborted(self, reason: str) -> None:
        """Recoverable: nothing of the epoch is kept, and it starts over."""
        self._metrics.transactions.labels("aborted").inc()
        self._consequence.warning("transaction_aborted", reason=reason)

    def fenced(self, partition: int) -> None:
        """Another process took the partition over."""
        self._metrics.transactions.labels("fenced").inc()
        self._log.warning("epoch_fenced", partition=partition)

    @property
    def _consequence(self) -> Any:  # noqa: ANN401 - a logger of structlog's
        """The log for what may only follow from Kafka being away: while it is, all of it is debug."""
        return self._log if self._process_status.access is None else _Demoted(self._log)

    def _log_refusal(self, reason: str, advice: str) -> None:
        if reason not in self._refusals:
            self._refusals.add(reason)
            self._log.error("kafka_refused", reason=reason, advice=advice)

    def _interrupt(self, why: LastError | None) -> None:
        for stream in self._process_status.streams:
            stream.interruption = why
            publish_state(self._metrics, stream)

    def _note_restores(self) -> None:
        done = sum(done for done, _ in self._restores.values())
        total = sum(total for _, total in self._restores.values())
        self._metrics.restore_progress.set(done / total if total else 1)

    def _note(self) -> None:
        """Since when the process is ready, or is not."""
        ready = self._process_status.problem() is None
        if ready:
            self._refusals.clear()
        self._metrics.kafka_ready.set(self._process_status.kafka_problem() is None)
        if ready != self._ready:
            self._ready, self._process_status.changed = ready, self._clock.now()
