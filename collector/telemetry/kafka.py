"""Telemetry of the Kafka connection: availability, group membership, epochs and transactions."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

import structlog

from collector.clock import Clock, SystemClock
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import LastError, ProcessStatus, ReadinessProblem
from collector.telemetry.stream import publish_state

MAX_LOGGED_KEYS = 10
"""The most keys in one log line."""


class _DemotedLogger:
    """A logger that writes info and warning lines at level debug."""

    def __init__(self, log: Any) -> None:  # noqa: ANN401 - structlog's type
        self.info = self.warning = log.debug


class KafkaTelemetry:
    """Log lines, metrics and status of the Kafka connection.

    An outage of Kafka is logged once when it starts and once when it ends. Its consequences are logged at level debug.
    """

    def __init__(self, metrics: Metrics, process_status: ProcessStatus, clock: Clock | None = None) -> None:
        self._metrics = metrics
        self._process_status = process_status
        self._clock = clock or SystemClock()
        self._ready = False
        self._log = structlog.get_logger()
        self._logged_refusals: set[str] = set()
        """Reasons that were logged and still apply."""
        self._restores: dict[int, tuple[int, int]] = {}
        """For each partition that is being restored: the records read so far, and their total."""
        self._failed: set[int] = set()
        """Partitions whose last epoch ended with an unexpected error. They are not ready until an epoch has lasted."""
        self._renewal_fails = False
        self._unnamed: dict[int, frozenset[str]] = {}
        """For each partition: the keys that name no stream, as last logged."""

    def topics_ready(self) -> None:
        """Kafka is available and its topics are valid."""
        if self._process_status.topics is not None:
            self._log.info("kafka_ready")
        self._process_status.topics = None
        self._update_readiness()

    def checked(self, what: str, result: str) -> None:
        """What `check` says of the brokers, at the start."""
        self._log.info("kafka_checked", what=what, result=result)

    def noticed(self, code: str, reason: str, advice: str) -> None:
        """Something works, but has a consequence that an operator should know."""
        self._log.warning("kafka_notice", code=code, reason=reason, advice=advice)

    def available(self) -> None:
        """The brokers respond and accept the client's credentials."""
        if self._process_status.access is None:
            return
        self._process_status.access = None
        self._set_interruption(None)
        self._log.info("kafka_ready")
        self._update_readiness()

    def unavailable(self, reason: str, advice: str) -> None:
        """No broker responds. Nothing is lost; the collector continues when one does."""
        self._inaccessible("away", reason, advice)

    def denied(self, reason: str, advice: str) -> None:
        """The brokers reject the client: an operator must follow the advice."""
        self._inaccessible("refused", reason, advice)

    def _inaccessible(self, state: Literal["away", "refused"], reason: str, advice: str) -> None:
        problem = ReadinessProblem(state, f"{reason}; {advice}")
        before, self._process_status.access = self._process_status.access, problem
        self._set_interruption(LastError(reason, advice, self._clock.now()))
        self._update_readiness()
        if before is None or before.state != problem.state:
            if state == "away":
                self._log.warning("kafka_unavailable", reason=reason, advice=advice)
            else:
                self._log.error("kafka_refused", reason=reason, advice=advice)

    def topics_refused(self, reason: str, advice: str) -> None:
        """A topic is missing or misconfigured: an operator must follow the advice."""
        self._process_status.topics = ReadinessProblem("refused", f"{reason}; {advice}")
        self._log_refusal(reason, advice)
        self._update_readiness()

    def blocked(self, partition: int, reason: str, advice: str | None = None) -> None:
        """An assigned partition cannot be taken over. If there is advice, an operator must act."""
        is_new = partition not in self._process_status.partitions
        if advice is not None:
            self._process_status.partitions[partition] = ReadinessProblem("refused", f"{reason}; {advice}")
            self._log_refusal(reason, advice)
        else:
            self._process_status.partitions[partition] = ReadinessProblem(
                "away", f"state partition {partition}: {reason}"
            )
            if is_new:
                self._consequence_log.warning("partition_blocked", partition=partition, reason=reason)
        self._update_readiness()

    def unblocked(self, partition: int) -> None:
        """The partition was taken over, or is no longer assigned to this process."""
        self._failed.discard(partition)
        if self._process_status.partitions.pop(partition, None) is None:
            return
        if not self._process_status.partitions:
            self._logged_refusals.clear()
        self._update_readiness()

    def assigned(self, partitions: Iterable[int]) -> None:
        """The group assigned these partitions to this process."""
        self._metrics.rebalances.inc()
        self._process_status.group_problem = None
        self._update_readiness()
        self._log.info("partitions_assigned", partitions=sorted(partitions))

    def owners_known(self, owners: Mapping[int, str]) -> None:
        """The host that owns each state partition, as the group's coordinator describes it."""
        self._process_status.owners, self._process_status.owners_problem = owners, None

    def owners_unknown(self, reason: str) -> None:
        """The coordinator does not describe the group, for this reason. Only the status shows it."""
        self._process_status.owners, self._process_status.owners_problem = {}, reason

    def coordinator_unavailable(self) -> None:
        """The group's coordinator does not respond. Nothing is lost, but no partition can be taken over."""
        if self._process_status.access is not None:
            return
        if self._process_status.coordinator is None:
            self._log.warning("group_coordinator_away")
        text = "the consumer group's coordinator does not respond"
        self._process_status.coordinator = ReadinessProblem("no_coordinator", text)
        self._update_readiness()

    def coordinator_available(self) -> None:
        """The group's coordinator responds."""
        if self._process_status.coordinator is not None:
            self._log.info("group_coordinator_back")
        self._process_status.coordinator = None
        self._update_readiness()

    def sessions_renewed(self, failure: str | None) -> None:
        """The sessions of the group's consumer that end soon were renewed, or could not be, for the given reason.

        Until they end, everything works. Then the brokers reject the collector, and that is reported with its cause.
        """
        if failure is not None and not self._renewal_fails:
            self._log.warning("kafka_session_not_renewed", reason=failure)
        self._renewal_fails = failure is not None

    def left_group(self, reason: str, advice: str | None = None) -> None:
        """The group's consumer failed and a new one joins. If there is advice, an operator must act."""
        if advice is not None:
            problem = ReadinessProblem("refused", f"{reason}; {advice}")
            self._log_refusal(reason, advice)
        else:
            problem = ReadinessProblem("joining", f"joining the consumer group: {reason}")
            if self._process_status.group_problem != problem:
                self._consequence_log.warning("group_rejoining", reason=reason)
        self._process_status.group_problem, self._process_status.coordinator = problem, None
        self._update_readiness()

    def restoring(self, partition: int, done: int, total: int) -> None:
        """`done` of `total` records of a partition's state have been read."""
        self._restores[partition] = done, total
        self._update_restore_progress()

    def epoch_began(self, partition: int, took_s: float, pairs: int) -> None:
        """This process took over the partition and restored its state, `pairs` keys, in `took_s` seconds."""
        self._metrics.restore_duration.observe(took_s)
        self._process_status.owned_partitions = sorted({*self._process_status.owned_partitions, partition})
        self._metrics.owned_partitions.set(len(self._process_status.owned_partitions))
        self._restores.pop(partition, None)
        self._update_restore_progress()
        if partition not in self._failed:
            self.unblocked(partition)
        self._log.info("epoch_began", partition=partition, took_s=round(took_s, 3), pairs=pairs)

    def epoch_ended(self, partition: int, reason: str) -> None:
        """The epoch ended, or could not start."""
        self._restores.pop(partition, None)
        self._update_restore_progress()
        if partition not in self._process_status.owned_partitions:
            self._log.debug("epoch_failed", partition=partition, reason=reason)
            return
        self._process_status.owned_partitions = [
            owned for owned in self._process_status.owned_partitions if owned != partition
        ]
        self._metrics.owned_partitions.set(len(self._process_status.owned_partitions))
        self._consequence_log.info("epoch_ended", partition=partition, reason=reason)

    def unexpected(self, partition: int | None, error: BaseException) -> None:
        """An unexpected error, which is a bug. The failed operation is retried; for a partition, a new epoch starts."""
        self._log.error("unexpected", partition=partition, exc_info=error)

    def epoch_failed(self, partition: int) -> None:
        """An unexpected error ended the epoch. The partition stays blocked after `epoch_began`, until `unblocked`."""
        self._failed.add(partition)

    def unnamed_records(self, partition: int, keys: Collection[str]) -> None:
        """The state of the partition has records whose keys name no stream. Logged again only when the keys change."""
        if frozenset(keys) == self._unnamed.get(partition, frozenset()):
            return
        self._unnamed[partition] = frozenset(keys)
        if keys:
            self._log.error(
                "state_records_unnamed",
                partition=partition,
                count=len(keys),
                keys=sorted(keys)[:MAX_LOGGED_KEYS],
                advice="the collector does not write such keys: find out which program writes to the state topic, and "
                "whether a stream has lost a record",
            )

    def committed(self, took_s: float) -> None:
        """A transaction was committed, `took_s` seconds after it started."""
        self._process_status.last_commit = self._clock.now()
        self._metrics.transactions.labels("committed").inc()
        self._metrics.transaction_duration.observe(took_s)

    def aborted(self, reason: str) -> None:
        """A transaction was aborted. Its epoch ends, and a new one starts from the committed state."""
        self._metrics.transactions.labels("aborted").inc()
        self._consequence_log.warning("transaction_aborted", reason=reason)

    def fenced(self, partition: int) -> None:
        """Another process took over the partition, so that this one can no longer commit."""
        self._metrics.transactions.labels("fenced").inc()
        self._log.warning("epoch_fenced", partition=partition)

    @property
    def _consequence_log(self) -> Any:  # noqa: ANN401 - structlog's type
        """The log for consequences of an outage: while Kafka is not accessible, they are logged at level debug."""
        return self._log if self._process_status.access is None else _DemotedLogger(self._log)

    def _log_refusal(self, reason: str, advice: str) -> None:
        if reason not in self._logged_refusals:
            self._logged_refusals.add(reason)
            self._log.error("kafka_refused", reason=reason, advice=advice)

    def _set_interruption(self, reason: LastError | None) -> None:
        self._process_status.interruption = reason
        for stream in self._process_status.all_streams:
            stream.interruption = reason
            publish_state(self._metrics, stream)

    def _update_restore_progress(self) -> None:
        done = sum(done for done, _ in self._restores.values())
        total = sum(total for _, total in self._restores.values())
        self._metrics.restore_progress.set(done / total if total else 1)

    def _update_readiness(self) -> None:
        """Update `kafka_ready`, and the time at which the process became ready or ceased to be."""
        ready = self._process_status.problem() is None
        if ready:
            self._logged_refusals.clear()
        self._metrics.kafka_ready.set(self._process_status.kafka_problem() is None)
        if ready != self._ready:
            self._ready, self._process_status.changed = ready, self._clock.now()
