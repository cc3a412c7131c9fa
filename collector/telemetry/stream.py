"""What happens to one stream."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from collector.errors import Park
from collector.model import Gap, Head, Tally, Window
from collector.rfc3339 import format_seconds
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import STATES, Look, StreamRow, StreamState, Trouble

OUTCOMES = ("fresh", "late", "revision", "duplicate", "outside", "rejected")
REASONS = ("malformed", "too_large")
POLLS = ("ok", "empty", "retry", "park")
MOST_LINES = 20
"""Of one kind at a time."""
_WAITS = "nothing to do: it is tried again"
LOG_AGAIN = timedelta(minutes=10)
"""An error that lasts is a line when it begins, and one every so often."""


class StreamTelemetry:
    """Tells of one stream. WARNING: recoverable, nothing is lost. ERROR: an operator is needed."""

    def __init__(self, metrics: Metrics, row: StreamRow, event_types: Sequence[str]) -> None:
        self._metrics = metrics
        self._row = row
        self._types = event_types
        self._labels = (row.source, row.stream)
        self._log = structlog.get_logger().bind(source=row.source, stream=row.stream)
        self._logged: tuple[str, datetime] | None = None
        self._letters: Counter[str] = Counter()
        """Dead letters that no line has told of yet."""
        self._letters_logged: datetime | None = None
        self._is_owned = False
        self._state("not_owned")

    def restoring(self, share: float) -> None:
        """The state is being read, so far that share of it. A stream that is parked stays so until it runs."""
        self._row.restoring = round(share, 3)
        if self._row.state != "parked":
            self._row.trouble = None
            self._state("restoring")

    def blocked(self, error: str, advice: str | None, retry_in_s: float, now: datetime) -> None:
        """The state cannot be opened, for a reason that is logged of Kafka; with advice, an operator is needed."""
        self._row.restoring = None
        self._state("backing_off" if advice is None else "parked")
        self._row.trouble = Trouble(error, advice or _WAITS, now, now + timedelta(seconds=retry_in_s))

    def owned(self, head: Head | None, entries: int, strip: Look | None = None) -> None:
        """This process runs the stream now. `strip` is how to look at what it published lately."""
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
        self._row.trouble = self._logged = self._row.restoring = None
        self._row.strip = strip
        self._state("catching_up")
        self._log.info("stream_owned", **_where(head), ledger_entries=entries)
        self._head(head, entries)

    def disowned(self) -> None:
        """This process stops running the stream, or stops trying to."""
        self._state("not_owned")
        self._row.trouble = self._row.restoring = None
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
        if self._row.missing is not None:
            metrics.missing_sessions.remove(self._row.source)
        row = self._row
        row.missing = row.strip = row.asked = None
        row.head = row.last_window = row.last_success = None
        row.ledger_entries = 0
        (self._log.info if row.interruption is None else self._log.debug)("stream_released")

    def begun(self, head: Head) -> None:
        """The stream was never seen before: its first head is durable."""
        self._log.info("stream_begun", **_where(head))
        self._head(head, 0)

    def since_ignored(self, configured: datetime, head: Head) -> None:
        text = (
            f"since = {format_seconds(configured)} is not used: the stream began at {format_seconds(head.since)}; for "
            "older data add a source of its own with since and until"
        )
        if self._is_news(text):
            self._log.warning("since_ignored", advice=text)

    def selection_changed(self, head: Head) -> None:
        text = (
            "another part of the account is asked for than before; what is new in it is polled from "
            f"{format_seconds(head.watermark)} on; for its history add a source of its own with since and until"
        )
        if self._is_news(text):
            self._log.warning("selection_changed", advice=text)

    def committed(self, tally: Tally, head: Head, entries: int, now: datetime) -> None:
        """A batch is durable: only now is it counted."""
        metrics, row = self._metrics, self._row
        for outcome, count in tally.records.items():
            metrics.records.labels(*self._labels, outcome).inc(count)
        for name, count in tally.events.items():
            metrics.events.labels(*self._labels, name).inc(count)
        for reason, count in tally.dead_letters.items():
            metrics.dead_letters.labels(*self._labels, reason).inc(count)
        for end_ms in tally.fresh_ends_ms:
            metrics.event_delay.labels(*self._labels).observe(max(0.0, now.timestamp() - end_ms / 1000))
        row.minutes.add(tally.events.values(), now)
        row.records.update(tally.records)
        row.events.update(tally.events)
        row.dead_letters.update(tally.dead_letters)
        self._letters.update(tally.dead_letters)
        if self._letters and (self._letters_logged is None or now - self._letters_logged >= LOG_AGAIN):
            self._log.error("dead_letters", **self._letters, advice="see the topic collector.dead_letters")
            self._letters.clear()
            self._letters_logged = now
        if outside := tally.records.get("outside"):
            self._log.debug("records_outside", count=outside)
        self._head(head, entries)

    def polled(self, window: Window, rows: int, took_s: float, head: Head, *, behind: bool, now: datetime) -> None:
        """A window was taken whole."""
        self._metrics.polls.labels(*self._labels, "ok" if rows else "empty").inc()
        self._metrics.poll_duration.labels(*self._labels).observe(took_s)
        self._metrics.last_success.labels(*self._labels).set(now.timestamp())
        row = self._row
        row.last_window, row.last_success = window, now
        row.asked = window.end if row.asked is None else max(row.asked, window.end)
        if row.state in ("backing_off", "parked"):
            self._log.info("stream_recovered")
        row.trouble = self._logged = None
        self._state("catching_up" if behind else "live")
        self._log.debug("polled", **_span(window), rows=rows, took_s=round(took_s, 3))
        self._head(head, row.ledger_entries)

    def idle(self) -> None:
        """There is nothing to ask for yet, so nothing to catch up with: a period may only be over in hours."""
        if self._row.state == "catching_up":
            self._state("live")

    def missing(self, count: int, lost: Sequence[Gap]) -> None:
        """How many numbered records nothing was seen of so far, and those of which nothing is expected any more."""
        self._metrics.missing_sessions.labels(self._row.source).set(count)
        self._row.missing = count
        for gap in lost[:MOST_LINES]:
            self._log.warning("sessions_missing", device=gap.series, first=gap.first, last=gap.last, count=gap.count)
        if len(lost) > MOST_LINES:
            rest = lost[MOST_LINES:]
            self._log.warning("sessions_missing", gaps=len(rest), count=sum(gap.count for gap in rest))

    def narrowed(self, window: Window, reason: str) -> None:
        self._log.info("window_halved", **_span(window), reason=reason)

    def perhaps_capped(self, window: Window, rows: int) -> None:
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
        """Trouble that waits for an operator; nothing is lost, and it is tried again slowly."""
        self._metrics.polls.labels(*self._labels, "park").inc()
        self._trouble("parked", str(trouble), trouble.advice, window, failures, delay_s, now)

    def failed(self, window: Window | None, error: Exception, *, failures: int, delay_s: float, now: datetime) -> None:
        """A fault of this program's own: nothing is lost, and the stream's neighbours go on."""
        self._metrics.polls.labels(*self._labels, "park").inc()
        advice = "a fault of the collector: please report it with the log"
        text = f"unexpected {type(error).__name__}: {error}"
        self._trouble("parked", text, advice, window, failures, delay_s, now, fault=error)

    def completed(self, head: Head) -> None:
        self._state("complete")
        self._log.info("stream_complete", **_where(head))

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
        self._row.trouble = Trouble(error, advice, now, now + timedelta(seconds=delay_s))
        if self._logged is None or self._logged[0] != error or now - self._logged[1] >= LOG_AGAIN:
            self._logged = error, now
            place = _span(window) if window else {}
            log = self._log.bind(error=error, advice=advice, failures=failures, retry_in_s=round(delay_s), **place)
            if state == "parked":
                log.error("stream_parked", exc_info=fault)
            else:
                log.warning("stream_backing_off")

    def _is_news(self, notice: str) -> bool:
        """Whether it was not told yet; from now on the row tells it."""
        if notice in self._row.notices:
            return False
        self._row.notices.append(notice)
        return True

    def _head(self, head: Head | None, entries: int) -> None:
        self._row.head, self._row.ledger_entries = head, entries
        if head is None:
            return
        self._metrics.watermark.labels(*self._labels).set(head.watermark.timestamp())
        self._metrics.final.labels(*self._labels).set(head.final.timestamp())
        self._metrics.window_span.labels(*self._labels).set(head.span.total_seconds())
        self._metrics.ledger_entries.labels(*self._labels).set(entries)

    def _state(self, state: StreamState) -> None:
        self._row.state = state
        publish_state(self._metrics, self._row)


def publish_state(metrics: Metrics, row: StreamRow) -> None:
    """Set the gauges of a stream's state to what its row shows."""
    for each in STATES:
        metrics.stream_state.labels(row.source, row.stream, each).set(each == row.shown_state)


def _where(head: Head | None) -> dict[str, str]:
    if head is None:
        return {}
    return {
        "since": format_seconds(head.since),
        "watermark": format_seconds(head.watermark),
        "final": format_seconds(head.final),
    }


def _span(window: Window) -> dict[str, str]:
    return {"window_start": format_seconds(window.start), "window_end": format_seconds(window.end)}
