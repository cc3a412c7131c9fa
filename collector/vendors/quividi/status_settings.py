"""The tables of the streams of alerts and monitoring messages."""

from datetime import datetime, timedelta
from typing import Self

from pydantic import model_validator

from collector.alignment import Alignment, Snapshot
from collector.model import Policy
from collector.settings import duration_text
from collector.vendors.source import PositiveDuration, StreamSettings

SWEEP_EVERY = timedelta(days=1)
"""Time between two sweeps. A sweep is one more request, or two; it also finds old alerts that have ended."""


class StatusSettings(StreamSettings):
    """The keys that both tables have. Windows are snapshots, since a response always covers the time up to now."""

    interval: PositiveDuration = timedelta(minutes=10)  # boxes send a message every few minutes; one request covers all
    allowed_lateness: PositiveDuration

    @model_validator(mode="after")
    def _has_interval_below_allowed_lateness(self) -> Self:
        if self.interval >= self.allowed_lateness:
            given, allowed = duration_text(self.interval), duration_text(self.allowed_lateness)
            raise ValueError(f"interval ({given}) must be below allowed_lateness ({allowed})")
        return self

    def policy(self, until: datetime | None, alignment: Alignment | None = None) -> Policy:
        return Policy(
            interval=self.interval,
            settle=timedelta(0),
            allowed_lateness=self.allowed_lateness,
            sweep_every=SWEEP_EVERY,
            span=self.interval,
            until=until,
            alignment=alignment or Snapshot(),
            freshness=self.freshness,
        )


class AlertsSettings(StatusSettings):
    """`[sources.<name>.streams.alerts]`."""

    allowed_lateness: PositiveDuration = timedelta(days=60)  # an alert that lasts for weeks is still one record


class MonitoringSettings(StatusSettings):
    """`[sources.<name>.streams.monitoring]`."""

    allowed_lateness: PositiveDuration = timedelta(days=3)  # a box that was offline over a weekend
