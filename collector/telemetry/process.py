"""Telemetry of the process: the lines of the log at its start and its end, and its totals every ten minutes."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from collector.clock import Clock
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus

SUMMARY_INTERVAL = timedelta(minutes=10)
"""As often as a persistent error is logged: a log without a line for longer is a log that nobody receives."""
TRANSACTIONS = "collector_transactions_total"


class ProcessTelemetry:
    """Logs the start and the end of the process, and in between a summary every ten minutes."""

    def __init__(self, metrics: Metrics, status: ProcessStatus, clock: Clock) -> None:
        self._status = status
        self._clock = clock
        self._log = structlog.get_logger()
        self._metrics = metrics
        self._logged: Mapping[str, int] = self._totals()
        """The totals of the last line."""
        self._logged_at = self._started = clock.now()

    def started(self, *, config: str | None, listen: str, brokers: str, group: str, sources: int) -> None:
        """The process has read its configuration and serves its status. `config` is the path of the file, if any."""
        self._logged_at = self._started = self._clock.now()
        self._log.info(
            "started",
            version=self._status.version,
            config=config,
            listen=listen,
            brokers=brokers,
            group=group,
            sources=sources,
            streams=len(self._status.streams),
        )

    async def run(self) -> None:
        """Log a summary every ten minutes. Never returns."""
        due = self._started + SUMMARY_INTERVAL
        while True:
            await self._clock.until(due)
            self._summarize()
            due = max(due, self._clock.now() - SUMMARY_INTERVAL) + SUMMARY_INTERVAL

    def stopped(self) -> None:
        """The process ends: nothing is committed any more."""
        self._log.info("stopped", ran_s=self._seconds_since(self._started), total=dict(self._totals()))

    def _summarize(self) -> None:
        """Log what was published since the last line and since the start, and how many streams are in each state."""
        total = self._totals()
        states = Counter(stream.shown_state for stream in self._status.streams)
        self._log.info(
            "summary",
            period_s=self._seconds_since(self._logged_at),
            **{name: count - self._logged[name] for name, count in total.items()},
            total=dict(total),
            streams=dict(states),
        )
        self._logged, self._logged_at = total, self._clock.now()

    def _totals(self) -> Mapping[str, int]:
        """Records, events, dead letters and transactions since the start of the process."""
        committed = self._metrics.registry.get_sample_value(TRANSACTIONS, {"outcome": "committed"})
        return {**self._metrics.published, "transactions": int(committed or 0)}

    def _seconds_since(self, instant: datetime) -> int:
        return max(0, (self._clock.now() - instant) // timedelta(seconds=1))
