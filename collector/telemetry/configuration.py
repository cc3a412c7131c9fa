"""Telemetry of the configuration: whether the present files are in use."""

from collections.abc import Sequence

import structlog

from collector.clock import Clock
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus, RefusedConfiguration


class ConfigTelemetry:
    """Log lines, metrics and status of the configuration."""

    def __init__(self, metrics: Metrics, process_status: ProcessStatus, clock: Clock) -> None:
        self._metrics = metrics
        self._process_status = process_status
        self._clock = clock
        self._log = structlog.get_logger()
        self._succeeded()

    def reloaded(
        self, added: Sequence[str], changed: Sequence[str], removed: Sequence[str], *, restart_for: Sequence[str]
    ) -> None:
        """The files were read again, and these sources have changed. `restart_for` names other tables that have."""
        self._succeeded()
        self._log.info("config_reloaded", added=list(added), changed=list(changed), removed=list(removed))
        tables = ", ".join(f"[{name}]" for name in restart_for)
        text = f"{tables} of the configuration has changed: restart the collector, since only [sources] is reloaded"
        self._process_status.notices = [text] if restart_for else []
        if restart_for:
            self._log.warning("config_needs_restart", tables=list(restart_for), advice=text)

    def refused(self, errors: Sequence[str]) -> None:
        """The files are wrong: the configuration that was read before stays in use. Equal errors are logged once."""
        self._metrics.config_reload_successful.set(0)
        before = self._process_status.refused
        if before is not None and before.errors == tuple(errors):
            return
        self._process_status.refused = RefusedConfiguration(self._clock.now(), tuple(errors))
        advice = "correct the files: until then, the configuration that was read before stays in use"
        self._log.error("config_refused", errors=list(errors), advice=advice)

    def _succeeded(self) -> None:
        self._process_status.refused = None
        self._metrics.config_reload_successful.set(1)
        self._metrics.config_reloaded_at.set(self._clock.now().timestamp())
