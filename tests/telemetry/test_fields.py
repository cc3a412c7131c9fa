"""Unknown fields, and fields that stop coming, are counted, logged once and shown."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from collector.model import FieldSample
from collector.telemetry.fields import MAX_NAME_LENGTH, MAX_UNKNOWN_FIELDS
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry

ROWS = 10
UNKNOWN, ABSENT = "collector_fields_unknown_total", "collector_fields_absent_total"


class Recorder:
    """The telemetry of an owned stream, its metrics, status and log lines."""

    def __init__(self, lines: list[Any]) -> None:
        self.metrics = Metrics()
        self.status = StreamStatus("quividi", "lobby", "viewers", notices=["since is ignored"])
        self.telemetry = StreamTelemetry(self.metrics, self.status, [])
        self.telemetry.owned(None, 0)
        self._lines = lines

    def sampled(
        self, *fields: str, unknown: Sequence[str] = (), expected: Sequence[str] = (), rows: int = ROWS, times: int = 1
    ) -> None:
        """Responses whose sampled rows all have these fields."""
        self.counted(dict.fromkeys(fields, rows), unknown=unknown, expected=expected, rows=rows, times=times)

    def counted(
        self,
        present: Mapping[str, int],
        *,
        unknown: Sequence[str] = (),
        expected: Sequence[str] = (),
        rows: int = ROWS,
        times: int = 1,
    ) -> None:
        for _ in range(times):
            self.telemetry.fields.sampled(FieldSample(rows, present, unknown, expected))

    def value(self, name: str, field: str) -> float:
        labels = {"source": "lobby", "stream": "viewers", "field": field}
        return self.metrics.registry.get_sample_value(name, labels) or 0

    @property
    def logged(self) -> list[tuple[str, str]]:
        return [(line["event"], line["field"]) for line in self._lines if line["event"].startswith("field_")]

    @property
    def notices(self) -> list[str]:
        """The fields that notices name, in their order."""
        assert "since is ignored" == self.status.notices[0]
        return [notice.partition(": ")[2] for notice in self.status.notices[1:]]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    with capture_logs() as lines:
        yield Recorder(lines)


def test_an_unknown_field_is_counted_by_response_and_logged_once(recorder: Recorder) -> None:
    recorder.sampled("dwell", unknown=["posture"], times=2)
    recorder.sampled("dwell", unknown=["posture", "mask"])
    recorder.sampled("dwell")

    assert (3, 1) == (recorder.value(UNKNOWN, "posture"), recorder.value(UNKNOWN, "mask"))
    assert [("field_unknown", "posture"), ("field_unknown", "mask")] == recorder.logged
    assert ["posture, mask"] == recorder.notices


def test_only_the_first_unknown_names_are_kept(recorder: Recorder) -> None:
    names = [f"new_{number}" for number in range(10 * MAX_UNKNOWN_FIELDS)]
    recorder.sampled("dwell", unknown=names, times=2)

    assert [*names[:MAX_UNKNOWN_FIELDS], "other"] == [field for _, field in recorder.logged]
    assert (2, 2) == (recorder.value(UNKNOWN, names[0]), recorder.value(UNKNOWN, "other"))
    [family] = (each for each in recorder.metrics.registry.collect() if f"{each.name}_total" == UNKNOWN)
    samples = [each for each in family.samples if each.name == UNKNOWN]
    assert MAX_UNKNOWN_FIELDS + 1 == len(samples)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("größe", "größe"),
        ("a\nb\x1b[31m", "a\\nb\\x1b[31m"),
        ("\ud800", "\\ud800"),
        ("\u202eabc", "\\u202eabc"),
        ("x" * 1000, "x" * MAX_NAME_LENGTH),
        ("\n" * 1000, "\\n" * (MAX_NAME_LENGTH // 2)),
    ],
)
def test_a_name_is_cut_and_its_control_characters_are_escaped(recorder: Recorder, name: str, shown: str) -> None:
    recorder.sampled("dwell", unknown=[name])

    assert [("field_unknown", shown)] == recorder.logged
    assert 1 == recorder.value(UNKNOWN, shown)


def test_a_field_that_stops_coming_is_counted_and_after_three_responses_logged_once(recorder: Recorder) -> None:
    recorder.sampled("gender", "vr_id", times=3)
    recorder.sampled("gender", times=2)
    assert (2, [], []) == (recorder.value(ABSENT, "vr_id"), recorder.logged, recorder.notices)

    recorder.sampled("gender", times=2)
    assert 4 == recorder.value(ABSENT, "vr_id")
    assert [("field_absent", "vr_id")] == recorder.logged
    assert ["vr_id"] == recorder.notices


def test_when_an_absent_field_returns_its_notice_ends(recorder: Recorder) -> None:
    recorder.sampled("gender", "vr_id", times=3)
    recorder.sampled("gender", times=3)
    recorder.counted({"gender": ROWS, "vr_id": 1})
    assert [] == recorder.notices

    recorder.sampled("gender", times=3)
    assert ["vr_id"] == recorder.notices
    assert [("field_absent", "vr_id")] == recorder.logged


def test_a_field_that_only_some_rows_have_is_never_absent(recorder: Recorder) -> None:
    for _ in range(10):
        recorder.sampled("gender", "footfall_id", times=2)
        recorder.counted({"gender": ROWS, "footfall_id": ROWS - 1})
    recorder.sampled("gender", times=10)

    assert (0, []) == (recorder.value(ABSENT, "footfall_id"), recorder.logged)


def test_a_change_that_is_rolled_out_box_by_box_is_noticed_at_its_end(recorder: Recorder) -> None:
    recorder.sampled("gender", "vr_id", times=3)
    recorder.counted({"gender": ROWS, "vr_id": 4}, times=5)
    assert [] == recorder.logged

    recorder.sampled("gender", times=3)
    assert [("field_absent", "vr_id")] == recorder.logged


@pytest.mark.parametrize(
    ("rows", "responses", "is_logged"), [(1, 19, False), (1, 20, True), (16, 2, False), (7, 3, True)]
)
def test_few_rows_or_responses_show_nothing(recorder: Recorder, rows: int, responses: int, *, is_logged: bool) -> None:
    recorder.sampled("gender", "vr_id", times=3)
    recorder.sampled("gender", rows=rows, times=responses)

    assert is_logged == bool(recorder.logged)


@pytest.mark.parametrize(
    ("rows", "responses", "is_learned"), [(1, 19, False), (1, 20, True), (16, 2, False), (7, 3, True)]
)
def test_a_field_is_learned_from_as_many_rows_and_responses(
    recorder: Recorder, rows: int, responses: int, *, is_learned: bool
) -> None:
    recorder.sampled("gender", "vr_id", rows=rows, times=responses)
    recorder.sampled("gender", times=3)

    assert is_learned == bool(recorder.logged)


def test_an_expected_field_is_absent_although_it_never_came(recorder: Recorder) -> None:
    recorder.sampled("ots_count", expected=["status"], times=3)

    assert 3 == recorder.value(ABSENT, "status")
    assert [("field_absent", "status")] == recorder.logged


def test_a_response_without_sampled_rows_says_nothing(recorder: Recorder) -> None:
    recorder.sampled("gender", "vr_id", times=3)
    recorder.sampled(rows=0, expected=["status"], times=30)

    assert (0, 0, []) == (recorder.value(ABSENT, "vr_id"), recorder.value(ABSENT, "status"), recorder.logged)


def test_notices_end_when_the_stream_is_released_and_return_with_it(recorder: Recorder) -> None:
    recorder.sampled("gender", "vr_id", unknown=["posture"], times=3)
    recorder.sampled("gender", times=3)
    recorder.telemetry.released()
    assert [] == recorder.notices

    recorder.telemetry.owned(None, 0)
    recorder.sampled("gender")
    assert ["posture", "vr_id"] == recorder.notices
    assert [("field_unknown", "posture"), ("field_absent", "vr_id")] == recorder.logged
