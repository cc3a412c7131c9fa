"""What happens between this process and Kafka."""

from collections.abc import Iterable

import structlog

from collector.clock import Clock, SystemClock
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import Board


class KafkaTelemetry:
    """Tells of connections, membership, epochs and transactions."""

    def __init__(self, metrics: Metrics, board: Board, clock: Clock | None = None) -> None:
        self._metrics = metrics
        self._board = board
        self._clock = clock or SystemClock()
        self._ready = False
        self._log = structlog.get_logger()
        self._away = ""
        self._outside = ""

    def ready(self) -> None:
        """Kafka answers, and its topics are as they must be."""
        if self._board.kafka:
            self._log.info("kafka_ready")
        self._board.kafka = self._away = ""
        self._board.kafka_state = "ready"
        self._note()

    def unavailable(self, reason: str) -> None:
        """Kafka does not answer: it is tried again, and nothing is lost."""
        self._board.kafka = f"Kafka is not available: {reason}"
        self._board.kafka_state = "away"
        self._note()
        if reason != self._away:
            self._away = reason
            self._log.warning("kafka_unavailable", reason=reason)

    def refused(self, reason: str, advice: str) -> None:
        """Kafka is not as it must be: an operator is needed."""
        self._board.kafka = f"{reason}; {advice}"
        self._board.kafka_state = "refused"
        self._note()
        if reason != self._away:
            self._away = reason
            self._log.error("kafka_refused", reason=reason, advice=advice)

    def assigned(self, partitions: Iterable[int]) -> None:
        self._metrics.rebalances.inc()
        self._board.outside = self._outside = ""
        self._note()
        self._log.info("partitions_assigned", partitions=sorted(partitions))

    def coordinator_away(self, reason: str) -> None:
        """The group's coordinator does not answer: nothing is lost, but nothing can be taken over."""
        away = "the consumer group's coordinator does not answer" + (f": {reason}" if reason else "")
        if away != self._board.coordinator:
            self._log.warning("group_coordinator_away", **({"reason": reason} if reason else {}))
        self._board.coordinator = away
        self._note()

    def coordinator_known(self) -> None:
        if self._board.coordinator:
            self._log.info("group_coordinator_back")
        self._board.coordinator = ""
        self._note()

    def left_group(self, reason: str) -> None:
        """The group's consumer failed, or was fenced: a new one joins."""
        self._board.outside = f"joining the consumer group: {reason}"
        self._board.coordinator = ""
        self._note()
        if reason != self._outside:
            self._outside = reason
            self._log.warning("group_rejoining", reason=reason)

    def epoch_began(self, partition: int, took_s: float, pairs: int) -> None:
        self._metrics.restore_duration.observe(took_s)
        self._board.owned_partitions = sorted({*self._board.owned_partitions, partition})
        self._metrics.owned_partitions.set(len(self._board.owned_partitions))
        self._log.info("epoch_began", partition=partition, took_s=round(took_s, 3), pairs=pairs)

    def epoch_ended(self, partition: int, reason: str) -> None:
        if partition in self._board.owned_partitions:
            self._board.owned_partitions = [own for own in self._board.owned_partitions if own != partition]
            self._metrics.owned_partitions.set(len(self._board.owned_partitions))
        self._log.info("epoch_ended", partition=partition, reason=reason)

    def unexpected(self, partition: int, error: BaseException) -> None:
        """A fault of this program's own: nothing of the epoch is kept, and it starts over."""
        self._log.error("unexpected", partition=partition, exc_info=error)

    def committed(self, took_s: float) -> None:
        self._board.last_commit = self._clock.now()
        self._metrics.transactions.labels("committed").inc()
        self._metrics.transaction_duration.observe(took_s)

    def aborted(self, reason: str) -> None:
        """Recoverable: nothing of the epoch is kept, and it starts over."""
        self._metrics.transactions.labels("aborted").inc()
        self._log.warning("transaction_aborted", reason=reason)

    def fenced(self, partition: int) -> None:
        self._metrics.transactions.labels("fenced").inc()
        self._log.warning("epoch_fenced", partition=partition)

    def _note(self) -> None:
        """Since when the process is ready, or is not."""
        ready = not self._board.not_ready()
        if ready != self._ready:
            self._ready, self._board.changed = ready, self._clock.now()
