"""The current status of the process, its sources and its streams, for /api/status and /readyz. See docs/status.md."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, get_args

from msgspec import Struct, field

from collector.instants import UNIX_EPOCH, format_seconds
from collector.model import Backfill, Checkpoint, Pause, Window
from collector.places import PLACE_STATES, PlacesHealth
from collector.steps import Steps, at_once
from collector.timeline import ActivityTimeline

StreamState = Literal["live", "catching_up", "restoring", "backing_off", "parked", "paused", "complete", "not_owned"]
STATES: tuple[StreamState, ...] = get_args(StreamState)
USUAL_STATES: frozenset[StreamState] = frozenset(("not_owned", "catching_up", "live"))
"""The states of a healthy stream."""
KafkaState = Literal["connecting", "away", "refused", "joining", "no_coordinator", "ready"]
TimelineFunction = Callable[[datetime | None, datetime], ActivityTimeline | None]
"""Returns the activity timeline, given the end of the last requested window, if any, and the current time."""
MINUTES = 60
"""How many minutes of event counts are kept."""


class LastError(Struct, frozen=True):
    """The current error of a stream, and its advice."""

    error: str
    advice: str
    at: datetime
    """When it last occurred."""
    retry_at: datetime | None = None
    """When the next attempt starts; None if it is not known."""
    code: str | None = None
    """Names the error of a stream, as in its log line; None if Kafka is the cause."""


class EventsPerMinute(Struct):
    """Counts of events for each minute of the last hour."""

    counts: deque[tuple[int, int]] = field(default_factory=deque)
    """Pairs of a minute since 1970 and its count, oldest first. Minutes without events are left out."""

    def add(self, counts: Iterable[int], now: datetime) -> None:
        """Add counts of events that were committed now."""
        minute, count = _minute(now), sum(counts)
        if not count:
            return
        if self.counts and self.counts[-1][0] >= minute:  # same minute, or the clock stepped back
            minute, before = self.counts.pop()
            count += before
        self.counts.append((minute, count))
        while self.counts[0][0] <= minute - MINUTES:
            self.counts.popleft()

    def last_hour(self, now: datetime) -> list[int]:
        """Counts for 60 minutes, oldest first; the last one is the current minute."""
        counts, last = [0] * MINUTES, _minute(now)
        for minute, count in self.counts:
            if 0 <= last - minute < MINUTES:
                counts[minute - last - 1] = count
        return counts


class StreamStatus(Struct):
    """The status of a stream."""

    vendor: str
    source: str
    stream: str
    state: StreamState = "not_owned"
    exported_states: set[StreamState] = field(default_factory=lambda: set(USUAL_STATES))
    """The states that have a series in the metrics: those of a healthy stream, and those that this one was in."""
    until: datetime | None = None
    """Where the stream ends; None for a stream without an end."""
    late_until: datetime | None = None
    """Until when records may be late that start before the end."""
    freshness_target: timedelta | None = None
    """How old the watermark may be; None before the stream is configured."""
    partition: int | None = None
    """The state partition of the stream's account."""
    checkpoint: Checkpoint | None = None
    last_window: Window | None = None
    last_success: datetime | None = None
    requested_until: datetime | None = None
    """The end of the latest window that was fetched since this process owns the stream."""
    restoring: float | None = None
    """Share of the state that has been read, while it is being restored."""
    paused: Pause | None = None
    """The pause that is in effect, while this process owns the stream."""
    last_error: LastError | None = None
    interruption: LastError | None = None
    """Why no stream can publish at present: Kafka is not accessible."""
    notices: list[str] = field(default_factory=list)
    """Facts about the configuration that an operator should know, until the process ends."""
    ledger_entries: int = 0
    timeline: TimelineFunction | None = None
    """Computes the activity timeline; None if the stream has none, or another process owns it."""
    missing: int | None = None
    """Numbered records that have not been received so far; None if the vendor does not number them."""
    records: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    minutes: EventsPerMinute = field(default_factory=EventsPerMinute)

    backfill: Backfill | None = None
    """The request that it works for, if it is a backfill."""
    backfills: list["StreamStatus"] = field(default_factory=list)
    """The stream's own backfills, while this process runs them."""

    @property
    def shown_state(self) -> StreamState:
        """The state as shown to operators: no stream is shown as healthy while Kafka is not accessible."""
        interrupted = self.interruption is not None and self.state in ("live", "catching_up", "restoring")
        return "backing_off" if interrupted else self.state

    def freshness(self, now: datetime) -> timedelta | None:
        """The age of the watermark, as the alerts judge it.

        None without a watermark, and for a bounded stream whose watermark has reached its end: it stands from then on.
        """
        if self.checkpoint is None or self.state == "complete":
            return None
        if self.until is not None and self.checkpoint.watermark >= self.until:
            return None
        return max(timedelta(0), now - self.checkpoint.watermark)

    def as_json(self, now: datetime, owner: str | None = None) -> dict[str, object]:
        """The stream's object in /api/status. `owner` is the host that owns it, if known."""
        checkpoint, window = self.checkpoint, self.last_window
        error = self.interruption if self.shown_state != self.state else self.last_error
        return {
            "vendor": self.vendor,
            "source": self.source,
            "stream": self.stream,
            "state": self.shown_state,
            "owner": owner,
            "restoring": self.restoring,
            "paused": paused_as_json(self.paused),
            "since": _formatted(checkpoint.since if checkpoint else None),
            "watermark": _formatted(checkpoint.watermark if checkpoint else None),
            "final": _formatted(checkpoint.final if checkpoint else None),
            "lag_s": checkpoint and max(0, int((now - checkpoint.watermark).total_seconds())),
            "freshness_s": _whole_seconds(self.freshness(now)),
            "freshness_target_s": _whole_seconds(self.freshness_target),
            "last_window": window and {"start": _formatted(window.start), "end": _formatted(window.end)},
            "last_success": _formatted(self.last_success),
            "last_error": error
            and {
                "code": error.code,
                "error": error.error,
                "advice": error.advice,
                "at": _formatted(error.at),
                "retry_at": _formatted(error.retry_at),
            },
            "backfill": self.backfill and _backfill(self.backfill, self.checkpoint, self.late_until),
            "notices": list(self.notices),
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
    """The status of a source, which its streams share."""

    vendor: str
    source: str
    host: str = ""
    """The host of `base_url`, with its port if the URL has one."""
    proxy: str | None = None
    """The proxy of its requests: address and environment variable, without credentials; None if they are direct."""
    exports_in_flight: int = 0
    max_exports: int | None = None
    """How many exports of the account the vendor builds at a time; None if it builds none."""
    places: PlacesHealth | None = None
    """Whether the account's places upload; None if no stream of this process lists them."""
    notices: list[str] = field(default_factory=list)
    """What operators should know about the source's configuration."""

    def as_json(self, notices: Sequence[str] = ()) -> dict[str, object]:
        """The source's object in /api/status, with these notices."""
        return {
            "vendor": self.vendor,
            "source": self.source,
            "host": self.host,
            "proxy": self.proxy,
            "notices": list(notices),
            "exports": self.max_exports and {"in_flight": self.exports_in_flight, "at_once": self.max_exports},
            "places": _places(self.places) if self.places else None,
        }


class ReadinessProblem(Struct, frozen=True):
    """Why the process is not ready."""

    state: KafkaState
    reason: str


class RefusedConfiguration(Struct, frozen=True):
    """The configuration files are wrong, so that an earlier configuration is in use."""

    at: datetime
    errors: Sequence[str]


class ProcessStatus(Struct):
    """The status of the process."""

    version: str
    group: str
    streams: list[StreamStatus] = field(default_factory=list)
    sources: list[SourceStatus] = field(default_factory=list)
    started: datetime | None = None
    host: str = ""
    """The name of this host."""
    bootstrap_servers: str = ""
    owned_partitions: Sequence[int] = ()
    owners: Mapping[int, str] = {}
    """The host that owns each state partition, as the group's coordinator last described it."""
    owners_problem: str | None = "not requested yet"
    """Why the owners are not known; None if they are."""
    access: ReadinessProblem | None = None
    """The brokers do not respond, or reject the client."""
    topics: ReadinessProblem | None = ReadinessProblem("connecting", "connecting to Kafka")
    """The topics are not verified yet, or are missing or misconfigured."""
    partitions: dict[int, ReadinessProblem] = field(default_factory=dict)
    """Why assigned state partitions cannot be taken over, by partition."""
    group_problem: ReadinessProblem | None = ReadinessProblem("joining", "joining the consumer group")
    """The process is not a member of the group."""
    coordinator: ReadinessProblem | None = None
    """The group's coordinator does not respond."""
    changed: datetime | None = None
    """When the process became ready, or ceased to be."""
    last_commit: datetime | None = None
    interruption: LastError | None = None
    """Why no stream can publish at present: Kafka is not accessible."""
    refused: RefusedConfiguration | None = None
    """Why the present configuration files are not in use; None if they are."""
    notices: list[str] = field(default_factory=list)
    """What operators should know about the process."""
    clock_notices: dict[str, str] = field(default_factory=dict)
    """What operators should know about the clocks of vendors' hosts, by host."""

    @property
    def all_streams(self) -> Sequence[StreamStatus]:
        """The configured streams, each followed by its backfills."""
        return [each for stream in self.streams for each in (stream, *stream.backfills)]

    def kafka_problem(self) -> ReadinessProblem | None:
        """Why the process cannot use Kafka; None if it can. Ignores single partitions that cannot be taken over."""
        return self.access or self.topics or self.group_problem or self.coordinator

    def problem(self) -> ReadinessProblem | None:
        """Why the process is not ready; None if it is. It is not ready if a single partition cannot be taken over."""
        partition = self.partitions[min(self.partitions)] if self.partitions else None
        return self.access or self.topics or partition or self.kafka_problem()

    def not_ready_reason(self) -> str:
        """Why the process is not ready; empty if it is."""
        return problem.reason if (problem := self.problem()) else ""

    def as_json(self, now: datetime) -> dict[str, object]:
        """The response of /api/status."""
        return at_once(self.in_steps(now))

    def in_steps(self, now: datetime) -> Steps[dict[str, object]]:
        """As `as_json`. Each step is a stream: between two of them, the status may change."""
        sources, streams = [], []
        run = {stream.source for stream in self.streams if stream.state != "not_owned"}
        owners = {**self.owners, **dict.fromkeys(self.owned_partitions, self.host)}
        for source in self.sources:
            sources.append(source.as_json(self._notices(source) if source.source in run else ()))
            yield
        for stream in self.all_streams:
            streams.append(stream.as_json(now, self._owner(stream, owners)))
            yield
        problem = self.problem()
        return {
            "version": self.version,
            "host": self.host,
            "group": self.group,
            "now": _formatted(now),
            "started": _formatted(self.started),
            "ready": problem is None,
            "reason": problem.reason if problem else None,
            "kafka": {
                "state": problem.state if problem else "ready",
                "bootstrap_servers": self.bootstrap_servers,
                "since": _formatted(self.changed or self.started),
                "joined": self.group_problem is None,
                "last_commit": _formatted(self.last_commit),
            },
            "config": self.refused and {"refused_at": _formatted(self.refused.at), "errors": list(self.refused.errors)},
            "notices": list(self.notices),
            "owned_partitions": list(self.owned_partitions),
            "owners": {str(partition): owners[partition] for partition in sorted(owners)},
            "owners_problem": self.owners_problem,
            "sources": sources,
            "streams": streams,
        }

    def _owner(self, stream: StreamStatus, owners: Mapping[int, str]) -> str | None:
        """The host that owns a stream: this one also while it takes the stream over. None if it is not known."""
        if stream.state != "not_owned":
            return self.host or None
        return None if stream.partition is None else owners.get(stream.partition)

    def _notices(self, source: SourceStatus) -> Sequence[str]:
        """The notices of a source of which this process runs a stream."""
        clock = self.clock_notices.get(source.host)
        return [*([] if clock is None else [clock]), *source.notices]


def paused_as_json(pause: Pause | None) -> dict[str, str | None] | None:
    """A pause in /api/status and in `collector state show --json`."""
    if pause is None:
        return None
    since, until = _formatted(pause.since), _formatted(pause.until)
    return {"reason": pause.reason, "since": since, "until": until, "by": pause.by}


def _timeline(timeline: ActivityTimeline | None) -> dict[str, object] | None:
    if timeline is None:
        return None
    return {
        "start": _formatted(timeline.start),
        "lengths_s": timeline.lengths_s,
        "counts": timeline.counts,
        "kinds": timeline.kinds,
    }


def _places(places: PlacesHealth) -> dict[str, object]:
    return {
        "seen_at": _formatted(places.seen_at),
        "counts": {state: places.counts.get(state, 0) for state in PLACE_STATES},
        "worst": [
            {
                "id": place.place_id,
                "label": place.label,
                "state": place.state,
                "hours_since_upload": _hours(place.upload_age),
            }
            for place in places.worst
        ],
    }


def _hours(age: timedelta | None) -> float | None:
    return None if age is None else round(age / timedelta(hours=1), 1)


def _whole_seconds(time: timedelta | None) -> int | None:
    return None if time is None else time // timedelta(seconds=1)


def _backfill(backfill: Backfill, checkpoint: Checkpoint | None, late_until: datetime | None) -> dict[str, object]:
    return {
        "from": _formatted(backfill.start),
        "to": _formatted(backfill.end),
        "share": 0.0 if checkpoint is None else backfill.share_done(checkpoint.watermark),
        "late_until": _formatted(late_until),
        "by": backfill.by,
    }


def _minute(instant: datetime) -> int:
    return (instant - UNIX_EPOCH) // timedelta(minutes=1)


def _formatted(instant: datetime | None) -> str | None:
    return format_seconds(instant) if instant else None
