"""What is told of a stream: counts of what is durable, its one state, and each trouble once in a while."""

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from collector.errors import Park
from collector.model import Checkpoint, Tally, Window
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import STATES, StreamStatus
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
LABELS = {"source": "mall", "stream": "sessions"}
TYPE = "seemetrix.session.v1"
GAUGES = (
    "collector_watermark_timestamp_seconds",
    "collector_final_timestamp_seconds",
    "collector_last_success_timestamp_seconds",
    "collector_window_span_seconds",
    "collector_ledger_entries",
)


class Told:
    """A stream's telemetry, and what one sees of it."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.row = StreamStatus("seemetrix", "mall", "sessions")
        self.telemetry = StreamTelemetry(self.metrics, self.row, [TYPE])

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
def told(logs: list[Any]) -> Told:
    del logs  # captured from the beginning
    return Told()


def only(state: str) -> dict[str, float]:
    return {each: float(each == state) for each in STATES}


def test_what_is_committed_is_counted_with_its_events_and_dead_letters(told: Told) -> None:
    told.telemetry.owned(CHECKPOINT, 0)
    told.telemetry.committed(Tally({"fresh": 3, "duplicate": 2}, {TYPE: 3}, {"malformed": 1}), CHECKPOINT, 5, START)
    told.telemetry.committed(Tally({"fresh": 1}, {TYPE: 1}), CHECKPOINT, 6, START)

    assert told.value("collector_records_total", outcome="fresh") == 4
    assert told.value("collector_records_total", outcome="duplicate") == 2
    assert told.value("collector_events_published_total", type=TYPE) == 4
    assert told.value("collector_dead_letters_total", reason="malformed") == 1
    assert told.value("collector_ledger_entries") == 6
    assert (told.row.records, told.row.events, told.row.dead_letters) == (
        {"fresh": 4, "duplicate": 2},
        {TYPE: 4},
        {"malformed": 1},
    )


def test_a_poll_alone_counts_no_record(told: Told) -> None:
    told.telemetry.owned(CHECKPOINT, 0)
    told.telemetry.polled(WINDOW, 17, 0.5, CHECKPOINT, behind=False, now=START)

    assert told.value("collector_records_total", outcome="fresh") == 0
    assert told.value("collector_polls_total", outcome="ok") == 1
    assert told.value("collector_poll_duration_seconds_sum") == 0.5


def test_the_counters_of_a_stream_exist_from_the_moment_it_is_owned(told: Told) -> None:
    assert told.value("collector_records_total", outcome="late") is None

    told.telemetry.owned(None, 0)

    outcomes = ("fresh", "late", "revision", "duplicate", "outside", "rejected")
    assert dict.fromkeys(outcomes, 0) == {
        outcome: told.value("collector_records_total", outcome=outcome) for outcome in outcomes
    }
    polls = ("ok", "empty", "retry", "park")
    assert dict.fromkeys(polls, 0) == {each: told.value("collector_polls_total", outcome=each) for each in polls}
    reasons = ("malformed", "too_large")
    assert dict.fromkeys(reasons, 0) == {
        reason: told.value("collector_dead_letters_total", reason=reason) for reason in reasons
    }
    assert told.value("collector_events_published_total", type=TYPE) == 0


@pytest.mark.parametrize(("rows", "outcome"), [(0, "empty"), (1, "ok")])
def test_a_poll_is_empty_or_not(told: Told, rows: int, outcome: str) -> None:
    told.telemetry.polled(WINDOW, rows, 0.5, CHECKPOINT, behind=False, now=START)
    assert told.value("collector_polls_total", outcome=outcome) == 1


def test_the_delay_of_fresh_records_is_from_their_end_to_the_commit(told: Told) -> None:
    end_ms = int(START.timestamp() * 1000)
    told.telemetry.committed(
        Tally(fresh_ends_ms=[end_ms, end_ms + 90_000]), CHECKPOINT, 0, START + timedelta(seconds=60)
    )

    assert told.value("collector_event_delay_seconds_count") == 2
    assert told.value("collector_event_delay_seconds_sum") == 60


def test_a_stream_is_in_one_state_and_never_in_another(told: Told) -> None:
    assert only("not_owned") == told.states()

    told.telemetry.owned(CHECKPOINT, 0)
    assert only("catching_up") == told.states()

    told.telemetry.polled(WINDOW, 1, 0.1, CHECKPOINT, behind=True, now=START)
    assert only("catching_up") == told.states()

    told.telemetry.polled(WINDOW, 1, 0.1, CHECKPOINT, behind=False, now=START)
    assert only("live") == told.states()

    told.telemetry.retrying(WINDOW, "HTTP 503", failures=1, delay_s=1, now=START)
    assert only("backing_off") == told.states()

    told.telemetry.idle()
    assert only("backing_off") == told.states()

    told.telemetry.parked(WINDOW, Park("HTTP 401", advice="correct it"), failures=1, delay_s=1, now=START)
    assert only("parked") == told.states()

    told.telemetry.completed(CHECKPOINT)
    assert only("complete") == told.states()

    told.telemetry.released()
    assert only("not_owned") == told.states()
    assert told.row.state == "not_owned"


def test_the_poll_interval_is_exported_whether_or_not_the_stream_is_owned(told: Told) -> None:
    told.telemetry.configured(timedelta(minutes=15))
    assert told.value("collector_stream_interval_seconds") == 900

    told.telemetry.owned(CHECKPOINT, 0)
    told.telemetry.released()

    assert told.value("collector_stream_interval_seconds") == 900


def test_timestamps_are_absent_until_known_and_while_another_replica_owns_the_stream(told: Told) -> None:
    absent = dict.fromkeys(GAUGES)
    assert absent == {name: told.value(name) for name in GAUGES}

    told.telemetry.owned(None, 0)
    assert absent == {name: told.value(name) for name in GAUGES}

    told.telemetry.initialized(CHECKPOINT)
    told.telemetry.polled(WINDOW, 1, 0.1, CHECKPOINT, behind=False, now=START)
    assert {
        "collector_watermark_timestamp_seconds": CHECKPOINT.watermark.timestamp(),
        "collector_final_timestamp_seconds": CHECKPOINT.final.timestamp(),
        "collector_last_success_timestamp_seconds": START.timestamp(),
        "collector_window_span_seconds": 6 * 3600,
        "collector_ledger_entries": 0,
    } == {name: told.value(name) for name in GAUGES}

    told.telemetry.released()
    assert absent == {name: told.value(name) for name in GAUGES}


def test_a_stream_may_be_released_before_anything_is_known_of_it(told: Told) -> None:
    told.telemetry.released()
    assert only("not_owned") == told.states()


def test_a_trouble_that_lasts_is_a_line_once_in_ten_minutes_and_counted_each_time(told: Told, logs: list[Any]) -> None:
    for minute in range(21):
        now = START + timedelta(minutes=minute)
        told.telemetry.retrying(WINDOW, "HTTP 503", failures=minute + 1, delay_s=60, now=now)

    lines = [line for line in logs if line["event"] == "stream_backing_off"]
    assert [1, 11, 21] == [line["failures"] for line in lines]
    assert told.value("collector_polls_total", outcome="retry") == 21
    assert told.row.last_error is not None
    assert told.row.last_error.at == START + timedelta(minutes=20)
    assert told.row.last_error.retry_at == START + timedelta(minutes=21)


def test_another_trouble_is_a_line_at_once_and_so_is_the_same_after_a_recovery(told: Told, logs: list[Any]) -> None:
    told.telemetry.retrying(WINDOW, "HTTP 503", failures=1, delay_s=1, now=START)
    told.telemetry.retrying(WINDOW, "HTTP 502", failures=2, delay_s=1, now=START)
    told.telemetry.polled(WINDOW, 1, 0.1, CHECKPOINT, behind=False, now=START)
    told.telemetry.retrying(WINDOW, "HTTP 502", failures=1, delay_s=1, now=START)

    expected = ["stream_backing_off", "stream_backing_off", "stream_recovered", "stream_backing_off"]
    assert expected == [line["event"] for line in logs if line["event"] != "polled"]


def test_a_fault_of_our_own_that_lasts_is_told_once_in_ten_minutes_with_its_traceback(
    told: Told, logs: list[Any]
) -> None:
    error = ZeroDivisionError("division by zero")
    for minute in range(11):
        now = START + timedelta(minutes=minute)
        told.telemetry.failed(WINDOW, error, failures=minute + 1, delay_s=60, now=now)

    assert [error, error] == [line["exc_info"] for line in logs if line["event"] == "stream_parked"]


@pytest.mark.parametrize(("kind", "level"), [("retrying", "warning"), ("parked", "error")])
def test_a_warning_is_recoverable_and_an_error_needs_an_operator(
    told: Told, logs: list[Any], kind: str, level: str
) -> None:
    if kind == "retrying":
        told.telemetry.retrying(WINDOW, "HTTP 503", failures=1, delay_s=1, now=START)
    else:
        told.telemetry.parked(WINDOW, Park("HTTP 401", advice="correct it"), failures=1, delay_s=1, now=START)

    (line,) = logs
    assert (level, "mall", "sessions") == (line["log_level"], line["source"], line["stream"])
    assert line["advice"]
    assert (line["window_start"], line["window_end"]) == ("2026-10-31T23:57:00Z", "2026-10-31T23:58:00Z")


def test_a_trouble_ends_with_the_next_poll(told: Told) -> None:
    told.telemetry.parked(None, Park("HTTP 401", advice="correct it"), failures=1, delay_s=1, now=START)
    told.telemetry.polled(WINDOW, 1, 0.1, CHECKPOINT, behind=False, now=START)

    assert told.row.last_error is None


def test_dead_letters_are_an_error_that_says_where_they_are(told: Told, logs: list[Any]) -> None:
    told.telemetry.committed(Tally({"rejected": 2}, {}, {"malformed": 2}), CHECKPOINT, 0, START)

    (line,) = logs
    assert ("dead_letters", "error", 2) == (line["event"], line["log_level"], line["malformed"])
    assert "collector.dead_letters" in line["advice"]


def test_a_notice_is_told_once(told: Told, logs: list[Any]) -> None:
    for _ in range(2):
        told.telemetry.since_ignored(START, CHECKPOINT)
        told.telemetry.selection_changed(CHECKPOINT)

    assert ["since_ignored", "selection_changed"] == [line["event"] for line in logs]
    assert [line["advice"] for line in logs] == told.row.notices


def test_dead_letters_are_a_line_at_once_and_then_one_in_ten_minutes_that_counts_them_all(
    told: Told, logs: list[Any]
) -> None:
    for minute in range(21):
        tally = Tally(dead_letters=Counter(malformed=2))
        told.telemetry.committed(tally, CHECKPOINT, 0, START + timedelta(minutes=minute))

    assert [2, 20, 20] == [line["malformed"] for line in logs if line["event"] == "dead_letters"]
