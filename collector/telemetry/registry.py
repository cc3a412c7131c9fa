"""Telemetry of the schema registry."""

from typing import Literal

import structlog

from collector.telemetry.metrics import Metrics

REQUEST_OUTCOMES = ("ok", "unavailable", "refused")
RequestOutcome = Literal["ok", "unavailable", "refused"]


class RegistryTelemetry:
    """Records the requests to the schema registry. The streams report what they wait for."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = structlog.get_logger()
        for outcome in REQUEST_OUTCOMES:
            metrics.registry_requests.labels(outcome)

    def requested(self, outcome: RequestOutcome) -> None:
        """A request has ended: with a response, without one, or with one that an operator must act upon."""
        self._metrics.registry_requests.labels(outcome).inc()

    def schema_found(self, subject: str, schema_id: int, version: int | None) -> None:
        """The registry has the schema of a type: it had it before, or it was registered."""
        self._log.info("schema_found", subject=subject, id=schema_id, version=version)
