"""What happens to one stream."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from collector.errors import Park
from collector.instants import format_seconds
from collector.model import Checkpoint, Gap, Tally, Window
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import STATES, LastError, StreamState, StreamStatus, Timeline

OUTCOMES = ("fresh", "late", "revision", "duplicate", "outside", "rejected")
REASONS = ("malformed", "too_large")
POLLS = ("ok", "empty", "retry", "park")
MAX_LINES = 20
"""Of one kind at a time."""
_WAITS = "nothing to do: it is tried again"
LOG_AGAIN = timedelta(minutes=10)
"""An error that lasts is a line when it begins, and one every so often."""


class StreamTelemetry:
    """Tells of one stream. WARNING: recoverable, nothing is lost. ERROR: an operator is needed."""

    def __init__(self, metrics: Metrics, status: StreamStatus, event_types: Sequence[str]) -> None:
        self._metrics = metrics
        self._status = status
        self._types = event_types
        self._labels = (status.source, status.stream)
        self._log = structlog.get_logger().bind(source=status.source, stream=status.stream)
        self._logged: tuple[str, datetime] | None = None
        self._letters: Counter[str] = Counter()
        """Dead letters that no line has told of yet."""
        self._letters_logged: datetime | None = None
        self._is_owned = False
        self._state("not_owned")

    def configured(self, max_poll_interval: timedelta) -> None:
        """The stream is configured, whether or not this process owns it: the alerts derive their limits from this."""
        self._metrics.stream_interval.labels(*self._labels).set(max_poll_interval.total_seconds())

    def restoring(self, share: float) -> None:
        """The state is being read, so far that share of it. A stream that is parked stays so until it runs."""
        self._status.restoring = round(share, 3)
        if self._status.state != "parked":
            self._status.last_error = None
            self._state("restoring")

    def blocked(self, error: str, advice: str | None, retry_in_s: float, now: datetime) -> None:
        """The state cannot be opened, for a reason that is logged of Kafka; with advice, an operator is needed."""
        self._status.restoring = None
        self._state("backing_off" if advice is None else "parked")
        self._status.last_error = LastError(error, advice or _WAITS, now, now + timedelta(seconds=retry_in_s))

    def owned(self, checkpoint: Checkpoint | None, entries: int, timeline: Timeline | None = None) -> None:
        """This process runs the stream now. `timeline` is how to look at what it published lately."""
        metrics = self._metrics
        for outcome in OUTCOMES:
            metrics.records.labels(*self._labels, outcome)
        for outcome in POLLS:
            metrics.polls.labels(*self._labels, outcome)
        for name in self._types:
            metrics.events.labels(*self._labels, name)
        for reason in REASONS:
            metrics.dead_letters.labels(*self._labels, reason)
        self._is_owned = True
        self._status.last_error = self._logged = self._status.restoring = None
        self._status.timeline = timeline
        self._state("catching_up")
        self._log.info("stream_owned", **_where(checkpoint), ledger_entries=entries)
        self._checkpoint(checkpoint, entries)

    def released(self) -> None:
        """This process stops running the stream, or stops trying to."""
        self._state("not_owned")
        self._status.last_error = self._status.restoring = None
        if not self._is_owned:
            return
        self._is_owned = False
        metrics = self._metrics
        for gauge in (
            metrics.watermark,
            metrics.final,
            metrics.last_success,
            metrics.window_span,
            metrics.ledger_entries,
        ):
            gauge.remove(*self._labels)
        if self._status.missing is not None:
            metrics.missing_records.remove(*self._labels)
        status = self._status
        status.missing = status.timeline = status.requested_until = None
        status.checkpoint = status.last_window = status.last_success = None
        status.ledger_entries = 0
        (self._log.info if status.interruption is None else self._log.debug)("stream_released")

    def initialized(self, checkpoint: Checkpoint) -> None:
        """The stream was never seen before: its first head is durable."""
        self._log.info("stream_begun", **_where(checkpoint))
        self._checkpoint(checkpoint, 0)

    def since_ignored(self, configured: datetime, checkpoint: Checkpoint) -> None:
        text = (
            f"since = {format_seconds(configured)} is ignored: the stream began at {format_seconds(checkpoint.since)}; "
            "for older data add a separate source with since and until"
        )
        if self._is_new(text):
            self._log.warning("since_ignored", advice=text)

    def selection_changed(self, checkpoint: Checkpoint) -> None:
        text = (
            "the source now selects another part of the account; what was added to it is polled from "
            f"{format_seconds(checkpoint.watermark)} on; for its history add a separate source with since and until"
        )
        if self._is_new(text):
            self._log.warning("selection_changed", advice=text)

    def committed(self, tally: Tally, checkpoint: Checkpoint, entries: int, now: datetime) -> None:
        """A batch is durable: only now is it counted."""
        metrics, status = self._metrics, self._status
        for outcome, count in tally.records.items():
            metrics.records.labels(*self._labels, outcome).inc(count)
        for name, count in tally.events.items():
            metrics.events.labels(*self._labels, name).inc(count)
        for reason, count in tally.dead_letters.items():
            metrics.dead_letters.labels(*self._labels, reason).inc(count)
        for end_ms in tally.fresh_ends_ms:
            metrics.event_delay.labels(*self._labels).observe(max(0.0, now.timestamp() - end_ms / 1000))
        status.minutes.add(tally.events.values(), now)
        status.records.update(tally.records)
        status.events.update(tally.events)
        status.dead_letters.update(tally.dead_letters)
        self._letters.update(tally.dead_letters)
        if self._letters and (self._letters_logged is None or now - self._letters_logged >= LOG_AGAIN):
            self._log.error("dead_letters", **self._letters, advice="see the topic collector.dead_letters")
            self._letters.clear()
            self._letters_logged = now
        if outside := tally.records.get("outside"):
            self._log.debug("records_outside", count=outside)
        self._checkpoint(checkpoint, entries)

    def polled(
        self, window: Window, rows: int, took_s: float, checkpoint: Checkpoint, *, behind: bool, now: datetime
    ) -> None:
        """A window was taken whole."""
        self._metrics.polls.labels(*self._labels, "ok" if rows else "empty").inc()
        self._metrics.poll_duration.labels(*self._labels).observe(took_s)
        self._metrics.last_success.labels(*self._labels).set(now.timestamp())
        status = self._status
        status.last_window, status.last_success = window, now
        status.requested_until = (
            window.end if status.requested_until is None else max(status.requested_until, window.end)
        )
        if status.state in ("backing_off", "parked"):
            self._log.info("stream_recovered")
        status.last_error = self._logged = None
        self._state("catching_up" if behind else "live")
        self._log.debug("polled", **_span(window), rows=rows, took_s=round(took_s, 3))
        self._checkpoint(checkpoint, status.ledger_entries)

    def idle(self) -> None:
        """There is nothing to ask for yet, so nothing to catch up with: a period may only be over in hours."""
        if self._status.state == "catching_up":
            self._state("live")

    def missing_records(self, count: int, lost: Sequence[Gap]) -> None:
        """How many numbered records nothing was seen of so far, and those of which nothing is expected any more."""
        self._metrics.missing_records.labels(*self._labels).set(count)
        self._status.missing = count
        for gap in lost[:MAX_LINES]:
            self._log.warning("records_missing", series=gap.series, first=gap.first, last=gap.last, count=gap.count)
        if len(lost) > MAX_LINES:
            rest = lost[MAX_LINES:]
            self._log.warning("records_missing", gaps=len(rest), count=sum(gap.count for gap in rest))

    def window_halved(self, window: Window, reason: str) -> None:
        self._log.info("window_halved", **_span(window), reason=reason)

    def cap_suspected(self, window: Window, rows: int) -> None:
        self._log.warning(
            "perhaps_capped",
            **_span(window),
            rows=rows,
            advice="the vendor returned a round number of rows, and as many for the window's halves: it seems whole",
        )

    def retrying(self, window: Window, reason: str, *, failures: int, delay_s: float, now: datetime) -> None:
        """Passing trouble: nothing is lost, the same window is asked for again."""
        self._metrics.polls.labels(*self._labels, "retry").inc()
        self._trouble("backing_off", reason, _WAITS, window, failures, delay_s, now)

    def parked(self, window: Window | None, trouble: Park, *, failures: int, delay_s: float, now: datetime) -> None:
        """LastError that waits for an operator; nothing is lost, and it is tried again slowly."""
        self._metrics.polls.labels(*self._labels, "park").inc()
        self._trouble("parked", str(trouble), trouble.advice, window, failures, delay_s, now)

    def failed(self, window: Window | None, error: Exception, *, failures: int, delay_s: float, now: datetime) -> None:
        """A fault of this program's own: nothing is lost, and the stream's neighbours go on."""
        self._metrics.polls.labels(*self._labels, "park").inc()
        advice = "a fault of the collector: please report it with the log"
        text = f"unexpected {type(error).__name__}: {error}"
        self._trouble("parked", text, advice, window, failures, delay_s, now, fault=error)

    def completed(self, checkpoint: Checkpoint) -> None:
        self._state("complete")
        self._log.info("stream_complete", **_where(checkpoint))

    def _trouble(
        self,
        state: StreamState,
        error: str,
        advice: str,
        window: Window | None,
        failures: int,
        delay_s: float,
        now: datetime,
        fault: Exception | None = None,
    ) -> None:
        self._state(state)
        self._status.last_error = LastError(error, advice, now, now + timedelta(seconds=delay_s))
        if self._logged is None or self._logged[0] != error or now - self._logged[1] >= LOG_AGAIN:
            self._logged = error, now
            place = _span(window) if window else {}
            log = self._log.bind(error=error, advice=advice, failures=failures, retry_in_s=round(delay_s), **place)
            if state == "parked":
                log.error("stream_parked", exc_info=fault)
            else:
                log.warning("stream_backing_off")

    def _is_new(self, notice: str) -> bool:
        """Whether it was not told yet; from now on the row tells it."""
        if notice in self._status.notices:
            return False
        self._status.notices.append(notice)
        return True

    def _checkpoint(self, checkpoint: Checkpoint | None, entries: int) -> None:
        self._status.checkpoint, self._status.ledger_entries = checkpoint, entries
        if checkpoint is None:
            return
        self._metrics.watermark.labels(*self._labels).set(checkpoint.watermark.timestamp())
        self._metrics.final.labels(*self._labels).set(checkpoint.final.timestamp())
        self._metrics.window_span.labels(*self._labels).set(checkpoint.span.total_seconds())
        self._metrics.ledger_entries.labels(*self._labels).set(entries)

    def _state(self, state: StreamState) -> None:
        self._status.state = state
        publish_state(self._metrics, self._status)


def publish_state(metrics: Metrics, status: StreamStatus) -> None:
    """Set the gauges of a stream's state to what its row shows."""
    for each in STATES:
        metrics.stream_state.labels(status.source, status.stream, each).set(each == status.shown_state)


def _where(checkpoint: Checkpoint | None) -> dict[str, str]:
    if checkpoint is None:
        return {}
    return {
        "since": format_seconds(checkpoint.since),
        "watermark": format_seconds(checkpoint.watermark),
        "final": format_seconds(checkpoint.final),
    }


def _span(window: Window) -> dict[str, str]:
    return {"window_start": format_seconds(window.start), "window_end": format_seconds(window.end)}
