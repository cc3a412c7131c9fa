"""The present state of everything, for /api/status and /readyz."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct, field

from collector.model import Head, Window

StreamState = Literal["live", "catching_up", "backing_off", "parked", "complete", "not_owned"]
STATES: tuple[StreamState, ...] = ("live", "catching_up", "backing_off", "parked", "complete", "not_owned")


class Trouble(Struct, frozen=True):
    """The last error of a stream, and what to do about it."""

    error: str
    advice: str
    at: datetime
    retry_at: datetime | None = None


class StreamRow(Struct):
    """One stream."""

    vendor: str
    source: str
    stream: str
    state: StreamState = "not_owned"
    head: Head | None = None
    last_window: Window | None = None
    last_success: datetime | None = None
    trouble: Trouble | None = None
    notices: list[str] = field(default_factory=list)
    ledger_entries: int = 0
    missing: int | None = None
    """Numbered records that nothing was seen of; None of kinds that nobody numbers."""
    records: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)

    def as_json(self, now: datetime) -> dict[str, object]:
        head, trouble, window = self.head, self.trouble, self.last_window
        return {
            "vendor": self.vendor,
            "source": self.source,
            "stream": self.stream,
            "state": self.state,
            "since": _written(head.since if head else None),
            "watermark": _written(head.watermark if head else None),
            "final": _written(head.final if head else None),
            "lag_s": head and max(0, int((now - head.watermark).total_seconds())),
            "last_window": window and {"start": _written(window.start), "end": _written(window.end)},
            "last_success": _written(self.last_success),
            "last_error": trouble
            and {
                "error": trouble.error,
                "advice": trouble.advice,
                "at": _written(trouble.at),
                "retry_at": _written(trouble.retry_at),
            },
            "notices": self.notices,
            "missing": self.missing,
            "counts": {
                "records": dict(self.records),
                "events": dict(self.events),
                "dead_letters": dict(self.dead_letters),
                "ledger_entries": self.ledger_entries,
            },
        }


class Board(Struct):
    """What the process knows of itself."""

    version: str
    group: str
    streams: list[StreamRow] = field(default_factory=list)
    owned_partitions: Sequence[int] = ()
    kafka: str = "connecting to Kafka"
    """Why the process is not ready; empty when it is."""
    joined: bool = False
    coordinator: bool = True

    def not_ready(self) -> str:
        """The reason, or an empty text."""
        if self.kafka:
            return self.kafka
        if not self.joined:
            return "joining the consumer group"
        return "" if self.coordinator else "the consumer group's coordinator does not answer"

    def as_json(self, now: datetime) -> dict[str, object]:
        reason = self.not_ready()
        return {
            "version": self.version,
            "group": self.group,
            "now": _written(now),
            "ready": not reason,
            "reason": reason or None,
            "owned_partitions": list(self.owned_partitions),
            "streams": [row.as_json(now) for row in self.streams],
        }


def _written(instant: datetime | None) -> str | None:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ") if instant else None
