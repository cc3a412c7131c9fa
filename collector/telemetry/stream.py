"""Telemetry of one stream."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from collector.errors import TRY_AGAIN, Park, RetryLater
from collector.instants import format_seconds
from collector.model import Backfill, Checkpoint, Gap, Pause, Policy, Tally, Window, whole_name
from collector.telemetry.fields import FieldTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import LastError, StreamState, StreamStatus, TimelineFunction, paused_as_json

RECORD_OUTCOMES = ("fresh", "late", "duplicate")
"""The outcomes that every stream has sooner or later; the others are exported from the first such record on."""
NEW_RECORDS = ("fresh", "late", "revision")
"""The outcomes of records that are published as events."""
DEAD_LETTER_REASONS = ("malformed", "too_large")
POLL_OUTCOMES = ("ok", "empty")
"""The outcomes of a healthy stream; the others are exported from the first such poll on."""
MAX_GAP_LINES = 20
"""The most log lines for the gaps of one poll; one more line counts the other gaps."""
_RETRY_ADVICE = "no action needed: the collector retries automatically"
_IF_IT_PERSISTS = "if it persists, "
LOG_INTERVAL = timedelta(minutes=10)
"""How often a persistent error is logged again."""


class StreamTelemetry:
    """Records the events of one stream.

    Level warning: nothing is lost, and the collector recovers by itself. Level error: an operator must act.
    """

    def __init__(
        self,
        metrics: Metrics,
        status: StreamStatus,
        event_types: Sequence[str],
        on_released: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_released` is called when this process no longer runs the stream."""
        self._metrics = metrics
        self.status = self._status = status
        self._event_types = event_types
        self._on_released = on_released
        self._labels = (status.source, status.stream)
        self._log = structlog.get_logger().bind(source=status.source, stream=status.stream)
        self._logged_error: tuple[str, datetime] | None = None
        self._logged_pause: Pause | None = None
        self._dead_letters: Counter[str] = Counter()
        """Dead letters that have not been logged yet."""
        self._dead_letters_logged_at: datetime | None = None
        self.fields = FieldTelemetry(metrics, self._labels, self._log, status.notices)
        self._is_owned = False
        self._set_state("not_owned")

    def configured(self, policy: Policy) -> None:
        """Export how often the stream is polled, how old its watermark may be and where it ends.

        Alerts depend on it, whether this process owns the stream or not.
        """
        if policy.until is None:
            self._metrics.stream_until.remove(*self._labels)  # of the configuration before
        else:
            self._metrics.stream_until.labels(*self._labels).set(policy.until.timestamp())
        self._metrics.stream_interval.labels(*self._labels).set(policy.max_poll_interval.total_seconds())
        self._metrics.stream_freshness_target.labels(*self._labels).set(policy.freshness_target.total_seconds())
        self._status.until, self._status.freshness_target = policy.until, policy.freshness_target
        self._status.late_until = policy.until and policy.until + policy.allowed_lateness

    def restoring(self, share: float) -> None:
        """This share of the stream's state, 0 to 1, has been read. A parked stream stays parked until it runs."""
        self._status.restoring = round(share, 3)
        if self._status.state != "parked":
            self._status.last_error = None
            self._set_state("restoring")

    def blocked(self, error: str, advice: str | None, retry_in_s: float, now: datetime) -> None:
        """The stream's partition cannot be taken over. If there is advice, an operator must act.

        Writes no log line: KafkaTelemetry logs the reason once for the partition.
        """
        self._status.restoring = None
        self._set_state("backing_off" if advice is None else "parked")
        self._status.last_error = LastError(error, advice or _RETRY_ADVICE, now, now + timedelta(seconds=retry_in_s))

    def owned(self, checkpoint: Checkpoint | None, entries: int, timeline: TimelineFunction | None = None) -> None:
        """This process now runs the stream. `timeline` computes its activity timeline."""
        metrics = self._metrics
        for outcome in RECORD_OUTCOMES:
            metrics.records.labels(*self._labels, outcome)
        for outcome in POLL_OUTCOMES:
            metrics.polls.labels(*self._labels, outcome)
        for name in self._event_types:
            metrics.events.labels(*self._labels, name)
        for reason in DEAD_LETTER_REASONS:
            metrics.dead_letters.labels(*self._labels, reason)
        self._is_owned = True
        self._status.last_error = self._logged_error = self._status.restoring = None
        self._status.timeline = timeline
        self._set_state("catching_up")
        self._log.info("stream_owned", **_checkpoint_fields(checkpoint), ledger_entries=entries)
        self._set_checkpoint(checkpoint, entries)

    def paused(self, pause: Pause) -> None:
        """The stream is not run, because an operator has paused it. A pause is logged once by a process."""
        self._status.paused, self._status.last_error = pause, None
        self._set_state("paused")
        if pause != self._logged_pause:
            self._logged_pause = pause
            self._log.info("stream_paused", **paused_as_json(pause) or {})

    def resumed(self) -> None:
        """The stream is run: it is not paused, or no longer."""
        if self._status.paused is not None:
            self._status.paused = None
            self._set_state("catching_up")
        if self._logged_pause is not None:
            self._logged_pause = None
            self._log.info("stream_resumed")

    def released(self) -> None:
        """This process no longer runs the stream, or no longer tries to take over its partition."""
        self._status.paused = None
        self._set_state("not_owned")
        self._status.last_error = self._status.restoring = None
        if not self._is_owned:
            return
        self._is_owned = False
        self.fields.released()
        self._on_released()
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
        """The stream is new, and its first checkpoint was committed."""
        self._log.info("stream_begun", **_checkpoint_fields(checkpoint))
        self._set_checkpoint(checkpoint, 0)

    def since_ignored(self, configured: datetime, checkpoint: Checkpoint) -> None:
        """The configured `since` differs from the one with which the stream started, and has no effect."""
        text = (
            f"since = {format_seconds(configured)} is ignored, because the stream started at "
            f"{format_seconds(checkpoint.since)}: for older data, use `collector backfill`"
        )
        if self._add_notice(text):
            self._log.warning("since_ignored", advice=text)

    def selection_changed(self, checkpoint: Checkpoint, joined: Checkpoint) -> None:
        """The source selects another part of the account than before, or other time zones: then shards have joined."""
        if joined.watermark < checkpoint.watermark:
            self._log.info("shards_joined", watermark=format_seconds(joined.watermark))
            return
        if joined.places == checkpoint.places or checkpoint.watermark == checkpoint.since:
            return  # in the latter case, nothing is fetched yet: nothing of the added part is left out
        text = (
            "the source now selects another part of the account, and data of the added part is published from "
            f"{format_seconds(checkpoint.watermark)} on: for its history, add a separate source with since and until"
        )
        if self._add_notice(text):
            self._log.warning("selection_changed", advice=text)

    def waiting_for_shards(self, names: Sequence[str], now: datetime) -> None:
        """The stream does not advance before its shards for other time zones, with these names, have begun."""
        error = f"waits for {', '.join(names)}: all time zones of the stream take over changed places together"
        if self._status.state != "backing_off":
            self._log.info("shards_waiting", error=error)
        advice = "see why those do not begin: this one continues by itself when they do"
        self._status.last_error = LastError(error, advice, now)
        self._set_state("backing_off")

    def shards_begun(self) -> None:
        """The shards for which the stream has waited have begun."""
        self._status.last_error = None
        self._set_state("catching_up")

    def committed(self, tally: Tally, checkpoint: Checkpoint, entries: int, now: datetime) -> None:
        """A batch was committed. Its records and events are counted only now."""
        metrics, status = self._metrics, self._status
        for outcome, count in tally.records.items():
            metrics.records.labels(*self._labels, outcome).inc(count)
        for name, count in tally.events.items():
            metrics.events.labels(*self._labels, name).inc(count)
        for reason, count in tally.dead_letters.items():
            metrics.dead_letters.labels(*self._labels, reason).inc(count)
        for end_ms in tally.fresh_ends_ms:
            metrics.event_delay.labels(*self._labels).observe(max(0.0, now.timestamp() - end_ms / 1000))
        metrics.published["records"] += sum(tally.records.get(outcome, 0) for outcome in NEW_RECORDS)
        metrics.published["events"] += sum(tally.events.values())
        metrics.published["dead_letters"] += sum(tally.dead_letters.values())
        status.minutes.add(tally.events.values(), now)
        status.records.update(tally.records)
        status.events.update(tally.events)
        status.dead_letters.update(tally.dead_letters)
        self._dead_letters.update(tally.dead_letters)
        if self._dead_letters and (
            self._dead_letters_logged_at is None or now - self._dead_letters_logged_at >= LOG_INTERVAL
        ):
            self._log.error(
                "dead_letters",
                **self._dead_letters,
                advice="read them with `collector dead-letters list`, or in the topic collector.dead_letters",
            )
            self._dead_letters.clear()
            self._dead_letters_logged_at = now
        if outside := tally.records.get("outside"):
            self._log.debug("records_outside", count=outside)
        self._set_checkpoint(checkpoint, entries)

    def polled(
        self, window: Window, rows: int, took_s: float, checkpoint: Checkpoint, *, behind: bool, now: datetime
    ) -> None:
        """A window was fetched and published completely."""
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
        status.last_error = self._logged_error = None
        self._set_state("catching_up" if behind else "live")
        self._log.debug("polled", **_window_fields(window), rows=rows, took_s=round(took_s, 3))
        self._set_checkpoint(checkpoint, status.ledger_entries)

    def idle(self) -> None:
        """Nothing is due: after a restart, the next poll or the end of the next period may be hours away."""
        if self._status.state == "catching_up":
            self._set_state("live")

    def missing_records(self, count: int, lost: Sequence[Gap]) -> None:
        """`count` numbered records have not been received so far; no record is expected any more in the gaps `lost`."""
        self._metrics.missing_records.labels(*self._labels).set(count)
        self._status.missing = count
        for gap in lost[:MAX_GAP_LINES]:
            self._log.warning("records_missing", series=gap.series, first=gap.first, last=gap.last, count=gap.count)
        if len(lost) > MAX_GAP_LINES:
            rest = lost[MAX_GAP_LINES:]
            self._log.warning("records_missing", gaps=len(rest), count=sum(gap.count for gap in rest))

    def window_halved(self, window: Window, reason: str) -> None:
        """The response to a window is too large: its halves are fetched instead."""
        self._log.info("window_halved", **_window_fields(window), reason=reason)

    def cap_suspected(self, window: Window, rows: int) -> None:
        """A response has a round number of rows, as if it were capped, but the halves have no further rows."""
        self._log.warning(
            "perhaps_capped",
            **_window_fields(window),
            rows=rows,
            advice="no action needed: the halves of the window contain no further rows, so the response seems complete",
        )

    def rows_cut(self, window: Window, lists: int) -> None:
        """The vendor has cut this many lists to its largest number of rows: the rest cannot be requested."""
        advice = "older rows may be missing for good: find out what causes so many rows; a shorter interval loses fewer"
        self._log.warning("rows_cut", **_window_fields(window), lists=lists, advice=advice)

    def interrupted(
        self, window: Window | None, error: Exception, *, failures: int, delay_s: float, now: datetime
    ) -> None:
        """A failure of any kind: `retrying`, `parked` or `failed`."""
        match error:
            case RetryLater():
                self.retrying(window, error, failures=failures, delay_s=delay_s, now=now)
            case Park():
                self.parked(window, error, failures=failures, delay_s=delay_s, now=now)
            case _:
                self.failed(window, error, failures=failures, delay_s=delay_s, now=now)

    def retrying(
        self, window: Window | None, error: RetryLater, *, failures: int, delay_s: float, now: datetime
    ) -> None:
        """A temporary error. Nothing is lost: the window is fetched again after `delay_s` seconds."""
        self._metrics.polls.labels(*self._labels, "retry").inc()
        advice = _RETRY_ADVICE
        if error.advice != TRY_AGAIN:
            advice = (
                f"the collector retries automatically; {_IF_IT_PERSISTS}{error.advice.removeprefix(_IF_IT_PERSISTS)}"
            )
        self._failed("backing_off", error.code, str(error), advice, window, failures, delay_s, now)

    def parked(self, window: Window | None, error: Park, *, failures: int, delay_s: float, now: datetime) -> None:
        """An error that an operator must fix. Nothing is lost: the window is fetched again after `delay_s` seconds."""
        self._metrics.polls.labels(*self._labels, "park").inc()
        self._failed("parked", error.code, str(error), error.advice, window, failures, delay_s, now)

    def failed(self, window: Window | None, error: Exception, *, failures: int, delay_s: float, now: datetime) -> None:
        """An unexpected error, which is a bug. Nothing is lost, and other streams continue."""
        self._metrics.polls.labels(*self._labels, "park").inc()
        advice = "this is a bug in the collector: report it with the log"
        text = f"unexpected {type(error).__name__}: {error}"
        self._failed("parked", "unexpected", text, advice, window, failures, delay_s, now, exception=error)

    def backfill_complete(self, backfill: Backfill) -> None:
        """Everything that the backfill selects is published and final."""
        self._log.info("backfill_complete", **_backfill_fields(backfill))

    def backfill_unreadable(self, error: str, advice: str) -> None:
        """The record of a backfill cannot be read: it does not run. The stream does."""
        if self._add_notice(f"a backfill does not run: {error}: {advice}"):
            self._log.error("backfill_unreadable", error=error, advice=advice)

    def backfill_zones_changed(self, backfill: Backfill, zones: str) -> None:
        """The source has other time zones than when a backfill was requested: it does not run. The stream does."""
        error = f"it was requested with the time zones {backfill.zones}, and the source now has {zones}"
        cancel = f"collector backfill {self._status.source} {whole_name(self._status.stream)} --cancel"
        advice = (
            f"set the former time zones again until it is complete; or cancel it (`{cancel}`), and publish what is "
            "missing with a separate source with since and until"
        )
        if self._add_notice(f"a backfill does not run: {error}: {advice}"):
            self._log.error("backfill_zones_changed", **_backfill_fields(backfill), error=error, advice=advice)

    def completed(self, checkpoint: Checkpoint) -> None:
        """The stream has an `until`, and everything before it is published and final: nothing more is fetched."""
        self._set_state("complete")
        self._log.info("stream_complete", **_checkpoint_fields(checkpoint))

    def _failed(
        self,
        state: StreamState,
        code: str,
        error: str,
        advice: str,
        window: Window | None,
        failures: int,
        delay_s: float,
        now: datetime,
        exception: Exception | None = None,
    ) -> None:
        self._set_state(state)
        self._status.last_error = LastError(error, advice, now, now + timedelta(seconds=delay_s), code)
        if self._logged_error is None or self._logged_error[0] != error or now - self._logged_error[1] >= LOG_INTERVAL:
            self._logged_error = error, now
            location = _window_fields(window) if window else {}
            log = self._log.bind(code=code, error=error, advice=advice, **location)
            log = log.bind(failures=failures, retry_in_s=round(delay_s))
            if state == "parked":
                log.error("stream_parked", exc_info=exception)
            else:
                log.warning("stream_backing_off")

    def _add_notice(self, notice: str) -> bool:
        """Add a notice to the status. Returns whether it is new."""
        if notice in self._status.notices:
            return False
        self._status.notices.append(notice)
        return True

    def _set_checkpoint(self, checkpoint: Checkpoint | None, entries: int) -> None:
        self._status.checkpoint, self._status.ledger_entries = checkpoint, entries
        if checkpoint is None:
            return
        self._metrics.watermark.labels(*self._labels).set(checkpoint.watermark.timestamp())
        self._metrics.final.labels(*self._labels).set(checkpoint.final.timestamp())
        self._metrics.window_span.labels(*self._labels).set(checkpoint.span.total_seconds())
        self._metrics.ledger_entries.labels(*self._labels).set(entries)

    def _set_state(self, state: StreamState) -> None:
        self._status.state = state
        publish_state(self._metrics, self._status)


def publish_state(metrics: Metrics, status: StreamStatus) -> None:
    """Set the state gauges of a stream from its status."""
    status.exported_states.add(status.shown_state)
    for each in status.exported_states:
        metrics.stream_state.labels(status.source, status.stream, each).set(each == status.shown_state)


def _checkpoint_fields(checkpoint: Checkpoint | None) -> dict[str, str]:
    if checkpoint is None:
        return {}
    return {
        "since": format_seconds(checkpoint.since),
        "watermark": format_seconds(checkpoint.watermark),
        "final": format_seconds(checkpoint.final),
    }


def _backfill_fields(backfill: Backfill) -> dict[str, str]:
    return {"from": format_seconds(backfill.start), "to": format_seconds(backfill.end)}


def _window_fields(window: Window) -> dict[str, str]:
    return {"window_start": format_seconds(window.start), "window_end": format_seconds(window.end)}
