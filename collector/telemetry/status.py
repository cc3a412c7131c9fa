"""The present state of everything, for /api/status and /readyz. What is in it: docs/status.md."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, get_args

from msgspec import Struct, field

from collector.instants import UNIX_EPOCH, format_seconds
from collector.model import Checkpoint, Window
from collector.timeline import ActivityTimeline

StreamState = Literal["live", "catching_up", "restoring", "backing_off", "parked", "complete", "not_owned"]
STATES: tuple[StreamState, ...] = get_args(StreamState)
KafkaState = Literal["connecting", "away", "refused", "joining", "no_coordinator", "ready"]
Timeline = Callable[[datetime | None, datetime], ActivityTimeline | None]
"""The strip, given up to where the stream was asked for, as far as is known, and now."""
MINUTES = 60
"""Of events, that are kept by the minute."""


class LastError(Struct, frozen=True):
    """The last error of a stream, and what to do about it."""

    error: str
    advice: str
    at: datetime
    retry_at: datetime | None = None


class EventsPerMinute(Struct):
    """How many there were in each minute of the last hour."""

    counted: deque[tuple[int, int]] = field(default_factory=deque)
    """EventsPerMinute since 1970 in which there were some, oldest first, and how many."""

    def add(self, counts: Iterable[int], now: datetime) -> None:
        minute, more = _minute(now), sum(counts)
        if not more:
            return
        if self.counted and self.counted[-1][0] >= minute:  # a clock that steps back counts on where it was
            minute, before = self.counted.pop()
            more += before
        self.counted.append((minute, more))
        while self.counted[0][0] <= minute - MINUTES:
            self.counted.popleft()

    def last_hour(self, now: datetime) -> list[int]:
        """The last of them is the minute that is not over yet."""
        found, last = [0] * MINUTES, _minute(now)
        for minute, count in self.counted:
            if 0 <= last - minute < MINUTES:
                found[minute - last - 1] = count
        return found


class StreamStatus(Struct):
    """One stream."""

    vendor: str
    source: str
    stream: str
    state: StreamState = "not_owned"
    checkpoint: Checkpoint | None = None
    last_window: Window | None = None
    last_success: datetime | None = None
    requested_until: datetime | None = None
    """Up to where it was asked for since it is ours."""
    restoring: float | None = None
    """Share of the state that is read, while it is restored."""
    last_error: LastError | None = None
    interruption: LastError | None = None
    """Why nothing can be published at present, whatever the stream does: Kafka is away."""
    notices: list[str] = field(default_factory=list)
    ledger_entries: int = 0
    timeline: Timeline | None = None
    missing: int | None = None
    """Numbered records that nothing was seen of; None of kinds that nobody numbers."""
    records: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    minutes: EventsPerMinute = field(default_factory=EventsPerMinute)

    @property
    def shown_state(self) -> StreamState:
        """The state as operators see it: no stream counts as well while Kafka is away."""
        interrupted = self.interruption is not None and self.state in ("live", "catching_up", "restoring")
        return "backing_off" if interrupted else self.state

    def as_json(self, now: datetime) -> dict[str, object]:
        checkpoint, window = self.checkpoint, self.last_window
        trouble = self.interruption if self.shown_state != self.state else self.last_error
        return {
            "vendor": self.vendor,
            "source": self.source,
            "stream": self.stream,
            "state": self.shown_state,
            "restoring": self.restoring,
            "since": _formatted(checkpoint.since if checkpoint else None),
            "watermark": _formatted(checkpoint.watermark if checkpoint else None),
            "final": _formatted(checkpoint.final if checkpoint else None),
            "lag_s": checkpoint and max(0, int((now - checkpoint.watermark).total_seconds())),
            "last_window": window and {"start": _formatted(window.start), "end": _formatted(window.end)},
            "last_success": _formatted(self.last_success),
            "last_error": trouble
            and {
                "error": trouble.error,
                "advice": trouble.advice,
                "at": _formatted(trouble.at),
                "retry_at": _formatted(trouble.retry_at),
            },
            "notices": self.notices,
            "missing": self.missing,
            "counts": {
                "records": dict(self.records),
                "events": dict(self.events),
                "dead_letters": dict(self.dead_letters),
                "ledger_entries": self.ledger_entries,
            },
            "events_per_minute": self.minutes.last_hour(now),
            "strip": _timeline(self.timeline(self.requested_until, now)) if self.timeline else None,
        }


class SourceStatus(Struct):
    """One source: what its streams share."""

    vendor: str
    source: str
    exports_in_flight: int = 0
    max_exports: int | None = None
    """None where the vendor builds no exports."""

    def as_json(self) -> dict[str, object]:
        most = self.max_exports
        return {
            "vendor": self.vendor,
            "source": self.source,
            "exports": most and {"in_flight": self.exports_in_flight, "at_once": most},
        }


class Problem(Struct, frozen=True):
    """Why the process is not ready."""

    state: KafkaState
    reason: str


class ProcessStatus(Struct):
    """What the process knows of itself."""

    version: str
    group: str
    streams: list[StreamStatus] = field(default_factory=list)
    sources: list[SourceStatus] = field(default_factory=list)
    started: datetime | None = None
    owned_partitions: Sequence[int] = ()
    access: Problem | None = None
    """The brokers do not answer, or do not let us in."""
    topics: Problem | None = Problem("connecting", "connecting to Kafka")
    """The topics are not verified yet, or not as they must be."""
    partitions: dict[int, Problem] = field(default_factory=dict)
    """Assigned state partitions that cannot be taken over."""
    group_problem: Problem | None = Problem("joining", "joining the consumer group")
    """The process is not in the group."""
    coordinator: Problem | None = None
    """The group's coordinator does not answer."""
    changed: datetime | None = None
    """When the process became ready, or ceased to be."""
    last_commit: datetime | None = None

    def kafka_problem(self) -> Problem | None:
        """Why this process cannot work with Kafka at all; None when it can."""
        return self.access or self.topics or self.group_problem or self.coordinator

    def problem(self) -> Problem | None:
        """Why the process is not ready; None when it is. One partition that cannot be taken over is enough."""
        partition = self.partitions[min(self.partitions)] if self.partitions else None
        return self.access or self.topics or partition or self.kafka_problem()

    def not_ready_reason(self) -> str:
        """The reason, or an empty text."""
        return problem.reason if (problem := self.problem()) else ""

    def as_json(self, now: datetime) -> dict[str, object]:
        problem = self.problem()
        return {
            "version": self.version,
            "group": self.group,
            "now": _formatted(now),
            "started": _formatted(self.started),
            "ready": problem is None,
            "reason": problem.reason if problem else None,
            "kafka": {
                "state": problem.state if problem else "ready",
                "since": _formatted(self.changed or self.started),
                "joined": self.group_problem is None,
                "last_commit": _formatted(self.last_commit),
            },
            "owned_partitions": list(self.owned_partitions),
            "sources": [row.as_json() for row in self.sources],
            "streams": [row.as_json(now) for row in self.streams],
        }


def _timeline(timeline: ActivityTimeline | None) -> dict[str, object] | None:
    if timeline is None:
        return None
    return {
        "start": _formatted(timeline.start),
        "lengths_s": timeline.lengths_s,
        "counts": timeline.counts,
        "kinds": timeline.kinds,
    }


def _minute(instant: datetime) -> int:
    return (instant - UNIX_EPOCH) // timedelta(minutes=1)


def _formatted(instant: datetime | None) -> str | None:
    return format_seconds(instant) if instant else None
