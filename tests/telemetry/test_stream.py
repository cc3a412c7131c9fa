"""Telemetry of a stream: counts of committed records, one state at a time, and few log lines for persistent errors."""

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import structlog
from msgspec import structs
from structlog.testing import capture_logs

from collector.errors import Park, RetryLater
from collector.model import Backfill, Checkpoint, Pause, Policy, Tally, Window
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import STATES, USUAL_STATES, StreamStatus
from collector.telemetry.stream import StreamTelemetry
from tests.simulated import START

CHECKPOINT = Checkpoint(
    since=START - timedelta(days=2),
    watermark=START - timedelta(minutes=2),
    final=START - timedelta(days=1),
    span=timedelta(hours=6),
    swept_at=START,
)
WINDOW = Window(START - timedelta(minutes=3), START - timedelta(minutes=2))
PAUSE = Pause("the vendor moves", START, START + timedelta(hours=1), "ann@desk")
LABELS = {"source": "mall", "stream": "sessions"}
TYPE = "seemetrix.session.v1"
GAUGES = (
    "collector_watermark_timestamp_seconds",
    "collector_final_timestamp_seconds",
    "collector_last_success_timestamp_seconds",
    "collector_window_span_seconds",
    "collector_ledger_entries",
)


class Recorder:
    """The telemetry of a stream, with its metrics and its status."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.status = StreamStatus("seemetrix", "mall", "sessions")
        self.telemetry = StreamTelemetry(self.metrics, self.status, [TYPE])

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {**LABELS, **labels})

    def states(self) -> dict[str, float | None]:
        return {state: self.value("collector_stream_state", state=state) for state in STATES}


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def recorder(logs: list[Any]) -> Recorder:
    del logs  # requested first, so that all lines are captured
    return Recorder()


def exactly(state: str, *former: str) -> dict[str, float | None]:
    """Of the states that are not usual, the stream was in these."""
    exported = {*USUAL_STATES, *former, state}
    return {each: float(each == state) if each in exported else None for each in STATES}


def test_committed_records_events_and_dead_letters_are_counted(recorder: Recorder) -> None:
    recorder.telemetry.owned(CHECKPOINT, 0)
    recorder.telemetry.committed(Tally({"fresh": 3, "duplicate": 2}, {TYPE: 3}, {"malformed": 1}), CHECKPOINT, 5, START)
    recorder.telemetry.committed(Tally({"fresh": 1}, {TYPE: 1}), CHECKPOINT, 6, START)

    assert recorder.value("collector_records_total", outcome="fresh") == 4
    assert recorder.value("collector_records_total", outcome="duplicate") == 2
    assert recorder.value("collector_events_published_total", type=TYPE) == 4
    assert recorder.value("collector_dead_letters_total", reason="malformed") == 1
    assert recorder.value("collector_ledger_entries") == 6
    assert (recorder.status.records, recorder.status.events, recorder.status.dead_letters) == (
        {"fresh": 4, "duplicate": 2},
        {TYPE: 4},
        {"malformed": 1},
    )


def test_a_poll_without_a_commit_counts_no_records(recorder: Recorder) -> None:
    recorder.telemetry.owned(CHECKPOINT, 0)
    recorder.telemetry.polled(WINDOW, 17, 0.5, CHECKPOINT, behind=False, now=START)

    assert recorder.value("collector_records_total", outcome="fresh") == 0
    assert recorder.value("collector_polls_total", outcome="ok") == 1
    assert recorder.value("collector_poll_duration_seconds_sum") == 0.5


def test_counters_exist_as_soon_as_the_stream_is_owned(recorder: Recorder) -> None:
    assert recorder.value("collector_records_total", outcome="late") is None

    recorder.telemetry.owned(None, 0)

    assert {"fresh": 0, "late": 0, "duplicate": 0, "revision": None, "outside": None, "rejected": None} == {
        outcome: recorder.value("collector_records_total", outcome=outcome)
        for outcome in ("fresh", "late", "duplicate", "revision", "outside", "rejected")
    }
    assert {"ok": 0, "empty": 0, "retry": None, "park": None} == {
        outcome: recorder.value("collector_polls_total", outcome=outcome)
        for outcome in ("ok", "empty", "retry", "park")
    }
    reasons = ("malformed", "too_large")
    assert dict.fromkeys(reasons, 0) == {
        reason: recorder.value("collector_dead_letters_total", reason=reason) for reason in reasons
    }
    assert recorder.value("collector_events_published_total", type=TYPE) == 0


@pytest.mark.parametrize(("rows", "outcome"), [(0, "empty"), (1, "ok")])
def test_the_outcome_of_a_poll_depends_on_its_rows(recorder: Recorder, rows: int, outcome: str) -> None:
    recorder.telemetry.polled(WINDOW, rows, 0.5, CHECKPOINT, behind=False, now=START)
    assert recorder.value("collector_polls_total", outcome=outcome) == 1


def test_the_event_delay_is_measured_from_the_end_of_a_fresh_record_to_its_commit(recorder: Recorder) -> None:
    end_ms = int(START.timestamp() * 1000)
    recorder.telemetry.committed(
        Tally(fresh_ends_ms=[end_ms, end_ms + 90_000]), CHECKPOINT, 0, START + timedelta(seconds=60)
    )

    assert recorder.value("collector_event_delay_seconds_count") == 2
    assert recorder.value("collector_event_delay_seconds_sum") == 60


def test_a_stream_is_in_exactly_one_state(recorder: Recorder) -> None:
    assert exactly("not_owned") == recorder.states()

    recorder.telemetry.owned(CHECKPOINT, 0)
    assert exactly("catching_up") == recorder.states()

    recorder.telemetry.polled(WINDOW, 1, 0.1, CHECKPOINT, behind=True, now=START)
    assert exactly("catching_up") == recorder.states()

    recorder.telemetry.polled(WINDOW, 1, 0.1, CHECKPOINT, behind=False, now=START)
    assert exactly("live") == recorder.states()

    recorder.telemetry.retrying(WINDOW, RetryLater("HTTP 503"), failures=1, delay_s=1, now=START)
    assert exactly("backing_off") == recorder.states()

    recorder.telemetry.idle()
    assert exactly("backing_off") == recorder.states()

    recorder.telemetry.parked(WINDOW, Park("HTTP 401", advice="correct it"), failures=1, delay_s=1, now=START)
    assert exactly("parked", "backing_off") == recorder.states()

    recorder.telemetry.paused(PAUSE)
    assert exactly("paused", "backing_off", "parked") == recorder.states()

    recorder.telemetry.completed(CHECKPOINT)
    assert exactly("complete", "backing_off", "parked", "paused") == recorder.states()

    recorder.telemetry.released()
    assert exactly("not_owned", "backing_off", "parked", "paused", "complete") == recorder.states()
    assert recorder.status.state == "not_owned"


def policy(**changes: timedelta | datetime) -> Policy:
    minute, hour = timedelta(minutes=1), timedelta(hours=1)
    default = Policy(interval=15 * minute, settle=45 * minute, allowed_lateness=24 * hour, sweep_every=hour, span=hour)
    return structs.replace(default, **changes)


def test_poll_interval_and_freshness_are_exported_whether_or_not_the_stream_is_owned(recorder: Recorder) -> None:
    recorder.telemetry.configured(policy(freshness=timedelta(hours=2)))
    recorder.telemetry.owned(CHECKPOINT, 0)
    recorder.telemetry.released()

    assert recorder.value("collector_stream_interval_seconds") == 900
    assert recorder.value("collector_stream_freshness_target_seconds") == 7200
    assert recorder.value("collector_stream_until_timestamp_seconds") is None


def test_the_end_of_a_bounded_stream_is_exported(recorder: Recorder) -> None:
    bounded = policy(until=START)
    recorder.telemetry.configured(bounded)

    assert recorder.value("collector_stream_until_timestamp_seconds") == START.timestamp()
    assert START + bounded.allowed_lateness == recorder.telemetry.status.late_until


def test_gauges_exist_only_while_their_values_are_known_and_the_stream_is_owned(recorder: Recorder) -> None:
    absent = dict.fromkeys(GAUGES)
    assert absent == {name: recorder.value(name) for name in GAUGES}

    recorder.telemetry.owned(None, 0)
    assert absent == {name: recorder.value(name) for name in GAUGES}

    recorder.telemetry.initialized(CHECKPOINT)
    recorder.telemetry.polled(WINDOW, 1, 0.1, CHECKPOINT, behind=False, now=START)
    assert {
        "collector_watermark_timestamp_seconds": CHECKPOINT.watermark.timestamp(),
        "collector_final_timestamp_seconds": CHECKPOINT.final.timestamp(),
        "collector_last_success_timestamp_seconds": START.timestamp(),
        "collector_window_span_seconds": 6 * 3600,
        "collector_ledger_entries": 0,
    } == {name: recorder.value(name) for name in GAUGES}

    recorder.telemetry.released()
    assert absent == {name: recorder.value(name) for name in GAUGES}


def test_a_stream_can_be_released_before_it_was_owned(recorder: Recorder) -> None:
    recorder.telemetry.released()
    assert exactly("not_owned") == recorder.states()


def test_a_persistent_error_is_logged_every_ten_minutes_and_always_counted(recorder: Recorder, logs: list[Any]) -> None:
    for minute in range(21):
        now = START + timedelta(minutes=minute)
        recorder.telemetry.retrying(WINDOW, RetryLater("HTTP 503"), failures=minute + 1, delay_s=60, now=now)

    lines = [line for line in logs if line["event"] == "stream_backing_off"]
    assert [1, 11, 21] == [line["failures"] for line in lines]
    assert recorder.value("collector_polls_total", outcome="retry") == 21
    assert recorder.status.last_error is not None
    assert recorder.status.last_error.at == START + timedelta(minutes=20)
    assert recorder.status.last_error.retry_at == START + timedelta(minutes=21)


def test_a_new_error_is_logged_at_once_and_so_is_the_same_error_after_a_recovery(
    recorder: Recorder, logs: list[Any]
) -> None:
    recorder.telemetry.retrying(WINDOW, RetryLater("HTTP 503"), failures=1, delay_s=1, now=START)
    recorder.telemetry.retrying(WINDOW, RetryLater("HTTP 502"), failures=2, delay_s=1, now=START)
    recorder.telemetry.polled(WINDOW, 1, 0.1, CHECKPOINT, behind=False, now=START)
    recorder.telemetry.retrying(WINDOW, RetryLater("HTTP 502"), failures=1, delay_s=1, now=START)

    expected = ["stream_backing_off", "stream_backing_off", "stream_recovered", "stream_backing_off"]
    assert expected == [line["event"] for line in logs if line["event"] != "polled"]


def test_a_persistent_bug_is_logged_every_ten_minutes_with_its_traceback(recorder: Recorder, logs: list[Any]) -> None:
    error = ZeroDivisionError("division by zero")
    for minute in range(11):
        now = START + timedelta(minutes=minute)
        recorder.telemetry.failed(WINDOW, error, failures=minute + 1, delay_s=60, now=now)

    assert [error, error] == [line["exc_info"] for line in logs if line["event"] == "stream_parked"]


@pytest.mark.parametrize(("kind", "level"), [("retrying", "warning"), ("parked", "error")])
def test_a_temporary_error_is_a_warning_and_an_error_for_the_operator_is_an_error(
    recorder: Recorder, logs: list[Any], kind: str, level: str
) -> None:
    if kind == "retrying":
        recorder.telemetry.retrying(WINDOW, RetryLater("a", code="code"), failures=1, delay_s=1, now=START)
    else:
        error = Park("a", advice="correct it", code="code")
        recorder.telemetry.parked(WINDOW, error, failures=1, delay_s=1, now=START)

    (line,) = logs
    assert line["code"] == "code"
    assert (level, "mall", "sessions") == (line["log_level"], line["source"], line["stream"])
    assert line["advice"]
    assert (line["window_start"], line["window_end"]) == ("2026-10-31T23:57:00Z", "2026-10-31T23:58:00Z")


@pytest.mark.parametrize("advice", ["check the URL", "if it persists, check the URL"])
def test_a_temporary_error_that_may_be_a_mistake_has_its_advice(
    recorder: Recorder, logs: list[Any], advice: str
) -> None:
    recorder.telemetry.retrying(WINDOW, RetryLater("a", advice=advice), failures=1, delay_s=1, now=START)
    recorder.telemetry.retrying(WINDOW, RetryLater("b"), failures=2, delay_s=1, now=START)

    specific, general = (line["advice"] for line in logs)
    assert specific.endswith("if it persists, check the URL")
    assert 1 == specific.count("if it persists")
    assert "check" not in general


def test_the_last_error_is_removed_by_the_next_successful_poll(recorder: Recorder) -> None:
    recorder.telemetry.parked(None, Park("HTTP 401", advice="correct it"), failures=1, delay_s=1, now=START)
    recorder.telemetry.polled(WINDOW, 1, 0.1, CHECKPOINT, behind=False, now=START)

    assert recorder.status.last_error is None


def test_dead_letters_are_logged_as_an_error_with_their_topic(recorder: Recorder, logs: list[Any]) -> None:
    recorder.telemetry.committed(Tally({"rejected": 2}, {}, {"malformed": 2}), CHECKPOINT, 0, START)

    (line,) = logs
    assert ("dead_letters", "error", 2) == (line["event"], line["log_level"], line["malformed"])
    assert "collector.dead_letters" in line["advice"]


def test_a_notice_is_logged_once(recorder: Recorder, logs: list[Any]) -> None:
    for _ in range(2):
        recorder.telemetry.since_ignored(START, CHECKPOINT)
        recorder.telemetry.selection_changed(CHECKPOINT, structs.replace(CHECKPOINT, selection="others"))
        recorder.telemetry.selection_changed(CHECKPOINT, structs.replace(CHECKPOINT, zone="Asia/Tokyo"))

    assert ["since_ignored", "selection_changed"] == [line["event"] for line in logs]
    assert [line["advice"] for line in logs] == recorder.status.notices


def test_another_selection_of_a_stream_that_has_fetched_nothing_needs_no_operator(
    recorder: Recorder, logs: list[Any]
) -> None:
    new = structs.replace(CHECKPOINT, watermark=CHECKPOINT.since, final=CHECKPOINT.since)
    recorder.telemetry.selection_changed(new, new)

    assert ([], []) == (logs, recorder.status.notices)


def test_places_that_only_change_their_time_zone_need_no_operator(recorder: Recorder, logs: list[Any]) -> None:
    for before, after in pairwise(("all 1", "all 1; zones 2", "all 1; zones 3", "all 1")):
        checkpoint = structs.replace(CHECKPOINT, selection=before)
        recorder.telemetry.selection_changed(checkpoint, structs.replace(checkpoint, selection=after))
    assert ([], []) == (logs, recorder.status.notices)

    checkpoint = structs.replace(CHECKPOINT, selection="all 1; zones 2")
    recorder.telemetry.selection_changed(checkpoint, structs.replace(checkpoint, selection="all 2; zones 3"))
    assert ["selection_changed"] == [line["event"] for line in logs]


def test_a_backfill_with_other_time_zones_needs_an_operator(recorder: Recorder, logs: list[Any]) -> None:
    backfill = Backfill(START - timedelta(days=2), START, START, "anna@host", zones="Europe/Paris")
    for _ in range(2):
        recorder.telemetry.backfill_zones_changed(backfill, "America/New_York")

    (line,) = logs
    assert ("backfill_zones_changed", "error") == (line["event"], line["log_level"])
    assert "Europe/Paris, and the source now has America/New_York" in line["error"]
    assert "--cancel" in line["advice"]
    (notice,) = recorder.status.notices
    assert line["error"] in notice
    assert line["advice"] in notice


def test_a_stream_that_has_waited_for_its_shards_catches_up(recorder: Recorder) -> None:
    recorder.telemetry.waiting_for_shards(["viewers@Asia/Tokyo"], START)
    recorder.telemetry.shards_begun()

    assert ("catching_up", None) == (recorder.status.state, recorder.status.last_error)


def test_shards_that_join_need_no_operator(recorder: Recorder, logs: list[Any]) -> None:
    earlier = CHECKPOINT.final - timedelta(hours=1)
    joined = structs.replace(CHECKPOINT, watermark=earlier, final=earlier)
    recorder.telemetry.selection_changed(CHECKPOINT, joined)

    assert [("shards_joined", "info")] == [(line["event"], line["log_level"]) for line in logs]
    assert [] == recorder.status.notices


def test_a_stream_that_waits_for_its_other_zones_names_them(recorder: Recorder, logs: list[Any]) -> None:
    for _ in range(2):
        recorder.telemetry.waiting_for_shards(["viewers@Asia/Tokyo", "viewers@Asia/Kathmandu"], START)

    assert [("shards_waiting", "info")] == [(line["event"], line["log_level"]) for line in logs]
    assert "backing_off" == recorder.status.state
    assert recorder.status.last_error is not None
    assert "viewers@Asia/Tokyo, viewers@Asia/Kathmandu" in recorder.status.last_error.error


def test_dead_letters_are_logged_at_once_and_then_summed_every_ten_minutes(recorder: Recorder, logs: list[Any]) -> None:
    for minute in range(21):
        tally = Tally(dead_letters=Counter(malformed=2))
        recorder.telemetry.committed(tally, CHECKPOINT, 0, START + timedelta(minutes=minute))

    assert [2, 20, 20] == [line["malformed"] for line in logs if line["event"] == "dead_letters"]


def test_a_pause_is_logged_once_by_a_process_and_so_is_its_end(recorder: Recorder, logs: list[Any]) -> None:
    recorder.telemetry.resumed()
    for pause in (PAUSE, PAUSE, structs.replace(PAUSE, until=None)):
        recorder.telemetry.owned(CHECKPOINT, 0)
        recorder.telemetry.paused(pause)
        recorder.telemetry.released()
    recorder.telemetry.owned(CHECKPOINT, 0)
    recorder.telemetry.resumed()
    recorder.telemetry.resumed()

    lines = [line for line in logs if line["event"] in ("stream_paused", "stream_resumed")]
    assert ["stream_paused", "stream_paused", "stream_resumed"] == [line["event"] for line in lines]
    until = "2026-11-01T01:00:00Z"
    assert ("the vendor moves", until, "ann@desk") == tuple(lines[0][name] for name in ("reason", "until", "by"))
    assert {"info"} == {line["log_level"] for line in lines}


def test_the_status_of_a_paused_stream_has_the_pause_and_its_watermark_but_no_error(recorder: Recorder) -> None:
    recorder.telemetry.parked(None, Park("HTTP 401", advice="correct it"), failures=1, delay_s=1, now=START)
    recorder.telemetry.owned(CHECKPOINT, 0)
    recorder.telemetry.paused(PAUSE)

    status = recorder.status.as_json(START)
    assert ("paused", None) == (status["state"], status["last_error"])
    assert status["paused"] == {
        "reason": "the vendor moves",
        "since": "2026-11-01T00:00:00Z",
        "until": "2026-11-01T01:00:00Z",
        "by": "ann@desk",
    }
    assert recorder.value("collector_watermark_timestamp_seconds") == CHECKPOINT.watermark.timestamp()
    recorder.telemetry.released()
    assert recorder.status.as_json(START)["paused"] is None
